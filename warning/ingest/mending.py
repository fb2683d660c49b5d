"""A rejected letter, mended by an operator's edits: what was sent -> the items that the gate is asked to take.

Edits change fields of items, in this order: ``item`` (instead of what was sent), ``rename``, ``drop``, ``set``, ``map``, ``numbers``,
``zone``, ``shift``. Nothing is guessed: without an edit an item goes to the gate as it was sent.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec

from warning.errors import InputError
from warning.ingest.body import split
from warning.ingest.dead_letters import UNREADABLE, Letter
from warning.ingest.formats import GAUGE_ZERO, Item
from warning.model import Parameter, Reading

FIELDS = Item.__struct_fields__
_TEXTS = tuple(name for name in FIELDS if name != "value")
_READING = msgspec.json.Decoder(Reading)
_ZONE = re.compile(r"Z|([+-])(\d{2}):?(\d{2})")
_SPAN = re.compile(r"([+-])(\d{1,6})(s|min|h|d)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_STREAM = ("decode", "qc")


class Edits(msgspec.Struct, frozen=True, omit_defaults=True):
    """``map``: field -> what it says -> what it shall say. ``zone``: of times without one. ``shift_s``: added to each time."""

    item: str = ""
    rename: dict[str, str] = {}
    drop: tuple[str, ...] = ()
    set: dict[str, str | float | None] = {}
    map: dict[str, dict[str, str]] = {}
    numbers: bool = False  # a value in quotes is a number
    zone: str = ""
    shift_s: int = 0

    @property
    def any(self) -> bool:
        return self != Edits()


def setting(text: str) -> tuple[str, str | float | None]:
    """``unit=cm``; a value is a number or ``null``. Raises InputError."""
    name, equals, value = text.partition("=")
    if not equals or name not in FIELDS:
        raise _wrong("--set", text, f"write FIELD=VALUE; fields: {', '.join(FIELDS)}")
    if name != "value":
        return name, value
    number = _number(value)
    if value != "null" and not (isinstance(number, float) and math.isfinite(number)):  # JSON has no NaN: kept, it would be null, "missing"
        raise _wrong("--set", text, "a value is a number, or null for missing")
    return name, None if value == "null" else number


def mapping(text: str) -> tuple[str, str, str]:
    """``station=OLD:NEW`` -> field, old, new; of several colons the last one parts. Raises InputError."""
    name, equals, rest = text.partition("=")
    old, colon, new = rest.rpartition(":")
    if not equals or not colon or name not in _TEXTS:
        raise _wrong("--map", text, f"write FIELD=OLD:NEW; fields: {', '.join(_TEXTS)}")
    return name, old, new


def renaming(text: str) -> tuple[str, str]:
    """``OLD:NEW``. Raises InputError."""
    old, colon, new = text.rpartition(":")
    if not colon or not old or new not in FIELDS:
        raise _wrong("--rename", text, f"write OLD:NEW; NEW is one of {', '.join(FIELDS)}")
    return old, new


def zone(text: str) -> str:
    """``+05:00`` or ``Z``. Raises InputError."""
    found = _ZONE.fullmatch(text)
    if found is None or (found[2] is not None and (int(found[2]) > 14 or int(found[3]) > 59)):
        raise _wrong("--zone", text, "write +05:00, or Z for UTC")
    return text


def shift_s(text: str) -> int:
    """``-5h``, ``+90s``, ``+30min``, ``-1d``. Raises InputError."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise _wrong("--shift", text, "write a sign, a number and s, min, h or d: -5h")
    return int(found[1] + found[2]) * _SECONDS[found[3]]


def _wrong(option: str, text: str, fix: str) -> InputError:
    return InputError(f"{option} {text[:60]!r} cannot be read", reason="option", field=option, fix=fix)


def mended(letter: Letter, edits: Edits) -> list[bytes]:
    """The items of a letter as JSON texts for ``Gateway.placed``. Raises InputError where there is none that could be sent."""
    if edits.item:
        return [edits.item.encode()]
    return [_edited(item, edits) for item in _items(letter, edits)]


def _items(letter: Letter, edits: Edits) -> list[bytes]:
    stage, fix = letter.rejected.stage, "write the whole item with --item, or ask its sender for it"
    if letter.rejected.reason == UNREADABLE:
        raise _hopeless("it is no record of ours", "look who else writes to this topic")
    if letter.understood:
        return [letter.understood.encode()]
    if letter.cut:
        raise _hopeless("only its beginning was kept", "ask its sender for the whole of it")
    if stage in _STREAM:
        if stage == "qc" and not edits.any:
            raise _hopeless("quality control failed this value, and would again", "mend it: --set unit=..., or withdraw its flag")
        item = _of_reading(letter)
        if item is not None:
            return [item]
    try:
        return [bytes(text) for text in split(letter.source)]
    except InputError as error:
        raise _hopeless(f"it is no reading: {error}", fix) from None


def _of_reading(letter: Letter) -> bytes | None:
    """A reading of ours that the stream rejected, as an item in SI; None if it is none."""
    try:
        reading = _READING.decode(letter.source)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=reading.time_ms)
    except OverflowError:
        return None
    datum = GAUGE_ZERO if reading.parameter is Parameter.STAGE else ""
    return msgspec.json.encode(Item(reading.station, reading.parameter.value, at, reading.value, reading.parameter.unit, datum))


def _hopeless(what: str, fix: str) -> InputError:
    return InputError(what, reason="not_mendable", field="", fix=fix)


def _edited(text: bytes, edits: Edits) -> bytes:
    if not edits.any:
        return text
    try:
        item = json.loads(text)  # which takes NaN: an edit may be about that
    except (ValueError, RecursionError):
        item = None
    if not isinstance(item, dict):
        raise _hopeless("it is no JSON object with fields to edit", "write the whole item with --item")
    item = {edits.rename.get(name, name): value for name, value in item.items() if name not in edits.drop} | edits.set
    for name, changes in edits.map.items():
        if isinstance(item.get(name), str):
            item[name] = changes.get(item[name], item[name])
    if edits.numbers and isinstance(item.get("value"), str):
        item["value"] = _number(item["value"])
    if isinstance(item.get("time"), str) and (edits.zone or edits.shift_s):
        item["time"] = _moved(item["time"], edits)
    return json.dumps(item, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _number(text: str) -> float | str:
    """Left as it is where it is none: then the gate says so."""
    try:
        return text if "_" in text else float(text.strip())  # Python alone takes 5_4 for 54
    except ValueError:
        return text


def _moved(text: str, edits: Edits) -> str:
    """Left as it is where it is no time: then the gate says so."""
    try:
        at = datetime.fromisoformat(text.strip())
        if at.tzinfo is None and edits.zone:
            at = at.replace(tzinfo=_offset(edits.zone))
        return (at + timedelta(seconds=edits.shift_s)).isoformat()
    except (ValueError, OverflowError):
        return text


def _offset(text: str) -> timezone:
    found = _ZONE.fullmatch(text)
    if found is None or found[1] is None:
        return UTC
    span = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-span if found[1] == "-" else span)


def words(edits: Edits) -> str:
    """The edits in one line, as their options."""
    said: list[Any] = [f"--set {name}={'null' if value is None else value}" for name, value in edits.set.items()]
    said += [f"--map {name}={old}:{new}" for name, changes in edits.map.items() for old, new in changes.items()]
    said += [f"--rename {old}:{new}" for old, new in edits.rename.items()] + [f"--drop {name}" for name in edits.drop]
    said += ["--numbers"] * edits.numbers + [f"--zone {edits.zone}"] * bool(edits.zone)
    said += [f"--shift {edits.shift_s:+d}s"] * bool(edits.shift_s) + [f"--item '{edits.item}'"] * bool(edits.item)
    return " ".join(said) or "as sent"
