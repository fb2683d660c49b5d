"""The SMS centre's own report, afterwards: what differs from the ledger is listed, and corrected as by a receipt that came late.

The report is the centre's last word, so it also overrules a receipt. Each correction is a change of state in the chain with the reason
``reconciliation`` and a receipt of that origin on the topic; the same report again changes nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from warning.dispatch import tables as t
from warning.dispatch import texted
from warning.dispatch.rows import change
from warning.dispatch.trail import REPORTED, Row, Trail, taken_up
from warning.model import DeliveryState
from warning.proof import chain

CHUNK = 500
ACCEPTED, DELIVERED, FAILED = (state.value for state in (DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.FAILED))
MAY_BE_DELIVERED = (ACCEPTED, FAILED, DeliveryState.WAITING.value, DeliveryState.UNKNOWN.value, DeliveryState.OVERTAKEN.value)
MAY_HAVE_FAILED = (ACCEPTED, DELIVERED)

# What centres write (SMPP 3.4, table B-2, and its long forms) -> what it means; "" is not final: nothing follows from it.
STATES: Mapping[str, str] = {
    **dict.fromkeys(("DELIVRD", "DELIVERED"), DELIVERED),
    **dict.fromkeys(("UNDELIV", "UNDELIVERABLE", "EXPIRED", "REJECTD", "REJECTED", "DELETED", "FAILED"), FAILED),
    **dict.fromkeys(("ACCEPTD", "ACCEPTED", "ENROUTE", "UNKNOWN", "SCHEDULED", "SKIPPED"), ""),
}


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the report. ``state``: delivered, failed, or "" where the centre does not know yet."""

    line: int
    message_id: str
    state: str


@dataclass(frozen=True, slots=True)
class Difference:
    """``ours`` "": the ledger has no such message. ``delivery`` below 0: an SMS to an operator."""

    line: int
    message_id: str
    delivery: int | None
    part: int | None
    ours: str
    theirs: str


@dataclass
class Found:
    counts: Counter[str] = field(default_factory=Counter)  # lines, same, pending, corrected, unknown
    differences: list[Difference] = field(default_factory=list)


async def reconcile(
    engine: AsyncEngine, region: str, said: Iterable[Said], now_ms: int, *, write: bool = True, channel: str = "sms"
) -> Found:
    """Holds a report against the ledger, a chunk a transaction. ``write`` False: only lists. Raises DBAPIError; run it again then."""
    found, chunk = Found(), list[Said]()
    for each in said:
        chunk.append(each)
        if len(chunk) == CHUNK:
            async with engine.begin() as connection:
                await hold(connection, region, chunk, now_ms, found, write=write, channel=channel)
            chunk = []
    if chunk:
        async with engine.begin() as connection:
            await hold(connection, region, chunk, now_ms, found, write=write, channel=channel)
    return found


async def hold(
    connection: AsyncConnection,
    region: str,
    chunk: Sequence[Said],
    now_ms: int,
    found: Found,
    *,
    write: bool = True,
    channel: str = "sms",
) -> None:
    """One chunk of a report, at most ``CHUNK``, in the caller's transaction; ``found`` grows by it."""
    query = select(t.parts).where(t.parts.c.channel == channel, t.parts.c.message_id.in_([each.message_id for each in chunk]))
    known: dict[str, Row] = {part["message_id"]: dict(part) for part in (await connection.execute(query)).mappings()}
    if channel == texted.CHANNEL:
        texts = await texted.known(connection, {each.message_id for each in chunk} - known.keys())
        known |= {name: {**part, "delivery": -part["text"]} for name, part in texts.items()}
    wrong: dict[str, tuple[Row, str]] = {}
    for each in chunk:
        part = known.get(each.message_id)
        word = _judged(part, each)
        found.counts["lines"] += 1
        found.counts[word] += 1
        if word in ("corrected", "unknown"):
            delivery, number, ours = (part["delivery"], part["number"], part["state"]) if part else (None, None, "")
            found.differences.append(Difference(each.line, each.message_id, delivery, number, ours, each.state))
        if part is not None and word == "corrected":
            wrong[each.message_id] = (part, each.state)
    if write and wrong:
        trail = Trail(region, await chain.salt(connection))
        if of_alerts := [one for one in wrong.values() if one[0]["delivery"] > 0]:
            await _correct(connection, trail, of_alerts, now_ms)
        await texted.correct(connection, trail, [one for one in wrong.values() if one[0]["delivery"] < 0], now_ms)
        await trail.write(connection)


def _judged(part: Row | None, said: Said) -> str:
    if not said.state:
        return "pending"
    if part is None:
        return "unknown"
    return "same" if part["state"] == said.state else "corrected"


async def _correct(connection: AsyncConnection, trail: Trail, wrong: Sequence[tuple[Row, str]], now_ms: int) -> None:
    ids = sorted({part["delivery"] for part, _ in wrong})
    query = select(t.deliveries).where(t.deliveries.c.id.in_(ids)).order_by(t.deliveries.c.id).with_for_update()
    rows = {row["id"]: taken_up(dict(row)) for row in (await connection.execute(query)).mappings()}
    names: dict[int, list[str]] = defaultdict(list)
    for part, state in wrong:
        now = {**part, "state": state, "reason": REPORTED, "changed_ms": now_ms}
        trail.part_moved(rows[part["delivery"]], now, part["state"])
        names[part["delivery"]].append(part["message_id"])
    values = [{"key": part["id"], "state": state, "reason": REPORTED, "changed_ms": now_ms} for part, state in wrong]
    await connection.execute(update(t.parts).where(t.parts.c.id == bindparam("key")), values)
    await _settle(connection, rows, now_ms)
    await change(connection, rows.values(), trail)
    trail.told(rows.values(), {number: tuple(each) for number, each in names.items()}, origin=REPORTED)


async def _settle(connection: AsyncConnection, rows: Mapping[int, Row], now_ms: int) -> None:
    """The state of each message follows from the best that is known of each of its parts."""
    best: dict[int, dict[int, str]] = defaultdict(dict)
    query = select(t.parts).where(t.parts.c.delivery.in_(list(rows))).order_by(t.parts.c.id)
    part: Any
    for part in await connection.execute(query):
        if part.attempt > rows[part.delivery]["resent"] and best[part.delivery].get(part.number) != DELIVERED:
            best[part.delivery][part.number] = part.state
    for number, row in rows.items():
        states = list(best[number].values())
        row.update(parts_delivered=states.count(DELIVERED), changed_ms=now_ms)
        if row["parts_delivered"] == row["parts"] and row["state"] in MAY_BE_DELIVERED:
            row.update(state=DELIVERED, reason=REPORTED, next_attempt_ms=None)
        elif FAILED in states and row["state"] in MAY_HAVE_FAILED:
            row.update(state=FAILED, reason=REPORTED, next_attempt_ms=None)
