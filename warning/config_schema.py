"""What may stand in a region's files: one strict model per file. Unknown keys are errors; units stand in values or headers."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from warning.config_units import amount
from warning.model import CLASSES, Level, Parameter
from warning.region import CHANNELS

Kind = Literal["gauge", "barrage", "dam", "rain", "weather"]
Role = Literal["public", "official", "responder", "operator"]
AssetKind = Literal[
    "border_post", "port", "dry_port", "highway", "bridge", "railway", "airport", "power", "grid", "fibre", "dam", "hospital", "water"
]  # fmt: skip


def _seconds(text: object) -> int:
    return round(amount(text, "time"))


def _metres(text: object) -> float:
    return amount(text, "length")


def _degrees(text: object) -> float:
    return amount(text, "temperature")


def _part(text: object) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a percentage such as 5 %")
    return float(match[1]) / 100.0


def _offset(text: object) -> int:
    match = re.fullmatch(r"([+-])(\d\d):([0-5]\d)", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'{text!r} is not an offset from UTC in quotes, such as "+05:00"')
    return (1 if match[1] == "+" else -1) * (int(match[2]) * 3600 + int(match[3]) * 60)


def _class(text: object) -> Level:
    if not isinstance(text, str) or text not in Level.__members__ or Level[text] not in CLASSES:
        raise ValueError(f"{text!r} is not a class; write one of {', '.join(level.name for level in CLASSES)}")
    return Level[text]


def _class_or_normal(text: object) -> Level:
    return Level.NORMAL if text == "NORMAL" else _class(text)


_PARAMETERS = {parameter.value: parameter for parameter in Parameter}


def _parameter(text: object) -> Parameter:
    if not isinstance(text, str) or text not in _PARAMETERS:
        raise ValueError(f"{text!r} is not a parameter; write one of {', '.join(_PARAMETERS)}")
    return _PARAMETERS[text]


def _listed(text: object) -> tuple[str, ...]:
    """``a|b|c`` in its parts; an empty cell never gets here."""
    return tuple(part.strip() for part in str(text).split("|") if part.strip())


WORD = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
DOTTED = r"^[^\s,<&]+$"
LOWER = r"^[a-z][a-z0-9-]*$"
COUNTRY = r"^[A-Z]{2}$"
PREFIX = r"^\+[0-9]+$"
DATE = r"^\d{4}(-\d\d(-\d\d)?)?$"
FIELD = r"^[a-z][a-z0-9_]*$"
CHANNEL = r"^[0-9A-F]{4}$"
GEOCODE = r"^[A-Z]{2}-[A-Z0-9]{1,3}$"
# Pattern -> what to write, for people.
PATTERNS = {
    WORD: "letters, digits, - and _, no spaces",
    DOTTED: "no space, comma, < or &",
    LOWER: "small letters, digits and -",
    FIELD: "small letters, digits and _",
    CHANNEL: 'four hexadecimal digits in capitals and quotes, such as "0382"',
    COUNTRY: "a country code of two capitals, such as PK",
    PREFIX: '+ and digits in quotes, such as "+999"',
    DATE: "a date such as 2025-09-09, or a year",
    GEOCODE: "ISO 3166-2, such as PK-PB",
}

Text = Annotated[str, Field(min_length=1)]
Word = Annotated[str, Field(pattern=WORD)]  # safe in identifiers, URLs, metric labels and Kafka keys
Dotted = Annotated[str, Field(pattern=DOTTED)]  # CAP: no space, comma, < or &
Number = Annotated[float, Field(allow_inf_nan=False)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Part = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[int, BeforeValidator(_seconds), Field(gt=0)]
SecondsOrNone = Annotated[int, BeforeValidator(_seconds), Field(ge=0)]
Class = Annotated[Level, BeforeValidator(_class)]
OneParameter = Annotated[Parameter, BeforeValidator(_parameter)]
ClassNames = dict[Annotated[Level, BeforeValidator(_class_or_normal)], dict[str, Text]]
Listed = Annotated[tuple[str, ...], PlainValidator(_listed)]  # pydantic cannot make a tuple of a string by itself


def _channels(text: object) -> tuple[str, ...]:
    found = _listed(text)
    if unknown := [name for name in found if name not in CHANNELS]:
        raise ValueError(f"{unknown[0]!r} is not a channel; write some of {'|'.join(CHANNELS)}, the preferred first")
    if len(set(found)) < len(found):
        raise ValueError(f"{text!r} names a channel twice; write each once, the preferred first")
    return found


def _quiet(text: object) -> tuple[int, int]:
    """``22:00-06:00`` -> minutes of the local day."""
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", str(text))
    if match is None or match[1] + match[2] == match[3] + match[4]:
        raise ValueError(f"{text!r} are no quiet hours; write them as 22:00-06:00, local time")
    return int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])


Channels = Annotated[tuple[str, ...], PlainValidator(_channels)]
Quiet = Annotated[tuple[int, int], PlainValidator(_quiet)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TimezoneFile(_Model):
    name: Text
    utc_offset: Annotated[int, BeforeValidator(_offset)]


class UnitsFile(_Model):
    discharge: Text = "m3/s"
    stage: Text = "m"
    rain: Text = "mm"
    temperature: Text = "degC"


class BoundsFile(_Model):
    south: Annotated[float, Field(ge=-90, le=90)]
    west: Annotated[float, Field(ge=-180, le=180)]
    north: Annotated[float, Field(ge=-90, le=90)]
    east: Annotated[float, Field(ge=-180, le=180)]


class PolygonFile(_Model):
    width: Annotated[float, BeforeValidator(_metres), Field(gt=0, le=100_000)]
    snap_within: Annotated[float, BeforeValidator(_metres), Field(gt=0, le=100_000)]


class ExposureFile(_Model):
    """``within``: for a zone without a polygon, how far from its gauge towns and assets count as exposed."""

    within: Annotated[float, BeforeValidator(_metres), Field(gt=0, le=100_000)]


class ForecastFile(_Model):
    """Names and defaults as in ``region.ForecastRules``; an absent key keeps the default there."""

    trend_window: Seconds | None = None
    trend_points: Annotated[int, Field(ge=2)] | None = None
    trend_horizon: SecondsOrNone | None = None
    probability: Part | None = None
    probability_keep: Part | None = None
    travel_spread: Annotated[float, BeforeValidator(_part)] | None = None
    model: Text | None = None  # standard | none | a file beside region.yaml
    needed_6h: Part | None = None
    needed_12h: Part | None = None
    needed_24h: Part | None = None
    needed_keep: Part | None = None
    miss_cost: dict[Class, Positive] | None = None


class AlertFile(_Model):
    """Names and defaults as in ``region.AlertRules``; an absent key keeps the default there."""

    warn_from: Class | None = None
    confirm_readings: Annotated[int, Field(ge=1, le=2)] | None = None
    at_once: list[Class] | None = None
    margin_stage: Annotated[float, BeforeValidator(_metres), Field(ge=0)] | None = None
    margin_discharge: Annotated[float, BeforeValidator(_part), Field(lt=1)] | None = None
    margin_heat: Annotated[float, BeforeValidator(_degrees), Field(ge=0)] | None = None
    margin_rain: Annotated[float, BeforeValidator(_part), Field(lt=1)] | None = None
    clear_after: SecondsOrNone | None = None
    expires_after: Seconds | None = None
    renew_before: Seconds | None = None
    arrival_change: Annotated[float, BeforeValidator(_part)] | None = None
    arrival_change_time: Seconds | None = None
    approve_from: Class | None = None
    approve_within: Seconds | None = None
    unanswered: Literal["hold", "send"] | None = None
    escalate_after: SecondsOrNone | None = None
    call_off_for: Seconds | None = None
    approve_persons: Annotated[int, Field(ge=1, le=2)] | None = None


class SmsFile(_Model):
    """Names and defaults as in ``region.SmsRules``."""

    countries: list[Annotated[str, Field(pattern=COUNTRY)]] = []
    joins_per_hour: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000


class RegionFile(_Model):
    """``region.yaml``."""

    id: Annotated[str, Field(pattern=LOWER)]
    names: dict[str, Text]
    namespace: Dotted
    sender: Dotted
    status: Literal["Actual", "Exercise", "Test"] = "Exercise"
    languages: Annotated[list[Text], Field(min_length=1)]
    reviewed_languages: list[Text] = []
    timezone: TimezoneFile
    country: Annotated[str, Field(pattern=COUNTRY)]
    bounds: BoundsFile
    display_units: UnitsFile = UnitsFile()
    classes: ClassNames
    partitions: Annotated[int, Field(ge=1, le=1000)]
    basins: Annotated[dict[Word, int], Field(min_length=1)]
    exercise_numbers: Annotated[str, Field(pattern=PREFIX)] = "+999"
    urls: dict[str, Text] = {}
    polygon: PolygonFile | None = None
    sms: SmsFile = SmsFile()
    exposure: ExposureFile = ExposureFile(within="10 km")  # type: ignore[arg-type]
    forecast: ForecastFile = ForecastFile()
    alert: AlertFile = AlertFile()


class StationRow(_Model):
    """``stations.csv``. ``names`` are the columns ``name_en``, ``name_ur`` ..."""

    id: Word
    names: dict[str, Text]
    kind: Kind
    river: Text
    basin: Word
    lat: Number | None = None
    lon: Number | None = None
    position: Literal["published", "approximate"] = "published"
    silent_after_h: Positive
    datum: Text = "gauge_zero"
    zero_elevation_m: Number | None = None
    source: str = ""


class SeriesRow(_Model):
    """``series.csv``: limits of quality in ``unit``; rates per hour. An empty cell: that test is not made."""

    station: Word
    parameter: OneParameter
    unit: Text
    plausible_min: Number | None = None
    plausible_max: Number | None = None
    rise_per_hour: Positive | None = None
    fall_per_hour: Positive | None = None
    spike: Positive | None = None
    flat_after_h: Positive | None = None
    flat_within: Annotated[float, Field(ge=0)] = 0.0
    feed_unit: str = ""
    rain_as: Literal["increment", "total", "tips", "grid"] = "increment"
    mm_per_tip: Positive | None = None
    reset_hour: Annotated[float, Field(ge=0, lt=24)] | None = None  # local
    roll_over: Positive | None = None


class LimitsRow(_Model):
    """``limits.csv``: the official limits of a zone in ``unit``. An empty cell: the site has no such class."""

    station: Word
    quantity: Literal["stage", "discharge"]
    unit: Text
    low: Number | None = None
    medium: Number | None = None
    high: Number | None = None
    very_high: Number | None = None
    exceptional: Number | None = None
    source: Text
    date: Annotated[str, Field(pattern=DATE)]
    version: Text

    @property
    def values(self) -> dict[Level, float]:
        """Class -> limit in ``unit``, for the classes that have one."""
        cells = zip(CLASSES, (self.low, self.medium, self.high, self.very_high, self.exceptional), strict=True)
        return {level: value for level, value in cells if value is not None}


class ReachRow(_Model):
    """``reaches.csv``: the river below a gauge. Without ``downstream``: the last gauge of its river."""

    upstream: Word
    downstream: Word | None = None
    travel_low_h: Positive | None = None
    travel_high_h: Positive | None = None
    basis: Literal["published", "learnt", "assumed"] = "assumed"
    share_low: Part = 0.6
    share_high: Annotated[float, Field(gt=0, le=2)] = 1.0
    districts: Listed = ()


class DistrictRow(_Model):
    """``districts.csv``."""

    id: Word
    names: dict[str, Text]
    geocode: Annotated[str, Field(pattern=GEOCODE)]


class AssetRow(_Model):
    """``assets.csv``, which a region may do without. ``zones``: ``a|b``, besides those that it lies in."""

    id: Word
    kind: AssetKind
    names: dict[str, Text]
    lat: Latitude
    lon: Longitude
    position: Literal["published", "approximate"] = "published"
    zones: Listed = ()
    district: str = ""
    source: Text


class PlaceRow(_Model):
    """``places.csv``, which a region may do without: towns as GeoNames lists them. ``population`` 0: unknown."""

    name: Text
    lat: Latitude
    lon: Longitude
    population: Annotated[int, Field(ge=0)]
    geonameid: str = ""
    country: str = ""
    admin1: str = ""
    timezone: str = ""


class ContactRow(_Model):
    """``contacts.csv``. ``districts``: ``a|b``, or ``*`` for all."""

    id: Word
    name: Text
    role: Role
    language: Text
    districts: Listed
    level: Class
    phone: str = ""
    webhook: str = ""
    secret: str = ""
    live: bool
    email: str = ""
    voice: bool = False
    office: str = ""
    rank: Annotated[int, Field(ge=0, le=1000)] = 0
    village: str = ""
    channels: Channels = ()
    quiet: Quiet | None = None
    control_room: bool = False
    lat: Latitude | None = None
    lon: Longitude | None = None
    consent: bool = True
