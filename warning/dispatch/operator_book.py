"""Operators' notices in the ledger: those that are under way, so that a crash cuts none off, and their SMS (``texted``)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.dispatch import tables as t
from warning.dispatch import texted
from warning.dispatch.channel import Outcome
from warning.dispatch.ledger import Ledger
from warning.dispatch.texted import Claimed, Notice
from warning.dispatch.trail import Trail
from warning.proof import chain

log = logging.getLogger(__name__)

AGAIN_S = 0.5
STALE_MS = 15 * 60_000  # what holds still is told of again anyhow ...
ENDED, STALE_ENDED_MS = ".ended", 86_400_000  # ... but not that it is over


@dataclass(frozen=True, slots=True)
class Post:
    """A notice to one operator. ``kind``: what it is about."""

    identifier: str
    contact: str
    body: str
    kind: str = ""


@dataclass
class Book:
    """``now_ms``: the wall clock. Methods raise DBAPIError, OSError, or Unavailable where another dispatcher has the ledger."""

    ledger: Ledger
    now_ms: Callable[[], int]

    async def start(self) -> list[Post]:
        """What a crash left: of SMS it is unknown now what became of them. Returns the notices that are to go on."""
        now_ms, posts = self.now_ms(), t.operator_posts.c
        old = posts.at_ms < now_ms - STALE_MS
        gone = old & ~posts.kind.endswith(ENDED) | (posts.at_ms < now_ms - STALE_ENDED_MS)
        async with self._moving() as (connection, trail):
            dropped = (await connection.execute(sql.delete(t.operator_posts).where(gone).returning(posts.identifier))).scalars().all()
            await texted.recover(connection, trail, now_ms)
            rows = (await connection.execute(sql.select(t.operator_posts).order_by(posts.at_ms, posts.identifier))).all()
        for identifier in dropped:
            log.error("the last dispatcher ended before operators took %s, and it is old by now", identifier)
        return [Post(row.identifier, row.contact, row.body, row.kind) for row in rows]

    async def enter(self, *posts: Post) -> None:
        """These are under way from now on, until they are ``settled``."""
        async with self.ledger.writing() as connection:
            await entered(connection, posts, self.now_ms())

    async def settled(self, identifier: str) -> None:
        """No attempt follows, by any way."""
        async with self._moving() as (connection, trail):
            await connection.execute(sql.delete(t.operator_posts).where(t.operator_posts.c.identifier == identifier))
            await texted.give_up(connection, trail, identifier, self.now_ms())

    async def claim(self, notice: Notice) -> Claimed:
        async with self._moving() as (connection, trail):
            return await texted.claim(connection, trail, notice, self.now_ms())

    async def close(self, notice: Notice, outcome: Outcome) -> None:
        """Waits for a ledger that is away."""
        while True:
            try:
                async with self._moving() as (connection, trail):
                    await texted.close(connection, trail, notice, outcome, self.now_ms())
            except IntegrityError:
                raise
            except (DBAPIError, OSError) as error:
                log.warning("what became of the SMS to operator %s waits, the ledger does not answer: %s", notice.contact, error)
                await asyncio.sleep(AGAIN_S)
            else:
                return

    async def lately(self, since_ms: int) -> list[tuple[str, str, int]]:
        """(operator, kind, when) of SMS that went or may have."""
        async with self.ledger.reading() as connection:
            return await texted.lately(connection, since_ms)

    @asynccontextmanager
    async def _moving(self) -> AsyncIterator[tuple[AsyncConnection, Trail]]:
        async with self.ledger.writing() as connection:
            trail = Trail("", await chain.salt(connection))
            yield connection, trail
            await trail.write(connection)


async def entered(connection: AsyncConnection, posts: Sequence[Post], now_ms: int) -> None:
    """In the caller's transaction; one that is there stays as it was."""
    c = t.operator_posts.c
    there = set((await connection.execute(sql.select(c.identifier).where(c.identifier.in_([post.identifier for post in posts])))).scalars())
    rows = {
        post.identifier: {"identifier": post.identifier, "contact": post.contact, "kind": post.kind, "body": post.body, "at_ms": now_ms}
        for post in posts
        if post.identifier not in there
    }
    if rows:
        await connection.execute(sql.insert(t.operator_posts), list(rows.values()))
