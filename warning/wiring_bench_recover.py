"""``warning bench recover``: from the start of a worker's process to its first beat, on checkpoints of many series."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from warning.wiring_bench_broker import Broker
from warning.wiring_bench_child import Child, Told, available_bytes, child
from warning.wiring_bench_day import TAIL_TICKS
from warning.wiring_bench_region import Size, write
from warning.wiring_environment import to_environment

SIZES = (100_000, 1_000_000)
DAY = 2880  # generations, one every 30 s
WITHIN_S = 3600.0
BYTES_A_SERIES = 10_000  # of memory while its worker starts: region, plan, state. 6,700 measured at 10^5; rounded up
Progress = Callable[[str, int, int], None]


def fitting(sizes: tuple[int, ...]) -> tuple[tuple[int, ...], list[str]]:
    """(the sizes to measure, in words what this machine is too small for)"""
    if sizes:
        return sizes, []
    free = available_bytes()
    fit = tuple(size for size in SIZES if free is None or size * BYTES_A_SERIES < free * 0.8)
    free_gb = (free or 0) / 1e9
    words = [
        f"{size:,} series: {size * BYTES_A_SERIES / 1e9:.0f} GB of memory, {free_gb:.0f} are free; --series {size} tries it all the same"
        for size in SIZES
        if size not in fit
    ]
    return fit, words


async def recover(series: int, generations: int, on: Broker, folder: Path, progress: Progress) -> dict[str, Any]:
    """Seconds from the start of the process: until the state is there, the first beat applied, the log done. Raises Unavailable."""
    size = Size(series)
    region = await asyncio.to_thread(write, size, folder / f"region-recover-{series}")
    deployment = await on.deployment(folder, 1, f"recover-{series}")
    settings = {"series": series, "region": str(region), "generations": generations, "deployment": dataclasses.asdict(deployment)}
    async with child("warning.wiring_bench_day", settings, folder) as past:
        left = (await _through(past, progress, series))["day"]
    on_topic = on.bytes_of(deployment.checkpoints)
    began = time.time()
    told: dict[str, Told] = {}
    settings = {"region": str(region), "ends": {0: left["end"]}}
    async with child("warning.wiring_bench_worker", settings, folder, to_environment(deployment)) as worker:
        while "last" not in told:
            one = await worker.until(lambda told: "region" in told or told.get("fact") == "StateLoaded" or "beat" in told, WITHIN_S)
            name = "region" if "region" in one else one.get("fact") or ("first" if "first" not in told else str(one["beat"]))
            told.setdefault(name, one)
            if one.get("beat") == "last":
                told["last"] = one
        await worker.kill()  # to stop would write a last checkpoint
        progress(f"recovery of {series:,} series", 1, 1)
    loaded = told["StateLoaded"]
    return {
        "series": series,
        "generations": generations,
        "of_a_day": generations / DAY,
        "checkpoint_bytes": left["bytes"],
        "topic_bytes": on_topic,
        "tail_readings": series // 2,
        "tail_ticks": TAIL_TICKS,
        "how": loaded["how"],
        "region_s": told["region"]["at"] - began,
        "joined_s": loaded["at"] - began - loaded["seconds"],
        "load_s": loaded["seconds"],
        "seconds": told["first"]["at"] - began,
        "caught_up_s": told["last"]["at"] - began,
        "replay_s": told["last"]["at"] - told["first"]["at"],
        "cpu_s": told["first"]["cpu_s"],
        "rss_bytes": told["last"]["rss"],
    }


async def _through(past: Child, progress: Progress, series: int) -> Told:
    while True:
        told = await past.until(lambda told: "day" in told or "progress" in told, WITHIN_S)
        if "day" in told:
            return told
        progress(f"checkpoints of {series:,} series", told["done"], told["total"])
