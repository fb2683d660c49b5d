"""Who must know of a revision, over which channel first, and what becomes of older revisions still on their way. Pure.

A contact hears of raise, change of class, material change of arrival and end (``EventKind.told``) from its class on, in its
districts. Whoever heard of a chain before hears of every step down and of its end, whatever the class. A newer revision of any
kind replaces one that has not gone yet: then the contact gets the state that replaced it, over the channels where it waited.

People get their first channel; ``escalation`` adds the next ones. Machines (MACHINES) get theirs beside that.

**Who cannot be reached has a row, too:** on the channel NO_WAY, REFUSED, with the reason why; from there ``escalation`` goes on at once.
That is who should hear and has no address, none that a channel of this deployment goes to (``no_route``), only an endpoint that wants
nothing any more, or said stop though others rely on him (``people.duty``). A person of the public who said stop has chosen, and has none.
Nor has whom the rules refuse in any case: an exercise does not look for ways to live contacts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from warning.alerts.rules import Verdict
from warning.model import AlertEvent, DeliveryState, EventKind, Level
from warning.people.duty import on_duty
from warning.people.subscriptions import CONTACT as SUBSCRIBED
from warning.people.unreached import ENDPOINT_OFF, NO_ADDRESS, NO_CONSENT, NO_ROUTE, NO_WAY
from warning.people.unreached import MACHINES as MACHINES
from warning.region import CHANNELS, Contact

EXPIRED = "expired"  # ``rules.REASONS``
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
    revision: int = 0  # -1: of another chain, which a person's alert takes the place of
    level: Level = Level.UNKNOWN
    reason: str = ""
    alert: str = ""

    @property
    def may_have_heard(self) -> bool:
        return self.handed or self.state in MAY_HAVE_HEARD


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
    not_before_ms: int = 0  # the contact's quiet hours end then


@dataclass(frozen=True, slots=True)
class Plan:
    planned: tuple[Planned, ...]
    overtaken: tuple[int, ...]  # ids of older deliveries that will not go


@dataclass(frozen=True, slots=True)
class Addressed:
    """A contact that may have to hear. ``near``: of the alert's place and class, or asked for it; else it stands in the history only."""

    contact: Contact
    near: bool
    deadline_ms: int | None = None


Ways = Callable[[Contact], Iterable[tuple[str, str]]]  # contact -> (channel, address) of each way to reach it
May = Callable[[Contact, bool, bool], Verdict]  # contact, it knows of the chain, this stands in for what it did not get -> verdict


def plan(
    event: AlertEvent,
    addressed: Sequence[Addressed],
    history: Sequence[Known],
    ways: Ways,
    may: May,
    off: Collection[tuple[str, str]],
    *,
    replay: bool,
    withheld: Collection[str] = (),
    anew: bool = False,
) -> Plan:
    """What is to be done about one revision for some contacts.

    ``history``: the deliveries of its chain to these contacts; those of this very revision are there already and stay. ``off``: (contact,
    address) that want nothing any more. In a ``replay`` each revision is sent at its own time however late we read it, so only a retry
    that would come after this revision is overtaken. ``withheld``: what waits for a person, or was declined; see ``overtakable``.
    ``anew``: it speaks again after it was called off: whoever it concerns hears of it, of whatever kind it is.
    """
    alert = event.alert
    older = [known for known in history if known.revision < alert.revision]
    there = {(known.contact, known.channel) for known in history if known.revision == alert.revision}
    late = [known for known in older if known.state in OPEN and overtakable(known, event, replay=replay, withheld=withheld)]
    gone = {known.id for known in late}
    heard = {known.contact: known.level for known in sorted(older, key=_order) if _may_have_heard(known, gone)}  # contact -> last class
    waiting, planned = {(known.contact, known.channel) for known in late} | _lapsed(older), list[Planned]()
    missing = {contact for contact, _ in waiting} if alert.active else set()  # who did not get what this revision replaces
    known_here = {contact for contact, _ in there}
    for one in addressed:
        contact, first = one.contact, True
        wanted = told(contact, event, heard, near=one.near, anew=anew)
        concerned = alert.active and (contact.id in heard or alert.level >= contact.level)  # who never heard of more need not hear of less
        rungs = ladder(contact, ways) if contact.consent else []
        for channel, address in rungs:
            machine, way = channel in MACHINES, (contact.id, channel)
            due = (wanted and (machine or first)) or (concerned and way in waiting)
            if due and way not in there:
                verdict = may(contact, contact.id in heard, anew or way in waiting)
                planned.append(_permitted(one, channel, address, verdict, off))
            first = first and machine
        if (wanted or (concerned and contact.id in missing)) and contact.id not in known_here and (why := without_way(contact, rungs, off)):
            verdict = may(contact, contact.id in heard, contact.id in missing)
            if verdict.allowed or verdict.held:
                planned.append(Planned(contact, NO_WAY, DeliveryState.REFUSED, why, deadline_ms=one.deadline_ms))
    return Plan(tuple(planned), tuple(sorted(gone)))


def _order(known: Known) -> tuple[int, int]:
    return known.revision, known.id


def _may_have_heard(known: Known, gone: Collection[int]) -> bool:
    """It reached the contact, may have, or still goes."""
    return known.may_have_heard or (known.state in OPEN and known.id not in gone)


def _lapsed(older: Sequence[Known]) -> set[tuple[str, str]]:
    """(contact, channel) of what ran out before it went, while no dispatcher ran: who heard nothing since hears by what renews it."""
    last: dict[str, int] = {}
    for known in older:
        if known.may_have_heard:
            last[known.contact] = max(known.revision, last.get(known.contact, -1))
    ended = (DeliveryState.REFUSED, DeliveryState.FAILED)
    return {
        (known.contact, known.channel)
        for known in older
        if known.reason == EXPIRED and known.state in ended and last.get(known.contact, -1) < known.revision
    }


def without_way(contact: Contact, rungs: Sequence[tuple[str, str]], off: Collection[tuple[str, str]]) -> str:
    """Why nothing can go to who should hear; "": something can, or it is his own choice."""
    if not contact.consent:
        return NO_CONSENT if on_duty(contact) else ""
    if not rungs:
        return NO_ROUTE if contact.phone or contact.email or contact.webhook else NO_ADDRESS
    closed = all((contact.id, address) in off for _, address in rungs)
    return ENDPOINT_OFF if closed and not contact.id.startswith(SUBSCRIBED) else ""


def ladder(contact: Contact, ways: Ways) -> list[tuple[str, str]]:
    """(channel, address) by the contact's preference; what it did not list, and machines, have the usual order. Without a phone that may
    be called there is no voice."""
    order = {name: number for number, name in enumerate(dict.fromkeys((*contact.channels, *CHANNELS)))}
    listed = [way for way in ways(contact) if not contact.channels or way[0] in contact.channels or way[0] in MACHINES]
    return sorted(listed, key=lambda way: order.get(way[0], len(order)))


def overtakable(known: Known, event: AlertEvent, *, replay: bool, withheld: Collection[str]) -> bool:
    """Live, whatever has not gone is overtaken. In a replay only a retry that, at its own time, would come later.

    What is ``withheld`` overtakes nothing of a lower class, of another chain, or that people let out: were it never let out, nobody would
    hear either.
    """
    waits = event.alert.identifier in withheld
    if waits and (known.revision < 0 or known.level < event.alert.level or known.alert not in withheld):
        return False
    return not replay or (known.attempts > 0 and known.due_ms >= event.alert.sent_ms)


def told(contact: Contact, event: AlertEvent, heard: Mapping[str, Level], *, near: bool, anew: bool = False) -> bool:
    """Does this contact hear of this revision? ``heard``: contact -> the class that it heard of last. Who missed a step down, for it was
    silenced, declined or failed, hears of what follows it, or he would believe the higher class for ever."""
    kind = event.alert.kind
    if not kind.told and not (anew and event.alert.active):
        return False
    if kind is EventKind.CLEAR:
        return contact.id in heard
    if contact.id in heard and (kind is EventKind.DOWNGRADE or heard[contact.id] > event.alert.level):
        return True
    return near and event.alert.level >= contact.level


def _permitted(one: Addressed, channel: str, address: str, verdict: Verdict, off: Collection[tuple[str, str]]) -> Planned:
    contact, due = one.contact, one.deadline_ms
    if (contact.id, address) in off:
        return Planned(contact, channel, DeliveryState.REFUSED, ENDPOINT_OFF, deadline_ms=due)
    if verdict.held:
        return Planned(contact, channel, DeliveryState.WAITING, verdict.reason, held=True, deadline_ms=due)
    if not verdict.allowed:
        return Planned(contact, channel, DeliveryState.REFUSED, verdict.reason, deadline_ms=due)
    return Planned(contact, channel, deadline_ms=due)
