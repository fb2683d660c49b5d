"""A disk that is broken, hangs or has forgotten: the limits and the sirens go on, and what stood is not lost by it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from edge_house import MINUTE_MS, START_MS, inside, reading, until

from warning.errors import Unavailable
from warning.ingest.edge.clock import least_ms
from warning.ingest.edge.node import LEVELS, SURE, Local
from warning.model import Level

LOGGER = Local("logger")
SIREN = {"name": "s", "at": "HIGH", "command": ["/bin/true", "{state}"]}


async def test_the_siren_does_not_wait_for_a_broken_disk(tmp_path: Path) -> None:
    async with inside(tmp_path, sirens=[SIREN]) as node:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "outbox.db").mkdir()  # cannot be opened
        with pytest.raises(Unavailable):
            await node.node.take([reading(START_MS, 5.5)], LOGGER)
        await node.sounders[0].once()
        assert node.told == [("s", "on", Level.VERY_HIGH)]
        (tmp_path / "state" / "outbox.db").rmdir()
        node.store._again_s = 0.0
        assert (await node.node.take([reading(START_MS, 5.5)], LOGGER)).accepted == 1
        assert node.node.levels["A stage"] is Level.VERY_HIGH
    async with inside(tmp_path, sirens=[SIREN]) as node:
        await node.node.restore()
        assert node.node.levels["A stage"] is Level.VERY_HIGH, "it was kept with the first reading that could be"


async def test_what_stood_is_not_written_over_before_it_was_read(tmp_path: Path) -> None:
    """The disk comes back after the first readings of a new start; they are of a lower class than the one that stood."""
    async with inside(tmp_path) as node:
        await node.node.take([reading(START_MS, 5.5)], LOGGER)
    async with inside(tmp_path) as node:
        await node.node.take([reading(START_MS + MINUTE_MS, 2.5)], LOGGER)
        await node.node.take([reading(START_MS + 2 * MINUTE_MS, 2.5)], LOGGER)
        assert node.node.levels["A stage"] is Level.VERY_HIGH
    async with inside(tmp_path) as node:
        await node.node.restore()
        assert node.node.levels["A stage"] is Level.VERY_HIGH


@pytest.mark.parametrize("text", ['{"A stage":"VERY_HIHG"}', '{"A st', "\x00", "[]", '{"A stage":7}'])
async def test_what_a_dying_card_remembers_wrongly_keeps_no_node_from_starting(tmp_path: Path, text: str) -> None:
    async with inside(tmp_path) as node:
        await node.store.run(lambda outbox: outbox.put((), (), START_MS, {LEVELS: text, SURE: text}))
        await node.node.restore()
        assert node.node.restored and node.node.levels["A stage"] is Level.NORMAL
        assert least_ms(await node.store.run(lambda outbox: outbox.remembered(SURE))) == 0
    assert (least_ms(None), least_ms(str(START_MS)), least_ms("9" * 19)) == (0, START_MS, 0)


async def test_a_class_is_remembered_though_its_own_message_could_not_be(tmp_path: Path) -> None:
    """Two messages at once, the disk takes the first and not the second: the class that rose with the second is written with the third."""
    async with inside(tmp_path) as node:
        await node.node.restore()
        run, begun, answer = node.store.run, asyncio.Event(), asyncio.Event()

        async def late(work: Any) -> Any:
            done = await run(work)
            begun.set()
            await answer.wait()
            return done

        async def full(work: Any) -> Any:
            raise Unavailable("full", reason="outbox")

        node.store.run = late  # type: ignore[method-assign]
        first = asyncio.create_task(node.node.take([reading(START_MS - MINUTE_MS, 5.0)], LOGGER))
        await begun.wait()
        node.store.run = full  # type: ignore[method-assign]
        with pytest.raises(Unavailable):
            await node.node.take([reading(START_MS, 6.5)], LOGGER)
        answer.set()
        await first
        node.store.run = run  # type: ignore[method-assign]
        await node.node.take([reading(START_MS, 6.5)], LOGGER)
    async with inside(tmp_path) as node:
        await node.node.restore()
        assert node.node.levels["A stage"] is Level.EXCEPTIONAL


async def test_a_disk_that_hangs_keeps_no_reading_from_the_limits(tmp_path: Path) -> None:
    async with inside(tmp_path) as node:
        await node.node.restore()
        node.store._within_s = 0.3
        goes_on = threading.Event()
        hangs = asyncio.create_task(node.store.run(lambda outbox: goes_on.wait(60)))
        await until(lambda: node.store._busy_since_s)
        for at_ms in (START_MS - MINUTE_MS, START_MS):
            with pytest.raises(Unavailable, match="has not answered"):
                await node.node.take([reading(at_ms, 4.2)], LOGGER)
        assert node.node.levels["A stage"] is Level.HIGH
        with pytest.raises(Unavailable):
            await hangs
        node.store._within_s = 60.0
        goes_on.set()
        await until(lambda: node.store._busy_since_s is None)
        assert (await node.node.take([reading(START_MS, 4.2)], LOGGER)).accepted == 1


async def test_an_outbox_whose_card_was_away_is_opened_anew(tmp_path: Path) -> None:
    def fails(outbox: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        raise error

    async with inside(tmp_path) as node:
        await node.node.take([reading(START_MS, 1.0)], LOGGER)
        with pytest.raises(Unavailable):
            await node.store.run(fails)
        with pytest.raises(Unavailable):
            await node.node.take([reading(START_MS + MINUTE_MS, 1.0)], LOGGER)
        (tmp_path / "state" / "outbox.db").rename(tmp_path / "state" / "away.db")  # another card
        node.store._again_s = 0.0
        await node.node.take([reading(START_MS + MINUTE_MS, 1.0)], LOGGER)
        assert (tmp_path / "state" / "outbox.db").exists() and len(await node.waiting()) == 1
