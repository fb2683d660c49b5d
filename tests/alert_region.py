"""A region and hazards for the tests of warning/alerts, built from the nouns: Marala (discharge) above Khanki, and Kelani (stage)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from warning.alerts.lifecycle import transition
from warning.model import CLASSES, Alert, Hazard, Level, Parameter, Reason, Status
from warning.region import AlertRules, Contact, District, ForecastRules, Limits, Reach, Region, Series, Station, Zone

CUSEC = 0.3048**3
T0 = 1_756_260_000_000  # 2025-08-27T02:00:00Z = 07:00 PKT
S, M, H = 1000, 60_000, 3_600_000

MARALA_LIMITS = dict(zip(CLASSES, (100_000 * CUSEC, 150_000 * CUSEC, 200_000 * CUSEC, 400_000 * CUSEC, 600_000 * CUSEC), strict=True))
STAGE_LIMITS = dict(zip(CLASSES[:3], (5.0, 6.2, 9.6), strict=True))
POLYGON = ((32.60, 74.40), (32.60, 74.50), (32.40, 74.10), (32.35, 73.95), (32.45, 73.95), (32.60, 74.40))


def _station(id_: str, names: dict[str, str], lat: float, lon: float, parameter: Parameter) -> Station:
    series = (Series(station=id_, parameter=parameter),)
    return Station(id_, names, "barrage", "Chenab", "chenab", lat, lon, "published", series, 36 * 3600)


def _zone(
    id_: str, names: dict[str, str], districts: tuple[str, ...], limits: Limits, polygon: Any = None, down: str | None = None
) -> Zone:
    return Zone(id_, names, id_, "Chenab", "chenab", districts, limits, down, polygon)


MARALA = {"en": "Marala", "ur": "مرالہ"}
KHANKI = {"en": "Khanki", "ur": "خانکی"}
KELANI = {"en": "Nagalagam Street", "si": "නාගලගම් වීදිය"}

REGION = Region(
    id="chenab",
    names={"en": "Chenab flood warning", "ur": "چناب سیلاب وارننگ"},
    namespace="ews.chenab",
    sender="ews@chenab.example",
    status=Status.EXERCISE,
    languages=("en", "ur", "si"),
    utc_offset_s=5 * 3600,
    timezone_name="PKT",
    country="PK",
    display_units={"discharge": "cusec", "stage": "m"},
    class_names={Level.HIGH: {"en": "High Flood", "ur": "اونچے درجے کا سیلاب"}},
    partitions=1,
    basins={"chenab": 0},
    stations=(
        _station("CHE-MARALA", MARALA, 32.6, 74.4, Parameter.DISCHARGE),
        _station("CHE-KHANKI", KHANKI, 32.4, 73.95, Parameter.DISCHARGE),
        _station("KEL-NAGALAGAM", KELANI, 32.3, 73.9, Parameter.STAGE),
    ),
    zones=(
        _zone(
            "CHE-MARALA", MARALA, ("sialkot", "gujrat"), Limits("discharge", MARALA_LIMITS, "FFD", "2025-09-09", "1"), POLYGON, "CHE-KHANKI"
        ),
        _zone("CHE-KHANKI", KHANKI, ("gujrat",), Limits("discharge", MARALA_LIMITS, "FFD", "2025-09-09", "1")),
        _zone("KEL-NAGALAGAM", KELANI, ("gujrat",), Limits("stage", STAGE_LIMITS, "DMC", "2025-11-01", "1")),
    ),
    reaches=(Reach("CHE-MARALA", "CHE-KHANKI", 6 * 3600, 12 * 3600, "assumed"),),
    districts=(
        District("sialkot", {"en": "Sialkot", "ur": "سیالکوٹ"}, "PK-PB"),
        District("gujrat", {"en": "Gujrat", "ur": "گجرات"}, "PK-PB"),
    ),
    contacts=(),
    forecast=ForecastRules(),
    alert=AlertRules(),
    exercise_numbers="+999",
    urls={"page": "https://ews.example/chenab"},
    digest="0123456789abcdef" * 4,
    folder="",
)
ZONE = REGION.zones[0]
DRILL = Contact("drill", "Drill", "responder", "en", (), Level.LOW, phone="+99955501", live=False)
LIVE = Contact("live", "Duty officer", "responder", "en", (), Level.LOW, phone="+923001234567", live=True)


def actual(region: Region = REGION) -> Region:
    return replace(region, status=Status.ACTUAL)


def with_rules(region: Region = REGION, **rules: Any) -> Region:
    return replace(region, alert=replace(region.alert, **rules))


def hazard(now_ms: int = T0, zone: Zone = ZONE, **fields: Any) -> Hazard:
    """A quiet, speaking gauge unless the fields say otherwise; ``observed`` sets level, confirmed and cleared at once."""
    observed = fields.pop("observed", Level.NORMAL)
    expected = fields.pop("expected", Level.NORMAL)
    given: dict[str, Any] = {
        "region": REGION.id,
        "zone": zone.id,
        "at_ms": now_ms,
        "quantity": zone.limits.quantity,
        "value": zone.limits.values.get(observed, 500.0),
        "observed_ms": now_ms,
        "level": observed,
        "level_confirmed": observed,
        "level_cleared": observed,
        "level_expected": expected,
        "level_expected_cleared": expected,
        "probability": 0.8 if expected > Level.NORMAL else 0.0,
        "arrival_ms": None,
        "silent_since_ms": None,
        "config": REGION.digest,
    }
    return Hazard(**(given | fields))


def silent(now_ms: int, since_ms: int | None, **fields: Any) -> Hazard:
    """The gauge says nothing; levels of the observation are UNKNOWN."""
    return hazard(now_ms, observed=Level.UNKNOWN, observed_ms=since_ms, silent_since_ms=since_ms, value=None, **fields)


def raised(region: Region = REGION, zone: Zone = ZONE, now_ms: int = T0, **fields: Any) -> Alert:
    """A first revision as the lifecycle makes it: HIGH is observed unless the fields say otherwise."""
    if "observed" not in fields and "expected" not in fields:
        fields["observed"] = Level.HIGH
    event = transition(None, hazard(now_ms, zone, **fields), zone, region, now_ms).event
    assert event is not None
    return event


PEAK = {"level": "EXCEPTIONAL", "limit": 600_000 * CUSEC}
WAVE = {"upstream": "CHE-MARALA", "upstream_value": 690_000 * CUSEC, "upstream_level": "EXCEPTIONAL"}
TRAVEL = {"travel_low_h": 6.0, "travel_high_h": 12.0, "arrival_ms": T0 + 9 * H}
REASONS = (
    Reason(code="observed_above", values=PEAK | {"value": 690_000 * CUSEC, "parameter": "outflow", "observed_ms": T0}),
    Reason(code="wave", values=WAVE | TRAVEL),
    Reason(code="expected", values=PEAK | {"probability": 0.83, "arrival_ms": T0 + 9 * H}),
    Reason(code="trend", values={"rate_per_h": 1000 * CUSEC, "points": 5, "horizon_h": 3.0}),
)
