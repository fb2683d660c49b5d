"""Alert -> CAP 1.2 (OASIS, 1 July 2010), canonical and unsigned: the same alert gives the same bytes anywhere.

Canonical is C14N (W3C) of a document whose elements stand in the schema's order, after an XML declaration. One ``info`` per language of the
region that has texts, with the same category and event code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from lxml import etree

from warning.alerts import exposed
from warning.alerts.display import DRAFT_LANGUAGES, LANGUAGES, class_name, clean, hazard_of, phrases
from warning.alerts.message import area_words, arrival_ms, check_code, description, headline, instruction
from warning.alerts.parsed import NAMESPACE, ParsedAlert, parse
from warning.model import Alert, Certainty, EventKind, Level, Reference, Status
from warning.region import QUANTITIES, Region, Ring, named

__all__ = ["ParsedAlert", "document", "message_type", "parse", "severity", "time", "urgency"]

CATEGORY = "Met"
BY_HAND = "manual"  # in the identifier of what a person said, before its zone
# OASIS event terms list, and our own word; the list's code for rain is not known to us. Flash flood and heat: as the feeds of other
# services use them (Syria's MHEWS, 2026); verify with the list before status Actual.
EVENT_CODES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "flood": (("OET:v1.2", "OET-081"),),
    "flash_flood": (("OET:v1.2", "OET-079"), ("ews:hazard", "flash_flood")),
    "heat": (("OET:v1.2", "OET-098"), ("ews:hazard", "heat")),
    "heavy_rain": (("ews:hazard", "heavy_rain"),),
}
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

_SEVERITY: Mapping[Level, str] = {
    Level.UNKNOWN: "Unknown",
    Level.NORMAL: "Minor",
    Level.LOW: "Minor",
    Level.MEDIUM: "Moderate",
    Level.HIGH: "Severe",
    Level.VERY_HIGH: "Extreme",
    Level.EXCEPTIONAL: "Extreme",
}
_RESPONSES: Mapping[Level, tuple[str, ...]] = {
    Level.UNKNOWN: ("Monitor",),
    Level.NORMAL: ("AllClear",),
    Level.LOW: ("Monitor",),
    Level.MEDIUM: ("Prepare",),
    Level.HIGH: ("Prepare", "Avoid"),
    Level.VERY_HIGH: ("Evacuate",),
    Level.EXCEPTIONAL: ("Evacuate",),
}
_HEAT_RESPONSES: Mapping[Level, tuple[str, ...]] = {
    **_RESPONSES,
    Level.HIGH: ("Avoid",),
    Level.VERY_HIGH: ("Shelter",),
    Level.EXCEPTIONAL: ("Shelter",),
}
_DEFAULT: Any = {None: NAMESPACE}
_IMMEDIATE_MS, _EXPECTED_MS = 6 * 3_600_000, 24 * 3_600_000


def document(alert: Alert, region: Region) -> str:
    """The CAP 1.2 document of a revision. ValueError for an EXPIRE: nothing unexpired is left that it could refer to."""
    if alert.kind is EventKind.EXPIRE:
        raise ValueError(f"{alert.identifier}: an alert that expired has no document")
    root = etree.Element(f"{{{NAMESPACE}}}alert", nsmap=_DEFAULT)
    _put(root, "identifier", alert.identifier)
    _put(root, "sender", region.sender)
    _put(root, "sent", time(alert.sent_ms, region))
    _put(root, "status", alert.status.value)
    _put(root, "msgType", message_type(alert))
    if alert.status is Status.ACTUAL:
        _put(root, "scope", "Public")
    else:  # an exercise is for its participants, and a reader that ignores status must not take it for public
        _put(root, "scope", "Restricted")
        _put(root, "restriction", f"Participants of this {alert.status.value.lower()} only")
    _put(root, "note", _note(alert, region))
    _put(root, "references", " ".join(f"{region.sender},{one.identifier},{time(one.sent_ms, region)}" for one in alert.references))
    _put(root, "incidents", " ".join(alert.event_ids))
    for language in languages(region):
        _info(root, alert, region, language)
    return DECLARATION + etree.tostring(root, method="c14n").decode("utf-8")


def _note(alert: Alert, region: Region) -> str:
    """What whoever reads the document for others has to know."""
    said = [] if alert.status is Status.ACTUAL else [phrases("en").exercise_note]
    if (
        alert.kind is EventKind.CLEAR
        and f".{BY_HAND}.{alert.zone}." in alert.identifier
        and replaces_automatic(alert.zone, alert.references)
    ):
        until = time(alert.expires_ms, region)
        said.append(f"Called off by hand until {until}: if the automatic warning still holds then, it is told again; at once if it rises.")
    return " ".join(said)


def replaces_automatic(zone: str, references: Iterable[Reference]) -> bool:
    """Whether one of these is of a chain that no person made."""
    return any(f".{BY_HAND}.{zone}." not in one.identifier for one in references)


def languages(region: Region) -> tuple[str, ...]:
    """The region's languages that have texts; never none."""
    return tuple(dict.fromkeys(one for one in region.languages if one.split("-")[0] in LANGUAGES)) or ("en",)


def time(ms: int, region: Region) -> str:
    """``2025-08-27T15:00:00+05:00``: the region's local time. CAP wants UTC written as -00:00."""
    text = datetime.fromtimestamp(ms // 1000, UTC).astimezone(timezone(timedelta(seconds=region.utc_offset_s))).isoformat()
    return text.replace("+00:00", "-00:00") if region.utc_offset_s == 0 else text


def message_type(alert: Alert) -> str:
    """Alert, Update or Cancel. Without an unexpired predecessor there is nothing to update."""
    if alert.kind is EventKind.CLEAR:
        return "Cancel"
    return "Update" if alert.references else "Alert"


def severity(alert: Alert) -> str:
    """By class: LOW minor, MEDIUM moderate, HIGH severe, above extreme."""
    return _SEVERITY[alert.level if alert.active else Level.NORMAL]


def urgency(alert: Alert) -> str:
    """By lead: the water is there or within 6 h (or nobody knows when) immediate, within 24 h expected, else future; ended: past."""
    if not alert.active:
        return "Past"
    if alert.arrival_ms is None or alert.arrival_ms - alert.sent_ms <= _IMMEDIATE_MS:
        return "Immediate"
    return "Expected" if alert.arrival_ms - alert.sent_ms <= _EXPECTED_MS else "Future"


def _info(root: Any, alert: Alert, region: Region, language: str) -> None:
    info = _put(root, "info")
    _put(info, "language", language)
    _put(info, "category", CATEGORY)
    hazard = hazard_of(alert.hazard.quantity)
    _put(info, "event", phrases(language, hazard).event)
    for response in (_HEAT_RESPONSES if hazard == "heat" else _RESPONSES)[alert.level if alert.active else Level.NORMAL]:
        _put(info, "responseType", response)
    _put(info, "urgency", urgency(alert))
    _put(info, "severity", severity(alert))
    _put(info, "certainty", (alert.certainty if alert.active else Certainty.OBSERVED).value)
    for name, value in EVENT_CODES[hazard]:
        _pair(info, "eventCode", name, value)
    _put(info, "effective", time(alert.sent_ms, region))
    onset_ms = alert.sent_ms if alert.arrival_ms is None else max(alert.arrival_ms, alert.sent_ms)
    if alert.active and onset_ms // 1000 < alert.expires_ms // 1000:  # water that comes after this document's end: a parameter says when
        _put(info, "onset", time(onset_ms, region))
    _put(info, "expires", time(alert.expires_ms, region))
    _put(info, "senderName", named(region.names, language))
    _put(info, "headline", headline(alert, region, language))
    _put(info, "description", description(alert, region, language))
    _put(info, "instruction", instruction(alert, region, language))
    _put(info, "web", region.urls.get("page", ""))
    for name, value in _parameters(alert, region, language):
        if value:
            _pair(info, "parameter", name, value)
    _area(info, alert, region, language)


def _parameters(alert: Alert, region: Region, language: str) -> Iterable[tuple[str, str]]:
    """Machine-readable facts, the same in every language but for the class's local name. SI values, as the system judged them."""
    hazard = alert.hazard
    unit = QUANTITIES[hazard.quantity].unit if hazard.quantity in QUANTITIES else ""
    yield "zone", alert.zone
    yield "revision", str(alert.revision)
    yield "kind", alert.kind.value
    yield "level", alert.level.value
    yield "levelName", class_name(alert.level, region, language, hazard_of(hazard.quantity))
    yield "previousLevel", alert.previous_level.value
    yield "quantity", hazard.quantity
    yield "value", "" if hazard.value is None else f"{hazard.value:.3f} {unit}".rstrip()
    yield "observedAt", "" if hazard.observed_ms is None else time(hazard.observed_ms, region)
    yield "observedLevel", hazard.level.value
    yield "silentSince", "" if alert.silent_since_ms is None else time(alert.silent_since_ms, region)
    yield "expectedLevel", hazard.level_expected.value
    expected = arrival_ms(alert)
    yield "expectedArrival", "" if expected is None else time(expected, region)
    yield "probability", f"{hazard.probability:.3f}" if hazard.level_expected > Level.NORMAL else ""
    yield from _exposure(alert, region)
    yield "checkCode", check_code(alert.identifier)
    yield "configuration", region.digest[:12]
    yield "translation", "draft, not reviewed by a native speaker" if language.split("-")[0] in DRAFT_LANGUAGES else ""


def _exposure(alert: Alert, region: Region) -> Iterable[tuple[str, str]]:
    """Who and what lies there, while the warning stands: people in towns whose centre lies inside, and assets by their English names."""
    found = next((reason.values for reason in alert.hazard.reasons if reason.code == "exposure"), None)
    if found is None or not alert.active:
        return
    within = found.get("within_km")
    yield "exposureBasis", f"{found.get('basis')} {within:g} km" if isinstance(within, int | float) and within else str(found.get("basis"))
    yield "townsExposed", str(found.get("towns"))
    yield "peopleInTownsExposed", str(found.get("people"))
    yield "assetsExposed", "; ".join(exposed.name(one, region, phrases("en")) for one in exposed.ids(found))


def _area(info: Any, alert: Alert, region: Region, language: str) -> None:
    area = _put(info, "area")
    zone = region.zone_by_id.get(alert.zone)
    if zone is None:
        _put(area, "areaDesc", alert.zone)
        return
    _put(area, "areaDesc", area_words(zone, region, language))
    if zone.polygon:
        _put(area, "polygon", _points(zone.polygon))
    codes = (region.district_by_id[district].geocode for district in zone.districts if district in region.district_by_id)
    for code in dict.fromkeys(codes):
        if code:
            _pair(area, "geocode", "ISO3166-2", code)


def _points(ring: Ring) -> str:
    """``lat,lon`` to four decimals (11 m), without a point twice in a row."""
    points: list[str] = []
    for lat, lon in ring:
        point = f"{lat:.4f},{lon:.4f}"
        if not points or points[-1] != point:
            points.append(point)
    return " ".join(points)


def _put(parent: Any, name: str, text: str | None = None) -> Any:
    """A child with that text; none at all for an empty text, because an element without content says nothing."""
    said = None if text is None else clean(text)
    if said == "":
        return None
    child = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    child.text = said
    return child


def _pair(parent: Any, name: str, key: str, value: str) -> None:
    pair = _put(parent, name)
    _put(pair, "valueName", key)
    _put(pair, "value", value)
