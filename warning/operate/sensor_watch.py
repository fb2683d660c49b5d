"""The API's eye on the sensors: what the registry says, looked up now and then, and how all are, told as a fact for the metrics.

While the database is away what was last known stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping

from warning.errors import Unavailable
from warning.facts import DeviceState, Listener, SensorsJudged, SensorState
from warning.operate.listed import listed, with_listed
from warning.operate.registry import Device, Registry, Sensor, Service
from warning.operate.sensors import STATES, blind, judged
from warning.operate.view import View
from warning.region import Region

EVERY_S = 15.0
FRESH_S = 1.0  # what was looked up so recently is not looked up again
NAMED = 500  # sensors up to which each is told by name; of more only those that are not ok
MOST = 1000  # named at most
_PAUSE_S = 0.001  # for each sensor
_SLICE = 200  # sensors between two turns of the event loop

log = logging.getLogger(__name__)


class SensorWatch:
    """``now_ms``: the clock that sensors are judged by; None before the first tick of a replay."""

    def __init__(
        self, region: Region, view: View, registry: Registry, listen: Listener, now_ms: Callable[[], int | None], every_s: float = EVERY_S
    ) -> None:
        self._region, self._view, self._registry, self._listen, self._now_ms = region, view, registry, listen, now_ms
        sensors = sum(len(station.series) for station in region.stations)
        self._every_s = max(every_s, _PAUSE_S * sensors)  # a few parts in a thousand of a core, however many they are
        self._looked_s = float("-inf")  # monotonic
        self._away = False
        self._listed = listed(region)
        self.service: Mapping[Sensor, Service] = {}
        self.devices: tuple[Device, ...] = self._listed

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set; then it closes the registry."""
        while not stop.is_set():
            try:
                await self.tell()
            except Exception:  # a bug of ours: the API goes on without these metrics, and its log says why
                log.exception("the sensors were not judged")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await stop.wait()
        await self._registry.close()

    async def look(self) -> None:
        """Looks up what the registry says, unless that was just done. Never raises: what was known stays."""
        if time.monotonic() - self._looked_s < FRESH_S:
            return
        self._looked_s = time.monotonic()
        try:
            self.service, self.devices = await self._registry.service(), with_listed(await self._registry.devices(), self._listed)
            self._away = False
        except Unavailable as error:
            if not self._away:
                log.warning("%s; what was known of devices and service stays", error)
            self._away = True

    async def history(self, station: str) -> tuple[Service, ...]:
        """Raises Unavailable."""
        return await self._registry.history(station)

    async def tell(self) -> None:
        """Judges all sensors and tells how they are."""
        await self.look()
        now_ms = self._now_ms()
        counts = dict.fromkeys(map(str, STATES), 0)
        bad: list[SensorState] = []
        well: list[SensorState] = []
        for number, each in enumerate(judged(self._region, self._view, self.service, now_ms, usual=False), 1):
            counts[each.state] += 1
            age_s = None if each.good_ms is None or now_ms is None else max(0.0, (now_ms - each.good_ms) / 1000)
            found = SensorState(each.station, each.parameter.value, each.state, age_s, each.overdue)
            (well if each.state == "ok" else bad).append(found)
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        shown = [*bad, *well] if len(bad) + len(well) <= NAMED else sorted(bad, key=_worst)[:MOST]
        devices = tuple(_state(each, now_ms) for each in worst(self.devices)[:MOST])
        self._listen(SensorsJudged(counts, tuple(shown), devices, tuple(blind(self._region, self.service))))


def _worst(state: SensorState) -> tuple[bool, float]:
    """Those that a person knows of come last, and before them those that never spoke: they are many where a region is new."""
    return state.state == "out", -(state.overdue if state.overdue is not None else 0.0)


def worst(devices: tuple[Device, ...]) -> list[Device]:
    """Silent ones first, then those with the least battery, then those unheard for longest."""
    return sorted(devices, key=lambda each: (each.silent_ms is None, _percent(each), each.heard_ms or 0))


def _percent(device: Device) -> float:
    return 100.0 if device.battery_percent is None else device.battery_percent


def _state(device: Device, now_ms: int | None) -> DeviceState:
    age_s = None if device.heard_ms is None or now_ms is None else max(0.0, (now_ms - device.heard_ms) / 1000)
    return DeviceState(
        device=device.device,
        way=device.way,
        station=device.station,
        age_s=age_s,
        battery_v=device.battery_v,
        battery_percent=device.battery_percent,
        rssi_dbm=device.rssi_dbm,
        clock_skew_s=device.clock_skew_s,
        overdue=None if now_ms is None else device.overdue(now_ms),
        silent=device.silent_ms is not None,
    )
