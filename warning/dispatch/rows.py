"""The ledger's rows and the nouns they stand for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.alerts.lifecycle import chain_of
from warning.dispatch import tables as t
from warning.dispatch.audience import Planned
from warning.model import AlertEvent, DeliveryState, Level, Receipt, to_json
from warning.region import Contact

OPEN = (DeliveryState.WAITING.value, DeliveryState.UNKNOWN.value)  # and with a next attempt, or held until someone approves
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Open:
    """A delivery with an attempt to come. ``next_attempt_ms`` by the wall clock, None: held; ``due_ms`` by the time that decides."""

    id: int
    alert: str
    chain: str
    level: Level
    contact: str
    channel: str
    language: str
    reason: str
    attempts: int
    next_attempt_ms: int | None
    due_ms: int
    expires_ms: int

    @property
    def key(self) -> tuple[str, str, str]:
        """What must stay in order: the messages of one chain to one contact over one channel."""
        return self.chain, self.contact, self.channel

    @staticmethod
    def of(row: Mapping[str, Any]) -> Open:
        return Open(**{name: row[name] for name in Open.__slots__ if name != "level"}, level=Level(row["level"]))


@dataclass(frozen=True, slots=True)
class Record:
    """One new alert as it stood in the log, with what is to be done about it."""

    event: AlertEvent
    value: bytes
    planned: tuple[Planned, ...]
    overtaken: tuple[int, ...]  # deliveries of older revisions that will not go


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a partition is in the ledger."""

    topic: str
    partition: int
    next_offset: int
    first_digest: str
    last_digest: str


def digest_of(*values: bytes | None) -> str:
    """SHA-256 of a record's key and value."""
    total = hashlib.sha256()
    for value in values:
        total.update(len(value or b"").to_bytes(8, "big") + (value or b""))
    return total.hexdigest()


def contact_row(contact: Contact) -> Row:
    return {
        "id": contact.id,
        "name": contact.name,
        "role": contact.role,
        "language": contact.language,
        "districts": " ".join(contact.districts),
        "level": contact.level.value,
        "phone": contact.phone,
        "webhook": contact.webhook,
        "live": contact.live,
        "active": True,
    }


def alert_row(record: Record) -> Row:
    alert = record.event.alert
    return {
        "identifier": alert.identifier,
        "chain": chain_of(alert.identifier),
        "zone": alert.zone,
        "revision": alert.revision,
        "kind": alert.kind.value,
        "level": alert.level.value,
        "sent_ms": alert.sent_ms,
        "expires_ms": alert.expires_ms,
        "digest": digest_of(record.value),
        "value": record.value,
    }


def delivery_row(event: AlertEvent, planned: Planned, now_ms: int, due_ms: int) -> Row:
    """A new delivery. Nothing is due where the rules refused it or hold it back."""
    alert = event.alert
    return {
        "alert": alert.identifier,
        "revision": alert.revision,
        "chain": chain_of(alert.identifier),
        "zone": alert.zone,
        "level": alert.level.value,
        "contact": planned.contact.id,
        "channel": planned.channel,
        "language": planned.contact.language,
        "state": planned.state.value,
        "reason": planned.reason,
        "attempts": 0,
        "next_attempt_ms": None if planned.held or planned.state is not DeliveryState.WAITING else 0,
        "due_ms": due_ms,
        "expires_ms": alert.expires_ms,
        "doubled": False,
        "handed": False,
        "parts": 1,
        "parts_delivered": 0,
        "created_ms": now_ms,
        "changed_ms": now_ms,
    }


CHANGING = ("state", "reason", "attempts", "next_attempt_ms", "due_ms", "doubled", "handed", "parts", "parts_delivered", "changed_ms")


async def change(connection: AsyncConnection, rows: Iterable[Row]) -> None:
    """Writes the columns of deliveries that change."""
    values = [{"key": row["id"], **{name: row[name] for name in CHANGING}} for row in rows]
    if values:
        await connection.execute(update(t.deliveries).where(t.deliveries.c.id == bindparam("key")), values)


async def tell(
    connection: AsyncConnection, region: str, rows: Iterable[Row], message_ids: Mapping[int, tuple[str, ...]] | None = None
) -> None:
    """A receipt per row into the outbox: it is published after this transaction, and again after a crash."""
    values = [{"alert": row["alert"], "value": to_json(receipt_of(region, row, (message_ids or {}).get(row["id"], ())))} for row in rows]
    if values:
        await connection.execute(insert(t.outbox), values)


def receipt_of(region: str, row: Mapping[str, Any], message_ids: tuple[str, ...]) -> Receipt:
    return Receipt(
        region=region,
        alert=row["alert"],
        zone=row["zone"],
        level=Level(row["level"]),
        contact=row["contact"],
        channel=row["channel"],
        state=DeliveryState(row["state"]),
        attempt=row["attempts"],
        at_ms=row["changed_ms"],
        parts=row["parts"],
        parts_delivered=row["parts_delivered"],
        language=row["language"],
        doubled=row["doubled"],
        reason=row["reason"],
        message_ids=message_ids,
    )
