"""What the ledger says of deliveries: listed page by page, one with all that happened to it, counted. Nothing is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.dispatch import tables as t
from warning.dispatch.trail import Row
from warning.model import DeliveryState

PAGE = 1000
COUNTED_BY = ("state", "channel", "route", "language", "level", "zone", "alert", "step", "reason")


@dataclass(frozen=True, slots=True)
class Which:
    """Deliveries that meet all that is named. ``zones``: of a district; None: all. Times: when planned, ms since 1970 UTC."""

    alert: str = ""
    contact: str = ""
    zones: tuple[str, ...] | None = None
    states: tuple[DeliveryState, ...] = ()
    channel: str = ""
    since_ms: int | None = None
    until_ms: int | None = None

    def of(self, query: Select[Any]) -> Select[Any]:
        table = t.deliveries.c
        wanted = ((self.alert, table.alert), (self.contact, table.contact), (self.channel, table.channel))
        for value, column in wanted:
            if value:
                query = query.where(column == value)
        if self.zones is not None:
            query = query.where(table.zone.in_(self.zones))
        if self.states:
            query = query.where(table.state.in_([state.value for state in self.states]))
        if self.since_ms is not None:
            query = query.where(table.created_ms >= self.since_ms)
        return query if self.until_ms is None else query.where(table.created_ms < self.until_ms)


async def listed(connection: AsyncConnection, which: Which, most: int | None = None) -> AsyncIterator[Row]:
    """In the order in which they were planned; one page stands in memory."""
    after, left = 0, most
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        query = which.of(select(t.deliveries)).where(t.deliveries.c.id > after).order_by(t.deliveries.c.id).limit(size)
        rows = [dict(row) for row in (await connection.execute(query)).mappings()]
        for row in rows:
            yield row
        if len(rows) < size:
            return
        after, left = rows[-1]["id"], None if left is None else left - len(rows)


async def counted(connection: AsyncConnection, which: Which, by: Sequence[str]) -> list[Row]:
    """``by``: of ``COUNTED_BY``. Rows of those columns and ``deliveries``, in their order."""
    columns = [t.deliveries.c[name] for name in by]
    query = which.of(select(*columns, func.count().label("deliveries"))).group_by(*columns).order_by(*columns)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def shown(connection: AsyncConnection, delivery: int) -> Row | None:
    """One delivery with its ``messages`` (parts of each attempt) and its ``transitions``; None if there is none of that number."""
    row = (await connection.execute(select(t.deliveries).where(t.deliveries.c.id == delivery))).mappings().first()
    if row is None:
        return None
    parts = select(t.parts).where(t.parts.c.delivery == delivery).order_by(t.parts.c.id)
    moved = select(t.transitions).where(t.transitions.c.delivery == delivery).order_by(t.transitions.c.seq)
    return {
        **row,
        "messages": [dict(part) for part in (await connection.execute(parts)).mappings()],
        "transitions": [dict(each) for each in (await connection.execute(moved)).mappings()],
    }


async def of_message(connection: AsyncConnection, message_id: str) -> list[int]:
    """Deliveries of which a part has this id at a gateway."""
    query = select(t.parts.c.delivery).where(t.parts.c.message_id == message_id).distinct().order_by(t.parts.c.delivery)
    return list((await connection.execute(query)).scalars())


async def of_alert(connection: AsyncConnection, identifier: str) -> Row | None:
    """The alert as the ledger stored it, with its value."""
    row = (await connection.execute(select(t.alerts).where(t.alerts.c.identifier == identifier))).mappings().first()
    return dict(row) if row is not None else None


async def alerts(
    connection: AsyncConnection, *, chain: str = "", zones: Sequence[str] = (), since_ms: int = 0, until_ms: int = 0
) -> AsyncIterator[Row]:
    """Those of a chain, or of some zones by their sent times; a chain's in their order."""
    query = select(t.alerts).order_by(t.alerts.c.sent_ms, t.alerts.c.revision)
    if chain:
        query = query.where(t.alerts.c.chain == chain)
    else:
        query = query.where(t.alerts.c.zone.in_(zones), t.alerts.c.sent_ms >= since_ms, t.alerts.c.sent_ms < until_ms)
    for row in (await connection.execute(query)).mappings():
        yield dict(row)


async def reports(connection: AsyncConnection, most: int) -> list[Row]:
    """The newest reports of SMS centres that the dispatcher took by itself, the newest first."""
    query = select(t.reports).order_by(t.reports.c.id.desc()).limit(most)
    return [dict(row) for row in (await connection.execute(query)).mappings()]
