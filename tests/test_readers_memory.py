"""What is remembered of gauge readers, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from test_keys import Postgres, postgres

from warning.errors import Unavailable
from warning.ingest import reader_memory
from warning.ingest.reader_memory import DAY_MS, KEPT_MS, Memory

__all__ = ["postgres"]  # the fixture

T0 = 1_756_800_000_000


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty write at once and stand in line for one disk: how long that may take is not asked here."""
    monkeypatch.setattr(reader_memory, "_WITHIN_S", 60.0)


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'readers.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    yield str(server.url)


async def test_two_processes_remember_the_same(url: str) -> None:
    first, second = Memory(url), Memory(url)
    try:
        await asyncio.gather(*(memory.put("heard", f"+999{n}", T0, {"n": n}) for n in range(20) for memory in (first, second)))
        assert await second.get("heard", "+9997", durable=True) == (T0, {"n": 7})
        await first.put("heard", "+9997", T0 + 1, {"n": 70}, durable=True)
        assert await second.get("heard", "+9997", durable=True) == (T0 + 1, {"n": 70})
        assert len(await second.all("heard")) == 20
        assert {name for name, _ in await second.older("heard", T0 + 1)} == {f"+999{n}" for n in range(20) if n != 7}
        await first.forget("heard", "+9997")
        assert await second.get("heard", "+9997", durable=True) is None
        assert await second.get("stranger", "+9998") is None, "another kind"
    finally:
        await first.close()
        await second.close()


async def test_what_is_old_goes(url: str) -> None:
    memory = Memory(url)
    try:
        for kind in KEPT_MS:
            await memory.put(kind, f"old-{url[:6]}", T0, {})
        await memory.put("parts", "acknowledged", T0, {})
        await memory.put("heard", "new", T0 + 31 * DAY_MS, {})
        for kind in KEPT_MS:
            assert not [name for name, _, _ in await memory.all(kind) if name.startswith("old")], kind
        assert await memory.get("parts", "acknowledged", durable=True) == (T0, {}), "only who has them in the log forgets these"
    finally:
        await memory.close()


async def test_a_long_name_is_no_trouble_and_a_durable_write_is(url: str, tmp_path: Path) -> None:
    memory = Memory(url)
    try:
        await memory.put("heard", "x" * 5000, T0 + 32 * DAY_MS, {"a": "سکھر"}, durable=True)
        assert await memory.get("heard", "x" * 5000, durable=True) == (T0 + 32 * DAY_MS, {"a": "سکھر"})
    finally:
        await memory.close()
    away = Memory(f"sqlite+aiosqlite:///{tmp_path / 'no' / 'folder.db'}")
    try:
        await away.put("heard", "x", T0, {"a": 1})
        assert await away.get("heard", "x") == (T0, {"a": 1}), "in memory"
        for work in (away.put("parts", "x", T0, {}, durable=True), away.get("parts", "x", durable=True), away.forget("parts", "x")):
            with pytest.raises(Unavailable):
                await work
    finally:
        await away.close()
