"""Readings newer than all before them, series by series, and what stood before each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Line:
    """n readings newer than all before them, sorted by (row, time), of K series; what stood before each, time 0: nothing did.

    ``start``, ``end`` (K,): places of the first and the last reading of each of the ``series`` (K,); ``segment`` (n,): which of them.
    """

    row: NDArray[np.intp]
    time_s: Ints
    value: NDArray[np.float64]
    first: NDArray[np.bool_]
    start: NDArray[np.intp]
    end: NDArray[np.intp]
    segment: NDArray[np.intp]
    before_t: Ints
    before_v: NDArray[np.float64]
    older_t: Ints
    older_v: NDArray[np.float64]

    @staticmethod
    def of(arrays: Arrays, row: NDArray[np.intp], time_s: Ints, value: NDArray[np.float64]) -> Line:
        n = len(row)
        first = np.ones(n, np.bool_)
        first[1:] = row[1:] != row[:-1]
        start = np.flatnonzero(first)
        last_t, last_v = arrays["last_t"][row].astype(np.int64), arrays["last_v"][row]
        second = first | np.append(True, first[:-1])
        older_t = np.where(second, shift(first, last_t, arrays["before_t"][row].astype(np.int64)), 0)
        older_v = np.where(second, shift(first, last_v, arrays["before_v"][row]), 0.0)
        if n > 2:
            older_t[2:] = np.where(second[2:], older_t[2:], time_s[:-2])
            older_v[2:] = np.where(second[2:], older_v[2:], value[:-2])
        before = shift(first, time_s, last_t), shift(first, value, last_v)
        return Line(row, time_s, value, first, start, np.append(start[1:], n) - 1, np.cumsum(first) - 1, *before, older_t, older_v)

    @property
    def series(self) -> NDArray[np.intp]:
        return self.row[self.start]

    @property
    def has(self) -> NDArray[np.bool_]:
        """Whether anything stood before."""
        return self.before_t > 0


def shift(first: NDArray[np.bool_], values: NDArray[Any], initial: NDArray[Any]) -> NDArray[Any]:
    """The element before, within its series; ``initial`` for the first of a series."""
    out = np.empty(len(values), np.result_type(values, initial))
    out[1:] = values[:-1]
    return np.where(first, initial, out)
