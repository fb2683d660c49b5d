"""A contact as a row of the directory, and back."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import msgspec

from warning.model import Level
from warning.people.tables import EVERYWHERE
from warning.region import Contact

_AS_IS = ("id", "name", "role", "language", "phone", "webhook", "secret", "live", "email", "voice", "office", "rank", "village")
_AS_IS_TOO = ("control_room", "lat", "lon")
_LEVELS = {level.value: level for level in Level}
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


@lru_cache(maxsize=4096)
def _listed(text: str) -> tuple[str, ...]:
    """Space-separated; one tuple for all who have the same."""
    return tuple(text.split())


def contact_of(row: Any) -> Contact:
    """Of a whole row of ``tables.contacts``, by place: an audience has 90,000. ``consent``: as its file says, and no stop since."""
    (id_, _, name, role, language, districts, level, _, phone, webhook, secret, live, email, voice, office, rank, village, channels) = row[
        :18
    ]
    quiet_from, quiet_until, control_room, lat, lon, consent, stopped = row[18:25]
    return Contact(
        id_,
        name,
        role,
        language,
        _listed(districts),
        _LEVELS[level],
        phone,
        webhook,
        secret,
        live,
        email,
        voice,
        office,
        rank,
        village,
        _listed(channels),
        None if quiet_from is None else (quiet_from, quiet_until),
        control_room,
        lat,
        lon,
        consent and not stopped,
    )
