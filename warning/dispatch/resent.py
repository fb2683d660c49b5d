"""A person's wish that a warning is sent again: what has an end of that revision waits once more, each delivery once for each decision.

A decision (``proof.decisions``) is gone through by the deliveries' numbers, SOME in one transaction with how far it came (``resends``):
killed anywhere, the next start goes on there, and nothing goes a second time. What waits or is on its way stays as it is, for it goes
anyway. What came of the attempts before counts no more (``deliveries.resent``). A cell broadcast is not sent again: the entity repeats it
by itself and knows a document by its identifier.

A decision comes to its end at once when contacts were told a newer revision, or this one has run out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.dispatch import plans
from warning.dispatch import tables as t
from warning.dispatch.audience import MACHINES
from warning.dispatch.escalated import QUIET, UNTOLD
from warning.dispatch.rows import Open, change
from warning.dispatch.trail import AGAIN, NOT_LONGER, RESENT, STOPPED, Row, Trail, taken_up
from warning.model import DeliveryState
from warning.proof import chain
from warning.proof.decisions import Resend

SOME = 500
NEVER_AGAIN = ("broadcast",)
ENDS = {
    "overtaken": "contacts were told a newer revision",
    "expired": "it has run out",
    "unknown": "the ledger has no such alert",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a decision is. ``why``: of ENDS, "" else. ``busy``: a revision of the chain is being planned, which would pass over what
    waits only since; it is for later."""

    after: int
    upto: int
    again: int
    done: bool
    why: str = ""
    busy: bool = False


async def stage(connection: AsyncConnection, wish: Resend, now_ms: int, withheld: Collection[str]) -> Stage:
    """As it stands; begun if it was not. ``withheld``: alerts that wait for a person, and take the place of nothing."""
    r, d = t.resends.c, t.deliveries.c
    row = (await connection.execute(select(t.resends).where(r.decision == wish.id))).first()
    if row is None:
        upto = (await connection.execute(select(func.max(d.id)).where(d.alert == wish.alert))).scalar_one() or 0
        begun = {"decision": wish.id, "alert": wish.alert, "after": 0, "upto": upto, "again": 0, "done": False, "why": "", "at_ms": now_ms}
        row = (await connection.execute(insert(t.resends).returning(t.resends), begun)).one()
    if not row.done and (why := await _over(connection, wish, now_ms, withheld)):
        await _moved(connection, wish, row.after, row.again, now_ms, done=True, why=why)
        return Stage(row.after, row.upto, row.again, True, why)
    chain, _, revision = wish.alert.rpartition(".")
    busy = not row.done and await plans.newer(connection, chain, int(revision))
    return Stage(row.after, row.upto, row.again, row.done, row.why, busy)


async def meant(connection: AsyncConnection, wish: Resend, at: Stage) -> list[Row]:
    """The next deliveries that may be meant; by the ledger alone, so of a district everybody's."""
    d, other = t.deliveries.c, t.deliveries.alias("other")
    query = select(d.id, d.contact, d.channel, d.chain).where(d.alert == wish.alert, d.id > at.after, d.id <= at.upto)
    query = query.where(_ended(), d.channel.notin_(NEVER_AGAIN))
    for column, value in ((d.contact, wish.contact), (d.channel, wish.channel)):
        query = query.where(column == value) if value else query
    if wish.refused:
        query = query.where(d.state == DeliveryState.REFUSED.value, d.reason == wish.refused)
    if wish.undelivered:
        reached = exists().where(
            other.c.alert == d.alert,
            other.c.contact == d.contact,
            other.c.state == DeliveryState.DELIVERED.value,
            other.c.channel.notin_(MACHINES),
        )
        query = query.where(d.state != DeliveryState.DELIVERED.value, or_(d.channel.in_(MACHINES), ~reached))
    return [dict(row) for row in (await connection.execute(query.order_by(d.id).limit(SOME))).mappings()]


async def enter(
    connection: AsyncConnection,
    trail: Trail,
    wish: Resend,
    before: Stage,
    chosen: Mapping[int, int],
    after: int | None,
    now_ms: int,
    withheld: Collection[str],
) -> tuple[list[Open], Stage]:
    """Those of ``chosen`` (delivery -> not before, ms) that still have an end wait again. ``after``: the last one that was looked at; None:
    there are no more. Nothing is done where the decision is not at ``before`` any more."""
    at = await stage(connection, wish, now_ms, withheld)
    if at.done or at.busy or at.after != before.after:
        return [], at
    query = select(t.deliveries).where(t.deliveries.c.id.in_(list(chosen)), _ended()).order_by(t.deliveries.c.id)
    rows = [taken_up(dict(row)) for row in (await connection.execute(query)).mappings()] if chosen else []
    for row in rows:
        quiet_ms = chosen[row["id"]]
        row.update(state=DeliveryState.WAITING.value, reason=QUIET if quiet_ms else RESENT, parts=1, parts_delivered=0)
        row.update(next_attempt_ms=quiet_ms, due_ms=max(now_ms, quiet_ms), changed_ms=now_ms, resent=row["attempts"], resent_ms=now_ms)
        trail.moved(row, why=f"{RESENT} {wish.id}")
    if rows:
        again = update(t.deliveries).where(t.deliveries.c.id.in_([row["id"] for row in rows]))
        await connection.execute(again.values(resent=t.deliveries.c.attempts, resent_ms=now_ms))
        await change(connection, rows, trail)
        trail.told(rows)
    number, over = at.again + len(rows), after is None
    await _moved(connection, wish, at.after if after is None else after, number, now_ms, done=over)
    return [Open.of(row) for row in rows], Stage(at.after if after is None else after, at.upto, number, over)


def _ended() -> ColumnElement[bool]:
    """Nothing more is to come of it by itself, and nothing of a newer revision went in its stead."""
    d, newer = t.deliveries.c, t.deliveries.alias("newer")
    refused = (d.state == DeliveryState.REFUSED.value) & d.reason.in_(sorted(NOT_LONGER))
    instead = exists().where(newer.c.chain == d.chain, newer.c.contact == d.contact, newer.c.revision > d.revision)
    stopped = (d.state == STOPPED) & ~instead.correlate(t.deliveries)
    return (d.state.in_(sorted(AGAIN)) | refused | stopped) & d.next_attempt_ms.is_(None)


async def _over(connection: AsyncConnection, wish: Resend, now_ms: int, withheld: Collection[str]) -> str:
    a, newer = t.alerts.c, t.alerts.alias("newer")
    told = exists().where(newer.c.chain == a.chain, newer.c.revision > a.revision, newer.c.kind.notin_(UNTOLD))
    told = told.where(newer.c.identifier.notin_(withheld))
    row = (await connection.execute(select(a.expires_ms, told.label("newer")).where(a.identifier == wish.alert))).first()
    if row is None:
        return "unknown"
    return "overtaken" if row.newer else "expired" if row.expires_ms <= now_ms else ""


async def kept(connection: AsyncConnection, reason: str, now_ms: int) -> list[str]:
    """Identifiers of what holds still and was refused to somebody for that reason."""
    d = t.deliveries.c
    query = select(d.alert).distinct().where(d.state == DeliveryState.REFUSED.value, d.reason == reason, d.expires_ms > now_ms)
    return list((await connection.execute(query.order_by(d.alert))).scalars())


async def kept_before(connection: AsyncConnection, reason: str, now_ms: int, withheld: Collection[str]) -> list[tuple[str, int]]:
    """(chain, the first revision) of what was refused to somebody for that reason and has run out, while its chain still holds by
    revisions of kinds that nobody hears of, and of which at most what is ``withheld`` is newer."""
    a, d, newer = t.alerts.c, t.deliveries.c, t.alerts.alias("newer")
    holds = select(a.chain).where(a.expires_ms > now_ms)
    later = exists().where(newer.c.chain == d.chain, newer.c.revision > d.revision, newer.c.kind.notin_(UNTOLD))
    later = later.where(newer.c.identifier.notin_(withheld))
    refused = (d.state == DeliveryState.REFUSED.value) & (d.reason == reason) & (d.expires_ms <= now_ms)
    query = select(d.chain, func.min(d.revision).label("first")).where(d.chain.in_(holds), refused, ~later).group_by(d.chain)
    return [(row.chain, row.first) for row in await connection.execute(query)]


async def done(connection: AsyncConnection) -> set[int]:
    """Decisions of which nothing is left to do."""
    return set((await connection.execute(select(t.resends.c.decision).where(t.resends.c.done))).scalars())


async def _moved(connection: AsyncConnection, wish: Resend, after: int, again: int, now_ms: int, *, done: bool, why: str = "") -> None:
    where = update(t.resends).where(t.resends.c.decision == wish.id)
    await connection.execute(where.values(after=after, again=again, done=done, why=why))
    if done:
        await chain.enter(connection, "resent", now_ms, decision=wish.id, alert=wish.alert, deliveries=again, why=why)
