"""The dispatcher's process, as ``warning dispatch`` runs it, with the rehearsal's webhook receiver in a live deployment.

The command refuses that address outside of a replay, rightly; here workers must write their own ticks, so it cannot be a replay.
Nothing else differs: the same wiring, the same exit codes.
"""

from __future__ import annotations

import asyncio
import os
import sys

from warning import config, wiring, wiring_logging
from warning.errors import ExitCode, WarningSystemError
from warning.wiring_environment import from_environment
from warning.wiring_signals import on_signals


async def main(folder: str) -> None:
    region, deployment = config.load(folder), from_environment(os.environ)
    await wiring.dispatch(region, deployment, on_signals())


if __name__ == "__main__":
    wiring_logging.configure("dispatch")
    try:
        asyncio.run(main(sys.argv[1]))
    except WarningSystemError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except MemoryError:
        sys.exit(ExitCode.OUT_OF_MEMORY)
