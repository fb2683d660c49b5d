"""Runs out of fetched bytes, and which of them reach the agent: gapless, from where the state stands, each once."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import ConsumerRecord, TopicPartition
from crc32c import crc32c
from faust.types import TP

from warning.stream import transport
from warning.stream.frames import Frames
from warning.stream.transport import MAX_OPEN, Consumer

TOPIC = "runs-of-this-test"
AT = TopicPartition(TOPIC, 0)


@pytest.fixture(autouse=True)
def installed() -> None:
    transport.install({TOPIC})


def batch(first: int, rows: list[tuple[bytes | None, bytes | None]], last_delta: int | None = None) -> bytes:
    """One record batch as a broker keeps it. ``last_delta``: as after compaction, where the batch still ends where it ended."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for offset, (key, value) in enumerate(rows):
        builder.append(offset, timestamp=1000 + offset, key=key, value=value, headers=[])
    raw = bytearray(builder.build())
    raw[0:8] = first.to_bytes(8, "big")
    if last_delta is not None:
        raw[23:27] = last_delta.to_bytes(4, "big")
        raw[17:21] = crc32c(bytes(raw[21:])).to_bytes(4, "big")
    return bytes(raw)


def rows(first: int, count: int) -> list[tuple[bytes | None, bytes | None]]:
    return [(None if number % 3 == 0 else b"k%d" % number, b"v%d" % number) for number in range(first, first + count)]


def unpack(raw: bytes, first: int, mark: Any = transport._as_it_is, topic: str = TOPIC) -> list[ConsumerRecord]:
    records = fetcher.PartitionRecords(TopicPartition(topic, 0), fetcher.MemoryRecords(raw), [], first, mark, None, True, 0)
    return list(records)


def test_a_fetch_is_one_record() -> None:
    raw = batch(10, rows(10, 4)) + batch(14, rows(14, 3))
    [run] = unpack(raw, 10)
    assert run.offset == 16 and list(zip(*run.value, strict=True)) == rows(10, 7)


def test_a_fetch_that_begins_inside_a_batch() -> None:
    [run] = unpack(batch(10, rows(10, 4)) + batch(14, rows(14, 3)), 12)
    assert run.offset == 16 and list(zip(*run.value, strict=True)) == rows(12, 5)


def test_a_large_fetch_is_read_at_once_and_is_the_same() -> None:
    many: list[tuple[bytes | None, bytes | None]] = [
        (None if at % 9 == 0 else b"k", b'{"tick_ms":%d,%s}' % (at, b" " * 50)) for at in range(900)
    ]
    raw = batch(10, many[:500]) + batch(510, many[500:]) + batch(910, many)[:-5]
    for first in (10, 11, 509, 510, 511, 900):
        [run] = unpack(raw, first)
        assert isinstance(run.value[0], Frames)
        assert run.offset == 909 and list(zip(*run.value, strict=True)) == many[first - 10 :]
        assert (run.timestamp, run.timestamp_type) == (1000 + 399, 0)
    with pytest.raises(CorruptRecordException, match="holes"):
        unpack(batch(10, many, last_delta=1000), 10)
    assert unpack(raw, 910) == []


def test_a_batch_that_is_cut_short_is_left_for_the_next_fetch() -> None:
    [run] = unpack(batch(10, rows(10, 4)) + batch(14, rows(14, 3))[:-5], 10)
    assert run.offset == 13


@pytest.mark.parametrize("at", [30, 70, -1])
def test_a_wrong_crc_is_found(at: int) -> None:
    raw = bytearray(batch(10, rows(10, 4)) + batch(14, rows(14, 30)))
    raw[at] ^= 1
    with pytest.raises(CorruptRecordException):
        unpack(bytes(raw), 10)


def test_a_flipped_bit_anywhere_in_a_batch_is_found() -> None:
    good = batch(10, rows(10, 4))
    chance = random.Random(1)
    for _ in range(200):
        raw = bytearray(good)
        raw[chance.randrange(17, len(raw))] ^= 1 << chance.randrange(8)
        with pytest.raises(CorruptRecordException):
            unpack(bytes(raw), 10)


def test_a_compacted_topic_is_refused() -> None:
    with pytest.raises(CorruptRecordException, match="holes"):
        unpack(batch(10, rows(10, 4), last_delta=6) + batch(17, rows(17, 2)), 10)


def test_other_consumers_and_topics_see_plain_records() -> None:
    raw = batch(10, rows(10, 4))
    assert [record.offset for record in unpack(raw, 10, mark=None)] == [10, 11, 12, 13]
    assert [(record.key, record.value) for record in unpack(raw, 10, topic="another")] == rows(10, 4)


# --- the gate


class Gate(Consumer):
    """The gate alone: what it hands on, and where it sends the fetcher back to."""

    def __init__(self) -> None:
        self.expect, self.open, self.dropped, self.spent = {}, Counter(), Counter(), {}
        self.flow_active = True
        self._read_offset: dict[Any, Any] = {}
        self.sought: list[int] = []

    async def go_to(self, tp: Any) -> None:
        self.sought.append(self.expect[tp])


HERE = TP(TOPIC, 0)


def run(first: int, count: int) -> ConsumerRecord:
    keys, values = map(list, zip(*rows(first, count), strict=True))
    return ConsumerRecord(TOPIC, 0, first + count - 1, 0, 0, None, (keys, values), None, -1, 0, ())


async def passed(gate: Gate, *records: ConsumerRecord) -> list[tuple[int, int]]:
    """(first offset, count) of what was handed on."""
    found = []
    for record in await gate._pass(HERE, list(records)):
        keys, values = record.value
        first = record.offset - len(keys) + 1
        assert list(zip(keys, values, strict=True)) == rows(first, len(keys))
        found.append((first, len(keys)))
    return found


async def test_nothing_passes_without_a_state() -> None:
    gate = Gate()
    assert await passed(gate, run(0, 5)) == [] and gate.dropped == {"early": 1}


async def test_runs_pass_gapless_and_once() -> None:
    gate = Gate()
    gate.begin(HERE, 3)
    assert await passed(gate, run(0, 5), run(5, 2)) == [(3, 2), (5, 2)]
    assert await passed(gate, run(0, 7)) == []  # delivered twice, around a rebalance
    assert await passed(gate, run(6, 3)) == [(7, 2)]
    assert await passed(gate, run(12, 3), run(15, 1)) == [] and gate.sought == [9]
    assert await passed(gate, run(9, 2)) == [(9, 2)]
    gate.end(HERE)
    assert await passed(gate, run(11, 2)) == []


async def test_nothing_passes_while_the_group_shares_out_anew() -> None:
    gate = Gate()
    gate.begin(HERE, 0)
    gate.flow_active = False
    assert await passed(gate, run(0, 5)) == [] and gate.expect[HERE] == 0


async def test_two_open_runs_a_partition_and_no_partition_waits_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, other = Gate(), TP(TOPIC, 1)
    asked: list[set[Any]] = []

    async def getmany(self: Any, active: set[Any], timeout: float) -> dict[Any, list[Any]]:
        asked.append(active)
        return {}

    monkeypatch.setattr(transport.base.Consumer, "_getmany", getmany)
    gate.begin(HERE, 0)
    gate.begin(other, 0)
    for number in range(MAX_OPEN):
        await passed(gate, run(number, 1))
    await gate._getmany({HERE, other}, 1.0)
    gate.finished(HERE)
    await gate._getmany({HERE, other}, 1.0)
    gate.end(HERE)
    gate.end(other)
    assert await gate._getmany({HERE, other}, 1.0) == {}  # an empty set would have meant all
    assert asked == [{other}, {HERE, other}]


@pytest.mark.parametrize("asleep", [0, 100])
async def test_a_partition_whose_records_are_dear_gets_no_more_time_than_another(monkeypatch: pytest.MonkeyPatch, asleep: int) -> None:
    """Both have always records waiting, but for turns in which one has none: then the other is not held, and nothing is made up for."""
    gate, other = Gate(), TP(TOPIC, 1)
    cost, next_of, turn = {HERE: 0.1, other: 0.02}, {HERE: 0, other: 0}, 0
    gate.begin(HERE, 0)
    gate.begin(other, 0)
    worked = {HERE: 0.0, other: 0.0}

    async def getmany(self: Any, active: set[Any], timeout: float) -> dict[Any, list[Any]]:
        return {tp: [run(next_of[tp], 5)] for tp in active if tp == HERE or turn >= asleep}

    monkeypatch.setattr(transport.base.Consumer, "_getmany", getmany)
    for turn in range(asleep + 200):
        fetched = await gate._getmany({HERE, other}, 1.0)
        assert fetched
        for tp in fetched:
            next_of[tp] += 5
            worked[tp] += cost[tp] if turn >= asleep else 0.0
            gate.finished(tp, cost[tp])
    assert next_of[HERE] >= 5 * asleep
    assert abs(worked[HERE] - worked[other]) <= 0.2 + transport.AHEAD_S


def test_faust_commits_nothing_of_ours() -> None:
    gate = Gate()
    gate._acked, gate._acked_index = {HERE: [1, 2]}, {HERE: {1, 2}}
    new_offset: Callable[[Any], int | None] = gate._new_offset
    assert new_offset(HERE) is None and gate._acked == {HERE: []} and gate._acked_index == {HERE: set()}


def test_a_header_that_is_no_utf8_stops_nothing() -> None:
    """aiokafka's reader raises for the whole batch; nobody could ever read past that record again."""
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
    for number, (key, value) in enumerate(rows(10, 4)):
        builder.append(number, timestamp=1, key=key, value=value, headers=[("AAAA", b"x")])
    raw = bytearray(builder.build())
    raw[:8] = struct.pack(">q", 10)
    raw[raw.index(b"AAAA")] = 0xFF
    raw[17:21] = struct.pack(">I", crc32c(bytes(raw[21:])))
    [run] = unpack(bytes(raw) + batch(14, rows(14, 3)), 11)
    assert run.offset == 16 and list(zip(*run.value, strict=True)) == rows(11, 6)
