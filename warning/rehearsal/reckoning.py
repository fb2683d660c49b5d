"""The reckoning of a rehearsal: nothing lost, nothing twice, and warned in time? Counts evidence, trusts no process's own word.

*Lost* is the sum of
readings that the gateway took and that are not in the log, or that no beat closed, or that the decisions over that log do not account for
(each is applied, a duplicate, or rejected with a reason);
decisions (alert revisions that the log implies and that are not on ``alerts``);
deliveries that were due and did not end with the contact: no receipt, or a last word other than delivered, refused by the rules, or
overtaken by a newer revision. *Due* is worked out here, not by the dispatcher: each contact of the zone's districts whose class a raise
or a rise reaches.

*Doubled* are messages that a phone got twice (same number, same words) and webhooks that a receiver took twice (same id).

*Differing* are revisions on ``alerts`` that are not byte for byte what the log implies, or that it does not imply at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from warning.model import AlertEvent, Cause, DeliveryState, EventKind, Flag, Level, Receipt, to_json
from warning.region import Region
from warning.rehearsal.crossings import Crossing, crossings, observations
from warning.rehearsal.evidence import Evidence

CHANNELS = ("sms", "webhook")
SETTLED = (DeliveryState.DELIVERED, DeliveryState.REFUSED, DeliveryState.OVERTAKEN)
# Revisions that every contact of the class hears of; of a fall in class or the end only those hear who were told before.
FOR_ALL = (EventKind.RAISE, EventKind.UPGRADE)


@dataclass(frozen=True, slots=True)
class Offered:
    """What the replay handed to the gateway: rows of the file, how many were taken, and the rest by reason."""

    sent: int
    accepted: int
    refused: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """What the log implies, computed again from its records without any broker."""

    flags: Mapping[tuple[str, str], int]  # (flag, cause) -> readings
    rejected: Mapping[tuple[str, str], int]  # (stage, reason) -> records
    applied: int
    alerts: tuple[AlertEvent, ...]


@dataclass(frozen=True, slots=True)
class Reckoning:
    """All that was counted. ``passed``: nothing lost, doubled or differing, and every HIGH or above warned no later than its reading."""

    figures: dict[str, float]
    refused: dict[str, int]
    flags: dict[tuple[str, str], int]
    rejected: dict[tuple[str, str], int]
    crossings: tuple[Crossing, ...]
    alerts_by_zone: dict[str, dict[EventKind, int]]
    deliveries: dict[tuple[str, DeliveryState], int]  # (channel, last state) -> deliveries
    losses: tuple[str, ...]  # what was lost, doubled or differs, in words
    late: tuple[Crossing, ...]  # HIGH or above, not warned by its beat

    @property
    def passed(self) -> bool:
        return not self.losses and not self.late


def reckon(region: Region, offered: Offered, evidence: Evidence, decided: Decided, seconds: float) -> Reckoning:
    """Counts everything; see the module's words. ``seconds``: wall time of the rehearsal."""
    first = {event.alert.identifier: event for event in reversed(evidence.alerts)}
    lost_readings = _lost_readings(offered, evidence, decided)
    lost_decisions, differing = _decisions(first, evidence.alerts, decided.alerts)
    last, lost_deliveries = _deliveries(region, first.values(), evidence.receipts)
    doubled = _doubled(evidence)
    observed = observations(region, _good(evidence))
    found = crossings(region, observed, (event.alert for event in first.values()))
    high = [crossing for crossing in found if crossing.level >= Level.HIGH]
    late = tuple(crossing for crossing in high if crossing.warned_ms is None)
    figures: dict[str, float] = {
        "readings_sent": offered.sent,
        "readings_accepted": offered.accepted,
        "readings_refused": sum(offered.refused.values()),
        "readings_applied": decided.applied,
        "readings_duplicate": _of_cause(decided.flags, Cause.DUPLICATE),
        "readings_rejected": sum(offered.refused.values()) + sum(decided.rejected.values()),
        "ticks": evidence.ticks,
        "alerts": len(first),
        "cap_documents": sum(bool(event.cap) for event in first.values()),
        "sms_messages": len(evidence.messages),
        "sms_parts": len(evidence.parts),
        "sms_parts_delivered": sum(receipt.parts_delivered for receipt in _closing(evidence.receipts, "sms")),
        "webhooks": sum(_taken(hook) for hook in evidence.webhooks),
        "deliveries": len(last),
        "lost": len(lost_readings) + len(lost_decisions) + len(lost_deliveries),
        "doubled": len(doubled),
        "differing": len(differing),
        **_warned(high),
        "seconds": round(seconds, 3),
    }
    return Reckoning(
        figures=figures,
        refused=dict(offered.refused),
        flags=dict(decided.flags),
        rejected=dict(decided.rejected),
        crossings=tuple(found),
        alerts_by_zone=_by_zone(first.values()),
        deliveries=dict(Counter((channel, state) for (_, _, channel), state in last.items())),
        losses=tuple(lost_readings + lost_decisions + lost_deliveries + doubled + differing),
        late=late,
    )


def _warned(high: Sequence[Crossing]) -> dict[str, float]:
    """Figures of the crossings of HIGH and above; ahead: of those that were seen below it before."""
    possible = [crossing for crossing in high if crossing.seen_below_high]
    return {
        "crossings_high": len(high),
        "crossings_high_warned": sum(crossing.warned_ms is not None for crossing in high),
        "crossings_ahead": len(possible),
        "crossings_ahead_warned": sum(crossing.ahead for crossing in possible),
        "lead_hours_median": round(median(crossing.lead_h for crossing in possible), 3) if possible else 0.0,
    }


def _lost_readings(offered: Offered, evidence: Evidence, decided: Decided) -> list[str]:
    """One line per reading that is missing, as far as it can be named."""
    lost = [
        f"reading {one.reading.station} {one.reading.parameter.value} at {one.reading.time_ms}: no beat closed it"
        for one in evidence.readings
        if one.beat_ms is None
    ]
    gap = offered.accepted - len(evidence.readings)
    lost += [f"reading {number + 1} of {gap} that the gateway took and that are not in the log" for number in range(gap)]
    gap = offered.sent - offered.accepted - sum(offered.refused.values())
    lost += [f"row {number + 1} of {gap} that was neither taken nor refused" for number in range(gap)]
    decoded = sum(count for (stage, _), count in decided.rejected.items() if stage == "decode")
    gap = len(evidence.readings) - len(lost) - decoded - sum(decided.flags.values())
    lost += [f"reading {number + 1} of {gap} in the log that quality control gave no flag" for number in range(gap)]
    return lost


def _decisions(
    first: Mapping[str, AlertEvent], published: Iterable[AlertEvent], implied: Iterable[AlertEvent]
) -> tuple[list[str], list[str]]:
    """(missing, differing), in words."""
    wanted = {event.alert.identifier: to_json(event) for event in implied}
    missing = [f"alert {identifier} is implied by the log and was not published" for identifier in wanted if identifier not in first]
    differing = {
        f"alert {event.alert.identifier} is not what the log implies"
        for event in published
        if to_json(event) != wanted.get(event.alert.identifier)
    }
    return missing, sorted(differing)


def _deliveries(
    region: Region, events: Iterable[AlertEvent], receipts: Iterable[Receipt]
) -> tuple[dict[tuple[str, str, str], DeliveryState], list[str]]:
    """((alert, contact, channel) -> last state, due deliveries that did not arrive in words)."""
    last: dict[tuple[str, str, str], DeliveryState] = {}
    for receipt in receipts:
        key = (receipt.alert, receipt.contact, receipt.channel)
        if last.get(key) not in SETTLED or receipt.state is DeliveryState.DELIVERED:
            last[key] = receipt.state
    due = {key for event in events for key in due_of(region, event)}
    lost = [f"delivery of {' to '.join(key[:2])} by {key[2]}: {state.value}" for key, state in last.items() if state not in SETTLED]
    lost += [f"delivery of {' to '.join(key[:2])} by {key[2]}: due, and never tried" for key in sorted(due - set(last))]
    return last, lost


def due_of(region: Region, event: AlertEvent) -> Iterable[tuple[str, str, str]]:
    """(alert, contact, channel) of everybody who must hear of a raise or a rise in class."""
    if event.alert.kind not in FOR_ALL:
        return
    districts = set(region.zone_by_id[event.alert.zone].districts)
    for contact in region.contacts:
        if event.alert.level >= contact.level and (not contact.districts or districts & set(contact.districts)):
            for channel, address in zip(CHANNELS, (contact.phone, contact.webhook), strict=True):
                if address:
                    yield event.alert.identifier, contact.id, channel


def _doubled(evidence: Evidence) -> list[str]:
    phones = Counter((message["destination"], message["text"]) for message in evidence.messages)
    hooks = Counter((hook["name"], hook["webhook_id"]) for hook in evidence.webhooks if _taken(hook))
    lines = [f"SMS to {number}, {count} times: {text[:60]}" for (number, text), count in phones.items() for _ in range(count - 1)]
    return lines + [
        f"webhook {identifier} at {name}, {count} times" for (name, identifier), count in hooks.items() for _ in range(count - 1)
    ]


def _taken(hook: Mapping[str, Any]) -> bool:
    return bool(hook["verified"]) and 200 <= hook["status"] < 300


def _closing(receipts: Iterable[Receipt], channel: str) -> list[Receipt]:
    """The last receipt of each delivery over a channel."""
    return list({(receipt.alert, receipt.contact): receipt for receipt in receipts if receipt.channel == channel}.values())


def _good(evidence: Evidence) -> Iterable[tuple[Any, int]]:
    """(reading, beat) of what quality control did not fail."""
    failed = {rejected.record for rejected in evidence.rejected if rejected.stage == "qc"}
    for one in evidence.readings:
        if one.beat_ms is not None and to_json(one.reading).decode() not in failed:
            yield one.reading, one.beat_ms


def _of_cause(flags: Mapping[tuple[str, str], int], cause: Cause) -> int:
    return sum(count for (_, name), count in flags.items() if name == cause.value)


def _by_zone(events: Iterable[AlertEvent]) -> dict[str, dict[EventKind, int]]:
    zones: dict[str, Counter[EventKind]] = {}
    for event in events:
        zones.setdefault(event.alert.zone, Counter())[event.alert.kind] += 1
    return {zone: dict(kinds) for zone, kinds in zones.items()}


def failed_flags(flags: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """cause -> readings that were failed, suspect or missing: what an operator wants to see first."""
    good = (Flag.GOOD.value, Flag.NOT_EVALUATED.value)
    out: Counter[str] = Counter()
    for (flag, cause), count in flags.items():
        if flag not in good or cause != Cause.NONE.value:
            out[f"{flag} {cause}"] += count
    return dict(out)
