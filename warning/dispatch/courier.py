"""One delivery from the queue to its outcome: asked at the gate once more, claimed, sent, closed, and queued again if need be."""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from warning.alerts.languages import told_in
from warning.alerts.quiet import quiet_until
from warning.alerts.rules import HELD
from warning.dispatch import retry
from warning.dispatch.attempts import Answer, Claim, Claimed, Close, Entry
from warning.dispatch.audience import MACHINES
from warning.dispatch.channel import Channel, Outcome, Sending
from warning.dispatch.journal import Journal
from warning.dispatch.lane import Key, Lane, Queue, Work
from warning.dispatch.ledger import Ledger
from warning.dispatch.lookup import Lookup
from warning.dispatch.planner import DECODER, Planner
from warning.dispatch.rows import Open
from warning.facts import Attempted, Listener
from warning.model import AlertEvent, DeliveryState
from warning.region import Contact
from warning.tasks import ended

log = logging.getLogger(__name__)

REPLAY_WAIT_MS = 2_000  # a replay waits no longer than this between attempts, whatever the schedule says
SOON_S = 5.0
MANY, LATER_S = 4, 300.0  # from that attempt on, what may have been sent waits so long: no phone gets it every five seconds
MOST_EVENTS = 2_000
SEAL_AGAIN_S = 5.0
SOME = 500


@dataclass(frozen=True, slots=True)
class Going:
    """What may go. ``at_ms``: the time that decides."""

    item: Open
    event: AlertEvent
    contact: Contact
    channel: Channel
    at_ms: int


@dataclass
class Courier:
    """Owns the lanes. ``now_ms``: the time that decides; ``wall_ms``: the wall clock; ``gate``: open when sending is allowed."""

    ledger: Ledger
    journal: Journal[Entry, Answer]
    planner: Planner
    channels: Mapping[str, Channel]
    contacts: Lookup
    replay: bool
    now_ms: Callable[[], int]
    wall_ms: Callable[[], int]
    listen: Listener
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    link: Callable[[str, str], Awaitable[str]] | None = None  # chain, contact -> the URL where it answers, "" if there is none
    seal: Callable[[AlertEvent], Awaitable[AlertEvent]] | None = None  # gives the event with the document that leaves the house

    def __post_init__(self) -> None:
        self.lanes: dict[str, Lane] = {}
        self.held: dict[int, Open] = {}
        self._owned: set[int] = set()  # every delivery that stands in a lane, is held, or is under way
        self._dropped: set[int] = set()  # shared by the lanes' queues, and what is not due yet
        self._taken: set[int] = set()  # of the lanes' queues, too
        self._later: dict[int, tuple[Queue, Key]] = {}
        self._running: list[asyncio.Task[None]] = []
        self._events: OrderedDict[str, AlertEvent] = OrderedDict()
        self._unsealed: dict[str, float] = {}  # of these the document goes out unsigned -> since when
        self._opening = asyncio.Lock()
        self._decided: object = None  # what people had decided when all that is held was last asked for

    def route(self, item: Open, contact: Contact | None, *, first: bool = False) -> None:
        """Into its lane; what is held waits for a person. ``contact`` None: it is none any more."""
        self._owned.add(item.id)
        if item.next_attempt_ms is None:
            self.held[item.id] = item
            return
        channel = self.channels.get(item.channel)
        name = channel.lane(contact) if contact and channel else "nowhere"
        if name not in self.lanes:
            width, ready = (partial(channel.width, name), channel.ready) if channel and contact else (lambda: 1, _at_once)
            queue = Queue(self._dropped, self._later, self._taken)
            lane = self.lanes[name] = Lane(name, width, self.prepare, ready, self.gate, self.wall_ms, queue)
            self._running.append(asyncio.create_task(lane.run(), name=f"lane {name}"))
        self.lanes[name].add(item, contact.districts[0] if contact and contact.districts else "", first=first)

    async def take_up(self, items: Sequence[Open], *, first: bool = False) -> None:
        """As ``route``, of contacts that are looked up. Raises Unavailable."""
        if not items:  # as after nearly every receipt
            return
        contacts = await self.contacts.many({item.contact for item in items})
        for item in items:
            self.route(item, contacts.get(item.contact), first=first)

    def drop(self, ids: Sequence[int]) -> None:
        """These were overtaken."""
        for number in ids:
            if self.held.pop(number, None) is None and number in self._owned and number not in self._taken:
                self._dropped.add(number)
        for number in ids:
            if (found := self._later.pop(number, None)) is not None:
                queue, key = found
                queue.passed(key)
        self._owned.difference_update(ids)

    async def resync(self) -> None:
        """Takes up what the ledger has and we do not: at start, and after the ledger was away in the middle of a commit."""
        items = [item for item in await self.ledger.open_deliveries() if item.id not in self._owned]
        for first in range(0, len(items), SOME):
            await self.take_up([item for item in items[first : first + SOME] if item.id not in self._owned])

    @property
    def waiting(self) -> int:
        return len(self._owned)

    async def recheck(self) -> None:
        """Asks the gate again for what is held: one answer for all of an alert, and each where people decided something since. Raises
        Unavailable, and what the ledger raises."""
        people = self.planner.people
        decided = people.approvals, people.silences, people.call_offs
        held = list(self.held.values())
        if decided == self._decided:
            free = {alert for alert in {item.alert for item in held} if not await self._held_for_all(alert)}
            held = [item for item in held if item.alert in free]
        await self._release(held)
        self._decided = decided

    async def _held_for_all(self, alert: str) -> bool:
        event = await self._event(alert)
        return self.planner.may(event, None, self.now_ms(), knows=True, stands_in=True).held

    async def _release(self, held: Sequence[Open]) -> None:
        for first in range(0, len(held), SOME):
            some = [item for item in held[first : first + SOME] if item.id in self.held]
            contacts = await self.contacts.many({item.contact for item in some})
            for item in some:
                contact = contacts.get(item.contact)
                asleep_ms = self._asleep_ms(item, await self._event(item.alert), contact) if contact else 0
                if self.held.pop(item.id, None):
                    self.route(replace(item, next_attempt_ms=asleep_ms), contact)

    def _asleep_ms(self, item: Open, event: AlertEvent, contact: Contact) -> int:
        """When the quiet hours end that a release does not break either; 0: now. In memory alone: the next dispatcher finds it held."""
        if self.replay or item.channel in MACHINES:
            return 0
        return quiet_until(contact, event.alert, self.planner.region, self.wall_ms()) or 0

    async def finish(self, within_s: float) -> int:
        """Takes nothing new and waits for what is under way. Returns how many were cut off."""
        await ended(self._running)
        return sum(await asyncio.gather(*(lane.finish(within_s) for lane in self.lanes.values())))

    async def prepare(self, items: Sequence[Open]) -> list[Work | None]:
        """Those of these that may go now, claimed in one transaction: what sends each and closes it. None: it is over, or held. Raises what
        directory and ledger raise, before anything is claimed; the lane then comes again. One that cannot be looked at holds up no other:
        its own work raises what was wrong with it."""
        contacts = await self.contacts.some({item.contact for item in items})
        events = {alert: await self._event_or(alert) for alert in {item.alert for item in items}}
        works: list[Work | None] = [None] * len(items)
        going: list[tuple[int, Going]] = []
        over: dict[tuple[DeliveryState, str], list[int]] = defaultdict(list)
        for place, item in enumerate(items):
            found = self._looked_at(item, events[item.alert], contacts.get(item.contact))
            if isinstance(found, Going):
                going.append((place, found))
            elif isinstance(found, Exception):
                works[place] = _failed(found)
            elif found is not None:
                over[found].append(item.id)
            elif item.id not in self.held:
                self._owned.discard(item.id)
        await self._end(over)
        now_ms = self.now_ms()
        claims = await self.journal.all([Claim(one.item.id, now_ms) for _, one in going])
        for (place, one), claimed in zip(going, claims, strict=True):
            assert isinstance(claimed, Claimed)
            if claimed.attempt:
                works[place] = self._carry(one, claimed)
            else:
                self._owned.discard(one.item.id)  # overtaken, or delivered after all
        return works

    async def _event_or(self, alert: str) -> AlertEvent | Exception:
        try:
            return await self._event(alert)
        except Exception as error:
            return error

    def _looked_at(
        self, item: Open, event: AlertEvent | Exception, contact: Contact | None
    ) -> Going | tuple[DeliveryState, str] | Exception | None:
        try:
            return event if isinstance(event, Exception) else self._permitted(item, event, contact)
        except Exception as error:
            return error

    def _permitted(self, item: Open, event: AlertEvent, contact: Contact | None) -> Going | tuple[DeliveryState, str] | None:
        """May it go? Else how it ends; None: it is held, or the newer revision's plan ends it in the ledger."""
        channel = self.channels.get(item.channel)
        if self.planner.overtakes(item.chain, item.alert):
            return None
        if contact is None or channel is None:
            return DeliveryState.FAILED, "contact_gone"
        if not contact.consent:  # it said stop since this was planned
            return DeliveryState.REFUSED, "no_consent"
        at_ms = item.due_ms if self.replay else self.wall_ms()
        decide_ms = max(at_ms, self.now_ms()) if self.replay and item.reason in HELD else at_ms
        verdict = self.planner.may(event, contact, decide_ms, knows=True, stands_in=True)  # the gate's last word, right before the send
        if verdict.allowed:
            return Going(item, event, contact, channel, at_ms)
        if verdict.held:
            self.held[item.id] = replace(item, next_attempt_ms=None, reason=verdict.reason)
            return None
        if verdict.reason == "expired":
            return DeliveryState.FAILED, "expired"
        return DeliveryState.REFUSED, verdict.reason

    async def _end(self, over: Mapping[tuple[DeliveryState, str], Sequence[int]]) -> None:
        """How it ends, and for which: in one transaction each, for thousands of them would hold up what goes, and the lease."""
        for (state, reason), ids in over.items():
            await self.ledger.end(ids, state, reason, self.now_ms())
            self._owned.difference_update(ids)

    async def _carry(self, one: Going, claimed: Claimed) -> None:
        """One attempt that was claimed, to its end."""
        item, contact = one.item, one.contact
        started = time.monotonic()
        link = await self.link(item.chain, item.contact) if self.link else ""
        language = told_in(item.language, contact.role, self.planner.region)  # whatever the channel: no unreviewed draft to the public
        valid_ms = item.expires_ms - one.at_ms
        sending = Sending(item.id, one.event, contact, language, claimed.attempt, valid_ms, claimed.skip, link, claimed.resent)
        outcome = await self._send(one.channel, sending)
        close = self._closing(item, claimed.attempt - claimed.resent, outcome, one.at_ms)
        answer = await self.journal.put(close)
        seconds = time.monotonic() - started
        self.listen(Attempted(item.channel, outcome.state, outcome.reason, seconds, max(1, len(outcome.parts))))
        if outcome.detail:
            log.warning("%s to %s by %s: %s %s", item.alert, item.contact, item.channel, outcome.reason, outcome.detail)
        self._owned.discard(item.id)
        for again in answer if isinstance(answer, tuple) else ():
            self.route(again, contact, first=True)

    async def _send(self, channel: Channel, sending: Sending) -> Outcome:
        try:
            return await channel.send(sending)
        except Exception as error:
            log.exception("%s: attempt at delivery %d", channel.name, sending.delivery)
            return Outcome(DeliveryState.UNKNOWN, "internal", detail=repr(error))

    def _closing(self, item: Open, attempt: int, outcome: Outcome, at_ms: int) -> Close:
        """With the next attempt: by the schedule, by the receiver's wish, or soon where only the way was closed."""
        close = Close(item.id, outcome, self.now_ms())
        if outcome.state not in (DeliveryState.WAITING, DeliveryState.UNKNOWN):
            return close
        soon_s = LATER_S if outcome.state is DeliveryState.UNKNOWN and attempt >= MANY else SOON_S
        number, wish = (1, soon_s) if outcome.soon else (attempt, outcome.retry_after_s)
        spread = zlib.crc32(f"{item.id} {attempt}".encode()) / 2**32
        due_ms = retry.next_attempt_ms(number, at_ms, item.expires_ms, retry_after_s=wish, spread=spread)
        if due_ms is None:
            return close
        wait_ms = min(due_ms - at_ms, REPLAY_WAIT_MS) if self.replay else due_ms - at_ms
        return replace(close, next_attempt_ms=self.wall_ms() + wait_ms, due_ms=due_ms)

    async def _event(self, identifier: str) -> AlertEvent:
        event = self._opened(identifier)
        if event is None:
            async with self._opening:  # many wait for the same one
                event = self._opened(identifier)
                if event is None:
                    plain = DECODER.decode(await self.ledger.alert(identifier))
                    event = self._events[identifier] = await self.seal(plain) if self.seal else plain
                    self._unsealed.pop(identifier, None)
                    if event is not plain and event.cap == plain.cap:
                        self._unsealed[identifier] = time.monotonic()
                    if len(self._events) > MOST_EVENTS:
                        self._unsealed.pop(self._events.popitem(last=False)[0], None)
        self._events.move_to_end(identifier)
        return event

    def _opened(self, identifier: str) -> AlertEvent | None:
        """None: it is to be read, or sealed, since that did not work a while ago."""
        again = time.monotonic() - self._unsealed.get(identifier, float("inf")) >= SEAL_AGAIN_S
        return None if again else self._events.get(identifier)


async def _at_once() -> None:
    return


async def _failed(error: Exception) -> None:
    raise error
