"""What comes next for a contact that a warning has not reached: its next channel, its office, its district's control room. Pure.

A contact's ladder is its channels in its order (``audience.ladder``). The step after one of them is made when that one did not bring a
receipt or an acknowledgement in time (``overdue``). **The time counts from acceptance by the gateway**, not from planning: ninety thousand
messages stand for minutes in our own queue, and those at its end are not unanswered. **Time in which the way was closed does not count**:
no receipt can come over it, and after ten minutes' outage of an SMS centre not everybody is called at once. What failed for good
goes on at once. What no gateway took is unanswered after CLOSED times that time, if attempts at it failed or its way was closed all the
while: then the way is as good as gone; the next one's own queue, by deadlines and at its own pace, spreads the many. **Who has no way at
all** (``audience.UNREACHABLE``) moves on at once.

A machine (a webhook, a cell broadcast) is no person: it gives no receipt for one, and what becomes of it moves nothing. But who has nothing
else is reached by it, and told by it in another's place: a control room may be a screen with a webhook. No escalation broadcasts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from warning.dispatch.audience import Ways, ladder
from warning.model import DeliveryState
from warning.people.subscriptions import CONTACT as SUBSCRIBED
from warning.people.unreached import MACHINES, UNREACHABLE
from warning.region import Contact

CLOSED = 3  # times the time, for what no gateway took
NO_RECEIPT, NEVER_TAKEN, FAILED = "no_receipt", "never_taken", "failed"
CHANNEL, OFFICE, ROOM, NOBODY, ANSWERED, WAIT = "channel", "office", "control_room", "nobody_left", "answered", ""
OWN, CHOSE = "own_channels", "unsubscribed"  # nothing is to be done: a machine failed and his own ways go on; he wants no message


@dataclass(frozen=True, slots=True)
class Stood:
    """One delivery as it stands. ``since_ms``: accepted, failed, or else planned; ``closed_ms``: how long since then its way was closed."""

    state: DeliveryState
    channel: str
    since_ms: int
    closed_ms: int = 0
    attempts: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Others:
    """What became of everybody's deliveries of the same revision. ``reached``: a receipt or an answer; ``trying``: may still bring one;
    ``spent``: have one whose time is over, and about which nothing was done yet; ``told``: all that have any. ``machines_reached``,
    ``machines_trying``: the same of webhooks and broadcasts."""

    reached: set[str] = field(default_factory=set)
    trying: set[str] = field(default_factory=set)
    spent: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    machines_reached: set[str] = field(default_factory=set)
    machines_trying: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Step:
    """``to`` hears over ``channel``, in a delivery of his own if ``anew``. WAIT: for a colleague who is being tried; nothing is entered."""

    step: str
    to: Contact | None = None
    channel: str = ""
    anew: bool = False


def overdue(stood: Stood, now_ms: int, after_ms: int) -> str:
    """Why the next step is due; "" while it is not.

    >>> overdue(Stood(DeliveryState.ACCEPTED, "sms", 0), 300_000, 300_000)
    'no_receipt'
    >>> overdue(Stood(DeliveryState.ACCEPTED, "sms", 0, closed_ms=600_000), 800_000, 300_000)
    ''
    >>> overdue(Stood(DeliveryState.WAITING, "sms", 0, 900_000), 900_000, 300_000)
    'never_taken'
    >>> overdue(Stood(DeliveryState.REFUSED, "none", 0, reason="no_route"), 0, 300_000)
    'no_route'
    """
    if stood.state is DeliveryState.REFUSED:
        return stood.reason if stood.reason in UNREACHABLE and stood.channel not in MACHINES else ""
    if stood.state in (DeliveryState.DELIVERED, DeliveryState.OVERTAKEN):
        return ""
    if stood.state is DeliveryState.FAILED:
        return FAILED
    passed_ms = now_ms - stood.since_ms
    if stood.state is DeliveryState.ACCEPTED:
        return NO_RECEIPT if passed_ms - stood.closed_ms >= after_ms else ""
    long_ms = CLOSED * after_ms
    return NEVER_TAKEN if passed_ms >= long_ms and (stood.attempts or stood.closed_ms >= long_ms) else ""


def step(contact: Contact, tried: Collection[str], office: Sequence[Contact], rooms: Sequence[Contact], others: Others, ways: Ways) -> Step:
    """The next one. ``tried``: channels of the contact's own deliveries; ``office``: who stands in for it, in order; ``rooms``: the control
    rooms of its districts. One of the office who was reached is enough; one who is being tried is waited for, his own ladder leads here.
    """
    if contact.id in others.reached:
        return Step(ANSWERED)
    if channel := next_channel(contact, tried, ways):
        return Step(CHANNEL, contact, channel, anew=True)
    colleagues = [one for one in office if one.id != contact.id]
    if (found := next((one for one in colleagues if one.id in others.reached), None)) is not None:
        return Step(ANSWERED, found)
    if any(one.id in others.trying for one in colleagues):
        return Step(WAIT)
    for one in colleagues:
        if one.id not in others.told and (channel := next_channel(one, (), ways)):
            return Step(OFFICE, one, channel, anew=True)
    return to_room([one for one in rooms if one.id != contact.id], others, ways)


def to_room(rooms: Sequence[Contact], others: Others, ways: Ways) -> Step:
    """A control room is told once of a revision; who was not reached, it sees in the report."""
    if (found := next((one for one in rooms if one.id in others.reached or one.id in others.trying), None)) is not None:
        return Step(ROOM, found)
    for one in rooms:
        if one.id not in others.told and (channel := next_channel(one, (), ways)):
            return Step(ROOM, one, channel, anew=True)
    return Step(NOBODY)


def go_on(others: Others, people: Mapping[str, Contact], tried: Mapping[str, Collection[str]], ways: Ways) -> None:
    """Whose time is over and who has a channel left is being tried still. Without one he is not: two of an office whose phones are both
    off would wait for each other for ever, and their control room would never hear. Who has machines alone is reached by them."""
    others.trying.update(one for one in others.spent if one in people and next_channel(people[one], tried.get(one, ()), ways))
    for machines, found in ((others.machines_reached, others.reached), (others.machines_trying, others.trying)):
        found.update(one for one in machines if one in people and not in_person(people[one], ways))


def in_person(contact: Contact, ways: Ways) -> bool:
    """Is there a way to it that no machine answers?"""
    return any(channel not in MACHINES for channel, _ in ladder(contact, ways))


def next_channel(contact: Contact, tried: Collection[str], ways: Ways) -> str:
    """The first of its ladder that has not been tried, at last its webhook; "" if there is none, or it wants no message."""
    if not contact.consent:
        return ""
    left = [channel for channel, _ in ladder(contact, ways) if channel not in tried]
    people = next((channel for channel in left if channel not in MACHINES), "")
    return people or ("webhook" if "webhook" in left and not contact.id.startswith(SUBSCRIBED) else "")
