"""A replay's CSV file -> readings, through the same conversion as the gateway's.

Columns: station, parameter, time, value, unit, and if there, datum and source. A blank value is "missing"; a blank datum of a stage
means ``gauge_zero``, a blank unit the region's (``Series.unit``); ``source`` becomes the provider, else ``replay``. History knows no
gateway: ``received_ms`` is the reading's own time, so that the same file gives the same log.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from warning.errors import InputError
from warning.ingest.formats import GAUGE_ZERO, Formats, Item, Refusal, explained, refusal
from warning.ingest.gateway import rejected
from warning.model import Parameter, Reading, Rejected
from warning.region import Region

_MANDATORY = ("station", "parameter", "time", "value", "unit")
_COLUMNS = (*_MANDATORY, "datum", "source")
_NUMBER = re.compile(r"[+-]?(?:\d{1,300}\.?\d{0,300}|\.\d{1,300})(?:[eE][+-]?\d{1,3})?")  # bounded: digits without end held the gateway up
_PROVIDER = "replay"


@dataclass(frozen=True, slots=True)
class RefusedRow:
    line: int  # of the file, from 1; the header is line 1
    error: InputError
    rejected: Rejected


@dataclass(frozen=True, slots=True)
class Rows:
    """A whole file: ``readings`` by time, rows of the same time in the file's order; ``refused`` in the file's order."""

    readings: tuple[Reading, ...]
    refused: tuple[RefusedRow, ...]

    @property
    def sent(self) -> int:
        return len(self.readings) + len(self.refused)


def read(path: Path, region: Region, station: Callable[[str], str] | None = None) -> Rows:
    """All rows of a replay file. Raises InputError if it is no such file; a row that is wrong is in ``refused``.

    ``station`` makes a station's id of what the file calls it.
    """
    formats = Formats(region)
    readings: list[Reading] = []
    refused: list[RefusedRow] = []
    for line, row in _rows(path):
        if station is not None and row.get("station"):
            row["station"] = station(row["station"])
        try:
            readings.append(from_row(row, formats))
        except InputError as error:
            text = json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape")
            kept = rejected(
                text,
                InputError(f"{path.name} line {line}: {error}", reason=error.reason, field=error.field, fix=error.fix),
                _provider(row),
                0,
            )
            refused.append(RefusedRow(line, error, kept))
    readings.sort(key=lambda reading: reading.time_ms)
    return Rows(tuple(readings), tuple(refused))


def outline(path: Path) -> Iterator[tuple[str, str, int]]:
    """(station, parameter, time in ms) of each row whose time can be read, as they stand; nothing else is looked at."""
    for _, row in _rows(path):
        try:
            time = datetime.fromisoformat(str(row["time"]).strip())
        except ValueError:
            continue
        if time.tzinfo is not None:
            yield str(row["station"] or "").strip(), str(row["parameter"] or "").strip(), round(time.timestamp() * 1000)


def from_row(row: Mapping[str, str | list[str] | None], formats: Formats) -> Reading:
    """One row as the csv module reads it -> a reading. Raises InputError."""
    if None in row:  # where csv.DictReader puts what is beyond the header
        raise refusal(Refusal.FIELD_UNKNOWN, "", "the row has more cells than the header", "quote a cell that holds a comma")
    item = item_of(row)
    if item.parameter == Parameter.STAGE.value and not item.datum:
        item = msgspec.structs.replace(item, datum=GAUGE_ZERO)
    reading = formats.reading(item, provider=_provider(row), received_ms=0, live=False)
    return msgspec.structs.replace(reading, received_ms=reading.time_ms)


def item_of(row: Mapping[str, str | list[str] | None]) -> Item:
    """The cells of one row by column -> what they say; a blank value is "missing". Raises InputError."""
    fields: dict[str, Any] = {}
    for name in _COLUMNS[:-1]:
        cell = row.get(name)
        if cell is None and name in _MANDATORY:
            raise refusal(Refusal.FIELD_MISSING, name, f"{name} is missing: the row is too short", f"columns are {', '.join(_MANDATORY)}")
        fields[name] = str(cell or "").strip()
    fields["value"] = _number(fields["value"])
    try:
        return msgspec.convert(fields, Item)
    except msgspec.ValidationError as error:
        raise explained(str(error)) from None


def _number(text: str) -> float | None:
    if not text:
        return None
    if text.lower() in ("nan", "inf", "-inf", "+inf", "infinity", "-infinity"):
        fix = "leave the cell blank when there is no value"
        raise refusal(Refusal.VALUE_NOT_FINITE, "value", f"{text} is no number", fix)
    if not _NUMBER.fullmatch(text):
        raise refusal(Refusal.VALUE_TYPE, "value", f"{text[:60]!r} is no number", "digits with a decimal point, or blank for missing")
    return float(text)


def _provider(row: Mapping[str, Any]) -> str:
    return str(row.get("source") or "").strip() or _PROVIDER


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, row) of each row; blank lines are left out."""
    fix = f"a CSV file in UTF-8 with the columns {', '.join(_MANDATORY)}, and if need be datum, source"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            wrong = [name for name in _MANDATORY if name not in header] + [name for name in header if name not in _COLUMNS]
            if wrong or len(set(header)) < len(header):
                what = f"{path.name} line 1: " + (f"column {wrong[0]!r} is missing or unknown" if wrong else "a column is there twice")
                raise InputError(what, reason="header", field=wrong[0] if wrong else "", fix=fix)
            reader.fieldnames = header
            for row in reader:
                yield reader.line_num, row
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", reason="file", field="FILE", fix=fix) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name}: {error}", reason="file", field="FILE", fix=fix) from error
