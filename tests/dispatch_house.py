"""What ``Dispatcher`` puts together, without a broker: batches are handed over, time is set, the channel is a sink."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord

from warning.deployment import Deployment
from warning.dispatch.channel import Outcome, Sending
from warning.dispatch.courier import Courier
from warning.dispatch.decided import Decided
from warning.dispatch.journal import Journal
from warning.dispatch.ledger import Ledger
from warning.dispatch.lookup import Lookup
from warning.dispatch.planner import People, Planner
from warning.dispatch.resending import Resends
from warning.dispatch.rows import Position
from warning.dispatch.source import Batch
from warning.facts import nobody
from warning.model import AlertEvent, DeliveryState, to_json
from warning.people.acknowledged import Acknowledgements
from warning.people.directory import Directory
from warning.people.imports import merge
from warning.people.tables import address
from warning.proof.authority import Authority
from warning.proof.decisions import Decisions
from warning.region import Contact

T0 = 1_756_260_000_000
M, H = 60_000, 3_600_000
TAKEN = Outcome(DeliveryState.DELIVERED)


@dataclass
class Sink:
    """A channel that takes everything to whoever has any address, and writes down when. ``outcome`` WAITING: it takes nothing."""

    now: Any
    name: str = "sms"
    outcome: Outcome = TAKEN

    def __post_init__(self) -> None:
        self.sent: list[tuple[int, AlertEvent, Contact]] = []

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def address(self, contact: Contact) -> str:
        return contact.phone or contact.email

    def lane(self, contact: Contact) -> str:
        return self.name

    def width(self, lane: str) -> int:
        return 2

    async def ready(self) -> None:
        return

    async def send(self, sending: Sending) -> Outcome:
        if self.outcome.state is not DeliveryState.WAITING:
            self.sent.append((self.now(), sending.event, sending.contact))
        return self.outcome


class House:
    """What ``Dispatcher`` puts together, without a broker: batches are handed over, time is set."""

    def __init__(self, region, where: Deployment, contacts: tuple[Contact, ...]) -> None:
        self.region, self.where, self.contacts = region, where, contacts
        self.now_ms = T0
        self.sink = Sink(lambda: self.now_ms)
        self.offset = 0
        self.newest_ms = 0

    def log_ms(self) -> int:
        return self.newest_ms if self.where.replay else self.now_ms

    async def start(self) -> None:
        self.ledger = await Ledger.open(self.where.database, self.region.id)
        self.directory = Directory(address(self.where), self.region)
        await merge(self.directory, self.contacts, "config", self.now_ms, by="config", whole=True)
        self.decisions, self.people = Decisions(self.where.database, replay=self.where.replay), People()
        self.authority = Authority(self.region, self.where.database, self.decisions, replay=self.where.replay)
        self.decided = Decided(self.decisions, self.people, self.ledger.decisions, self.log_ms)
        self.journal: Journal[Any, Any] = Journal(self.ledger.write, lambda up, why: None)
        channels, wall = (self.sink,), lambda: self.now_ms
        self.planner = Planner(
            *(self.region, self.where, self.ledger, self.directory, channels, self.people, nobody),
            lambda opened: [self.courier.route(item, contact) for item, contact in opened] and None,
            lambda ids: self.courier.drop(ids),
            lambda: self.courier.resync(),
            wall,
        )
        self.planner.see = self.decided.see
        self.ledger.withheld = self.planner.withheld
        named = {"sms": self.sink}
        replay = self.where.replay
        self.courier = Courier(self.ledger, self.journal, self.planner, named, Lookup(self._asked), replay, self.log_ms, wall, nobody)
        self.answers = Acknowledgements(address(self.where))
        self.resends = Resends(self.courier, self.answers, self._asked, self.log_ms, lambda: None, lambda: self.decided.standing.resends)
        self.courier.gate.set()
        await self.ledger.positions(self.where.alerts, "")
        await self.ledger.recover(self.now_ms)
        await self.decided.refresh()
        await self.decided.catch_up(self.ledger)
        await self.courier.resync()
        await self.planner.start()
        self.loops = [asyncio.create_task(self.journal.run())]
        self.begin_planner()

    def begin_planner(self) -> None:
        self.loops[1:] = [asyncio.create_task(self.planner.run())]

    async def stop_planner(self) -> None:
        """It is busy with a flood elsewhere: what is entered from now on is not planned."""
        self.loops[1].cancel()
        await asyncio.gather(self.loops[1], return_exceptions=True)

    async def planned(self) -> None:
        while not self.planner.idle:
            await asyncio.sleep(0.002)

    async def stop(self) -> None:
        await self.courier.finish(5)
        for task in self.loops:
            task.cancel()
        await asyncio.gather(*self.loops, return_exceptions=True)
        for each in (self.authority, self.decisions, self.directory, self.answers, self.ledger):
            await each.close()

    async def _asked(self, ids) -> dict[str, Contact]:
        found = {contact.id: contact async for chunk in self.directory.heard(ids) for contact in chunk}
        for name in set(ids) - set(found):
            if (contact := await self.directory.contact(name)) is not None:
                found[name] = contact
        return found

    async def read(self, event: AlertEvent) -> None:
        """The log has one record more."""
        value, key = to_json(event), event.alert.identifier.encode()
        record = ConsumerRecord(self.where.alerts, 0, self.offset, 0, 0, key, value, None, len(key), len(value), ())
        self.offset += 1
        batch = Batch((record,), Position(self.where.alerts, 0, self.offset, "", ""), False)
        self.newest_ms = max(self.newest_ms, await self.planner.take(batch, self.now_ms))

    async def settle(self) -> None:
        """What ``Dispatcher._recheck`` does each second, then until nothing moves."""
        await self.decided.refresh()
        self.planner.look_again()
        await self.courier.recheck()
        await self.resends.look()
        for lane in self.courier.lanes.values():
            lane._wake.set()  # the clock was set: something may be due by now
        await self.rest()

    async def rest(self) -> None:
        """Until no plan is open, every lane has looked through its queue, and nothing is under way; what is not due yet waits on."""
        quiet = 0
        while quiet < 3:
            busy = not self.planner.idle or any(lane._wake.is_set() or lane._going for lane in self.courier.lanes.values())
            quiet = 0 if busy else quiet + 1
            await asyncio.sleep(0.002)
