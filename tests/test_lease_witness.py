"""On PostgreSQL a lease is taken at once from who was killed, and not from one whose session broke."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator

import channel_postgres
import pytest
import sqlalchemy as sql
from test_ledger import url  # noqa: F401 - a fixture

from warning.dispatch import lease, tables
from warning.dispatch.ledger import Ledger

HOLDER = """
import asyncio, sys
from warning.dispatch.ledger import Ledger

async def main():
    ledger = await Ledger.open(sys.argv[1], "oak")
    assert await ledger.lease.take(asyncio.Event())
    print("holds", flush=True)
    while True:
        await ledger.beat()
        await asyncio.sleep(0.2)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with channel_postgres.postgres() as found:
        yield found


async def test_after_kill_9_it_is_taken_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """By who stands by, and by who starts on its machine: no count has to stand still."""
    monkeypatch.setattr(lease, "STILL_S", 1000.0)
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, url, stdout=asyncio.subprocess.PIPE)
    other, starts, waits = await Ledger.open(url, "oak"), await Ledger.open(url, "oak"), asyncio.Event()
    other.lease.hung_s = starts.lease.hung_s = 1000.0
    try:
        assert holder.stdout is not None and await asyncio.wait_for(holder.stdout.readline(), 60) == b"holds\n"
        taking = asyncio.create_task(other.lease.take(asyncio.Event(), waits.set))
        await asyncio.wait_for(waits.wait(), 30)
        await asyncio.sleep(2 * lease.ASK_S)
        assert not taking.done()
        holder.kill()
        assert await asyncio.wait_for(taking, 30)
        await holder.wait()
        async with other.writing() as connection:  # as if that one had died before anybody stood by
            who = f"{socket.gethostname()} {holder.pid}"
            await connection.execute(sql.update(tables.leases).values(holder=who))
        for lock in (other.lease._lock, other.lease._witness):
            assert lock is not None
            await lock.release()
        assert await asyncio.wait_for(starts.lease.take(asyncio.Event()), 30)
    finally:
        if holder.returncode is None:
            holder.kill()
        await holder.wait()
        await other.close()
        await starts.close()


@pytest.mark.parametrize("stands_by", [False, True])
async def test_a_session_that_breaks_costs_nobody_the_lease(url: str, stands_by: bool) -> None:  # noqa: F811
    """Neither to who stood by, nor to who starts in that moment."""
    holder, other, stop, waits = await Ledger.open(url, "oak"), await Ledger.open(url, "oak"), asyncio.Event(), asyncio.Event()
    try:
        assert await holder.lease.take(asyncio.Event())
        taking = asyncio.create_task(other.lease.take(stop, waits.set)) if stands_by else None
        if taking is not None:
            await asyncio.wait_for(waits.wait(), 30)
        async with holder.writing() as connection:
            assert (await connection.execute(sql.text(BREAKS))).all() == [(True,)]
        taking = taking or asyncio.create_task(other.lease.take(stop, waits.set))
        await asyncio.sleep(4 * lease.ASK_S)
        assert not taking.done()
        for _ in range(30):
            await holder.beat()
            await asyncio.sleep(0.1)
            if holder.lease._lock._session is not None:
                break
        await holder.beat()
        assert not taking.done() and holder.lease._lock._session is not None
        stop.set()
        assert await taking is False
        await holder.beat()
    finally:
        await other.close()
        await holder.close()


BREAKS = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pid <> pg_backend_pid()"
)
