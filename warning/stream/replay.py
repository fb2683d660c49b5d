"""A replay of history: which records it has, and what they decide without any broker.

``replay_file`` is the reference for everything else: one thread, one partition's records in their order, the same decode and
the same step as the worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from warning.errors import ExitCode, InputError, StateError
from warning.model import Reading, Tick, to_json
from warning.region import Region
from warning.stream.beats import Beats, Closed
from warning.stream.decisions import PIPELINE
from warning.stream.ports import Pipeline

EVERY_S = 600
WRITER = "replay"


class LogRecord(NamedTuple):
    """One record of ``readings``: a reading (with a key, its basin) or a mark (without)."""

    partition: int
    key: bytes | None
    value: bytes


def log_with_ticks(
    region: Region, readings: Iterable[Reading], every_s: int = EVERY_S, tail_s: int | None = None, *, at_readings: bool = False
) -> Iterator[LogRecord]:
    """The log that a live system would have had, with the ticks of all partitions in step.

    ``readings`` in the order of ``received_ms`` (in a replay a reading is received at its own time); ``InputError`` if not. A tick
    stands at every full ``every_s`` of log time that passes, also where nothing came, so that silence is noticed; a reading at that
    very moment is before it. After the last reading the ticks go on for ``tail_s`` (default: until an alert that could be cleared by the
    last readings is; not so long that every gauge falls silent because the file ends). ``at_readings``: a tick also after the readings
    of each moment, in the partitions that have some, as near to a live system's as history knows.
    """
    step_ms = every_s * 1000
    due: int | None = None  # the next tick
    last = 0
    touched: dict[int, None] = {}  # partitions with readings of the moment ``last``
    for reading in readings:
        moment = reading.received_ms
        if moment > last and touched:
            yield from _ticks(last, touched)
            touched = {}
        if moment < last:
            raise InputError(
                f"reading of {reading.station} received at {moment} comes after one received at {last}",
                reason="order",
                field="received_ms",
                fix="sort the readings by time",
            )
        last = moment
        due = -(-moment // step_ms) * step_ms if due is None else due
        while moment > due:
            yield from _ticks(due, range(region.partitions))
            due += step_ms
        basin = region.station_by_id[reading.station].basin
        if at_readings:
            touched[region.basins[basin]] = None
        yield LogRecord(region.basins[basin], basin.encode(), to_json(reading))
    if due is None:
        return
    yield from _ticks(last, touched)
    tail_ms = 1000 * (region.alert.clear_after_s + 2 * every_s if tail_s is None else tail_s)
    while due < last + step_ms + tail_ms:
        yield from _ticks(due, range(region.partitions))
        due += step_ms


def _ticks(moment_ms: int, partitions: Iterable[int]) -> Iterator[LogRecord]:
    value = to_json(Tick(tick_ms=moment_ms, writer=WRITER))
    for partition in partitions:
        yield LogRecord(partition, None, value)


def replay_file(region: Region, records: Iterable[LogRecord], pipeline: Pipeline = PIPELINE, most: int = 100_000) -> Iterator[Closed]:
    """Every beat that the records close, in their order; no broker, no clock, nothing written.

    ``most``: a run handed to the decoder is cut after so many records at the latest. It changes nothing in what is decided.
    """
    plans = [pipeline.plan(region, partition) for partition in range(region.partitions)]
    beats = [Beats(partition, pipeline, plan, pipeline.empty(plan), 0) for partition, plan in enumerate(plans)]
    runs: list[tuple[list[bytes | None], list[bytes | None]]] = [([], []) for _ in beats]
    for partition, key, value in records:
        keys, values = runs[partition]
        keys.append(key)
        values.append(value)
        if key is None or len(keys) >= most:
            yield from beats[partition].take(keys, values, beats[partition].position)
            runs[partition] = ([], [])


def documents(beats: Iterable[Closed]) -> dict[str, bytes]:
    """identifier -> the bytes that stand on ``alerts``: the canonical event with its CAP document."""
    return once((event.alert.identifier, to_json(event)) for closed in beats for event in closed.alerts)


def once(events: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """Events by identifier, the first of each. Raises ``StateError`` (INVARIANT) for the same identifier with other content."""
    found: dict[str, bytes] = {}
    for identifier, content in events:
        if found.setdefault(identifier, content) != content:
            raise StateError(f"alert {identifier} was published twice with different content", exit_code=ExitCode.INVARIANT)
    return found
