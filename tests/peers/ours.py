"""The job on our own stream: the product's worker as it is (transport, codec, beats, checkpoints, commits), with this job in place of the
flood decisions. A beat's readings are laid out in rounds: round k has the k-th reading of each series, so a round touches each
series once and is a few array operations, and the result is that of one reading at a time in the order of the log.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import stream_regions
from job import BUCKETS, HIGH, HOP_MS, SERIES, Name, station
from marks import Marks
from numpy.typing import NDArray

from warning.deployment import Deployment
from warning.facts import BeatClosed, Fact
from warning.model import AlertEvent, Parameter
from warning.pipeline.beat import Hazards, Outputs, Readings
from warning.pipeline.held import Held
from warning.region import Region
from warning.stream.app import run_worker
from warning.stream.ports import Pipeline

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NEVER = -1
PARTS = ("count", "total", "low", "high")
EMPTY = {"count": 0.0, "total": 0.0, "low": np.inf, "high": -np.inf}


class Told(msgspec.Struct, gc=False, rename={"zone": "station"}):
    """A ``job.Change`` as a row of ``Hazards``: the worker publishes it with the record that it was decided at."""

    zone: str  # the station
    level: Name
    time_ms: int
    score: float
    count: int
    min: float
    max: float
    mean: float
    last: float
    n: int = 0

    @property
    def silent_since_ms(self) -> None:
        return None


@dataclass(frozen=True)
class Plan:
    row: dict[tuple[str, Parameter], int]
    names: list[str]
    code: str = "window-job-1"

    @staticmethod
    def of(region: Region, partition: int) -> Plan:
        names = [station(number) for number in range(SERIES)]
        return Plan({(name, Parameter.STAGE): number for number, name in enumerate(names)}, names)


class State:
    """Per series the four newest buckets (axis 0; bucket b in slot b % 4) and its level.

    Beside them, made from them when they are loaded: ``now`` the bucket that is filling, ahead of its slot, and ``rest`` the sums of the
    other three.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]], now_ms: int) -> None:
        self.arrays, self.now_ms = arrays, now_ms
        self.now = {name: np.empty(len(arrays["newest"])) for name in PARTS}
        self.rest = {name: np.empty(len(arrays["newest"])) for name in PARTS}
        every = Beat(self, np.arange(len(arrays["newest"])))
        every.load(every.all)
        every.close()

    @staticmethod
    def empty(plan: Plan) -> State:
        rows = len(plan.row)
        arrays: dict[str, NDArray[Any]] = {name: np.full((BUCKETS, rows), EMPTY[name]) for name in PARTS}
        arrays["bucket"] = np.full((BUCKETS, rows), NEVER, np.int64)
        arrays["newest"] = np.full(rows, NEVER, np.int64)
        arrays["above"] = np.zeros(rows, np.bool_)
        return State(arrays, 0)

    def freeze(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        slot, every = self.arrays["newest"] % BUCKETS, np.arange(len(self.arrays["newest"]))
        for name in PARTS:
            self.arrays[name][slot, every] = self.now[name]
        return {"now_ms": self.now_ms}, self.arrays

    def hold(self, more: dict[str, Any]) -> tuple[Iterator[bytes], Held]:
        """A copy: it is small."""
        head, arrays = self.freeze()
        return iter([msgspec.json.encode({**head, **more})]), Held({name: array.copy() for name, array in arrays.items()})

    def release(self, held: Held) -> None:
        """Nothing was kept but the copy."""

    @staticmethod
    def thaw(plan: Plan, head: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> State:
        return State(arrays, head["now_ms"])


@dataclass(frozen=True)
class Rounds:
    """Readings in the order of their rounds. ``rows``: the series, those with most readings first, so that each round is a slice."""

    rows: Ints
    sizes: list[int]
    order: Ints  # where each stood in the log

    @staticmethod
    def of(row: NDArray[np.int32]) -> Rounds:
        count = len(row)
        by_row = np.argsort(row.astype(np.int16) if SERIES < 1 << 15 else row, kind="stable")
        ordered = row[by_row]
        start = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        many = np.diff(start, append=count)
        first = np.argsort(-many, kind="stable")
        place = np.empty_like(first)
        place[first] = np.arange(len(first))
        sizes = np.bincount(many)[::-1].cumsum()[::-1][1:]  # series with at least one reading, with at least two, ...
        rank = np.arange(count) - np.repeat(start, many)
        order = np.empty(count, np.int64)
        order[(sizes.cumsum() - sizes)[rank] + np.repeat(place, many)] = by_row
        return Rounds(ordered[start][first].astype(np.int64), sizes.tolist(), order)


class Beat:
    """The series of one beat, close together."""

    def __init__(self, state: State, rows: Ints) -> None:
        self.state, self.rows, self.all = state, rows, np.arange(len(rows))
        self.newest, self.above = state.arrays["newest"].take(rows), state.arrays["above"].take(rows)
        self.now = {name: state.now[name].take(rows) for name in PARTS}
        self.rest = {name: state.rest[name].take(rows) for name in PARTS}

    @cached_property
    def ring(self) -> dict[str, NDArray[Any]]:
        """The four buckets: few beats need them."""
        return {name: self.state.arrays[name].take(self.rows, axis=1) for name in (*PARTS, "bucket")}

    def load(self, at: Ints) -> None:
        slot = self.newest[at] % BUCKETS
        for name in PARTS:
            self.now[name][at] = self.ring[name][slot, at]
        rest = self._fold(at, self.newest[at], skip=slot)
        for name in PARTS:
            self.rest[name][at] = rest[name]

    def _store(self, at: Ints) -> None:
        slot = self.newest[at] % BUCKETS
        for name in PARTS:
            self.ring[name][slot, at] = self.now[name][at]

    def _fold(self, at: Ints, bucket: Ints, skip: Ints | int = NEVER) -> dict[str, Floats]:
        """The window that ends with this bucket, without one slot."""
        held = self.ring["bucket"][:, at]
        inside = (held > bucket - BUCKETS) & (held <= bucket) & (np.arange(BUCKETS)[:, None] != skip)
        parts = {name: np.where(inside, self.ring[name][:, at], EMPTY[name]) for name in PARTS}
        sums = {name: (parts[name][0] + parts[name][1]) + (parts[name][2] + parts[name][3]) for name in ("count", "total")}
        return {**sums, "low": parts["low"].min(0), "high": parts["high"].max(0)}

    def roll(self, at: Ints, bucket: Ints) -> None:
        """A later bucket begins for these."""
        self._store(at)
        self.newest[at] = bucket
        slot = bucket % BUCKETS
        self.ring["bucket"][slot, at] = bucket
        for name in PARTS:
            self.ring[name][slot, at] = EMPTY[name]
        self.load(at)

    def late(self, at: Ints, bucket: Ints, value: Floats) -> tuple[Ints, dict[str, Floats]]:
        """Readings of buckets before the newest: (those whose bucket is still held, their windows)."""
        self._store(at)
        slot = bucket % BUCKETS
        fits = self.ring["bucket"][slot, at] <= bucket
        at, bucket, value, slot = at[fits], bucket[fits], value[fits], slot[fits]
        fresh = self.ring["bucket"][slot, at] < bucket
        self.ring["bucket"][slot, at] = bucket
        for name in PARTS:
            self.ring[name][slot[fresh], at[fresh]] = EMPTY[name]
        self.ring["count"][slot, at] += 1
        self.ring["total"][slot, at] += value
        self.ring["low"][slot, at] = np.minimum(self.ring["low"][slot, at], value)
        self.ring["high"][slot, at] = np.maximum(self.ring["high"][slot, at], value)
        self.load(at)
        return at, self._fold(at, bucket)

    def fill(self, count: int, value: Floats) -> dict[str, Floats]:
        """One reading each for the first ``count`` series, in the bucket that is filling: their windows."""
        now, rest = {name: self.now[name][:count] for name in PARTS}, {name: self.rest[name][:count] for name in PARTS}
        now["count"] += 1
        now["total"] += value
        np.minimum(now["low"], value, out=now["low"])
        np.maximum(now["high"], value, out=now["high"])
        sums = {name: rest[name] + now[name] for name in ("count", "total")}
        return {**sums, "low": np.minimum(rest["low"], now["low"]), "high": np.maximum(rest["high"], now["high"])}

    def close(self) -> None:
        state = self.state
        if "ring" in self.__dict__:
            for name in (*PARTS, "bucket"):
                state.arrays[name][:, self.rows] = self.ring[name]
            for name in PARTS:
                state.rest[name][self.rows] = self.rest[name]
        for name in PARTS:
            state.now[name][self.rows] = self.now[name]
        state.arrays["newest"][self.rows], state.arrays["above"][self.rows] = self.newest, self.above


def step(plan: Plan, state: State, readings: Readings, now_ms: int) -> Outputs:
    state.now_ms = max(state.now_ms, now_ms)
    if not len(readings):
        return Outputs(state.now_ms)
    rounds = Rounds.of(readings.row)
    beat = Beat(state, rounds.rows)
    value, bucket = readings.value[rounds.order], readings.time_ms[rounds.order] // HOP_MS
    found, begin = [], 0
    for size in rounds.sizes:
        for at, window in _round(beat, size, bucket[begin : begin + size], value[begin : begin + size]):
            found.append(_changes(beat, at, value[begin : begin + size], begin, window))
        begin += size
    beat.close()
    order, *columns = (np.concatenate(column) for column in zip(*found, strict=True))
    told = _told(plan, readings, rounds.order[order], columns)
    return Outputs(state.now_ms, len(readings), hazards=Hazards(told))


def _round(beat: Beat, size: int, bucket: Ints, value: Floats) -> list[tuple[Ints | slice, dict[str, Floats]]]:
    """The windows of a round's readings, with the series that they are of."""
    ahead = bucket - beat.newest[:size]
    if not ahead.any():
        return [(slice(size), beat.fill(size, value))]
    later = np.flatnonzero(ahead > 0)
    beat.roll(later, bucket[later])
    late = np.flatnonzero(ahead < 0)
    if not len(late):
        return [(slice(size), beat.fill(size, value))]
    kept = {name: beat.now[name][late] for name in PARTS}
    window = beat.fill(size, value)
    for name in PARTS:  # the late ones are of another bucket
        beat.now[name][late] = kept[name]
    others = np.flatnonzero(ahead >= 0)
    return [(others, {name: window[name][others] for name in PARTS}), beat.late(late, bucket[late], value[late])]


def _changes(beat: Beat, at: Ints | slice, value: Floats, begin: int, window: dict[str, Floats]) -> tuple[NDArray[Any], ...]:
    """(place in the rounds, above, score, count, low, high, mean) of the readings that change the level of their series."""
    mean = window["total"] / window["count"]
    score = (value[at] - mean) / (window["high"] - window["low"] + 1)
    above = score > HIGH
    changed = np.flatnonzero(above != beat.above[at])
    series = changed if isinstance(at, slice) else at[changed]
    beat.above[series] = above[changed]
    columns = (above, score, window["count"], window["low"], window["high"], mean)
    return (begin + series, *(column[changed] for column in columns))


def _told(plan: Plan, readings: Readings, place: Ints, columns: list[NDArray[Any]]) -> list[Told]:
    """In the order of the log."""
    order = np.argsort(place)
    place = place[order]
    above, score, count, low, high, mean = (column[order].tolist() for column in columns)
    names = [plan.names[row] for row in readings.row[place].tolist()]
    levels: list[Name] = ["HIGH" if each else "NORMAL" for each in above]
    times, last = readings.time_ms[place].tolist(), readings.value[place].tolist()
    return list(map(Told, names, levels, times, score, map(int, count), low, high, mean, last))


def _no_alerts(plan: Plan, state: State, events: Iterable[AlertEvent]) -> list[AlertEvent]:
    """This job raises none that another configuration could have published."""
    return []


JOB = Pipeline(plan=Plan.of, empty=State.empty, thaw=State.thaw, step=step, published_after=_no_alerts)


def main() -> int:
    """The prefix and the folder come from the harness, which has written the log under that prefix."""
    logging.basicConfig(level=logging.WARNING)
    marks = Marks()

    def listen(fact: Fact) -> None:
        if isinstance(fact, BeatClosed):
            marks.add(fact.readings)

    deployment = Deployment(
        bootstrap=os.environ["PEER_BROKER"],
        prefix=os.environ["PEER_PREFIX"],
        directory=Path(os.environ["PEER_STATE"]),
        replay=True,  # the ticks are in the log
    )
    return int(run_worker(stream_regions.region(), deployment, listen, None, JOB))


if __name__ == "__main__":
    sys.exit(main())
