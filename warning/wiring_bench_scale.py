"""Partitions and workers: the live worker's whole way from the broker to the broker, on 1, 2 and 4 of each."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from warning.deployment import Deployment
from warning.stream.broker import free_port
from warning.stream.kafka import KafkaLog
from warning.wiring import clock_ms
from warning.wiring_bench_broker import Broker
from warning.wiring_bench_child import Child, Told, child
from warning.wiring_bench_log import append
from warning.wiring_bench_readings import MINUTE_MS, Record, records
from warning.wiring_bench_region import Size, write
from warning.wiring_environment import to_environment

WITHIN_S = 600.0


async def scale(workers: int, series: int, readings: int, on: Broker, folder: Path) -> dict[str, Any]:
    """So many workers and partitions, ``readings`` for each of them that come as fast as they are taken; what each worker did."""
    size = Size(series * workers, partitions=workers)
    region = await asyncio.to_thread(write, size, folder / f"region-scale-{workers}")
    deployment = await on.deployment(folder, workers, f"scale-{workers}")
    parts = await asyncio.to_thread(_parts, size, readings)
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(_worker(region, deployment, folder)) for _ in range(workers)]
        began_with = await _shared_out(running, workers)
        log = await stack.enter_async_context(KafkaLog(deployment))
        began = time.monotonic()
        feeding = asyncio.gather(*(append(log, deployment, partition, part) for partition, part in enumerate(parts)))
        total = [before["readings"] + len(part) for before, part in zip(began_with, parts, strict=True)]
        ended_with = await asyncio.gather(*(_came_to(one, wanted) for one, wanted in zip(running, total, strict=True)))
        await feeding
        wall_s = time.monotonic() - began
    done = sum(len(part) for part in parts)
    cpu_s = [after["cpu_s"] - before["cpu_s"] for before, after in zip(began_with, ended_with, strict=True)]
    return {
        "workers": workers,
        "cores": os.cpu_count(),
        "series": size.series,
        "readings": done,
        "wall_s": wall_s,
        "readings_per_second": done / wall_s,
        "cpu_s": sum(cpu_s),
        "readings_per_cpu_second": done / sum(cpu_s),
        "rss_bytes": max(after["rss"] for after in ended_with),
    }


def _worker(region: Path, deployment: Deployment, folder: Path) -> Any:
    own = replace(deployment, worker_metrics_port=free_port())
    return child("warning.wiring_bench_worker", {"region": str(region)}, folder, to_environment(own))


def _parts(size: Size, readings: int) -> list[list[Record]]:
    """Partition -> its records: minutes of the past that end now, no ticks (the workers write them)."""
    begin_ms = clock_ms() - readings * size.partitions // size.series * MINUTE_MS
    parts: list[list[Record]] = [[] for _ in range(size.partitions)]
    place = {name.encode(): partition for name, partition in size.basins.items()}
    stream: Iterator[Record] = records(size, start_ms=begin_ms)
    for key, value in islice(stream, readings * size.partitions):
        parts[place[key or b""]].append((key, value))
    return parts


async def _shared_out(running: list[Child], partitions: int) -> list[Told]:
    """Waits until each worker closes beats of a partition of its own; the last thing that each told."""
    seen: dict[int, int] = {}
    last: list[Told] = [{} for _ in running]

    async def follow(number: int, one: Child) -> None:
        while len(set(seen.values())) < partitions or len(seen) < partitions:
            last[number] = await one.until(lambda told: "beat" in told, WITHIN_S)
            seen[number] = last[number]["partition"]

    await asyncio.gather(*(follow(number, one) for number, one in enumerate(running)))
    return last


async def _came_to(one: Child, readings: int) -> Told:
    return await one.until(lambda told: told.get("readings", 0) >= readings and "beat" in told, WITHIN_S)
