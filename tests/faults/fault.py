"""What a fault is. Each is one small class in ``breaks_*.py``; ``registry`` collects them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import ClassVar

from warning.errors import ExitCode

from .feed import Feed
from .load import Water
from .world import Setup, World


class Fault:
    """One way in which the world breaks. ``name`` stands in the results; ``breaks`` and ``must`` in the list and the README."""

    name: ClassVar[str]
    breaks: ClassVar[str]
    must: ClassVar[str]
    setup: ClassVar[Setup] = Setup()
    after_s: ClassVar[tuple[float, float]] = (2.0, 6.0)  # from the first reading to ``inject``
    lasts_s: ClassVar[tuple[float, float]] = (4.0, 8.0)  # from ``inject`` to ``heal``
    exits: ClassVar[frozenset[ExitCode]] = frozenset()  # exit codes that this fault must bring about, one of them at least

    def __init__(self) -> None:
        self.target = ""  # which process it hit, for the results

    def absent(self) -> str:
        """Why it cannot run here; "" if it can."""
        return ""

    async def prepare(self, world: World) -> None:
        """What has to be there besides, before the first reading."""

    def feed(self, world: World, water: Water, readings_per_s: float, record: Path, chance: random.Random) -> Feed:
        """Who sends, and how."""
        return Feed(world.gateway_url, world.key, water, readings_per_s, record, chance)

    async def arrived(self, world: World) -> None:
        """Waits until what was acknowledged outside of ``readings`` is in it."""

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        raise NotImplementedError

    async def heal(self, world: World) -> None:
        """Undoes it; also called when the run breaks off. Nothing to do where a keeper restarts what died."""

    async def end(self) -> None:
        """Closes what ``prepare`` opened, at the end of a run however it ends."""


class NoFault(Fault):
    name = "none"
    breaks = "nothing"
    must = "nothing to heal: the run by itself"
    lasts_s = (0.0, 0.0)

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        return
