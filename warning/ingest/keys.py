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
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from warning.errors import AuthError, InputError, Unavailable

_FORM = re.compile(r"fw_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_ID = re.compile(r"[0-9a-f]{12}")
_NOBODY = bytes(32)  # compared with when there is no such id, so that the answer takes as long
_USED_EVERY_MS = 60_000  # last_used is written at most this often
_AGAIN_AFTER_S = 5.0
_MOST_REMEMBERED = 10_000
_BUSY_S = 5

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
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """One key as it is listed: never its secret. ``stations`` empty: all. ``last_used_ms`` may be a minute behind."""

    id: str
    provider: str
    stations: frozenset[str]
    created_ms: int
    revoked_ms: int | None = None
    last_used_ms: int | None = None
    note: str = ""


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
        self._lookups: dict[str, asyncio.Task[_Remembered | None]] = {}
        self._table_is_there = False
        self._away_until_s = -1.0  # monotonic; no key that is known waits for the database before this

    async def close(self) -> None:
        for task in list(self._lookups.values()):
            task.cancel()
        await asyncio.gather(*self._lookups.values(), return_exceptions=True)
        await self._engine.dispose()

    async def create(self, provider: str, *, stations: Iterable[str] = (), note: str = "") -> tuple[Key, str]:
        """A new key and its text ``fw_<id>_<secret>``, which is nowhere else. Raises InputError, Unavailable."""
        if not provider.strip() or len(provider) > 100:
            raise InputError("a key needs the name of its provider", reason="provider", field="provider", fix="1 to 100 characters")
        if len(note) > 500:
            raise InputError("the note is too long", reason="note", field="note", fix="at most 500 characters")
        secret = secrets.token_urlsafe(32)
        key = Key(secrets.token_hex(6), provider.strip(), frozenset(stations), self._clock(), note=note)
        row = {"id": key.id, "provider": key.provider, "digest": _digest(secret), "stations": sorted(key.stations)}
        await self._run(_KEYS.insert().values(**row, created_ms=key.created_ms, note=note))
        return key, f"fw_{key.id}_{secret}"

    async def list(self) -> tuple[Key, ...]:
        """All keys, the revoked ones too, oldest first. Raises Unavailable."""
        rows = await self._run(_KEYS.select().order_by(_KEYS.c.created_ms, _KEYS.c.id))
        return tuple(_key(row) for row in rows)

    async def revoke(self, id: str) -> Key:
        """Ends a key for good; again is no error. Takes the id, or the key's whole text. Raises InputError, Unavailable."""
        form = _FORM.fullmatch(id)
        id = form[1] if form else id
        this = _KEYS.c.id == id
        await self._run(_KEYS.update().where(this, _KEYS.c.revoked_ms.is_(None)).values(revoked_ms=self._clock()))
        rows = await self._run(_KEYS.select().where(this))
        if not rows:
            raise InputError(f"no key {id[:60]!r}", reason="key", field="id", fix="see `warning keys list`")
        self._remembered.pop(id, None)
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
        key, now_ms = _key(rows[0]), self._clock()
        if key.revoked_ms is None and now_ms - (key.last_used_ms or 0) > _USED_EVERY_MS:
            with suppress(Unavailable):  # which _run has logged: not worth refusing a reading
                await self._run(_KEYS.update().where(_KEYS.c.id == id).values(last_used_ms=now_ms))
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        entry = self._remembered[id] = _Remembered(key, bytes(rows[0].digest), time.monotonic())
        return entry

    async def _run(self, statement: Any) -> Any:
        """Rows of a select, else nothing. Whatever a database or its driver raises is Unavailable, never "no such key"."""
        try:
            async with asyncio.timeout(self._within_s):
                if not self._table_is_there:
                    await self._make_table()
                async with self._engine.begin() as connection:
                    result = await connection.execute(statement)
                    return result.all() if result.returns_rows else ()
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            what = f"{type(error).__name__}: {getattr(error, 'orig', None) or error}"
            _log.warning("the database of keys is away: %s", what)
            raise Unavailable("the database of keys is away", reason="database", retry_after_s=_AGAIN_AFTER_S) from error

    async def _make_table(self) -> None:
        for last in (False, True):  # two processes that start together: one of them loses the race, and then it is there
            try:
                async with self._engine.begin() as connection:
                    await connection.run_sync(_METADATA.create_all)
            except SQLAlchemyError:
                if last:
                    raise
            else:
                self._table_is_there = True
                return


def open_engine(url: str, within_s: float) -> AsyncEngine:
    if not url.startswith("sqlite"):
        name = "postgresql+asyncpg" + url[url.index(":") :] if url.startswith(("postgresql:", "postgres:")) else url
        return create_async_engine(name, pool_pre_ping=True, pool_timeout=within_s, connect_args={"timeout": within_s})
    engine = create_async_engine(url, connect_args={"timeout": _BUSY_S})

    def prepare(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")  # `warning keys` writes while ingest reads
        cursor.execute("PRAGMA synchronous=FULL")  # a revocation survives the power cut
        cursor.close()

    sql.event.listen(engine.sync_engine, "connect", prepare)
    return engine


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _key(row: Any) -> Key:
    return Key(row.id, row.provider, frozenset(row.stations), row.created_ms, row.revoked_ms, row.last_used_ms, row.note)
