"""An hour of backlog: a worker that starts behind an hour of readings and ticks, and how long it takes until it is at the end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from warning.stream.kafka import KafkaLog
from warning.wiring import clock_ms
from warning.wiring_bench_broker import Broker
from warning.wiring_bench_child import child
from warning.wiring_bench_log import TICKS_A_MINUTE, append, end, live
from warning.wiring_bench_region import Size, write
from warning.wiring_environment import to_environment

WITHIN_S = 900.0


async def backlog(series: int, minutes: int, on: Broker, folder: Path) -> dict[str, Any]:
    """Wall seconds from the start of the process until the last beat of the hour is applied and handed to the producer; CPU of that."""
    size = Size(series)
    region = await asyncio.to_thread(write, size, folder / "region-backlog")
    deployment = await on.deployment(folder, 1, "backlog")
    ticks = minutes * TICKS_A_MINUTE
    async with KafkaLog(deployment) as log:
        await append(log, deployment, 0, live(size, clock_ms() - minutes * 60_000, ticks))
        last = await end(log, deployment, 0)
    began = time.time()
    settings = {"region": str(region), "ends": {0: last}}
    async with child("warning.wiring_bench_worker", settings, folder, to_environment(deployment)) as worker:
        first = await worker.until(lambda told: "beat" in told, WITHIN_S)
        done = first if first["beat"] == "last" else await worker.until(lambda told: told.get("beat") == "last", WITHIN_S)
    return {
        "series": series,
        "readings": done["readings"],
        "ticks": ticks,
        "seconds": done["at"] - began,
        "start_s": first["at"] - began,
        "cpu_s": done["cpu_s"],
        "rss_bytes": done["rss"],
    }
