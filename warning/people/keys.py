"""Keys of people and agencies for the API, and what each may do: its roles.

A key reads ``wk_<id>_<secret>``: the id may stand in logs, the secret (256 random bits) is shown once and kept as its SHA-256. Keys of
devices (``ingest.keys``) open nothing here: they begin otherwise.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from warning.database import Tables
from warning.errors import AuthError, InputError

ROLES: Mapping[str, str] = {
    "viewer": "reads deliveries, decisions and what waits",
    "operator": "silences, raises, corrects and cancels",
    "approver": "releases or refuses warnings that wait",
    "agency": "subscribes, and sees its own subscriptions",
    "admin": "makes and revokes keys",
}
IMPLIED = {"operator": "viewer", "approver": "viewer", "admin": "viewer"}

_FORM = re.compile(r"wk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NOBODY = bytes(32)  # compared with when there is no such id, so that the answer takes as long
_REMEMBER_S = 2.0  # so long a revoked key may still work
_MOST_REMEMBERED = 10_000
_METADATA = sql.MetaData()
_KEYS = sql.Table(
    "api_keys",
    _METADATA,
    sql.Column("id", sql.String(12), primary_key=True),
    sql.Column("name", sql.String(200), nullable=False),
    sql.Column("roles", sql.String(200), nullable=False),  # space-separated
    sql.Column("digest", sql.LargeBinary(32), nullable=False),
    sql.Column("note", sql.String(500), nullable=False),
    sql.Column("created_ms", sql.BigInteger, nullable=False),
    sql.Column("revoked_ms", sql.BigInteger),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Whose key it is. ``id``: the key's, which is ``owner`` of what an agency subscribes."""

    id: str
    name: str
    roles: frozenset[str]
    created_ms: int
    revoked_ms: int | None = None
    note: str = ""

    def may(self, role: str) -> bool:
        return role in self.roles or any(IMPLIED.get(one) == role for one in self.roles)


class ApiKeys:
    """``url``: ``Deployment.database``; ``clock``: ms since 1970. Methods raise Unavailable when the database is away."""

    def __init__(self, url: str, clock: Callable[[], int], within_s: float = 3.0) -> None:
        self._tables, self._clock = Tables(url, _METADATA, "keys of the API", within_s), clock
        self._remembered: dict[str, tuple[float, Person, bytes]] = {}

    async def close(self) -> None:
        await self._tables.close()

    async def create(self, name: str, roles: Collection[str], note: str = "") -> tuple[Person, str]:
        """A new key and its text, which is nowhere else. Raises InputError."""
        if not name.strip() or len(name) > 200 or len(note) > 500:
            raise InputError("a key needs its person's name", reason="name", field="name", fix="1 to 200 characters; a note at most 500")
        person = Person(secrets.token_hex(6), name.strip(), _known(roles), self._clock(), note=note)
        secret = secrets.token_urlsafe(32)
        row = {"id": person.id, "name": person.name, "roles": " ".join(sorted(person.roles)), "digest": _digest(secret)}
        await self._tables.run(sql.insert(_KEYS), [row | {"note": note, "created_ms": person.created_ms, "revoked_ms": None}])
        return person, f"wk_{person.id}_{secret}"

    async def grant(self, id: str, roles: Collection[str]) -> Person:
        """Its roles are these from now on. Raises InputError for a key that is not there or was revoked."""
        person = await self.one(id)
        if person.revoked_ms is not None:
            raise InputError(f"key {person.id} is revoked", reason="key", field="id", fix="make a new one")
        await self._tables.run(sql.update(_KEYS).where(_KEYS.c.id == person.id).values(roles=" ".join(sorted(_known(roles)))))
        self._remembered.pop(person.id, None)
        return await self.one(person.id)

    async def revoke(self, id: str) -> Person:
        """Ends a key for good; again is no error. Raises InputError."""
        person = await self.one(id)
        this = (_KEYS.c.id == person.id) & _KEYS.c.revoked_ms.is_(None)
        await self._tables.run(sql.update(_KEYS).where(this).values(revoked_ms=self._clock()))
        self._remembered.pop(person.id, None)
        return await self.one(person.id)

    async def list(self) -> tuple[Person, ...]:
        """All, the revoked ones too, oldest first."""
        rows = await self._tables.run(sql.select(_KEYS).order_by(_KEYS.c.created_ms, _KEYS.c.id))
        return tuple(map(_person, rows))

    async def one(self, id: str) -> Person:
        """By its id, or the key's whole text. Raises InputError."""
        form = _FORM.fullmatch(id)
        rows = await self._tables.run(sql.select(_KEYS).where(_KEYS.c.id == (form[1] if form else id)))
        if not rows:
            raise InputError(f"no key {(form[1] if form else id)[:60]!r}", reason="key", field="id", fix="see `warning access list`")
        return _person(rows[0])

    async def verify(self, text: str) -> Person:
        """Whose key this is. Raises AuthError if it is none or revoked."""
        form = _FORM.fullmatch(text)
        if form is None:
            raise AuthError("this is no key of the API: it reads wk_<id>_<secret>")
        known = self._remembered.get(form[1])
        if known is None or time.monotonic() - known[0] > _REMEMBER_S:
            known = await self._looked_up(form[1])
        right = hmac.compare_digest(_digest(form[2]), known[2] if known else _NOBODY)
        if known is None or not right:
            raise AuthError("no such key")
        if known[1].revoked_ms is not None:
            raise AuthError(f"key {known[1].id} is revoked")
        return known[1]

    async def _looked_up(self, id: str) -> tuple[float, Person, bytes] | None:
        rows = await self._tables.run(sql.select(_KEYS).where(_KEYS.c.id == id))
        self._remembered.pop(id, None)
        if not rows:
            return None
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        entry = self._remembered[id] = (time.monotonic(), _person(rows[0]), bytes(rows[0].digest))
        return entry


def _known(roles: Collection[str]) -> frozenset[str]:
    unknown = sorted(set(roles) - ROLES.keys())
    if unknown or not roles:
        raise InputError(f"no role {', '.join(unknown) or 'at all'}", reason="role", field="role", fix=f"one of {', '.join(ROLES)}")
    return frozenset(roles)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _person(row: Any) -> Person:
    return Person(row.id, row.name, frozenset(row.roles.split()), row.created_ms, row.revoked_ms, row.note)
