"""A process with nothing but a cash desk in it, to be killed: python cash_process.py FOLDER PORT."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from alert_region import T0, M
from cash_world import ACTUAL, deployment, rules, trigger

from warning.alerts.rules import Decision
from warning.dispatch.cash import CashDesk
from warning.facts import nobody


async def work(folder: Path, port: int, later_ms: int) -> None:
    began = asyncio.get_running_loop().time()
    desk = CashDesk(
        rules(port, trigger(approvals=0)),
        ACTUAL,
        deployment(folder),
        Decision,
        lambda: T0 + M + later_ms + round((asyncio.get_running_loop().time() - began) * 1000),
        nobody,
    )
    await desk.run()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
