"""SMS to operators in the ledger: a row before each is sent, closed after it, with its parts, the centre's receipts and lines of the chain.

They are no deliveries of an alert: no queue, no escalation, no record on ``receipts``. But they stand in an SMS centre's report, and
whether an operator was woken is asked after a flood as well. What a crash leaves SENDING is UNKNOWN, and goes again, marked as doubled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.dispatch import bulk
from warning.dispatch import tables as t
from warning.dispatch.channel import Outcome, Part
from warning.dispatch.rows import plain
from warning.dispatch.trail import REPORTED, Row, Trail
from warning.model import DeliveryState

CHANNEL = "sms"
LINE = "operator_text"  # kind of their lines in the chain
WAITING, SENDING, UNKNOWN, ACCEPTED, DELIVERED, FAILED = (
    state.value
    for state in (
        DeliveryState.WAITING,
        DeliveryState.SENDING,
        DeliveryState.UNKNOWN,
        DeliveryState.ACCEPTED,
        DeliveryState.DELIVERED,
        DeliveryState.FAILED,
    )
)
OVER = (ACCEPTED, DELIVERED, FAILED)
HEARD = (ACCEPTED, UNKNOWN)  # parts that a receipt settles
MAY_ARRIVE = (ACCEPTED, UNKNOWN, WAITING)  # texts that receipts for all their parts settle; a report settles a failed one, too


@dataclass(frozen=True, slots=True)
class Notice:
    """``identifier``: of this notice to this operator; ``kind``: of what it is about."""

    identifier: str
    contact: str
    kind: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """``attempt`` 0: it was sent, ``state`` says with what end. ``skip``: parts that a gateway has taken before."""

    number: int
    attempt: int = 0
    state: str = ""
    skip: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """What a receipt or a report says of a part."""

    state: str
    reason: str
    at_ms: int


async def claim(connection: AsyncConnection, trail: Trail, notice: Notice, now_ms: int) -> Claimed:
    """Right before it is sent."""
    row = await _of(connection, notice.identifier)
    if row is None:
        row = await _begin(connection, notice, now_ms)
        _moved(trail, row, "", SENDING, now_ms)
        return Claimed(row["id"], 1)
    if row["state"] in OVER:
        return Claimed(row["id"], state=row["state"])
    again = {"state": SENDING, "reason": "", "attempts": row["attempts"] + 1, "changed_ms": now_ms}
    again["doubled"] = row["doubled"] or row["state"] != WAITING
    await connection.execute(sql.update(t.operator_texts).where(t.operator_texts.c.id == row["id"]).values(again))
    _moved(trail, {**row, **again}, row["state"], SENDING, now_ms)
    p = t.operator_parts.c
    taken = await connection.execute(sql.select(p.number).where(p.text == row["id"], p.state.in_((ACCEPTED, DELIVERED))))
    return Claimed(row["id"], again["attempts"], skip=tuple(sorted(set(taken.scalars()))))


async def close(connection: AsyncConnection, trail: Trail, notice: Notice, outcome: Outcome, now_ms: int) -> None:
    """After it was sent; also of one that was sent while the ledger was away."""
    row = await _of(connection, notice.identifier)
    if row is None:
        row = await _begin(connection, notice, now_ms)
        _moved(trail, row, "", SENDING, now_ms, "ledger_away")
    elif row["state"] in OVER:
        return
    now: Row = {"state": outcome.state.value, "reason": plain(outcome.reason), "route": outcome.route or row["route"], "changed_ms": now_ms}
    now["parts"] = max([row["parts"], *(part.number for part in outcome.parts)])
    await connection.execute(sql.update(t.operator_texts).where(t.operator_texts.c.id == row["id"]).values(now))
    _moved(trail, {**row, **now}, row["state"], now["state"], now_ms)
    await _write_parts(connection, trail, {**row, **now}, outcome.parts, now_ms)
    await _settle(connection, trail, {row["id"]}, now_ms)


async def recover(connection: AsyncConnection, trail: Trail, now_ms: int) -> None:
    """At the start: what a crash left."""
    c = t.operator_texts.c
    due = sql.select(t.operator_posts.c.identifier)
    for where, state, reason in (
        (c.state == SENDING, UNKNOWN, "crash"),
        ((c.state == WAITING) & c.identifier.not_in(due), FAILED, "not_taken"),
    ):
        for row in (await connection.execute(sql.select(t.operator_texts).where(where).order_by(c.id))).mappings().all():
            await _end(connection, trail, row, state, reason, now_ms)


async def give_up(connection: AsyncConnection, trail: Trail, identifier: str, now_ms: int) -> None:
    """No attempt follows: what certainly was not sent has failed."""
    row = await _of(connection, identifier)
    if row is not None and row["state"] == WAITING:
        await _end(connection, trail, row, FAILED, row["reason"], now_ms)


async def arrive(connection: AsyncConnection, trail: Trail, words: Mapping[str, Word]) -> set[str]:
    """Receipts by their message ids; the ids of those that are for such a text. The same again changes nothing."""
    parts = await known(connection, words)
    news = [part for part in parts.values() if part["state"] in HEARD]
    await _say(connection, trail, [(part, words[part["message_id"]]) for part in news])
    return set(parts)


async def correct(connection: AsyncConnection, trail: Trail, wrong: Sequence[tuple[Row, str]], now_ms: int) -> None:
    """By the centre's own report: (part, state), as ``known`` has them."""
    await _say(connection, trail, [(part, Word(state, REPORTED, now_ms)) for part, state in wrong])


async def known(connection: AsyncConnection, message_ids: Collection[str]) -> dict[str, Row]:
    """message id -> part."""
    return {part["message_id"]: part for part in await bulk.found(connection, t.operator_parts, "message_id", message_ids)}


async def lately(connection: AsyncConnection, since_ms: int) -> list[tuple[str, str, int]]:
    """(operator, kind, when) of those that went or may have; a receipt or a report that came later makes none newer."""
    c = t.operator_texts.c
    lately = (c.changed_ms > since_ms) & (c.created_ms > since_ms)  # the first alone has an index
    query = sql.select(c.contact, c.kind, c.created_ms).where(lately, c.state.not_in((WAITING, FAILED))).order_by(c.created_ms)
    return [(row.contact, row.kind, row.created_ms) for row in await connection.execute(query)]


async def _of(connection: AsyncConnection, identifier: str) -> Row | None:
    found = (await connection.execute(sql.select(t.operator_texts).where(t.operator_texts.c.identifier == identifier))).mappings().first()
    return None if found is None else dict(found)


async def _begin(connection: AsyncConnection, notice: Notice, now_ms: int) -> Row:
    row = {"identifier": notice.identifier, "contact": notice.contact, "kind": notice.kind, "state": SENDING, "reason": "", "attempts": 1}
    row |= {"doubled": False, "parts": 1, "parts_delivered": 0, "created_ms": now_ms, "changed_ms": now_ms, "route": ""}
    made = await connection.execute(sql.insert(t.operator_texts).values(row).returning(t.operator_texts))
    return dict(made.mappings().one())


async def _end(connection: AsyncConnection, trail: Trail, row: Mapping[Any, Any], state: str, reason: str, now_ms: int) -> None:
    now = {"state": state, "reason": reason, "changed_ms": now_ms}
    await connection.execute(sql.update(t.operator_texts).where(t.operator_texts.c.id == row["id"]).values(now))
    _moved(trail, {**row, **now}, row["state"], state, now_ms)


async def _write_parts(connection: AsyncConnection, trail: Trail, row: Row, parts: Sequence[Part], now_ms: int) -> None:
    """A receipt that was quicker than the response is already there."""
    named = {plain(part.message_id): part for part in parts if part.message_id}
    s = t.strays.c
    mine = (s.channel == CHANNEL) & s.message_id.in_(list(named))
    early = {stray["message_id"]: stray for stray in (await connection.execute(sql.select(t.strays).where(mine))).mappings()}
    same = {"text": row["id"], "attempt": row["attempts"], "route": row["route"], "changed_ms": now_ms}
    for name, part in named.items():
        stray = early.get(name, {"state": part.state.value, "reason": plain(part.reason)})
        value = {**same, "number": part.number, "message_id": name, "state": stray["state"], "reason": stray["reason"]}
        await connection.execute(sql.insert(t.operator_parts).values(value))
        _moved(trail, row, "", value["state"], now_ms, value["reason"], part.number)
    if early:
        await connection.execute(sql.delete(t.strays).where(mine))


async def _say(connection: AsyncConnection, trail: Trail, said: Sequence[tuple[Row, Word]]) -> None:
    """What is known now of these parts."""
    if not said:
        return
    rows = await _rows(connection, {part["text"] for part, _ in said})
    for part, word in said:
        now = {"state": word.state, "reason": word.reason, "changed_ms": word.at_ms}
        await connection.execute(sql.update(t.operator_parts).where(t.operator_parts.c.id == part["id"]).values(now))
        row = {**rows[part["text"]], "attempts": part["attempt"], "route": part["route"]}
        _moved(trail, row, part["state"], word.state, word.at_ms, word.reason, part["number"])
    reported = all(word.reason == REPORTED for _, word in said)
    await _settle(connection, trail, rows.keys(), max(word.at_ms for _, word in said), reported=reported)


async def _settle(connection: AsyncConnection, trail: Trail, texts: Collection[int], now_ms: int, *, reported: bool = False) -> None:
    """The state of each follows from the best that is known of each of its parts."""
    best: dict[int, dict[int, Row]] = defaultdict(dict)
    query = sql.select(t.operator_parts).where(t.operator_parts.c.text.in_(list(texts))).order_by(t.operator_parts.c.id)
    for part in (await connection.execute(query)).mappings():
        of = best[part["text"]]
        if part["number"] not in of or of[part["number"]]["state"] != DELIVERED:
            of[part["number"]] = dict(part)
    for number, row in (await _rows(connection, texts)).items():
        delivered = [part for part in best[number].values() if part["state"] == DELIVERED]
        failed = [part for part in best[number].values() if part["state"] == FAILED]
        state, reason = row["state"], row["reason"]
        if len(delivered) == row["parts"] and state in (*MAY_ARRIVE, *((FAILED,) if reported else ())):
            state, reason = DELIVERED, REPORTED if reported else ""
        elif failed and state in (ACCEPTED, *((DELIVERED,) if reported else ())):
            state, reason = FAILED, failed[0]["reason"]
        now = {"state": state, "reason": reason, "parts_delivered": len(delivered), "changed_ms": now_ms}
        await connection.execute(sql.update(t.operator_texts).where(t.operator_texts.c.id == number).values(now))
        _moved(trail, {**row, **now}, row["state"], state, now_ms)


async def _rows(connection: AsyncConnection, texts: Collection[int]) -> dict[int, Row]:
    query = sql.select(t.operator_texts).where(t.operator_texts.c.id.in_(list(texts))).order_by(t.operator_texts.c.id).with_for_update()
    return {row["id"]: dict(row) for row in (await connection.execute(query)).mappings()}


def _moved(trail: Trail, row: Row, was: str, became: str, at_ms: int, why: str | None = None, part: int = 0) -> None:
    """A line of the chain: whose it is stands there as a tag. ``part`` 0 is the message."""
    if was != became:
        line = {
            "kind": LINE,
            "at_ms": at_ms,
            "text": row["id"],
            "part": part,
            "was": was,
            "became": became,
            "why": row["reason"] if why is None else why,
        }
        trail.act(row["contact"], {**line, "notice": row["kind"], "route": row["route"], "attempt": row["attempts"]})
