"""The nouns that stand still: one region as its folder of ``config/`` describes it. Built by ``warning.config`` only.

All values are SI (m, m3/s, mm, seconds), whatever unit the files use; positions are WGS 84 degrees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from warning.model import Level, Parameter, Status

Names = Mapping[str, str]  # language (BCP 47: en, ur, si) -> name
Ring = tuple[tuple[float, float], ...]  # (lat, lon), closed


def named(names: Names, language: str) -> str:
    """The name in that language, else English, else whatever there is."""
    return names.get(language) or names.get("en") or next(iter(names.values()))


_NOBODYS = re.compile(r"(?:.+\.)?(?:example\.(?:com|net|org)|[a-z0-9-]+\.(?:example|test|invalid))")  # RFC 2606


def nobodys_email(address: str) -> bool:
    """Can the address reach nobody? Exercise contacts have such ones, as they have numbers that cannot be dialled."""
    return _NOBODYS.fullmatch(address.rpartition("@")[2].lower()) is not None


@dataclass(frozen=True, slots=True)
class Quality:
    """Further tests of one series (``quality.csv``; ``science.qc_activity``, ``science.qc_neighbours``). None, "": not made. SI units."""

    gap_s: int | None = None
    spike: float | None = None  # least departure of a spike by the series' own past
    spike_factor: float | None = None  # times its usual change
    still_s: int | None = None  # least standstill that is too long by its own past
    still_factor: float | None = None  # times its longest
    shift: float | None = None  # least step of a datum shift
    neighbours: tuple[str, ...] = ()  # stations whose series of the same parameter move with it
    twin: str = ""  # station of a second sensor of the same parameter at the same water
    twin_within: float | None = None
    attenuated: float | None = None  # range in 24 h that is none ...
    while_moving: float | None = None  # ... while the neighbours rise by more than this
    alone: float | None = None  # steady creep in 24 h that no neighbour shares
    rain: str = ""  # station of the rain that it rises with
    rise: float | None = None  # in 6 h, not without ...
    dry_mm: float | None = None  # ... so much rain in 24 h
    wet_mm: float | None = None  # so much rain in 24 h is not without a rise
    months: tuple[tuple[float, float], ...] = ()  # twelve times (least, greatest) of the season


@dataclass(frozen=True, slots=True)
class Rating:
    """Discharge (m3/s) at some stages (m) of one station, rising; valid ``from_s`` <= time < ``to_s`` (None: until a newer one)."""

    station: str
    from_s: int
    to_s: int | None
    stages: tuple[float, ...]
    discharges: tuple[float, ...]
    source: str


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
    rain_as: str = "increment"  # increment | total | tips: what a rain gauge sends; grid: the mean of grids over its catchment
    mm_per_tip: float | None = None  # of a tipping bucket: senders may use the unit tips
    reset_s: int | None = None  # second of the UTC day at which a total begins again; None: not by the clock
    roll_over_mm: float | None = None  # where a counter begins again at 0
    quality: Quality | None = None  # further tests


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
class Quantity:
    """What a zone's limits are in: read by its gauge, or derived from what its stations read."""

    unit: str  # inside the system; "" for a ratio
    resolution: float  # values are rounded to it before they are compared with a limit
    hazard: str  # flood | flash_flood | heat | heavy_rain
    parameters: tuple[Parameter, ...]  # what each of the zone's stations must measure; of a discharge any of them is enough
    shown: str  # whose display unit it is shown in
    hours: int = 0  # rain: over so many hours

    @property
    def derived(self) -> bool:
        return self.hazard != "flood"


def _rain(hours: int) -> Quantity:
    return Quantity("mm", 0.1, "heavy_rain", (Parameter.RAIN,), "rain", hours)


_HEAT = (Parameter.TEMPERATURE, Parameter.HUMIDITY)
QUANTITIES: Mapping[str, Quantity] = {
    "stage": Quantity("m", 0.001, "flood", (Parameter.STAGE,), "stage"),
    "discharge": Quantity("m3/s", 0.1, "flood", (Parameter.DISCHARGE, Parameter.INFLOW, Parameter.OUTFLOW), "discharge"),
    "heat_index": Quantity("degC", 0.1, "heat", _HEAT, "temperature"),
    "wet_bulb": Quantity("degC", 0.1, "heat", _HEAT, "temperature"),
    **{f"rain_{hours}h": _rain(hours) for hours in (1, 3, 6, 24, 72)},
    "flash_flood": Quantity("", 0.01, "flash_flood", (Parameter.RAIN,), "ratio"),  # rain over its threshold, which falls with wetness
}


@dataclass(frozen=True, slots=True)
class Guidance:
    """What makes a small catchment flood (``science.flashflood``): the runoff that fills its stream, and how its ground yields it."""

    curve_number: float  # of the SCS, for ground neither dry nor wet
    runoff_mm: tuple[tuple[int, float], ...]  # (hours of rain, runoff that just floods), each duration once


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one zone, rising with the class; a class without a limit is absent."""

    quantity: str  # a name of ``QUANTITIES``
    values: Mapping[Level, float]
    source: str
    date: str
    version: str


@dataclass(frozen=True, slots=True)
class Town:
    """A town of ``places.csv``: where its centre lies, and how many live in all of it. ``people`` 0: nobody knows."""

    name: str
    people: int
    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class Asset:
    """Something of the corridor that a flood stops or cuts off: a border post, a bridge, a power station, a fibre node."""

    id: str
    kind: str  # one of config_schema.AssetKind
    names: Names
    lat: float
    lon: float
    position: str  # published | approximate
    source: str
    zones: tuple[str, ...] = ()  # named by the region's owner; besides these, the zones that it lies in
    district: str = ""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Who and what lies in a zone, by ``basis``: in its ``polygon``, within a ``distance`` of its gauge, or in its ``districts``.

    A town counts whole if its centre lies inside: nobody says how much of it would be under water. Villages are on no list.
    """

    basis: str
    within_m: float  # width of the polygon, or distance from the gauge; 0: by districts
    towns: int
    people: int  # in these towns, as far as known
    unsized: int  # towns of unknown population
    largest: tuple[Town, ...]
    assets: tuple[str, ...]  # ids


@dataclass(frozen=True, slots=True)
class Zone:
    """Where one hazard is judged: the reach of a river below a gauge, whose id it has, or the area that ``stations`` stand for."""

    id: str
    names: Names
    station: str
    river: str
    basin: str
    districts: tuple[str, ...]
    limits: Limits
    downstream: str | None = None
    polygon: Ring | None = None  # None: no river line there, and none is invented
    stations: tuple[str, ...] = ()  # of a derived quantity; ``station`` is the first of them
    guidance: Guidance | None = None  # flash flood only
    exposure: Exposure | None = None  # None: nobody has listed towns or assets

    @property
    def hazard(self) -> str:
        """flood, flash_flood, heat or heavy_rain."""
        return QUANTITIES[self.limits.quantity].hazard


@dataclass(frozen=True, slots=True)
class Reach:
    """Water passes from one zone's gauge to the next in ``travel_low_s`` .. ``travel_high_s``.

    ``share_low`` .. ``share_high``: what part of a rise arrives (attenuation). Without travel times it only says who lies downstream.
    """

    upstream: str
    downstream: str
    travel_low_s: int | None
    travel_high_s: int | None
    basis: str  # published | learnt | assumed
    share_low: float = 0.6
    share_high: float = 1.0


@dataclass(frozen=True, slots=True)
class District:
    id: str
    names: Names
    geocode: str  # ISO 3166-2 code of the province or district


@dataclass(frozen=True, slots=True)
class Catchment:
    """The land whose rain a station of grids stands for: polygons, each an outer ring and its holes."""

    station: str
    polygons: tuple[tuple[Ring, ...], ...]


CHANNELS = ("sms", "voice", "email", "card", "webhook", "broadcast")  # people's in their usual order; machines' stand beside those


@dataclass(frozen=True, slots=True)
class Contact:
    """Who is told. ``live`` False: a contact for exercises only, with a number that cannot be dialled."""

    id: str
    name: str
    role: str  # public | official | responder | operator | agency (who subscribed through the API)
    language: str
    districts: tuple[str, ...]  # empty: all
    level: Level  # from this class on
    phone: str = ""  # E.164
    webhook: str = ""  # URL
    secret: str = ""  # whsec_...
    live: bool = True
    email: str = ""
    voice: bool = False  # its phone may be called
    office: str = ""  # contacts of one office stand in for each other ...
    rank: int = 0  # ... in this order
    village: str = ""
    channels: tuple[str, ...] = ()  # of CHANNELS, in order of preference; empty: every one that has an address, in the order of CHANNELS
    quiet: tuple[int, int] | None = None  # minutes of the local day [from, until), also over midnight; life-safety overrides
    control_room: bool = False  # of its districts
    lat: float | None = None
    lon: float | None = None
    consent: bool = True
    former_secret: str = ""  # of the webhook, while it is rotated: both sign


@dataclass(frozen=True, slots=True)
class ForecastRules:
    trend_window_s: int = 6 * 3600
    trend_points: int = 3  # fewer than this in the window: no trend
    trend_horizon_s: int = 3 * 3600  # 0: no trend
    probability: float = 0.5  # needed to expect a class
    probability_keep: float = 0.3  # below this the expectation is over
    travel_spread: float = 0.25  # spread of a routed rise, as a part of it, on top of the reach's own
    model: str = ""  # text of the trained model (``science.network``); empty: the straight line alone
    # Probability needed that the limit is reached within so many hours; defaults by hindcast over rivers left out (science/model/MODEL.md).
    needed_6h: float = 0.5
    needed_12h: float = 0.7
    needed_24h: float = 0.8
    needed_keep: float = 0.05  # what part of it keeps an expectation alive: it is called off when it has become very unlikely
    miss_cost: tuple[tuple[Level, float], ...] = ()  # class -> how much worse than usual a miss is than a false alarm; 1 if absent


@dataclass(frozen=True, slots=True)
class AlertRules:
    """When to raise, when to clear: at once upwards, slowly down, never because of silence."""

    warn_from: Level = Level.LOW
    confirm_readings: int = 2  # 1 or 2: good readings needed below ``at_once``; a twin sensor or a neighbour counts as the second
    at_once: tuple[Level, ...] = (Level.VERY_HIGH, Level.EXCEPTIONAL)  # one good reading is enough
    margin_stage_m: float = 0.10
    margin_discharge: float = 0.05  # part of the limit
    margin_heat_k: float = 0.5
    margin_rain: float = 0.05  # part of the limit, also of a flash flood's ratio
    clear_after_s: int = 3600
    expires_after_s: int = 81_000  # 22.5 h
    renew_before_s: int = 3600
    arrival_change: float = 0.25
    arrival_change_s: int = 3 * 3600
    approve_from: Level | None = None  # a person must release this class and above
    approve_within_s: int = 900
    unanswered: str = "hold"  # hold | send, when nobody answered in time
    escalate_after_s: int = 300  # without a receipt or an answer: next channel, then the office, then the control room; 0: never
    call_off_for_s: int = 6 * 3600  # so long an end by hand keeps an automatic chain quiet
    approve_persons: int = 1  # 1 or 2: so many different people must release it


@dataclass(frozen=True, slots=True)
class SmsRules:
    """Who may join by SMS. ``countries``: whose numbers (ISO 3166-1 alpha-2); empty: the region's."""

    countries: tuple[str, ...] = ()
    joins_per_hour: int = 10_000  # new numbers, of all together


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
    ratings: tuple[Rating, ...] = ()
    catchments: tuple[Catchment, ...] = ()  # not part of the digest: rain is decided by its readings, wherever they come from
    bounds: tuple[float, float, float, float] | None = None  # south, west, north, east: all that belongs to the region lies inside
    assets: tuple[Asset, ...] = ()
    sms: SmsRules = SmsRules()  # not part of the digest
    reviewed_languages: tuple[str, ...] = ()  # whose draft texts a native speaker of the agency has read; not part of the digest

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
    def asset_by_id(self) -> Mapping[str, Asset]:
        return {asset.id: asset for asset in self.assets}

    @cached_property
    def reaches_into(self) -> Mapping[str, tuple[Reach, ...]]:
        """zone -> the reaches that end at it"""
        into: dict[str, list[Reach]] = {}
        for reach in self.reaches:
            into.setdefault(reach.downstream, []).append(reach)
        return {zone: tuple(reaches) for zone, reaches in into.items()}

    def partition_of(self, station: str) -> int:
        return self.basins[self.station_by_id[station].basin]
