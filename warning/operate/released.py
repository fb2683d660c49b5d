"""In which order documents were let out: what agencies catch up from after an outage of theirs.

A document gets its place when the rules let it out, not when it was made: one that waited for a person stands behind those that did not, so
that nobody whose cursor has passed misses it. Kept beside the documents, and never changed; a cursor is the identifier of an alert.
"""

from __future__ import annotations

import asyncio
import logging

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from warning.database import NUMBER, Tables
from warning.errors import Unavailable
from warning.operate.desk import Desk
from warning.operate.store import address

log = logging.getLogger(__name__)

EVERY_S = 1.0
PAGE = 500
LATE_MS = 2 * 86_400_000  # a document that comes so much behind the newest is looked for at the next start
_LOCK = 0x72656C6F7264  # of PostgreSQL
_METADATA = sql.MetaData()
_RELEASED = sql.Table(
    "documents_released",
    _METADATA,
    sql.Column("place", NUMBER, primary_key=True, autoincrement=True),
    sql.Column("identifier", sql.String(255), nullable=False, unique=True),
    sqlite_autoincrement=True,
)
_DOCUMENTS = sql.table("documents", sql.column("identifier"), sql.column("sent_ms"), sql.column("cap"))


class Released:
    """Of one desk. Raises Unavailable when the database is away."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._tables = desk, Tables(address(desk.deployment), _METADATA, "released documents")
        self._newest_ms = 0

    async def close(self) -> None:
        await self._tables.close()

    async def run(self) -> None:
        """Until it is cancelled: lets out what may leave, each second."""
        while True:
            try:
                await self.look()
            except (Unavailable, SQLAlchemyError, OSError) as error:
                log.error("documents are not let out to those who catch up, the database does not answer: %s", error)
            await asyncio.sleep(EVERY_S)

    async def look(self) -> int:
        """Lets out what may leave by now; how many."""
        own, since_ms, after, count = _DOCUMENTS.c, self._newest_ms - LATE_MS, (-1, ""), 0
        decision = await self._desk.gate.decision()
        while True:
            query = sql.select(own.identifier, own.sent_ms).where(own.sent_ms >= since_ms, sql.func.length(own.cap) > 0)
            query = query.where(~sql.exists().where(_RELEASED.c.identifier == own.identifier).correlate(_DOCUMENTS))
            query = query.where(sql.tuple_(own.sent_ms, own.identifier) > sql.tuple_(*after))
            rows = await self._tables.run(query.order_by(own.sent_ms, own.identifier).limit(PAGE))
            free = [row.identifier for row in rows if await self._free(row.identifier, decision)]
            if free:
                await self._enter(free)
                count += len(free)
            if rows:
                after = (rows[-1].sent_ms, rows[-1].identifier)
                self._newest_ms = max(self._newest_ms, rows[-1].sent_ms)
            if len(rows) < PAGE:
                return count

    async def _enter(self, identifiers: list[str]) -> None:
        """One process at a time: a place that is seen has no lower one that comes after it, or who catches up would pass that by."""
        async with self._tables.together() as connection:
            if self._tables.dialect == "postgresql":
                await connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_LOCK)))
            statement = self._tables.insert(_RELEASED).on_conflict_do_nothing()
            await connection.execute(statement, [{"identifier": one} for one in identifiers])

    async def _free(self, identifier: str, decision: object) -> bool:
        document = await self._desk.store.get(identifier)
        return document is not None and not self._desk.gate.withheld(document.event, decision, self._desk.now_ms)  # type: ignore[arg-type]

    async def place(self, identifier: str) -> int | None:
        """None: it was never let out, or is none."""
        rows = await self._tables.run(sql.select(_RELEASED.c.place).where(_RELEASED.c.identifier == identifier))
        return int(rows[0].place) if rows else None

    async def after(self, place: int, most: int) -> list[tuple[int, str]]:
        """(place, identifier) of what was let out after that one, in order."""
        query = sql.select(_RELEASED).where(_RELEASED.c.place > place).order_by(_RELEASED.c.place).limit(most)
        return [(int(row.place), row.identifier) for row in await self._tables.run(query)]
