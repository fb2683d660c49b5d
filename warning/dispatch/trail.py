"""What one transaction does to deliveries: each change of state into the chain, a receipt into the outbox, right before the commit.

The state machine of a delivery and of its parts stands here (``LEGAL``, ``LEGAL_PARTS``); ``tests/test_ledger_proof.py`` holds every
sequence of events to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.dispatch import bulk
from warning.dispatch import tables as t
from warning.model import DeliveryState, Level, Receipt, to_json
from warning.proof import chain

Row = dict[str, Any]

WAS = "was"  # beside a row's columns: its state as the database has it

# from -> to; "" is before it was planned. A correction by the centre's own report may settle what was settled.
LEGAL: dict[str, frozenset[str]] = {
    "": frozenset({"waiting", "refused"}),
    "waiting": frozenset({"sending", "delivered", "overtaken", "failed", "refused"}),
    "sending": frozenset({"waiting", "unknown", "accepted", "delivered", "failed", "overtaken"}),
    "unknown": frozenset({"sending", "delivered", "overtaken"}),
    "accepted": frozenset({"delivered", "waiting", "failed"}),
    "delivered": frozenset({"failed"}),  # by reconciliation alone
    "failed": frozenset({"delivered"}),  # by reconciliation alone
    "overtaken": frozenset({"delivered"}),  # by reconciliation alone
    "refused": frozenset(),
}
BY_REPORT = {("delivered", "failed"), ("failed", "delivered"), ("overtaken", "delivered")}
REPORTED = "reconciliation"
RESENT = "resend"  # and the number of the decision: a person had it sent again
AGAIN = frozenset({"accepted", "delivered", "failed", "unknown"})  # what may go again then
STOPPED = "overtaken"  # and this, where nothing of its chain went in its stead: an end by hand stopped it, and has run out
NOT_LONGER = frozenset({"called_off", "declined", "silenced"})  # and what was refused for these: it has run out, or others have said yes
CARRIED = "carried_over"  # from a ledger of before the chain: it begins as it stands

LEGAL_PARTS: dict[str, frozenset[str]] = {
    "": frozenset({"accepted", "delivered", "failed", "unknown", "waiting"}),
    "accepted": frozenset({"delivered", "failed"}),
    "delivered": frozenset({"failed"}),  # by reconciliation alone
    "failed": frozenset({"delivered"}),  # by reconciliation alone
    "unknown": frozenset({"delivered", "failed"}),  # its response was lost, not its receipt
    "waiting": frozenset(),
}


def legal(part: int, was: str, became: str, why: str) -> bool:
    """May this change of state be? ``part`` 0 is the message.

    >>> legal(0, "waiting", "sending", ""), legal(0, "refused", "sending", ""), legal(0, "delivered", "failed", "undeliv")
    (True, False, False)
    >>> legal(0, "delivered", "waiting", ""), legal(0, "delivered", "waiting", "resend 17"), legal(0, "refused", "waiting", "resend 17")
    (False, True, True)
    """
    if part:
        by_report = was in ("delivered", "failed")
        return became in LEGAL_PARTS.get(was, ()) and (not by_report or why == REPORTED)
    if not was and why == CARRIED:
        return became in LEGAL
    if became == "waiting" and why.startswith(f"{RESENT} "):
        return was in AGAIN or was in (STOPPED, "refused")
    return became in LEGAL.get(was, ()) and ((was, became) not in BY_REPORT or why == REPORTED)


def taken_up(row: Mapping[str, Any]) -> Row:
    """A delivery as the database has it, to be changed."""
    return {**row, WAS: row["state"]}


_LEVELS = {level.value: level for level in Level}
STATES = {state.value: state for state in DeliveryState}  # a table: to call the class for each row costs ten times as much


class Moved(Struct, kw_only=True):
    """A line of the chain as ``line_of`` makes it, its fields in the order of their names: ``chain.Ordered``."""

    alert: str
    at_ms: int
    attempt: int
    became: str
    channel: str
    contact: str
    delivery: int
    kind: str = "transition"
    part: int
    route: str
    seq: int = 0
    was: str
    why: str


_COLUMNS = ("seq", "delivery", "part", "was", "became", "at_ms", "why", "route", "attempt")
_STORED = attrgetter(*_COLUMNS)


class Trail:
    """Of one transaction. ``salt``: what names contacts in the chain."""

    def __init__(self, region: str, salt: str) -> None:
        self._region, self._salt = region, salt
        self._lines: list[Moved] = []
        self._tags: dict[str, str] = {}
        self._receipts: list[Receipt] = []
        self._acts: list[Row] = []

    def moved(self, row: Row, why: str = "") -> None:
        """A delivery has the state that stands in its row; nothing if it had that before."""
        if row["state"] == row.get(WAS):
            return
        self._add(row, 0, row.get(WAS, ""), row["state"], row["changed_ms"], why or row["reason"], row["route"], row["attempts"])
        row[WAS] = row["state"]

    def part_moved(self, row: Row, part: Mapping[str, Any], was: str) -> None:
        """A part of ``row`` has the state that stands in ``part``."""
        if part["state"] != was:
            self._add(row, part["number"], was, part["state"], part["changed_ms"], part["reason"], part["route"], part["attempt"])

    def _add(self, row: Row, part: int, was: str, became: str, at_ms: int, why: str, route: str, attempt: int) -> None:
        self._lines.append(
            Moved(
                alert=row["alert"],
                at_ms=at_ms,
                attempt=attempt,
                became=became,
                channel=row["channel"],
                contact=self._tag(row["contact"]),
                delivery=row["id"],
                part=part,
                route=route,
                was=was,
                why=why,
            )
        )

    def _tag(self, contact: str) -> str:
        if (tag := self._tags.get(contact)) is None:
            tag = self._tags[contact] = chain.tag(self._salt, contact)
        return tag

    def act(self, contact: str, line: Row) -> None:
        """What is no delivery's: a line among the acts, ``kind`` and ``at_ms`` in it."""
        self._acts.append({**line, "contact": self._tag(contact)})

    def told(self, rows: Iterable[Row], message_ids: Mapping[int, tuple[str, ...]] | None = None, origin: str = "") -> None:
        """A receipt for each row, as it stands now: it is published after this transaction, and again after a crash."""
        ids = message_ids or {}
        self._receipts += [receipt_of(self._region, row, ids.get(row["id"], ()), origin) for row in rows]

    async def write(self, connection: AsyncConnection) -> None:
        """The last thing in the transaction: it locks the chain's head."""
        receipts = self._receipts
        if self._lines:
            places = await chain.extend(connection, self._lines)
            rows = [(*_STORED(line), digest) for line, (_, digest) in zip(self._lines, places, strict=True)]
            await bulk.enter(connection, t.transitions, (*_COLUMNS, "digest"), rows)
            if receipts:
                seq, digest = places[-1]
                receipts[-1] = replace(receipts[-1], chain=f"{seq}:{digest}")
        if self._acts:
            await chain.enter_all(connection, self._acts)
        await bulk.enter(connection, t.outbox, ("alert", "value"), [(receipt.alert, to_json(receipt)) for receipt in receipts])


def line_of(salt: str, moved: Mapping[str, Any]) -> Row:
    """The chain's line of a transition: with whose message it is, and without a name."""
    return {**moved, "kind": "transition", "contact": chain.tag(salt, moved["contact"])}


def receipt_of(region: str, row: Mapping[str, Any], message_ids: tuple[str, ...], origin: str = "") -> Receipt:
    return Receipt(
        region=region,
        alert=row["alert"],
        zone=row["zone"],
        level=_LEVELS[row["level"]],
        contact=row["contact"],
        channel=row["channel"],
        state=STATES[row["state"]],
        attempt=row["attempts"],
        at_ms=row["changed_ms"],
        parts=row["parts"],
        parts_delivered=row["parts_delivered"],
        language=row["language"],
        doubled=row["doubled"],
        resent=row["resent"],
        reason=row["reason"],
        message_ids=message_ids,
        route=row["route"],
        origin=origin,
    )
