"""What the API answers with, as its OpenAPI document describes it. Values are SI, times ISO 8601 in UTC, classes by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Names = dict[str, str]
Utc = Annotated[str, Field(description="ISO 8601, UTC", examples=["2025-08-27T06:00:00Z"])]
Class = Literal["UNKNOWN", "NORMAL", "LOW", "MEDIUM", "HIGH", "VERY_HIGH", "EXCEPTIONAL"]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Answer):
    """RFC 9457: what is wrong with the request, where, and what to write instead."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None
    fix: str | None = None


class Unit(_Answer):
    unit: str
    names: Names = Field(default={}, description="language -> how it is written there, where that is another way")
    per_si: float = Field(description="multiply the SI value with this")
    zero: float = Field(default=0.0, description="and then add this: what 0 degC are")


class RegionAnswer(_Answer):
    id: str
    names: Names
    status: Literal["Actual", "Exercise", "Test"]
    replay: bool = Field(description="true: history is being replayed; nothing here is happening now")
    languages: list[str]
    timezone: str
    utc_offset_s: int
    units: dict[str, Unit] = Field(description="quantity -> the unit that people there read")
    class_names: dict[str, Names]
    hazard_class_names: dict[str, dict[str, Names]] = Field(description="the same of what is no river flood: flash_flood, heat, heavy_rain")
    config: str = Field(description="digest of the region's files")
    version: str
    maps: list[str] = Field(description="layers of the base map that /v1/map/{layer} has")
    log_time: Utc | None = Field(description="the clock in the log; null before the first tick")
    still_s: float | None = Field(description="how long the clock in the log has stood still (live deployments)")
    reading: str | None = Field(description="why what is shown may be incomplete or old; null: all is read")


class AlertHead(_Answer):
    identifier: str
    hazard: str = Field(description="flood, flash_flood, heat or heavy_rain")
    kind: str
    level: Class
    certainty: str
    sent: Utc
    expires: Utc
    arrival: Utc | None


class ZoneProperties(_Answer):
    id: str
    names: Names
    hazard: str = Field(description="flood, flash_flood, heat or heavy_rain")
    river: str
    kind: str
    position: str = Field(description="published or approximate")
    districts: list[Names]
    downstream: str | None
    quantity: str
    unit: str
    limits: dict[str, float]
    limits_source: str
    level: Class = Field(description="class of the observation; UNKNOWN: the gauge is silent or never spoke")
    level_confirmed: Class
    level_expected: Class
    warn_level: Class
    probability: float
    arrival: Utc | None
    value: float | None
    observed: Utc | None
    silent_since: Utc | None
    at: Utc | None = Field(description="when this was decided; null: nothing was heard of this zone yet")
    words: list[str]
    alert: AlertHead | None


class Place(_Answer):
    type: Literal["Point"] = "Point"
    coordinates: tuple[float, float] = Field(description="longitude, latitude")


class ZoneFeature(_Answer):
    type: Literal["Feature"] = "Feature"
    id: str
    geometry: Place | None
    properties: ZoneProperties


class Zones(_Answer):
    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[ZoneFeature]


class SeriesAnswer(_Answer):
    parameter: str
    unit: str
    times: list[Utc]
    values: list[float | None]
    causes: list[str] = Field(description="why quality control failed the value; empty: it did not")
    complete: bool = Field(description="false: more readings were in the span, and only the newest are given")


class BandAnswer(_Answer):
    percent: int = Field(description="probability that the course lies inside")
    low: list[float | None]
    high: list[float | None]


class ForecastAnswer(_Answer):
    issued: Utc
    times: list[Utc]
    median: list[float | None]
    bands: list[BandAnswer] = Field(description="spans around the median, the widest first")
    low: list[float | None] = Field(description="median - 1.2816 sigma: exceeded with probability 90 %")
    high: list[float | None] = Field(description="median + 1.2816 sigma: exceeded with probability 10 %")


class TownAnswer(_Answer):
    name: str
    people: int = Field(description="0: unknown")


class AssetAnswer(_Answer):
    id: str
    kind: str
    names: Names
    coordinates: tuple[float, float] = Field(description="longitude, latitude")
    position: str = Field(description="published or approximate")


class ExposureAnswer(_Answer):
    basis: str = Field(description="polygon, distance or districts: how it was counted; it is no inundation map")
    within_km: float = Field(description="width of the polygon, or distance from the gauge")
    towns: int
    people: int = Field(description="in towns whose centre lies inside")
    unsized: int = Field(description="towns of unknown population")
    largest: list[TownAnswer]
    assets: list[AssetAnswer]
    texts: dict[str, str] = Field(description="language -> the same in few words")


class Hydrograph(_Answer):
    zone: ZoneProperties
    series: list[SeriesAnswer]
    forecast: ForecastAnswer | None
    reasons: dict[str, list[str]] = Field(description="language -> why the zone is judged as it is")
    exposure: ExposureAnswer | None = Field(description="null: nobody has listed towns or assets")
    windows: dict[str, dict[str, float | int | None]]


class TextAnswer(_Answer):
    event: str
    headline: str
    description: str
    instruction: str
    area: str
    reasons: list[str] = Field(description="why, one by one")


class AlertAnswer(AlertHead):
    zone: str
    zone_names: Names
    revision: int
    status: str
    previous_level: Class
    raised: Utc
    silent_since: Utc | None
    current: bool = Field(description="true: this is what holds for its zone now")
    event_ids: list[str]
    references: list[str]
    words: list[str] = Field(description="the reasons, in words and numbers")
    texts: dict[str, TextAnswer] = Field(description="language -> the words of the document")
    cap: str | None = Field(description="path of the CAP document; null: the event has none, or it is withheld")
    withheld: str | None = Field(description="why the document may not be seen yet, e.g. it waits for a person's release")


class Alerts(_Answer):
    alerts: list[AlertAnswer]
    next: str | None = Field(description="value of ?before= for the next, older page")


class DeliveryAnswer(_Answer):
    alert: str
    zone: str
    level: Class
    contact: str
    channel: str
    state: str
    attempt: int
    at: Utc
    parts: int
    parts_delivered: int
    language: str
    doubled: bool
    resent: int = Field(description="attempts before an operator had it sent again; 0: nobody did")
    reason: str


class Deliveries(_Answer):
    counts: dict[str, dict[str, int]] = Field(description="channel -> state -> deliveries, of all that are in memory")
    deliveries: list[DeliveryAnswer] = Field(description="newest first")


class SilentSeries(_Answer):
    station: str
    names: Names
    parameter: str
    last: Utc | None
    silent_s: float | None


class RejectedCount(_Answer):
    stage: str
    reason: str
    records: int


class FlaggedCount(_Answer):
    station: str
    parameter: str
    cause: str
    readings: int


class RejectedRecord(_Answer):
    stage: str
    reason: str
    detail: str
    provider: str
    at: Utc


class ServiceAnswer(_Answer):
    out: bool = Field(description="out of service; false: in service again")
    since: Utc
    at: Utc = Field(description="when it was said")
    who: str
    why: str


class SensorAnswer(_Answer):
    station: str
    parameter: str
    state: Literal["ok", "silent", "never", "out"]
    seen: Utc | None = Field(description="when a gateway last took anything of it")
    reading: Utc | None = Field(description="its newest time of measurement")
    good: Utc | None = Field(description="of its newest good reading")
    expected_s: int = Field(description="no good reading for so long: silent")
    usual_s: float | None = Field(description="median pause between its last readings; of /v1/sensors/{station} only")
    overdue: float | None = Field(description="age of the newest good reading, times expected_s")
    delay_s: float | None = Field(description="from measurement to gateway, of the last reading")
    provider: str
    flags: dict[str, int] = Field(description="cause -> readings that quality control failed")
    service: ServiceAnswer | None


class DeviceAnswer(_Answer):
    device: str
    way: str
    station: str
    heard: Utc | None
    silent: Utc | None = Field(description="when its last will came, if it has not spoken since")
    battery_v: float | None
    battery_percent: float | None
    rssi_dbm: float | None
    snr_db: float | None
    clock_skew_s: float | None = Field(description="its clock less ours")
    gateways: int | None
    expected_s: int | None = Field(description="how often it should speak, as devices.csv says")


class RefusedCount(_Answer):
    station: str = Field(description="as its sender calls it")
    reason: str
    records: int


class StationSensors(_Answer):
    station: str
    names: Names
    sensors: list[SensorAnswer]
    devices: list[DeviceAnswer]
    refused: list[RefusedCount]
    history: list[ServiceAnswer] = Field(description="what was said of its sensors, oldest first")


class Sensors(_Answer):
    log_time: Utc | None
    counts: dict[str, int] = Field(description="state -> sensors: ok, silent, never, out (of service)")
    out: list[SensorAnswer] = Field(description="out of service: their silence is no alarm")
    devices: list[DeviceAnswer] = Field(description="the worst first, at most 500")
    refused: list[RefusedCount] = Field(description="the most frequent, at most 100")
    silent: list[SilentSeries]
    rejected: list[RejectedCount]
    flagged: list[FlaggedCount]
    recent: list[RejectedRecord] = Field(description="the newest rejected records, newest first")


PROBLEMS: dict[int | str, dict[str, Any]] = {
    422: {"description": "A parameter is wrong", "model": Problem, "content": {"application/problem+json": {}}},
    503: {"description": "The store of documents is away", "model": Problem, "content": {"application/problem+json": {}}},
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is none of that name", "model": Problem, "content": {"application/problem+json": {}}}
}


class CheckAnswer(_Answer):
    """What became of the message that carries a code. Compare ``messages`` with what you got: a code proves only that we sent these."""

    code: str
    state: Literal["in_force", "replaced", "ended", "expired", "unknown"] = Field(
        description="replaced: a newer message stands in its place; ended: the all-clear was given; unknown: we did not send it"
    )
    status: Literal["Actual", "Exercise", "Test"] | None = None
    zone: str | None = None
    zone_names: Names = {}
    level: Class | None = None
    headline: Names = Field(default={}, description="language -> headline")
    messages: Names = Field(default={}, description="language -> the SMS with this code, as the public got it")
    sent: Utc | None = None
    until: Utc | None = Field(default=None, description="when what holds now runs out")
    newest: Names = Field(default={}, description="language -> headline of what holds instead (replaced, ended)")


class CertificateAnswer(_Answer):
    name: str
    state: Literal["current", "valid", "next", "past"] = Field(description="current: signs now; valid: could")
    begins: Utc
    ends: Utc
    sha256: str = Field(description="fingerprint, to compare by telephone before you pin it")
    pem: str


class Certificates(_Answer):
    certificates: list[CertificateAnswer]
