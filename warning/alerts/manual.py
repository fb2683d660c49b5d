"""An alert that a person raises, corrects or cancels: chains of their own beside the pipeline's, under NAMESPACE.manual.ZONE.TIME.REVISION.

The pipeline neither makes nor reads them, so what it decides still depends on its log alone; they stand on ``alerts`` like all others.
A correction or cancel of an automatic chain is the first revision of a manual one that refers to its documents (CAP), and calls it off.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from warning.alerts import cap
from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import said_level
from warning.errors import InputError
from warning.model import CLASSES, Alert, AlertEvent, Certainty, EventKind, Hazard, Level, Reason, Reference
from warning.region import Region, Zone

CODE = cap.BY_HAND  # in ``AlertEvent.code``, and of the reason
LONGEST_H = 22.5  # CAP: an alert expires, and is renewed while it lasts
MOST_REASON = 300
BEHIND_S = 300  # a chain whose newest revision is more ahead of our clock than this


def by_hand(alert: Alert) -> bool:
    """Whether a person made it, by its identifier: a zone's id holds no such prefix, and no namespace may end so (``warning check``)."""
    return alert.identifier.rpartition(f".{alert.zone}.")[0].endswith(f".{CODE}")


def raised(
    region: Region,
    zone: str,
    level: Level,
    reason: str,
    now_ms: int,
    hours: float,
    *,
    arrival_ms: int | None = None,
    observed: bool = False,
) -> AlertEvent:
    """A new alert. Raises InputError naming the field."""
    place = _zone(region, zone)
    _sound(level, reason, now_ms, hours, arrival_ms)
    sent_ms = now_ms // 1000 * 1000
    chain = _chain(region, zone, sent_ms)
    hazard = _hazard(region, place, level, reason, sent_ms, arrival_ms, observed)
    return _event(_alert(region, chain, 0, EventKind.RAISE, level, Level.NORMAL, hazard, sent_ms, hours, (chain,), (), sent_ms), region)


def corrected(
    before: Alert,
    region: Region,
    level: Level,
    reason: str,
    now_ms: int,
    hours: float,
    *,
    arrival_ms: int | None = None,
    observed: bool = False,
) -> AlertEvent:
    """Another class, time or ground in place of ``before``, the newest revision of its chain. Raises InputError."""
    _standing(before, region, now_ms)
    _sound(level, reason, now_ms, hours, arrival_ms)
    place, rank = _zone(region, before.zone), said_level(before).rank
    sent_ms = _after(before, now_ms)
    hazard = _hazard(region, place, level, reason, sent_ms, arrival_ms, observed)
    kind = EventKind.UPGRADE if level.rank > rank else EventKind.DOWNGRADE if level.rank < rank else EventKind.RAISE
    chain, revision = _next(before, region, sent_ms)
    ids, references, since_ms = before.event_ids, _references(before, sent_ms), _since(before, sent_ms)
    made = _alert(region, chain, revision, kind, level, before.level, hazard, sent_ms, hours, ids, references, since_ms)
    return _event(made, region)


def cancelled(before: Alert, region: Region, reason: str, now_ms: int) -> AlertEvent:
    """The end of ``before``, the newest revision of its chain; that of an automatic one expires when it may speak again, and says so.
    Raises InputError."""
    _standing(before, region, now_ms)
    _grounds(reason)
    sent_ms = _after(before, now_ms)
    hazard = _hazard(region, _zone(region, before.zone), Level.NORMAL, reason, sent_ms, None, False)
    chain, revision = _next(before, region, sent_ms)
    ids, references = before.event_ids, _references(before, sent_ms)
    lasts_s = region.alert.call_off_for_s if cap.replaces_automatic(before.zone, references) else region.alert.expires_after_s
    hours = min(LONGEST_H, lasts_s / 3600)
    made = _alert(
        region,
        chain,
        revision,
        EventKind.CLEAR,
        Level.NORMAL,
        before.level,
        hazard,
        sent_ms,
        hours,
        ids,
        references,
        _since(before, sent_ms),
    )
    return _event(made, region)


def chains_meant(alert: Alert) -> frozenset[str]:
    """Its own chain, and those that a person's alert replaces: who heard of these is told, what waits of these does not go."""
    own = chain_of(alert.identifier)
    return frozenset((own, *(chain_of(one.identifier) for one in alert.references))) if by_hand(alert) else frozenset((own,))


def _zone(region: Region, zone: str) -> Zone:
    found = region.zone_by_id.get(zone)
    if found is None:
        raise InputError(f"region {region.id} has no zone {zone!r}", reason="zone", field="zone", fix="an id of /v1/zones")
    return found


def _grounds(reason: str) -> None:
    if not reason.strip() or len(reason) > MOST_REASON:
        fix = f"1 to {MOST_REASON} characters; people read it"
        raise InputError("an alert by hand needs its reason", reason="reason", field="reason", fix=fix)


def _sound(level: Level, reason: str, now_ms: int, hours: float, arrival_ms: int | None) -> None:
    _grounds(reason)
    if level not in CLASSES:
        raise InputError(
            f"{level.value} is no class of warning", reason="level", field="level", fix=f"one of {', '.join(one.value for one in CLASSES)}"
        )
    if not 0 < hours <= LONGEST_H:
        fix = f"above 0, at most {LONGEST_H:g} h; correct it to make it last longer"
        raise InputError(f"an alert cannot last {hours:g} h", reason="hours", field="expires_h", fix=fix)
    if arrival_ms is not None and not now_ms <= arrival_ms < now_ms + 14 * 86_400_000:
        raise InputError("the water cannot arrive then", reason="arrival", field="arrival", fix="a time from now on, within 14 days")


def _standing(before: Alert, region: Region, now_ms: int) -> None:
    if before.region != region.id:
        raise InputError(f"{before.identifier} is of region {before.region}", reason="alert", field="alert", fix=f"one of {region.id}")
    if not before.active or now_ms >= before.expires_ms:
        fix = "raise a new one"
        raise InputError(f"{before.identifier} is over: nothing in force is left to change", reason="over", field="alert", fix=fix)
    if before.sent_ms > now_ms + BEHIND_S * 1000:
        fix = "set the clock of this machine"
        raise InputError(f"{before.identifier} was sent after now: our clock is behind", reason="clock", field="alert", fix=fix)


def _chain(region: Region, zone: str, sent_ms: int) -> str:
    return f"{region.namespace}.{CODE}.{zone}.{datetime.fromtimestamp(sent_ms // 1000, UTC):%Y%m%dT%H%M%SZ}"


def _next(before: Alert, region: Region, sent_ms: int) -> tuple[str, int]:
    """(chain, revision): of our own chain the next, else a chain of ours begins."""
    if by_hand(before):
        return chain_of(before.identifier), before.revision + 1
    return _chain(region, before.zone, sent_ms), 0


def _since(before: Alert, sent_ms: int) -> int:
    """When the chain of ours was raised."""
    return before.raised_ms if by_hand(before) else sent_ms


def _after(before: Alert, now_ms: int) -> int:
    return max(now_ms // 1000 * 1000, before.sent_ms + 1000)


def _references(before: Alert, sent_ms: int) -> tuple[Reference, ...]:
    every = (*before.references, Reference(identifier=before.identifier, sent_ms=before.sent_ms, expires_ms=before.expires_ms))
    return tuple(one for one in every if one.expires_ms > sent_ms)


def _hazard(region: Region, zone: Zone, level: Level, reason: str, at_ms: int, arrival_ms: int | None, observed: bool) -> Hazard:
    """What a person says, not what a gauge says: no value, and observed only where the person saw it."""
    seen = level if observed else Level.UNKNOWN
    return Hazard(
        region=region.id,
        zone=zone.id,
        at_ms=at_ms,
        quantity=zone.limits.quantity,
        value=None,
        observed_ms=None,  # no gauge read it
        level=seen,
        level_confirmed=seen,
        level_cleared=seen,
        level_expected=Level.NORMAL if observed else level,
        level_expected_cleared=Level.NORMAL if observed else level,
        probability=0.0 if observed else 1.0,
        arrival_ms=arrival_ms,
        silent_since_ms=None,
        reasons=(Reason(code=CODE, values={"said": " ".join(reason.split())}),),
        words=(f"said by the duty officer: {' '.join(reason.split())}",),
        config=region.digest,
    )


def _alert(
    region: Region,
    chain: str,
    revision: int,
    kind: EventKind,
    level: Level,
    previous: Level,
    hazard: Hazard,
    sent_ms: int,
    hours: float,
    event_ids: Iterable[str],
    references: tuple[Reference, ...],
    raised_ms: int,
) -> Alert:
    observed = hazard.level_confirmed in CLASSES
    return Alert(
        identifier=f"{chain}.{revision}",
        region=region.id,
        zone=hazard.zone,
        revision=revision,
        kind=kind,
        event_ids=tuple(dict.fromkeys(event_ids)),
        status=region.status,
        level=level,
        previous_level=previous,
        certainty=Certainty.OBSERVED if observed or kind is EventKind.CLEAR else Certainty.LIKELY,
        raised_ms=raised_ms,
        sent_ms=sent_ms,
        expires_ms=sent_ms + round(hours * 3600) * 1000,
        arrival_ms=hazard.arrival_ms,
        told_arrival_ms=hazard.arrival_ms,
        hazard=hazard,
        references=references,
        told_ms=sent_ms,
        told_observed=observed,
    )


def _event(alert: Alert, region: Region) -> AlertEvent:
    return AlertEvent(alert=alert, cap=cap.document(alert, region), config=region.digest, code=CODE)
