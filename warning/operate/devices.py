"""What the ways in hear of devices: gathered in ``ingest``, written to the registry once a minute, and so known to other processes.

Between two writings only the newest of each device is held. What a kill loses is a minute of battery and signal, never a reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import fields, replace

from warning.errors import Unavailable
from warning.facts import DeviceHeard, Fact
from warning.operate.registry import Device, Registry

EVERY_S = 60.0
MOST = 100_000  # devices between two writings; whoever sends under new names all the time must not fill the memory
_MEASURES = tuple(each.name for each in fields(Device) if each.default is None and each.name not in ("heard_ms", "silent_ms", "expected_s"))

log = logging.getLogger(__name__)


class Devices:
    """A Listener of ``DeviceHeard``."""

    def __init__(self, registry: Registry, every_s: float = EVERY_S) -> None:
        self._registry, self._every_s = registry, every_s
        self._news: dict[tuple[str, str], Device] = {}
        self._away = False

    def __call__(self, fact: Fact) -> None:
        if not isinstance(fact, DeviceHeard):
            return
        key = (fact.device, fact.way)
        known = self._news.get(key)
        if known is not None or len(self._news) < MOST:
            self._news[key] = merged(known or Device(*key), fact)

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Writes what is new every minute, and at the end. A database that is away only delays it."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._run(stop), name="devices")
        try:
            yield
        finally:
            stop.set()  # not cancelled: what is under way would be lost
            await asyncio.gather(task, return_exceptions=True)
            await self.write()
            await self._registry.close()

    async def _run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await stop.wait()
            try:
                await self.write()
            except Exception:  # a bug of ours: readings are taken all the same, and the log says why
                log.exception("what is heard of devices was not written")

    async def write(self) -> None:
        """Writes what is new; what cannot be written is kept for the next time."""
        news, self._news = self._news, {}
        if not news:
            return
        try:
            await self._registry.heard([*news.values()])
            self._away = False
        except Unavailable as error:
            for key, device in news.items():
                self._news[key] = device if key not in self._news else _after(device, self._news[key])
            if not self._away:
                log.warning("what is heard of devices cannot be written, trying again: %s", error)
            self._away = True


def merged(known: Device, fact: DeviceHeard) -> Device:
    """``known`` and what was heard now: what it did not say this time stays; its last will is no word of its own."""
    if fact.silent:
        return replace(known, silent_ms=fact.at_ms)
    said = {name: value for name in _MEASURES if (value := getattr(fact, name)) is not None}
    return replace(known, heard_ms=fact.at_ms, silent_ms=None, station=fact.station or known.station, **said)


def _after(older: Device, newer: Device) -> Device:
    said = {each.name: value for each in fields(Device) if (value := getattr(newer, each.name)) not in (None, "")}
    found = replace(older, **said)
    spoke_since = newer.heard_ms is not None and newer.silent_ms is None
    return replace(found, silent_ms=None) if spoke_since else found
