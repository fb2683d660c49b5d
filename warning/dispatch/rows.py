"""The ledger's rows and the nouns they stand for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from warning.alerts.lifecycle import chain_of
from warning.dispatch import bulk
from warning.dispatch import tables as t
from warning.dispatch.audience import Planned
from warning.dispatch.trail import Row, Trail
from warning.model import AlertEvent, DeliveryState, Level
from warning.region import Contact

OPEN = (DeliveryState.WAITING.value, DeliveryState.UNKNOWN.value)  # and with a next attempt, or held until someone approves


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
    deadline_ms: int | None = None  # when the water is there; None: unknown
    step: int = 0  # of the escalation

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


def plain(text: str) -> str:
    """The same text always becomes the same: a receipt finds its message.

    >>> plain("a1"), plain("a\\x00b\\ud800")
    ('a1', 'a?b?')
    """
    return text if text.isascii() and text.isprintable() else text.replace("\x00", "?").encode(errors="replace").decode()


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
        "deadline_ms": planned.deadline_ms,
        "step": planned.step,
        "doubled": False,
        "resent": 0,
        "handed": False,
        "parts": 1,
        "parts_delivered": 0,
        "created_ms": now_ms,
        "changed_ms": now_ms,
    }


CHANGING = (
    "state",
    "reason",
    "attempts",
    "next_attempt_ms",
    "due_ms",
    "doubled",
    "handed",
    "parts",
    "parts_delivered",
    "changed_ms",
    "route",
)


async def change(connection: AsyncConnection, rows: Iterable[Row], trail: Trail) -> None:
    """Writes the columns of deliveries that change, and how their states moved."""
    rows = list(rows)
    for row in rows:
        trail.moved(row)
    await bulk.change(connection, t.deliveries, CHANGING, rows)
