"""One row of ``warning bench stream``, in a process of its own so that its memory is its own: the worker's whole work on so many series.

What a worker does with a fetched run is done with runs that were never fetched: decode, quality, windows, forecast, hazard, life cycle,
documents, outputs produced to a real broker and confirmed, a checkpoint whenever the worker would begin one, its commit. CPU time of
this process, all threads; making the records up is not counted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from warning.deployment import Deployment
from warning.facts import BeatClosed, CheckpointRefused, CheckpointWritten, Fact
from warning.stream import memory
from warning.stream.beats import Beats
from warning.stream.decisions import PIPELINE
from warning.stream.kafka import KafkaLog
from warning.stream.offsets import Offsets
from warning.stream.owned import Identity, Owned, Ports
from warning.wiring_bench_child import rss_bytes, rss_most_bytes, tell
from warning.wiring_bench_log import TICKS_A_MINUTE, live
from warning.wiring_bench_readings import MINUTE_MS, START_MS, Record, Run, records, run_of, tick
from warning.wiring_bench_region import Size, made_up
from warning.wiring_bench_stages import Stopwatch

RUN = 15_000  # records that a fetch brings at a time (1 MiB)
IDLE = 10_000  # beats
ENDLESS = TICKS_A_MINUTE * 60 * 24 * 365


class Work:
    """The owned partition, what it tells, and the CPU time of it all."""

    def __init__(self, size: Size, deployment: Deployment, log: KafkaLog, group: Offsets) -> None:
        self.rss_before = rss_bytes()
        region = made_up(size)
        plan = PIPELINE.plan(region, 0)
        self.watch, self.cpu_s, self.alerts, self.readings = Stopwatch(), 0.0, 0, 0
        self.checkpoints: list[CheckpointWritten] = []
        self.begun = 0
        self.pause_cpu_s: list[float] = []
        self.wrong: list[str] = []
        ports = Ports(log, group, deployment, self.hear, lambda error: self.wrong.append(repr(error)))
        self.owned = Owned(ports, Identity("bench", region.digest, plan.code), Beats(0, PIPELINE, plan, PIPELINE.empty(plan), 0), 0, [])
        begin = self.owned.begin_save

        def begin_save() -> None:
            self.begun += 1
            began = time.thread_time()
            with self.watch.time("checkpoint"):
                begin()
            self.pause_cpu_s.append(time.thread_time() - began)

        self.owned.begin_save = begin_save  # type: ignore[method-assign]

    @contextmanager
    def clocked(self) -> Iterator[None]:
        """Stage by stage. The clocks cost a few percent, so what counts is measured without them."""
        take = self.owned.beats.take

        def clocked_take(*arguments: Any) -> Iterator[Any]:
            beats = take(*arguments)
            while True:
                with self.watch.time("rest of the beat"):
                    closed = next(beats, None)
                if closed is None:
                    return
                yield closed

        self.forget()
        with self.watch.patched():
            self.owned.beats.take = clocked_take  # type: ignore[method-assign,assignment]
            yield
            del self.owned.beats.take

    def hear(self, fact: Fact) -> None:
        if isinstance(fact, BeatClosed):
            self.readings += fact.readings
            self.alerts += sum(fact.alerts.values())
        elif isinstance(fact, CheckpointWritten):
            self.checkpoints.append(fact)
        elif isinstance(fact, CheckpointRefused):
            self.wrong.append(fact.why)

    async def take(self, run: Run) -> None:
        """One run, and the checkpoint that it began: written on its own here, while it is written beside the work in a worker."""
        began = time.process_time()
        await self.owned.take(*run, self.owned.beats.position)
        self.cpu_s += time.process_time() - began
        began = time.process_time()
        while self.begun > len(self.checkpoints) and not self.wrong:  # noqa: ASYNC110 - a fact is no event
            await asyncio.sleep(0.01)
        spent = time.process_time() - began
        self.watch.spent["checkpoint"] += spent
        self.cpu_s += spent
        if self.wrong:
            raise RuntimeError(self.wrong[0])

    async def confirmed(self) -> None:
        """Until the broker has all outputs."""
        began = time.process_time()
        await self.owned._confirmed()
        self.cpu_s += time.process_time() - began

    def forget(self) -> None:
        """From here on is measured."""
        self.watch.spent.clear()
        self.cpu_s, self.alerts, self.readings = 0.0, 0, 0


async def row(size: Size, load: str, readings: int, per_beat: int, deployment: Deployment) -> dict[str, Any]:
    """Measures ``readings``, after every series sent once and a tenth as many for warming up; then half as many by stage."""
    memory.keep()  # as the worker
    async with KafkaLog(deployment) as log, Offsets(deployment) as group:
        work = Work(size, deployment, log, group)
        stream = live(size, START_MS, ENDLESS) if load == "live" else records(size, load, per_beat)
        await _through(work, stream, max(readings // 10, size.series, 2 * per_beat), per_beat, "warming up")
        await work.confirmed()
        work.forget()
        began = time.monotonic()
        await _through(work, stream, readings, per_beat, "readings")
        await work.confirmed()
        figures = _figures(work, size, load, per_beat, time.monotonic() - began)
        with work.clocked():
            await _through(work, stream, max(readings // 2, per_beat), per_beat, "stage by stage")
            await work.confirmed()
            spent = dict(work.watch.spent)
            spent["produce, commit"] = work.cpu_s - sum(spent.values())
        stages = {stage: seconds / work.readings * 1e6 for stage, seconds in spent.items()}
        return figures | {"us_per_reading": stages, "idle_beat_us": await _idle(work), **await _pauses(work)}


async def _through(work: Work, stream: Iterator[Record], readings: int, per_beat: int, what: str) -> None:
    end = work.readings + readings
    while work.readings < end:
        await work.take(run_of(stream, min(RUN, max(per_beat + 1, 1000))))
        tell(progress=what, done=min(work.readings, end) - (end - readings), total=readings)


def _figures(work: Work, size: Size, load: str, per_beat: int, wall_s: float) -> dict[str, Any]:
    _, arrays = work.owned.beats.state.freeze()
    return {
        "series": size.series,
        "load": load,
        "readings_per_beat": per_beat,
        "readings": work.readings,
        "cpu_s": work.cpu_s,
        "wall_s": wall_s,
        "alerts": work.alerts,
        "checkpoints": len(work.checkpoints),
        "state_bytes": sum(array.nbytes for array in arrays.values()),
        "checkpoint_cpu_s": work.watch.spent["checkpoint"],
    }


async def _idle(work: Work) -> float:
    """CPU microseconds of a beat in which nothing came and no timer was due."""
    now_ms = work.owned.beats.state.now_ms
    value = tick(now_ms)
    # All at the same moment, so that no timer falls due: a tick that is not later closes its beat all the same.
    spent = work.cpu_s
    await work.take(([None] * IDLE, [value] * IDLE))
    return (work.cpu_s - spent) / IDLE * 1e6


async def _pauses(work: Work) -> dict[str, Any]:
    """Three checkpoints of the state as it is now, a beat between them: the first one into new memory if there was none before."""
    for _ in range(3):
        at = work.owned.beats.state.now_ms + MINUTE_MS
        await work.take(([None], [tick(at)]))
        work.owned.begin_save()
        await work.take(([], []))
    pauses = [one.pause_seconds * 1000 for one in work.checkpoints]
    return {
        "checkpoint_pause_ms": max(pauses),
        "checkpoint_pause_cpu_ms": max(work.pause_cpu_s) * 1000,
        "checkpoint_bytes": work.checkpoints[-1].bytes,
        "checkpoint_s": work.checkpoints[-1].seconds,
        "rss_bytes": rss_bytes() - work.rss_before,
        "rss_most_bytes": rss_most_bytes() - work.rss_before,
    }


def main() -> None:
    """As a program: settings as JSON; tells its progress, then the row."""
    logging.basicConfig(level=logging.ERROR)
    settings = json.loads(sys.argv[1])
    deployment = Deployment(**settings["deployment"] | {"directory": Path(settings["deployment"]["directory"])})
    size = Size(settings["series"])
    tell(row=asyncio.run(row(size, settings["load"], settings["readings"], settings["readings_per_beat"], deployment)))


if __name__ == "__main__":
    main()
