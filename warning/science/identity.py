"""Has this reading been here before? The last 64 readings with their values, and a bitmap of the minutes seen in 76 hours.

A reading is one of: series, time. Known by its exact time while it is among the last 64 that came; older ones by their minute, where a
second reading of the same minute counts as a duplicate (nobody can say any more).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

LAST = 64
WORDS = 72  # of 64 minutes
WORD_S = 64 * 60

FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "raw_t": ("u4", (LAST,)),  # in the order of arrival
    "raw_v": ("f4", (LAST,)),
    "raw_n": ("u4", ()),  # how many ever came; the next goes to raw_n % 64
    "minutes": ("u8", (WORDS,)),
    "word": ("u4", ()),  # newest word in ``minutes``
}

Arrays = dict[str, NDArray[Any]]
Assignments = list[tuple[str, Any, NDArray[Any]]]  # field, index, new values


@dataclass(frozen=True, slots=True)
class Known:
    """Per reading asked for: NEW, KNOWN with its old value, SEEN (its minute is known, its value is not), or TOO_OLD to tell."""

    NEW: ClassVar[int] = 0
    KNOWN: ClassVar[int] = 1
    SEEN: ClassVar[int] = 2
    TOO_OLD: ClassVar[int] = 3

    state: NDArray[np.int8]
    value: NDArray[np.float64]


def known(arrays: Arrays, row: NDArray[np.intp], time_s: NDArray[np.int64], now_s: int) -> Known:
    """Look up k readings (series ``row``, ``time_s``)."""
    hit = arrays["raw_t"][row] == time_s[:, None]
    place = hit.argmax(axis=1)
    exact = hit[np.arange(len(row)), place]
    forgotten = arrays["raw_n"][row] > LAST
    word = time_s // WORD_S
    newest = arrays["word"][row].astype(np.int64)
    bits = arrays["minutes"][row, (word % WORDS).astype(np.intp)]
    seen = (bits >> ((time_s // 60) % 64).astype(np.uint64)) & np.uint64(1) > 0
    state = np.where(exact, Known.KNOWN, np.where(forgotten & seen, Known.SEEN, Known.NEW)).astype(np.int8)
    state[~exact & (word <= newest - WORDS)] = Known.TOO_OLD
    return Known(state, arrays["raw_v"][row, place].astype(np.float64))


def remember(arrays: Arrays, row: NDArray[np.intp], time_s: NDArray[np.int64], value: NDArray[np.float64]) -> Assignments:
    """What to assign so that the n new readings, sorted by (row, time), are known from now on."""
    n = len(row)
    if not n:
        return []
    first = np.ones(n, np.bool_)
    first[1:] = row[1:] != row[:-1]
    start = np.flatnonzero(first)
    segment = np.cumsum(first) - 1
    count = np.append(start[1:], n) - start
    series = row[start]
    rank = np.arange(n) - start[segment]
    keep = rank >= (count - LAST)[segment]
    place = (arrays["raw_n"][row] + rank) % LAST
    out: Assignments = [
        ("raw_t", (row[keep], place[keep].astype(np.intp)), time_s[keep].astype(np.uint32)),
        ("raw_v", (row[keep], place[keep].astype(np.intp)), value[keep].astype(np.float32)),
        ("raw_n", series, (arrays["raw_n"][series] + count).astype(np.uint32)),
    ]
    return out + _minutes(arrays, series, row, time_s, time_s[np.append(start[1:], n) - 1] // WORD_S)


def _minutes(
    arrays: Arrays, series: NDArray[np.intp], row: NDArray[np.intp], time_s: NDArray[np.int64], word: NDArray[np.int64]
) -> Assignments:
    """The bitmap: words that the newest one pushes out are cleared, then the bits are set."""
    old = arrays["word"][series].astype(np.int64)
    new = np.maximum(old, word)
    out: Assignments = []
    moved = np.flatnonzero(new > old)
    if len(moved):
        gone = np.where(old[moved] > 0, np.minimum(new[moved] - old[moved], WORDS), 0)  # a series that begins has nothing to clear
        for step in range(int(gone.max())):
            some = moved[gone > step]
            slot = ((new[some] - step) % WORDS).astype(np.intp)
            out.append(("minutes", (series[some], slot), np.zeros(len(some), np.uint64)))
        out.append(("word", series[moved], new[moved].astype(np.uint32)))
    which = time_s // WORD_S
    of = np.cumsum(np.append(False, row[1:] != row[:-1]))  # which of ``series``
    inside = which > new[of] - WORDS
    row, of, which, bit = row[inside], of[inside], which[inside], np.uint64(1) << ((time_s[inside] // 60) % 64).astype(np.uint64)
    if not len(row):
        return out
    first = np.ones(len(row), np.bool_)
    first[1:] = (row[1:] != row[:-1]) | (which[1:] != which[:-1])
    start = np.flatnonzero(first)
    slot = (which[start] % WORDS).astype(np.intp)
    bits = np.bitwise_or.reduceat(bit, start)
    base = arrays["minutes"][row[start], slot]
    base[which[start] > old[of[start]]] = 0  # cleared above
    return [*out, ("minutes", (row[start], slot), base | bits)]
