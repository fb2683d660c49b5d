"""What happens to a delivery: claimed before a send, closed after it, and receipts for its parts. Each batch is one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.dispatch import bulk, texted
from warning.dispatch import tables as t
from warning.dispatch.channel import Outcome, PartReceipt
from warning.dispatch.rows import OPEN, Open, change, plain
from warning.dispatch.trail import WAS, Row, Trail, taken_up
from warning.model import DeliveryState

UNSETTLED = (DeliveryState.WAITING, DeliveryState.UNKNOWN)
CLAIMABLE = (*OPEN, DeliveryState.SENDING.value)
SENDING, ACCEPTED, DELIVERED = DeliveryState.SENDING.value, DeliveryState.ACCEPTED.value, DeliveryState.DELIVERED.value
COUNTED = (ACCEPTED, DELIVERED, *OPEN)  # what receipts may change
HEARD = (ACCEPTED, DeliveryState.UNKNOWN.value)  # parts that a receipt settles: the response may have been lost
MOST_RECEIPT_RETRIES = 3  # attempts after which the centre's "undeliverable" is believed
RECEIPT_RETRY_MS = 300_000


@dataclass(frozen=True, slots=True)
class Claim:
    """Before a send. One dispatcher has one attempt at a delivery under way, so what stands SENDING is its own claim whose commit was never
    answered (the database went), or whose send broke off: it is taken again, and marked."""

    delivery: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """``attempt`` 0: not open any more, do not send. ``skip``: parts that the gateway has taken before. ``resent``: attempts before an
    operator had it sent again; what came of those counts no more."""

    attempt: int = 0
    skip: tuple[int, ...] = ()
    doubled: bool = False
    resent: int = 0


@dataclass(frozen=True, slots=True)
class Close:
    """After a send. ``next_attempt_ms`` (wall clock) and ``due_ms`` (the time that decides): when to try again; None: not any more."""

    delivery: int
    outcome: Outcome
    now_ms: int
    next_attempt_ms: int | None = None
    due_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A receipt, and when it came."""

    receipt: PartReceipt
    now_ms: int


Entry = Claim | Close | Arrived
Answer = Claimed | tuple[Open, ...] | None  # of a Claim; of a Close or Arrived: what is to be sent now or later


async def write(
    connection: AsyncConnection, trail: Trail, entries: Sequence[Entry], withheld: Collection[str] = frozenset()
) -> list[Answer]:
    """One batch. Answers in the order of the entries. ``withheld``: alerts that wait for a person, and replace nothing that goes."""
    entries = [_storable(entry) for entry in entries]
    claimed = await _claim(connection, trail, [entry for entry in entries if isinstance(entry, Claim)])
    closed = await _close(connection, trail, [entry for entry in entries if isinstance(entry, Close)], withheld)
    arrived = await _arrive(connection, trail, [entry for entry in entries if isinstance(entry, Arrived)])
    answers: list[Answer] = []
    for entry in entries:
        if isinstance(entry, Claim):
            answers.append(claimed.get(entry.delivery, Claimed()))
        elif isinstance(entry, Close):
            answers.append(closed.get(entry.delivery, ()))
        else:
            answers.append(arrived.pop((entry.receipt.channel, entry.receipt.message_id), ()))
    return answers


def _storable(entry: Entry) -> Entry:
    """What a gateway calls its messages is its own affair; PostgreSQL takes no NUL, and UTF-8 no half of a pair. One such name would stop
    the whole journal, for what shares its batch is written again and again."""
    if isinstance(entry, Arrived):
        receipt = entry.receipt
        if plain(receipt.message_id) is receipt.message_id and plain(receipt.reason) is receipt.reason:
            return entry
        return replace(entry, receipt=replace(receipt, message_id=plain(receipt.message_id), reason=plain(receipt.reason)))
    if isinstance(entry, Close):
        told = entry.outcome.parts
        if all(plain(part.message_id) is part.message_id and plain(part.reason) is part.reason for part in told):
            return entry
        parts = tuple(replace(part, message_id=plain(part.message_id), reason=plain(part.reason)) for part in told)
        return replace(entry, outcome=replace(entry.outcome, parts=parts))
    return entry


async def _claim(connection: AsyncConnection, trail: Trail, claims: Sequence[Claim]) -> dict[int, Claimed]:
    if not claims:
        return {}
    now_ms = {claim.delivery: claim.now_ms for claim in claims}
    rows = [row for row in await _deliveries(connection, list(now_ms)) if row["state"] in CLAIMABLE]
    for row in rows:
        row["doubled"] = row["doubled"] or row["state"] != DeliveryState.WAITING.value
        row.update(state=SENDING, reason="", attempts=row["attempts"] + 1, next_attempt_ms=None)
        row["changed_ms"] = now_ms[row["id"]]
    await change(connection, rows, trail)
    taken: dict[int, set[int]] = defaultdict(set)
    again = {row["id"]: row["resent"] for row in rows if row["attempts"] > row["resent"] + 1}
    if again:
        good, parts = (ACCEPTED, DELIVERED), t.parts.c
        query = select(parts.delivery, parts.number, parts.attempt).where(parts.delivery.in_(list(again)), parts.state.in_(good))
        for part in await connection.execute(query):
            if part.attempt > again[part.delivery]:
                taken[part.delivery].add(part.number)
    return {row["id"]: Claimed(row["attempts"], tuple(sorted(taken[row["id"]])), row["doubled"], row["resent"]) for row in rows}


async def _close(
    connection: AsyncConnection, trail: Trail, closes: Sequence[Close], withheld: Collection[str]
) -> dict[int, tuple[Open, ...]]:
    if not closes:
        return {}
    by_id = {close.delivery: close for close in closes}
    rows = await _deliveries(connection, list(by_id))
    for row in rows:
        _apply(row, by_id[row["id"]])
    parts = await _write_parts(connection, trail, rows, by_id)
    replaced = await _replace(connection, trail, [row for row in rows if row["state"] in OPEN], by_id, withheld)
    first = {row["id"] for row in rows if row["attempts"] == 1 and row[WAS] == SENDING}  # no part before these
    await _settle(connection, rows, first, parts)
    await change(connection, rows, trail)
    ids = {close.delivery: tuple(part.message_id for part in close.outcome.parts if part.message_id) for close in closes}
    trail.told(rows, ids)
    off = {row["id"]: by_id[row["id"]].outcome.address for row in rows if by_id[row["id"]].outcome.switch_off}
    await _switch_off(connection, [row for row in rows if row["id"] in off], off)
    opened = {row["id"]: (Open.of(row),) for row in rows if row["state"] in OPEN and row["next_attempt_ms"] is not None}
    return {**opened, **replaced}


def _apply(row: Row, close: Close) -> None:
    """State of a delivery after an attempt. What cannot be tried again before the alert expires has failed."""
    outcome, state = close.outcome, close.outcome.state
    again = close.next_attempt_ms if state in UNSETTLED else None
    row["handed"] = row["handed"] or state in (DeliveryState.UNKNOWN, DeliveryState.ACCEPTED, DeliveryState.DELIVERED)
    row["handed"] = row["handed"] or any(part.message_id for part in outcome.parts)
    if state is DeliveryState.WAITING and again is None:
        state = DeliveryState.FAILED
    row.update(state=state.value, reason=outcome.reason, next_attempt_ms=again, changed_ms=close.now_ms)
    row["due_ms"] = close.due_ms if close.due_ms is not None and again is not None else row["due_ms"]
    row["parts"] = max([row["parts"], *(part.number for part in outcome.parts)])
    row["route"] = outcome.route or row["route"]


async def _write_parts(connection: AsyncConnection, trail: Trail, rows: Sequence[Row], closes: Mapping[int, Close]) -> list[Row]:
    """One row a part and attempt; a receipt that was quicker than the response is already there. Returns them."""
    values = [
        {
            "delivery": row["id"],
            "channel": row["channel"],
            "attempt": row["attempts"],
            "number": part.number,
            "message_id": part.message_id,
            "state": part.state.value,
            "reason": part.reason,
            "changed_ms": row["changed_ms"],
            "route": row["route"],
        }
        for row in rows
        for part in closes[row["id"]].outcome.parts
        if part.message_id or row["channel"] != "sms"
    ]
    for channel, ids in _by_channel((value["channel"], value["message_id"]) for value in values if value["message_id"]).items():
        early = {stray["message_id"]: stray for stray in await bulk.found(connection, t.strays, "message_id", ids, channel=channel)}
        for value in values:
            if value["channel"] == channel and (stray := early.get(value["message_id"])):
                value.update(state=stray["state"], reason=stray["reason"])
        await bulk.remove(connection, t.strays, "message_id", early, channel=channel)
    by_number = {row["id"]: row for row in rows}
    for value in values:
        trail.part_moved(by_number[value["delivery"]], value, "")
    await bulk.insert(connection, t.parts, values)
    return values


async def _settle(connection: AsyncConnection, rows: Sequence[Row], known: Collection[int], parts: Sequence[Row]) -> None:
    """Counts delivered parts; all delivered: DELIVERED. One that the centre could not deliver goes again, or the delivery has failed.

    ``parts``: as this transaction wrote them. Of the deliveries ``known`` they are all; those of the others are read.
    """
    waiting = {row["id"]: row for row in rows if row["state"] in COUNTED or _came_through(row)}
    newest: dict[int, dict[int, Row]] = defaultdict(dict)
    read = await bulk.found(connection, t.parts, "delivery", waiting.keys() - set(known))
    for part in (*(part for part in parts if part["delivery"] in known and part["delivery"] in waiting), *read):
        if part["attempt"] <= waiting[part["delivery"]]["resent"]:
            continue  # of before an operator had it sent again
        of = newest[part["delivery"]]
        if part["number"] not in of or of[part["number"]]["state"] != DELIVERED:
            of[part["number"]] = part
    for number, row in waiting.items():
        states = [part["state"] for part in newest[number].values()]
        row["parts_delivered"] = states.count(DELIVERED)
        if row["parts_delivered"] == row["parts"]:
            row.update(state=DELIVERED, reason="", next_attempt_ms=None)
        elif row["state"] == ACCEPTED and DeliveryState.FAILED.value in states:
            _undeliverable(row, next(part["reason"] for part in newest[number].values() if part["state"] == DeliveryState.FAILED.value))


def _came_through(row: Row) -> bool:
    """May it have, though the attempt that ends now was refused? One before it may have brought a receipt meanwhile."""
    return bool(row[WAS] == SENDING and row["state"] == DeliveryState.FAILED.value and row["attempts"] > row["resent"] + 1)


def _undeliverable(row: Row, reason: str) -> None:
    due_ms = row["due_ms"] + RECEIPT_RETRY_MS
    if row["attempts"] - row["resent"] < MOST_RECEIPT_RETRIES and due_ms < row["expires_ms"]:
        next_ms = row["changed_ms"] + RECEIPT_RETRY_MS
        row.update(state=DeliveryState.WAITING.value, reason=reason, next_attempt_ms=next_ms, due_ms=due_ms)
    else:
        row.update(state=DeliveryState.FAILED.value, reason=reason, next_attempt_ms=None)


async def _replace(
    connection: AsyncConnection, trail: Trail, rows: Sequence[Row], closes: Mapping[int, Close], withheld: Collection[str]
) -> dict[int, tuple[Open, ...]]:
    """A retry whose chain has moved on meanwhile sends the state that replaced it, under a row of its own."""
    if not rows:
        return {}
    replaced: dict[int, tuple[Open, ...]] = {}
    query = select(t.alerts).where(t.alerts.c.chain.in_({row["chain"] for row in rows})).order_by(t.alerts.c.revision)
    chains: dict[str, list[Any]] = defaultdict(list)
    for alert in await connection.execute(query):
        chains[alert.chain].append(alert)
    for row in rows:
        newer = [alert for alert in chains[row["chain"]] if alert.revision > row["revision"] and alert.sent_ms <= row["due_ms"]]
        newer = [alert for alert in newer if alert.identifier not in withheld]
        if not newer:
            continue
        replaced[row["id"]] = await _insert_replacement(connection, trail, row, newer[-1], closes[row["id"]])
        why = "outcome_unknown" if row["state"] == DeliveryState.UNKNOWN.value else row["reason"]
        row.update(state=DeliveryState.OVERTAKEN.value, reason=why, next_attempt_ms=None)
    return replaced


async def _insert_replacement(connection: AsyncConnection, trail: Trail, row: Row, newest: Any, close: Close) -> tuple[Open, ...]:
    same = (t.deliveries.c.alert == newest.identifier, t.deliveries.c.contact == row["contact"], t.deliveries.c.channel == row["channel"])
    there = (await connection.execute(select(t.deliveries.c.id).where(*same))).first()
    over = newest.kind == "expire" or (newest.kind == "clear" and not row["handed"])
    if there or over:
        return ()
    fields = {name: value for name, value in row.items() if name in t.deliveries.c and name != "id"}
    fields.update(alert=newest.identifier, revision=newest.revision, level=newest.level, expires_ms=newest.expires_ms)
    fields.update(state=DeliveryState.WAITING.value, attempts=0, handed=False, doubled=False, parts=1, parts_delivered=0)
    fields.update(resent=0, resent_ms=None)
    fields.update(created_ms=close.now_ms, next_attempt_ms=close.next_attempt_ms, due_ms=row["due_ms"])
    written = (await connection.execute(insert(t.deliveries).returning(t.deliveries), fields)).mappings().one()
    trail.moved({**written}, why="retry_of_older")
    return (Open.of(written),)


async def _arrive(connection: AsyncConnection, trail: Trail, arrived: Sequence[Arrived]) -> dict[tuple[str, str], tuple[Open, ...]]:
    """Receipts: the first one for a part counts, the same again changes nothing, one without a part waits for its response."""
    if not arrived:
        return {}
    by_key = {(entry.receipt.channel, entry.receipt.message_id): entry for entry in reversed(arrived)}
    known: dict[tuple[str, str], Row] = {}
    for channel, ids in _by_channel(by_key).items():
        for part in await bulk.found(connection, t.parts, "message_id", ids, channel=channel):
            known[channel, part["message_id"]] = part
    news = [(part, by_key[key]) for key, part in known.items() if key in by_key and part["state"] in HEARD]
    if news:
        await bulk.change(connection, t.parts, ("state", "reason", "changed_ms"), [_settled(part, entry) for part, entry in news])
    foreign = {key[1]: entry for key, entry in by_key.items() if key not in known and key[0] == texted.CHANNEL}
    words = {name: texted.Word(one.receipt.state.value, one.receipt.reason, one.now_ms) for name, one in foreign.items()}
    texts = await texted.arrive(connection, trail, words)
    of_texts = {(texted.CHANNEL, name) for name in texts}
    await _keep_strays(connection, [entry for key, entry in by_key.items() if key not in known and key not in of_texts])
    rows = await _deliveries(connection, sorted({part["delivery"] for part, _ in news}))
    at_ms = {part["delivery"]: entry.now_ms for part, entry in news}
    for row in rows:
        row["changed_ms"] = at_ms[row["id"]]
    by_number = {row["id"]: row for row in rows}
    for part, entry in news:
        trail.part_moved(by_number[part["delivery"]], _settled(part, entry), part["state"])
    alone = {row["id"] for row in rows if row["attempts"] == row["parts"] == 1}
    await _settle(connection, rows, alone, [_settled(part, entry) for part, entry in news])
    await change(connection, rows, trail)
    names: dict[int, list[str]] = defaultdict(list)
    for part, _ in news:
        names[part["delivery"]].append(part["message_id"])
    trail.told(rows, {number: tuple(each) for number, each in names.items()})
    opened = {row["id"]: Open.of(row) for row in rows if row["state"] in OPEN and row["next_attempt_ms"] is not None}
    return {(part["channel"], part["message_id"]): (opened.pop(part["delivery"]),) for part, _ in news if part["delivery"] in opened}


def _settled(part: Row, entry: Arrived) -> Row:
    return {**part, "state": entry.receipt.state.value, "reason": entry.receipt.reason, "changed_ms": entry.now_ms}


def _by_channel(names: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Of (channel, message id): the index of the parts begins with the channel."""
    found: dict[str, list[str]] = defaultdict(list)
    for channel, message_id in names:
        found[channel].append(message_id)
    return found


async def _keep_strays(connection: AsyncConnection, arrived: Sequence[Arrived]) -> None:
    receipts = [(entry.receipt, entry.now_ms) for entry in arrived]
    for channel, ids in _by_channel((receipt.channel, receipt.message_id) for receipt, _ in receipts).items():
        await bulk.remove(connection, t.strays, "message_id", ids, channel=channel)
    values = [
        {"channel": one.channel, "message_id": one.message_id, "state": one.state.value, "reason": one.reason, "at_ms": now_ms}
        for one, now_ms in receipts
    ]
    await bulk.insert(connection, t.strays, values)


async def _switch_off(connection: AsyncConnection, rows: Sequence[Row], addresses: Mapping[int, str]) -> None:
    """410: remembered with the address, so that a new address is tried again."""
    for row in rows:
        address = addresses[row["id"]]
        where = (t.endpoints_off.c.contact == row["contact"]) & (t.endpoints_off.c.address == address)
        if (await connection.execute(select(t.endpoints_off).where(where))).first() is None:
            await connection.execute(insert(t.endpoints_off).values(contact=row["contact"], address=address, at_ms=row["changed_ms"]))


async def _deliveries(connection: AsyncConnection, ids: Sequence[int]) -> list[Row]:
    return [taken_up(row) for row in await bulk.found(connection, t.deliveries, "id", ids)]
