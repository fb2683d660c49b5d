"""One connection pool and one lock, for SQLite and PostgreSQL alike. Whose turn it is to work: ``lease``."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from warning.database import own_sessions, postgresql, sqlite
from warning.dispatch import carried
from warning.errors import ConfigError, Problem, Unavailable

log = logging.getLogger(__name__)

READS = "only_reads"  # execution option: SQLite needs no transaction, and no reader waits for a writer
CREATE_LOCK = zlib.crc32(b"flood-warning ledger tables")  # key of an advisory lock in PostgreSQL
CREATE_WITHIN_S = 10.0
CARRY_WITHIN_S = 120.0  # a statement that carries an old ledger over
ANSWER_S = 10.0  # a statement of the dispatcher
COMMAND_S = 120.0  # one of a person who waits for a report
HOLD_LOCK = zlib.crc32(b"flood-warning dispatcher")


async def connect(url: str, within_s: float = ANSWER_S) -> AsyncEngine:
    """An engine whose tables are there. Raises ``Unavailable`` with the address (no password) if the database does not answer, ConfigError
    if it is a pooler that shares sessions out."""
    engine = _engine(url, within_s)
    patient = engine if engine.dialect.name == "sqlite" else _engine(url, CARRY_WITHIN_S)
    until = time.monotonic() + CREATE_WITHIN_S
    while True:
        try:
            if patient is not engine:
                await _checked(engine)
            await _create(patient)
            if patient is not engine:
                await patient.dispose()
            return engine
        except (DBAPIError, OSError) as error:
            if "locked" not in str(error) or time.monotonic() > until:  # SQLite does not wait while another process turns WAL on
                await patient.dispose()
                raise Unavailable(f"the database {make_url(url).render_as_string()} does not answer: {error}") from error
        await asyncio.sleep(0.1)


async def _checked(engine: AsyncEngine) -> None:
    """Raises ConfigError for a pooler behind which nobody could hold the lease, and two dispatchers would work."""
    if not await own_sessions(engine):
        await engine.dispose()
        words = "a pooler gives each transaction another session, and the dispatcher's lease is a lock of one"
        raise ConfigError([Problem("database", words, "pool_mode = session in PgBouncer, or the address of PostgreSQL itself")])


def _engine(url: str, within_s: float) -> AsyncEngine:
    if make_url(url).get_backend_name() != "sqlite":
        return postgresql(url, within_s)
    engine = sqlite(url)
    event.listen(engine.sync_engine, "connect", _durable)
    event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[AsyncEngine]:
    """For a command: an engine that is closed again. Raises Unavailable, also for what the database says in between."""
    engine = await connect(url, COMMAND_S)
    try:
        yield engine
    except (DBAPIError, OSError) as error:
        raise Unavailable(f"the ledger does not answer: {error}", reason="database") from error
    finally:
        await engine.dispose()


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[AsyncConnection]:
    """For a command that only asks: one connection. Raises Unavailable."""
    async with opened(url) as engine, engine.execution_options(**{READS: True}).connect() as connection:
        yield connection


async def _create(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # two processes that create at once would fail
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CREATE_LOCK})
        await carried.create(connection)


def _durable(connection: Any, record: Any) -> None:
    """Every commit is on the disk when it returns (FULL); readers do not wait for writers (WAL)."""
    connection.isolation_level = None  # the driver shall not begin transactions by itself, later than we think
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    """A transaction that will write takes the lock at its beginning: one that begins by reading could not wait for it later."""
    if not connection.get_execution_options().get(READS):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


class Lock:
    """For one process alone. The system releases it when the process ends, also by kill -9: a file lock beside an SQLite file, an
    advisory lock of a session in PostgreSQL."""

    def __init__(self, engine: AsyncEngine, key: tuple[int, ...] = (HOLD_LOCK,)) -> None:
        self._engine, self._key = engine, key
        self._file: int | None = None
        self._session: AsyncConnection | None = None
        self.asked_by = 0  # the session of PostgreSQL that it was asked for by last

    async def acquire(self) -> bool:
        """Whether it is ours now; False: another process has it. Raises DBAPIError or OSError if PostgreSQL does not answer."""
        database = self._engine.url.database
        if self._engine.dialect.name == "postgresql":
            return await self._of_session()
        return self._of_file(Path(database + ".dispatch.lock")) if database and database != ":memory:" else True

    def _of_file(self, path: Path) -> bool:
        if self._file is not None:
            return True
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    async def _of_session(self) -> bool:
        """It goes with its session: one that ended is replaced."""
        if self._session is not None:
            try:
                await self._session.execute(text("SELECT 1"))
                await self._session.commit()
            except (DBAPIError, OSError) as error:
                log.warning("the lock of the ledger went with its session: %s", error)
                await self.release()
            else:
                return True
        session = await self._engine.connect()
        got = False
        try:
            key = ", ".join(map(str, self._key))
            row = (await session.execute(text(f"SELECT pg_try_advisory_lock({key}), pg_backend_pid()"))).one()
            got, self.asked_by = bool(row[0]), int(row[1])
            await session.commit()
        finally:
            if got:
                self._session = session
            else:
                await session.close()
        return got

    async def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._session is not None:
            session, self._session = self._session, None
            await session.invalidate()  # back in the pool it would keep the lock
            await session.close()
