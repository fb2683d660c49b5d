"""What waits for a person's release: operators are told at once, at half and at four fifths of the time, and of what the rule then decided.

Each of these is entered once (``proof.decisions``), so a restart tells nobody twice; what cannot be entered is told again. ``lasting``:
again while it waits or is held because nobody answered, and when that is over.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import Decision, Verdict, asked_ms, may_leave
from warning.deployment import Deployment
from warning.dispatch.lasting import Lasting, State
from warning.dispatch.notice import Operators
from warning.dispatch.planner import People
from warning.errors import Unavailable
from warning.facts import ApprovalsWaiting, Listener
from warning.model import AlertEvent, EventKind, Level
from warning.proof.decisions import Decisions
from warning.region import Contact, Region

log = logging.getLogger(__name__)

REMINDERS = (0.0, 0.5, 0.8)  # parts of ``AlertRules.approve_within_s``
RULE = {"unanswered_sent": "rule:unanswered=send", "approval_unanswered": "rule:unanswered=hold"}

Tell = Callable[
    [Contact, str, str], Awaitable[None]
]  # operator, identifier, body: within bounded time, or it says in the log that it did not


@dataclass
class Waiting:
    """``operators``: who they are, ``tell``: how one is reached."""

    region: Region
    deployment: Deployment
    people: People
    decisions: Decisions
    operators: Operators
    tell: Tell
    listen: Listener
    lasting: Lasting | None = None

    def __post_init__(self) -> None:
        self._newest: dict[str, AlertEvent] = {}  # chain -> its newest revision, while it needs a release
        self._said: set[str] = set()

    def see(self, event: AlertEvent) -> None:
        """A revision is being planned."""
        rules, chain = self.region.alert, chain_of(event.alert.identifier)
        if rules.approve_from is not None and event.alert.active and event.alert.level >= rules.approve_from:
            self._newest[chain] = event
        else:
            self._newest.pop(chain, None)

    async def look(self, now_ms: int, said: frozenset[str]) -> None:
        """``said``: ``Standing.once``. Raises Unavailable."""
        waiting, held = list[AlertEvent](), dict[str, State]()
        for chain, event in list(self._newest.items()):
            verdict = self._verdict(event, now_ms)
            if verdict.held and verdict.reason not in RULE:
                waiting.append(event)
                await self._remind(event, verdict, now_ms, said)
            elif verdict.reason in RULE:
                await self._ruled(event, verdict, now_ms, said)
            if verdict.held:
                held[chain] = self._state(event, verdict, self._left_s(event, now_ms))
            elif self._newest.get(chain) is event:  # while operators were told a newer revision may have come
                del self._newest[chain]
        oldest_s = max(((now_ms - self._since_ms(event)) / 1000 for event in waiting), default=0.0)
        self.listen(ApprovalsWaiting(len(waiting), max(0.0, oldest_s)))
        if self.lasting is not None:
            await self.lasting.look("approval.waiting", held, begun=True)

    async def untold(self, events: Collection[AlertEvent]) -> None:
        """Nobody at all is told of these; all of them, at each look."""
        verdict = Verdict(False, False, "untold", "nobody is told of this warning")
        states = {event.alert.identifier: self._state(event, verdict, 0) for event in events}
        if self.lasting is not None:
            await self.lasting.look("alert.untold", states, of=chain_of)

    def _state(self, event: AlertEvent, verdict: Verdict, left_s: int) -> State:
        return State(data_of(event, verdict, left_s, self.region.alert.unanswered), lambda contact: self._may(contact, event))

    def _left_s(self, event: AlertEvent, now_ms: int) -> int:
        return max(0, round((self._since_ms(event) + self.region.alert.approve_within_s * 1000 - now_ms) / 1000))

    def _decision(self) -> Decision:
        people, where = self.people, self.deployment
        return Decision(people.approvals, (), where.replay, where.embedded, call_offs=people.call_offs, asked=people.asked)

    def _verdict(self, event: AlertEvent, now_ms: int) -> Verdict:
        return may_leave(event, None, self.region, self._decision(), now_ms)

    def _since_ms(self, event: AlertEvent) -> int:
        return asked_ms(event.alert, self.region.alert, self._decision())

    async def _remind(self, event: AlertEvent, verdict: Verdict, now_ms: int, said: frozenset[str]) -> None:
        rules, alert = self.region.alert, event.alert
        since_ms = self._since_ms(event)
        passed = (now_ms - since_ms) / (rules.approve_within_s * 1000)
        number = sum(passed >= part for part in REMINDERS)
        once = f"asked:{alert.identifier}:{number}"
        if number == 0 or once in said or once in self._said:
            return
        left_s = self._left_s(event, now_ms)
        log.warning("%s (%s) waits for a release, %d s are left, then: %s", alert.identifier, alert.level.value, left_s, rules.unanswered)
        told = await self.tell_all(event, f"approval.waiting.{number}", verdict, left_s)
        what = {"once": once, "identifier": alert.identifier, "left_s": left_s, "operators": told, "reminder": number}
        what |= {"level": alert.level.value, "sent_ms": alert.sent_ms}
        await self._enter("asked", "rule:reminder", now_ms, event, what, once)

    async def _ruled(self, event: AlertEvent, verdict: Verdict, now_ms: int, said: frozenset[str]) -> None:
        once = f"unanswered:{event.alert.identifier}"
        if once in said or once in self._said:
            return
        rule = RULE[verdict.reason]
        log.warning("nobody answered about %s in time: %s", event.alert.identifier, rule)
        told = await self.tell_all(event, "approval.unanswered", verdict, 0)
        what = {"once": once, "identifier": event.alert.identifier, "level": event.alert.level.value, "operators": told}
        await self._enter("unanswered", rule, now_ms, event, what, once)

    async def _enter(self, kind: str, by: str, now_ms: int, event: AlertEvent, what: Mapping[str, object], once: str) -> None:
        await self.decisions.decide(kind, by, now_ms, chain_of(event.alert.identifier), what, once=once)
        self._said.add(once)

    async def tell_all(self, event: AlertEvent, kind: str, verdict: Verdict, left_s: int) -> list[str]:
        """Each operator whom the gate lets hear of it; their ids."""
        told = [contact for contact in await whoever(self.operators, self.region) if self._may(contact, event)]
        for contact in told:
            identifier = f"{kind}:{event.alert.identifier}:{contact.id}".replace(".", "~")
            await self.tell(contact, identifier, body_of(event, kind, verdict, left_s, self.region.alert.unanswered))
        return [contact.id for contact in told]

    def _may(self, contact: Contact, event: AlertEvent) -> bool:
        """The one gate, asked with the class taken out: who is asked for a release must hear that one is needed, exercises stay inside."""
        asked = msgspec.structs.replace(event.alert, level=Level.UNKNOWN, kind=EventKind.RAISE)
        decision = Decision((), (), self.deployment.replay, self.deployment.embedded)
        return may_leave(asked, contact, self.region, decision, event.alert.sent_ms).allowed


async def whoever(operators: Operators, region: Region) -> list[Contact]:
    """Those of the directory; where it is away, of contacts.csv."""
    try:
        return await operators()
    except Unavailable as error:
        log.error("the directory does not answer, the operators of contacts.csv are told: %s", error)
        return [contact for contact in region.contacts if contact.role == "operator"]


def body_of(event: AlertEvent, kind: str, verdict: Verdict, left_s: int, unanswered: str) -> str:
    """The webhook's body."""
    at = datetime.fromtimestamp(event.alert.sent_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
    data = data_of(event, verdict, left_s, unanswered)
    return json.dumps({"type": kind.rstrip(".0123456789"), "timestamp": at, "data": data})


def data_of(event: AlertEvent, verdict: Verdict, left_s: int, unanswered: str) -> dict[str, object]:
    """What waits, why, how long still, and what happens when nobody answers."""
    alert = event.alert
    return {
        "identifier": alert.identifier,
        "zone": alert.zone,
        "level": alert.level.value,
        "status": alert.status.value,
        "left_s": left_s,
        "unanswered": unanswered,
        "reason": verdict.reason,
        "words": verdict.words,
    }
