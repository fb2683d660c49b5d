"""What Kannel brought and we could not take: kept while SQL can, bounded, taken once Kannel is silent; none of it holds up the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
import readers_desk
from ingest_house import two_basins
from readers_desk import Log

from warning import config
from warning.deployment import Deployment
from warning.errors import InputError, Unavailable
from warning.facts import Fact
from warning.ingest import kannel_held
from warning.ingest.gateway import Gateway
from warning.ingest.kannel_held import KIND, QUIET_MS, Held
from warning.ingest.kannel_in import KannelIn
from warning.ingest.keys import KeyStore
from warning.ingest.reader_memory import Memory
from warning.model import Rejected
from warning.people.told import KannelHeld, KannelLater

ONE = {"from": "+99910000101", "text": "Ø³Ú©Ú¾Ø± 54.2", "charset": "UTF-8", "time": "1756800000"}
OTHER = ONE | {"text": "Alder 9.5 ft"}


@dataclass
class Desk:
    held: Held
    memory: Memory
    log: Log
    now_ms: int = 1_756_800_000_000
    taken: list[dict[str, str]] = field(default_factory=list)
    fails: Exception | None = None

    came: list[int] = field(default_factory=list)

    async def take(self, query: dict[str, str], came_ms: int) -> None:
        if self.fails is not None and query == ONE:
            raise self.fails
        self.taken.append(query)
        self.came.append(came_ms)

    async def sweep(self) -> int:
        return await self.held.sweep(self.take)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    place, log = Deployment(directory=tmp_path), Log()
    memory = Memory(place.database)
    gateway = Gateway(two_basins(tmp_path), place, log, lambda: made.now_ms)  # type: ignore[arg-type]
    made = Desk(Held(memory, gateway, lambda: made.now_ms), memory, log)
    yield made
    await memory.close()


async def test_it_is_taken_once_when_kannel_is_silent_and_not_before(desk: Desk) -> None:
    assert await desk.held.keep(ONE) and await desk.held.keep(OTHER)
    for swept in (0, 1, 0):  # of one of them Kannel asks again all the time
        desk.now_ms += QUIET_MS - 1
        assert await desk.held.keep(ONE)
        assert await desk.sweep() == swept
    assert desk.taken == [OTHER]
    await desk.held.forget(ONE)
    desk.now_ms += 2 * QUIET_MS
    assert await desk.sweep() == 0 == await desk.memory.count(KIND)


async def test_whoever_listens_hears_what_waits_and_what_became_of_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = list[Fact]()
    desk.held._listen = facts.append
    for _ in range(2):  # Kannel asks every ten seconds
        assert await desk.held.keep(ONE)
    monkeypatch.setattr(kannel_held, "MOST", 1)
    assert not await desk.held.keep(OTHER)
    assert facts == [KannelLater("held"), KannelLater("kannel_alone")]
    await desk.held.tell()
    desk.now_ms += 2 * QUIET_MS
    desk.held.sweep_s = 0.01
    looking = asyncio.create_task(desk.held.run(desk.take))
    async with asyncio.timeout(120):
        while facts[-1] != KannelHeld(0):
            await asyncio.sleep(0.01)
    looking.cancel()
    assert facts[2:5] == [KannelHeld(1), KannelLater("taken_late"), KannelHeld(0)]


async def test_it_is_of_when_it_came_first_however_often_kannel_asks(desk: Desk) -> None:
    came_ms = desk.now_ms
    assert await desk.held.since(ONE) is None
    for _ in range(3):
        assert await desk.held.keep(ONE) and await desk.held.since(ONE) == came_ms
        desk.now_ms += 86_400_000
    assert await desk.sweep() == 1 and (desk.taken, desk.came) == ([ONE], [came_ms])
    assert await desk.held.since(ONE) is None, "taken"


@pytest.mark.parametrize("told", [{"time": str(readers_desk.T0 // 1000)}, {}])
async def test_a_reading_that_was_held_for_two_days_is_none_of_today(tmp_path: Path, told: dict[str, str]) -> None:
    async with readers_desk.desk(config.load(readers_desk.ROOT / "config" / "indus"), tmp_path) as at:

        def way() -> KannelIn:
            held = Held(at.memory, at.gateway, lambda: at.now_ms)
            return KannelIn(at.sms, at.gateway, KeyStore(at.place.database, lambda: at.now_ms), held)

        query = {"from": readers_desk.PHONE, "text": "Sukkur 250000"} | told
        at.log.away = True
        with pytest.raises(Unavailable):
            await way()._heard(query, None)
        assert await way()._held.keep(query)
        await at.again()  # the server was under water
        at.now_ms, at.log.away, now = at.now_ms + 2 * 86_400_000, False, way()
        assert await now._held.sweep(now._heard) == 1
        assert [(one.station, one.time_ms) for one in at.readings] == [("IND-SUKKUR", readers_desk.T0)]


async def test_while_the_log_is_away_they_stay_and_what_fails_holds_up_nothing(desk: Desk) -> None:
    for query in (ONE, OTHER):
        assert await desk.held.keep(query)
    desk.now_ms += 2 * QUIET_MS
    desk.fails = Unavailable("the brokers are away")
    with pytest.raises(Unavailable):
        await desk.sweep()
    assert await desk.memory.count(KIND) >= 1 and ONE not in desk.taken
    desk.fails = ValueError("what nobody foresaw")
    await desk.sweep()
    assert desk.taken == [OTHER] and await desk.memory.count(KIND) == 0
    [kept] = [msgspec.json.decode(value, type=Rejected) for _, value in desk.log.records]
    assert (kept.reason, "from=%2B99910000101" in kept.record) == ("internal", True)
    desk.fails = InputError("text is missing", reason="field_missing", field="text", fix="see get-url")
    assert await desk.held.keep(ONE)
    desk.now_ms += 2 * QUIET_MS
    assert await desk.sweep() == 1, "refused and kept by who took it"


async def test_without_sql_and_beyond_the_most_kannel_alone_has_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kannel_held, "MOST", 1)
    assert await desk.held.keep(ONE)
    assert not await desk.held.keep(OTHER) and await desk.held.keep(ONE)

    async def away(*_: object) -> None:
        raise Unavailable("the database of readers is away")

    await desk.held.forget(ONE)
    monkeypatch.setattr(desk.memory, "_write", away)
    assert not await desk.held.keep(OTHER) and not await desk.held.keep(OTHER), "what SQL does not have is not called kept"
    monkeypatch.undo()
    assert await desk.memory.count(KIND) == 0


async def test_beside_the_server_it_sweeps_by_itself(desk: Desk) -> None:
    assert await desk.held.keep(ONE)
    desk.held.sweep_s, desk.now_ms = 0.01, desk.now_ms + 2 * QUIET_MS
    older, broken = desk.memory.older, [ValueError("a row that nobody can read")]

    async def once(*which: object) -> object:
        if broken:
            raise broken.pop()
        return await older(*which)  # type: ignore[arg-type]

    desk.memory.older = once  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(desk.held.run(desk.take))
    try:
        for _ in range(500):
            if desk.taken:
                break
            await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert desk.taken == [ONE]
