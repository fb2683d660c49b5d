"""Which of the dispatchers works: one holds the lease, the others stand by and take it when its holder has died or hangs.

Two marks, and no clock is compared with another. The system's lock (``database.Lock``) falls free when its process ends, also by kill -9.
A file's says that its process is gone: it is taken at once. PostgreSQL's goes with a session, which also ends for one who lives. So its
holder has a second lock in a second session, the witness, under its epoch's number: kill -9 ends both at once, a broken connection one. Who
stands by and saw the lock held, in a session of its own that is still there (no restart of the server took all of them), takes it at once
where both are free, in a fraction of a second; so does who starts on the holder's machine and finds no such process. Everybody else waits
until the count stands still for ``STILL_S``: a start beside a holder whose session has just broken takes nothing from it. A lease that was
given back is nobody's. And the holder counts (``beat``): who stands by and sees the same count for ``HUNG_S`` of its own monotonic time
takes the lease although the lock is held, for its holder is frozen or cut off.

The count goes by connections of its own, in short time, past whatever the holder's transactions wait for: they lock the row as a foreign
key does, which an update of the count passes; who takes it over locks it whole, and not while they stand. SQLite has one writer, so
there each transaction counts, and who waited for it sees that its holder lives.

Each taking raises the epoch, and every transaction of a dispatcher asks whether the epoch is still its own (``fence``): one that was
overtaken writes nothing any more, so it claims nothing and sends nothing but what it had claimed before. That, the new one calls UNKNOWN
and sends again, marked.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Update, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from warning.database import postgresql
from warning.dispatch import tables as t
from warning.dispatch.database import READS, Lock
from warning.errors import Unavailable

log = logging.getLogger(__name__)

NAME = "dispatch"
HUNG_S = 15.0
STILL_S = 3.0  # beats are a second apart
ASK_S = 0.25
BEAT_WITHIN_S = 3.0
LEFT_S = 2.0  # for the holder's next beat to take the lock again
GONE, HUNG = "no other one does", "the one that did has not moved for too long"
NOBODY = -1  # the count of a lease that its holder gave back
MINE = t.leases.c.name == NAME
WITNESS_LOCK = zlib.crc32(b"flood-warning dispatcher's witness") & 0x7FFFFFFF  # PostgreSQL's keys of two numbers have a sign
MOST_EPOCH = 0x7FFFFFFF
WITNESSES = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid::bigint = :key AND objid::bigint = :epoch AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@dataclass
class _Seen:
    """What who stands by saw of the count. ``since``, ``lock_from`` (left to its holder until then): monotonic."""

    beat: int | None = None
    since: float = 0.0
    lock_from: float = 0.0
    held_in: int = 0  # the session of ours in which another one had the lock

    def still_s(self, beat: int, now: float) -> float:
        if beat != self.beat:
            self.beat, self.since = beat, now
        return now - self.since


class Lease:
    """Of one ledger. Without ``take`` it fences nothing: a command that writes one row needs no lease."""

    def __init__(self, engine: AsyncEngine, hung_s: float = HUNG_S) -> None:
        self._engine, self.hung_s = engine, hung_s
        self.alone = engine.dialect.name == "sqlite"  # one writer at a time, whoever it is
        self._own = engine if self.alone else postgresql(engine.url.render_as_string(hide_password=False), BEAT_WITHIN_S)
        self._lock = Lock(self._own)
        self._witness: Lock | None = None
        self._epoch: int | None = None

    async def take(self, stop: asyncio.Event, standing_by: Callable[[], None] = lambda: None) -> bool:
        """Returns when it is ours, or False when ``stop`` is set before. ``standing_by`` is called once if it has to be waited for."""
        seen, waits = _Seen(), False
        while not stop.is_set():
            try:
                why = await self._may_take(seen)
                if why and await self._raise(seen.beat):
                    await self._bear_witness()
                    log.log(logging.ERROR if why == HUNG else logging.INFO, "this dispatcher works: %s", why)
                    return True
            except (DBAPIError, OSError) as error:
                log.warning("the ledger does not answer: %s", error)
                seen.beat = None
            if not waits:
                waits = True
                standing_by()
            await asyncio.sleep(ASK_S)
        return False

    async def beat(self) -> None:
        """Counts on, once a second. Raises Unavailable if another one has it now."""
        if self._epoch is None:
            return
        try:
            held = await self._count(self._own)
        except (DBAPIError, OSError):
            if self.alone:
                raise
            async with asyncio.timeout(BEAT_WITHIN_S):  # a server that takes no new connections may have one of ours still
                held = await self._count(self._engine)
        if not held:
            raise _lost()
        await self._lock.acquire()  # the session of PostgreSQL may have ended, or the frozen one before us has let go
        if self._witness is not None:
            await self._witness.acquire()

    async def _count(self, engine: AsyncEngine) -> bool:
        async with engine.begin() as connection:
            if not self.alone:  # a disk that is slow to write is no sign of death, and a count that a crash of the server takes back is one
                await connection.execute(text("SET LOCAL synchronous_commit TO off"))
            return bool((await connection.execute(self._counted())).rowcount)

    async def fence(self, connection: AsyncConnection) -> None:
        """Raises Unavailable if another dispatcher took the lease; else nobody can take it before this transaction ends."""
        if self._epoch is None:
            return
        if self.alone:
            held = bool((await connection.execute(self._counted())).rowcount)
        else:
            query = select(t.leases.c.epoch).where(MINE).with_for_update(read=True, key_share=True)
            held = (await connection.execute(query)).scalar_one_or_none() == self._epoch
        if not held:
            raise _lost()

    async def release(self) -> None:
        """Gives it back, if it is ours: whoever stands by need not wait until the count stood still."""
        try:
            if self._epoch is not None and not self.alone:  # a file's lock says so by itself
                async with self._own.begin() as connection:
                    await connection.execute(update(t.leases).where(MINE, t.leases.c.epoch == self._epoch).values(beat=NOBODY))
        except (DBAPIError, OSError) as error:
            log.warning("the lease is not given back, whoever stands by takes it a little later: %s", error)
        self._epoch = None
        await self._lock.release()
        if self._witness is not None:
            await self._witness.release()
        if not self.alone:
            await self._own.dispose()

    async def _may_take(self, seen: _Seen) -> str:
        """Why, or ""."""
        now = time.monotonic()
        asked = now >= seen.lock_from
        free, beat = asked and await self._lock.acquire(), await self._beats()
        if asked and not free:
            seen.held_in = self._lock.asked_by
        moved = seen.beat is not None and beat not in (seen.beat, NOBODY)
        still_s = seen.still_s(beat, now)
        if free and (self.alone or beat == NOBODY or still_s >= min(STILL_S, self.hung_s) or await self._died(seen)):
            return GONE
        if free and moved:  # its holder lives, and lost nothing but a session
            await self._lock.release()
            seen.lock_from = now + LEFT_S
        return HUNG if still_s > self.hung_s else ""

    async def _died(self, seen: _Seen) -> bool:
        """PostgreSQL's lock is free: did its holder end, and not only a session of his?"""
        async with self._own.connect() as connection:
            row = (await connection.execute(select(t.leases.c.epoch, t.leases.c.holder).where(MINE))).one()
            there = (await connection.execute(text(WITNESSES), {"key": WITNESS_LOCK, "epoch": row.epoch & MOST_EPOCH})).first()
        return there is None and (seen.held_in == self._lock.asked_by or _ended(row.holder))

    async def _bear_witness(self) -> None:
        """Without it who stands by takes the lease sooner: it is tried again with each beat."""
        if self.alone or self._epoch is None:
            return
        self._witness = Lock(self._own, (WITNESS_LOCK, self._epoch & MOST_EPOCH))
        try:
            await self._witness.acquire()
        except (DBAPIError, OSError) as error:
            log.warning("the lease has no witness yet: %s", error)

    async def _beats(self) -> int:
        async with self._own.execution_options(**{READS: True}).connect() as connection:  # else SQLite's one writer waits for who asks
            found = (await connection.execute(select(t.leases.c.beat).where(MINE))).scalar_one_or_none()
            return NOBODY if found is None else int(found)

    def _counted(self) -> Update:
        return update(t.leases).where(MINE, t.leases.c.epoch == self._epoch).values(beat=t.leases.c.beat + 1)

    async def _raise(self, seen: int | None) -> bool:
        """One more than the epoch before; whoever had that is fenced off from here on. False: not now, for its holder moved since it was
        ``seen``, or its transaction is not over."""
        holder = f"{socket.gethostname()} {os.getpid()}"
        async with self._engine.begin() as connection:
            row = (await connection.execute(select(t.leases.c.beat).where(MINE).with_for_update(skip_locked=True))).first()
            if row is None:
                if (await connection.execute(select(t.leases.c.beat).where(MINE))).first() is not None:
                    return False
                await connection.execute(insert(t.leases).values(name=NAME, epoch=0, beat=NOBODY, holder=holder))
            elif row.beat != seen:
                return False
            more = {"epoch": t.leases.c.epoch + 1, "beat": t.leases.c.beat + 1, "holder": holder}
            found = await connection.execute(update(t.leases).where(MINE).values(more).returning(t.leases.c.epoch))
            epoch = int(found.scalar_one())
        self._epoch = epoch
        return True


def _ended(holder: str) -> bool:
    """Whether it was a process of this machine, by its name, that is there no more. A number that is somebody else's now: no."""
    host, _, number = holder.rpartition(" ")
    if host != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _lost() -> Unavailable:
    return Unavailable("another dispatcher has taken the ledger over: this one was frozen or cut off", reason="held")
