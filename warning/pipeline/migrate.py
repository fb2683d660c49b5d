"""Checkpoints of the version before this one, as this one has them."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from warning.pipeline.layout import TABLES, table
from warning.pipeline.named import packed

Arrays = dict[str, NDArray[Any]]


def from_2(head: dict[str, Any], arrays: Arrays) -> Arrays:
    """Version 2 had the names of the rows in its head. What it did not have of a row is as if nothing had been measured: zero."""
    named = {**head["rows"], "r": []}
    rows = {letter: len(lines) for letter, lines in named.items()}
    new = {name: _table(name, rows[name[0]], arrays) for name in TABLES}
    return new | {f"{letter}.names": packed(lines) for letter, lines in named.items()}


def _table(name: str, rows: int, old: Arrays) -> NDArray[Any]:
    """The table with every field that the version before had, wherever it stood."""
    before = {field: array if array.dtype.names is None else array[field] for array, field in _fields(old, name[0])}
    new = table(name, rows, old["h.past"].shape[1] if name == "h.past" else None)
    if name in old and old[name].dtype == new.dtype:
        return old[name]
    for field in TABLES[name]:
        if field in before:
            (new if new.dtype.names is None else new[field])[:] = before[field]
    return new


def _fields(old: Arrays, letter: str) -> list[tuple[NDArray[Any], str]]:
    """(the table, the field) of all that series, zones or histories had; a table of one field is called by it in ``layout``."""
    out = []
    for name, array in old.items():
        if name[0] == letter:
            fields = array.dtype.names or TABLES.get(name, ())[:1]
            out += [(array, field) for field in fields]
    return out
