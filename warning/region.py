"""The nouns that stand still: one region as its folder of ``config/`` describes it. Built by ``warning.config`` only.

All values are SI (m, m3/s, mm, seconds), whatever unit the files use; positions are WGS 84 degrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from warning.model import Level, Parameter, Status

Names = Mapping[str, str]  # language (BCP 47: en, ur, si) -> name
Ring = tuple[tuple[float, float], ...]  # (lat, lon), closed


def named(names: Names, language: str) -> str:
    """The name in that language, else English, else whatever there is."""
    return names.get(language) or names.get("en") or next(iter(names.values()))


@dataclass(frozen=True, slots=True)
class Series:
    """One parameter at one station, with its quality limits. A limit of None means: test not evaluated; 0 is a limit."""

    station: str
    parameter: Parameter
    plausible_min: float | None = None
    plausible_max: float | None = None
    rise_per_hour: float | None = None  # more is suspect until the next reading or a neighbour confirms it
    fall_per_hour: float | None = None
    spike: float | None = None  # departure of the last but one from the mean of its neighbours
    flat_after_s: int | None = None
    flat_within: float = 0.0  # changes up to this are no change
    unit: str = ""  # the unit that senders may leave out (set only for pulled or replayed feeds); "" = they must say


@dataclass(frozen=True, slots=True)
class Station:
    id: str
    names: Names
    kind: str  # gauge | barrage | dam | rain
    river: str
    basin: str
    lat: float | None
    lon: float | None
    position: str  # published | approximate
    series: tuple[Series, ...]
    silent_after_s: int  # no good reading for so long: UNKNOWN
    datum: str = "gauge_zero"
    zero_elevation_m: float | None = None  # elevation of gauge zero, for senders that give elevations
    source: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Official limits of one zone, rising with the class; a class without a limit is absent."""

    quantity: str  # stage | discharge
    values: Mapping[Level, float]
    source: str
    date: str
    version: str


@dataclass(frozen=True, slots=True)
class Zone:
    """The reach of a river below a gauge, with its districts. Its id is its station's."""

    id: str
    names: Names
    station: str
    river: str
    basin: str
    districts: tuple[str, ...]
    limits: Limits
    downstream: str | None = None
    polygon: Ring | None = None  # None: no river line there, and none is invented
    local_classes: Names | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """Water passes from one zone's gauge to the next in ``travel_low_s`` .. ``travel_high_s``.

    ``share_low`` .. ``share_high``: what part of a rise arrives (attenuation). Without travel times it only says who lies downstream.
    """

    upstream: str
    downstream: str
    travel_low_s: int | None
    travel_high_s: int | None
    basis: str  # published | assumed
    share_low: float = 0.6
    share_high: float = 1.0


@dataclass(frozen=True, slots=True)
class District:
    id: str
    names: Names
    geocode: str  # ISO 3166-2 code of the province or district


@dataclass(frozen=True, slots=True)
class Contact:
    """Who is told. ``live`` False: a contact for exercises only, with a number that cannot be dialled."""

    id: str
    name: str
    role: str  # public | official | responder | operator
    language: str
    districts: tuple[str, ...]  # empty: all
    level: Level  # from this class on
    phone: str = ""  # E.164
    webhook: str = ""  # URL
    secret: str = ""  # whsec_...
    live: bool = True


@dataclass(frozen=True, slots=True)
class ForecastRules:
    trend_window_s: int = 6 * 3600
    trend_points: int = 3  # fewer than this in the window: no trend
    trend_horizon_s: int = 3 * 3600  # 0: no trend
    probability: float = 0.5  # needed to expect a class
    probability_keep: float = 0.3  # below this the expectation is over
    travel_spread: float = 0.25  # spread of a routed rise, as a part of it, on top of the reach's own


@dataclass(frozen=True, slots=True)
class AlertRules:
    """When to raise, when to clear: at once upwards, slowly down, never because of silence."""

    warn_from: Level = Level.LOW
    confirm_readings: int = 2  # 1 or 2: good readings needed below ``at_once``; a twin sensor or a neighbour counts as the second
    at_once: tuple[Level, ...] = (Level.VERY_HIGH, Level.EXCEPTIONAL)  # one good reading is enough
    margin_stage_m: float = 0.10
    margin_discharge: float = 0.05  # part of the limit
    clear_after_s: int = 3600
    expires_after_s: int = 81_000  # 22.5 h
    renew_before_s: int = 3600
    arrival_change: float = 0.25
    arrival_change_s: int = 3 * 3600
    approve_from: Level | None = None  # a person must release this class and above
    approve_within_s: int = 900
    unanswered: str = "hold"  # hold | send, when nobody answered in time


@dataclass(frozen=True)
class Region:
    """One folder of ``config/``, frozen. ``digest`` identifies its content."""

    id: str
    names: Names
    namespace: str  # first part of alert identifiers, e.g. ews.indus
    sender: str  # CAP sender
    status: Status
    languages: tuple[str, ...]  # of the documents; English first
    utc_offset_s: int
    timezone_name: str  # as written after local times, e.g. PKT
    country: str  # ISO 3166-1 alpha-2
    display_units: Mapping[str, str]  # quantity -> unit that people there read: cusec, ft, m
    class_names: Mapping[Level, Names]  # official names of the classes
    partitions: int
    basins: Mapping[str, int]  # basin -> partition
    stations: tuple[Station, ...]
    zones: tuple[Zone, ...]  # upstream before downstream
    reaches: tuple[Reach, ...]
    districts: tuple[District, ...]
    contacts: tuple[Contact, ...]
    forecast: ForecastRules
    alert: AlertRules
    exercise_numbers: str  # prefix of numbers that cannot be dialled
    urls: Mapping[str, str]  # "page": where people read more
    digest: str
    folder: str  # where it was read from; for messages and the map's files, not part of the digest
    bounds: tuple[float, float, float, float] | None = None  # south, west, north, east: all that belongs to the region lies inside

    @cached_property
    def station_by_id(self) -> Mapping[str, Station]:
        return {station.id: station for station in self.stations}

    @cached_property
    def zone_by_id(self) -> Mapping[str, Zone]:
        return {zone.id: zone for zone in self.zones}

    @cached_property
    def district_by_id(self) -> Mapping[str, District]:
        return {district.id: district for district in self.districts}

    @cached_property
    def reaches_into(self) -> Mapping[str, tuple[Reach, ...]]:
        """zone -> the reaches that end at it"""
        into: dict[str, list[Reach]] = {}
        for reach in self.reaches:
            into.setdefault(reach.downstream, []).append(reach)
        return {zone: tuple(reaches) for zone, reaches in into.items()}

    def partition_of(self, station: str) -> int:
        return self.basins[self.station_by_id[station].basin]
