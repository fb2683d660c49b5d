"""Whoever is told to end does, at whatever moment that comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from warning import tasks
from warning.dispatch import posted
from warning.dispatch.lane import Lane


async def test_one_who_takes_a_cancellation_for_anothers_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As aiokafka's clients while they close: a dispatcher, or the API, that was told to stop waited for it for ever."""
    monkeypatch.setattr(tasks, "AGAIN_S", 0.01)
    heard = 0

    async def deaf() -> None:
        nonlocal heard
        while heard < 3:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                heard += 1
        raise OSError("what it says at its end is nobody's")

    async def fails() -> None:
        raise ValueError

    every = [asyncio.create_task(deaf()), asyncio.create_task(fails()), asyncio.create_task(asyncio.sleep(3600))]
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await tasks.ended(every)
        await tasks.ended(every)
        await tasks.ended(())
    assert heard == 3 and all(task.done() for task in every)


@pytest.mark.parametrize("ticks", range(6))
async def test_a_lane_that_is_woken_as_it_is_to_end_ends(ticks: int) -> None:
    gate = asyncio.Event()
    gate.set()

    async def nothing(items: Sequence[Any]) -> Sequence[None]:
        return [None for _ in items]

    async def ready() -> None:
        return

    lane = Lane("sms", lambda: 1, nothing, ready, gate, lambda: 0)
    task = asyncio.create_task(lane.run())
    for _ in range(5):
        await asyncio.sleep(0)
    lane._wake.set()
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


@pytest.mark.parametrize("ticks", range(6))
async def test_a_look_at_a_gateway_that_answers_as_it_is_to_end_ends(monkeypatch: pytest.MonkeyPatch, ticks: int) -> None:
    """``Routed`` looks every few seconds; its stop waited for ever, in one of some thousand tests on a slow machine."""
    answers = asyncio.Event()

    class Writer:
        def close(self) -> None: ...

    async def connected(host: str, port: int) -> tuple[None, Writer]:
        await answers.wait()
        return None, Writer()

    monkeypatch.setattr(asyncio, "open_connection", connected)

    async def watch() -> None:
        while True:
            await posted.listens("127.0.0.1", 9)
            answers.clear()

    task = asyncio.create_task(watch())
    for _ in range(5):
        await asyncio.sleep(0)
    answers.set()
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()
