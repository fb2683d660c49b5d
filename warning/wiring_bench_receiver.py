"""The receiver of webhooks of a bench: ``rehearsal.receiver`` as a child that tells where it listens."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from warning.rehearsal.receiver import Receiver
from warning.wiring import on_signals
from warning.wiring_bench_child import tell


async def run(receiver: Receiver) -> None:
    """Until SIGTERM."""
    stop = on_signals()
    tell(listening=await receiver.start())
    await stop.wait()
    await receiver.stop()


def main() -> None:
    settings = json.loads(sys.argv[1])
    secrets = json.loads(Path(settings["secrets"]).read_text(encoding="utf-8"))
    asyncio.run(run(Receiver(secrets, record=Path(settings["record"]))))


if __name__ == "__main__":
    main()
