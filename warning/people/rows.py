"""A contact as a row of the directory, and back."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from warning.model import Level
from warning.people.tables import EVERYWHERE
from warning.region import Contact

_AS_IS = ("id", "name", "role", "language", "phone", "webhook", "secret", "live", "email", "voice", "office", "rank", "village")
_AS_IS_TOO = ("control_room", "lat", "lon")
Row = dict[str, Any]


def digest_of(contact: Contact) -> str:
    """Of everything that a file says of a contact: the same digest, nothing to do."""
    return hashlib.blake2b(msgspec.json.encode(contact), digest_size=16).hexdigest()


def contact_row(contact: Contact, origin: str, at_ms: int) -> Row:
    """Without ``stopped``, which no file knows."""
    quiet_from, quiet_until = contact.quiet or (None, None)
    return {name: getattr(contact, name) for name in (*_AS_IS, *_AS_IS_TOO)} | {
        "origin": origin,
        "districts": " ".join(contact.districts),
        "level": contact.level.value,
        "level_rank": contact.level.rank,
        "channels": " ".join(contact.channels),
        "quiet_from": quiet_from,
        "quiet_until": quiet_until,
        "consent": contact.consent,
        "active": True,
        "digest": digest_of(contact),
        "changed_ms": at_ms,
    }


def district_rows(contact: Contact) -> list[Row]:
    """Where it is told of."""
    return [{"district": district, "contact": contact.id} for district in dict.fromkeys(contact.districts or (EVERYWHERE,))]


def contact_of(row: Any) -> Contact:
    """``consent``: as its file says, and it has not said stop since."""
    return Contact(
        **{name: getattr(row, name) for name in (*_AS_IS, *_AS_IS_TOO)},
        districts=tuple(row.districts.split()),
        level=Level(row.level),
        channels=tuple(row.channels.split()),
        quiet=None if row.quiet_from is None else (row.quiet_from, row.quiet_until),
        consent=bool(row.consent and not row.stopped),
    )
