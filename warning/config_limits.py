"""A region from a table of limits alone: what a hindcast of a river needs that nobody has configured.

``limits.csv``: ``station``, ``unit``, and the limits by the names that agencies give them: ``low`` ... ``exceptional``, or ``action, minor,
moderate, major``, or ``alert, minor, major``; ``quantity`` where it is not stage. Beside it, if there: ``stations.csv`` (``station`` or
``id``, ``name``, ``river``, ``basin``, ``lat``, ``lon``, ``silent_after_h``) and ``reaches.csv`` (``upstream``, ``downstream``,
``travel_h`` or ``travel_low_h`` and ``travel_high_h``). The rest is default; the folder that they make is read as any other.
"""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from warning import config
from warning.config_build import FrozenDict
from warning.config_digest import digest
from warning.config_units import factor
from warning.errors import ConfigError, Problem
from warning.model import CLASSES, Level, Parameter
from warning.region import Region

# The columns of agencies -> our classes; the first set that has all the columns of a table is meant.
NAMES: tuple[dict[str, Level], ...] = (
    {level.name.lower(): level for level in CLASSES},
    {"alert": Level.LOW, "minor": Level.MEDIUM, "major": Level.HIGH},
    {"action": Level.LOW, "minor": Level.MEDIUM, "moderate": Level.HIGH, "major": Level.VERY_HIGH},
)
_KNOWN = {"station", "quantity", "unit", "source", "date", "version", "name", "river", "basin"}
SILENT_READINGS = 3  # a gauge that misses so many of its readings is silent
SILENT_H = (3.0, 72.0)


@dataclass(slots=True)
class Heard:
    """What the readings say of themselves: ``parameters`` by station, and ``step_h``, the usual hours between its first readings."""

    parameters: dict[str, set[Parameter]] = field(default_factory=dict)
    step_h: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limit:
    """One row of a table of limits: class -> limit, in ``unit``."""

    station: str
    quantity: str
    unit: str
    values: Mapping[Level, float]
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Limited:
    """A table of limits as read. ``names``: class -> what the table calls it."""

    rows: tuple[Limit, ...]
    names: Mapping[Level, str]
    notes: tuple[str, ...]
    equal: frozenset[tuple[str, Level]]  # (station, class) whose limit is that of the next class, and which is left out


@dataclass(frozen=True, slots=True)
class Made:
    """A region made of tables, what to know about it, and what ``Limited.equal`` says."""

    region: Region
    notes: tuple[str, ...] = ()
    equal: frozenset[tuple[str, Level]] = frozenset()


def word(text: str) -> str:
    """A station's or basin's id as the system takes it: letters, digits, - and _."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text.strip()).strip("-_") or "-"


def read_limits(path: Path) -> Limited:
    """Raises ConfigError with everything that is wrong."""
    problems: list[Problem] = []
    rows = _table(path, problems)
    columns = {name for _, cells in rows for name in cells}
    classes = next((names for names in NAMES if columns - _KNOWN <= set(names)), None)
    if classes is None or not rows:
        known = "; or ".join(", ".join(names) for names in NAMES)
        strange = sorted(columns - _KNOWN - {name for names in NAMES for name in names})
        what = f"unknown columns {', '.join(strange)}" if strange else "the classes of two tables are mixed" if rows else "no limit at all"
        problems.append(Problem(str(path), what, f"columns are station, quantity, unit and {known}"))
        raise ConfigError(problems)
    equal: set[tuple[str, Level]] = set()
    found: dict[str, Limit] = {}
    for line, cells in rows:
        try:
            limit = _limit(cells, classes, equal)
            if limit.station in found:
                raise ValueError(f"{limit.station} stands twice; remove one")
            if limit.values:
                found[limit.station] = limit
        except ValueError as error:
            what, _, fix = str(error).partition("; ")
            problems.append(Problem(f"{path}:{line}", what, fix))
    if problems or not found:
        raise ConfigError(problems or [Problem(str(path), "no limit at all", "write at least one")])
    names = {level: name for name, level in classes.items() if name in columns}
    notes = tuple(f"{station}: {names[level]} has the limit of the class above it" for station, level in sorted(equal, key=str))
    return Limited(tuple(found.values()), names, notes, frozenset(equal))


def _table(path: Path, problems: list[Problem]) -> list[tuple[int, dict[str, str]]]:
    """(line, cells that are not empty) of each row; a line that begins with # is a comment."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(str(path), f"cannot be read: {error}", "a CSV table in UTF-8, with a header"))
        return []
    reader = csv.reader(("\n" if line.startswith("#") else line for line in text.splitlines(keepends=True)), strict=True)
    header: list[str] = []
    rows = []
    try:
        for cells in reader:
            if not header:
                header = [cell.strip().lower() for cell in cells]
            elif len(cells) != len(header) and any(cells):
                what = f"{len(cells)} cells under {len(header)} columns"
                problems.append(Problem(f"{path}:{reader.line_num}", what, "put text with commas in quotes; keep empty cells"))
            elif any(map(str.strip, cells)):
                rows.append((reader.line_num, {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}))
    except csv.Error as error:
        problems.append(Problem(f"{path}:{reader.line_num}", f"not CSV: {error}", "check the quotes"))
    return rows


def _limit(cells: Mapping[str, str], classes: Mapping[str, Level], equal: set[tuple[str, Level]]) -> Limit:
    station, unit = word(cells.get("station", "")), cells.get("unit", "")
    if station == "-":
        raise ValueError("no station; write its id, as in the readings")
    if not unit:
        raise ValueError(f"{station} has no unit; write m, ft, m3/s ... in a column unit")
    quantity = cells.get("quantity", "stage")
    if quantity not in ("stage", "discharge"):
        raise ValueError(f"quantity {quantity!r}; write stage or discharge")
    factor(unit, quantity)
    values: dict[Level, float] = {}
    for name, level in classes.items():
        if name in cells:
            try:
                values[level] = float(cells[name])
            except ValueError:
                raise ValueError(f"{name} {cells[name]!r} of {station} is no number; digits with a point, empty for none") from None
    kept: dict[Level, float] = {}
    for level, value in values.items():
        below = max(kept, key=lambda one: one.rank, default=None)
        if below is not None and value < kept[below]:
            raise ValueError(
                f"{station}: limit {value:g} of {level.name} is below {kept[below]:g} of {below.name}; limits rise with the class"
            )
        if below is not None and value == kept[below]:
            equal.add((station, below))
            del kept[below]
        kept[level] = value
    return Limit(station, quantity, unit, kept, cells)


def region_of(folder: Path, limits: Path, heard: Heard) -> Made:
    """The region that the tables make. Raises ConfigError with everything that is wrong."""
    table = read_limits(limits)
    stations = _rows(folder / "stations.csv", "station", "id")
    reaches = _rows(folder / "reaches.csv", "upstream", "from_station", "from")
    silent = {row.station for row in table.rows} - set(heard.parameters)
    notes = (*table.notes, *([f"no reading of {', '.join(sorted(silent))}"] if silent else []))
    with tempfile.TemporaryDirectory(prefix="flood-region-") as made:
        _Folder(Path(made), folder.name or "river", table, stations, reaches, heard).write()
        try:
            return Made(config.load(made), notes, table.equal)
        except ConfigError as error:  # what the tables have in common with any region's, and said in its words
            raise ConfigError([Problem(p.where.replace(made, str(folder)), p.what, p.fix) for p in error.problems]) from None


def with_limits(region: Region, limits: Path) -> Made:
    """A configured region with other limits: each zone's as in the table, a zone that it does not name keeps its own.

    Raises ConfigError: a table that cannot be read, a station that is no zone of the region, another quantity than its own.
    """
    table = read_limits(limits)
    zones, problems = {zone.id: zone for zone in region.zones}, []
    for row in table.rows:
        zone = zones.get(row.station)
        if zone is None:
            problems.append(Problem(str(limits), f"{row.station} is no zone of {region.id}", f"one of {', '.join(zones)}"))
        elif zone.limits.quantity != row.quantity:
            what = f"{row.station} has limits of {row.quantity}, the region's are of {zone.limits.quantity}"
            problems.append(Problem(str(limits), what, "write quantity as in the region"))
        else:
            unit = factor(row.unit, row.quantity)
            values = FrozenDict({level: value * unit for level, value in row.values.items()})
            zones[row.station] = replace(zone, limits=replace(zone.limits, values=values, source=str(limits.name)))
    if problems:
        raise ConfigError(problems)
    changed = replace(region, zones=tuple(zones.values()))
    return Made(replace(changed, digest=digest(changed)), table.notes, table.equal)


def _rows(path: Path, *keys: str) -> dict[str, dict[str, str]]:
    """id -> cells of a table that may be absent; ids are in the first of ``keys`` that a row has."""
    if not path.exists():
        return {}
    problems: list[Problem] = []
    found: dict[str, dict[str, str]] = {}
    for line, cells in _table(path, problems):
        name = _first(cells, *keys)
        if not name:
            problems.append(Problem(f"{path}:{line}", f"no {keys[0]}", "it holds the station's id, as in the table of limits"))
            break
        found[word(name)] = cells
    if problems:
        raise ConfigError(problems)
    return found


@dataclass(slots=True)
class _Folder:
    """The folder of a region, with defaults for all that is not known."""

    path: Path
    name: str
    limits: Limited
    stations: dict[str, dict[str, str]]
    reaches: dict[str, dict[str, str]]
    heard: Heard

    def write(self) -> None:
        limited = {row.station: row for row in self.limits.rows}
        down = {up: word(to) for up, cells in self.reaches.items() if (to := _first(cells, "downstream", "to_station", "to"))}
        down = {up: to for up, to in down.items() if up in limited and to in limited}
        ids = list(dict.fromkeys([*limited, *self.stations]))
        basins = self._basins(ids, down)
        (self.path / "region.yaml").write_text(yaml.safe_dump(self._head(sorted(set(basins.values())))), encoding="utf-8")
        self._write("stations", (self._station(one, basins[one], limited) for one in ids))
        self._write("series", (row for one in ids for row in self._series(one, limited.get(one))))
        self._write("limits", (_limits_row(row) for row in limited.values()))
        self._write("reaches", (self._reach(one, down.get(one)) for one in limited))
        self._write("districts", [{"id": "everywhere", "name_en": "Everywhere", "geocode": "ZZ-1"}])
        contact = {"id": "nobody", "name": "Nobody", "role": "operator", "language": "en", "districts": "*", "level": "LOW"}
        self._write("contacts", [contact | {"phone": "+99900000", "webhook": "", "secret": "", "live": "false"}])

    def _head(self, basins: list[str]) -> dict[str, Any]:
        names = {level: self.limits.names.get(level, level.name.lower().replace("_", " ")).capitalize() for level in CLASSES}
        return {
            "id": re.sub(r"[^a-z0-9-]+", "-", self.name.lower()).strip("-0123456789") or "river",
            "names": {"en": self.name},
            "namespace": "hindcast",
            "sender": "hindcast",
            "languages": ["en"],
            "timezone": {"name": "UTC", "utc_offset": "+00:00"},
            "country": "ZZ",
            "bounds": {"south": -90.0, "west": -180.0, "north": 90.0, "east": 180.0},
            "classes": {"NORMAL": {"en": "Normal"}} | {level.name: {"en": name} for level, name in names.items()},
            "partitions": 1,
            "basins": dict.fromkeys(basins, 0),
            "alert": {"at_once": [level.name for level in CLASSES[1:]]},  # as where readings are rare: waiting for a second one costs lead
        }

    def _basins(self, ids: list[str], down: Mapping[str, str]) -> dict[str, str]:
        """Station -> basin: as given, else by river; gauges on one way of the water are in one."""
        basin = {one: word(self._cell(one, "basin") or self._cell(one, "river") or one).lower() for one in ids}
        for _ in ids:  # downstream's counts, until nothing moves
            moved = {one: basin[to] for one, to in down.items() if basin[one] != basin[to]}
            if not moved:
                break
            for one, to in moved.items():
                old = basin[one]
                basin.update({other: to for other, name in basin.items() if name == old})
        return basin

    def _cell(self, station: str, *columns: str) -> str:
        own = next((row.cells for row in self.limits.rows if row.station == station), {})
        for cells in (self.stations.get(station, {}), own, self.reaches.get(station, {})):
            if found := _first(cells, *columns):
                return found
        return ""

    def _station(self, one: str, basin: str, limited: Mapping[str, Limit]) -> dict[str, Any]:
        step = self.heard.step_h.get(one, SILENT_H[0])
        silent = self._cell(one, "silent_after_h") or min(max(SILENT_READINGS * step, SILENT_H[0]), SILENT_H[1])
        own = limited[one].cells.get("station", one) if one in limited else one
        return {
            "id": one,
            "name_en": self._cell(one, "name", "name_en") or own,
            "kind": "gauge" if one in limited or Parameter.RAIN not in self.heard.parameters.get(one, ()) else "rain",
            "river": self._cell(one, "river") or one,
            "basin": basin,
            "lat": self._cell(one, "lat"),
            "lon": self._cell(one, "lon"),
            "position": "approximate",
            "silent_after_h": silent,
        }

    def _series(self, one: str, limit: Limit | None) -> list[dict[str, str]]:
        parameters = self.heard.parameters.get(one) or {Parameter(limit.quantity if limit else "stage")}
        if limit and not any(each.quantity == limit.quantity for each in parameters):
            parameters = parameters | {Parameter(limit.quantity)}
        return [{"station": one, "parameter": each.value, "unit": each.unit} for each in sorted(parameters, key=lambda each: each.value)]

    def _reach(self, one: str, to: str | None) -> dict[str, str]:
        cells = self.reaches.get(one, {})
        low, high = _first(cells, "travel_low_h"), _first(cells, "travel_high_h")
        if (usual := _first(cells, "travel_h", "lag_h", "travel_hours")) and not low:
            low, high = f"{0.75 * float(usual):g}", f"{1.25 * float(usual):g}"
        times = {"travel_low_h": low, "travel_high_h": high} if to else {"travel_low_h": "", "travel_high_h": ""}
        return {"upstream": one, "downstream": to or "", **times, "districts": "everywhere"}

    def _write(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        each = list(rows)
        with (self.path / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(each[0]))
            writer.writeheader()
            writer.writerows(each)


def _limits_row(row: Limit) -> dict[str, Any]:
    values = {level.name.lower(): row.values.get(level, "") for level in CLASSES}
    told = {"source": row.cells.get("source", "as given"), "date": row.cells.get("date", "1900"), "version": row.cells.get("version", "1")}
    return {"station": row.station, "quantity": row.quantity, "unit": row.unit, **values, **told}


def _first(cells: Mapping[str, str], *columns: str) -> str:
    return next((cells[column] for column in columns if cells.get(column)), "")
