"""``warning trace ID``: one warning from its reading to the receipt on a phone, out of the log and the ledger.

What is no longer kept is said and not left out: readings leave the log after a week, alerts and the ledger stay.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from warning.alerts.lifecycle import chain_of
from warning.deployment import Deployment
from warning.dispatch import shown
from warning.errors import ConfigError, InputError, Problem, Unavailable, WarningSystemError
from warning.model import AlertEvent, Reading
from warning.operate import traced
from warning.operate.present import utc
from warning.proof.decisions import Decisions
from warning.proof.register import Register
from warning.region import Region
from warning.wiring import clock_ms
from warning.wiring_ledger import reading

HOUR_MS = 3_600_000
BEFORE_MS, AFTER_MS = 10 * 60_000, 48 * HOUR_MS  # a reading is received not long before its time, and may be late
READING = re.compile(r"([^/]+)/([^/]+)/(.+)")
FORMS = "an alert's identifier or chain, STATION/PARAMETER/TIME of a reading, a message's id at the gateway, or the code of an SMS"


@dataclass(frozen=True, slots=True)
class Step:
    """``stage``: reading, rejected, flags, score, decision, cap, delivery, resend. ``data``: JSON values."""

    stage: str
    at_ms: int | None
    words: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Trace:
    id: str
    steps: list[Step] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # what is no longer kept, or cannot be asked


async def trace(region: Region, deployment: Deployment, id: str) -> Trace:
    """Raises ConfigError for an id that nothing has, Unavailable where the ledger does not answer."""
    told = Trace(id)
    async with reading(deployment) as ledger:
        events, contact = await _alerts(region, deployment, ledger, id, told)
        for event in events:
            if not READING.fullmatch(id):
                await _readings_of(region, deployment, event, told)
            _decided(event, told)
            await _deliveries(ledger, event, contact, told)
        await _resent(deployment, {chain_of(event.alert.identifier) for event in events}, told)
    if not told.steps:
        raise ConfigError([Problem(id, "nothing here has that id", f"give {FORMS}")])
    return told


async def _alerts(region: Region, deployment: Deployment, ledger: Any, id: str, told: Trace) -> tuple[list[AlertEvent], str]:
    """The alerts that the id leads to, and the contact that it means ("": all)."""
    if row := await shown.of_alert(ledger, id):
        return [_event(row)], ""
    if rows := [row async for row in shown.alerts(ledger, chain=id)]:
        return [_event(row) for row in rows], ""
    if numbers := await shown.of_message(ledger, id):
        one = await shown.shown(ledger, numbers[0])
        assert one is not None
        row = await shown.of_alert(ledger, one["alert"])
        return ([_event(row)] if row else []), one["contact"]
    if named := READING.fullmatch(id):
        return await _of_reading(region, deployment, ledger, named, told), ""
    return await _of_code(region, deployment, id), ""


def _event(row: dict[str, Any]) -> AlertEvent:
    return msgspec.json.decode(row["value"], type=AlertEvent)


async def _of_code(region: Region, deployment: Deployment, id: str) -> list[AlertEvent]:
    register = Register(region, deployment)
    try:
        answer = await register.verify(id, clock_ms())
    except InputError:
        return []  # it cannot be a code
    finally:
        await register.close()
    return [answer.event] if answer.event else []


async def _of_reading(region: Region, deployment: Deployment, ledger: Any, named: re.Match[str], told: Trace) -> list[AlertEvent]:
    """The reading itself, what was not taken of it, and every alert that was decided by it."""
    station, parameter, text = named.groups()
    if station not in region.station_by_id:
        raise ConfigError([Problem(station, f"region {region.id} has no such station", FORMS)])
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ConfigError([Problem(text, "is no time with its zone", "write it as 2025-08-27T14:00+05:00")]) from None
    time_ms = round(at.timestamp() * 1000)
    await _reading(region, deployment, station, parameter, time_ms, told)
    zones = tuple(zone.id for zone in region.zones if station in (zone.station, *zone.stations))
    found = []
    async for row in shown.alerts(ledger, zones=zones, since_ms=time_ms, until_ms=time_ms + AFTER_MS):
        if (event := _event(row)).alert.hazard.observed_ms == time_ms:
            found.append(event)
    if not found:
        told.missing.append("no alert was decided by this reading")
    return found


async def _readings_of(region: Region, deployment: Deployment, event: AlertEvent, told: Trace) -> None:
    """The reading that decided; a forecast from upstream has none of its own."""
    hazard, zone = event.alert.hazard, region.zone_by_id.get(event.alert.zone)
    if zone is None or hazard.observed_ms is None:
        told.missing.append(f"{event.alert.identifier}: no reading of its own; it rests on {', '.join(hazard.upstream) or 'a forecast'}")
        return
    for station in dict.fromkeys((zone.station, *zone.stations)):
        await _reading(region, deployment, station, "", hazard.observed_ms, told)


async def _reading(region: Region, deployment: Deployment, station: str, parameter: str, time_ms: int, told: Trace) -> None:
    """Every record of that station and time: the first, doubles, revisions; and those that were not taken."""
    window = traced.Window(time_ms - BEFORE_MS, time_ms + AFTER_MS)

    def wanted(each: Reading) -> bool:
        return each.station == station and each.time_ms == time_ms and parameter in ("", each.parameter.value)

    try:
        partition = region.basins[region.station_by_id[station].basin]
        found, gone = await traced.readings(deployment, partition, window, wanted)
        refused = await traced.rejected(deployment, window, lambda each: station in each.record and _same_time(each.record, time_ms))
    except WarningSystemError as error:
        told.missing.append(f"the log cannot be asked for the reading of {station}: {error}")
        return
    for record, each in found:
        where = f"{record.topic}-{record.partition} record {record.offset}"
        late = f"received {each.received_ms - time_ms} ms after its time"
        words = f"{station} {each.parameter.value} {each.value} by {each.provider}, {late}; {where}"
        told.steps.append(Step("reading", each.received_ms, words, {**msgspec.to_builtins(each), "offset": record.offset}))
    for record, no in refused:
        told.steps.append(Step("rejected", no.at_ms or record.at_ms, f"{no.stage}: {no.reason} ({no.detail})", msgspec.to_builtins(no)))
    if not found:
        told.missing.append(gone or f"the log has no reading of {station} at that time")
    told.missing += [] if found else ["flags stand in the state and are not kept by themselves; the score below names what counted"]


def _same_time(record: str, time_ms: int) -> bool:
    try:
        return bool(msgspec.json.decode(record, type=Reading).time_ms == time_ms)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return False


def _decided(event: AlertEvent, told: Trace) -> None:
    """Score, decision and document, all from the alert as it stands in the log for ever."""
    alert, hazard = event.alert, event.alert.hazard
    score: dict[str, Any] = {"level": hazard.level.value, "value": hazard.value, "quantity": hazard.quantity, "n": hazard.n}
    score |= {"reasons": msgspec.to_builtins(hazard.reasons), "windows": hazard.windows, "confirmed": hazard.level_confirmed.value}
    words = "; ".join(hazard.words) or f"{hazard.quantity} {hazard.value}"
    told.steps.append(Step("score", hazard.at_ms, f"zone {alert.zone} {hazard.level.value}: {words}", score))
    decision: dict[str, Any] = {
        "identifier": alert.identifier,
        "kind": alert.kind.value,
        "level": alert.level.value,
        "status": alert.status.value,
    }
    decision |= {"revision": alert.revision, "config": event.config, "code": event.code}
    words = f"{alert.identifier}: {alert.kind.value} to {alert.level.value} (was {alert.previous_level.value})"
    told.steps.append(Step("decision", alert.sent_ms, words, decision))
    if event.cap:
        digest = hashlib.sha256(event.cap.encode()).hexdigest()
        told.steps.append(Step("cap", alert.sent_ms, f"{len(event.cap.encode()):,} bytes, SHA-256 {digest}", {"sha256": digest}))


async def _deliveries(ledger: Any, event: AlertEvent, contact: str, told: Trace) -> None:
    which = shown.Which(alert=event.alert.identifier, contact=contact)
    async for row in shown.listed(ledger, which):
        one = await shown.shown(ledger, row["id"])
        assert one is not None
        way = one["channel"] + (f"/{one['route']}" if one["route"] else "")
        words = f"{one['contact']} by {way}: {one['state']}" + (f" ({one['reason']})" if one["reason"] else "")
        words += ", may have come twice" if one["doubled"] else ""
        words += f", sent again at {utc(one['resent_ms'])}" if one["resent_ms"] is not None else ""
        told.steps.append(Step("delivery", one["created_ms"], words, one))


async def _resent(deployment: Deployment, chains: set[str], told: Trace) -> None:
    """Who had it sent again, and why."""
    if not any(step.data.get("resent_ms") for step in told.steps):
        return
    decisions = Decisions(deployment.database)
    try:
        for chain in sorted(chains):
            for act in reversed(await decisions.acts(kinds=("resend",), subject=chain)):
                words = f"decision {act.id} by {act.by}: {act.what.get('identifier')} again ({act.what.get('reason')})"
                told.steps.append(Step("resend", act.at_ms, words, {"id": act.id, "by": act.by, "key": act.key, **act.what}))
    except Unavailable as error:
        told.missing.append(f"who had it sent again cannot be asked: {error}")
    finally:
        await decisions.close()


def as_json(told: Trace) -> dict[str, Any]:
    return asdict(told)
