"""All records of a fetch at once are what aiokafka's parser reads one by one, or it says that it cannot."""

from __future__ import annotations

import random
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from warning.stream import transport
from warning.stream.frames import FEWEST, Batch, Frames, frames

TOPIC = "frames-of-this-test"
Row = tuple[bytes | None, bytes | None]


@pytest.fixture(autouse=True, scope="module")
def installed() -> None:
    transport.install({TOPIC})


def packed(first: int, rows: list[Row], codec: int = 0, step_ms: int = 60, headers: list[Any] | None = None) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 24)
    for number, (key, value) in enumerate(rows):
        builder.append(number, timestamp=1_753_920_000_000 + step_ms * number, key=key, value=value, headers=headers or [])
    raw = bytearray(builder.build())
    raw[0:8] = first.to_bytes(8, "big")
    return bytes(raw)


def batches(raw: bytes) -> list[Batch]:
    found: list[Batch] = []
    while (at := found[-1].end if found else 0) < len(raw):
        found.append(Batch.at(raw, at))
    return found


def rows(count: int, size: int = 0) -> list[Row]:
    return [
        (None, b'{"tick_ms":%d}' % at)
        if at % 100 == 57
        else (None if at % 50 == 7 else b"basin-%d" % (at % 30), b'{"station":"s%d",%s}' % (at, b"x" * (size or 60 + at % 90)))
        for at in range(count)
    ]


def one_by_one(raw: bytes, first: int = 0) -> list[Row]:
    records = fetcher.PartitionRecords(TopicPartition("another", 0), fetcher.MemoryRecords(raw), [], first, None, None, True, 0)
    return [(record.key, record.value) for record in records]


def at_once(raw: bytes) -> list[Row] | None:
    found = frames(raw, batches(raw))
    return None if found is None else list(zip(*found, strict=True))


@pytest.mark.parametrize("per_batch", [1, 7, 300, 2000])
@pytest.mark.parametrize("step_ms", [0, 60, 70_000])
def test_a_fetch_at_once(per_batch: int, step_ms: int) -> None:
    given_rows = rows(2000)
    raw = b"".join(packed(at, given_rows[at : at + per_batch], step_ms=step_ms) for at in range(0, 2000, per_batch))
    assert at_once(raw) == given_rows == one_by_one(raw)


def test_what_is_of_another_kind_is_left_alone() -> None:
    good = packed(0, rows(FEWEST))
    assert at_once(good) is not None
    assert at_once(packed(0, rows(FEWEST - 1))) is None
    assert at_once(good + packed(FEWEST, [(b"k", None)])) is None
    assert at_once(good + packed(FEWEST, [(b"k", b"no object, but of the right size, which is more than sixty-four bytes")])) is None
    assert at_once(good + packed(FEWEST, [(b"k" * 64, b'{"a":1}')])) is None
    assert at_once(good + packed(FEWEST, [(b"k", b'{"a":{"b":1}}')])) is None
    assert at_once(good + packed(FEWEST, rows(3, 9000))) is None
    assert at_once(packed(0, rows(FEWEST), codec=1)) is None
    assert at_once(packed(0, rows(FEWEST), headers=[("h", b"x")])) is None
    assert at_once(packed(0, rows(FEWEST), step_ms=10**12)) is None


def test_an_object_that_begins_inside_a_key_or_a_header_of_a_batch() -> None:
    given_rows: list[Row] = [(b'{"k', value) for _, value in rows(FEWEST)]
    assert at_once(packed(0, given_rows)) is None
    raw = bytearray(packed(0, rows(FEWEST)))
    raw[30:32] = b'{"'
    assert at_once(bytes(raw)) == rows(FEWEST)


def test_a_changed_byte_never_gives_other_records() -> None:
    """With the CRC out of the way: what passes is what the parser reads, however damaged the bytes are."""
    good, chance = packed(0, rows(400)), random.Random(1)
    passed = 0
    for _ in range(1500):
        raw = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            raw[chance.randrange(61, len(raw))] = chance.choice([0, 1, 2, 0x7B, 0x22, 0x80, 0xFF, chance.randrange(256)])
        found = at_once(bytes(raw))
        if found is not None:
            passed += 1
            batch = next(iter([fetcher.MemoryRecords(bytes(raw)).next_batch()]))
            assert found == [(row.key, row.value) for row in batch]
    assert passed > 500


TEXTS = st.lists(st.sampled_from([b'{"', b"{", b"\x00", b"\xff\x7f", b"\xfe\x01", b"a", b"abcdefgh" * 6]), max_size=12).map(b"".join)
RECORDS = st.lists(
    st.tuples(st.one_of(st.none(), st.binary(max_size=70), TEXTS), st.one_of(st.none(), st.binary(max_size=90), TEXTS)), max_size=20
)


@settings(deadline=None)
@given(RECORDS)
def test_any_records_among_ours(others: list[Row]) -> None:
    for given_rows in ([*rows(FEWEST), *others], [*others, *rows(FEWEST)]):
        assert at_once(packed(0, given_rows)) in (None, given_rows)


def test_as_many_objects_as_records_but_not_one_in_each() -> None:
    """Then sizes are read from anywhere, and can point anywhere."""
    for junk in range(256):
        two = b"k" + bytes([junk, 0x7F]) + b'{"a":1,"b":' + bytes([junk | 0x80, 0x7E]) + b'{"' + b"x" * 60
        for around in ([(b"k", two), (b"k", b"x" * 70)], [(b"k", b"x" * 70), (b"k", two)]):
            given_rows = [*around, *rows(FEWEST), *around]
            assert at_once(packed(0, given_rows)) in (None, given_rows)


def test_a_slice_and_what_is_absent() -> None:
    found = Frames.of([b"a", b"", b"ccc"])
    assert list(found) == [b"a", b"", b"ccc"] and list(found[1:]) == [b"", b"ccc"] and found[-1] == b"ccc" and len(found[3:]) == 0
    some = frames(packed(0, rows(FEWEST)), batches(packed(0, rows(FEWEST))))
    assert some is not None and some[0][7] is None and some[0][5:60].absent() == [2, 52]
    with pytest.raises(TypeError):
        Frames.of([b"a", None])  # type: ignore[list-item]
