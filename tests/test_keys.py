"""Keys of devices and providers, on SQLite and on PostgreSQL: the same tests."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sql
from services import absent
from sqlalchemy.ext.asyncio import create_async_engine

from warning import cli
from warning.errors import AuthError, InputError, Unavailable
from warning.ingest.keys import KeyStore
from warning.stream.broker import free_port

DAY_MS = 86_400_000


class Clock:
    ms = 1_756_800_000_000

    def __call__(self) -> int:
        return self.ms


class Postgres:
    """A PostgreSQL of its own on 127.0.0.1; as root it runs as user postgres, because it refuses root."""

    def __init__(self, binaries: Path) -> None:
        self.binaries, self.port = binaries, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", str(self.folder / "data"), "-A", "trust", "-U", "warning", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://warning@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        user = "postgres" if os.geteuid() == 0 else None
        command = [str(self.binaries / program), *arguments]
        done = subprocess.run(command, user=user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(which) for which in (shutil.which("initdb"),) if which]
    if not found:
        absent("PostgreSQL", "apt-get install postgresql")
    server = Postgres(found[-1].parent)
    server.start()
    try:
        yield server
    finally:
        if (server.folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(server.folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/keys.db"
    return str(request.getfixturevalue("postgres").url)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def keys(url: str, clock: Clock) -> AsyncIterator[KeyStore]:
    store = KeyStore(url, clock, remember_s=0.2)
    for key in await store.list():  # the PostgreSQL of this module is kept from test to test
        await store.revoke(key.id)
    yield store
    await store.close()


async def dump(url: str) -> str:
    """Everything that stands in the table."""
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.connect() as connection:
        rows = (await connection.execute(sql.text("select * from ingest_keys"))).all()
    await engine.dispose()
    return repr(rows)


async def test_a_key_is_known_by_its_text_only(keys: KeyStore, clock: Clock, url: str) -> None:
    key, text = await keys.create("agency", stations=["B", "A"], note="gauges at the bridge")
    assert (key.provider, key.stations, key.note, key.created_ms, key.revoked_ms) == (
        "agency",
        {"A", "B"},
        "gauges at the bridge",
        clock.ms,
        None,
    )
    prefix, id, secret = text.split("_", 2)
    assert (prefix, id, len(secret)) == ("fw", key.id, 43)  # 43 characters of base64: 256 bits
    assert await keys.verify(text) == key
    [listed] = [entry for entry in await keys.list() if entry.id == key.id]
    assert listed == dataclasses.replace(key, last_used_ms=clock.ms)
    stored = await dump(url)
    assert secret not in stored
    assert repr(hashlib.sha256(secret.encode()).digest()) in stored


async def test_no_two_keys_are_alike(keys: KeyStore) -> None:
    texts = [(await keys.create("agency"))[1] for _ in range(20)]
    assert len({text.split("_")[1] for text in texts}) == len({text.split("_", 2)[2] for text in texts}) == 20


@pytest.mark.parametrize("text", ["", "fw_", "fw_123456789abc_" + "x" * 43, "fw_123456789abc_" + "é" * 43, "x" * 100_000])
async def test_what_is_no_key(keys: KeyStore, text: str) -> None:
    with pytest.raises(AuthError):
        await keys.verify(text)


async def test_the_secret_of_another_key_does_not_fit(keys: KeyStore) -> None:
    (one, _), (_, other) = await keys.create("one"), await keys.create("other")
    with pytest.raises(AuthError, match="no such key"):
        await keys.verify(f"fw_{one.id}_{other.split('_', 2)[2]}")


async def test_a_revocation_by_another_process_takes_effect_soon(keys: KeyStore, url: str, clock: Clock) -> None:
    key, text = await keys.create("agency")
    assert (await keys.verify(text)).id == key.id
    elsewhere = KeyStore(url, clock)
    clock.ms += 5_000
    assert (await elsewhere.revoke(key.id)).revoked_ms == clock.ms
    clock.ms += 5_000
    assert (await elsewhere.revoke(text)).revoked_ms == clock.ms - 5_000  # again is no error, and the first time stays
    await elsewhere.close()
    await asyncio.sleep(0.3)  # it is remembered for 0.2 s here
    with pytest.raises(AuthError, match="is revoked"):
        await keys.verify(text)


async def test_a_revocation_here_takes_effect_at_once(keys: KeyStore) -> None:
    key, text = await keys.create("agency")
    await keys.verify(text)
    await keys.revoke(key.id)
    with pytest.raises(AuthError, match="is revoked"):
        await keys.verify(text)


async def test_last_use_is_written_once_a_minute(keys: KeyStore, clock: Clock) -> None:
    key, text = await keys.create("agency")
    used = []
    for ahead_ms in (0, 30_000, 61_000):
        clock.ms = Clock.ms + ahead_ms
        await keys.verify(text)
        await asyncio.sleep(0.25)
        used += [entry.last_used_ms for entry in await keys.list() if entry.id == key.id]
    assert used == [Clock.ms, Clock.ms, Clock.ms + 61_000]


async def test_who_knows_an_id_alone_does_not_make_a_key_look_used(keys: KeyStore, clock: Clock) -> None:
    key, text = await keys.create("agency")
    with pytest.raises(AuthError):
        await keys.verify(f"fw_{key.id}_" + "x" * 43)
    await asyncio.sleep(0.25)
    assert [entry.last_used_ms for entry in await keys.list() if entry.id == key.id] == [None]
    await keys.verify(text)
    assert [entry.last_used_ms for entry in await keys.list() if entry.id == key.id] == [clock.ms]


async def test_what_cannot_be_made_or_revoked(keys: KeyStore) -> None:
    for provider in ("", "  ", "x" * 101):
        with pytest.raises(InputError):
            await keys.create(provider)
    with pytest.raises(InputError):
        await keys.create("agency", note="x" * 501)
    with pytest.raises(InputError, match="no key"):
        await keys.revoke("123456789abc")


async def test_a_rotated_key_works_beside_its_successor_until_the_overlap_is_over(keys: KeyStore, clock: Clock) -> None:
    old, old_text = await keys.create("agency", stations=["A"], note="bridge", per_minute=90)
    await keys.verify(old_text)
    rotated, new, new_text = await keys.rotate(old.id, 7 * DAY_MS)
    assert (rotated.ends_ms, rotated.successor) == (clock.ms + 7 * DAY_MS, new.id)
    assert (new.provider, new.stations, new.note, new.per_minute, new.ends_ms) == ("agency", {"A"}, "bridge", 90, None)
    assert (await keys.verify(new_text)).id == new.id
    clock.ms += 7 * DAY_MS - 1
    assert (await keys.verify(old_text)).ends_ms == rotated.ends_ms
    clock.ms += 1
    with pytest.raises(AuthError, match=f"has ended: use its successor, {new.id}"):
        await keys.verify(old_text)
    assert (await keys.verify(new_text)).id == new.id
    listed = {key.id: key for key in await keys.list()}
    assert (listed[old.id].successor, listed[new.id].successor) == (new.id, None)


async def test_what_cannot_be_rotated(keys: KeyStore, clock: Clock) -> None:
    key, text = await keys.create("agency")
    with pytest.raises(InputError, match="no key"):
        await keys.rotate("123456789abc", DAY_MS)
    with pytest.raises(InputError, match="below 0"):
        await keys.rotate(key.id, -1)
    with pytest.raises(InputError, match="more than ten years"):  # a time that cannot be written, and the successor's text is lost
        await keys.rotate(key.id, 10_000_000 * DAY_MS)
    _, new, _ = await keys.rotate(text, DAY_MS)
    with pytest.raises(InputError, match=f"was rotated to {new.id}"):
        await keys.rotate(key.id, DAY_MS)
    clock.ms += 2 * DAY_MS
    await keys.revoke(new.id)
    for ended in (key, new):
        with pytest.raises(InputError, match="has ended"):
            await keys.rotate(ended.id, DAY_MS)


def test_an_overlap_that_is_no_number_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["keys", "rotate", "--region", "indus", "123456789abc", "--overlap", "9" * 400 + "d"])
    assert ended.value.code == 2
    assert "--overlap" in capsys.readouterr().err


async def test_of_two_who_rotate_one_key_at_once_one_is_told(keys: KeyStore, url: str, clock: Clock) -> None:
    key, _ = await keys.create("agency")
    elsewhere = KeyStore(url, clock)
    before = {each.id for each in await keys.list()}
    done = await asyncio.gather(keys.rotate(key.id, DAY_MS), elsewhere.rotate(key.id, DAY_MS), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["InputError", "tuple"]
    assert len({each.id for each in await keys.list()} - before) == 1
    await elsewhere.close()


async def test_a_table_of_before_gets_its_columns(keys: KeyStore, url: str, clock: Clock) -> None:
    key, text = await keys.create("agency")
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.begin() as connection:
        for column in ("per_minute", "ends_ms", "successor"):
            await connection.execute(sql.text(f"alter table ingest_keys drop column {column}"))
    await engine.dispose()
    newer = [KeyStore(url, clock) for _ in range(3)]
    for found in await asyncio.gather(*(store.verify(text) for store in newer)):
        assert found.id == key.id
    rotated, _, _ = await newer[0].rotate(key.id, DAY_MS)
    assert rotated.ends_ms == clock.ms + DAY_MS
    for store in newer:
        await store.close()


async def test_two_processes_make_the_table(url: str, clock: Clock) -> None:
    stores = [KeyStore(url, clock) for _ in range(4)]
    await asyncio.gather(*(store.list() for store in stores))
    for store in stores:
        await store.close()


async def test_sqlite_keeps_a_log_ahead(tmp_path: Path, clock: Clock) -> None:
    store = KeyStore(f"sqlite+aiosqlite:///{tmp_path}/keys.db", clock)
    await store.create("agency")
    await store.close()
    with sqlite3.connect(tmp_path / "keys.db") as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    connection.close()


# --- the database is away: never "no such key"


async def test_a_database_that_is_away_is_unavailable(tmp_path: Path, clock: Clock) -> None:
    nowhere = KeyStore(f"sqlite+aiosqlite:///{tmp_path}/no/folder/keys.db", clock)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database" * 1000)
    for store in (nowhere, KeyStore(f"sqlite+aiosqlite:///{broken}", clock), KeyStore(f"postgresql://x@127.0.0.1:{free_port()}/x", clock)):
        with pytest.raises(Unavailable) as caught:
            await store.verify("fw_123456789abc_" + "x" * 43)
        assert (caught.value.reason, caught.value.retry_after_s) == ("database", 5.0)
        await store.close()


async def test_postgres_dies_and_comes_back(postgres: Postgres, clock: Clock) -> None:
    """A key that was good goes on being good for a while; one that nobody knows yet must wait; afterwards all is as before."""
    store = KeyStore(postgres.url, clock, remember_s=0.1)
    short = KeyStore(postgres.url, clock, remember_s=0.1, outage_s=0.3)
    (_, known), (_, unknown) = await store.create("known"), await store.create("unknown")
    await store.verify(known)
    await short.verify(known)
    await asyncio.to_thread(postgres.stop)
    try:
        await asyncio.sleep(0.5)
        assert (await store.verify(known)).provider == "known"
        with pytest.raises(AuthError):
            await store.verify(known[:-1] + ("A" if known[-1] != "A" else "B"))
        for where, text in ((store, unknown), (short, known)):
            with pytest.raises(Unavailable):
                await where.verify(text)
    finally:
        await asyncio.to_thread(postgres.start)
    await asyncio.sleep(0.2)
    assert (await store.verify(unknown)).provider == "unknown"
    assert (await short.verify(known)).provider == "known"
    await store.close()
    await short.close()
