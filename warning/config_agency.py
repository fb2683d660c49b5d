"""How an agency writes: which places of its JSON or CSV say what (JMESPath), in which time zone, units and words.

A file a format in ``config/agencies/NAME.yaml`` (shipped: usgs, uk-ea, nwps, dmc-lk, shef, waterml2), or the same keys under
``own_format:`` of a source. Nouns first, then the models of the files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Format = Literal["json", "csv", "shef", "waterml2"]
_PARAMETERS = Literal["stage", "discharge", "inflow", "outflow", "rain", "temperature", "humidity", "none"]  # none: not taken


@dataclass(frozen=True, slots=True)
class Pick:
    """Where something stands: a JMESPath over what is named so far; of its text only the group of ``match``, where there is one."""

    path: str
    match: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One value that each item tells. ``missing_if``: true where the agency writes a number and means "missing"."""

    station: Pick
    what: Pick
    time: Pick
    value: Pick
    unit: Pick | None = None
    datum: Pick | None = None
    missing_if: Pick | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a word of theirs is here; "" and None: it does not say."""

    parameter: str = ""
    unit: str = ""
    datum: str = ""


@dataclass(frozen=True, slots=True)
class Agency:
    """One format. ``parameters`` and ``units``: their words -> ours; a word of theirs that is not in ``parameters`` is not taken."""

    format: Format
    items: tuple[tuple[str, str], ...] = ()  # name -> JMESPath over the names before it, beginning with ``whole``
    readings: tuple[Told, ...] = ()
    parameters: Mapping[str, Meaning] = field(default_factory=dict)
    units: Mapping[str, Meaning] = field(default_factory=dict)
    time_format: str = "iso"  # iso | unix | unix_ms | as strptime
    zone: str = ""  # of times that do not say theirs; "": they must
    no_observation_at: frozenset[str] = frozenset()  # times that say that there is none
    missing: frozenset[float] = frozenset()  # values that mean "missing", beside the sentinels that are known
    decimal_comma: bool = False
    url_times: str = "iso"  # of {since} and {until}
    url_zone: str = "UTC"
    most_items: int | None = None  # so many in an answer: it may have been cut off there
    delimiter: str = ","
    comment: str = ""
    columns: tuple[str, ...] = ()  # of a CSV without a header
    skip_after_header: int = 0


def _path(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no JMESPath; put it in quotes")
    try:
        jmespath.compile(text)
    except JMESPathError as error:
        raise ValueError(f"{text!r} is no JMESPath: {' '.join(str(error).split())}; see jmespath.org") from None
    return text


def _match(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}; write one with one group, such as measures/(.+)$") from None
    if groups != 1:
        raise ValueError(f"{text!r} has {groups} groups; write one with one group, such as measures/(.+)$")
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{text!r} is no time zone; write one such as Asia/Colombo or UTC") from None
    return text


def _time_format(text: str) -> str:
    if text not in ("iso", "unix", "unix_ms") and "%" not in text:
        raise ValueError(f"{text!r} is no format of a time; write iso, unix, unix_ms, or one such as %Y-%m-%d %H:%M")
    return text


def _pick(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


def _meaning(value: object) -> object:
    return {"parameter": value} if isinstance(value, str) else value


def _unit(value: object) -> object:
    return {"unit": value} if isinstance(value, str) else value


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Path = Annotated[str, BeforeValidator(_path)]
Zone = Annotated[str, AfterValidator(_zone)]
TimeFormat = Annotated[str, AfterValidator(_time_format)]


class PickModel(Strict):
    path: Path
    match: Annotated[str, AfterValidator(_match)] | None = None

    def noun(self) -> Pick:
        return Pick(self.path, self.match or "")


Place = Annotated[PickModel, BeforeValidator(_pick)]


class ToldModel(Strict):
    station: Place
    what: Place
    time: Place
    value: Place
    unit: Place | None = None
    datum: Place | None = None
    missing_if: Place | None = None

    def noun(self) -> Told:
        further = (self.unit, self.datum, self.missing_if)
        unit, datum, missing_if = (None if pick is None else pick.noun() for pick in further)
        return Told(self.station.noun(), self.what.noun(), self.time.noun(), self.value.noun(), unit, datum, missing_if)


class ParameterModel(Strict):
    parameter: _PARAMETERS
    unit: str = ""
    datum: str = ""

    def noun(self) -> Meaning:
        return Meaning("" if self.parameter == "none" else self.parameter, self.unit, self.datum)


class UnitModel(Strict):
    unit: str
    datum: str = ""

    def noun(self) -> Meaning:
        return Meaning("", self.unit, self.datum)


Parameters = dict[str, Annotated[ParameterModel, BeforeValidator(_meaning)]]
Units = dict[str, Annotated[UnitModel, BeforeValidator(_unit)]]


class AgencyModel(Strict):
    """The keys of an agency's file."""

    format: Format
    about: str = ""  # for people: whose it is, where it is described, what is odd about it
    items: dict[str, Path] = {}
    readings: list[ToldModel] = []
    parameters: Parameters = {}
    units: Units = {}
    time_format: TimeFormat = "iso"
    zone: Zone | None = None
    no_observation_at: list[str] = []
    missing: list[float | int] = []
    decimal_comma: bool = False
    url_times: TimeFormat = "iso"
    url_zone: Zone = "UTC"
    most_items: Annotated[int, Field(ge=1)] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    comment: Annotated[str, Field(max_length=1)] = ""
    columns: list[str] = []
    skip_after_header: Annotated[int, Field(ge=0, le=10)] = 0

    @model_validator(mode="after")
    def _whole(self) -> AgencyModel:
        generic = self.format in ("json", "csv")
        if generic and not self.readings:
            raise ValueError("nothing says where a reading stands; write readings: with station, what, time, value")
        if not generic and (self.readings or self.items):
            raise ValueError(f"{self.format} says by itself where its readings stand; leave out items and readings")
        if self.format == "json" and not self.items:
            raise ValueError("nothing says where the items are; write items: {item: whole.some.path}")
        if self.format == "csv" and self.items:
            raise ValueError("the items of a CSV are its rows, named row; leave out items")
        return self

    def noun(self) -> Agency:
        return Agency(
            format=self.format,
            items=tuple(self.items.items()),
            readings=tuple(one.noun() for one in self.readings),
            parameters={word: one.noun() for word, one in self.parameters.items()},
            units={word: one.noun() for word, one in self.units.items()},
            time_format=self.time_format,
            zone=self.zone or "",
            no_observation_at=frozenset(self.no_observation_at),
            missing=frozenset(map(float, self.missing)),
            decimal_comma=self.decimal_comma,
            url_times=self.url_times,
            url_zone=self.url_zone,
            most_items=self.most_items,
            delimiter=self.delimiter,
            comment=self.comment,
            columns=tuple(self.columns),
            skip_after_header=self.skip_after_header,
        )
