"""Record batches read without trust: what aiokafka reads, the same; what makes it give up, record by record."""

from __future__ import annotations

import struct

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from warning.batches import batches
from warning.stream.kafka import filled

Row = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
COLUMNS = st.tuples(
    st.none() | st.binary(max_size=20),
    st.none() | st.binary(max_size=200),
    st.lists(st.tuples(st.text(max_size=5), st.binary()), max_size=3),
)


def built(rows: list[Row], codec: int = 0, first: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 20)
    for number, (key, value, headers) in enumerate(rows):
        builder.append(number, timestamp=1_700_000_000_000 + number, key=key, value=value, headers=headers)
    raw = bytearray(builder.build())
    raw[:8] = struct.pack(">q", first)
    return bytes(raw)


def sealed(raw: bytearray) -> bytes:
    """With the checksum that these bytes have."""
    raw[17:21] = struct.pack(">I", crc32c(bytes(raw[21:])))
    return bytes(raw)


@given(rows=st.lists(COLUMNS, min_size=1, max_size=6), codec=st.sampled_from([0, 1, 2, 3, 4]), first=st.integers(0, 2**40))
def test_it_reads_what_aiokafka_reads(rows: list[Row], codec: int, first: int) -> None:
    raw = built(rows, codec, first)
    [batch] = batches(raw)
    theirs = [
        (row.offset, row.key, row.value, tuple((name.encode(), content) for name, content in row.headers))
        for row in MemoryRecords(raw).next_batch()
    ]
    assert [tuple(entry) for entry in batch.entries] == theirs
    assert (batch.first, batch.next, batch.why, batch.control, batch.producer) == (first, first + len(rows), "", False, None)


def test_a_header_that_is_no_utf8_costs_nothing() -> None:
    raw = bytearray(built([(b"k", b"v%d" % number, [("AAAA", b"x")]) for number in range(5)]))
    at = [place for place in range(len(raw)) if raw[place : place + 4] == b"AAAA"][2]
    raw[at : at + 4] = b"\xff\xfe\xff\xfe"
    broken = sealed(raw)
    with pytest.raises(UnicodeDecodeError):  # the reason why this module exists; when aiokafka learns it, it can go
        list(MemoryRecords(broken).next_batch())
    [batch] = batches(broken)
    assert [entry.value for entry in batch.entries] == [b"v0", b"v1", b"v2", b"v3", b"v4"]
    assert batch.entries[2].headers == ((b"\xff\xfe\xff\xfe", b"x"),)


def test_what_cannot_be_read_says_why_and_where_the_next_one_begins() -> None:
    good = built([(None, b"good", [])], first=30)
    flipped = bytearray(built([(None, b"a", []), (None, b"b", [])], first=10))
    flipped[-1] ^= 1
    unknown = bytearray(built([(None, b"a", []), (None, b"b", [])], first=12))
    unknown[22] |= 7
    no_gzip = bytearray(built([(None, b"a", [])], first=14))
    no_gzip[22] |= 1
    old = bytearray(built([(None, b"a", [])], first=15))
    old[16] = 1
    found = list(batches(bytes(flipped) + sealed(unknown) + sealed(no_gzip) + bytes(old) + good + good[:40]))
    assert [(batch.first, batch.next) for batch in found] == [(10, 12), (12, 14), (14, 15), (15, 16), (30, 31)]
    for batch, word in zip(found, ["checksum", "compression 7", "cannot be read", "format 1", ""], strict=True):
        assert word in batch.why and bool(batch.why) == bool(word)
    assert found[-1].entries[0].value == b"good" and found[0].raw == bytes(flipped)


def test_marks_of_transactions_are_known() -> None:
    builder = DefaultRecordBatchBuilder(2, 0, True, 77, 0, 0, 1 << 20)
    builder.append(0, timestamp=1, key=b"k", value=b"v", headers=[])
    raw = bytearray(builder.build())
    assert next(batches(bytes(raw))).producer == 77
    raw[22] |= 0x20
    assert next(batches(sealed(raw))).control
    assert DefaultRecordBatch(bytes(raw)).is_control_batch


@pytest.mark.parametrize("size", [500, 1 << 20])
def test_a_batch_filled_at_once_is_the_same_bytes(size: int) -> None:
    records = [(b"k%d" % number, b"v" * (number % 50)) for number in range(300)]
    ours, theirs, at = BatchBuilder(size, 0), BatchBuilder(size, 0), 0
    while at < len(records) and theirs.append(timestamp=5, key=records[at][0], value=records[at][1]) is not None:
        at += 1
    assert filled(ours, records, 0, 5) == at == ours.record_count() and (at == 300) == (size > 500)
    assert bytes(ours._build()) == bytes(theirs._build())
    if at < len(records):
        rest = BatchBuilder(size, 0)
        assert at < filled(rest, records, at, 5) <= len(records)
        assert next(batches(bytes(rest._build()))).entries[0][1:3] == records[at]


@given(st.binary(max_size=300), st.data())
def test_it_never_raises_and_always_goes_on(noise: bytes, data: st.DataObject) -> None:
    raw = bytearray(built([(b"k", b"value", [("h", b"x")])] * 3))
    for _ in range(data.draw(st.integers(0, 6))):
        raw[data.draw(st.integers(8 + 4, len(raw) - 1))] = data.draw(st.integers(0, 255))
    for made in (noise, sealed(raw), bytes(raw)):
        for batch in batches(made):
            assert batch.next > batch.first and (not batch.why or not batch.entries)
