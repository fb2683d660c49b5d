"""Files of a region -> models, with file, line and key for every problem. Reads all there is to read before it complains."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from warning.config_hazards import HazardRow
from warning.config_schema import (
    PATTERNS,
    AssetRow,
    ContactRow,
    DistrictRow,
    LimitsRow,
    PlaceRow,
    ReachRow,
    RegionFile,
    SeriesRow,
    StationRow,
)
from warning.errors import Problem

Model = TypeVar("Model", bound=BaseModel)
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Row(Generic[Model]):
    """One good row of a table, and where it stands."""

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


@dataclass
class Files:
    """All files of a region as read. ``region`` is None if region.yaml cannot be understood."""

    folder: Path
    region: RegionFile | None
    lines: dict[Key, int]  # key path in region.yaml -> line
    stations: Table[StationRow]
    series: Table[SeriesRow]
    limits: Table[LimitsRow]
    reaches: Table[ReachRow]
    districts: Table[DistrictRow]
    contacts: Table[ContactRow]
    assets: Table[AssetRow]
    places: Table[PlaceRow]
    hazards: Table[HazardRow]

    def where(self, *path: object) -> str:
        """Place of a key of region.yaml."""
        return _yaml_where(self.folder / "region.yaml", self.lines, path)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint: the nearest known word, or the known words, or nothing."""
    words = sorted(known)
    folded = {candidate.lower(): candidate for candidate in words}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    if close:
        return f"did you mean {folded[close[0]]}?"
    return f"known: {', '.join(words)}" if 0 < len(words) <= 20 else ""


def read(folder: Path) -> tuple[Files, list[Problem]]:
    """Every file of a region's folder, and all that is wrong with each by itself."""
    problems: list[Problem] = []
    region, lines = _read_region(folder / "region.yaml", problems)
    files = Files(
        folder,
        region,
        lines,
        _read_table(folder / "stations.csv", StationRow, problems),
        _read_table(folder / "series.csv", SeriesRow, problems),
        _read_table(folder / "limits.csv", LimitsRow, problems),
        _read_table(folder / "reaches.csv", ReachRow, problems),
        _read_table(folder / "districts.csv", DistrictRow, problems),
        _read_table(folder / "contacts.csv", ContactRow, problems),
        _if_there(folder / "assets.csv", AssetRow, problems),
        _towns(folder / "places.csv", problems),
        _if_there(folder / "hazards.csv", HazardRow, problems),
    )
    return files, problems


# --- YAML


def _yaml_where(path: Path, lines: dict[Key, int], key: Key) -> str:
    """``file:line (a.b.c)``: the line of the deepest key that is in the file."""
    depth = next((n for n in range(len(key), -1, -1) if key[:n] in lines), 0)
    return f"{path}:{lines.get(key[:depth], 1)}" + (f" ({'.'.join(map(str, key))})" if key else "")


def _lines_of(node: yaml.Node, path: Key, lines: dict[Key, int], twice: list[Key]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, key.value)
            if here in lines:
                twice.append(here)
            lines[here] = key.start_mark.line + 1
            _lines_of(value, here, lines, twice)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _lines_of(value, (*path, number), lines, twice)


def _read_region(path: Path, problems: list[Problem]) -> tuple[RegionFile | None, dict[Key, int]]:
    text = _text(path, problems)
    lines: dict[Key, int] = {}
    if text is None:
        return None, lines
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problems.append(
            Problem(f"{path}:{line}", f"not YAML: {getattr(error, 'problem', None) or error}", "check indentation, colons and quotes")
        )
        return None, lines
    twice: list[Key] = []
    if node is not None:
        _lines_of(node, (), lines, twice)
    problems += [Problem(_yaml_where(path, lines, key), "the key stands twice", "remove one") for key in twice]
    if not isinstance(content, dict):
        problems.append(Problem(f"{path}:1", "is not a table of keys", "begin with id:, names:, ... as config/README.md shows"))
        return None, lines
    return _validated(path, content, lines, problems), lines


def _validated(path: Path, content: dict[str, Any], lines: dict[Key, int], problems: list[Problem]) -> RegionFile | None:
    """The model; if a key is wrong, the model without it where that is possible, so that the other files can be checked too."""
    try:
        return RegionFile.model_validate(content)
    except ValidationError as error:
        for one in error.errors():
            key = tuple(part for part in one["loc"] if part != "[key]")
            what, fix = _explain(one, RegionFile)
            problems.append(Problem(_yaml_where(path, lines, key), what, fix))
        tops = {one["loc"][0] for one in error.errors()}
    try:
        return RegionFile.model_validate({key: value for key, value in content.items() if key not in tops})
    except ValidationError:
        return None  # reported above


# --- CSV


def _text(path: Path, problems: list[Problem]) -> str | None:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        problems.append(Problem(str(path), "the file is missing", "config/README.md shows what it holds"))
    except UnicodeDecodeError as error:
        problems.append(Problem(str(path), f"is not UTF-8 (byte {error.start})", 'save it as "CSV UTF-8"'))
    except OSError as error:
        problems.append(Problem(str(path), f"cannot be read: {error.strerror}", "check the file and its permissions"))
    return None


def _lines(text: str) -> Iterator[str]:
    """The lines; comments become empty ones, so that line numbers stay."""
    for line in text.splitlines(keepends=True):
        yield "\n" if line.startswith("#") else line


def _table_rows(path: Path, problems: list[Problem]) -> Iterator[tuple[int, dict[str, str], bool]]:
    """Line number, cells, and whether there are as many as columns, of every row below the header.

    ``#`` begins a comment line; empty cells are left out.
    """
    text = _text(path, problems)
    reader = csv.reader(_lines(text or ""), strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                problems += _header_problems(path, reader.line_num, header)
                continue
            if len(cells) != len(header):
                what = f"{len(cells)} cells under {len(header)} columns"
                problems.append(Problem(f"{path}:{reader.line_num}", what, "put text with commas in quotes; keep empty cells"))
            named = {name: cell for name, cell in zip(header, map(str.strip, cells), strict=False) if cell}
            yield reader.line_num, named, len(cells) == len(header)
    except csv.Error as error:
        problems.append(Problem(f"{path}:{reader.line_num}", f"not CSV: {error}", "check the quotes"))


def _header_problems(path: Path, line: int, header: list[str]) -> Iterator[Problem]:
    for name in {name for name in header if header.count(name) > 1}:
        yield Problem(f"{path}:{line}", f"column {name!r} stands twice", "remove one")
    if len(header) == 1 and ";" in header[0]:
        yield Problem(f"{path}:{line}", "columns are separated by semicolons", "save it with commas")


def _read_table(path: Path, model: type[Model], problems: list[Problem]) -> Table[Model]:
    table: Table[Model] = Table(str(path))
    first, named = next(iter(model.model_fields)), "names" in model.model_fields
    for line, cells, whole in _table_rows(path, problems):
        if first in cells:
            table.ids.setdefault(cells[first], line)
        if not whole:
            continue
        try:
            table.rows.append(Row(str(path), line, model.model_validate_strings(_nested(cells) if named else cells, strict=True)))
        except ValidationError as error:
            for one in error.errors():
                what, fix = _explain(one, model)
                problems.append(Problem(f"{path}:{line} ({_column(one['loc'])})", what, fix))
    return table


def _if_there(path: Path, model: type[Model], problems: list[Problem]) -> Table[Model]:
    return _read_table(path, model, problems) if path.exists() else Table(str(path))


def _towns(path: Path, problems: list[Problem]) -> Table[PlaceRow]:
    """A line that is wrong is left out, with a warning: a list of towns must not keep a warning system from starting."""
    found: list[Problem] = []
    towns = _if_there(path, PlaceRow, found)
    problems += [replace(problem, fatal=False) for problem in found]
    return towns


def _nested(cells: dict[str, str]) -> dict[str, Any]:
    """``name_en``, ``name_ur`` ... become ``names: {en, ur}``."""
    nested: dict[str, Any] = {key: value for key, value in cells.items() if not key.startswith("name_")}
    nested["names"] = {key.removeprefix("name_"): value for key, value in cells.items() if key.startswith("name_")}
    return nested


def _column(loc: tuple[int | str, ...]) -> str:
    return f"name_{loc[1]}" if loc[0] == "names" and len(loc) > 1 else str(loc[0])


# --- pydantic's errors in our words


def _explain(error: Any, model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong, and the fix."""
    kind, loc = error["type"], error["loc"]
    if kind == "extra_forbidden":
        return f"unknown key {loc[-1]!r}", did_you_mean(str(loc[-1]), _keys_at(model, loc[:-1])) or "remove it"
    if kind == "missing":
        return f"{loc[-1]!r} is missing", "write it"
    if kind == "value_error":
        what, _, fix = str(error["ctx"]["error"]).partition("; ")
        return what, fix
    if kind in ("string_pattern_mismatch", "literal_error", "bool_parsing", "float_parsing", "int_parsing"):
        return f"{error['input']!r} is not right here", _fix_of(error)
    return f"{error['input']!r}: {error['msg'][:1].lower()}{error['msg'][1:]}", _fix_of(error)


def _fix_of(error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        return f"write {context['expected']}"
    if kind == "string_pattern_mismatch":
        return f"write {PATTERNS[context['pattern']]}"
    return {
        "bool_parsing": "write true or false",
        "float_parsing": "write a number with a point, without unit and without commas",
        "int_parsing": "write a whole number",
        "string_type": "put it in quotes",
        "int_type": "write a whole number",
        "float_type": "write a number",
    }.get(kind, "")


def _keys_at(model: type[BaseModel], loc: tuple[Any, ...]) -> set[str]:
    """The keys that are known at that place of the model."""
    for part in loc:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        candidates = (annotation, *getattr(annotation, "__args__", ()))
        inner = next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if inner is None:
            return set()
        model = inner
    keys = set(model.model_fields)
    return (keys - {"names"}) | {"name_en"} if "names" in keys and model is not RegionFile else keys
