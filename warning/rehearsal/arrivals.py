"""How long a reading takes from its POST to the alert on the topic, one probe after the other on a system that runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

import aiohttp
import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from warning import access
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.model import AlertEvent

ALERT_S = 120.0  # later than this: lost


class Heard(Protocol):
    """Where a warning is waited for."""

    async def of(self, zone: str) -> float:
        """When it was there (monotonic s). Raises Unavailable if it does not come."""
        ...


class Arrivals:
    """Hears ``alerts`` from now on; ``at``: zone -> when its first alert could be read (monotonic s)."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self._changed = asyncio.Event()

    async def listen(self, consumer: AIOKafkaConsumer) -> None:
        """Until cancelled."""
        event = msgspec.json.Decoder(AlertEvent)
        async for record in consumer:
            self.at.setdefault(event.decode(record.value).alert.zone, time.monotonic())
            self._changed.set()
            self._changed.clear()

    async def of(self, zone: str) -> float:
        """Raises Unavailable if it does not come within ``ALERT_S``."""
        try:
            async with asyncio.timeout(ALERT_S):
                while zone not in self.at:
                    await self._changed.wait()
        except TimeoutError:
            raise Unavailable(f"no alert of {zone} in {ALERT_S:.0f} s", reason="lost") from None
        return self.at[zone]


@asynccontextmanager
async def arrivals(deployment: Deployment) -> AsyncIterator[Arrivals]:
    """Listens while the block runs."""
    heard = Arrivals()
    consumer = AIOKafkaConsumer(**access.arguments(deployment), auto_offset_reset="earliest", fetch_max_wait_ms=500)
    await consumer.start()
    consumer.assign([TopicPartition(deployment.alerts, 0)])
    listening = asyncio.create_task(heard.listen(consumer))
    try:
        yield heard
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await consumer.stop()


async def latencies(url: str, key: str, stations: Sequence[str], value: float, every_s: float, heard: Heard) -> list[float]:
    """Seconds from the begin of the POST of one reading to its alert, for each station; one begins every ``every_s``, come what may.

    Raises Unavailable if the gateway refuses one or an alert does not come.
    """
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as http:

        async def probe(number: int, station: str) -> float:
            await asyncio.sleep(number * every_s)
            at = datetime.now(UTC).isoformat(timespec="seconds")
            item = {"station": station, "parameter": "discharge", "time": at, "value": value, "unit": "m3/s"}
            began = time.monotonic()
            async with http.post(url, json=[item]) as response:
                if response.status != 202:
                    raise Unavailable(f"{station}: the gateway answers {response.status} {(await response.text())[:300]}", reason="refused")
            return await heard.of(station) - began

        return list(await asyncio.gather(*(probe(number, station) for number, station in enumerate(stations))))
