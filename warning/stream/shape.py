"""Readings of exactly the shape that our gateway writes, many at once; all others are left to msgspec, one by one.

``{"station":"S","parameter":"P","time_ms":13 digits,"value":number,"received_ms":13 digits,"provider":"T"}``, nothing else.

A value is taken only if every byte of it was compared: up to ``"time_ms":`` with what this station and parameter have there, the end
from the provider on with one that msgspec has read before, the rest with the shape. A number of at most 15 digits is an integer
below 2**53 divided by a power of ten below 10**23: both are exact, so the quotient is the nearest double, as msgspec's is (Clinger,
"How to read floating point numbers accurately", 1990). Eight digits at a time: Lemire, "Number parsing at a gigabyte a second", 2021.
A test holds all of it against msgspec.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from warning.stream.frames import PAD, Frames, Ints, Words, lowest_byte, words_at

FEWEST = 256  # records; below, msgspec costs less
PIECE = 8192  # records at a time: what fits into a core's cache
MOST_PREFIX = 12  # words of 8 bytes up to the time; a station with a longer name is left to msgspec
MOST_PROVIDERS = 16  # remembered
_SHORTEST = 43  # bytes of the prefix of a station without a name whose parameter is ``rain``
_TIME, _RECEIVED, _PROVIDER = b',"value":', b',"received_ms":', b',"provider":"'
_FROM_MS, _TO_MS = 1_000_000_000_000, 4_102_444_800_000  # 13 digits; codec.LAST_MS
_MIXERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)


class Columns(NamedTuple):
    """``good``: bool, of each value; the others are for the good ones only, in order."""

    good: NDArray[np.bool_]
    row: NDArray[np.int32]
    time_ms: Ints
    value: NDArray[np.float64]
    received_ms: Ints


def _word(text: bytes) -> np.uint64:
    """Bytes as they stand in a loaded word, the first one lowest."""
    return np.uint64(int.from_bytes(text, "little"))


def _bits(count: int) -> np.uint64:
    return np.uint64((1 << count) - 1)


def _first_bytes(words: int) -> Words:
    """(8 * words + 1, words): row n has the bits of the first n bytes."""
    rows = [[_bits(8 * min(max(n - 8 * word, 0), 8)) for word in range(words)] for n in range(8 * words + 1)]
    return np.array(rows, np.uint64)


def _last_bytes() -> Words:
    """(17, 2): row n has the bits of the last n bytes of 16."""
    return ~_first_bytes(2)[::-1]


_LAST_HIGH, _LAST_LOW = np.ascontiguousarray(_last_bytes().T)
_PROVIDERS = _first_bytes(4)
_TENS = 10.0 ** np.arange(23)
_TEN = np.array([10**power for power in range(17)], np.int64)
_BYTE = np.uint64(8)
_HIGH, _ZEROS, _ONES = np.uint64(0x8080808080808080), _word(b"0" * 8), np.uint64(0x0101010101010101)


def _marks(words: Words, byte: bytes) -> Words:
    """The lowest bit that is set is in the first byte that equals ``byte``; none is set where there is none."""
    other = words ^ _word(byte * 8)
    return (other - _ONES) & ~other & _HIGH


def _eight_digits(words: Words) -> tuple[Ints, NDArray[np.bool_]]:
    """(the numbers that eight digits each say, whether they are digits)"""
    digits = words ^ _ZEROS
    good: NDArray[np.bool_] = ((digits + np.uint64(0x7676767676767676)) | digits) & _HIGH == 0
    digits = digits * np.uint64(10) + (digits >> np.uint64(8))
    mask = np.uint64(0x000000FF000000FF)
    high = (digits & mask) * np.uint64(100 + (1_000_000 << 32))
    low = ((digits >> np.uint64(16)) & mask) * np.uint64(1 + (10_000 << 32))
    return ((high + low) >> np.uint64(32)).astype(np.int64), good


class _Number(NamedTuple):
    value: NDArray[np.float64]
    size: Ints  # bytes
    good: NDArray[np.bool_]


def _number(buffer: NDArray[np.uint8], at: Ints, first: Words, second: Words) -> _Number:
    """Decimal numbers that begin ``at`` and end before a comma; ``first``, ``second``: their 16 bytes from there on."""
    size, dot = lowest_byte(_marks(first, b",")), lowest_byte(_marks(first, b"."))
    short = bool((size < 8).all())
    if not short:
        size = np.where(size == 8, 8 + lowest_byte(_marks(second, b",")), size)
        dot = np.where(dot == 8, 8 + lowest_byte(_marks(second, b".")), dot)
    whole = dot >= size  # no dot in it
    negative = (first & _bits(8)) == ord("-")
    decimals = np.where(whole, 0, size - 1 - dot)
    digits = size - negative - ~whole
    good = (size < 16) & (digits >= 1) & (digits <= 15) & (digits > decimals) & (whole | (decimals > 0))
    digits = np.clip(digits, 0, 16)
    before = np.where(whole, 16, decimals)  # bytes at the end that stay in their places
    if short:
        number, fits = _eight_digits(_aligned(first << (np.uint64(64) - (size << 3).astype(np.uint64)), None, before, digits, _LAST_LOW))
    else:
        words = words_at(buffer, at + size - 24, 3)
        high, fits = _eight_digits(_aligned(words[:, 1], words[:, 0], before, digits, _LAST_HIGH))
        number, also = _eight_digits(_aligned(words[:, 2], words[:, 1], before, digits, _LAST_LOW))
        number += high * 100_000_000
        fits &= also
    good &= fits
    good &= (number >= _TEN.take(np.maximum(digits - 1, 0))) | (digits - decimals == 1)  # no zero in front
    good &= ~(negative & whole & (number == 0))  # an integer -0 is msgspec's to judge
    value = number / _TENS.take(decimals)
    np.negative(value, out=value, where=negative)
    return _Number(value, size, good)


def _aligned(words: Words, previous: Words | None, before: Ints, digits: Ints, last: Words) -> Words:
    """Eight bytes of numbers that end with a word: what stands before the dot moves one byte towards the end, over the dot, zeros in front.

    ``previous``: the eight bytes before them; ``last``: n -> the bits that belong to the last n bytes of the number.
    """
    moved = words << _BYTE
    if previous is not None:
        moved |= previous >> np.uint64(56)
    return _chosen(_chosen(words, moved, last.take(before)), _ZEROS, last.take(digits))


def _chosen(those: Words, others: Words | np.uint64, mask: Words) -> Words:
    return others ^ ((others ^ those) & mask)


class Shape:
    """``row``: (station, parameter) -> row. About 170 bytes a series.

    A series is found by a hash of its prefix in one of two tables; where two fall together in both, msgspec reads one of them.
    """

    def __init__(self, row: dict[tuple[str, str], int]) -> None:
        texts = {
            f'{{"station":"{station}","parameter":"{parameter}","time_ms":'.encode(): at
            for (station, parameter), at in row.items()
            if _plain(station)
        }
        longest = max((len(text) for text in texts if len(text) <= 8 * MOST_PREFIX), default=_SHORTEST)
        self._words = -(-longest // 8)
        fitting = {text: at for text, at in texts.items() if len(text) <= 8 * self._words}
        padded = b"".join(text.ljust(8 * self._words, b"\0") for text in fitting)
        self._prefix = np.frombuffer(padded, "<u8").reshape(len(fitting), self._words)
        self._size = np.fromiter(map(len, fitting), np.int64, len(fitting))
        self._row = np.fromiter(fitting.values(), np.int32, len(fitting))
        self._masks = _first_bytes(self._words)
        self._shift = np.uint64(64 - max(4, (8 * len(fitting)).bit_length()))
        self._hashed = min(map(len, fitting), default=_SHORTEST) // 8
        size, number = 1 << (64 - int(self._shift)), np.arange(len(fitting))
        self._tables = np.zeros(size, np.int32), np.zeros(size, np.int32)
        self._tables[0][self._slots(self._prefix, 0)] = number
        self._tables[1][self._slots(self._prefix, 1)[::-1]] = number[::-1]  # of two that begin alike, each has a table
        self._providers: dict[int, list[Words]] = {}

    def _slots(self, words: Words, turn: int) -> Ints:
        """By as many words as the prefix of every series has."""
        mixed = words[:, 1] * np.uint64(_MIXERS[0])
        for column in range(2, self._hashed):
            mixed ^= mixed >> np.uint64(29)
            mixed += words[:, column]
            mixed *= np.uint64(_MIXERS[0])
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(_MIXERS[1 + turn])
        return (mixed >> self._shift).astype(np.int64)

    def learn(self, values: Iterable[bytes]) -> None:
        """Remembers the providers of values that msgspec has taken."""
        for value in values:
            _, found, name = value.rpartition(_PROVIDER)
            if not found or not name.endswith(b'"}') or len(name) > 32 or not _plain(name[:-2].decode(errors="replace")):
                continue
            if sum(map(len, self._providers.values())) >= MOST_PROVIDERS:
                return
            words = np.frombuffer(name.ljust(32, b"\0"), "<u8")
            known = self._providers.setdefault(len(name), [])
            if not any((words == each).all() for each in known):
                known.append(words)

    def read(self, values: Frames) -> Columns | None:
        """None: too few of them, or nothing to compare with yet."""
        if len(values) < FEWEST or not self._providers or not len(self._row):
            return None
        pieces = [self._piece(values[at : at + PIECE]) for at in range(0, len(values), PIECE)]
        return pieces[0] if len(pieces) == 1 else Columns(*map(np.concatenate, zip(*pieces, strict=True)))

    def _piece(self, values: Frames) -> Columns:
        buffer = np.frombuffer(values.buffer, np.uint8)
        # Words are loaded around each value: one at the very edge of the buffer is left to msgspec.
        inside = (values.start >= 8) & (values.start + 8 * self._words + PAD <= len(buffer)) & (values.size >= 0)
        start, size = (values.start, values.size) if inside.all() else (values.start[inside], values.size[inside])
        series, good = self._series(words_at(buffer, start, self._words))
        time_at = start + self._size.take(series)
        time_ms, number, fits = _time_and_value(buffer, time_at)
        good &= fits
        received_at = time_at + 22 + np.minimum(number.size, 16)
        received_ms, name_at, fits = _received(buffer, received_at)
        good &= fits & self._known(buffer, name_at, start + size)
        inside[inside] = good
        row, columns = self._row.take(series), (time_ms, number.value, received_ms)
        if not good.all():
            row, columns = row[good], (time_ms[good], number.value[good], received_ms[good])
        return Columns(inside, row, *columns)

    def _series(self, words: Words) -> tuple[Ints, NDArray[np.bool_]]:
        series = self._tables[0][self._slots(words, 0)].astype(np.int64)
        good = self._same(words, series)
        if not good.all():
            other = np.flatnonzero(~good)
            series[other] = self._tables[1][self._slots(words[other], 1)]
            good[other] = self._same(words[other], series[other])
        return series, good

    def _same(self, words: Words, series: Ints) -> NDArray[np.bool_]:
        differ = words ^ self._prefix.take(series, axis=0)
        differ &= self._masks.take(self._size.take(series), axis=0)
        found = differ[:, 0].copy()
        for column in range(1, self._words):
            found |= differ[:, column]
        same: NDArray[np.bool_] = found == 0
        return same

    def _known(self, buffer: NDArray[np.uint8], name_at: Ints, end: Ints) -> NDArray[np.bool_]:
        """The rest of these values is a provider that we know, with its quote and brace."""
        size = end - name_at
        words = words_at(buffer, np.minimum(name_at, len(buffer) - 32), 4)
        known = np.zeros(len(size), np.bool_)
        for length, names in self._providers.items():
            fits = size == length
            for name in names:
                same = fits.copy()
                for column in range(-(-length // 8)):
                    same &= (words[:, column] & _PROVIDERS[length, column]) == name[column]
                known |= same
        return known


def _plain(text: str) -> bool:
    """Between quotes it is JSON for itself."""
    return text.isascii() and text.isprintable() and not set(text) & {'"', "\\"}


def _time_and_value(buffer: NDArray[np.uint8], at: Ints) -> tuple[Ints, _Number, NDArray[np.bool_]]:
    """``1753920000000,"value":20.123,``"""
    words = words_at(buffer, at, 5)
    middle, tail, end = words[:, 1], words[:, 2], words[:, 3]
    time_ms, good = _eight_digits(words[:, 0])
    last, fits = _eight_digits((middle << np.uint64(24)) | _word(b"000"))
    time_ms *= 100_000
    time_ms += last
    good &= fits & (time_ms >= _FROM_MS) & (time_ms <= _TO_MS)
    good &= ((middle >> np.uint64(40)) == _word(_TIME[:3])) & ((tail & _bits(48)) == _word(_TIME[3:]))
    first = (tail >> np.uint64(48)) | (end << np.uint64(16))
    second = (end >> np.uint64(48)) | (words[:, 4] << np.uint64(16))
    number = _number(buffer, at + 22, first, second)
    good &= number.good
    return time_ms, number, good


def _received(buffer: NDArray[np.uint8], at: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """``,"received_ms":1753920000000,"provider":"`` and where it ends."""
    words = words_at(buffer, at, 6)
    head, end = words[:, 1], words[:, 3]
    received_ms, good = _eight_digits(words[:, 2])
    last, fits = _eight_digits((end << np.uint64(32)) | _word(b"0000"))
    lead = (head >> np.uint64(56)).astype(np.int64) - ord("0")
    received_ms *= 10_000
    received_ms += last + lead * 1_000_000_000_000
    good &= fits & (lead >= 1) & (lead <= 9) & (received_ms <= _TO_MS)
    good &= (words[:, 0] == _word(_RECEIVED[:8])) & ((head & _bits(56)) == _word(_RECEIVED[8:]))
    good &= ((end >> np.uint64(32)) == _word(_PROVIDER[:4])) & (words[:, 4] == _word(_PROVIDER[4:12]))
    good &= (words[:, 5] & _bits(8)) == _PROVIDER[12]
    return received_ms, at + 41, good
