"""Where the records stand inside fetched bytes: all keys and values of a fetch in a few array operations, without an object for each.

Kafka's record batches chain their records by lengths of variable size, so the next record is known only when the one before was read.
Here it is guessed where the values begin (our values are JSON objects, so at ``{"``), all records are worked out from the guess at
once, and then the chain is proved: the first begins where the batch's header ends, each begins where the one before ended, the
last ends with the batch, and their number is the header's. What passes is what reading one by one gives; whatever does not (another
shape, headers, compression, a null value) is left to aiokafka's parser. 275 ns a record there, about 65 here.

Format: https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

FEWEST = 256  # records; below, reading them one by one costs less
PAD = 96  # bytes before and after a joined buffer, so that words can be loaded around each record
PIECE = 16384  # records at a time
HEADER = 61  # bytes of a batch before its first record
_TOP_BITS = np.uint64(0x8080808080808080)
_ONE, _EIGHT = np.uint64(1), np.uint64(8)

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]


class Frames(Sequence["bytes | None"]):
    """Byte strings inside one buffer; nothing is copied until one is asked for. ``size`` -1: None."""

    __slots__ = ("buffer", "size", "start")

    def __init__(self, buffer: bytes, start: Ints, size: Ints) -> None:
        self.buffer, self.start, self.size = buffer, start, size

    @staticmethod
    def of(values: Sequence[bytes]) -> Frames:
        """The values one after the other in a buffer of their own. Raises ``TypeError`` if one is None."""
        size = np.fromiter(map(len, values), np.int64, len(values))
        pad = bytes(PAD)
        buffer = b"".join((pad, *values, pad))
        start = np.cumsum(size)
        start += PAD
        start -= size
        return Frames(buffer, start, size)

    def __len__(self) -> int:
        return len(self.start)

    @overload
    def __getitem__(self, at: SupportsIndex) -> bytes | None: ...
    @overload
    def __getitem__(self, at: slice) -> Frames: ...
    def __getitem__(self, at: SupportsIndex | slice) -> bytes | Frames | None:
        if isinstance(at, slice):
            return Frames(self.buffer, self.start[at], self.size[at])
        start, size = int(self.start[at]), int(self.size[at])
        return None if size < 0 else self.buffer[start : start + size]

    def part(self, places: Ints) -> Frames:
        return Frames(self.buffer, self.start[places], self.size[places])

    def all(self) -> list[bytes | None]:
        """Each by itself, several times faster than one after the other."""
        buffer = self.buffer
        found: list[bytes | None] = [buffer[at:end] for at, end in zip(self.start.tolist(), (self.start + self.size).tolist(), strict=True)]
        for place in self.absent():
            found[place] = None
        return found

    def absent(self) -> list[int]:
        """Where the Nones are."""
        return [int(at) for at in np.flatnonzero(self.size < 0)]


class Batch(NamedTuple):
    """A whole batch of format 2 inside fetched bytes."""

    begin: int
    end: int
    base: int  # offset of its first record
    records: int
    last: int  # offset of its last record less ``base``
    plain: bool  # neither compressed, nor a control batch, nor of a transaction

    @staticmethod
    def at(raw: bytes, begin: int) -> Batch:
        """``raw`` holds the whole batch."""
        end = begin + 12 + int.from_bytes(raw[begin + 8 : begin + 12], "big")
        attributes = int.from_bytes(raw[begin + 21 : begin + 23], "big")
        last, records = int.from_bytes(raw[begin + 23 : begin + 27], "big"), int.from_bytes(raw[begin + 57 : begin + 61], "big")
        return Batch(begin, end, int.from_bytes(raw[begin : begin + 8], "big"), records, last, attributes & 0x37 == 0)

    def stamp(self, raw: bytes) -> tuple[int, int]:
        """(time of its newest record, 0: its producer's or 1: the broker's)"""
        return int.from_bytes(raw[self.begin + 35 : self.begin + 43], "big", signed=True), raw[self.begin + 22] >> 3 & 1


def words_at(buffer: Bytes, at: Ints, count: int) -> Words:
    """(n, count): so many little-endian words of 8 bytes from each position on. All must lie inside the buffer."""
    width = 8 * count
    windows = np.ndarray((len(buffer) - width + 1,), f"V{width}", buffer, strides=(1,))
    loaded: Words = windows[at].view("<u8").reshape(len(at), count)
    return loaded


def lowest_byte(marks: Words) -> Ints:
    """Number of the lowest byte (0 ... 7) that has a bit set; 8 where there is none."""
    place: Ints = (np.bitwise_count((marks - _ONE) & ~marks) >> 3).astype(np.int64)
    return place


def frames(raw: bytes, batches: Sequence[Batch]) -> tuple[Frames, Frames] | None:
    """(keys, values) of all records of these batches, in order; None if they have to be read one by one."""
    if not batches or sum(batch.records for batch in batches) < FEWEST or not all(batch.plain and batch.records for batch in batches):
        return None
    buffer = np.frombuffer(raw, np.uint8)
    parts = []
    for group in _groups(batches):
        part = _framed(buffer, group)
        if part is None:
            return None
        parts.append(part)
    key, key_size, value, value_size = parts[0] if len(parts) == 1 else (np.concatenate(each) for each in zip(*parts, strict=True))
    return Frames(raw, key, key_size), Frames(raw, value, value_size)


def _groups(batches: Sequence[Batch]) -> list[list[Batch]]:
    """As many at a time as fit into a core's cache."""
    groups: list[list[Batch]] = [[]]
    have = 0
    for batch in batches:
        if have >= PIECE:
            groups.append([])
            have = 0
        groups[-1].append(batch)
        have += batch.records
    return groups


def _framed(buffer: Bytes, batches: Sequence[Batch]) -> tuple[Ints, Ints, Ints, Ints] | None:
    """(start, size) of the keys, then of the values."""
    found = _values(buffer, batches)
    if found is None:
        return None
    start, size, two = found
    end = start + size
    after = np.cumsum([batch.records for batch in batches])
    begin = np.empty_like(start)
    begin[1:] = end[:-1] + 1  # behind the count of headers, which is 0
    begin[np.concatenate(([0], after[:-1]))] = [batch.begin + HEADER for batch in batches]
    if begin.max() + 16 > len(buffer) or not np.array_equal(end[after - 1] + 1, [batch.end for batch in batches]):
        return None
    keys = _keys(buffer, begin, end, start - 1 - two)
    return None if keys is None or buffer[end].any() else (*keys, start, size)


def _values(buffer: Bytes, batches: Sequence[Batch]) -> tuple[Ints, Ints, NDArray[np.bool_]] | None:
    """(start, size, size takes two bytes) of what looks like values, as many in each batch as it has records."""
    at = _objects(buffer[batches[0].begin : batches[-1].end]) + batches[0].begin
    edges = np.searchsorted(at, [(batch.begin + HEADER, batch.end) for batch in batches])
    if (edges[:, 1] - edges[:, 0] != [batch.records for batch in batches]).any():
        return None
    if len(at) != sum(batch.records for batch in batches):  # some header has these two bytes, too
        at = np.concatenate([at[low:high] for low, high in edges])
    pair = np.ndarray((len(buffer) - 1,), "<u2", buffer, strides=(1,))[at - 2]  # what stands before a value
    two = (pair & 0x80) != 0
    zigzag = ((pair & 0x7F) | (pair >> 1 & 0x3F80)).astype(np.int64)
    if not two.all():
        zigzag = np.where(two, zigzag, pair >> 8)
    if (pair >= 1 << 15).any() or (zigzag & 1).any():
        return None
    size = zigzag >> 1
    return (at, size, two) if (at + size).max() < len(buffer) else None


def _objects(buffer: Bytes) -> Ints:
    """Where ``{"`` stands. By words: only one byte in a hundred and more is one. By pieces, for the cache."""
    found = []
    step = 1 << 18
    for base in range(0, len(buffer), step):
        marks = buffer[base : base + step] == ord("{")
        short = -len(marks) % 8
        words = (np.concatenate((marks, np.zeros(short, np.bool_))) if short else marks).view(np.uint64)
        at = np.flatnonzero(words != 0)
        words = words.take(at)
        at <<= 3
        at += base
        places = at + lowest_byte(words)
        while (rest := words & (words - _ONE)).any():  # more than one in eight bytes
            at, words = at[rest != 0], rest[rest != 0]
            places = np.concatenate((places, at + lowest_byte(words)))
            places.sort()
        found.append(places)
    braces = np.concatenate(found)
    if len(braces) and braces[-1] + 1 == len(buffer):
        braces = braces[:-1]
    quoted = buffer.take(braces + 1) == ord('"')
    return braces if quoted.all() else braces[quoted]


def _keys(buffer: Bytes, begin: Ints, end: Ints, size_at: Ints) -> tuple[Ints, Ints] | None:
    """(start, size) of the keys, if each record that begins and ends there holds what it should up to the size of its value.

    A record: length (1 or 2 bytes here), attributes (0), then, each of variable size, time and offset relative to the batch, size of the
    key.
    """
    words = words_at(buffer, begin, 2)
    first, second = words[:, 0], words[:, 1]
    long = (first & np.uint64(0x80)) != 0
    length, head, wrong = _length(first, None if long.all() else long)
    skip = np.uint64(8) * np.asarray(head, np.uint64)
    rest = (first >> skip) | (second << (np.uint64(64) - skip))
    stops = ~rest & _TOP_BITS  # the last byte of each number
    offset = stops & (stops - _ONE)
    key = offset & (offset - _ONE)
    place = lowest_byte(key)
    good = wrong == 0
    good &= begin + (head - 1) + (length >> np.uint64(1)).astype(np.int64) == end + 1
    good &= (place == lowest_byte(offset) + 1) & (place < 8)  # one byte, and it is there
    zigzag = ((rest >> (place.astype(np.uint64) * _EIGHT)) & np.uint64(0x7F)).astype(np.int64)
    start = begin + place
    start += head + 1
    size = zigzag >> 1
    good &= start + size == size_at
    if (zigzag & 1).any():
        good &= (zigzag & 1 == 0) | (zigzag == 1)
        size[zigzag == 1] = -1
    return (start, size) if good.all() else None


def _length(first: Words, long: NDArray[np.bool_] | None) -> tuple[Words, Any, Words]:
    """(length, zigzag; bytes of length and attributes; 0 where the length is complete, not negative, and there are no attributes).

    ``long``: whose length takes two bytes, else one; None: all.
    """
    two = (first & np.uint64(0x7F)) | ((first >> _ONE) & np.uint64(0x3F80))
    if long is None:
        return two, 3, first & np.uint64(0xFF8001)
    wrong = first & np.where(long, np.uint64(0xFF8001), np.uint64(0xFF01))
    return np.where(long, two, first & np.uint64(0x7F)), np.where(long, 3, 2), wrong
