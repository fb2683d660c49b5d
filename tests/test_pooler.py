"""PgBouncer between us and PostgreSQL: by sessions all holds without a word in its configuration; by transactions the ledger refuses it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import channel_postgres
import pytest
import services
from sqlalchemy import make_url, text

from warning.dispatch.ledger import Ledger
from warning.errors import ConfigError, Unavailable
from warning.stream.broker import free_port

LIMITS = {
    "lock_timeout": "8s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
    "plan_cache_mode": "force_custom_plan",
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with channel_postgres.postgres() as url:
        yield url


@contextmanager
def pgbouncer(server: str, folder: Path, mode: str) -> Iterator[str]:
    """The same database through a PgBouncer of Debian's defaults."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        services.absent("PgBouncer", "make services (Debian: pgbouncer)")
        raise AssertionError  # absent() does not return
    behind, port, user = make_url(server), free_port(), channel_postgres._user()
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / "pgbouncer.ini"
    told.write_text(
        f"[databases]\n{behind.database} = host=127.0.0.1 port={behind.port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n"
    )
    with told.open() as lines:  # user postgres may not look into a folder of root's tests
        process = subprocess.Popen(
            [program, f"/proc/self/fd/{lines.fileno()}"],
            pass_fds=[lines.fileno()],
            stderr=subprocess.DEVNULL,
            **({"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}),
        )
    try:
        _listens(port, process)
        yield behind.set(port=port).render_as_string(hide_password=False)
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while True:
        assert process.poll() is None and time.monotonic() < until, "PgBouncer does not start"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return


async def test_by_sessions_locks_and_limits_hold_without_a_word_in_its_configuration(server: str, tmp_path: Path) -> None:
    with pgbouncer(server, tmp_path, "session") as url:
        first, second = await Ledger.open(url, "oak"), await Ledger.open(url, "oak")
        try:
            assert await first.lease.take(asyncio.Event())
            assert not await second.lease._lock.acquire()
            for one in (first, second):
                async with one.reading() as connection:
                    assert {name: (await connection.execute(text(f"SHOW {name}"))).scalar_one() for name in LIMITS} == LIMITS
        finally:
            await first.close()
        assert await second.lease.take(asyncio.Event())
        await second.close()


async def test_by_transactions_nobody_could_hold_the_lease_and_it_is_refused_in_words(server: str, tmp_path: Path) -> None:
    with pgbouncer(server, tmp_path, "transaction") as url:
        for _ in "ab":
            with pytest.raises(ConfigError, match=r"database: a pooler gives each transaction another session.*pool_mode = session"):
                await Ledger.open(url, "oak")
    with pytest.raises(Unavailable, match=r"does not answer"):
        await Ledger.open(url, "oak")
    direct = await Ledger.open(server, "oak")
    assert await direct.counts() == {}, "and straight to PostgreSQL nothing is said"
    await direct.close()
