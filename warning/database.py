"""A few tables in the deployment's database, SQLite or PostgreSQL: made when they are first needed, asked in bounded time.

Whatever a database or its driver raises is ``Unavailable``: never an empty answer, never "no such row". A PostgreSQL that takes packets and
answers none is as away as one that refuses: each step has an end here, and the server lets go of whom it does not hear any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
import sqlalchemy as sql
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.exc import InvalidatePoolError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolIsFull
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, PoolProxiedConnection

from warning.errors import Unavailable

BUSY_S = 5
AGAIN_AFTER_S = 5.0
CONNECT_S = 5.0
ALIVE_S = 2.0
ANSWERED = "answered"  # of a pool's connection: it did once
NUMBER = sql.BigInteger().with_variant(sql.Integer, "sqlite")  # of a row: only INTEGER counts up by itself in SQLite
ENDS_WITHIN_S = 1.0
LOOKS = 3
IDLE_S = 10.0  # in a transaction, without a word of ours; longer for a person who reads a long answer page by page


class Waiting(AsyncAdaptedQueuePool):
    """A pool that is full for too long is a database that does not answer: SQLAlchemy has an error of its own for it, of no family that
    those who wait for a database know, and it would end them."""

    _sqla_logger_namespace = "sqlalchemy.pool.impl.Waiting"  # its family in the log: else a line for each engine made or closed

    def connect(self) -> PoolProxiedConnection:
        """Raises ConnectionError, and what the driver raises."""
        try:
            return super().connect()
        except PoolIsFull as error:
            raise ConnectionError(f"no connection to the database came free: {error}") from error


def open_engine(url: str, within_s: float) -> AsyncEngine:
    """An engine that has not connected yet."""
    if not url.startswith("sqlite"):
        return postgresql(url, within_s)
    engine = sqlite(url, connect_args={"timeout": BUSY_S})

    def prepare(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")  # a command writes while a process reads
        cursor.execute("PRAGMA synchronous=FULL")  # what was entered survives the power cut
        cursor.close()

    sql.event.listen(engine.sync_engine, "connect", prepare)
    return engine


def sqlite(url: str, connect_args: dict[str, Any] | None = None, **options: Any) -> AsyncEngine:
    """The same for SQLite; what lies in memory has one connection."""
    pool = {"poolclass": Waiting} if sql.make_url(url).database not in (None, "", ":memory:") else {}
    return create_async_engine(url, connect_args={"async_creator_fn": _opened, **(connect_args or {})}, **options, **pool)


async def _opened(*args: Any, **kwargs: Any) -> aiosqlite.Connection:
    """A file that cannot be opened leaves no thread behind: it would answer a loop that has ended, and a command that says in one line what
    is wrong would end in the words of a thread."""
    connection = aiosqlite.connect(*args, **kwargs)
    connection._thread.daemon = True  # as SQLAlchemy has it
    try:
        return await connection
    except BaseException:
        await asyncio.to_thread(connection._thread.join, ENDS_WITHIN_S)
        raise


def postgresql(url: str, within_s: float) -> AsyncEngine:
    """The same for PostgreSQL alone. Nothing waits without end: a connection ``CONNECT_S``, a statement ``within_s`` at the server and a
    little longer here, a lock less than that. What did not answer is cut off at once, for a rollback would wait for it again. The server is
    told by SET: a pooler refuses such parameters of a start, or is told to ignore them, and then none of them holds."""
    ms = {
        name: str(round(seconds * 1000))
        for name, seconds in (("lock", 0.8 * within_s), ("statement", within_s), ("idle", max(IDLE_S, within_s)))
    }
    settings = {
        "lock_timeout": ms["lock"],
        "statement_timeout": ms["statement"],
        "idle_in_transaction_session_timeout": ms["idle"],  # else the locks of who was cut off stay until TCP gives up
        "tcp_user_timeout": ms["idle"],
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "plan_cache_mode": "force_custom_plan",  # one that was kept from when a table was empty reads all of it when it is not
    }
    bounded = {"timeout": min(CONNECT_S, within_s), "command_timeout": 1.5 * within_s}
    name = "postgresql+asyncpg" + url[url.index(":") :] if url.startswith(("postgresql:", "postgres:")) else url
    engine = create_async_engine(name, poolclass=Waiting, pool_timeout=within_s, connect_args=bounded)
    sql.event.listen(engine.sync_engine, "handle_error", _cut_off, retval=True)
    limits = "; ".join(f"SET {name} = '{value}'" for name, value in settings.items())
    sql.event.listen(engine.sync_engine, "checkout", partial(_alive, limits))
    return engine


async def own_sessions(engine: AsyncEngine) -> bool:
    """Whether a connection to PostgreSQL is one session there: behind a pooler whose ``pool_mode`` is transaction it is not, and locks and
    limits of a session are anybody's. Raises DBAPIError, OSError."""
    async with engine.connect() as one, engine.connect() as other:
        for _ in range(LOOKS):
            first = await _session(one)
            await one.commit()
            if first == await _session(other) or first != await _session(one):
                return False
            await one.commit()
            await other.commit()
    return True


async def _session(connection: AsyncConnection) -> int:
    return int((await connection.execute(sql.text("SELECT pg_backend_pid()"))).scalar_one())


def _cut_off(context: sql.ExceptionContext) -> BaseException | None:
    """A statement without an answer: the connection goes, with all that were opened before it, and it is an error of the database."""
    if not isinstance(context.original_exception, TimeoutError):
        return None
    context.is_disconnect = True
    return OperationalError(context.statement, context.parameters, context.original_exception)


def _alive(limits: str, connection: Any, record: Any, _: object) -> None:
    """SQLAlchemy's own ping has no end of its own; one that fails renews the whole pool. A new connection that does not answer either: the
    database is away. (SQLAlchemy would try a third, and then raise what is an error of the program.)"""
    try:
        connection.run_async(_pinged if record.info.get(ANSWERED) else partial(_limited, limits))
    except Exception as error:
        if not record.info.get(ANSWERED):
            raise ConnectionError(f"a new connection to the database does not answer: {error!r}") from error
        raise InvalidatePoolError(f"a connection of the pool does not answer: {error!r}") from error
    record.info[ANSWERED] = True


async def _pinged(driver: Any) -> None:
    async with asyncio.timeout(ALIVE_S):
        await driver.fetchrow(";")


async def _limited(limits: str, driver: Any) -> None:
    """The first word to a new one."""
    async with asyncio.timeout(ALIVE_S):
        await driver.execute(limits)


class Tables:
    """The tables of one ``metadata``. ``of``: what they hold, for errors. ``run`` raises Unavailable when the database is away.

    ``carry`` brings tables of an older version to this one, in the transaction that makes them; it is called in each process.
    """

    def __init__(
        self,
        url: str,
        metadata: sql.MetaData,
        of: str,
        within_s: float = 10.0,
        *,
        carry: Callable[[sql.Connection], None] | None = None,
    ) -> None:
        self._engine, self._metadata, self._of, self._within_s = open_engine(url, within_s), metadata, of, within_s
        self._carry = carry
        self._file = Path(self._engine.url.database) if url.startswith("sqlite") and self._engine.url.database else None
        self._made = False

    async def close(self) -> None:
        await self._engine.dispose()

    def insert(self, table: sql.Table) -> Any:
        """The dialect's own, which knows ``on_conflict_do_update``."""
        return (insert_sqlite if self._engine.dialect.name == "sqlite" else insert_postgresql)(table)

    async def run(self, statement: Any, rows: Sequence[dict[str, Any]] = ()) -> Any:
        """In a transaction of its own. Rows of a select or of ``returning``, else nothing. To ask makes no file."""
        if statement.is_select and not self._made and self._file is not None and not self._file.exists():
            return ()
        async with self.together() as connection:
            result = await (connection.execute(statement, list(rows)) if rows else connection.execute(statement))
            return result.all() if result.returns_rows else ()

    @asynccontextmanager
    async def together(self, within_s: float | None = None) -> AsyncIterator[AsyncConnection]:
        """What is done inside is one transaction: all of it or nothing. Raises Unavailable."""
        try:
            async with asyncio.timeout(within_s or self._within_s):
                if not self._made:
                    await self._make()
                async with self._engine.begin() as connection:
                    yield connection
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            words = f"the database of {self._of} is away: {type(error).__name__} {getattr(error, 'orig', None) or error}"
            raise Unavailable(words, reason="database", retry_after_s=AGAIN_AFTER_S) from error

    @property
    def dialect(self) -> str:
        """sqlite or postgresql."""
        return str(self._engine.dialect.name)

    async def _make(self) -> None:
        for left in reversed(range(len(self._metadata.tables) + 1)):  # processes that start together: who loses a race finds one table more
            try:
                async with self._engine.begin() as connection:
                    if self._carry is not None and self.dialect == "sqlite":
                        await connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins none for what changes tables
                    await connection.run_sync(self._metadata.create_all)
                    if self._carry is not None:
                        await connection.run_sync(self._carry)
            except SQLAlchemyError:
                if not left:
                    raise
            else:
                self._made = True
                return
