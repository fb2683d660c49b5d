"""What is remembered of gauge readers, in SQL: small things with a name and a time. SQLite or PostgreSQL, as for keys.

========  =============================  =====================================================================================
kind      name                           content
========  =============================  =====================================================================================
heard     phone, digest of the words     when they were first heard: a message that the centre sends again is the same reading
parts     phone, reference, parts        parts of a long message that wait for the others
asked     phone                          the reading that he was asked to confirm
last      station, parameter             his last value, for "that is far off"
stranger  phone                          how often a number that nobody registered wrote, and when it was last answered
joined    phone, digest of the words     when a JOIN was first heard: see ``sms_twice``
keyword   phone                          how many answers and subscriptions it had that day
kannel    digest of the request          a message that Kannel brought while the log was away (``kannel_held``)
========  =============================  =====================================================================================

The newest are held in memory too (bounded). While the database is away reading and writing go on there, but for ``durable`` writes, which
raise Unavailable: what is acknowledged must not be in this process alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Any

import msgspec
import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from warning.database import open_engine
from warning.errors import Unavailable

DAY_MS = 24 * 3_600_000
KEPT_MS = {"heard": 3 * DAY_MS, "asked": DAY_MS, "last": 30 * DAY_MS, "stranger": 30 * DAY_MS, "keyword": 2 * DAY_MS, "joined": DAY_MS}
# parts are kept until the message is whole or they are in readings.rejected, however long: they are acknowledged; kannel likewise
_MOST_HELD = 20_000
_PRUNE_EVERY_MS = 3_600_000
_WITHIN_S = 3.0
_AGAIN_AFTER_S = 5.0
_LONGEST_NAME = 200

_METADATA = sql.MetaData()
_MEMORY = sql.Table(
    "reader_memory",
    _METADATA,
    sql.Column("kind", sql.String(12), primary_key=True),
    sql.Column("name", sql.String(_LONGEST_NAME), primary_key=True),
    sql.Column("at_ms", sql.BigInteger, nullable=False),
    sql.Column("content", sql.LargeBinary, nullable=False),
)
_AT = sql.Index("reader_memory_at", _MEMORY.c.kind, _MEMORY.c.at_ms)

_log = logging.getLogger(__name__)


class Memory:
    """``url``: SQLAlchemy's, of the deployment's database. Contents are JSON objects."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, _WITHIN_S)
        self._held: OrderedDict[tuple[str, str], tuple[int, bytes]] = OrderedDict()
        self._table_is_there, self._making = False, asyncio.Lock()
        self._pruned_ms = 0

    async def close(self) -> None:
        await self._engine.dispose()

    async def get(self, kind: str, name: str, *, durable: bool = False) -> tuple[int, dict[str, Any]] | None:
        """(when it was put, content), or None. Raises Unavailable if ``durable`` and the database is away."""
        held = self._held.get((kind, name[:_LONGEST_NAME]))
        if held is None or durable:
            this = (_MEMORY.c.kind == kind) & (_MEMORY.c.name == name[:_LONGEST_NAME])
            try:
                rows = await self._run(sql.select(_MEMORY.c.at_ms, _MEMORY.c.content).where(this))
                held = (int(rows[0].at_ms), bytes(rows[0].content)) if rows else None
            except Unavailable:
                if durable:
                    raise
        return (held[0], msgspec.json.decode(held[1])) if held else None

    async def put(self, kind: str, name: str, at_ms: int, content: dict[str, Any], *, durable: bool = False) -> None:
        """Remembers it in place of what was there. Raises Unavailable if ``durable`` and the database is away."""
        name, text = name[:_LONGEST_NAME], msgspec.json.encode(content)
        self._held[kind, name] = (at_ms, text)
        self._held.move_to_end((kind, name))
        while len(self._held) > _MOST_HELD:
            self._held.popitem(last=False)
        try:
            await self._write(kind, name, at_ms, text)
            if at_ms - self._pruned_ms > _PRUNE_EVERY_MS:
                self._pruned_ms = at_ms
                for one, kept_ms in KEPT_MS.items():
                    await self._run(_MEMORY.delete().where(_MEMORY.c.kind == one, _MEMORY.c.at_ms < at_ms - kept_ms))
        except Unavailable:
            if durable:
                raise

    def drop(self, kind: str, name: str) -> None:
        """Out of this process's memory alone: what SQL did not take is not there."""
        self._held.pop((kind, name[:_LONGEST_NAME]), None)

    async def older(self, kind: str, than_ms: int) -> list[tuple[str, dict[str, Any]]]:
        """(name, content) of what was put before ``than_ms``, at most a hundred. Raises Unavailable."""
        rows = await self._run(
            sql.select(_MEMORY.c.name, _MEMORY.c.content).where(_MEMORY.c.kind == kind, _MEMORY.c.at_ms < than_ms).limit(100)
        )
        return [(row.name, msgspec.json.decode(bytes(row.content))) for row in rows]

    async def all(self, kind: str) -> list[tuple[str, int, dict[str, Any]]]:
        """(name, when, content), the newest first, at most a thousand. Raises Unavailable."""
        rows = await self._run(sql.select(_MEMORY).where(_MEMORY.c.kind == kind).order_by(_MEMORY.c.at_ms.desc()).limit(1000))
        return [(row.name, int(row.at_ms), msgspec.json.decode(bytes(row.content))) for row in rows]

    async def count(self, kind: str) -> int:
        """How many there are. Raises Unavailable."""
        rows = await self._run(sql.select(sql.func.count()).select_from(_MEMORY).where(_MEMORY.c.kind == kind))
        return int(rows[0][0])

    async def forget(self, kind: str, name: str) -> None:
        """Raises Unavailable."""
        self._held.pop((kind, name[:_LONGEST_NAME]), None)
        await self._run(_MEMORY.delete().where(_MEMORY.c.kind == kind, _MEMORY.c.name == name[:_LONGEST_NAME]))

    async def _write(self, kind: str, name: str, at_ms: int, text: bytes) -> None:
        this = (_MEMORY.c.kind == kind) & (_MEMORY.c.name == name)
        if await self._run(_MEMORY.update().where(this).values(at_ms=at_ms, content=text)):
            return
        try:
            await self._run(_MEMORY.insert().values(kind=kind, name=name, at_ms=at_ms, content=text))
        except IntegrityError:  # another gateway was faster: ours is newer
            await self._run(_MEMORY.update().where(this).values(at_ms=at_ms, content=text))

    async def _run(self, statement: Any) -> Any:
        """Rows of a select, else how many rows it touched. Whatever a database raises is Unavailable, but for a double."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._make_table()
                async with self._engine.begin() as connection:
                    result = await connection.execute(statement)
                    return result.all() if result.returns_rows else result.rowcount
        except IntegrityError:
            raise
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _log.warning("the database of readers is away: %s: %s", type(error).__name__, getattr(error, "orig", None) or error)
            raise Unavailable("the database of readers is away", reason="database", retry_after_s=_AGAIN_AFTER_S) from error

    async def _make_table(self) -> None:
        async with self._making:
            for last in (False, True):  # two processes that start together: one of them loses the race, and then it is there
                if self._table_is_there:
                    return
                try:
                    async with self._engine.begin() as connection:
                        await connection.run_sync(_METADATA.create_all)
                    self._table_is_there = True
                except SQLAlchemyError:
                    if last:
                        raise
