"""The delivery ledger: who was told what, by which way, and what became of it.

A row is written before a send and closed after it (``write``); what a crash leaves in between is SENDING, which ``recover`` turns
into UNKNOWN, to be sent again and marked. The consumer's position moves in the transaction that writes what was planned (``plan``),
so a record is planned once, whatever happens. Only one dispatcher works on a ledger (``lease``); every change
of state stands in the audit's chain (``trail``).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from warning.alerts.rules import Approval, Silence
from warning.dispatch import attempts, bulk, escalated, plans, resent
from warning.dispatch import tables as t
from warning.dispatch.audience import Known
from warning.dispatch.database import READS, connect
from warning.dispatch.lease import Lease
from warning.dispatch.rows import OPEN, Open, Position, Record, alert_row, change, contact_row, delivery_row
from warning.dispatch.trail import Row, Trail, taken_up
from warning.errors import ExitCode, StateError
from warning.model import AlertEvent, DeliveryState, Level
from warning.proof import chain
from warning.proof.decisions import Resend
from warning.region import Contact

AT_ONCE = 2000  # rows in a statement
STRAY_MS = 3 * 86_400_000  # a receipt whose message is not known by then belongs to nobody


class Ledger:
    """All access to the ledger's tables. ``region``: the id that stands in receipts."""

    def __init__(self, engine: AsyncEngine, region: str) -> None:
        self._engine, self._region = engine, region
        self._reads = engine.execution_options(**{READS: True})
        self._turn = asyncio.Lock()  # one writer at a time: SQLite lets a second one poll, and group commits need no second one
        self.lease = Lease(engine)
        self.withheld: Callable[[], Collection[str]] = frozenset  # alerts that wait for a person (``planner``)
        self._salt = ""

    @staticmethod
    async def open(url: str, region: str) -> Ledger:
        """Connects and creates what is not there. Raises ``Unavailable`` if the database does not answer."""
        return Ledger(await connect(url), region)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        async with self._turn, self._engine.begin() as connection:
            await self.lease.fence(connection)
            yield connection

    @asynccontextmanager
    async def _moving(self) -> AsyncIterator[tuple[AsyncConnection, Trail]]:
        """A transaction that changes the state of deliveries."""
        async with self._writing() as connection:
            self._salt = self._salt or await chain.salt(connection)
            trail = Trail(self._region, self._salt)
            yield connection, trail
            await trail.write(connection)

    def writing(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction of whoever works on the ledger beside its own methods: fenced, in turn with them."""
        return self._writing()

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection that only asks."""
        return self._reads.connect()

    async def beat(self) -> None:
        """The dispatcher lives. Raises Unavailable if another one has the ledger now, DBAPIError or OSError if it does not answer.

        Waits for no transaction, but for SQLite's: there each of them counts.
        """
        async with self._turn if self.lease.alone else nullcontext():
            await self.lease.beat()

    async def close(self) -> None:
        await self.lease.release()
        await self._engine.dispose()

    # --- at start

    async def positions(self, topic: str, cluster: str, *, forgets: bool = False) -> dict[int, Position]:
        """Where each partition stands. Raises ``StateError`` if the ledger belongs to another cluster, unless that ``forgets`` as this."""
        async with self._writing() as connection:
            known = (await connection.execute(select(t.logs.c.cluster).where(t.logs.c.topic == topic))).scalar_one_or_none()
            if known is None:
                await connection.execute(insert(t.logs).values(topic=topic, cluster=cluster, newest_ms=0))
            elif known != cluster and known and forgets:  # what was read of it is nowhere any more
                await connection.execute(delete(t.positions).where(t.positions.c.topic == topic))
                await connection.execute(update(t.logs).where(t.logs.c.topic == topic).values(cluster=cluster, newest_ms=0))
            elif known != cluster:
                raise StateError(
                    f"the ledger belongs to topic {topic} of cluster {known!r}, this one is {cluster!r}: name the database that belongs to "
                    "this broker, or use another prefix",
                    exit_code=ExitCode.LOG_OTHER,
                    reason="other_log",
                )
            rows = (await connection.execute(select(t.positions).where(t.positions.c.topic == topic))).mappings()
            return {row["partition"]: Position(**row) for row in rows}

    async def newest_ms(self, topic: str) -> int:
        """The log's time: the newest sent time seen; 0 before the first alert."""
        return int(await self._one(select(t.logs.c.newest_ms).where(t.logs.c.topic == topic)) or 0)

    async def import_contacts(self, contacts: Iterable[Contact]) -> None:
        """The configuration's contacts. Who left it stays in the table for the ledger's sake, not active."""
        rows = [contact_row(contact) for contact in contacts]
        async with self._writing() as connection:
            known = set((await connection.execute(select(t.contacts.c.id))).scalars())
            await connection.execute(update(t.contacts).values(active=False))
            for begin in range(0, len(rows), AT_ONCE):  # each in the time that a statement has
                some = rows[begin : begin + AT_ONCE]
                if old := [{"key": row["id"], **row} for row in some if row["id"] in known]:
                    await connection.execute(update(t.contacts).where(t.contacts.c.id == bindparam("key")), old)
                if new := [row for row in some if row["id"] not in known]:
                    await connection.execute(insert(t.contacts), new)

    async def recover(self, now_ms: int) -> int:
        """What a crash left SENDING becomes UNKNOWN, due at once: all warnings are about lives. Returns how many."""
        async with self._moving() as (connection, trail):
            query = select(t.deliveries).where(t.deliveries.c.state == DeliveryState.SENDING.value)
            rows = [taken_up(dict(row)) for row in (await connection.execute(query)).mappings()]
            for row in rows:
                row.update(state=DeliveryState.UNKNOWN.value, reason="crash", handed=True, next_attempt_ms=0, changed_ms=now_ms)
            await change(connection, rows, trail)
            trail.told(rows)
            await connection.execute(delete(t.strays).where(t.strays.c.at_ms < now_ms - STRAY_MS))
        return len(rows)

    async def open_deliveries(self) -> list[Open]:
        """Everything with an attempt to come or held back, in the order in which it was planned."""
        over = (t.deliveries.c.state == DeliveryState.UNKNOWN.value) & t.deliveries.c.next_attempt_ms.is_(None)
        query = select(t.deliveries).where(t.deliveries.c.state.in_(OPEN), ~over).order_by(t.deliveries.c.id)
        return [Open.of(row) for row in await self._rows(query)]

    # --- planning

    async def known_digests(self, identifiers: Sequence[str]) -> dict[str, str]:
        """identifier -> digest, of those alerts that the ledger has."""
        query = select(t.alerts.c.identifier, t.alerts.c.digest).where(t.alerts.c.identifier.in_(identifiers))
        return {row["identifier"]: row["digest"] for row in await self._rows(query)}

    async def history(self, chain: str) -> list[Known]:
        """All deliveries of a chain so far."""
        query = select(t.deliveries).where(t.deliveries.c.chain == chain).order_by(t.deliveries.c.id)
        return [
            Known(row["id"], row["contact"], row["channel"], DeliveryState(row["state"]), row["handed"], row["attempts"], row["due_ms"])
            for row in await self._rows(query)
        ]

    async def decisions(self) -> tuple[tuple[Approval, ...], tuple[Silence, ...]]:
        """What people decided, for ``alerts.rules``."""
        approvals, silences = await self._rows(select(t.approvals)), await self._rows(select(t.silences))
        return (
            tuple(Approval(row["chain"], Level(row["level"]), row["by"], row["at_ms"], row["granted"]) for row in approvals),
            tuple(Silence(**{**row, "up_to": Level(row["up_to"])}) for row in silences if row.pop("id")),
        )

    async def approve(self, approval: Approval) -> None:
        """Records a person's answer; the dispatcher acts on it within a second."""
        row = {name: getattr(approval, name) for name in Approval.__slots__ if name in t.approvals.c} | {"level": approval.level.value}
        await self._insert(t.approvals, row, "approval")

    async def silence(self, silence: Silence) -> None:
        """Records a person's wish for quiet."""
        row = {name: getattr(silence, name) for name in Silence.__slots__} | {"up_to": silence.up_to.value}
        await self._insert(t.silences, row, "silence")

    async def endpoints_off(self) -> set[tuple[str, str]]:
        """(contact, address) that answered 410."""
        return {(row["contact"], row["address"]) for row in await self._rows(select(t.endpoints_off))}

    async def endpoint_on(self, contact: str) -> None:
        """It has shown that it wants to hear again."""
        async with self._writing() as connection:
            await connection.execute(delete(t.endpoints_off).where(t.endpoints_off.c.contact == contact))

    async def plan(self, record: Record, position: Position, now_ms: int, *, due_now: bool) -> list[Open]:
        """Writes an alert, its deliveries and overtakings and moves the position, in one transaction. Returns what is to be sent.

        ``due_now``: by the time that decides, an alert is due now (live), not at its own sent time (replay).
        """
        sent_ms = record.event.alert.sent_ms
        async with self._moving() as (connection, trail):
            opened = await self._plan_one(connection, trail, record, now_ms, now_ms if due_now else sent_ms)
            await self._move(connection, position, sent_ms)
        return opened

    async def begin(self, event: AlertEvent, value: bytes, position: Position) -> None:
        """Enters an alert, to be planned (``plan_some`` ... ``finish``), and moves the position."""
        async with self._writing() as connection:
            await plans.begin(connection, event, value)
            await self._move(connection, position, event.alert.sent_ms)

    async def plan_some(self, event: AlertEvent, contacts: Sequence[str], decide: plans.Decide, now_ms: int, due_ms: int) -> plans.Some:
        """Plans an alert for some contacts; see ``plans.some``."""
        async with self._moving() as (connection, trail):
            return await plans.some(connection, trail, event, contacts, decide, now_ms, due_ms)

    async def finish(self, event: AlertEvent, now_ms: int, *, replay: bool, withheld: Collection[str] = ()) -> tuple[int, ...]:
        """The plan of an alert is done; see ``plans.finish``."""
        async with self._moving() as (connection, trail):
            return await plans.finish(connection, trail, event, now_ms, replay=replay, withheld=withheld)

    async def heard(self, event: AlertEvent) -> set[str]:
        """Contacts in its chain's history whom a revision may concern; see ``plans.heard``."""
        async with self._reads.connect() as connection:
            return await plans.heard(connection, event)

    async def in_force(self, now_ms: int) -> list[bytes]:
        """Values of the alerts that have not expired, a chain's in their order."""
        async with self._reads.connect() as connection:
            return await plans.in_force(connection, now_ms)

    async def overtaking(self, now_ms: int) -> list[bytes]:
        """See ``plans.overtaking``."""
        async with self._reads.connect() as connection:
            return await plans.overtaking(connection, now_ms)

    async def unfinished(self) -> list[bytes]:
        """Values of the alerts whose plan is not done, a chain's in their order."""
        async with self._reads.connect() as connection:
            return await plans.unfinished(connection)

    async def unanswered(self, now_ms: int, after_ms: int, long_ms: int, most: int, after_id: int) -> list[Row]:
        """See ``escalated.candidates``."""
        async with self._reads.connect() as connection:
            first = after_id or await escalated.before(connection, now_ms)
            return [] if first is None else await escalated.candidates(connection, now_ms, after_ms, long_ms, most, first, self.withheld())

    async def out_since(self, alert: str) -> int:
        """When the first delivery of an alert was planned, ms; 0: none was."""
        return int(await self._one(select(func.min(t.deliveries.c.created_ms)).where(t.deliveries.c.alert == alert)) or 0)

    async def escalate(
        self, event: AlertEvent, contacts: Sequence[str], answered: set[str], over: escalated.Over, decide: escalated.Decide, now_ms: int
    ) -> tuple[list[escalated.Made], list[Open]]:
        """See ``escalated.enter``."""
        async with self._moving() as (connection, trail):
            return await escalated.enter(connection, trail, event, contacts, answered, over, decide, now_ms, self.withheld())

    async def resend_stage(self, wish: Resend, now_ms: int) -> resent.Stage:
        """See ``resent.stage``."""
        async with self._writing() as connection:
            return await resent.stage(connection, wish, now_ms, self.withheld())

    async def resends_done(self) -> set[int]:
        """See ``resent.done``."""
        async with self._reads.connect() as connection:
            return await resent.done(connection)

    async def resend_meant(self, wish: Resend, at: resent.Stage) -> list[Row]:
        """See ``resent.meant``."""
        async with self._reads.connect() as connection:
            return await resent.meant(connection, wish, at)

    async def resend(
        self, wish: Resend, before: resent.Stage, chosen: Mapping[int, int], after: int | None, now_ms: int
    ) -> tuple[list[Open], resent.Stage]:
        """See ``resent.enter``."""
        async with self._moving() as (connection, trail):
            return await resent.enter(connection, trail, wish, before, chosen, after, now_ms, self.withheld())

    async def lately(self, contacts: Sequence[str], since_ms: int) -> list[tuple[str, str, str]]:
        """See ``escalated.lately``."""
        async with self._reads.connect() as connection:
            return await escalated.lately(connection, contacts, since_ms)

    async def move(self, position: Position) -> None:
        """Up to here there was nothing new."""
        async with self._writing() as connection:
            await self._move(connection, position, 0)

    async def _plan_one(self, connection: AsyncConnection, trail: Trail, record: Record, now_ms: int, due_ms: int) -> list[Open]:
        await connection.execute(insert(t.alerts).values(alert_row(record)))
        if record.overtaken:
            query = select(t.deliveries).where(t.deliveries.c.id.in_(record.overtaken), t.deliveries.c.state.in_(OPEN))
            await self._overtake(connection, trail, [taken_up(dict(row)) for row in (await connection.execute(query)).mappings()], now_ms)
        rows = [delivery_row(record.event, planned, now_ms, due_ms) for planned in record.planned]
        if not rows:
            return []
        result = await connection.execute(insert(t.deliveries).returning(t.deliveries, sort_by_parameter_order=True), rows)
        written = [dict(row) for row in result.mappings()]
        for row in written:
            trail.moved(row)
        trail.told(row for row in written if row["state"] not in OPEN)
        return [Open.of(row) for row in written if row["state"] in OPEN]

    async def _overtake(self, connection: AsyncConnection, trail: Trail, rows: list[Row], now_ms: int) -> None:
        for row in rows:
            why = "outcome_unknown" if row["state"] == DeliveryState.UNKNOWN.value else row["reason"]
            row.update(state=DeliveryState.OVERTAKEN.value, reason=why, next_attempt_ms=None, changed_ms=now_ms)
        await change(connection, rows, trail)
        trail.told(rows)

    async def _move(self, connection: AsyncConnection, position: Position, newest_ms: int) -> None:
        topic, partition = position.topic, position.partition
        await connection.execute(delete(t.positions).where(t.positions.c.topic == topic, t.positions.c.partition == partition))
        await connection.execute(insert(t.positions).values({name: getattr(position, name) for name in Position.__slots__}))
        older = (t.logs.c.topic == topic) & (t.logs.c.newest_ms < newest_ms)
        await connection.execute(update(t.logs).where(older).values(newest_ms=newest_ms))

    # --- sending

    async def write(self, entries: list[attempts.Entry]) -> list[attempts.Answer]:
        """Claims, closings and receipts, in one transaction; see ``attempts``."""
        async with self._moving() as (connection, trail):
            return await attempts.write(connection, trail, entries, self.withheld())

    async def alert(self, identifier: str) -> bytes:
        """The stored value of an alert."""
        return bytes(await self._one(select(t.alerts.c.value).where(t.alerts.c.identifier == identifier)))

    async def end(self, deliveries: Collection[int], state: DeliveryState, reason: str, now_ms: int) -> None:
        """Closes those of these that are open without an attempt: the rules refused them at the last moment, or they expired. Unknown stays
        unknown."""
        async with self._moving() as (connection, trail):
            found = await bulk.found(connection, t.deliveries, "id", deliveries)
            rows = [taken_up(row) for row in found if row["state"] in OPEN]
            for row in rows:
                unknown = row["state"] == DeliveryState.UNKNOWN.value
                row.update(state=row["state"] if unknown else state.value, reason=reason, next_attempt_ms=None, changed_ms=now_ms)
            await change(connection, rows, trail)
            trail.told(rows)

    # --- receipts to the broker

    async def unpublished(self, most: int) -> list[tuple[int, str, bytes]]:
        """(id, alert, value) of receipts that the broker does not have yet, oldest first."""
        rows = await self._rows(select(t.outbox).order_by(t.outbox.c.id).limit(most))
        return [(row["id"], row["alert"], bytes(row["value"])) for row in rows]

    async def published(self, ids: Sequence[int]) -> None:
        """The broker has these. (Not "all up to": a transaction with a smaller id may commit later.)

        That is true whoever says it; what a crash takes back goes once more. PostgreSQL: it waits for no disk, and nothing waits for it.
        """
        if self.lease.alone:
            async with self._writing() as connection:
                await bulk.remove(connection, t.outbox, "id", ids)
        else:
            async with self._engine.begin() as connection:
                await connection.execute(text("SET LOCAL synchronous_commit TO off"))
                await bulk.remove(connection, t.outbox, "id", ids)

    # --- what others ask

    async def counts(self) -> Counter[tuple[str, str]]:
        """(channel, state) -> deliveries."""
        query = select(t.deliveries.c.channel, t.deliveries.c.state, func.count().label("n")).group_by(
            t.deliveries.c.channel, t.deliveries.c.state
        )
        return Counter({(row["channel"], row["state"]): row["n"] for row in await self._rows(query)})

    async def unsettled(self) -> int:
        """Alerts to be planned, deliveries under way or due, receipts not yet published; 0: nothing is left to do."""
        under_way = (DeliveryState.SENDING.value, *OPEN)
        held = t.deliveries.c.next_attempt_ms.is_(None) & (t.deliveries.c.state != DeliveryState.SENDING.value)
        due = select(func.count()).select_from(t.deliveries).where(t.deliveries.c.state.in_(under_way), ~held)
        left = [due, select(func.count()).select_from(t.outbox), select(func.count()).select_from(t.plans)]
        return sum([int(await self._one(query)) for query in left])

    async def observed(self) -> dict[str, tuple[bool, int]]:
        """zone -> (UNKNOWN, n): what operators were last told."""
        return {row["zone"]: (row["unknown"], row["n"]) for row in await self._rows(select(t.observed))}

    async def observe(self, zones: Mapping[str, tuple[bool, int]], positions: Iterable[Position]) -> None:
        """Operators are told of these; the positions in ``hazards`` move with it."""
        async with self._writing() as connection:
            if zones:
                await connection.execute(delete(t.observed).where(t.observed.c.zone.in_(list(zones))))
                await connection.execute(
                    insert(t.observed), [{"zone": zone, "unknown": unknown, "n": n} for zone, (unknown, n) in zones.items()]
                )
            for position in positions:
                await self._move(connection, position, 0)

    async def _insert(self, table: Table, row: Row, kind: str) -> None:
        """What a person decided, and its line in the chain."""
        async with self._writing() as connection:
            await connection.execute(insert(table).values(row))
            at_ms = int(row["at_ms"] if "at_ms" in row else row["from_ms"])
            await chain.enter(connection, kind, at_ms, **{name: value for name, value in row.items() if name != "at_ms"})

    async def _rows(self, query: Any) -> list[Row]:
        async with self._reads.connect() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def _one(self, query: Any) -> Any:
        async with self._reads.connect() as connection:
            return (await connection.execute(query)).scalar_one_or_none()
