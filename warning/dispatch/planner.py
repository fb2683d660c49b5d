"""From records of ``alerts`` to planned deliveries: each record once, whatever was read twice; the most urgent alert first.

``take`` enters a batch into the ledger, and moves the position with it; ``run`` plans what is entered, SOME contacts at a time, so that an
alert of ninety thousand holds up neither the loop nor the alerts of other zones. The contacts of one alert are planned by their
deadlines. The revisions of one chain are planned one after the other, for the second has to see what the first one planned.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
from aiokafka import ConsumerRecord
from msgspec.structs import replace as replaced
from sqlalchemy.exc import DBAPIError

from warning.alerts.lifecycle import chain_of
from warning.alerts.quiet import quiet_until
from warning.alerts.rules import Approval, CallOff, Decision, Silence, Verdict, may_leave
from warning.deployment import Deployment
from warning.dispatch import audience, plans
from warning.dispatch.audience import Addressed
from warning.dispatch.channel import Channel
from warning.dispatch.deadlines import deadline_ms
from warning.dispatch.escalated import QUIET
from warning.dispatch.ledger import Ledger
from warning.dispatch.plans import Some
from warning.dispatch.rows import Open, digest_of
from warning.dispatch.source import Batch
from warning.errors import Unavailable
from warning.facts import AlertHandled, DocumentConflict, Listener, Ready
from warning.model import AlertEvent, DeliveryState, EventKind, Level
from warning.people.directory import Directory
from warning.people.unreached import MACHINES, NO_WAY, UNREACHABLE
from warning.region import Contact, Region

log = logging.getLogger(__name__)

DECODER = msgspec.json.Decoder(AlertEvent)
SOME = 500
AGAIN_S = 1.0


@dataclass
class People:
    """What people decided; read again every second."""

    approvals: tuple[Approval, ...] = ()
    silences: tuple[Silence, ...] = ()
    call_offs: tuple[CallOff, ...] = ()
    asked: Mapping[str, tuple[tuple[Level, int], ...]] = field(default_factory=dict)


@dataclass
class Job:
    """One alert on its way to deliveries. ``left``: who is not planned yet, the last one first; None: nobody was asked for yet."""

    event: AlertEvent
    left: list[Addressed] | None = None
    off: set[tuple[str, str]] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    without_way: dict[str, str] = field(default_factory=dict)  # contact -> why
    turns: int = 0
    withheld: bool = False  # some were planned while it waited for a person
    again: bool = False  # it was planned before, and is let out now
    anew: bool = False  # it was called off, and is not any more
    since: int | None = None  # only for who heard no revision from that one on


@dataclass
class Planner:
    """Plans for one region. ``channels``: every way to reach a contact. ``routed``, ``dropped``: hear of what is to be sent, and what not;
    ``see`` of each revision before it is planned."""

    region: Region
    deployment: Deployment
    ledger: Ledger
    directory: Directory
    channels: tuple[Channel, ...]
    people: People
    listen: Listener
    routed: Callable[[Sequence[tuple[Open, Contact]]], None]
    dropped: Callable[[Sequence[int]], None]
    resync: Callable[[], Awaitable[None]]
    wall_ms: Callable[[], int]
    see: Callable[[AlertEvent], None] = lambda event: None
    unreachable: Callable[[], None] = lambda: None  # hears that somebody has no way, and that others must hear at once

    def __post_init__(self) -> None:
        self._chains: dict[str, deque[Job]] = {}
        self._newest: dict[str, int] = {}  # chain -> the newest revision that is entered, not planned, and may leave
        self._withheld: dict[str, AlertEvent] = {}  # identifier -> what a person has not let out
        self._wake = asyncio.Event()

    # --- in

    async def start(self) -> None:
        """Takes up what a crash left unplanned."""
        for value in await self.ledger.unfinished():
            self._enter(DECODER.decode(value))
        if self.region.alert.approve_from is not None:
            for value in await self.ledger.in_force(self.wall_ms()):
                self._note(DECODER.decode(value), self.wall_ms())
            for value in await self.ledger.overtaking(self.wall_ms()):
                if (event := DECODER.decode(value)).alert.identifier not in self._withheld:  # let out while no dispatcher ran
                    self._enter(event, again=True)

    async def take(self, batch: Batch, now_ms: int) -> int:
        """Enters a batch; its newest sent time. Raises DBAPIError; the same batch may then be given again."""
        events, newest_ms = list(self._events(batch.records)), 0
        known = await self.ledger.known_digests([event.alert.identifier for event, _ in events])
        for event, record in self._new(events, known):
            position = replace(batch.position, next_offset=record.offset + 1, last_digest=digest_of(record.key, record.value))
            await self.ledger.begin(event, record.value, position)
            self._enter(event)
            newest_ms = max(newest_ms, event.alert.sent_ms)
        await self.ledger.move(batch.position)
        return newest_ms

    def _enter(self, event: AlertEvent, *, again: bool = False, anew: bool = False, since: int | None = None) -> None:
        chain = chain_of(event.alert.identifier)
        jobs = self._chains.setdefault(chain, deque())
        if any(job.event.alert.identifier == event.alert.identifier for job in jobs):
            return
        jobs.append(Job(event, again=again, anew=anew, since=since))
        self._note(event, self.wall_ms())
        self._wake.set()

    def _note(self, event: AlertEvent, now_ms: int) -> bool:
        """Whether a person has not let it out: then it takes the place of nothing lower that may go, until he does (``look_again``)."""
        alert, chain = event.alert, chain_of(event.alert.identifier)
        if self._is_withheld(event, now_ms):
            self._withheld[alert.identifier] = event
            return True
        for one in [one.alert for one in self._withheld.values()]:
            if chain_of(one.identifier) == chain and one.revision <= alert.revision:
                del self._withheld[one.identifier]
        if chain in self._chains:
            self._newest[chain] = max(alert.revision, self._newest.get(chain, 0))
        return False

    def _is_withheld(self, event: AlertEvent, at_ms: int) -> bool:
        if self.deployment.replay or self.region.alert.approve_from is None:
            return False
        verdict = self.may(event, None, at_ms, knows=True, stands_in=True)
        return event.alert.active and (verdict.held or verdict.reason == "declined")

    def waits(self, event: AlertEvent, now_ms: int) -> bool:
        """Whether it waits for a person who has not let it out; if so that is known from now on, also where it was called off before."""
        waits = self._is_withheld(event, now_ms)
        if waits:
            self._withheld[event.alert.identifier] = event
        return waits

    def withheld(self) -> frozenset[str]:
        """Identifiers of revisions that take the place of nothing lower, for a person has not let them out."""
        return frozenset(self._withheld)

    def look_again(self) -> None:
        """What a person has let out since is planned once more: now it overtakes what is lower and has not gone."""
        now_ms = self.wall_ms()
        for event in sorted(self._withheld.values(), key=lambda event: event.alert.revision):
            if event.alert.expires_ms <= now_ms:
                self._withheld.pop(event.alert.identifier, None)
            elif not self._is_withheld(event, now_ms):
                self._enter(event, again=True)
                self._note(event, now_ms)

    async def comes_again(self, event: AlertEvent, since: int | None = None) -> bool:
        """The newest revision of a chain that was called off is told to whoever it concerns, of whatever kind it is; ``since``: but to
        nobody who heard a revision from that one on. False: there is a newer one, or the chain is being planned. Look again after that: it
        would go out after what is newer, and what is meant for few would stand for what is meant for all. Raises DBAPIError."""
        chain = chain_of(event.alert.identifier)
        async with self.ledger.reading() as connection:
            passed = await plans.newest(connection, chain, self._withheld) > event.alert.revision
        if passed or self.plans(chain):
            return False
        self._enter(event, again=True, anew=True, since=since)
        return True

    def plans(self, chain: str) -> bool:
        """Whether something of the chain is being planned."""
        return chain in self._chains

    def overtakes(self, chain: str, alert: str) -> bool:
        """Whether a newer revision of the chain is entered and being planned: what waits of that alert must not go any more."""
        newest = self._newest.get(chain)
        return newest is not None and not self.deployment.replay and int(alert.rpartition(".")[2]) < newest

    @property
    def idle(self) -> bool:
        return not self._chains

    # --- planning

    async def run(self) -> None:
        """Plans until it is cancelled. A database that is away is waited for."""
        failed = False
        while True:
            self._wake.clear()
            chain = min(self._chains, key=self._urgency, default=None)
            if chain is None:
                await self._wake.wait()
                continue
            try:
                await self._go_on(chain)
                if failed:
                    await self.resync()
                    log.warning("the ledger answers again")
                    self.listen(Ready("ledger", True))
                    failed = False
            except (DBAPIError, OSError, Unavailable) as error:  # what was planned before is in the ledger
                if isinstance(error, Unavailable) and error.reason != "database":
                    raise
                log.error("ledger or contacts do not answer, the plan waits: %s", error)
                self.listen(Ready("ledger", False, "the ledger does not answer"))
                self._chains[chain][0].left, failed = None, True
                await asyncio.sleep(AGAIN_S)

    def _urgency(self, chain: str) -> tuple[int, int, int]:
        """The highest class that waits in the chain; of equal ones who had fewer turns."""
        jobs = self._chains[chain]
        return -max(job.event.alert.level.rank for job in jobs), jobs[0].turns, jobs[0].event.alert.sent_ms

    async def _go_on(self, chain: str) -> None:
        job = self._chains[chain][0]
        alert, now_ms, replay = job.event.alert, self.wall_ms(), self.deployment.replay
        if job.left is None:
            await self._gather(job)
            assert job.left is not None
        if job.left:
            some = [job.left.pop() for _ in range(min(SOME, len(job.left)))]
            await self._plan(job, some, now_ms, alert.sent_ms if replay else now_ms)
            job.turns += 1
        if not job.left:
            withheld = self._note(job.event, now_ms)
            if job.withheld and not withheld:  # released meanwhile: who was planned before has to be looked at again
                job.left, job.withheld = None, False
                return
            self.dropped(await self.ledger.finish(job.event, now_ms, replay=replay, withheld=self.withheld()))
            self._finished(chain)

    def _finished(self, chain: str) -> None:
        jobs = self._chains[chain]
        job = jobs.popleft()
        alert = job.event.alert
        without, refused = job.without_way.keys() - job.told, job.refused - job.told - job.without_way.keys()
        if without:
            words = "%s: %d contacts cannot be reached (%s): others are told in their place: %s ..."
            why = ", ".join(sorted({job.without_way[one] for one in without}))
            log.warning(words, alert.identifier, len(without), why, ", ".join(sorted(without)[:5]))
        if not job.again:
            reasons = Counter(job.without_way[one] for one in without)
            self.listen(AlertHandled(alert.level, alert.kind, len(job.told), len(refused), reasons))
        if not jobs:
            del self._chains[chain]
            self._newest.pop(chain, None)

    async def _gather(self, job: Job) -> None:
        """Everyone whom this may concern, the most urgent last."""
        event = job.event
        zone = self.region.zone_by_id.get(event.alert.zone)
        if zone is None:
            log.error("alert %s: region %s has no zone %s; nobody is told", event.alert.identifier, self.region.id, event.alert.zone)
        if not job.again:  # it was seen; by now a newer one may have been
            self.see(event)
        job.off = await self.ledger.endpoints_off()
        asked = replaced(event, alert=replaced(event.alert, kind=EventKind.RAISE)) if job.anew else event  # whom it concerns
        history, left = await self.ledger.heard(asked), []
        async for chunk in self.directory.concerned(asked, zone):
            left += [self._addressed(event, contact, near=True) for contact in chunk]
            history.difference_update(contact.id for contact in chunk)
        async for chunk in self.directory.heard(history):
            left += [self._addressed(event, contact, near=False) for contact in chunk]
        left.sort(key=lambda one: one.deadline_ms or 0, reverse=True)
        job.left = left

    def _addressed(self, event: AlertEvent, contact: Contact, *, near: bool) -> Addressed:
        return Addressed(contact, near, deadline_ms(event.alert, contact, self.region))

    async def _plan(self, job: Job, some: list[Addressed], now_ms: int, at_ms: int) -> None:
        event = job.event

        def may(contact: Contact, knows: bool, stands_in: bool) -> Verdict:
            return self.may(event, contact, at_ms, knows=knows, stands_in=stands_in)

        withheld, replay = self._note(event, now_ms), self.deployment.replay
        job.withheld = job.withheld or withheld

        def decide(history: list[audience.Known]) -> audience.Plan:
            lately = {known.contact for known in history if job.since is not None and known.revision >= job.since and known.may_have_heard}
            fresh = [one for one in some if one.contact.id not in lately]
            found = audience.plan(event, fresh, history, self.ways, may, job.off, replay=replay, withheld=self.withheld(), anew=job.anew)
            return replace(found, planned=tuple(self._quiet(event, planned, now_ms) for planned in found.planned))

        done: Some = await self.ledger.plan_some(event, [one.contact.id for one in some], decide, now_ms, at_ms)
        for planned in done.plan.planned:
            if planned.channel == NO_WAY:
                job.without_way[planned.contact.id] = planned.reason
            else:
                (job.refused if planned.state is DeliveryState.REFUSED else job.told).add(planned.contact.id)
        if any(planned.reason in UNREACHABLE for planned in done.plan.planned):
            self.unreachable()
        contacts = {one.contact.id: one.contact for one in some}
        self.dropped(done.plan.overtaken)
        self.routed([(item, contacts[item.contact]) for item in done.opened])

    def _quiet(self, event: AlertEvent, planned: audience.Planned, now_ms: int) -> audience.Planned:
        """What can wait for the end of the contact's quiet hours does; a replay has no nights."""
        if planned.state is not DeliveryState.WAITING or planned.held or planned.channel in MACHINES or self.deployment.replay:
            return planned
        until_ms = quiet_until(planned.contact, event.alert, self.region, now_ms)
        return planned if until_ms is None else replace(planned, reason=QUIET, not_before_ms=until_ms)

    # --- what others ask, too

    def may(self, event: AlertEvent, contact: Contact | None, now_ms: int, *, knows: bool, stands_in: bool) -> Verdict:
        """The one gate (``contact`` None: for the public), with what people decided and what this deployment is."""
        people, where = self.people, self.deployment
        said = people.approvals, people.silences, where.replay, where.embedded
        decision = Decision(*said, "", knows, stands_in, people.call_offs, people.asked)
        return may_leave(event, contact, self.region, decision, now_ms)

    def ways(self, contact: Contact) -> Iterator[tuple[str, str]]:
        """(channel, address) of each way to reach the contact."""
        for channel in self.channels:
            if address := channel.address(contact):
                yield channel.name, address

    def _events(self, records: Iterable[ConsumerRecord]) -> Iterator[tuple[AlertEvent, ConsumerRecord]]:
        for record in records:
            try:
                yield DECODER.decode(record.value or b""), record
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                log.error("%s/%d offset %d cannot be read and is skipped: %s", record.topic, record.partition, record.offset, error)

    def _new(self, events: list[tuple[AlertEvent, ConsumerRecord]], known: dict[str, str]) -> Iterator[tuple[AlertEvent, ConsumerRecord]]:
        """Those whose id was never seen. The same id with other content is an alarm; the first one stays."""
        for event, record in events:
            identifier, digest = event.alert.identifier, digest_of(record.value)
            if identifier not in known:
                known[identifier] = digest
                yield event, record
            elif known[identifier] != digest:
                log.critical("alert %s came again with other content; the first one stays, find out who wrote the other", identifier)
                self.listen(DocumentConflict(identifier))
