"""Records for the tests of ``operate``, made of the real 2025 readings of the Indus and the region's real limits.

What is decided here is only as much as a page needs to have something to show; nothing is claimed about floods.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import msgspec
from aiokafka import AIOKafkaProducer

from warning import config
from warning.deployment import Deployment
from warning.model import (
    Alert,
    AlertEvent,
    Cause,
    Certainty,
    DeliveryState,
    EventKind,
    Forecast,
    Hazard,
    Level,
    Parameter,
    Reading,
    Reason,
    Receipt,
    Rejected,
    Tick,
    to_json,
)
from warning.region import Region, Zone, named
from warning.stream.replay import log_with_ticks, replay_file

ROOT = Path(__file__).parent.parent
CUSEC = 0.028316846592
HOUR = 3_600_000
NOW = round(datetime(2025, 9, 3, 6, 0, tzinfo=UTC).timestamp() * 1000)  # the waves of Chenab, Ravi and Sutlej are on their way
SILENT = "CHE-KHANKI"  # shown as silent since its last reading


def indus() -> Region:
    return config.load(ROOT / "config" / "indus")


@dataclass
class Records:
    """What stands on the topics at ``NOW``."""

    readings: list[Reading] = field(default_factory=list)
    hazards: list[Hazard] = field(default_factory=list)
    alerts: list[AlertEvent] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    now_ms: int = NOW

    @property
    def in_force(self) -> dict[str, AlertEvent]:
        """zone -> what holds there."""
        newest = {event.alert.zone: event for event in self.alerts}
        return {zone: event for zone, event in newest.items() if event.alert.active and event.alert.expires_ms > self.now_ms}


def readings(region: Region, until_ms: int = NOW) -> list[Reading]:
    found = []
    with (ROOT / "config" / "indus" / "replays" / "flood-2025.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            at = round(datetime.fromisoformat(row["time"]).timestamp() * 1000)
            value = float(row["value"]) * (CUSEC if row["unit"] == "cusec" else 1.0)
            found.append(
                Reading(
                    station=row["station"],
                    parameter=Parameter(row["parameter"]),
                    time_ms=at,
                    value=value,
                    received_ms=at + 60_000,
                    provider="replay",
                )
            )
    return sorted((each for each in found if each.time_ms <= until_ms), key=lambda each: each.time_ms)


def level_of(zone: Zone, value: float) -> Level:
    return max((level for level, limit in zone.limits.values.items() if value >= limit), key=lambda level: level.rank, default=Level.NORMAL)


def cap_of(region: Region, alert: Alert) -> str:
    """As much CAP as the API and the page read; the real documents are ``alerts.cap``'s."""
    infos = "".join(
        f"<info><language>{language}</language><category>Met</category><event>{escape(event)}</event><urgency>Immediate</urgency>"
        f"<severity>Severe</severity><certainty>{alert.certainty.value}</certainty><headline>{escape(headline)}</headline>"
        f"<description>{escape(description)}</description><instruction>{escape(instruction)}</instruction>"
        f"<area><areaDesc>{escape(area)}</areaDesc></area></info>"
        for language, event, headline, description, instruction, area in _texts(region, alert)
    )
    sent = datetime.fromtimestamp(alert.sent_ms / 1000, UTC).isoformat(timespec="seconds")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">'
        f"<identifier>{alert.identifier}</identifier><sender>{region.sender}</sender><sent>{sent}</sent>"
        f"<status>{alert.status.value}</status><msgType>Alert</msgType><scope>Public</scope>{infos}</alert>"
    )


def _texts(region: Region, alert: Alert) -> Iterable[tuple[str, str, str, str, str, str]]:
    zone = region.zone_by_id[alert.zone]
    english, urdu = named(zone.names, "en"), named(zone.names, "ur")
    yield (
        "en-US",
        "Flood",
        f"{named(region.class_names[alert.level], 'en')} at {english}",
        " ".join(alert.hazard.words),
        "Move people and animals to high ground.",
        ", ".join(named(region.district_by_id[each].names, "en") for each in zone.districts),
    )
    yield (
        "ur-PK",
        "سیلاب",
        f"{urdu} پر {named(region.class_names[alert.level], 'ur')}",
        f"دریا کا بہاؤ {urdu} پر بڑھ رہا ہے۔",
        "لوگوں اور مویشیوں کو اونچی جگہ لے جائیں۔",
        "، ".join(named(region.district_by_id[each].names, "ur") for each in zone.districts),
    )


def hazard_of(region: Region, zone: Zone, newest: Reading | None, number: int) -> Hazard:
    value = newest.value if newest else None
    level = Level.UNKNOWN if newest is None or value is None or zone.id == SILENT else level_of(zone, value)
    expected = Level.NORMAL if value is None else level_of(zone, value * 1.1)
    words = []
    if newest is not None and value is not None:
        words.append(f"{value / CUSEC:,.0f} cusec at {named(zone.names, 'en')}")
    if level is Level.UNKNOWN:
        words.append("silent since 2025-08-30" if newest else "this gauge has never spoken")
    return Hazard(
        region=region.id,
        zone=zone.id,
        at_ms=NOW,
        quantity="discharge",
        value=value,
        observed_ms=newest.time_ms if newest else None,
        level=level,
        level_confirmed=level,
        level_cleared=level,
        level_expected=expected,
        level_expected_cleared=expected,
        probability=0.0 if value is None else 0.62,
        arrival_ms=NOW + 9 * HOUR if expected > level else None,
        silent_since_ms=newest.time_ms if newest and level is Level.UNKNOWN else None,
        reasons=(Reason(code="observed", values={"value": value}),),
        words=tuple(words),
        forecast=None
        if value is None
        else Forecast(
            issued_ms=NOW,
            lead_h=(1.0, 3.0, 6.0, 12.0, 24.0),
            median=tuple(value * factor for factor in (1.01, 1.04, 1.08, 1.1, 1.02)),
            sigma=tuple(value * factor for factor in (0.02, 0.05, 0.08, 0.12, 0.2)),
        ),
        config=region.digest,
        n=number,
    )


def alert_of(region: Region, hazard: Hazard, *, kind: EventKind = EventKind.RAISE, revision: int = 0, sent_ms: int = NOW) -> AlertEvent:
    alert = Alert(
        identifier=f"{region.namespace}.{hazard.zone}.{NOW}.{revision}",
        region=region.id,
        zone=hazard.zone,
        revision=revision,
        kind=kind,
        event_ids=(f"{region.namespace}.wave.1",),
        status=region.status,
        level=hazard.warn_level,
        previous_level=Level.NORMAL,
        certainty=Certainty.OBSERVED if hazard.level > Level.NORMAL else Certainty.LIKELY,
        raised_ms=NOW,
        sent_ms=sent_ms,
        expires_ms=sent_ms + 22 * HOUR,
        arrival_ms=hazard.arrival_ms,
        told_arrival_ms=hazard.arrival_ms,
        hazard=hazard,
        silent_since_ms=hazard.silent_since_ms,
    )
    return AlertEvent(alert=alert, cap=cap_of(region, alert), config=region.digest, code="test")


def receipts(region: Region, events: list[AlertEvent], now_ms: int) -> list[Receipt]:
    """One for each contact as far as the events go: delivered, accepted and failed in turn."""
    states = (DeliveryState.DELIVERED, DeliveryState.ACCEPTED, DeliveryState.FAILED)
    return [
        Receipt(
            region=region.id,
            alert=event.alert.identifier,
            zone=event.alert.zone,
            level=event.alert.level,
            contact=contact.id,
            channel="sms" if contact.phone else "webhook",
            state=states[number % 3],
            attempt=1,
            at_ms=now_ms + number * 1000,
            parts=2,
            parts_delivered=2 if number % 3 == 0 else 0,
            language=contact.language,
            reason="timeout" if number % 3 == 2 else "",
        )
        for number, (event, contact) in enumerate(zip(events, region.contacts, strict=False))
    ]


def decided(region: Region, now_ms: int) -> Records:
    """What the real pipeline decided on the real readings until then; only the receipts are made up."""
    made = Records(readings=[msgspec.structs.replace(each, received_ms=each.time_ms) for each in readings(region, now_ms)], now_ms=now_ms)
    hazards: dict[str, Hazard] = {}
    log = log_with_ticks(region, made.readings, tail_s=max(0, now_ms - made.readings[-1].time_ms) // 1000)
    for closed in replay_file(region, log):
        if closed.outputs.now_ms <= now_ms:
            hazards |= {hazard.zone: hazard for hazard in closed.hazards}
            made.alerts += closed.alerts
            made.rejected += closed.rejected
    made.hazards = list(hazards.values())
    made.receipts = receipts(region, list(made.in_force.values()), now_ms)
    return made


def records(region: Region) -> Records:
    """The picture of NOW: every zone's hazard, an alert for each that is in flood, deliveries, and some bad readings."""
    made = Records(readings=readings(region))
    newest: dict[str, Reading] = {each.station: each for each in made.readings}
    for number, zone in enumerate(region.zones):
        hazard = hazard_of(region, zone, newest.get(zone.station), number)
        made.hazards.append(hazard)
        if hazard.warn_level >= Level.LOW:
            made.alerts.append(alert_of(region, hazard))
    made.receipts = receipts(region, made.alerts * 2, NOW)
    bad = Reading(station="CHE-PANJNAD", parameter=Parameter.INFLOW, time_ms=NOW, value=9e6, received_ms=NOW, provider="replay")
    made.readings.append(bad)
    made.rejected.append(
        Rejected(reason=Cause.GROSS_RANGE.value, stage="qc", detail="value above 60,000 m3/s", record=to_json(bad).decode(), at_ms=NOW)
    )
    made.rejected.append(Rejected(reason="malformed", stage="decode", detail="not JSON", record="{", at_ms=NOW))
    return made


async def send(deployment: Deployment, region: Region, made: Records) -> None:
    """Writes them to the topics, a tick at the end."""
    producer = AIOKafkaProducer(bootstrap_servers=deployment.bootstrap, acks="all")
    await producer.start()
    try:
        for reading in made.readings:
            partition = region.partition_of(reading.station)
            key = region.station_by_id[reading.station].basin.encode()
            await producer.send(deployment.readings, to_json(reading), key=key, partition=partition)
        for rejected in made.rejected:
            await producer.send(deployment.rejected, to_json(rejected))
        for hazard in made.hazards:
            partition = region.partition_of(region.zone_by_id[hazard.zone].station)
            await producer.send(deployment.hazards, to_json(hazard), key=hazard.zone.encode(), partition=partition)
        for event in made.alerts:
            await producer.send(deployment.alerts, to_json(event), key=event.alert.identifier.encode())
        for receipt in made.receipts:
            await producer.send(deployment.receipts, to_json(receipt), key=receipt.alert.encode())
        for partition in range(region.partitions):
            await producer.send(deployment.readings, to_json(Tick(tick_ms=made.now_ms, writer="test")), partition=partition)
        await producer.flush()
    finally:
        await producer.stop()
