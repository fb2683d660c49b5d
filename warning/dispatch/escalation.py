"""What a warning does when nobody confirms it: the contact's next channel, its office, its district's control room; see ``steps``.

Looked at every few seconds, by the dispatcher's time. Every step stands in the ledger (``escalations``) with its reason, before it is sent.
Who has no way at all (``audience.NO_WAY``) is looked at at once, as soon as his plan is written.
Answers that came in by SMS, link or API (``people.acknowledged``) end it; a bare "1" answers all that this phone was lately sent, a code
only what it is the code of. After a start nobody's time is over sooner than RESTART_MS later: while we were away no receipt could come in;
so, too, when the ledger was away, or we were frozen. A replay does not escalate: its receipts come at today's time, and it has to be
reproducible.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from warning.alerts.quiet import quiet_until
from warning.dispatch import steps
from warning.dispatch.around import Around
from warning.dispatch.audience import Planned
from warning.dispatch.closures import Closures
from warning.dispatch.escalated import Made
from warning.dispatch.ledger import Ledger
from warning.dispatch.planner import DECODER, Planner
from warning.dispatch.rows import Open
from warning.dispatch.steps import Others, Step, Stood
from warning.dispatch.trail import Row
from warning.dispatch.untold import Untold
from warning.errors import Unavailable
from warning.facts import Escalated, Listener
from warning.model import AlertEvent, DeliveryState
from warning.people.acknowledged import Acknowledgement, Acknowledgements
from warning.people.directory import Directory
from warning.region import Contact

log = logging.getLogger(__name__)

MOST = 500  # deliveries looked at in one transaction
LEAST_LOOK_S, MOST_LOOK_S = 0.5, 15.0
PAUSES = 3  # times as long as a look took, before the next one: the messages go before
RESTART_MS = 60_000
LATELY_MS = 48 * 3_600_000


@dataclass
class Escalation:
    """``contacts``: as they are now; ``routed``: takes what is to be sent; ``code_of``: the short code of an alert's messages."""

    planner: Planner
    ledger: Ledger
    directory: Directory
    answers: Acknowledgements
    contacts: Callable[[Collection[str]], Awaitable[dict[str, Contact]]]
    routed: Callable[[Sequence[tuple[Open, Contact]]], None]
    code_of: Callable[[str], str]
    now_ms: Callable[[], int]
    listen: Listener
    closures: Closures = field(default_factory=Closures)
    lost: Callable[[], None] = lambda: None  # hears when the ledger may have steps whose deliveries nobody was handed

    def __post_init__(self) -> None:
        self.after_ms = 1000 * self.planner.region.alert.escalate_after_s
        self._started_ms = self.now_ms()
        self._since: dict[str, int] = {}  # alert -> when its first delivery was planned
        self._wake = asyncio.Event()
        self.untold = Untold(self.planner, self.ledger, self.directory, self.listen)

    def wake(self) -> None:
        """There is somebody whom nothing can reach: others must hear at once."""
        self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled. What does not answer is asked again at the next look."""
        every_s, good_ms = min(MOST_LOOK_S, max(LEAST_LOOK_S, self.after_ms / 20_000)), self.now_ms()
        least_s = LEAST_LOOK_S
        while True:
            await asyncio.sleep(least_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, every_s - least_s)):
                    await self._wake.wait()
            self._wake.clear()
            now_ms, began_s = self.now_ms(), time.monotonic()
            if now_ms - good_ms > RESTART_MS:  # receipts of that time are still to come
                self._started_ms = now_ms
            try:
                await self.settle()
                if self.after_ms:
                    await self.look(now_ms)
                await self.untold.look(now_ms)
                good_ms = now_ms
                least_s = max(LEAST_LOOK_S, PAUSES * (time.monotonic() - began_s))
            except (DBAPIError, OSError) as error:
                log.error("escalation waits, the ledger does not answer: %s", error)
                self.lost()
            except Unavailable as error:
                if error.reason != "database":
                    raise
                log.error("escalation waits: %s", error)

    # --- answers

    async def settle(self) -> None:
        """What answers mean that name only a phone, or no chain. Raises Unavailable, DBAPIError."""
        for answer in await self.answers.unsettled():
            await self.answers.settle(answer, await self._means(answer))

    async def _means(self, answer: Acknowledgement) -> list[tuple[str, str]]:
        ids = [answer.contact] if answer.contact else [one.id for one in await self.directory.by_phone(answer.phone)]
        if answer.chain:
            return [(contact, answer.chain) for contact in ids]
        heard = await self.ledger.lately(ids, answer.at_ms - LATELY_MS)
        named = [one for one in heard if answer.code and self.code_of(one[2]).upper() == answer.code.upper()]
        return sorted({(contact, chain) for contact, chain, _ in (named if answer.code else heard)})

    # --- steps

    async def look(self, now_ms: int) -> int:
        """Makes the steps that are due; how many. Raises Unavailable, DBAPIError."""
        last, made = 0, 0
        while True:
            long_ms = steps.CLOSED * self.after_ms
            rows = await self.ledger.unanswered(now_ms, self.after_ms, long_ms, MOST, last)
            due = [(row, why) for row in rows if (why := self._overdue(row, now_ms))]
            by_alert: dict[str, list[tuple[Row, str]]] = defaultdict(list)
            for row, why in due:
                by_alert[row["alert"]].append((row, why))
            for alert, some in by_alert.items():
                made += await self._go_on(DECODER.decode(await self.ledger.alert(alert)), some, now_ms)
            if len(rows) < MOST:
                return made
            last = rows[-1]["id"]

    def _overdue(self, row: Row, now_ms: int) -> str:
        state = DeliveryState(row["state"])
        since_ms = row["changed_ms"] if state is DeliveryState.ACCEPTED else row["resent_ms"] or row["created_ms"]
        at_once = state in (DeliveryState.FAILED, DeliveryState.REFUSED)
        if not at_once and since_ms < self._started_ms and now_ms < self._started_ms + RESTART_MS:
            return ""
        closed_ms = self.closures.closed_ms(row["channel"], since_ms, now_ms)
        stood = Stood(state, row["channel"], since_ms, closed_ms, row["attempts"] - row["resent"], row["reason"])
        return steps.overdue(stood, now_ms, self.after_ms)

    async def _go_on(self, event: AlertEvent, due: list[tuple[Row, str]], now_ms: int) -> int:
        around = await self._around(event, due, now_ms)
        answered = await self.answers.answered(due[0][0]["chain"], await self._out_since(event.alert.identifier))

        def over(row: Row) -> bool:
            return bool(self._overdue(row, now_ms))

        def decide(others: Others, tried: dict[str, set[str]]) -> list[Made]:
            made = []
            steps.go_on(others, around.people, tried, self.planner.ways)
            for row, why in due:
                next_one = around.step(row, others, tried, self.planner.ways)
                if (one := self._made(event, row, why, next_one, now_ms)) is not None:
                    made.append(one)
                    if one.planned is not None:
                        others.trying.add(one.to)
                        others.told.add(one.to)
                        tried.setdefault(one.to, set()).add(one.channel)
            return made

        made, opened = await self.ledger.escalate(event, list(around.people), answered, over, decide, now_ms)
        self.routed([(item, around.people[item.contact]) for item in opened])
        self._tell(event, made)
        return len(made)

    async def _around(self, event: AlertEvent, due: list[tuple[Row, str]], now_ms: int) -> Around:
        """In three questions, however many they are."""
        zone = self.planner.region.zone_by_id.get(event.alert.zone)
        contacts = await self.contacts({row["contact"] for row, _ in due})
        offices = await self.directory.offices({one.office for one in contacts.values()})
        rooms, region = await self.directory.control_rooms(), self.planner.region

        def asleep(contact: Contact) -> bool:
            return contact.quiet is not None and quiet_until(contact, event.alert, region, now_ms) is not None

        return Around(contacts, offices, rooms, zone.districts if zone else (), asleep)

    def _made(self, event: AlertEvent, row: Row, why: str, step: Step, now_ms: int) -> Made | None:
        """None: not yet."""
        if step.step == steps.WAIT:
            return None
        to = step.to.id if step.to else ""
        if not step.anew or step.to is None:
            return Made(row, step.step, why, to)
        if quiet_until(step.to, event.alert, self.planner.region, now_ms) is not None:
            return None
        verdict = self.planner.may(event, step.to, now_ms, knows=True, stands_in=True)
        state = DeliveryState.WAITING if verdict.allowed or verdict.held else DeliveryState.REFUSED
        reason = "" if verdict.allowed else verdict.reason
        planned = Planned(step.to, step.channel, state, reason, verdict.held, row["deadline_ms"], row["step"] + 1)
        return Made(row, step.step, why, to, step.channel, planned)

    async def _out_since(self, alert: str) -> int:
        """Since when a revision is on its way: an answer from then on is one to it, also a colleague's of long before this step."""
        if alert not in self._since:
            if len(self._since) >= MOST:
                self._since.clear()
            self._since[alert] = await self.ledger.out_since(alert)
        return self._since[alert]

    def _tell(self, event: AlertEvent, made: list[Made]) -> None:
        counts = Counter((one.step, one.why) for one in made)
        if counts:
            said = ", ".join(f"{n} {why}: {step}" for (step, why), n in counts.items() if step not in (steps.OWN, steps.CHOSE))
            if said:
                log.warning("%s: not reached: %s", event.alert.identifier, said)
            self.listen(Escalated(event.alert.level, dict(counts)))
        nobody = [one.of["contact"] for one in made if one.step == steps.NOBODY]
        if nobody:
            words = "%s: %d contacts were not reached, and nobody is left to be told instead: %s ..."
            log.error(words, event.alert.identifier, len(nobody), ", ".join(nobody[:5]))
