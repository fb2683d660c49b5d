"""A CSV body (``text/csv``) -> its rows, each read and judged by itself.

Columns by their names in the first line, in any order: station, parameter, time, value, unit, and if there, datum. Separated by commas,
semicolons or tabs (whichever the first line has); UTF-8, with or without a byte order mark. A blank value is "missing"; blank lines are
left out. What the csv module cannot read is one refused row, and the rows behind it are read: a quote that is never closed takes with it
the lines up to the end or to 128 KB, and of those the first 64 KB are kept: what is refused has to be sent again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from warning.errors import InputError
from warning.ingest.body import MOST_ITEMS
from warning.ingest.formats import Item, Refusal, refusal, shown_field
from warning.ingest.gateway import Part
from warning.ingest.rows import item_of

MEDIA_TYPE = "text/csv"
COLUMNS = ("station", "parameter", "time", "value", "unit")
OPTIONAL = ("datum",)

_SEPARATORS = ",;\t"
_FIX = f"the first line names the columns {', '.join(COLUMNS)}, and if need be datum"


@dataclass(frozen=True, slots=True)
class Upload:
    """``lines``: where each part's row begins, from 1; the header is line 1."""

    parts: tuple[Part, ...]
    lines: tuple[int, ...]


def read(body: bytes) -> Upload:
    """All rows of an upload. Raises InputError (``header``, ``empty``, ``too_many``) if it is none."""
    text = body.decode("utf-8-sig", "surrogateescape")  # bytes that are no UTF-8 refuse their row, not the others
    source = _Lines(text)
    header, separator = _header(next(source, ""))
    parts: list[Part] = []
    lines: list[int] = []
    for line, cells, raw in _rows(source, separator):
        if len(parts) == MOST_ITEMS:
            raise InputError(f"more than {MOST_ITEMS} rows in one request", reason="too_many", field="", fix=f"at most {MOST_ITEMS}")
        parts.append(Part(raw.encode("utf-8", "surrogateescape"), _judged(cells, header, raw)))
        lines.append(line)
    if not parts:
        raise InputError("no rows below the header", reason="empty", field="", fix="send at least one")
    return Upload(tuple(parts), tuple(lines))


class _Lines(Iterator[str]):
    """The lines of a text as they are, and what was read since ``taken`` was last asked."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self._taken: list[str] = []
        self.count = 0

    def __next__(self) -> str:
        line = next(self._lines)
        self._taken.append(line)
        self.count += 1
        return line

    def taken(self) -> str:
        taken, self._taken = "".join(self._taken), []
        return taken


def _header(line: str) -> tuple[list[str], str]:
    """(names of the columns, what separates them)."""
    separator = max(_SEPARATORS, key=line.count)
    try:
        names = [name.strip() for name in next(csv.reader([line], delimiter=separator, strict=True), [])]
    except csv.Error as error:
        raise InputError(f"line 1: {error}", reason="header", field="", fix=_FIX) from None
    for name in COLUMNS:
        if name not in names:
            raise InputError(f"line 1: there is no column {name}", reason="header", field=name, fix=_FIX)
    for number, name in enumerate(names):
        if name not in COLUMNS + OPTIONAL or name in names[:number]:
            what = "twice" if name in names[:number] else "unknown"
            raise InputError(f"line 1: a column is {what}: {shown_field(name)!r}", reason="header", field=shown_field(name), fix=_FIX)
    return names, separator


def _rows(source: _Lines, separator: str) -> Iterator[tuple[int, list[str] | str, str]]:
    """(line it begins at, its cells or why it cannot be read, the row as sent), blank ones left out."""
    reader = csv.reader(source, delimiter=separator, strict=True)
    source.taken()  # the header
    while True:
        begins = source.count + 1
        cells: list[str] | str
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells = str(error)
        raw = source.taken()
        if raw.strip():
            yield begins, cells, raw


def _judged(cells: list[str] | str, header: list[str], raw: str) -> Item | InputError:
    try:
        if isinstance(cells, str):
            raise refusal(Refusal.MALFORMED, "", f"this is no CSV: {cells}", "quote a cell that holds a separator, and close the quote")
        if not raw.isascii() and any("\udc80" <= character <= "\udcff" for character in raw):
            raise refusal(Refusal.MALFORMED, "", "the row is no UTF-8", "write the file in UTF-8")
        if len(cells) > len(header):
            raise refusal(Refusal.FIELD_UNKNOWN, "", "the row has more cells than the header", "quote a cell that holds a separator")
        return item_of(dict(zip(header, cells, strict=False)))
    except InputError as error:
        return error
