"""From records of ``alerts`` to planned deliveries: each record once, whatever was read twice."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, replace

import msgspec
from aiokafka import ConsumerRecord

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import Approval, Decision, Silence, Verdict, may_leave
from warning.deployment import Deployment
from warning.dispatch import audience
from warning.dispatch.channel import Channel
from warning.dispatch.ledger import Ledger
from warning.dispatch.rows import Open, Record, digest_of
from warning.dispatch.source import Batch
from warning.facts import AlertHandled, DocumentConflict, Listener
from warning.model import AlertEvent, DeliveryState
from warning.region import Contact, Region

log = logging.getLogger(__name__)

DECODER = msgspec.json.Decoder(AlertEvent)


@dataclass
class People:
    """What people decided; read again every second."""

    approvals: tuple[Approval, ...] = ()
    silences: tuple[Silence, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What one record of the log leads to."""

    opened: list[Open]  # to be sent
    overtaken: tuple[int, ...]  # ids of older deliveries that will not go
    newest_ms: int  # its sent time


@dataclass
class Planner:
    """Plans for one region. ``channels``: every way to reach a contact."""

    region: Region
    deployment: Deployment
    ledger: Ledger
    channels: tuple[Channel, ...]
    people: People
    listen: Listener

    async def plan(self, batch: Batch, now_ms: int) -> AsyncIterator[Result]:
        """Writes a batch, record by record, each with the position after it. Raises DBAPIError; the same batch may then be given again.

        One by one: a chain's second revision must see what the first one planned.
        """
        events = list(self._events(batch.records))
        known = await self.ledger.known_digests([event.alert.identifier for event, _ in events])
        off = await self.ledger.endpoints_off()
        for event, record in self._new(events, known):
            history = await self.ledger.history(chain_of(event.alert.identifier))
            plan = self._decide(event, history, off, now_ms)
            position = replace(batch.position, next_offset=record.offset + 1, last_digest=digest_of(record.key, record.value))
            planned = Record(event, record.value, plan.planned, plan.overtaken)
            opened = await self.ledger.plan(planned, position, now_ms, due_now=not self.deployment.replay)
            self._tell(event, plan)
            yield Result(opened, plan.overtaken, event.alert.sent_ms)
        await self.ledger.move(batch.position)

    def may(self, event: AlertEvent, contact: Contact, now_ms: int, *, knows: bool, stands_in: bool) -> Verdict:
        """The one gate, with what people decided and what this deployment is."""
        people, where = self.people, self.deployment
        decision = Decision(people.approvals, people.silences, where.replay, where.embedded, "", knows, stands_in)
        return may_leave(event, contact, self.region, decision, now_ms)

    def ways(self, contact: Contact) -> Iterator[tuple[str, str]]:
        """(channel, address) of each way to reach the contact."""
        for channel in self.channels:
            if address := channel.address(contact):
                yield channel.name, address

    def _decide(self, event: AlertEvent, history: list[audience.Known], off: set[tuple[str, str]], now_ms: int) -> audience.Plan:
        if event.alert.zone not in self.region.zone_by_id:
            log.error("alert %s: region %s has no zone %s; nobody is told", event.alert.identifier, self.region.id, event.alert.zone)
        replay = self.deployment.replay
        at_ms = event.alert.sent_ms if replay else now_ms

        def may(contact: Contact, knows: bool, stands_in: bool) -> Verdict:
            return self.may(event, contact, at_ms, knows=knows, stands_in=stands_in)

        return audience.plan(event, self.region, history, self.ways, may, off, replay=replay)

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

    def _tell(self, event: AlertEvent, plan: audience.Plan) -> None:
        contacts = {planned.contact.id for planned in plan.planned if planned.state is not DeliveryState.REFUSED}
        refused = {planned.contact.id for planned in plan.planned} - contacts
        self.listen(AlertHandled(event.alert.level, event.alert.kind, len(contacts), len(refused)))
