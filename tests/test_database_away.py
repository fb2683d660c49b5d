"""A PostgreSQL that takes packets and answers none: who asks is answered in bounded time, and goes on when it is back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiosqlite
import channel_postgres
import pytest
import sqlalchemy as sql
from channel_postgres import Cluster
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from tcp_proxy import Proxy
from test_lease import StandsBy

from warning import database
from warning.database import Tables, sqlite
from warning.dispatch import database as ledgers
from warning.dispatch import lease, pulse
from warning.dispatch.ledger import Ledger
from warning.errors import Unavailable

SOON = 1.0  # a statement's time here; real ones have ten times as long


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with channel_postgres.cluster() as running:
        yield running


@pytest.fixture
async def proxy(server: Cluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    monkeypatch.setattr(database, "ALIVE_S", 0.5)
    monkeypatch.setattr(database, "CONNECT_S", SOON)
    monkeypatch.setattr(database, "IDLE_S", 2.0)
    monkeypatch.setattr(ledgers.connect, "__defaults__", (SOON,))
    monkeypatch.setattr(lease, "BEAT_WITHIN_S", SOON)
    async with Proxy(server.port) as made:
        yield made


def through(proxy: Proxy, server: Cluster) -> str:
    return server.url.replace(f":{server.port}/", f":{proxy.port}/")


@asynccontextmanager
async def autocommit(url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def within(seconds: float, what) -> float:  # type: ignore[no-untyped-def]
    """Raises TimeoutError if it lasts longer; how long it took."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        await what
    return time.monotonic() - began


async def test_the_writer_is_told_soon_that_the_database_is_silent_and_goes_on_when_it_is_back(server: Cluster, proxy: Proxy) -> None:
    """Silent before a transaction, and in the middle of one; also a connection that the pool kept."""
    ledger = await Ledger.open(through(proxy, server), "oak")
    assert await ledger.lease.take(asyncio.Event())
    await ledger.beat()
    proxy.swallow()
    for asked in (ledger.beat, ledger.beat, lambda: pulse.enter(ledger, {"alerts": 1})):
        with pytest.raises((DBAPIError, OSError)):
            await within(20, asked())
    proxy.heal()
    await within(20, ledger.beat())
    await within(20, pulse.enter(ledger, {"alerts": 2}))
    with pytest.raises((DBAPIError, OSError)):
        async with asyncio.timeout(20), ledger._writing() as connection:
            proxy.swallow()
            await connection.execute(sql.text("SELECT 1"))
    proxy.heal()
    await within(20, ledger.beat())
    await ledger.close()


async def test_one_that_takes_connections_and_answers_no_question_is_away(
    server: Cluster, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a pooler in front of a dead server, or a server that starts: what the loops of the dispatcher do not know would end it."""
    ledger = await Ledger.open(server.url, "oak")
    assert await ledger.positions("alerts", "c") == {}
    with monkeypatch.context() as slow:
        slow.setattr(database, "ALIVE_S", 0.0)
        for _ in range(2):
            with pytest.raises((DBAPIError, OSError)):
                await within(20, ledger.positions("alerts", "c"))
    assert await ledger.positions("alerts", "c") == {}
    await ledger.close()


async def test_a_standby_takes_over_from_one_that_was_cut_off_in_the_middle_of_a_transaction(server: Cluster, proxy: Proxy) -> None:
    """Whoever is cut off holds the row of the lease locked: the server lets go of him."""
    first = await Ledger.open(through(proxy, server), "oak")
    second = await Ledger.open(server.url, "oak")
    assert await first.lease.take(asyncio.Event())
    second.lease.hung_s = 1.0
    heard: list[str] = []
    with pytest.raises((DBAPIError, OSError)):
        async with first._writing() as connection:
            proxy.swallow()
            async with asyncio.timeout(60):
                assert await second.lease.take(asyncio.Event())
            await second.beat()
            heard.append("taken")
            await connection.execute(sql.text("SELECT 1"))
    assert heard == ["taken"]
    proxy.heal()
    with pytest.raises(Unavailable, match="another dispatcher"):
        await first.beat()
    await first.close()
    await second.close()


async def test_a_slow_database_and_a_lost_session_are_no_death_and_a_death_is_found_soon(
    server: Cluster, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that lasts (a trigger waits for a lock of ours), a session with the lock of the lease that ends, a holder that dies."""
    monkeypatch.setattr(ledgers.connect, "__defaults__", (60.0,))
    name = server.url.rpartition("/")[0] + "/slow"
    async with autocommit(server.url) as plain:
        await plain.execute(sql.text("CREATE DATABASE slow"))
    first, second = await Ledger.open(name, "oak"), await Ledger.open(name, "oak")
    stop = asyncio.Event()
    assert await first.lease.take(stop)
    waits = StandsBy(second, monkeypatch, 0.4)
    taking = asyncio.create_task(second.lease.take(stop))

    async def counts_on() -> None:
        for _ in range(4):
            await within(20, first.beat())
            await waits.passes(0.3)
        assert not taking.done()

    async with autocommit(name) as plain:
        await plain.execute(sql.text("SELECT pg_advisory_lock(7)"))
        slow = "BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END"
        await plain.execute(sql.text(f"CREATE FUNCTION slow() RETURNS trigger AS '{slow}' LANGUAGE plpgsql"))
        await plain.execute(sql.text("CREATE TRIGGER slow BEFORE INSERT ON pulses FOR EACH ROW EXECUTE FUNCTION slow()"))
        for at_ms in (1, 2):
            lasts = asyncio.create_task(pulse.enter(first, {"alerts": at_ms}))
            await counts_on()
            assert not lasts.done()
            await plain.execute(sql.text("SELECT pg_advisory_unlock(7)"))
            await within(20, lasts)
            await plain.execute(sql.text("SELECT pg_advisory_lock(7)"))
        await plain.execute(sql.text("SELECT pg_advisory_unlock(7)"))
        held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = 'slow')"
        assert (await plain.execute(sql.text(f"SELECT pg_terminate_backend(pid) FROM ({held} LIMIT 1) AS one"))).scalar_one()
    await counts_on()
    assert await waits.takes(taking)
    with pytest.raises(Unavailable, match="another dispatcher"):
        await pulse.enter(first, {"alerts": 3})
    await first.close()
    await second.close()


async def test_a_pool_that_is_full_is_a_database_that_does_not_answer(server: Cluster, proxy: Proxy, tmp_path: Path) -> None:
    """SQLAlchemy's own error for it is of no family that the dispatcher's loops know, and ended it."""
    ledger = await Ledger.open(server.url, "oak")
    assert await ledger.lease.take(asyncio.Event())
    async with AsyncExitStack() as held:
        for _ in range(15):
            await held.enter_async_context(ledger.reading())
        with pytest.raises(ConnectionError, match="no connection to the database came free"):
            await within(20, ledger.positions("alerts", "c"))
        await within(20, ledger.beat())
    assert await ledger.open_deliveries() == []
    own, ledger.lease._own = ledger.lease._own, database.postgresql("postgresql+asyncpg://postgres@127.0.0.1:9/x", SOON)
    await within(20, ledger.beat())  # the server takes no new connections
    ledger.lease._own = own
    assert await ledger.lease._beats() == 2
    await ledger.close()
    lite = sqlite(f"sqlite+aiosqlite:///{tmp_path / 'one.db'}", pool_size=1, max_overflow=0, pool_timeout=0.1)
    async with lite.connect():
        with pytest.raises(ConnectionError, match="came free"):
            await lite.connect()
    await lite.dispose()


async def test_tables_say_that_the_database_is_away_and_do_not_stay_so(server: Cluster, proxy: Proxy) -> None:
    metadata = sql.MetaData()
    one = sql.Table("away_one", metadata, sql.Column("id", sql.Integer, primary_key=True))
    tables = Tables(through(proxy, server), metadata, "tests", SOON)
    await tables.run(sql.insert(one).values(id=1))
    proxy.swallow()
    for _ in range(2):
        with pytest.raises(Unavailable, match="the database of tests is away"):
            await within(20, tables.run(sql.select(one)))
    proxy.heal()
    assert [row.id for row in await tables.run(sql.select(one))] == [1]
    await tables.close()


async def test_a_lock_that_another_holds_is_waited_for_in_bounded_time(server: Cluster, proxy: Proxy) -> None:
    metadata = sql.MetaData()
    one = sql.Table("away_two", metadata, sql.Column("id", sql.Integer, primary_key=True))
    tables, other = Tables(server.url, metadata, "tests", SOON), Tables(server.url, metadata, "tests", 10)
    await tables.run(sql.insert(one).values(id=1))
    async with other.together() as connection:
        await connection.execute(sql.update(one).values(id=2))
        with pytest.raises(Unavailable, match="lock timeout"):
            await within(20, tables.run(sql.update(one).values(id=3)))
    assert [row.id for row in await tables.run(sql.select(one))] == [2]
    await tables.close()
    await other.close()


async def test_a_pool_speaks_as_the_library_does_and_not_as_one_of_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each engine that was closed said so in two lines: seventy as a deployment stopped."""
    caplog.set_level("INFO", logger="warning")
    engine = database.open_engine(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}", 5.0)
    async with engine.connect():
        pass
    await engine.dispose()
    assert not caplog.records


def test_a_file_that_cannot_be_opened_leaves_no_thread_that_answers_a_loop_that_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that had said in one line what is wrong ended in the words of such a thread."""
    monkeypatch.setattr(aiosqlite.core.LOG, "debug", lambda *_: time.sleep(0.05))  # which is slow
    before, died = set(threading.enumerate()), list[str]()
    monkeypatch.setattr(threading, "excepthook", lambda raised: died.append(str(raised.exc_value)))

    async def asked() -> None:
        engine = database.open_engine(f"sqlite+aiosqlite:///{tmp_path / 'no' / 'folder.db'}", 5.0)
        with pytest.raises(DBAPIError, match="unable to open"):
            async with engine.connect():
                pass
        await engine.dispose()

    asyncio.run(asked())
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert died == []
