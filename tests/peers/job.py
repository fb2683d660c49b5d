"""One job for all engines, the bytes it is done on, and what must come out.

Readings of 1,000 series, one a minute each, as our gateway writes them; key = station; every 10,000 readings a record without a key, a
tick (the clock in our log), which the others skip. For each series a window of 1 h hopping by 15 min in event time: count, minimum,
maximum, last and mean. For each reading the score of the widest window that holds it (the one opened 45 to 60 minutes before),
(last - mean) / (maximum - minimum + 1), and a record out when its level changes: HIGH above 0.3, else NORMAL.

The series are slow waves with noise, made up: a load and no claim about floods. 6 % of the readings change a level, far more than
gauges do: a hard test of what comes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

SERIES = 1000
MINUTE_MS, HOP_MS, BUCKETS = 60_000, 900_000, 4
START_MS = 1_753_920_000_000
BEAT = 10_000  # readings from tick to tick
HIGH = 0.3
Name = Literal["HIGH", "NORMAL"]
Record = tuple[bytes | None, bytes, int]  # key, value, its time in ms since 1970


class Change(msgspec.Struct, frozen=True):
    """What an engine writes; key = station."""

    station: str
    level: Name
    time_ms: int
    score: float
    count: int
    min: float
    max: float
    mean: float
    last: float


def station(number: int) -> str:
    return f"s{number:04d}"


def steps(readings: int) -> Iterator[tuple[list[int], list[float]]]:
    """(time_ms, value) of every series in turn, minute by minute; the same for each call."""
    chance = np.random.default_rng(7)
    amplitude, period_ms = chance.uniform(3, 6, SERIES), chance.uniform(10, 14, SERIES) * 3_600_000
    phase = chance.uniform(0, 2 * np.pi, SERIES)
    offset = np.arange(SERIES) * MINUTE_MS // SERIES
    for step in range(readings // SERIES):
        time_ms = step * MINUTE_MS + offset
        value = 20 + amplitude * np.sin(2 * np.pi * time_ms / period_ms + phase) + chance.normal(0, 0.05, SERIES)
        yield (START_MS + time_ms).tolist(), value.round(3).tolist()


def records(readings: int) -> Iterator[Record]:
    """The log: so many readings (a multiple of 10,000), with their ticks."""
    names = [station(number) for number in range(SERIES)]
    keys = [name.encode() for name in names]
    count = 0
    for times, values in steps(readings):
        for name, key, time_ms, value in zip(names, keys, times, values, strict=True):
            text = f'"parameter":"stage","time_ms":{time_ms},"value":{value},"received_ms":{time_ms + 900},"provider":"n1"'
            yield key, f'{{"station":"{name}",{text}}}'.encode(), time_ms
        count += SERIES
        if count % BEAT == 0:
            yield None, b'{"tick_ms":%d,"writer":"peers"}' % (times[-1] + 1000), times[-1]


@dataclass(frozen=True, slots=True)
class Scores:
    """What each reading makes of the widest window that holds it: matrices of (minutes, series)."""

    time_ms: NDArray[np.int64]
    last: NDArray[np.float64]
    count: NDArray[np.int64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    mean: NDArray[np.float64]
    score: NDArray[np.float64]

    def first(self, readings: int) -> Scores:
        """Of the first so many readings."""
        return Scores(*(getattr(self, name)[: readings // SERIES] for name in Scores.__slots__))


def scores(readings: int) -> Scores:
    """Every window from the values themselves, without buckets or running sums: nothing of any engine's is in it.

    Every series has a reading in each minute, so all windows of a minute have the same minutes in them.
    """
    given = list(steps(readings))
    times, values = np.array([time_ms for time_ms, _ in given]), np.array([value for _, value in given])
    count, low, high, mean = (np.empty_like(values) for _ in range(4))
    for minute, (time_ms, _) in enumerate(given):
        opened_ms = (time_ms[0] // HOP_MS - BUCKETS + 1) * HOP_MS
        window = values[max(0, (opened_ms - START_MS) // MINUTE_MS) : minute + 1]
        count[minute], low[minute], high[minute], mean[minute] = len(window), window.min(0), window.max(0), window.mean(0)
    return Scores(times, values, count.astype(np.int64), low, high, mean, (values - mean) / (high - low + 1))
