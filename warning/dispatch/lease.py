"""Which of the dispatchers works: one holds the lease, the others stand by and take it when its holder has died or hangs.

Two marks, and no clock is compared with another. The system's lock (``database.Lock``) falls free in the moment in which its process
ends, also by kill -9: then the lease is free at once. And the holder counts (``beat``): who stands by and sees the same count for
``HUNG_S`` of its own monotonic time takes the lease although the lock is held, for its holder is frozen or cut off. Each taking raises
the epoch, and every transaction of a dispatcher asks whether the epoch is still its own (``fence``): one that was overtaken writes
nothing any more, so it claims nothing and sends nothing but what it had claimed before. That, the new one calls UNKNOWN and sends
again, marked.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable

from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from warning.dispatch import tables as t
from warning.dispatch.database import READS, Lock
from warning.errors import Unavailable

log = logging.getLogger(__name__)

NAME = "dispatch"
HUNG_S = 15.0  # longer than a transaction may take (``database``: 10 s for a lock)
ASK_S = 0.25


class Lease:
    """Of one ledger. Without ``take`` it fences nothing: a command that writes one row needs no lease."""

    def __init__(self, engine: AsyncEngine, hung_s: float = HUNG_S) -> None:
        self._engine, self.hung_s = engine, hung_s
        self._lock = Lock(engine)
        self._epoch: int | None = None

    async def take(self, stop: asyncio.Event, standing_by: Callable[[], None] = lambda: None) -> bool:
        """Returns when it is ours, or False when ``stop`` is set before. ``standing_by`` is called once if it has to be waited for."""
        seen, since, waits = -1, time.monotonic(), False
        while not stop.is_set():
            try:
                if await self._lock.acquire():
                    await self._raise()
                    return True
                beat = await self._beats()
                if beat != seen or beat < 0:
                    seen, since = beat, time.monotonic()
                elif time.monotonic() - since > self.hung_s:
                    await self._raise()
                    log.error("the dispatcher that held the ledger has not moved for %.0f s: this one has taken over", self.hung_s)
                    return True
            except (DBAPIError, OSError) as error:  # also its row locked still: the server lets go of who is silent (``IDLE_S``)
                log.warning("the ledger does not answer: %s", error)
                seen = -1
            if not waits:
                waits = True
                standing_by()
            await asyncio.sleep(ASK_S)
        return False

    async def beat(self) -> None:
        """Counts on, once a second. Raises Unavailable if another one has it now."""
        if self._epoch is None:
            return
        async with self._engine.begin() as connection:
            mine = (t.leases.c.name == NAME) & (t.leases.c.epoch == self._epoch)
            done = await connection.execute(update(t.leases).where(mine).values(beat=t.leases.c.beat + 1))
        if not done.rowcount:
            raise _lost()
        await self._lock.acquire()  # the session of PostgreSQL may have ended, or the frozen one before us has let go

    async def fence(self, connection: AsyncConnection) -> None:
        """Raises Unavailable if another dispatcher took the lease; else nobody can take it before this transaction ends."""
        if self._epoch is None:
            return
        query = select(t.leases.c.epoch).where(t.leases.c.name == NAME).with_for_update(read=True)
        if (await connection.execute(query)).scalar_one_or_none() != self._epoch:
            raise _lost()

    async def release(self) -> None:
        self._epoch = None
        await self._lock.release()

    async def _beats(self) -> int:
        async with self._engine.execution_options(**{READS: True}).connect() as connection:  # else SQLite's one writer waits for who asks
            found = (await connection.execute(select(t.leases.c.beat).where(t.leases.c.name == NAME))).scalar_one_or_none()
            return -1 if found is None else int(found)

    async def _raise(self) -> None:
        """One more than the epoch before; whoever had that is fenced off from here on."""
        holder = f"{socket.gethostname()} {os.getpid()}"
        async with self._engine.begin() as connection:
            more = {"epoch": t.leases.c.epoch + 1, "beat": t.leases.c.beat + 1, "holder": holder}
            found = await connection.execute(update(t.leases).where(t.leases.c.name == NAME).values(more).returning(t.leases.c.epoch))
            epoch = found.scalar_one_or_none()
            if epoch is None:
                epoch = 1
                await connection.execute(insert(t.leases).values(name=NAME, epoch=1, beat=0, holder=holder))
        self._epoch = int(epoch)


def _lost() -> Unavailable:
    return Unavailable("another dispatcher has taken the ledger over: this one was frozen or cut off", reason="held")
