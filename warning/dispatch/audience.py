"""Who must know of a revision, and what becomes of older revisions still on their way. Pure.

A contact hears of raise, change of class, material change of arrival and end (``EventKind.told``) from its class on, in its
districts. Whoever heard of a chain before hears of every step down and of its end, whatever the class. A newer revision of any
kind replaces one that has not gone yet: then the contact gets the state that replaced it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from warning.alerts.rules import Verdict
from warning.model import AlertEvent, DeliveryState, EventKind
from warning.region import Contact, Region

OPEN = (DeliveryState.WAITING, DeliveryState.UNKNOWN)
MAY_HAVE_HEARD = (DeliveryState.SENDING, DeliveryState.ACCEPTED, DeliveryState.DELIVERED)


@dataclass(frozen=True, slots=True)
class Known:
    """One delivery of the chain so far. ``handed``: a gateway took it or may have; ``due_ms``: its next attempt, by the log's time."""

    id: int
    contact: str
    channel: str
    state: DeliveryState
    handed: bool
    attempts: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class Planned:
    """One new delivery: WAITING (``held``: until a person approves) or REFUSED with its reason."""

    contact: Contact
    channel: str
    state: DeliveryState = DeliveryState.WAITING
    reason: str = ""
    held: bool = False
    deadline_ms: int | None = None  # when the water is at this contact; None: unknown
    step: int = 0  # of the escalation


@dataclass(frozen=True, slots=True)
class Plan:
    planned: tuple[Planned, ...]
    overtaken: tuple[int, ...]  # ids of older deliveries that will not go


Ways = Callable[[Contact], Iterable[tuple[str, str]]]  # contact -> (channel, address) of each way to reach it
May = Callable[[Contact, bool, bool], Verdict]  # contact, it knows of the chain, this stands in for what it did not get -> verdict


def concerns(contact: Contact, event: AlertEvent, region: Region) -> bool:
    """Is the contact one of those districts, and the class one that it wants to hear of?"""
    zone = region.zone_by_id.get(event.alert.zone)
    near = zone is not None and (not contact.districts or not set(contact.districts).isdisjoint(zone.districts))
    return near and event.alert.level >= contact.level


def plan(
    event: AlertEvent, region: Region, history: Sequence[Known], ways: Ways, may: May, off: set[tuple[str, str]], *, replay: bool
) -> Plan:
    """What is to be done about one revision.

    ``history``: all deliveries of its chain; ``off``: (contact, address) that want nothing any more. In a ``replay`` each revision is
    sent at its own time however late we read it, so only a retry that would come after this revision is overtaken.
    """
    alert = event.alert
    late = [known for known in history if known.state in OPEN and overtakable(known, alert.sent_ms, replay=replay)]
    gone = {known.id for known in late}
    heard = {
        known.contact
        for known in history
        if known.handed or known.state in MAY_HAVE_HEARD or (known.state in OPEN and known.id not in gone)
    }
    waiting = {(known.contact, known.channel) for known in late}
    planned: list[Planned] = []
    for contact in region.contacts:
        wanted = told(contact, event, region, heard)
        for channel, address in ways(contact):
            stands_in = (contact.id, channel) in waiting
            if wanted or (alert.active and stands_in):
                verdict = may(contact, contact.id in heard, stands_in)
                planned.append(_permitted(contact, channel, address, verdict, off))
    return Plan(tuple(planned), tuple(sorted(gone)))


def overtakable(known: Known, sent_ms: int, *, replay: bool) -> bool:
    """Live, whatever has not gone is overtaken. In a replay only a retry that, at its own time, would come later."""
    return not replay or (known.attempts > 0 and known.due_ms >= sent_ms)


def told(contact: Contact, event: AlertEvent, region: Region, heard: set[str]) -> bool:
    """Does this contact hear of this revision?"""
    kind = event.alert.kind
    if not kind.told:
        return False
    if kind is EventKind.CLEAR:
        return contact.id in heard
    if kind is EventKind.DOWNGRADE and contact.id in heard:
        return True
    return concerns(contact, event, region)


def _permitted(contact: Contact, channel: str, address: str, verdict: Verdict, off: set[tuple[str, str]]) -> Planned:
    if (contact.id, address) in off:
        return Planned(contact, channel, DeliveryState.REFUSED, "endpoint_off")
    if verdict.held:
        return Planned(contact, channel, DeliveryState.WAITING, verdict.reason, held=True)
    if not verdict.allowed:
        return Planned(contact, channel, DeliveryState.REFUSED, verdict.reason)
    return Planned(contact, channel)
