"""Pushes readings through the gateway as providers do, and writes down what it acknowledged: that must never be lost."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from .load import PARTITIONS, Item, Water

BATCH = 500  # readings in one request
ANSWER_WITHIN_S = 15.0
AGAIN_S = 0.3


Post = Callable[[aiohttp.ClientSession, list[Item]], Awaitable[list[Item]]]  # -> what has to be sent again


@dataclass(frozen=True, slots=True)
class Lane:
    """One sender: ``share`` of all readings, round by round, and how it sends them. ``most``: readings at once."""

    share: float
    rounds: Iterator[list[Item]]
    post: Post
    most: int = BATCH


class Feed:
    """One sender a basin, each in the order of time: what was not acknowledged is sent again, as it was, before anything newer."""

    def __init__(self, url: str, key: str, water: Water, readings_per_s: float, record: Path, chance: random.Random) -> None:
        self.url, self._key, self._water, self._rate, self._chance = url, key, water, readings_per_s, chance
        self.acknowledged: dict[str, set[int]] = {}  # station -> times, s
        self.count = 0
        self.answers: Counter[str] = Counter()
        self.total = water.size.readings
        self.repeat = 0.0  # part of the acknowledged requests that are sent again, as by a producer whose answer was lost
        self.longest_silence_s = 0.0  # without an acknowledgement
        self.may_end = asyncio.Event()  # the last twentieth waits for it
        self.may_end.set()
        self._record = record.open("a", encoding="utf-8")
        self._began = self._answered = time.monotonic()

    @property
    def progress(self) -> float:
        return self.count / self.total

    async def run(self) -> None:
        """Until every reading is acknowledged."""
        self._began = self._answered = time.monotonic()
        try:
            timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
            headers = {"Authorization": f"Bearer {self._key}"}
            async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
                await asyncio.gather(*(self._sender(session, lane) for lane in self.lanes()))
        finally:
            self._record.close()

    def lanes(self) -> list[Lane]:
        """Who sends what."""
        return [Lane(1 / PARTITIONS, self._water.rounds(basin), self._post) for basin in range(PARTITIONS)]

    async def _sender(self, session: aiohttp.ClientSession, lane: Lane) -> None:
        sent = 0
        for batch in _batches(lane.rounds, lane.most):
            wait = sent / lane.share / self._rate - (time.monotonic() - self._began)
            if wait > 0:
                await asyncio.sleep(wait)
            if sent / lane.share > 0.95 * self.total:
                await self.may_end.wait()
            rest = batch
            while rest:
                rest = await lane.post(session, rest)
                if rest:
                    await asyncio.sleep(AGAIN_S)
            sent += len(batch)
            if self._chance.random() < self.repeat:
                await lane.post(session, batch)

    async def _post(self, session: aiohttp.ClientSession, batch: list[Item]) -> list[Item]:
        """What has to be sent again."""
        return await self._posted(session, batch, json=[as_sent(item) for item in batch])

    async def _posted(self, session: aiohttp.ClientSession, batch: list[Item], url: str = "", **request: Any) -> list[Item]:
        try:
            async with session.post(url or self.url, **request) as response:
                self.answers[str(response.status)] += 1
                if response.status != 202:
                    return batch
                answer = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self.answers[type(error).__name__] += 1
            return batch
        refused = {one["index"] for one in answer["refused"]}
        self._acknowledge([item for index, item in enumerate(batch) if index not in refused])
        return [item for index, item in enumerate(batch) if index in refused]

    def _acknowledge(self, items: list[Item]) -> None:
        now = time.monotonic()
        self.longest_silence_s, self._answered = max(self.longest_silence_s, now - self._answered), now
        for item in items:
            times = self.acknowledged.setdefault(item["station"], set())
            self.count += item["time"] not in times
            times.add(item["time"])
        self._record.writelines(f"{item['station']} {item['time']}\n" for item in items)
        self._record.flush()


def _batches(rounds: Iterator[list[Item]], most: int) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for one in rounds:
        batch += one
        if len(batch) + len(one) > most:
            yield batch
            batch = []
    if batch:
        yield batch


def as_sent(item: Item) -> Item:
    return {**item, "time": datetime.fromtimestamp(item["time"], UTC).isoformat()}
