"""The tables of a state as they are at the end of a beat, to be read piece by piece while beats go on writing.

What a beat overwrites is kept (the beat's journal has it anyway) until the piece it belongs to has been read. So a checkpoint needs
neither a pause nor a second state: it needs what is written meanwhile, and never more than is still to be read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Written = tuple[NDArray[Any], Any, NDArray[Any]]  # array (a table or the view of a field), index, what was there before


class Held:
    """``tables``: name -> array; ``views``: the arrays through which the tables are written, as (table, field)."""

    def __init__(self, tables: Arrays, views: dict[int, tuple[str, str | None]] | None = None) -> None:
        self.kinds = [(name, array.dtype, array.shape) for name, array in tables.items()]
        self._tables = tables
        self._views = views if views is not None else {id(array): (name, None) for name, array in tables.items()}
        self._kept: dict[str, list[_Kept]] = {name: [] for name in tables}  # of the tables that are not read yet
        self._bytes = dict.fromkeys(tables, 0)
        self._next = dict.fromkeys(tables, 0)  # the first row of each that has not been read
        self._copies: Arrays = {}

    @property
    def size(self) -> int:
        """Bytes of all tables."""
        return sum(array.nbytes for array in self._tables.values())

    @property
    def kept(self) -> int:
        """Bytes kept at this moment."""
        return sum(self._bytes.values()) + sum(copy.nbytes for copy in self._copies.values())

    def keep(self, written: list[Written]) -> None:
        """What a beat overwrote, in the order in which it did."""
        for array, index, old in written:
            name, field = self._views[id(array)]
            kept = self._kept.get(name)
            if kept is not None:
                one = _Kept(field, index, old)
                kept.append(one)
                self._bytes[name] += one.nbytes
        for name in list(self._kept):
            table = self._tables[name]
            left = table.nbytes - self._next[name] * (table.nbytes // max(len(table), 1))
            if self._bytes[name] > left:  # then a copy of the rest is the smaller evil
                start = self._next[name]
                self._copies[name] = self._read(name, start, len(table))
                self._forget(name)

    def read(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows ``start`` .. ``stop`` of a table as they were, a copy. Each row once, in order."""
        if start != self._next[name]:
            raise ValueError(f"{name}: row {start} is not the next one, {self._next[name]}")
        self._next[name] = stop
        table = self._tables[name]
        if name in self._copies:
            first = len(table) - len(self._copies[name])
            out = self._copies[name][start - first : stop - first]
        else:
            out = self._read(name, start, stop)
        if stop >= len(table):
            self._forget(name)
            self._copies.pop(name, None)
        return out

    def _read(self, name: str, start: int, stop: int) -> NDArray[Any]:
        out = self._tables[name][start:stop].copy()
        for one in reversed(self._kept[name]):
            one.put_back(out, start, stop)
        return out

    def _forget(self, name: str) -> None:
        self._kept.pop(name, None)  # a copy of the rest was taken before the last row was read
        self._bytes[name] = 0


class _Kept:
    """One write: where, and what was there before."""

    __slots__ = ("_index", "_old", "_sorted", "field", "nbytes")

    def __init__(self, field: str | None, index: Any, old: NDArray[Any]) -> None:
        parts = index if isinstance(index, tuple) else (index,)
        arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(part)) for part in parts))
        if any(array.dtype.kind not in "iu" or array.ndim != 1 for array in arrays):
            raise TypeError(f"a state is written at numbered places, not at {index!r}")
        self.field, self._index = field, arrays
        self._old = np.asarray(old).reshape(len(arrays[0]), *np.shape(old)[max(np.ndim(part) for part in parts) :])
        self._sorted: bool | None = None
        self.nbytes = self._old.nbytes + sum(array.nbytes for array in arrays)

    def put_back(self, out: NDArray[Any], start: int, stop: int) -> None:
        """Into a copy of the rows ``start`` .. ``stop``."""
        rows = self._index[0]
        if self._sorted is None:
            self._sorted = bool((rows[1:] >= rows[:-1]).all())
        some: Any = slice(*np.searchsorted(rows, (start, stop)).tolist())
        if not self._sorted:
            some = np.flatnonzero((rows >= start) & (rows < stop))
        at = (rows[some] - start, *(part[some] for part in self._index[1:]))
        if len(at[0]):
            (out if self.field is None else out[self.field])[at] = self._old[some]
