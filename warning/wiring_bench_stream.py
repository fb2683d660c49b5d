"""``warning bench stream``: which rows, on which broker, in which order; and what this machine is too small for."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warning.wiring_bench_backlog import backlog
from warning.wiring_bench_broker import Broker, broker
from warning.wiring_bench_child import Told, available_bytes, child
from warning.wiring_bench_latency import Plan, latency
from warning.wiring_bench_log import TICKS_A_MINUTE

SIZES = (1_000, 10_000, 100_000, 1_000_000)
MAIN = 25_000  # readings a beat of the rows that are compared
BASE = 1_000  # series of the row that the others are compared with
OTHER_BEATS = (1_000, 10_000, 100_000)  # of the smallest size, besides; the first: one reading of each
LOADS = ("uniform", "hot", "live")
LIVE_MINUTES = 2
PARTS = ("rows", "latency", "backlog")
BYTES_A_SERIES = 12_000  # of memory for one row, measured and rounded up: its nouns, its state, the copy that a checkpoint makes
WITHIN_S = 3600.0
Progress = Callable[[str, int, int], None]  # what, done, of how many


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to measure; empty: the default, as far as it fits this machine."""

    sizes: tuple[int, ...] = ()
    loads: tuple[str, ...] = LOADS
    beats: tuple[int, ...] = ()
    readings: int = 2_000_000
    parts: tuple[str, ...] = PARTS
    kafka: str = ""
    live: Plan = field(default_factory=Plan)
    backlog_minutes: int = 60


@dataclass
class Measured:
    """``skipped``: in words, with the option that measures it all the same."""

    where: str
    rows: list[Told] = field(default_factory=list)
    latency: dict[str, Any] = field(default_factory=dict)
    backlog: dict[str, Any] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


async def stream(wanted: Wanted, progress: Progress, say: Callable[[Told], None]) -> Measured:
    """Row by row, each in a process of its own; ``say`` gets each as soon as it is there. Raises Unavailable."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        on = await stack.enter_async_context(broker(wanted.kafka))
        done = Measured(on.words)
        if "rows" in wanted.parts:
            for size, load, per_beat in _rows(wanted, on, done.skipped):
                done.rows.append(await _row(size, load, per_beat, wanted.readings, on, folder, progress))
                say(done.rows[-1])
        if "backlog" in wanted.parts:
            progress("an hour of backlog", 0, 1)
            done.backlog = await backlog(wanted.live.series, wanted.backlog_minutes, on, folder)
            progress("an hour of backlog", 1, 1)
        if "latency" in wanted.parts:
            done.latency = await latency(wanted.live, on, folder, progress)
        return done


def _rows(wanted: Wanted, on: Broker, skipped: list[str]) -> list[tuple[int, str, int]]:
    rows = []
    free = available_bytes()
    for size in wanted.sizes or SIZES:
        needed = size * BYTES_A_SERIES
        small = free is not None and needed > free * 0.8
        if not wanted.sizes and (small or (on.embedded and size > SIZES[2])):
            why = (
                "a checkpoint of it needs Apache Kafka"
                if not small
                else f"{needed / 1e9:.0f} GB of memory, {(free or 0) / 1e9:.0f} are free"
            )
            skipped.append(f"{size:,} series: {why}; --series {size} measures it all the same")
            continue
        for load in wanted.loads:
            if load == "live":
                rows.append((size, load, max(size // TICKS_A_MINUTE, 1)))
                continue
            more = OTHER_BEATS if size == BASE and load == "uniform" and not wanted.sizes else ()
            rows += [(size, load, beat) for beat in (wanted.beats or (MAIN, *more))]
    return rows


async def _row(size: int, load: str, per_beat: int, readings: int, on: Broker, folder: Path, progress: Progress) -> Told:
    what = f"{size:,} series, {load}, {per_beat:,} a beat"
    readings = LIVE_MINUTES * size if load == "live" else max(readings, per_beat)
    deployment = await on.deployment(folder, 1, f"row-{size}-{load}-{per_beat}")
    settings = {"series": size, "load": load, "readings": readings, "readings_per_beat": per_beat}
    async with child("warning.wiring_bench_row", settings | {"deployment": dataclasses.asdict(deployment)}, folder) as one:
        while True:
            told = await one.until(lambda told: "row" in told or "progress" in told, WITHIN_S)
            if "row" in told:
                row: Told = told["row"]
                return row
            progress(f"{what}: {told['progress']}", told["done"], told["total"])
