"""From the nouns to what the API answers with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from warning.alerts import cap, exposed
from warning.alerts.display import hazard_of
from warning.alerts.message import words
from warning.model import Alert, AlertEvent, Forecast, Hazard, Level, Receipt
from warning.operate import courses, schema
from warning.operate.store import Document
from warning.operate.view import Point, View
from warning.region import QUANTITIES, Region, Zone

BANDS = {90: 1.6449, 80: 1.2816, 50: 0.6745}  # percent that lie inside -> standard normal quantile of the upper edge
POINTS = 2_000  # readings a series in one answer


def utc(ms: int) -> str:
    """ISO 8601 in UTC; the fraction only if there is one."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds" if ms % 1000 else "seconds").replace("+00:00", "Z")


def maybe(ms: int | None) -> str | None:
    return None if ms is None else utc(ms)


def head(event: AlertEvent) -> schema.AlertHead:
    alert = event.alert
    return schema.AlertHead(
        identifier=alert.identifier,
        hazard=hazard_of(alert.hazard.quantity),
        kind=alert.kind.value,
        level=alert.level.value,
        certainty=alert.certainty.value,
        sent=utc(alert.sent_ms),
        expires=utc(alert.expires_ms),
        arrival=maybe(alert.arrival_ms),
    )


def zone(region: Region, zone: Zone, hazard: Hazard | None, event: AlertEvent | None) -> schema.ZoneProperties:
    """A zone without a hazard is UNKNOWN: nothing was heard of it, and nothing is no "normal"."""
    station = region.station_by_id[zone.station]
    return schema.ZoneProperties(
        id=zone.id,
        names=dict(zone.names),
        hazard=zone.hazard,
        river=zone.river,
        kind=station.kind,
        position=station.position,
        districts=[dict(region.district_by_id[district].names) for district in zone.districts if district in region.district_by_id],
        downstream=zone.downstream,
        quantity=zone.limits.quantity,
        unit=QUANTITIES[zone.limits.quantity].unit,
        limits={level.value: value for level, value in sorted(zone.limits.values.items(), key=lambda item: item[0].rank)},
        limits_source=", ".join(filter(None, (zone.limits.source, zone.limits.date, zone.limits.version))),
        level=(hazard.level if hazard else Level.UNKNOWN).value,
        level_confirmed=(hazard.level_confirmed if hazard else Level.UNKNOWN).value,
        level_expected=(hazard.level_expected if hazard else Level.UNKNOWN).value,
        warn_level=(hazard.warn_level if hazard else Level.UNKNOWN).value,
        probability=hazard.probability if hazard else 0.0,
        arrival=maybe(hazard.arrival_ms) if hazard else None,
        value=hazard.value if hazard else None,
        observed=maybe(hazard.observed_ms) if hazard else None,
        silent_since=maybe(hazard.silent_since_ms) if hazard else None,
        at=utc(hazard.at_ms) if hazard else None,
        words=_words(region, zone, hazard),
        alert=head(event) if event else None,
    )


def _words(region: Region, zone: Zone, hazard: Hazard | None) -> list[str]:
    """The reasons in English; those of a quiet gauge are not worth their bytes on the topic and are put into words here."""
    if hazard is None:
        return ["nothing has been heard of this gauge yet"]
    return list(hazard.words) or [words(reason, region, "en", zone.limits.quantity) for reason in hazard.reasons]


def zones(region: Region, view: View, active: Mapping[str, AlertEvent]) -> schema.Zones:
    """``active``: zone -> the alert that holds there now."""
    features = []
    for each in region.zones:
        station = region.station_by_id[each.station]
        place = None if station.lat is None or station.lon is None else schema.Place(coordinates=(station.lon, station.lat))
        properties = zone(region, each, view.hazards.get(each.id), active.get(each.id))
        features.append(schema.ZoneFeature(id=each.id, geometry=place, properties=properties))
    return schema.Zones(features=features)


def series(parameter: str, unit: str, points: list[Point]) -> schema.SeriesAnswer:
    shown = points[-POINTS:]
    return schema.SeriesAnswer(
        parameter=parameter,
        unit=unit,
        times=[utc(point.time_ms) for point in shown],
        values=[point.value for point in shown],
        causes=[point.cause for point in shown],
        complete=len(shown) == len(points),
    )


def forecast(hazard: Hazard | None) -> schema.ForecastAnswer | None:
    """The expected course with the span in which it lies with probability 80 %."""
    if hazard is None or hazard.forecast is None:
        return None
    told = hazard.forecast
    bands = [
        schema.BandAnswer(percent=percent, low=_away(told, -deviations), high=_away(told, deviations))
        for percent, deviations in BANDS.items()
    ]
    return schema.ForecastAnswer(
        issued=utc(told.issued_ms),
        times=[utc(told.issued_ms + round(lead * 3_600_000)) for lead in told.lead_h],
        median=list(told.median),
        bands=bands,
        low=_away(told, -BANDS[80]),
        high=_away(told, BANDS[80]),
    )


def _away(told: Forecast, deviations: float) -> list[float | None]:
    """The course so many standard deviations above its median."""
    pairs = zip(told.median, told.sigma, strict=True)
    return [None if median is None else median + deviations * (sigma or 0.0) for median, sigma in pairs]


def reasons(region: Region, zone: Zone, hazard: Hazard | None) -> dict[str, list[str]]:
    """In every language of the region that has texts. Who and what lies there is left out: ``exposure`` shows it."""
    if hazard is None:
        return {}
    shown = [reason for reason in hazard.reasons if reason.code != "exposure"]
    told = {language: [words(reason, region, language, zone.limits.quantity) for reason in shown] for language in cap.languages(region)}
    if hazard.words:  # as they were decided
        codes = [reason.code for reason in hazard.reasons] if len(hazard.words) == len(hazard.reasons) else [""] * len(hazard.words)
        told["en"] = [said for said, code in zip(hazard.words, codes, strict=True) if code != "exposure"]
    return told


def exposure(region: Region, zone: Zone) -> schema.ExposureAnswer | None:
    found = zone.exposure
    if found is None:
        return None
    known = [region.asset_by_id[one] for one in found.assets if one in region.asset_by_id]
    return schema.ExposureAnswer(
        basis=found.basis,
        within_km=found.within_m / 1000.0,
        towns=found.towns,
        people=found.people,
        unsized=found.unsized,
        largest=[schema.TownAnswer(name=town.name, people=town.people) for town in found.largest],
        assets=[
            schema.AssetAnswer(id=one.id, kind=one.kind, names=dict(one.names), coordinates=(one.lon, one.lat), position=one.position)
            for one in known
        ],
        texts={language: words(exposed.reason(found), region, language) for language in cap.languages(region)},
    )


def hydrograph(
    region: Region, view: View, zone_id: str, active: Mapping[str, AlertEvent], since_ms: int, until_ms: int
) -> schema.Hydrograph:
    place = region.zone_by_id[zone_id]
    hazard = view.hazards.get(zone_id)
    tracks = [series(*course) for course in courses.of(region, view, place, since_ms, until_ms)]
    return schema.Hydrograph(
        zone=zone(region, place, hazard, active.get(zone_id)),
        series=tracks,
        forecast=forecast(hazard),
        reasons=reasons(region, place, hazard),
        exposure=exposure(region, place),
        windows=hazard.windows if hazard else {},
    )


def alert(region: Region, active: Mapping[str, AlertEvent], document: Document, withheld: str) -> schema.AlertAnswer:
    """``withheld``: why its words may not leave the house; "" if they may."""
    event = document.event
    told = event.alert
    known = region.zone_by_id.get(told.zone)
    holds = active.get(told.zone)
    return schema.AlertAnswer(
        **head(event).model_dump(),
        zone=told.zone,
        zone_names=dict(known.names) if known else {"en": told.zone},
        revision=told.revision,
        status=told.status.value,
        previous_level=told.previous_level.value,
        raised=utc(told.raised_ms),
        silent_since=maybe(told.silent_since_ms),
        current=holds is not None and holds.alert.identifier == told.identifier,
        event_ids=list(told.event_ids),
        references=[reference.identifier for reference in told.references],
        words=list(told.hazard.words),
        texts={
            language: schema.TextAnswer(
                event=text.event,
                headline=text.headline,
                description=text.description,
                instruction=text.instruction,
                area=text.area,
                reasons=_reasons(region, told, language, known),
            )
            for language, text in document.texts.items()
            if not withheld
        },
        cap=f"/v1/alerts/{told.identifier}.cap" if document.cap and not withheld else None,
        withheld=withheld or None,
    )


def _reasons(region: Region, told: Alert, language: str, zone: Zone | None) -> list[str]:
    """Of an alert, in one language; the English ones as they were decided."""
    if language == "en" and told.hazard.words:
        return list(told.hazard.words)
    return [words(reason, region, language, zone.limits.quantity if zone else told.hazard.quantity) for reason in told.hazard.reasons]


def delivery(receipt: Receipt) -> schema.DeliveryAnswer:
    return schema.DeliveryAnswer(
        alert=receipt.alert,
        zone=receipt.zone,
        level=receipt.level.value,
        contact=receipt.contact,
        channel=receipt.channel,
        state=receipt.state.value,
        attempt=receipt.attempt,
        at=utc(receipt.at_ms),
        parts=receipt.parts,
        parts_delivered=receipt.parts_delivered,
        language=receipt.language,
        doubled=receipt.doubled,
        resent=receipt.resent,
        reason=receipt.reason,
    )
