"""A CSV file -> rows of a model, with file, line and column for every problem.

There is one judge of a row: its model in ``config_schema``. A long table is offered to ``config_columns`` first, which judges each column's
different cells once, by the same model's fields; every row that it does not vouch for comes before the judge by itself.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from warning.config_columns import NAME, NAMES, Columns, record
from warning.config_explain import explain
from warning.errors import Problem

Model = TypeVar("Model", bound=BaseModel)
AT_ONCE = 1000  # rows
NOT_CSV = "not CSV"  # so a problem begins after which no row was read
MANY = 300  # of them: below, the preparation costs more than it saves


class Row(msgspec.Struct, Generic[Model], frozen=True, gc=False):
    """One good row of a table, and where it stands. ``data``: a record with the model's fields and properties."""

    file: str
    line: int
    data: Model

    def where(self, column: str = "") -> str:
        return f"{self.file}:{self.line}" + (f" ({column})" if column else "")


@dataclass
class Table(Generic[Model]):
    """The good rows of a CSV file. ``ids`` also knows those of broken rows, so that one mistake is not reported twice."""

    file: str
    rows: list[Row[Model]] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)  # first column -> line


def text_of(path: Path, problems: list[Problem]) -> str | None:
    """The text of a file; None with a problem."""
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        problems.append(Problem(str(path), "the file is missing", "config/README.md shows what it holds"))
    except UnicodeDecodeError as error:
        problems.append(Problem(str(path), f"is not UTF-8 (byte {error.start})", 'save it as "CSV UTF-8"'))
    except OSError as error:
        problems.append(Problem(str(path), f"cannot be read: {error.strerror}", "check the file and its permissions"))
    return None


def read_table(path: Path, model: type[Model], problems: list[Problem]) -> Table[Model]:
    """The good rows of a file, in order; what is wrong with the others is added to ``problems``, in order too."""
    table: Table[Model] = Table(str(path))
    found: list[tuple[int, Problem]] = []  # line, problem
    numbered = _numbered(path, problems, found)
    line, cells = next(numbered, (1, []))
    header = [cell.strip() for cell in cells]
    found += [(line, problem) for problem in _header_problems(path, line, header)]
    columns, first = Columns(model, header), next(iter(model.model_fields))
    at = header.index(first) if first in header else sys.maxsize  # then no row has it
    while batch := list(islice(numbered, AT_ONCE)):
        for line, cells in batch:
            if at < len(cells) and (name := cells[at].strip()) and name not in table.ids:
                table.ids[name] = line
        if ragged := [(line, _ragged(path, line, cells, header)) for line, cells in batch if len(cells) != len(header)]:
            found += ragged
            batch = [one for one in batch if len(one[1]) == len(header)]
        vouched = columns.vouched([cells for _, cells in batch]) if len(batch) >= MANY else repeat(None, len(batch))
        for (line, cells), one in zip(batch, vouched, strict=True):
            data = one if one is not None else _judged(model, header, cells, f"{path}:{line}", line, found)
            if data is not None:
                table.rows.append(Row(table.file, line, data))
    problems += [problem for _, problem in sorted(found, key=lambda one: one[0])]
    return table


def _judged(
    model: type[Model], header: list[str], cells: list[str], where: str, line: int, found: list[tuple[int, Problem]]
) -> Model | None:
    named = {name: cell for name, cell in zip(header, map(str.strip, cells), strict=True) if cell}  # an empty cell is left out
    try:
        one = model.model_validate_strings(_nested(named) if NAMES in model.model_fields else named, strict=True)
    except ValidationError as error:
        for wrong in error.errors():
            what, fix = explain(wrong, model)
            found.append((line, Problem(where + _column(wrong["loc"]), what, fix)))
        return None
    made: Model = record(model)(*(getattr(one, name) for name in model.model_fields))
    return made


def _nested(cells: dict[str, str]) -> dict[str, Any]:
    """``name_en``, ``name_ur`` ... become ``names: {en, ur}``, in the languages' order."""
    nested: dict[str, Any] = {key: value for key, value in cells.items() if not key.startswith(NAME)}
    nested[NAMES] = {key.removeprefix(NAME): cells[key] for key in sorted(cells) if key.startswith(NAME)}
    return nested


def _column(loc: tuple[int | str, ...]) -> str:
    """In brackets; nothing where the row as a whole is wrong."""
    if not loc:
        return ""
    return f" ({NAME}{loc[1]})" if loc[0] == NAMES and len(loc) > 1 else f" ({loc[0]})"


# --- CSV


def _numbered(path: Path, problems: list[Problem], found: list[tuple[int, Problem]]) -> Iterator[tuple[int, list[str]]]:
    """(the line that a row ends in, its cells), without empty rows and comments (lines that begin with ``#``)."""
    reader = csv.reader(_lines(text_of(path, problems) or ""), strict=True)
    try:
        for cells in reader:
            if cells and (cells[0].strip() or "".join(cells).strip()):
                yield reader.line_num, cells
    except csv.Error as error:
        found.append((reader.line_num, Problem(f"{path}:{reader.line_num}", f"{NOT_CSV}: {error}", "check the quotes")))


def _lines(text: str) -> Iterator[str]:
    """The lines; comments become empty ones, so that line numbers stay."""
    lines: Sequence[str] = text.splitlines(keepends=True)
    return ("\n" if line[0] == "#" else line for line in lines) if "#" in text else iter(lines)


def _ragged(path: Path, line: int, cells: list[str], header: list[str]) -> Problem:
    what = f"{len(cells)} cells under {len(header)} columns"
    return Problem(f"{path}:{line}", what, "put text with commas in quotes; keep empty cells")


def _header_problems(path: Path, line: int, header: list[str]) -> Iterator[Problem]:
    for name in {name for name in header if header.count(name) > 1}:
        yield Problem(f"{path}:{line}", f"column {name!r} stands twice", "remove one")
    if len(header) == 1 and ";" in header[0]:
        yield Problem(f"{path}:{line}", "columns are separated by semicolons", "save it with commas")
