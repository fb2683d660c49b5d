"""Escalation in SQL: whose time may be over, how the others of the same revision stand, and what was done about it, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, exists, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.alerts.lifecycle import chain_of
from warning.dispatch import plans
from warning.dispatch import tables as t
from warning.dispatch.audience import Planned
from warning.dispatch.rows import OPEN, Open, delivery_row
from warning.dispatch.steps import Others
from warning.dispatch.trail import Row, Trail
from warning.model import AlertEvent, DeliveryState, EventKind
from warning.people.subscriptions import CONTACT as SUBSCRIBED
from warning.people.unreached import MACHINES, UNREACHABLE

HANDED = (DeliveryState.ACCEPTED.value, DeliveryState.DELIVERED.value, DeliveryState.UNKNOWN.value, DeliveryState.SENDING.value)
TRYING = (DeliveryState.WAITING.value, DeliveryState.SENDING.value, DeliveryState.ACCEPTED.value, DeliveryState.UNKNOWN.value)
OVER = (EventKind.CLEAR.value, EventKind.EXPIRE.value)  # nobody is woken for the end
UNTOLD = tuple(kind.value for kind in EventKind if not kind.told)
QUIET = "quiet"  # reason of a delivery that waits for the end of its contact's quiet hours


@dataclass(frozen=True, slots=True)
class Made:
    """One step to be entered: because of the delivery ``of`` (a row). ``planned``: the delivery that it adds, if any."""

    of: Row
    step: str
    why: str
    to: str = ""
    channel: str = ""
    planned: Planned | None = None


Over = Callable[[Row], bool]
Decide = Callable[[Others, dict[str, set[str]]], Sequence[Made]]  # how the others stand, contact -> channels tried -> the steps


async def candidates(
    connection: AsyncConnection, now_ms: int, after_ms: int, long_ms: int, most: int, after_id: int, withheld: Collection[str]
) -> list[Row]:
    """Deliveries of what holds now whose time may be over, and about which nothing was done; at most ``most``, ids above ``after_id``.

    ``withheld``: what waits for a person takes the place of nothing. Of agencies that subscribed only what goes to people.
    """
    c, newer = t.deliveries.c, t.alerts.alias("newer")
    accepted = and_(c.state == DeliveryState.ACCEPTED.value, c.changed_ms <= now_ms - after_ms)
    failed = c.state == DeliveryState.FAILED.value
    goes_on = or_(c.next_attempt_ms.isnot(None), c.state == DeliveryState.UNKNOWN.value)  # held: not; unknown for good: as one that waits
    waits = and_(c.state.in_(OPEN), goes_on, c.reason != QUIET, func.coalesce(c.resent_ms, c.created_ms) <= now_ms - long_ms)
    nowhere = and_(c.state == DeliveryState.REFUSED.value, c.reason.in_(UNREACHABLE), c.channel.notin_(MACHINES))
    told_newer = exists().where(newer.c.chain == c.chain, newer.c.revision > c.revision, newer.c.kind.notin_(UNTOLD))
    told_newer = told_newer.where(newer.c.identifier.notin_(withheld))
    ours = or_(c.channel.notin_(MACHINES), ~c.contact.startswith(SUBSCRIBED, autoescape=True))
    query = (
        select(t.deliveries)
        .join(t.alerts, t.alerts.c.identifier == c.alert)
        .where(c.id > after_id, c.expires_ms > now_ms, ours, t.alerts.c.kind.notin_(OVER))
        .where(or_(accepted, failed, waits, nowhere), ~exists().where(t.escalations.c.delivery == c.id), ~told_newer)
        .order_by(c.id)
        .limit(most)
    )
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def before(connection: AsyncConnection, now_ms: int) -> int | None:
    """The number below the first delivery of what holds now: all that ever was told is many, and stands in the order of its numbers.
    None: nothing holds."""
    c, a = t.deliveries.c, t.alerts.c
    first = select(func.min(c.id)).where(c.alert.in_(select(a.identifier).where(a.expires_ms > now_ms, a.kind.notin_(OVER))))
    found = (await connection.execute(first)).scalar_one()
    return None if found is None else int(found) - 1


async def others(
    connection: AsyncConnection, alert: str, contacts: Collection[str], answered: Collection[str], over: Over
) -> tuple[Others, dict[str, set[str]]]:
    """How the deliveries of a revision to these contacts stand; contact -> channels that were tried. ``over``: is the time of one over?"""
    found, tried = Others(reached=set(answered)), dict[str, set[str]]()
    c = t.deliveries.c
    done = exists().where(t.escalations.c.delivery == c.id).label("done")
    query = select(c.contact, c.channel, c.state, c.reason, c.created_ms, c.changed_ms, c.attempts, c.resent, c.resent_ms, done)
    for row in await connection.execute(query.where(c.alert == alert, c.contact.in_(list(contacts)))):
        found.told.add(row.contact)
        tried.setdefault(row.contact, set()).add(row.channel)
        machine = row.channel in MACHINES
        if row.state == DeliveryState.DELIVERED.value:
            (found.machines_reached if machine else found.reached).add(row.contact)
        elif row.state in TRYING and not row.done and row.reason != QUIET:  # who sleeps until morning stands in for nobody tonight
            late = over(row._asdict())
            if not (machine and late):
                (found.machines_trying if machine else found.spent if late else found.trying).add(row.contact)
    return found, tried


async def enter(
    connection: AsyncConnection,
    trail: Trail,
    event: AlertEvent,
    contacts: Collection[str],
    answered: Collection[str],
    over: Over,
    decide: Decide,
    now_ms: int,
    withheld: Collection[str],
) -> tuple[list[Made], list[Open]]:
    """Decides with what stands in the same transaction; the steps, and the deliveries that they added. None of a revision that a newer
    one has taken the place of since it was looked at: what it added would go out after that one. None while a newer one is being planned,
    for now (``plans.newer``)."""
    chain = chain_of(event.alert.identifier)
    if await _has_newer(connection, event, withheld) or await plans.newer(connection, chain, event.alert.revision):
        return [], []
    made = list(decide(*await others(connection, event.alert.identifier, contacts, answered, over)))
    rows: list[Row] = []
    for one in made:
        if one.planned is not None:
            rows.append({**delivery_row(event, one.planned, now_ms, now_ms), "route": ""})
    if rows:
        written = await connection.execute(insert(t.deliveries).returning(t.deliveries.c.id, sort_by_parameter_order=True), rows)
        for row, number in zip(rows, written.scalars(), strict=True):
            row["id"] = number
            trail.moved(row, why=f"escalated {row['step']}")
        trail.told(row for row in rows if row["state"] not in OPEN)
    if made:
        await connection.execute(insert(t.escalations), [_row(one, now_ms) for one in made])
    return made, [Open.of(row) for row in rows if row["state"] in OPEN]


async def _has_newer(connection: AsyncConnection, event: AlertEvent, withheld: Collection[str]) -> bool:
    c, alert = t.alerts.c, event.alert
    newer = select(c.identifier).where(c.chain == chain_of(alert.identifier), c.revision > alert.revision, c.kind.notin_(UNTOLD))
    return (await connection.execute(newer.where(c.identifier.notin_(withheld)).limit(1))).first() is not None


def _row(one: Made, now_ms: int) -> dict[str, Any]:
    said = {"delivery": one.of["id"], "alert": one.of["alert"], "contact": one.of["contact"], "step": one.step, "why": one.why}
    return {**said, "to_contact": one.to, "to_channel": one.channel, "at_ms": now_ms}


async def lately(connection: AsyncConnection, contacts: Collection[str], since_ms: int) -> list[tuple[str, str, str]]:
    """(contact, chain, alert) of what these contacts may have heard since then: what a bare "1" by SMS is the answer to."""
    c = t.deliveries.c
    query = select(c.contact, c.chain, c.alert).distinct().where(c.contact.in_(list(contacts)), c.created_ms >= since_ms)
    query = query.where(or_(c.handed, c.state.in_(HANDED)))
    return [(row.contact, row.chain, row.alert) for row in await connection.execute(query)]
