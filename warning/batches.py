"""Kafka's record batches (format 2, KIP-98): filled, and read without trust.

aiokafka's own reader is faster and gives up the rest of a batch for one record that it cannot read: a header whose name is no UTF-8
is enough, and no broker looks at that. Where it gave up, this one reads on: names of headers stay bytes, and a batch that cannot be
read at all says why and where the next one begins.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.producer.message_accumulator import BatchBuilder
from crc32c import crc32c

_HEADER = struct.Struct(">qiibIhiqqqhii")  # offset, length, epoch, magic, crc, attributes, last delta, times, producer, sequence, count
_PLACE = struct.Struct(">qi")
_CRC_FROM = 21
_CODEC, _TRANSACTIONAL, _CONTROL = 0x07, 0x10, 0x20
_MOST_VARINT_BITS = 63

_DECODERS: dict[int, Callable[[bytes], bytes]] = {1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}


class Entry(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[bytes, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch as it stands in the log. ``why``: why ``entries`` could not be read, else ""; ``next``: where the next batch begins."""

    first: int
    next: int
    entries: tuple[Entry, ...]
    control: bool
    producer: int | None  # of a transaction
    why: str
    raw: bytes


def batches(raw: bytes) -> Iterator[Batch]:
    """The whole batches of what a fetch brought (its last one can be cut short). Never raises for what they hold."""
    at = 0
    while at + _HEADER.size <= len(raw):
        length = _PLACE.unpack_from(raw, at)[1]
        end = at + _PLACE.size + length
        if length < _HEADER.size - _PLACE.size or end > len(raw):
            return
        yield _batch(raw[at:end])
        at = end


def _batch(raw: bytes) -> Batch:
    first, _, _, magic, crc, attributes, last, _, _, producer, _, _, count = _HEADER.unpack_from(raw)
    following = first + max(0, last) + 1 if magic == 2 else first + 1
    entries: tuple[Entry, ...] = ()
    why = ""
    if magic != 2:
        why = f"a batch of format {magic}, not 2"
    elif crc32c(raw[_CRC_FROM:]) != crc:
        why = "the checksum of the batch is wrong"
    else:
        try:
            entries = tuple(_entries(raw, attributes, first, count))
        except Exception as error:  # whatever a decompressor raises for bytes that are not its own; said in ``why``
            why = f"the batch cannot be read: {type(error).__name__} {error}".strip()
    return Batch(first, following, entries, bool(attributes & _CONTROL), producer if attributes & _TRANSACTIONAL else None, why, raw)


def _entries(raw: bytes, attributes: int, first: int, count: int) -> Iterator[Entry]:
    codec = attributes & _CODEC
    body = raw[_HEADER.size :]
    if codec and codec not in _DECODERS:
        raise ValueError(f"compression {codec} is none that Kafka knows")
    if codec:
        body = bytes(_DECODERS[codec](body))
    at = 0
    for _ in range(count):
        length, at = _varint(body, at)
        end = at + length
        if length <= 0 or end > len(body):
            raise ValueError(f"a record of {length} bytes where {len(body) - at} are left")
        yield _entry(body, at, end, first)
        at = end


def _entry(body: bytes, at: int, end: int, first: int) -> Entry:
    _, at = _varint(body, at + 1)  # after the attributes: the time
    delta, at = _varint(body, at)
    key, at = _text(body, at, end)
    value, at = _text(body, at, end)
    count, at = _varint(body, at)
    headers = []
    for _ in range(count):
        name, at = _text(body, at, end)
        content, at = _text(body, at, end)
        headers.append((name or b"", content))
    return Entry(first + delta, key, value, tuple(headers))


def _text(body: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    length, at = _varint(body, at)
    if length < 0:
        return None, at
    if at + length > end:
        raise ValueError(f"a field of {length} bytes where {end - at} are left")
    return body[at : at + length], at + length


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Zigzag, as Protocol Buffers write it. Raises IndexError at the end of ``body``."""
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
        if shift > _MOST_VARINT_BITS:
            raise ValueError("a number of more than 64 bits")


def filled(batch: BatchBuilder, records: Sequence[tuple[bytes | None, bytes]], first: int, now_ms: int) -> int:
    """Adds (key, value) from ``first`` on as far as the batch goes; the place of the next one.

    By way of what the batch itself appends to (aiokafka 0.14.0 is pinned): half the cost of a record.
    """
    append, at, none = batch._builder.append, first, list[object]()  # headers
    for key, value in itertools.islice(records, first, None):
        if append(at - first, now_ms, key, value, none) is None:
            break
        at += 1
    batch._relative_offset = at - first
    return at
