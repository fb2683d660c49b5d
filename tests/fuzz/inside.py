"""Decoder, transport and pipeline in this process, as fast as they go: each chunk of records is a log of its own.

Per beat: readings of good gauges, mutated records among them at random places, a tick. The log goes through the transport as fetched
bytes, through the decoder and ``step``. Held: every record is what ``reference`` says it is, with the same numbers; each rejected one
has its reason and its bytes; applied + rejected + duplicates + missing = sent; no series goes out of service; and what is decided for
the good gauges is byte for byte what a log without the mutated records gives.
"""

from __future__ import annotations

import base64
import random
import struct
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from fuzz import course, seeds
from fuzz.mutate import Mutator
from fuzz.reference import UNREADABLE, Judged, judge
from warning.model import Parameter, Rejected, to_json
from warning.stream import transport
from warning.stream.beats import Beats, Closed
from warning.stream.codec import MOST_BYTES, Segment
from warning.stream.decisions import PIPELINE

TOPIC = "fuzz"
PER_BEAT = 2000  # mutated records
BEATS_PER_RUN = 5
KEYS = (b"mutated", b"mutated", b"mutated", b"good", b"other", b"", b"\xff\x00", b"k" * 300, None)
HEADERS: tuple[list[tuple[str, bytes]], ...] = ([("provider", b"x")], [("", b"")], [("h" * 200, b"\xff" * 200)])


class Found(AssertionError):
    """Something that must not be. Its words hold what is needed to see it again."""


def found_by(name: str, chunk: Callable[[int, int], dict[str, Any]]) -> Callable[[int, int], dict[str, Any]]:
    """``chunk``: (number, records) -> its tally; for the command, so that what it finds is raised as Found."""

    def run(number: int, count: int) -> dict[str, Any]:
        try:
            return chunk(number, count)
        except AssertionError as error:
            raise Found(f"{name}: {str(error)[:2000]}") from error

    return run


@dataclass
class Tally:
    """What a chunk held and what became of it."""

    records: int = 0  # mutated ones that were sent
    good: int = 0
    readings: int = 0  # mutated, and still a reading of a mutated source
    rejected: Counter[str] = field(default_factory=Counter)  # reason -> records, of decoding
    flags: Counter[str] = field(default_factory=Counter)  # cause -> readings, of quality control
    alerts: int = 0  # of the good gauges
    left_out: int = 0  # mutated into a tick, a switch or a reading of a good gauge: orders that only a key keeps out


class _Watched:
    """The decoder of a ``Beats``, with its segments kept for comparison."""

    def __init__(self, decoder: Any) -> None:
        self._decoder, self.segments = decoder, list[Segment]()

    def run(self, keys: Any, values: Any, first: int) -> list[Segment]:
        found = self._decoder.run(keys, values, first)
        self.segments += found
        return found  # type: ignore[no-any-return]


class Chunk:
    """``run`` raises ``Found``. The same seed and number give the same log."""

    def __init__(self, seed: int, number: int, records: int) -> None:
        self.region = course.region()
        plan = PIPELINE.plan(self.region, 0)
        self.rows: dict[tuple[str, Parameter], int] = plan.row
        self.names = course.stations(self.region, course.GOOD)
        self._zones = frozenset(self.names)
        mutated = [*course.stations(self.region, course.MUTATED), *course.stations(self.region, course.OTHER)[:2]]
        self._mutator = Mutator(seeds.readings(mutated) + seeds.marks() * 4, seed * 1_000_003 + number)
        self._random = random.Random(seed * 1_000_003 + number)
        self._records, self.tally = records, Tally()
        self._with = Beats(0, PIPELINE, plan, PIPELINE.empty(plan), 0)
        self._without = Beats(0, PIPELINE, PIPELINE.plan(self.region, 0), PIPELINE.empty(plan), 0)
        self._decoder = _Watched(self._with._decoder)
        self._with._decoder = self._decoder  # type: ignore[assignment]
        self._position = 0
        transport.install({TOPIC})

    def run(self) -> Tally:
        minute = 0
        while self.tally.records < self._records:
            mixed: list[tuple[bytes | None, bytes | None]] = []
            judged: list[Judged] = []
            plain: list[tuple[bytes | None, bytes | None]] = []
            for _ in range(BEATS_PER_RUN):
                for key, value, verdict in self._beat(minute):
                    mixed.append((key, value))
                    judged.append(verdict)
                plain += [*course.good(self.names, minute), course.tick(minute)]
                minute += 1
            self._compare(mixed, judged, plain)
        return self.tally

    def _beat(self, minute: int) -> list[tuple[bytes | None, bytes | None, Judged]]:
        choose, rows = self._random.choice, self.rows
        beat: list[tuple[bytes | None, bytes | None, Judged]] = []
        for value in self._mutator.batch(PER_BEAT):
            key = choose(KEYS)
            verdict = judge(key, value, rows)
            if verdict.kind == "mark":
                key, verdict = b"mutated", judge(b"mutated", value, rows)
            if verdict.station in self._zones:
                self.tally.left_out += 1
                continue
            beat.append((key, value, verdict))
        self.tally.records += len(beat) + 1
        beat.append((choose(KEYS), None, Judged("empty")))
        places = sorted(self._random.randrange(len(beat) + 1) for _ in self.names)
        for place, (key, value) in reversed(list(zip(places, course.good(self.names, minute), strict=True))):
            beat.insert(place, (key, value, judge(key, value, rows)))
        self.tally.good += len(self.names)
        return [*beat, (*course.tick(minute), Judged("mark"))]

    # --- through the stream

    def _compare(self, mixed: list[Any], judged: list[Judged], plain: list[Any]) -> None:
        first = self._position
        self._decoder.segments.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            closed = [each for run in self._fetched(mixed) for each in self._with.take(*run)]
            alone = list(self._without.take([key for key, _ in plain], [value for _, value in plain], self._without.position))
        self._columns(first, judged)
        self._rejects(first, mixed, judged, [each for one in closed for each in one.rejected if each.stage == "decode"])
        for one in closed:
            self._account(one)
        if len(closed) != len(alone):
            raise Found(f"{len(closed)} beats, {len(alone)} without the mutated records")
        for one, other in zip(closed, alone, strict=True):
            if (mine := self._decided(one)) != (theirs := self._decided(other)):
                differing = (
                    next((a, b) for a, b in zip(mine, theirs, strict=False) if a != b) if len(mine) == len(theirs) else (mine, theirs)
                )
                raise Found(f"the good gauges at {one.tick.tick_ms}: {differing[0]!r} is not {differing[1]!r}")
            self.tally.alerts += len([event for event in one.alerts if event.alert.zone in self._zones])

    def _fetched(self, records: list[Any]) -> list[tuple[list[bytes | None], list[bytes | None], int]]:
        """As the transport brings them: batches of all sizes, some with headers."""
        raw, at = bytearray(), 0
        while at < len(records):
            count = self._random.choice((1, 2, 50, 700, 5000))
            headers = self._random.choice(HEADERS) if self._random.random() < 0.05 else []
            builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 30)
            for number, (key, value) in enumerate(records[at : at + count]):
                builder.append(number, timestamp=seeds.START_MS + number, key=key, value=value, headers=headers)
            batch = builder.build()
            batch[:8] = struct.pack(">q", self._position + at)
            raw += batch
            at += count
        unpacked = fetcher.PartitionRecords(
            TopicPartition(TOPIC, 0), fetcher.MemoryRecords(bytes(raw)), [], self._position, transport._as_it_is, None, True, 0
        )
        runs = []
        for record in unpacked:
            keys, values = record.value
            runs.append((keys, values, record.offset - len(values) + 1))
        if [pair for keys, values, _ in runs for pair in zip(keys, values, strict=True)] != records:
            raise Found(f"the transport changed records between {self._position} and {self._position + len(records)}")
        self._position += len(records)
        return runs

    def _columns(self, first: int, judged: list[Judged]) -> None:
        expected = [each for each in judged if each.kind == "reading"]
        parts = [segment.readings for segment in self._decoder.segments]
        for name in ("row", "time_ms", "value", "received_ms", "sentinel"):
            found = np.concatenate([getattr(part, name) for part in parts])
            wanted = np.array([getattr(each, name) for each in expected], found.dtype)
            if found.shape != wanted.shape or (
                found.tobytes() != wanted.tobytes() and not np.array_equal(found, wanted, equal_nan=name == "value")
            ):
                raise Found(f"{name} of the readings from record {first} on: {len(found)} are not the {len(wanted)} of the reference")
        if sum(segment.records for segment in self._decoder.segments) != len(judged):
            raise Found(f"records are missing from {first} on")

    def _rejects(self, first: int, mixed: list[Any], judged: list[Judged], rejected: list[Rejected]) -> None:
        expected = [offset for offset, each in enumerate(judged, first) if each.kind not in ("reading", "mark")]
        if [each.offset for each in rejected] != expected:
            raise Found(f"rejected from {first} on: {set(expected) ^ {each.offset for each in rejected}} more or less")
        for each in rejected:
            key, value, kind = *mixed[each.offset - first], judged[each.offset - first].kind
            value, alike = value or b"", UNREADABLE if key is not None else (*UNREADABLE, "missing_key")
            if each.reason != kind and not (each.reason in alike and kind in alike):
                raise Found(f"{value[:300]!r} is {kind}, and was rejected as {each.reason}")
            if (base64.b64decode(each.record) if each.encoding == "base64" else each.record.encode()) != value[:MOST_BYTES]:
                raise Found(f"{value[:300]!r} is kept as {each.record[:300]!r}")
            if len(to_json(each)) > 1_000_000 or each.partition != 0 or not each.at_ms:
                raise Found(f"{value[:300]!r}: a record that cannot be written, or without its place")
            self.tally.rejected[each.reason] += 1
        self.tally.readings += len([each for each in judged if each.kind == "reading" and each.station not in self._zones])

    def _account(self, one: Closed) -> None:
        outputs, refused = one.outputs, len(one.outputs.rejected)
        idle = sum(count for (flag, cause), count in outputs.flags.items() if flag == "MISSING" or cause == "duplicate")
        if sum(outputs.flags.values()) != one.readings or outputs.applied + refused + idle != one.readings:
            raise Found(f"{one.readings} readings: {outputs.applied} applied, {refused} rejected, {idle} missing or twice; {outputs.flags}")
        if outputs.out_of_service:
            raise Found(f"out of service: {outputs.out_of_service}")
        for (_, cause), count in outputs.flags.items():
            self.tally.flags[cause] += count

    def _decided(self, one: Closed) -> list[bytes]:
        hazards = [to_json(msgspec.structs.replace(each, n=0)) for each in one.hazards if each.zone in self._zones]
        return hazards + [to_json(each) for each in one.alerts if each.alert.zone in self._zones]
