"""An alert's deliveries are planned some contacts at a time, each time in one transaction; ``plans`` has the alerts that are not done yet.

What is there already is seen in the same transaction and left alone, so a plan may be gone through again after a crash, from its beginning,
and nobody gets a second delivery or none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.alerts.lifecycle import chain_of
from warning.alerts.manual import chains_meant
from warning.dispatch import bulk
from warning.dispatch import tables as t
from warning.dispatch.audience import EXPIRED, Known, Plan, overtakable
from warning.dispatch.rows import OPEN, Open, Record, alert_row, change, delivery_row
from warning.dispatch.trail import Row, Trail, taken_up
from warning.model import Alert, AlertEvent, DeliveryState, Level

Decide = Callable[[list[Known]], Plan]
_KNOWN = ("id", "contact", "channel", "state", "handed", "attempts", "due_ms", "revision", "level", "reason", "alert")
AT_ONCE = 1000  # rows of one statement


@dataclass(frozen=True, slots=True)
class Some:
    """What one transaction of a plan led to."""

    plan: Plan
    opened: list[Open]  # to be sent, or held


def _replaced(alert: Alert) -> ColumnElement[bool]:
    """Deliveries of the chains that a person's alert takes the place of. What rose above its class meanwhile is left on its way."""
    c, top = t.deliveries.c, max(alert.level, alert.previous_level, key=lambda level: level.rank)
    others = chains_meant(alert) - {chain_of(alert.identifier)}
    lower = c.level.in_([level.value for level in Level if level.rank <= top.rank])
    return c.chain.in_(others) & (~c.state.in_(OPEN) | lower if alert.revision == 0 else ~c.state.in_(OPEN))


def _older(alert: Alert) -> ColumnElement[bool]:
    c = t.deliveries.c
    return (c.chain == chain_of(alert.identifier)) & (c.revision < alert.revision) | _replaced(alert)


def _known(row: Any, own: str) -> Known:
    """Of another chain: older than any revision of ours."""
    known = {name: row[name] for name in _KNOWN if name not in ("state", "revision", "level")}
    revision = row["revision"] if row["chain"] == own else -1
    return Known(**known, state=DeliveryState(row["state"]), revision=revision, level=Level(row["level"]))


async def begin(connection: AsyncConnection, event: AlertEvent, value: bytes) -> None:
    """The alert is in the ledger, and its plan is to be done."""
    alert = event.alert
    await connection.execute(insert(t.alerts).values(alert_row(Record(event, value, (), ()))))
    plan = {"alert": alert.identifier, "chain": chain_of(alert.identifier), "revision": alert.revision}
    await connection.execute(insert(t.plans).values(plan))


async def some(
    connection: AsyncConnection, trail: Trail, event: AlertEvent, contacts: Sequence[str], decide: Decide, now_ms: int, due_ms: int
) -> Some:
    """Decides for these contacts with what the ledger knows of them, and writes it."""
    c, own = t.deliveries.c, chain_of(event.alert.identifier)
    where = (c.chain == own) | _replaced(event.alert)
    query = select(*(c[name] for name in _KNOWN), c.chain).where(where, c.contact.in_(contacts)).order_by(c.id)
    plan = decide([_known(row, own) for row in (await connection.execute(query)).mappings()])
    await overtake(connection, trail, plan.overtaken, now_ms)
    rows: list[Row] = [{**delivery_row(event, planned, now_ms, due_ms), "route": ""} for planned in plan.planned]
    for row, planned in zip(rows, plan.planned, strict=True):
        if planned.not_before_ms and row["next_attempt_ms"] == 0:
            row.update(next_attempt_ms=planned.not_before_ms, due_ms=max(due_ms, planned.not_before_ms))
    for row, number in zip(rows, await bulk.numbers(connection, t.deliveries, len(rows)), strict=True):
        row["id"] = number
        trail.moved(row)
    await bulk.insert(connection, t.deliveries, rows)
    trail.told(row for row in rows if row["state"] not in OPEN)
    return Some(plan, [Open.of(row) for row in rows if row["state"] in OPEN])


async def finish(
    connection: AsyncConnection, trail: Trail, event: AlertEvent, now_ms: int, *, replay: bool, withheld: Collection[str] = ()
) -> tuple[int, ...]:
    """Everybody is planned; what an older revision still has on its way, to whoever is no contact any more, will not go. Its ids."""
    alert, c = event.alert, t.deliveries.c
    older = _older(alert) & c.state.in_(OPEN)
    rows = (await connection.execute(select(*(c[name] for name in _KNOWN), c.chain).where(older))).mappings()
    known = [_known(row, chain_of(alert.identifier)) for row in rows]
    gone = tuple(one.id for one in known if overtakable(one, event, replay=replay, withheld=withheld))
    await overtake(connection, trail, gone, now_ms)
    await connection.execute(delete(t.plans).where(t.plans.c.alert == alert.identifier))
    return gone


async def overtake(connection: AsyncConnection, trail: Trail, ids: Sequence[int], now_ms: int) -> None:
    """Those of these that are still open will not go."""
    for first in range(0, len(ids), AT_ONCE):
        query = select(t.deliveries).where(t.deliveries.c.id.in_(ids[first : first + AT_ONCE]), t.deliveries.c.state.in_(OPEN))
        rows = [taken_up(dict(row)) for row in (await connection.execute(query)).mappings()]
        for row in rows:
            why = "outcome_unknown" if row["state"] == DeliveryState.UNKNOWN.value else row["reason"]
            row.update(state=DeliveryState.OVERTAKEN.value, reason=why, next_attempt_ms=None, changed_ms=now_ms)
        await change(connection, rows, trail)
        trail.told(rows)


async def heard(connection: AsyncConnection, event: AlertEvent) -> set[str]:
    """Contacts in the history of its chain whom this revision may concern: all, or, if contacts do not hear of it, who still waits, or for
    whom the one before ran out."""
    alert, c = event.alert, t.deliveries.c
    query = select(c.contact).distinct().where(_older(alert))
    if not alert.kind.told:
        query = query.where(c.state.in_(OPEN) | (c.reason == EXPIRED))
    return set((await connection.execute(query)).scalars())


async def in_force(connection: AsyncConnection, now_ms: int) -> list[bytes]:
    """The values of alerts that have not expired, a chain's in their order."""
    query = select(t.alerts.c.value).where(t.alerts.c.expires_ms > now_ms).order_by(t.alerts.c.chain, t.alerts.c.revision)
    return [bytes(value) for value in (await connection.execute(query)).scalars()]


async def overtaking(connection: AsyncConnection, now_ms: int) -> list[bytes]:
    """The values of alerts in force that are planned, while their chain has something older on its way: they waited for a person."""
    c, d = t.alerts.c, t.deliveries.c
    oldest = select(d.chain, func.min(d.revision).label("revision")).where(d.state.in_(OPEN)).group_by(d.chain).subquery()
    query = select(c.value).join(oldest, oldest.c.chain == c.chain).where(oldest.c.revision < c.revision, c.expires_ms > now_ms)
    query = query.where(~exists().where(t.plans.c.alert == c.identifier)).order_by(c.chain, c.revision)
    return [bytes(value) for value in (await connection.execute(query)).scalars()]


async def newest(connection: AsyncConnection, chain: str, withheld: Collection[str]) -> int:
    """The highest revision of a chain but those ``withheld``; -1: there is none."""
    c = t.alerts.c
    query = select(func.coalesce(func.max(c.revision), -1)).where(c.chain == chain, c.identifier.notin_(withheld))
    return int((await connection.execute(query)).scalar_one())


async def newer(connection: AsyncConnection, chain: str, revision: int) -> bool:
    """Whether a newer revision is being planned. One that contacts do not hear of looks only at who waits as it begins; what waits only
    since would be overtaken at its end, and nothing would go in its stead."""
    p = t.plans.c
    return (await connection.execute(select(p.alert).where(p.chain == chain, p.revision > revision).limit(1))).first() is not None


async def unfinished(connection: AsyncConnection) -> list[bytes]:
    """The values of the alerts whose plan is not done, a chain's in their order."""
    query = select(t.alerts.c.value).join(t.plans, t.plans.c.alert == t.alerts.c.identifier)
    return [bytes(value) for value in (await connection.execute(query.order_by(t.plans.c.chain, t.plans.c.revision))).scalars()]
