"""Keys of devices and providers: who may send readings, and for which stations.

A key reads ``fw_<id>_<secret>``: the id may stand in logs, the secret (256 random bits) is shown once and stored as its SHA-256.
A random secret of that length needs no slow hash: there is nothing to guess.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from warning.database import open_engine
from warning.errors import AuthError, InputError, Unavailable

_FORM = re.compile(r"fw_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_ID = re.compile(r"[0-9a-f]{12}")
_NOBODY = bytes(32)  # compared with when there is no such id, so that the answer takes as long
_USED_EVERY_MS = 60_000  # last_used is written at most this often
_AGAIN_AFTER_S = 5.0
_MOST_OVERLAP_MS = 3653 * 86_400_000
_MOST_REMEMBERED = 10_000

_METADATA = sql.MetaData()
_KEYS = sql.Table(
    "ingest_keys",
    _METADATA,
    sql.Column("id", sql.String(12), primary_key=True),
    sql.Column("provider", sql.String(100), nullable=False),
    sql.Column("digest", sql.LargeBinary(32), nullable=False),
    sql.Column("stations", sql.JSON, nullable=False),
    sql.Column("created_ms", sql.BigInteger, nullable=False),
    sql.Column("revoked_ms", sql.BigInteger),
    sql.Column("last_used_ms", sql.BigInteger),
    sql.Column("note", sql.String(500), nullable=False),
    sql.Column("per_minute", sql.BigInteger),
    sql.Column("ends_ms", sql.BigInteger),
    sql.Column("successor", sql.String(12)),
)
_LATER = ("per_minute", "ends_ms", "successor")  # columns that a table of before 0.4.0 does not have

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """One key as it is listed: never its secret. ``stations`` empty: all. ``last_used_ms`` may be a minute behind.

    ``per_minute``: readings that it may send, None: the default (``rate.Limits``), 0: no limit. ``ends_ms``: a rotated key works until
    then beside its ``successor``.
    """

    id: str
    provider: str
    stations: frozenset[str]
    created_ms: int
    revoked_ms: int | None = None
    last_used_ms: int | None = None
    note: str = ""
    per_minute: int | None = None
    ends_ms: int | None = None
    successor: str | None = None


@dataclass(frozen=True, slots=True)
class _Remembered:
    key: Key
    digest: bytes
    at_s: float  # monotonic


class KeyStore:
    """Keys in SQL: SQLite (WAL) or PostgreSQL by ``url``. ``clock``: ms since 1970 UTC.

    ``verify`` remembers a key for ``remember_s``, so a revocation takes effect within that. While the database is away a key that was
    good goes on being good for ``outage_s``: nobody can revoke it either, and a flood does not wait for a database.
    """

    def __init__(
        self, url: str, clock: Callable[[], int], *, remember_s: float = 2.0, outage_s: float = 300.0, within_s: float = 3.0
    ) -> None:
        self._engine = open_engine(url, within_s)
        self._clock, self._remember_s, self._outage_s, self._within_s = clock, remember_s, outage_s, within_s
        self._remembered: dict[str, _Remembered] = {}
        self._used_ms: dict[str, int] = {}  # when it was last written
        self._lookups: dict[str, asyncio.Task[_Remembered | None]] = {}
        self._table_is_there = False
        self._away_until_s = -1.0  # monotonic; no key that is known waits for the database before this

    async def close(self) -> None:
        for task in list(self._lookups.values()):
            task.cancel()
        await asyncio.gather(*self._lookups.values(), return_exceptions=True)
        await self._engine.dispose()

    async def create(
        self, provider: str, *, stations: Iterable[str] = (), note: str = "", per_minute: int | None = None
    ) -> tuple[Key, str]:
        """A new key and its text ``fw_<id>_<secret>``, which is nowhere else. Raises InputError, Unavailable."""
        if not provider.strip() or len(provider) > 100:
            raise InputError("a key needs the name of its provider", reason="provider", field="provider", fix="1 to 100 characters")
        if len(note) > 500:
            raise InputError("the note is too long", reason="note", field="note", fix="at most 500 characters")
        if per_minute is not None and per_minute < 0:
            raise InputError("a limit below 0", reason="per_minute", field="per_minute", fix="readings a minute; 0: no limit")
        key = Key(secrets.token_hex(6), provider.strip(), frozenset(stations), self._clock(), note=note, per_minute=per_minute)
        insert, text = _made(key)
        await self._run(insert)
        return key, text

    async def rotate(self, id: str, overlap_ms: int) -> tuple[Key, Key, str]:
        """(the old key, its successor, the successor's text). The new one works at once, the old one for ``overlap_ms`` more.

        Both change together or not at all. Takes the id, or the key's whole text. Raises InputError for a key that is not there, has ended
        or is rotated already; Unavailable.
        """
        if not 0 <= overlap_ms <= _MOST_OVERLAP_MS:
            what = "an overlap below 0" if overlap_ms < 0 else "an overlap of more than ten years"
            raise InputError(what, reason="overlap", field="overlap", fix="like 7d; 0s ends the old key at once")
        old, now_ms = await self._one(id), self._clock()
        if old.revoked_ms is not None or (old.ends_ms is not None and old.ends_ms <= now_ms):
            raise InputError(f"key {old.id} has ended", reason="key", field="id", fix="make a new one: `warning keys new`")
        if old.successor is not None:
            fix = f"rotate {old.successor}, or revoke {old.id} to end it now"
            raise InputError(f"key {old.id} was rotated to {old.successor}", reason="key", field="id", fix=fix)
        new = replace(old, id=secrets.token_hex(6), created_ms=now_ms, last_used_ms=None)
        insert, text = _made(new)
        rotated = replace(old, ends_ms=now_ms + overlap_ms, successor=new.id)
        still = sql.and_(_KEYS.c.id == old.id, _KEYS.c.successor.is_(None), _KEYS.c.revoked_ms.is_(None))
        changed = await self._run(_KEYS.update().where(still).values(ends_ms=rotated.ends_ms, successor=new.id), then=insert)
        if not changed:
            raise InputError(
                f"key {old.id} was changed meanwhile", reason="key", field="id", fix="see `warning keys list`, and rotate again"
            )
        self._remembered.pop(old.id, None)
        return rotated, new, text

    async def list(self) -> tuple[Key, ...]:
        """All keys, the revoked ones too, oldest first. Raises Unavailable."""
        rows = await self._run(_KEYS.select().order_by(_KEYS.c.created_ms, _KEYS.c.id))
        return tuple(_key(row) for row in rows)

    async def revoke(self, id: str) -> Key:
        """Ends a key for good; again is no error. Takes the id, or the key's whole text. Raises InputError, Unavailable."""
        this = _KEYS.c.id == _id(id)
        await self._run(_KEYS.update().where(this, _KEYS.c.revoked_ms.is_(None)).values(revoked_ms=self._clock()))
        key = await self._one(id)
        self._remembered.pop(key.id, None)
        return key

    async def _one(self, id: str) -> Key:
        rows = await self._run(_KEYS.select().where(_KEYS.c.id == _id(id)))
        if not rows:
            raise InputError(f"no key {_id(id)[:60]!r}", reason="key", field="id", fix="see `warning keys list`")
        return _key(rows[0])

    async def verify(self, text: str) -> Key:
        """The key that ``text`` is. Raises AuthError if it is none or revoked, Unavailable if the database cannot say."""
        form = _FORM.fullmatch(text)
        if form is None:
            raise AuthError("this is no key: it reads fw_<id>_<secret>")
        entry = self._remembered.get(form[1])
        if entry is None or time.monotonic() - entry.at_s > self._remember_s:
            entry = await self._looked_up(form[1], entry)
        right = hmac.compare_digest(_digest(form[2]), entry.digest if entry else _NOBODY)
        if entry is None or not right:
            raise AuthError("no such key")
        if entry.key.revoked_ms is not None:
            raise AuthError(f"key {entry.key.id} is revoked")
        if time.monotonic() >= self._away_until_s:
            await self._used_now(entry.key)
        if entry.key.ends_ms is not None and self._clock() >= entry.key.ends_ms:
            raise AuthError(f"key {entry.key.id} has ended: use its successor, {entry.key.successor}")
        return entry.key

    async def _looked_up(self, id: str, old: _Remembered | None) -> _Remembered | None:
        """One query for however many requests ask at the same time."""
        usable = old is not None and time.monotonic() - old.at_s <= self._outage_s
        if usable and time.monotonic() < self._away_until_s:
            return old
        task = self._lookups.get(id)
        if task is None:
            task = self._lookups[id] = asyncio.create_task(self._lookup(id))
            task.add_done_callback(lambda _: self._lookups.pop(id, None))
        try:
            return await asyncio.shield(task)
        except Unavailable:
            self._away_until_s = time.monotonic() + self._remember_s
            if not usable:
                raise
            return old

    async def _lookup(self, id: str) -> _Remembered | None:
        rows = await self._run(_KEYS.select().where(_KEYS.c.id == id))
        if not rows:
            self._remembered.pop(id, None)
            return None
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
            self._used_ms.clear()
        entry = self._remembered[id] = _Remembered(_key(rows[0]), bytes(rows[0].digest), time.monotonic())
        return entry

    async def _used_now(self, key: Key) -> None:
        """Only of a key whose secret was right: who knows an id alone must not make a key look used."""
        now_ms = self._clock()
        if now_ms - max(key.last_used_ms or 0, self._used_ms.get(key.id, 0)) > _USED_EVERY_MS:
            self._used_ms[key.id] = now_ms
            with suppress(Unavailable):  # which _run has logged: not worth refusing a reading
                await self._run(_KEYS.update().where(_KEYS.c.id == key.id).values(last_used_ms=now_ms))

    async def _run(self, statement: Any, then: Any = None) -> Any:
        """Rows of a select, else how many rows were changed; ``then`` in the same transaction, if any was. Whatever a database or its
        driver raises is Unavailable, never "no such key"."""
        try:
            async with asyncio.timeout(self._within_s):
                if not self._table_is_there:
                    await self._make_table()
                async with self._engine.begin() as connection:
                    result = await connection.execute(statement)
                    if then is not None and result.rowcount:
                        await connection.execute(then)
                    return result.all() if result.returns_rows else result.rowcount
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            what = f"{type(error).__name__}: {getattr(error, 'orig', None) or error}"
            _log.warning("the database of keys is away: %s", what)
            raise Unavailable("the database of keys is away", reason="database", retry_after_s=_AGAIN_AFTER_S) from error

    async def _make_table(self) -> None:
        for left in reversed(range(len(_LATER) + 2)):  # processes that start together: who loses a race finds one column more there
            try:
                async with self._engine.begin() as connection:
                    await connection.run_sync(_METADATA.create_all)
                    await connection.run_sync(_add_columns)
            except SQLAlchemyError:
                if not left:
                    raise
            else:
                self._table_is_there = True
                return


def _add_columns(connection: sql.Connection) -> None:
    there = {column["name"] for column in sql.inspect(connection).get_columns(_KEYS.name)}
    for name in _LATER:
        if name not in there:
            kind = _KEYS.c[name].type.compile(connection.dialect)
            connection.execute(sql.text(f"ALTER TABLE {_KEYS.name} ADD COLUMN {name} {kind}"))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _id(text: str) -> str:
    form = _FORM.fullmatch(text)
    return form[1] if form else text


def _made(key: Key) -> tuple[sql.Insert, str]:
    """The row of a new key, and its text."""
    secret = secrets.token_urlsafe(32)
    row = {"id": key.id, "provider": key.provider, "digest": _digest(secret), "stations": sorted(key.stations)}
    insert = _KEYS.insert().values(**row, created_ms=key.created_ms, note=key.note, per_minute=key.per_minute)
    return insert, f"fw_{key.id}_{secret}"


def _key(row: Any) -> Key:
    return Key(
        row.id,
        row.provider,
        frozenset(row.stations),
        row.created_ms,
        row.revoked_ms,
        row.last_used_ms,
        row.note,
        row.per_minute,
        row.ends_ms,
        row.successor,
    )
