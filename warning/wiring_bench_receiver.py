"""The receiver of webhooks of a bench: ``rehearsal.receiver_load`` as a child that tells where it listens."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from warning.rehearsal.receiver_load import Inbox
from warning.wiring_bench_child import tell
from warning.wiring_signals import on_signals


async def run(inbox: Inbox) -> None:
    """Until SIGTERM."""
    stop = on_signals()
    tell(listening=await inbox.start())
    await stop.wait()
    await inbox.stop()


def main() -> None:
    settings = json.loads(sys.argv[1])
    secrets = json.loads(Path(settings["secrets"]).read_text(encoding="utf-8"))
    asyncio.run(run(Inbox(secrets, Path(settings["record"]))))


if __name__ == "__main__":
    main()
