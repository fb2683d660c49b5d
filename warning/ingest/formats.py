"""One reading as its owner sends it -> ``model.Reading``, or an ``InputError`` that names the field and the fix.

::

    {"station": "IND-GUDDU", "parameter": "discharge", "time": "2025-09-02T12:00:00+05:00", "value": 550000, "unit": "cusec"}
    {"station": "BAGALKOT", "parameter": "stage", "time": "2025-09-02T07:00:00Z", "value": 378, "unit": "cm", "datum": "gauge_zero"}

``value`` null says "missing". A stage must say its datum: ``gauge_zero``, or the elevation datum (``Station.datum``, ``msl`` if that
is ``gauge_zero``) where the region knows the elevation of gauge zero. Other parameters have none.
"""

from __future__ import annotations

import enum
import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

import msgspec

from warning import config_units
from warning.errors import InputError
from warning.model import Cause, Parameter, Reading
from warning.region import Region, Series, Station

# What loggers write when they have no value. Compared before the unit is converted.
SENTINELS = frozenset({-888.0, -999.0, -9999.0, -999999.0})
FUTURE_MS = 5 * 60 * 1000  # further ahead of the gateway's clock is a wrong clock
GAUGE_ZERO = "gauge_zero"
TIPS = "tips"  # of a bucket: a unit of the series whose configuration says what one is in mm

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
OLDEST_MS = (datetime(1900, 1, 1, tzinfo=UTC) - EPOCH) // MILLISECOND
_SHOWN = 60  # so much of a sender's word is repeated in an answer


class Refusal(enum.StrEnum):
    """Why an item is refused: the bounded words of ``InputError.reason`` (a metric label, too)."""

    MALFORMED = "malformed"  # no JSON object, or text that is no Unicode
    EMPTY = "empty"  # a record of Kafka without a value
    UNREADABLE = "unreadable"  # a batch of Kafka that no reader can take apart
    INTERNAL = "internal"  # our own fault: it raised here what nobody foresaw; it is in the log
    FIELD_MISSING = "field_missing"
    FIELD_UNKNOWN = "field_unknown"
    FIELD_TYPE = "field_type"
    VALUE_TYPE = "value_type"  # a number in a string, a list, true
    VALUE_NOT_FINITE = "value_not_finite"  # NaN, infinity, or beyond what a number can hold
    STATION_UNKNOWN = "station_unknown"
    STATION_FORBIDDEN = "station_forbidden"  # the key may not send for it
    PARAMETER_UNKNOWN = "parameter_unknown"
    PARAMETER_NOT_AT_STATION = "parameter_not_at_station"
    UNIT_MISSING = "unit_missing"
    UNIT_UNKNOWN = "unit_unknown"
    UNIT_MISMATCH = "unit_mismatch"
    DATUM_MISSING = "datum_missing"
    DATUM_UNKNOWN = "datum_unknown"
    DATUM_UNEXPECTED = "datum_unexpected"
    TIME_FORMAT = "time_format"
    TIME_FUTURE = "time_future"
    TIME_TOO_OLD = "time_too_old"
    DEVICE_UNKNOWN = "device_unknown"  # no row of devices.csv has it
    PAYLOAD = "payload"  # bytes that do not fit the layout of the device
    AMBIGUOUS = "ambiguous"  # two values for one time in one message
    NOT_OBSERVED = "not_observed"  # a forecast, a maximum of a day: no reading


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One reading as sent. ``unit`` may be left out only where the region's configuration says so (``Series.unit``)."""

    station: str
    parameter: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    value: float | None
    unit: str = ""
    datum: str = ""


@dataclass(frozen=True, slots=True)
class Conversion:
    """How one series' values in one unit and datum become what the system has inside (SI, degC, %): ``value * factor - zero``."""

    station: str
    parameter: Parameter
    factor: float
    zero: float  # m, elevation of gauge zero; degC, less what 0 of the unit is; 0 where values count from there already

    @property
    def plain(self) -> bool:
        """What was sent is in SI already."""
        return self.factor == 1.0 and self.zero == 0.0

    def si(self, value: float) -> float:
        """The value in SI. What is SI already stays as it was sent; else rounded to 1e-6, so that 378 cm are 3.78 m."""
        return value if self.plain else round(value * self.factor - self.zero, 6)


class Formats:
    """Reads items of one region. Holds the conversions that were asked for: at most series x units x datums."""

    def __init__(self, region: Region) -> None:
        self._stations = region.station_by_id
        self._conversions: dict[tuple[str, str, str, str], Conversion] = {}

    def reading(self, item: Item, *, provider: str, received_ms: int, live: bool = True) -> Reading:
        """The reading in SI and UTC. ``live`` False (a replay): times are not compared with the clock. Raises InputError."""
        conversion = self.conversion(item)
        time_ms = (item.time - EPOCH) // MILLISECOND
        if time_ms < OLDEST_MS:
            raise refusal(Refusal.TIME_TOO_OLD, "time", f"{item.time.isoformat()} is before 1900", "send the time of the measurement")
        if live and time_ms > received_ms + FUTURE_MS:
            ahead = f"the time is {(time_ms - received_ms) / 1000:.0f} s ahead of this gateway's clock"
            raise refusal(Refusal.TIME_FUTURE, "time", ahead, "set the sender's clock (NTP), and write the time zone of the time")
        value, cause = item.value, Cause.NONE
        if value is None:
            cause = Cause.MISSING
        elif value in SENTINELS:
            value, cause = None, Cause.SENTINEL
        else:
            value = conversion.si(value)
            if not math.isfinite(value):
                raise refusal(Refusal.VALUE_NOT_FINITE, "value", "the value is not a finite number", "send null when there is no value")
        return Reading(
            station=conversion.station,
            parameter=conversion.parameter,
            time_ms=time_ms,
            value=value,
            received_ms=received_ms,
            provider=provider,
            cause=cause,
        )

    def conversion(self, item: Item) -> Conversion:
        """Of its series as it was sent. Raises InputError."""
        found = self._conversions.get((item.station, item.parameter, item.unit, item.datum))
        if found is not None:
            return found
        station = self._stations.get(item.station)
        if station is None:
            near = item.station.strip().upper()
            fix = f"write {near}" if near in self._stations else "use an id of this region's stations"
            raise refusal(Refusal.STATION_UNKNOWN, "station", f"no station {_shown(item.station)} in this region", fix)
        series = _series(station, item.parameter)
        factor = _factor(series, item.unit)
        zero = _zero(station, series.parameter, item.datum) - config_units.zero(item.unit or series.unit)
        conversion = Conversion(station.id, series.parameter, factor, zero)
        self._conversions[(item.station, item.parameter, item.unit, item.datum)] = conversion
        return conversion


def _series(station: Station, parameter: str) -> Series:
    if parameter not in _PARAMETERS:
        raise refusal(Refusal.PARAMETER_UNKNOWN, "parameter", f"no parameter {_shown(parameter)}", f"one of {', '.join(_PARAMETERS)}")
    for series in station.series:
        if series.parameter.value == parameter:
            return series
    has = ", ".join(series.parameter.value for series in station.series) or "none"
    raise refusal(
        Refusal.PARAMETER_NOT_AT_STATION,
        "parameter",
        f"{station.id} has no {parameter}",
        f"it has: {has}; else add the series to the region's configuration",
    )


def _factor(series: Series, unit: str) -> float:
    unit = unit or series.unit
    quantity = series.parameter.quantity
    if unit == TIPS and series.mm_per_tip is not None:
        return series.mm_per_tip
    choice = "one of " + ", ".join([*config_units.units_of(quantity), *([TIPS] if series.mm_per_tip is not None else [])])
    if not unit:
        raise refusal(Refusal.UNIT_MISSING, "unit", "the unit is missing", choice)
    factors = _factors(unit)
    if quantity in factors:
        return factors[quantity]
    if factors:
        raise refusal(Refusal.UNIT_MISMATCH, "unit", f"{unit} is no unit of {series.parameter.value}", choice)
    raise refusal(Refusal.UNIT_UNKNOWN, "unit", f"no unit {_shown(unit)}", choice)


@lru_cache(maxsize=1000)  # a sender may write anything
def _factors(unit: str) -> dict[str, float]:
    """quantity -> what one ``unit`` is in its SI unit; empty for an unknown unit."""
    factors = {}
    for quantity in ("stage", "discharge", "rain", "temperature", "humidity"):
        with suppress(ValueError):
            factors[quantity] = config_units.factor(unit, quantity)
    return factors


def _zero(station: Station, parameter: Parameter, datum: str) -> float:
    """Elevation to subtract, in m."""
    if parameter is not Parameter.STAGE:
        if datum:
            raise refusal(Refusal.DATUM_UNEXPECTED, "datum", f"a {parameter.value} has no datum", "leave datum out")
        return 0.0
    elevation = station.datum if station.datum != GAUGE_ZERO else "msl"
    known = {GAUGE_ZERO: 0.0}
    if station.zero_elevation_m is not None:
        known[elevation] = station.zero_elevation_m
    if datum in known:
        return known[datum]
    choice = "one of " + ", ".join(known) if len(known) > 1 else f"{GAUGE_ZERO}, the stage above the gauge's zero"
    if not datum:
        raise refusal(Refusal.DATUM_MISSING, "datum", "a stage needs its datum", choice)
    if datum == elevation:
        raise refusal(Refusal.DATUM_UNKNOWN, "datum", f"the region does not know the elevation of {station.id}'s gauge zero", choice)
    raise refusal(Refusal.DATUM_UNKNOWN, "datum", f"no datum {_shown(datum)} at {station.id}", choice)


_PARAMETERS = tuple(parameter.value for parameter in Parameter)
_DECODER = msgspec.json.Decoder(Item)
_ARRAY = msgspec.json.Decoder(list[Item])
_FIELD = re.compile(r"at `\$\.(\w+)")
_NAMED = re.compile(r"(?:required|unknown) field `(.*)`$", re.DOTALL)
_TIME_FIX = "RFC 3339 with a zone, like 2025-09-02T12:00:00+05:00"


def items(body: bytes) -> list[Item] | None:
    """An array of items that can all be read, at once; None for any other body, which is then taken apart item by item."""
    try:
        return _ARRAY.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def item(text: bytes | msgspec.Raw) -> Item:
    """One JSON object as an Item. Raises InputError with the field that is wrong."""
    try:
        return _DECODER.decode(text)
    except msgspec.ValidationError as error:
        raise explained(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        field = _not_finite(bytes(text))
        if field is not None:
            fix = "send null when there is no value"
            raise refusal(Refusal.VALUE_NOT_FINITE, field, "NaN and Infinity are no JSON numbers", fix) from None
        fix = "send JSON (RFC 8259) in UTF-8"
        raise refusal(Refusal.MALFORMED, "", f"not a JSON object: {error}", fix) from None


def _not_finite(text: bytes) -> str | None:
    """The field that holds NaN or Infinity as Python's ``json.dumps`` writes them; None if there is another fault."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    fields = content.items() if isinstance(content, dict) else ()
    return next((shown_field(name) for name, value in fields if isinstance(value, float) and not math.isfinite(value)), None)


def explained(message: str) -> InputError:
    """msgspec's words about an Item -> the refusal."""
    named, at = _NAMED.search(message), _FIELD.search(message)
    if named and "missing" in message:
        return refusal(Refusal.FIELD_MISSING, named[1], f"{named[1]} is missing", f"add {named[1]}; null is for a missing value only")
    if named:
        return refusal(Refusal.FIELD_UNKNOWN, shown_field(named[1]), "unknown field", f"only {', '.join(Item.__struct_fields__)}")
    if at is None:
        return refusal(Refusal.MALFORMED, "", message, "a reading is one JSON object")
    field = at[1]
    if field == "time":
        return refusal(Refusal.TIME_FORMAT, field, message, _TIME_FIX)
    if field == "value" and "range" in message:
        return refusal(Refusal.VALUE_NOT_FINITE, field, "the value is beyond what a number can hold", "send null when there is no value")
    if field == "value":
        return refusal(Refusal.VALUE_TYPE, field, message, "a number without quotes, or null")
    return refusal(Refusal.FIELD_TYPE, field, message, "a text in quotes")


def refusal(reason: Refusal, field: str, detail: str, fix: str) -> InputError:
    return InputError(detail, reason=reason.value, field=field, fix=fix)


def _shown(word: str) -> str:
    """A sender's word, so that it can stand in an answer and a log line: one line, not long."""
    return repr(word if len(word) <= _SHOWN else word[:_SHOWN] + "...")


def shown_field(name: str) -> str:
    """A sender's field name, so that it can stand in an answer: not long, and without half a surrogate pair, which is no UTF-8."""
    return name[:_SHOWN].encode("utf-8", "replace").decode()
