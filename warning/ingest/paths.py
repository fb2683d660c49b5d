"""JSON and CSV of any agency, by the places that its configuration names (``config_agency``): a new agency is a file, not code."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from warning.config_agency import Agency, Pick
from warning.errors import InputError
from warning.ingest.agency import NOT_THIS_FORMAT, Said, moment, number
from warning.ingest.formats import Refusal, refusal

Names = Mapping[str, Any]
_FIX = "the agency may have changed its format: compare with `warning pull --once --dry-run`"


@dataclass(frozen=True, slots=True)
class _Found:
    """A Pick, ready."""

    search: Callable[[Names], Any]
    match: re.Pattern[str] | None

    def of(self, names: Names) -> Any:
        raw = self.search(names)
        if self.match is None:
            return raw
        found = self.match.search(raw) if isinstance(raw, str) else None
        return found[1] if found else None


class Paths:
    """Reads the messages of one agency."""

    def __init__(self, agency: Agency) -> None:
        self._agency = agency
        self._levels = [(name, jmespath.compile(path).search) for name, path in agency.items]
        fields = ("station", "what", "time", "value", "unit", "datum", "missing_if")
        self._told = [{name: _ready(getattr(told, name)) for name in fields if getattr(told, name) is not None} for told in agency.readings]

    def read(self, body: bytes) -> list[Said]:
        """All that a message says. Raises InputError ``format`` where it is none of this agency."""
        items = self._rows(body) if self._agency.format == "csv" else self._items(body)
        return [self._said(told, names) for names in items for told in self._told]

    def _items(self, body: bytes) -> Iterator[Names]:
        try:
            whole = json.loads(body.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise not_this_format(f"no JSON: {error}") from None
        yield from self._inside({"whole": whole}, 0)

    def _inside(self, names: Names, level: int) -> Iterator[Names]:
        """What the paths lead to, level by level, each with the names of those around it."""
        if level == len(self._levels):
            yield names
            return
        name, search = self._levels[level]
        try:
            found = search(names)
        except (JMESPathError, RecursionError) as error:
            raise not_this_format(f"{name}: {error}") from None
        if found is None:
            raise not_this_format(f"nothing stands where {name} should be ({self._agency.items[level][1]})")
        for one in found if isinstance(found, list) else [found]:
            yield from self._inside({**names, name: one}, level + 1)

    def _rows(self, body: bytes) -> Iterator[Names]:
        agency = self._agency
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise not_this_format(f"no UTF-8: {error}") from None
        reader = csv.reader(_uncommented(text, agency.comment), delimiter=agency.delimiter)
        header = list(agency.columns)
        skip = agency.skip_after_header
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield {"row": {}, "wrong": f"line {reader.line_num}: {error}"}
                continue
            if cells is None:
                break
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                continue
            if skip:
                skip -= 1
                continue
            row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            wrong = f"line {reader.line_num} has {len(cells)} cells, the header {len(header)}" if len(cells) != len(header) else ""
            yield {"row": row, "wrong": wrong, "cells": cells}
        if not header:
            raise not_this_format("no header")

    def _said(self, told: Mapping[str, _Found], names: Names) -> Said:
        raw: dict[str, Any] = {}
        wrong: InputError | None = None
        if names.get("wrong"):
            raw["cells"] = names.get("cells")
            wrong = refusal(Refusal.MALFORMED, "", str(names["wrong"]), "one cell a column")
        for name, found in told.items():
            try:
                raw[name] = found.of(names)
            except (JMESPathError, RecursionError, TypeError, ValueError, OverflowError) as error:  # a function on what it is not made for
                wrong = wrong or refusal(Refusal.FIELD_TYPE, name, f"{name}: {' '.join(str(error).split())[:200]}", _FIX)
        source = _text(raw)
        try:
            station = _word(raw, "station")
            what = _word(raw, "what")
        except InputError as error:
            station, what = "", ""
            wrong = wrong or error
        if wrong is None:
            try:
                time, value = self._measured(raw)
                return Said(source, station, what, time, value, _word(raw, "unit", ""), _word(raw, "datum", ""))
            except InputError as error:
                wrong = error
        return Said(source, station, what, wrong=wrong)

    def _measured(self, raw: Mapping[str, Any]) -> tuple[datetime | None, float | None]:
        time = moment(raw.get("time"), self._agency)
        if time is None:
            return None, None
        return time, None if raw.get("missing_if") is True else number(raw.get("value"), self._agency)


def _ready(pick: Pick) -> _Found:
    return _Found(jmespath.compile(pick.path).search, re.compile(pick.match) if pick.match else None)


def _word(raw: Mapping[str, Any], name: str, default: str | None = None) -> str:
    found = raw.get(name)
    if found is None and default is not None:
        return default
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str) or (default is None and not found):
        raise refusal(
            Refusal.FIELD_MISSING if found in (None, "") else Refusal.FIELD_TYPE, name, f"{name} is no text: {str(found)[:60]!r}", _FIX
        )
    if not found.isascii() and found != found.encode("utf-8", "replace").decode():
        raise refusal(Refusal.FIELD_TYPE, name, f"{name} is no Unicode: {found[:60]!r}", _FIX)  # half a surrogate pair
    return found


def _uncommented(text: str, comment: str) -> Iterator[str]:
    lines = io.StringIO(text, newline="")
    return (line for line in lines if not line.startswith(comment)) if comment else iter(lines)


def _text(raw: Mapping[str, Any]) -> bytes:
    """What was sent of one value, as JSON."""
    try:
        return json.dumps(raw, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return json.dumps(raw).encode()


def not_this_format(words: str) -> InputError:
    """A message that is not what its agency is configured to write."""
    return InputError(words[:300], reason=NOT_THIS_FORMAT, field="", fix=_FIX)
