"""Readings of exactly the shape that our gateway writes, many at once; all others are left to msgspec, one by one.

``{"station":"S","parameter":"P","time_ms":13 digits,"value":number,"received_ms":13 digits,"provider":"T"}``, nothing else.

A value is taken only if every byte of it was compared: up to ``"time_ms":`` with what this station and parameter have there, the end
from the provider on with one that msgspec has read before, the rest with the shape. A number of at most 15 digits is an integer
below 2**53 divided by a power of ten below 10**23: both are exact, so the quotient is the nearest double, as msgspec's is (Clinger,
"How to read floating point numbers accurately", 1990). Eight digits at a time: Lemire, "Number parsing at a gigabyte a second", 2021.
A test holds all of it against msgspec.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from warning.stream.frames import PAD, Frames, Ints, Words, lowest_byte, words_at

FEWEST = 256  # records; below, msgspec costs less
PIECE = 16384  # records at a time: what fits into a core's cache
MOST_PREFIX = 12  # words of 8 bytes up to the time; a station with a longer name is left to msgspec
MOST_PROVIDERS = 16  # remembered
_SHORTEST = 43  # bytes of the prefix of a station without a name whose parameter is ``rain``
_STATION = '{"station":"'
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


def _table(most: int) -> _Layouts:
    """``_Layouts`` of numbers of fewer than ``most`` bytes."""
    of_last = ~_first_bytes(2)[::-1]  # n -> the bits of the last n bytes of 16
    stay, digits = np.zeros((2, 1 << 10), np.uint64), np.zeros((2, 1 << 10), np.uint64)
    divisor, least = np.ones(1 << 10), np.full(1 << 10, _NEVER)
    for negative, size, dot in itertools.product(range(2), range(1, most), range(most + 1)):
        whole = dot >= size  # no dot in it
        decimals = 0 if whole else size - 1 - dot
        count = size - negative - (not whole)
        if not 1 <= count <= 15 or count <= decimals or (not whole and not decimals):
            continue
        code = negative << 9 | size << 5 | dot
        stay[:, code], digits[:, code] = of_last[16 if whole else decimals], of_last[count]
        divisor[code] = (-1.0 if negative else 1.0) * 10.0**decimals
        least[code] = 10 ** (count - 1) if count - decimals > 1 else 0  # no zero in front
        if negative and whole:
            least[code] = max(1, least[code])  # an integer -0 is msgspec's to judge
    return _Layouts(stay, digits, divisor, least)


class _Layouts(NamedTuple):
    """For each layout of a number, ``negative << 9 | size << 5 | place of the dot``. Words: of its last 16 bytes, the earlier one first."""

    stay: Words  # (2, n): the bytes that stand behind the dot
    digits: Words  # (2, n): the bytes of all digits, once what stands before the dot has moved over it
    divisor: NDArray[np.float64]
    least: Ints  # the digits as one number are no less; ``_NEVER``: there is no such number, or it is msgspec's


_NEVER = 1 << 62
_LAYOUTS = _table(16)
_PROVIDERS = _first_bytes(4)
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


def _number(buffer: NDArray[np.uint8], at: Ints, first: Words) -> _Number:
    """Decimal numbers that begin ``at`` and end before a comma; ``first``: their 8 bytes from there on."""
    size, dot = lowest_byte(_marks(first, b",")), lowest_byte(_marks(first, b"."))
    short = bool(size.max(initial=0) < 8)
    if not short:
        second = words_at(buffer, at + 8, 1)[:, 0]
        size = np.where(size == 8, 8 + lowest_byte(_marks(second, b",")), size)
        dot = np.where(dot == 8, 8 + lowest_byte(_marks(second, b".")), dot)
    layout = np.minimum(size, 15) << 5
    layout |= dot
    layout |= ((first & _bits(8)) == ord("-")).astype(np.int64) << 9
    if short:
        shift = np.uint64(64) - (size << 3).astype(np.uint64)  # of 64 bits it gives 0, as it should
        number, good = _eight_digits(_aligned(first << shift, None, layout, 1))
    else:
        words = words_at(buffer, at + size - 24, 3)
        high, good = _eight_digits(_aligned(words[:, 1], words[:, 0], layout, 0))
        number, fits = _eight_digits(_aligned(words[:, 2], words[:, 1], layout, 1))
        number += high * 100_000_000
        good &= fits & (size < 16)
    good &= number >= _LAYOUTS.least.take(layout)
    return _Number(number / _LAYOUTS.divisor.take(layout), size, good)


def _aligned(words: Words, previous: Words | None, layout: Ints, half: int) -> Words:
    """Eight bytes of numbers that end with a word: what stands before the dot moves one byte towards the end, over the dot, zeros in front.

    ``previous``: the eight bytes before them; ``half``: 1 for the last eight bytes, 0 for those before.
    """
    moved = words << _BYTE
    if previous is not None:
        moved |= previous >> np.uint64(56)
    return _chosen(_chosen(words, moved, _LAYOUTS.stay[half].take(layout)), _ZEROS, _LAYOUTS.digits[half].take(layout))


def _chosen(those: Words, others: Words | np.uint64, mask: Words) -> Words:
    differ = others ^ those
    differ &= mask
    differ ^= others
    return differ


class Shape:
    """``rows``: parameter -> station -> row. About 90 bytes a series: of its prefix it keeps the words in which it can differ from others.

    A series is found by a hash of its prefix in one of two tables; where two fall together in both, msgspec reads one of them.
    """

    def __init__(self, rows: Mapping[str, Mapping[str, int]]) -> None:
        begins = [(f'","parameter":"{parameter}","time_ms":', own) for parameter, own in rows.items()]
        plain = (len(_STATION) + len(station) + len(end) for end, own in begins for station in own if _plain(station))
        self._words = -(-max((size for size in plain if size <= 8 * MOST_PREFIX), default=_SHORTEST) // 8)
        padded, sizes, row = bytearray(), bytearray(), array("i")
        for end, own in begins:
            for station, at in own.items():
                if (length := len(_STATION) + len(station) + len(end)) <= 8 * self._words and _plain(station):
                    padded += f"{_STATION}{station}{end}".encode().ljust(8 * self._words, b"\0")
                    sizes.append(length)
                    row.append(at)
        self._size, self._row = np.frombuffer(bytes(sizes), np.uint8), np.array(row, np.int32)
        self._shift = np.uint64(64 - max(4, (8 * len(sizes)).bit_length()))
        self._common = min(sizes, default=_SHORTEST) // 8  # words that the prefix of every series has
        self._ends = np.ascontiguousarray(_first_bytes(self._words)[:, self._common :])
        words, number = np.frombuffer(padded, "<u8").reshape(len(sizes), self._words), np.arange(len(sizes))
        self._hashed = [column for column in range(1, self._common) if (words[:, column] != words[:1, column]).any()] or [1]
        self._kept = [*self._hashed, *range(self._common, self._words)]
        self._prefix = np.ascontiguousarray(words[:, self._kept]).view(f"V{8 * len(self._kept)}")[:, 0]
        self._fixed = [(column, words[0, column]) for column in range(self._common) if column not in self._kept] if len(words) else []
        size = 1 << (64 - int(self._shift))
        self._tables = np.zeros(size, np.int32), np.zeros(size, np.int32)
        self._tables[0][self._slots(words, 0)] = number
        self._tables[1][self._slots(words, 1)[::-1]] = number[::-1]  # of two that begin alike, each has a table
        self._providers: dict[int, list[Words]] = {}

    def _slots(self, words: Words, turn: int) -> Ints:
        """By the words in which the prefixes differ, of those that all have."""
        mixed = words[:, self._hashed[0]] * np.uint64(_MIXERS[0])
        for column in self._hashed[1:]:
            mixed ^= mixed >> np.uint64(29)
            mixed += words[:, column]
            mixed *= np.uint64(_MIXERS[0])
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(_MIXERS[1 + turn])
        mixed >>= self._shift
        return mixed.astype(np.int64)

    @property
    def taught(self) -> bool:
        """It knows a provider."""
        return bool(self._providers)

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
        if len(values) < FEWEST or not self.taught or not len(self._row):
            return None
        count = -(-len(values) // PIECE)
        edges = [number * len(values) // count for number in range(count + 1)]
        pieces = [self._piece(values[begin:end]) for begin, end in pairwise(edges)]
        return pieces[0] if len(pieces) == 1 else Columns(*map(np.concatenate, zip(*pieces, strict=True)))

    def _piece(self, values: Frames) -> Columns:
        buffer, start, size = np.frombuffer(values.buffer, np.uint8), values.start, values.size
        inside = None
        if start.min() < 8 or start.max() + 8 * self._words + PAD > len(buffer) or size.min() < 0:
            # Words are loaded around each value: one at the very edge of the buffer is left to msgspec.
            inside = (start >= 8) & (start + 8 * self._words + PAD <= len(buffer)) & (size >= 0)
            start, size = start[inside], size[inside]
        series, prefix, good = self._series(words_at(buffer, start, self._words))
        time_at = start + prefix
        time_ms, number, fits = _time_and_value(buffer, time_at)
        good &= fits
        received_at = time_at + 22
        received_at += np.minimum(number.size, 16)
        received_ms, name_at, fits = _received(buffer, received_at)
        good &= fits
        good &= self._known(buffer, name_at, start + size)
        row, columns = self._row.take(series), (time_ms, number.value, received_ms)
        if not good.all():
            row, columns = row[good], (time_ms[good], number.value[good], received_ms[good])
        if inside is not None:
            inside[inside] = good
        return Columns(good if inside is None else inside, row, *columns)

    def _series(self, words: Words) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """(series, size of its prefix, whether it is this one) of values that begin with these words."""
        series = self._tables[0].take(self._slots(words, 0)).astype(np.int64)
        size, good = self._same(words, series)
        if not good.all():
            other = np.flatnonzero(~good)
            series[other] = self._tables[1].take(self._slots(words[other], 1))
            size[other], good[other] = self._same(words[other], series[other])
        return series, size, good

    def _same(self, words: Words, series: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        size = self._size.take(series).astype(np.int64)
        differ = self._prefix[series].view("<u8").reshape(len(series), len(self._kept))
        for place, column in enumerate(self._kept):
            differ[:, place] ^= words[:, column]
        differ[:, len(self._hashed) :] &= self._ends.take(size, axis=0)
        found = differ[:, 0]
        for place in range(1, len(self._kept)):
            found |= differ[:, place]
        for column, word in self._fixed:
            found |= words[:, column] ^ word
        same: NDArray[np.bool_] = found == 0
        return size, same

    def _known(self, buffer: NDArray[np.uint8], name_at: Ints, end: Ints) -> NDArray[np.bool_]:
        """The rest of these values is a provider that we know, with its quote and brace."""
        size = end - name_at
        width = -(-max(self._providers) // 8)
        words = words_at(buffer, np.minimum(name_at, len(buffer) - 8 * width), width)
        known = np.zeros(len(size), np.bool_)
        for length, names in self._providers.items():
            fits = size == length
            for name in names:
                differ = (words[:, 0] ^ name[0]) & _PROVIDERS[length, 0]
                for column in range(1, -(-length // 8)):
                    differ |= (words[:, column] ^ name[column]) & _PROVIDERS[length, column]
                known |= fits & (differ == 0)
        return known


def _plain(text: str) -> bool:
    """Between quotes it is JSON for itself."""
    return text.isascii() and text.isprintable() and not set(text) & {'"', "\\"}


def _time_and_value(buffer: NDArray[np.uint8], at: Ints) -> tuple[Ints, _Number, NDArray[np.bool_]]:
    """``1753920000000,"value":20.123,``"""
    words = words_at(buffer, at - 3, 5)
    time_ms, good = _time(words[:, 0] >> np.uint64(24), words[:, 1])
    good &= time_ms >= _FROM_MS
    other = words[:, 2] ^ _word(_TIME[:8])
    other |= (words[:, 3] ^ _word(_TIME[8:])) & _bits(8)
    good &= other == 0
    number = _number(buffer, at + 22, (words[:, 3] >> _BYTE) | (words[:, 4] << np.uint64(56)))
    good &= number.good
    return time_ms, number, good


def _received(buffer: NDArray[np.uint8], at: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """``,"received_ms":1753920000000,"provider":"`` and where it ends."""
    words = words_at(buffer, at - 4, 6)
    middle, end = words[:, 2], words[:, 5]
    received_ms, good = _time(middle >> np.uint64(24), words[:, 3])
    good &= received_ms >= _FROM_MS
    other = (words[:, 0] >> np.uint64(32)) ^ _word(_RECEIVED[:4])
    other |= words[:, 1] ^ _word(_RECEIVED[4:12])
    other |= (middle ^ _word(_RECEIVED[12:])) & _bits(24)
    other |= words[:, 4] ^ _word(_PROVIDER[:8])
    other |= (end ^ _word(_PROVIDER[8:])) & _bits(40)
    good &= other == 0
    return received_ms, at + 41, good


def _time(lead: Words, rest: Words) -> tuple[Ints, NDArray[np.bool_]]:
    """Times of 13 digits: five, which are the same for a day, and eight. (ms, whether they are digits and no later than ``_TO_MS``)"""
    time_ms, good = _eight_digits(rest)
    day = int(lead[0]).to_bytes(8, "little")[:5] if len(lead) else b""
    if day.isdigit() and (lead == lead[0]).all():
        time_ms += int(day) * 100_000_000
    else:
        days, fits = _eight_digits((lead << np.uint64(24)) | _word(b"000"))
        days *= 100_000_000
        time_ms += days
        good &= fits
    good &= time_ms <= _TO_MS
    return time_ms, good
