"""What an agency's message says, one value at a time, whatever its format; and what that is here: our station, parameter, unit, datum."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from warning.config_agency import Agency, Meaning
from warning.config_sources import Source
from warning.errors import InputError
from warning.ingest.formats import Item, Refusal, refusal
from warning.ingest.gateway import Part

NOT_THIS_FORMAT = "format"  # a message that is not what its agency is configured to write
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,300}\.?[0-9]{0,300}|\.[0-9]{1,300})(?:[eE][+-]?[0-9]{1,3})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Said:
    """One value as an agency says it. ``time`` None without ``wrong``: it says that there is no observation. ``source``: what it sent."""

    source: bytes
    station: str
    what: str
    time: datetime | None = None
    value: float | None = None
    unit: str = ""
    datum: str = ""
    wrong: InputError | None = None


@dataclass(slots=True)
class Mapped:
    """The parts that are ours, and what was left out: what of theirs is not mapped, items without an observation, the same twice."""

    parts: list[Part] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)  # "their station, their word" -> items
    no_observation: int = 0
    doubles: int = 0


def mapped(said: Iterable[Said], source: Source) -> Mapped:
    """What is said -> parts for the gateway.

    Two values for one time from two of their series (two sensors, say) would be revisions of each other for ever: the first counts, the
    others are refused, until the configuration says which is meant. Of SHEF the same series again is a correction.
    """
    found = Mapped()
    first: dict[tuple[str, str, datetime], tuple[Item, str]] = {}
    for one in said:
        item = _item(one, source)
        if item is None:
            found.others[f"{one.station[:_SHOWN]} {one.what[:_SHOWN]}"] += 1
            continue
        if isinstance(item, Item):
            if one.time is None:
                found.no_observation += 1
                continue
            before, what = first.setdefault((item.station, item.parameter, item.time), (item, one.what))
            if before != item and (what != one.what or source.agency.format != "shef"):
                words = f"two values for one time of {item.station}: {before.value} {before.unit} and {item.value} {item.unit}"
                item = refusal(Refusal.AMBIGUOUS, "value", words, "say in sources.yaml which of their series is meant")
            elif before is not item and before == item:
                found.doubles += 1
                continue
        found.parts.append(Part(one.source, item))
    return found


def _item(one: Said, source: Source) -> Item | InputError | None:
    """None: not ours."""
    refuse = source.others == "refuse"
    theirs = source.stations.get(one.station)
    if theirs is None:
        if one.wrong is not None and (refuse or not one.station):
            return one.wrong
        if not refuse:
            return None
        return refusal(Refusal.STATION_UNKNOWN, "station", f"no station {one.station[:_SHOWN]!r} in {source.id}", "map it in sources.yaml")
    meaning = _meaning(one.what, source, theirs.parameters)
    if one.wrong is not None and one.wrong.reason == Refusal.NOT_OBSERVED and not refuse:
        return None
    if one.wrong is not None and (meaning.parameter or not one.what or refuse):
        return one.wrong
    if not meaning.parameter:
        words = f"no parameter {one.what[:_SHOWN]!r} in {source.id}"
        return refusal(Refusal.PARAMETER_UNKNOWN, "parameter", words, "map it in sources.yaml") if refuse else None
    said_unit = source.agency.units.get(one.unit, Meaning(unit=one.unit))
    unit = said_unit.unit or meaning.unit or theirs.unit
    datum = one.datum or said_unit.datum or theirs.datum or meaning.datum
    return Item(
        station=theirs.station,
        parameter=meaning.parameter,
        time=one.time or _EPOCH,
        value=one.value,
        unit=unit,
        datum=datum if meaning.parameter == "stage" else "",
    )


def _meaning(what: str, source: Source, own: Mapping[str, Meaning]) -> Meaning:
    """Of a SHEF parameter code the longest beginning that is known; else the word itself."""
    words = [what[:length] for length in range(len(what), 1, -1)] if source.agency.format == "shef" else [what]
    for table in (own, source.agency.parameters):
        for word in words:
            if word in table:
                return table[word]
    return Meaning()


def number(raw: object, agency: Agency) -> float | None:
    """A number, a number in quotes, or None for "missing". Raises InputError for all else; never a guess."""
    if raw is None or raw == "":
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise refusal(Refusal.VALUE_TYPE, "value", f"{_short(raw)} is no number", "a number, or null")
    if isinstance(raw, str):
        text = raw.strip().replace(",", ".") if agency.decimal_comma else raw.strip()
        if not _NUMBER.fullmatch(text):
            raise refusal(Refusal.VALUE_TYPE, "value", f"{_short(raw)} is no number", "a number, or null")
        raw = text
    try:
        value = float(raw)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise refusal(Refusal.VALUE_NOT_FINITE, "value", f"{_short(raw)} is not a finite number", "null when there is no value")
    return None if value in agency.missing else value


def moment(raw: object, agency: Agency) -> datetime | None:
    """A time as the agency writes it, with its zone; None where it says that there is no observation. Raises InputError."""
    if isinstance(raw, str) and raw in agency.no_observation_at:
        return None
    if raw is None or raw == "":
        raise refusal(Refusal.FIELD_MISSING, "time", "the time is missing", "every value needs its time")
    try:
        found = _read_time(raw, agency.time_format)
    except (ValueError, OverflowError, OSError, TypeError):
        raise refusal(Refusal.TIME_FORMAT, "time", f"{_short(raw)} is no time ({agency.time_format})", "mend time_format") from None
    if found.tzinfo is not None:
        return found
    if not agency.zone:
        raise refusal(Refusal.TIME_FORMAT, "time", f"{_short(raw)} does not say its time zone", "write zone: in the agency's format")
    return _placed(found, agency.zone)


def _read_time(raw: object, form: str) -> datetime:
    if form in ("unix", "unix_ms"):
        if isinstance(raw, bool) or not isinstance(raw, int | float | str):
            raise TypeError(raw)
        return _EPOCH + timedelta(seconds=float(raw) / (1000 if form == "unix_ms" else 1))
    if not isinstance(raw, str):
        raise TypeError(raw)
    text = raw.strip()
    return datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)


def _placed(local: datetime, zone: str) -> datetime:
    """A local time, in its zone. One that the change of the clocks leaves out or repeats is refused: an hour would be wrong."""
    place = ZoneInfo(zone)
    early, late = (local.replace(tzinfo=place, fold=fold) for fold in (0, 1))
    if early.utcoffset() != late.utcoffset():
        words = f"{local.isoformat()} in {zone} is not one time: the clocks change"
        raise refusal(Refusal.TIME_FORMAT, "time", words, "ask the agency for UTC")
    return early


def _short(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
