"""What comes next for a contact that a warning has not reached: its next channel, its office, its district's control room. Pure.

A contact's ladder is its channels in its order (``audience.ladder``). The step after one of them is made when that one did not bring a
receipt or an acknowledgement in time (``overdue``). **The time counts from acceptance by the gateway**, not from planning: ninety thousand
messages stand for minutes in our own queue, and those at its end are not unanswered. **Time in which the way was closed does not count**:
no receipt can come over it, and after ten minutes' outage of an SMS centre not everybody is called at once. What failed for good
goes on at once. What was never accepted goes on after CLOSED times that time: then the way is as good as gone, and the next one's own
queue, ordered by deadlines and at its own pace, spreads the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from warning.dispatch.audience import MACHINES, Ways, ladder
from warning.model import DeliveryState
from warning.region import Contact

CLOSED = 3  # times the time, for what no gateway took
NO_RECEIPT, NEVER_TAKEN, FAILED = "no_receipt", "never_taken", "failed"
CHANNEL, OFFICE, ROOM, NOBODY, ANSWERED = "channel", "office", "control_room", "nobody_left", "answered"


@dataclass(frozen=True, slots=True)
class Stood:
    """One delivery of the newest revision, as it stands. ``since_ms``: accepted, failed, or planned at; ``closed_ms``: of the time since
    then, how long its way was closed."""

    id: int
    contact: str
    channel: str
    state: DeliveryState
    since_ms: int
    closed_ms: int = 0
    refused_why: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step for ``contact``, because of its delivery ``of``: ``to`` hears over ``channel``; NOBODY and ANSWERED add nothing."""

    of: int
    contact: str
    step: str
    why: str
    to: Contact | None = None
    channel: str = ""


def overdue(stood: Stood, now_ms: int, after_ms: int) -> str:
    """Why the next step is due; "" while it is not.

    >>> overdue(Stood(1, "c", "sms", DeliveryState.ACCEPTED, 0), 300_000, 300_000)
    'no_receipt'
    >>> overdue(Stood(1, "c", "sms", DeliveryState.ACCEPTED, 0, closed_ms=600_000), 800_000, 300_000)
    ''
    >>> overdue(Stood(1, "c", "sms", DeliveryState.WAITING, 0), 899_999, 300_000), overdue(Stood(1, "c", "sms", DeliveryState.FAILED, 9), 9, 300)
    ('', 'failed')
    """
    if stood.channel in MACHINES or stood.state in (DeliveryState.DELIVERED, DeliveryState.OVERTAKEN, DeliveryState.REFUSED):
        return ""
    if stood.state is DeliveryState.FAILED:
        return FAILED
    passed_ms = now_ms - stood.since_ms
    if stood.state is DeliveryState.ACCEPTED:
        return NO_RECEIPT if passed_ms - stood.closed_ms >= after_ms else ""
    return NEVER_TAKEN if passed_ms >= CLOSED * after_ms else ""


def next_channel(contact: Contact, tried: Collection[str], ways: Ways) -> str:
    """The first channel of its ladder that no delivery of this revision has used; "" if there is none."""
    return next((channel for channel, _ in ladder(contact, ways) if channel not in tried and channel not in MACHINES), "")


def next_person(
    office: Sequence[Contact],
    rooms: Sequence[Contact],
    reached: Collection[str],
    trying: Collection[str],
    refused: Collection[str],
    ways: Ways,
) -> tuple[str, Contact | None, str]:
    """(step, whom, over which channel) when a contact's own channels are used up.

    ``office``: who stands in for it, in their order; ``rooms``: the control rooms; ``reached``, ``trying``, ``refused``: contacts with
    a delivery of this revision that was answered, that may still be, or that the rules did not let go. Somebody of the office who was
    reached is enough (ANSWERED); one who is being tried is waited for: his own ladder goes on to here (step "").
    """
    for step, people in ((OFFICE, office), (ROOM, rooms)):
        if any(person.id in reached for person in people):
            return ANSWERED, None, ""
        if any(person.id in trying for person in people):
            return "", None, ""
        for person in people:
            if person.id not in refused and (channel := next_channel(person, (), ways)):
                return step, person, channel
    return NOBODY, None, ""


Closed = Callable[[str, int, int], int]  # channel, from, until (ms) -> ms of that in which it was closed
Counts = Mapping[str, int]
