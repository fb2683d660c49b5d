"""``warning bench stream``: how many readings a second one core carries, and where the time goes. Synthetic load, no claim about floods.

Made up: rivers of ten gauges, a reading a minute each, a slow wave down each river with noise; one river in twenty floods. The
records are encoded as the gateway writes them and go through what the worker does with them: decode, quality, windows, forecast,
hazard, life cycle and documents, outputs to a real (embedded) broker, a checkpoint every million records. Times are CPU times of this
process, so that a busy machine does not spoil them.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from warning.alerts import cap
from warning.deployment import Deployment
from warning.model import Level, Parameter, Reading, Status, Tick, to_json
from warning.pipeline import score, zones
from warning.region import AlertRules, Contact, District, ForecastRules, Limits, Reach, Region, Series, Station, Zone
from warning.science import forecast, hazard, identity, qc, windows
from warning.stream.beats import Beats, Closed
from warning.stream.broker import EmbeddedBroker
from warning.stream.codec import Decoder
from warning.stream.decisions import PIPELINE
from warning.stream.kafka import KafkaLog
from warning.stream.owned import outputs_of
from warning.stream.state import Memory
from warning.stream.topics import ensure_topics

START_MS = 1_756_684_800_000
MINUTE_MS = 60_000
GAUGES_PER_RIVER = 10
CHECKPOINT_RECORDS = 1_000_000
Run = list[tuple[bytes | None, bytes]]
RUN = 15_000  # records that a fetch brings at a time (engine's 1 MiB)

# What is timed as what; the inner ones are taken off the outer one.
STAGES: tuple[tuple[str, Any, str], ...] = (
    ("decode", Decoder, "run"),
    ("quality", qc, "examine"),
    ("windows", windows, "fold"),
    ("identity", identity, "remember"),
    ("forecast", forecast, "trend"),
    ("forecast", score, "_courses"),
    ("hazard", hazard, "expected"),
    ("hazard", score, "observe"),
    ("hazard", zones, "_hazards"),
    ("life cycle", zones, "_live"),
    ("documents", cap, "document"),
)


@dataclass(frozen=True, slots=True)
class Bench:
    """One row of the table. ``stages``: name -> CPU microseconds a reading."""

    readings: int
    readings_per_beat: int
    series: int
    cpu_s: float
    wall_s: float
    stages: dict[str, float]
    state_bytes: int
    alerts: int

    @property
    def readings_per_second(self) -> float:
        return self.readings / self.cpu_s


def made_up(series: int) -> Region:
    """A region of so many discharge gauges in one basin."""
    ids = [f"G{number:05d}" for number in range(series)]
    below = {up: down for up, down in itertools.pairwise(ids) if int(down[1:]) % GAUGES_PER_RIVER}
    return Region(
        id="load",
        names={"en": "Load"},
        namespace="ews.load",
        sender="load@load.example",
        status=Status.EXERCISE,
        languages=("en",),
        utc_offset_s=0,
        timezone_name="UTC",
        country="PK",
        display_units={},
        class_names={},
        partitions=1,
        basins={"load": 0},
        stations=tuple(_station(name) for name in ids),
        zones=tuple(_zone(name, below.get(name)) for name in ids),
        reaches=tuple(Reach(up, down, 2 * 3600, 4 * 3600, "assumed") for up, down in below.items()),
        districts=(District("d", {"en": "District"}, "PK-PB"),),
        contacts=(Contact("c", "Contact", "public", "en", (), Level.LOW, phone="+99900000001", live=False),),
        forecast=ForecastRules(),
        alert=AlertRules(),
        exercise_numbers="+999",
        urls={},
        digest="load",
        folder="",
    )


def _zone(name: str, downstream: str | None) -> Zone:
    levels = {Level.LOW: 300.0, Level.MEDIUM: 400.0, Level.HIGH: 500.0, Level.VERY_HIGH: 650.0, Level.EXCEPTIONAL: 800.0}
    limits = Limits("discharge", levels, "made up", "", "")
    return Zone(name, {"en": name}, name, f"R{name[:-1]}", "load", ("d",), limits, downstream)


def _station(name: str) -> Station:
    one = Series(name, Parameter.DISCHARGE, 0.0, 5000.0, rise_per_hour=400.0, fall_per_hour=400.0, spike=200.0, flat_after_s=12 * 3600)
    return Station(name, {"en": name}, "gauge", f"R{name[:-1]}", "load", 30.0, 70.0, "approximate", (one,), silent_after_s=6 * 3600)


def records(region: Region, readings: int, per_beat: int) -> Iterator[tuple[bytes | None, bytes]]:
    """(key, value) of so many readings in order of time, a tick after each ``per_beat``."""
    stations = [station.id for station in region.stations]
    for number in range(readings):
        minute, place = divmod(number, len(stations))
        river, gauge = divmod(place, GAUGES_PER_RIVER)
        flood = 300.0 if river % 20 == 0 else 0.0
        wave = 0.5 + 0.5 * math.sin((minute - 180 * gauge) / 700 + river)
        value = 150.0 + (100.0 + flood) * wave + (number * 2_654_435_761 % 1000) / 500
        at = START_MS + minute * MINUTE_MS
        reading = Reading(
            station=stations[place], parameter=Parameter.DISCHARGE, time_ms=at, value=round(value, 2), received_ms=at + 900, provider="load"
        )
        yield b"load", to_json(reading)
        if number % per_beat == per_beat - 1:
            yield None, to_json(Tick(tick_ms=at + 1000))


class Stopwatch:
    """CPU time by stage, each without the stages inside it."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._inside = [0.0]

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        began = time.thread_time()
        self._inside.append(0.0)
        try:
            yield
        finally:
            whole = time.thread_time() - began
            self.spent[stage] += whole - self._inside.pop()
            self._inside[-1] += whole

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            with self.time(stage):
                return function(*arguments, **named)

        return run

    def patched(self) -> ExitStack:
        stack = ExitStack()
        for stage, owner, name in STAGES:
            original = getattr(owner, name)
            stack.callback(setattr, owner, name, original)
            setattr(owner, name, self.timed(stage, original))
        return stack


async def stream(series: int, readings: int, readings_per_beat: int) -> Bench:
    """Measures one row: ``readings`` after a tenth as many for warming up. Raises Unavailable without a broker."""
    region = made_up(series)
    warm = max(readings // 10 // readings_per_beat, 1) * readings_per_beat
    log = list(records(region, warm + readings, readings_per_beat))
    cold = warm + warm // readings_per_beat  # with the ticks
    runs = [part[at : at + RUN] for part in (log[:cold], log[cold:]) for at in range(0, len(part), RUN)]
    with EmbeddedBroker() as broker:
        deployment = Deployment(bootstrap=broker.bootstrap, prefix="replay-bench.", embedded=True, replay=True)
        await ensure_topics(deployment, region.partitions)
        async with KafkaLog(deployment) as producer:
            return await _measured(region, deployment, producer, runs, warm, readings_per_beat)


async def _measured(
    region: Region,
    deployment: Deployment,
    producer: KafkaLog,
    runs: list[Run],
    warm: int,
    readings_per_beat: int,
) -> Bench:
    plan = PIPELINE.plan(region, 0)
    beats = Beats(0, PIPELINE, plan, PIPELINE.empty(plan), 0)
    memory, watch = Memory(), Stopwatch()
    seen = alerts = measured = since_checkpoint = 0
    cpu = wall = 0.0
    with watch.patched():
        for run in runs:
            if not cpu and seen >= warm:  # warm from here on
                watch.spent.clear()
                seen, cpu, wall = 0, time.process_time(), time.monotonic()
            offset = beats.position
            with watch.time("the rest of the beat"):
                closed = list(beats.take([key for key, _ in run], [value for _, value in run], offset))
            with watch.time("produce"):
                await _produce(producer, deployment, closed)
            done = sum(one.readings for one in closed)
            seen, measured = seen + done, measured + (done if cpu else 0)
            alerts += sum(len(one.alerts) for one in closed)
            since_checkpoint += len(run)
            if since_checkpoint >= CHECKPOINT_RECORDS:
                since_checkpoint = 0
                with watch.time("checkpoint"):
                    await _checkpoint(producer, deployment, memory, beats)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    _, arrays = beats.state.freeze()
    stages = {stage: spent / measured * 1e6 for stage, spent in watch.spent.items()}
    return Bench(measured, readings_per_beat, len(plan.series), cpu, wall, stages, sum(array.nbytes for array in arrays.values()), alerts)


async def _produce(producer: KafkaLog, to: Deployment, closed: list[Closed]) -> None:
    sent = []
    for beat in closed:
        for output in outputs_of(to, beat):
            sent += await producer.send_all(*output)
    await asyncio.gather(*sent)


async def _checkpoint(producer: KafkaLog, to: Deployment, memory: Memory, beats: Beats) -> None:
    """Copy, digest, chunks and head, confirmed; as ``stream.owned`` does it."""
    head, arrays = beats.state.freeze()
    frozen = memory.copy(head, arrays, next=beats.next, writer="bench", config="load", code=beats.plan.code, tick=beats.tick)
    sent = [await producer.send(to.checkpoints, chunk, b"%d" % number, 0) for number, chunk in enumerate(frozen.chunks())]
    sent.append(await producer.send(to.checkpoints, to_json(frozen.sealed()), b"head", 0))
    await asyncio.gather(*sent)
