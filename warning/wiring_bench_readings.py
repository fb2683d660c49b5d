"""Made-up readings as the gateway writes them: a slow wave down each river with noise; one river in twenty floods."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from warning.model import Parameter, Reading, Tick, to_json
from warning.wiring_bench_region import GAUGES_PER_RIVER, Size

START_MS = 1_756_684_800_000
MINUTE_MS = 60_000
HOT_SHARE = 10  # with a hot basin, one gauge in ten ...
COLD_EVERY = 81  # ... sends each minute, the others every 81 minutes: nine readings in ten come from the tenth
LOADS = ("uniform", "hot")
Record = tuple[bytes | None, bytes]  # key, value
Run = tuple[list[bytes | None], list[bytes | None]]  # keys, values


def value_of(gauge: int, minute: float, noise: int) -> float:
    """m3/s"""
    river, place = divmod(gauge, GAUGES_PER_RIVER)
    flood = 300.0 if river % 20 == 0 else 0.0
    wave = 0.5 + 0.5 * math.sin((minute - 180 * place) / 700 + river)
    return round(150.0 + (100.0 + flood) * wave + (noise * 2_654_435_761 % 1000) / 500, 2)


def senders(size: Size, load: str) -> Iterator[tuple[int, int]]:
    """(minute, gauge) of one reading after the other, without end. Hot: every gauge once, then as ``HOT_SHARE`` says."""
    yield from ((0, gauge) for gauge in range(size.series))
    for minute in itertools.count(1):
        if load == "uniform":
            yield from ((minute, gauge) for gauge in range(size.series))
            continue
        hot = max(size.series // HOT_SHARE, 1)
        yield from ((minute, gauge) for gauge in range(hot))
        yield from ((minute, gauge) for gauge in range(hot + minute % COLD_EVERY, size.series, COLD_EVERY))


def records(size: Size, load: str = "uniform", per_beat: int = 0, start_ms: int = START_MS) -> Iterator[Record]:
    """(key, value) in order of time, without end: a reading a minute of each gauge that sends, a tick after each ``per_beat`` of them
    (0: none)."""
    for number, (minute, gauge) in enumerate(senders(size, load)):
        at = start_ms + minute * MINUTE_MS
        yield size.basin(gauge).encode(), reading(size.gauge(gauge), at, value_of(gauge, minute, number), at + 900)
        if per_beat and number % per_beat == per_beat - 1:
            yield None, tick(at + 1000)


def reading(station: str, time_ms: int, value: float, received_ms: int) -> bytes:
    return to_json(
        Reading(station=station, parameter=Parameter.DISCHARGE, time_ms=time_ms, value=value, received_ms=received_ms, provider="load")
    )


def tick(at_ms: int) -> bytes:
    return to_json(Tick(tick_ms=at_ms, writer="bench"))


def run_of(records: Iterator[Record], most: int) -> Run:
    """The next so many."""
    part = list(itertools.islice(records, most))
    return [key for key, _ in part], [value for _, value in part]
