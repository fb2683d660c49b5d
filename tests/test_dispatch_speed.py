"""What makes dispatch fast keeps its promises: rows by the hundred, places in their order, questions and entries together."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest
from sqlalchemy import select

from warning import wiring
from warning.dispatch import bulk
from warning.dispatch import tables as t
from warning.dispatch.database import connect
from warning.dispatch.journal import Journal
from warning.dispatch.lookup import Lookup
from warning.dispatch.slots import Window
from warning.errors import Unavailable
from warning.facts import Fact, Ready
from warning.model import Level
from warning.region import Contact


def stray(number: int, name: str | None = None) -> dict[str, object]:
    whose = {"channel": "sms" if number % 2 else "card", "message_id": f"m{number}" if name is None else name}
    return {**whose, "state": "delivered", "reason": "", "at_ms": number, "more": "left out"}


async def test_rows_go_in_and_out_as_they_are_and_only_those_that_are_meant(tmp_path: Path) -> None:
    """(``tests/test_ledger.py`` has the same statements on PostgreSQL.)"""
    engine = await connect(f"sqlite+aiosqlite:///{tmp_path / 'l.db'}")
    async with engine.begin() as connection:
        odd = ["'; DROP TABLE strays; --", 'é "quoted" \\ 😀', "", "NULL", "1"]
        await bulk.insert(connection, t.strays, [stray(number) for number in range(40)])
        await bulk.insert(connection, t.strays, [stray(101 + 2 * number, name) for number, name in enumerate(odd)])
        found = await bulk.found(connection, t.strays, "message_id", [*odd, "m2", "m3", "nobody"], channel="sms")
        assert sorted(row["message_id"] for row in found) == sorted([*odd, "m3"]) and all("more" not in row for row in found)
        await bulk.remove(connection, t.strays, "message_id", ["m3", odd[0], "m2"], channel="sms")
        left = set((await connection.execute(select(t.strays.c.message_id))).scalars())
        assert len(left) == 43 and "m2" in left and not left & {"m3", odd[0]}
        for nothing in (bulk.remove(connection, t.strays, "message_id", []), bulk.insert(connection, t.strays, [])):
            await nothing
        assert await bulk.found(connection, t.strays, "message_id", ()) == []
        assert await bulk.numbers(connection, t.outbox, 3) == [1, 2, 3] and await bulk.numbers(connection, t.outbox, 0) == []
    await engine.dispose()


async def test_places_are_given_in_the_order_in_which_they_were_asked_for_and_none_is_lost_with_who_gave_up() -> None:
    window, order, under_way = Window(2), list[int](), [0, 0]

    async def work(number: int) -> None:
        async with window:
            under_way[0] += 1
            under_way[1] = max(under_way)
            order.append(number)
            await asyncio.sleep(0)
            under_way[0] -= 1

    tasks = [asyncio.create_task(work(number)) for number in range(50)]
    await asyncio.sleep(0)
    for number in (7, 8, 30):
        tasks[number].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [number for number in range(50) if number not in (7, 8, 30)] and under_way == [0, 2] and window.free == 2

    async with window, window:  # one who is given a place in the moment in which he gives up hands it on
        late, next_one = asyncio.create_task(work(1)), asyncio.create_task(work(2))
        await asyncio.sleep(0)
        window._leave()  # to the first of them
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)
        await asyncio.wait_for(next_one, 5)
    assert order[-1] == 2


async def test_entries_that_were_put_together_stand_in_one_transaction_and_each_gets_its_own_answers() -> None:
    written: list[list[int]] = []

    async def write(entries: list[int]) -> list[int]:
        written.append(list(entries))
        return [10 * entry for entry in entries]

    journal: Journal[int, int] = Journal(write, lambda up, why: None)
    running = asyncio.create_task(journal.run())
    try:
        large = list(range(2000))
        some, one, none, many = await asyncio.gather(journal.all([1, 2, 3]), journal.put(4), journal.all([]), journal.all(large))
    finally:
        running.cancel()
    assert (some, one, none) == ([10, 20, 30], 40, []) and many == [10 * number for number in large]
    assert any(set(large) <= set(batch) for batch in written), "however large, it is not torn apart"


async def test_who_asks_at_the_same_moment_is_answered_by_one_question_and_hears_when_nobody_answers() -> None:
    asked: list[set[str]] = []

    async def ask(names):
        asked.append(set(names))
        if "away" in names:
            raise Unavailable("the directory is away", reason="database")
        return {name: Contact(name, name, "public", "en", (), Level.LOW, "") for name in names if name != "nobody"}

    lookup = Lookup(ask)
    found = await asyncio.gather(lookup.some({"a", "b"}), lookup.some({"b", "nobody"}), lookup.some({"c"}))
    assert [sorted(each) for each in found] == [["a", "b"], ["b"], ["c"]] and asked == [{"a", "b", "c", "nobody"}]
    with pytest.raises(Unavailable):
        await lookup.some({"away"})
    assert list(await lookup.some({"a"})) == ["a"], "and the next question is answered again"


def test_what_is_there_when_the_dispatcher_works_is_not_looked_through_again_and_again() -> None:
    """A quarter of its CPU went there. Not before: what it was made from is thrown away."""
    before, told = gc.get_threshold(), list[Fact]()
    listen = wiring.settled_when_ready(told.append, "dispatch")
    gc.unfreeze()
    try:
        for fact in (Ready("dispatch", False, "stands by"), Ready("ledger", True)):
            listen(fact)
            assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)
        listen(Ready("dispatch", True))
        assert gc.get_freeze_count() > 10_000 and gc.get_threshold()[0] >= 20_000
        assert told == [Ready("dispatch", False, "stands by"), Ready("ledger", True), Ready("dispatch", True)]
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
