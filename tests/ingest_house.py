"""A whole ingest on a real broker for tests: region, topics, log, keys, HTTP server; and what stands in the topics afterwards."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from regions import edit, write_region

from warning import config
from warning.deployment import Deployment
from warning.facts import Fact
from warning.ingest.gateway import Gateway
from warning.ingest.http import PATH, create_app
from warning.ingest.keys import KeyStore
from warning.ingest.log import KafkaLog
from warning.ingest.serving import serve
from warning.model import Reading, Rejected
from warning.region import Region
from warning.stream.topics import ensure_topics

HOST = "127.0.0.1"


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def two_basins(tmp_path: Path) -> Region:
    """Oak valley, with station D in a basin of its own on partition 1."""
    folder = write_region(tmp_path)
    edit(folder, "region", "basins: {oak: 0}", "basins: {oak: 0, pine: 1}")
    edit(folder, "stations", "barrage,Oak,oak", "barrage,Oak,pine")
    edit(folder, "reaches", "C,D,8,12,published,lower\n", "C,,,,,lower\n")
    return config.load(folder)


@dataclass
class Ingest:
    region: Region
    deployment: Deployment
    log: KafkaLog
    keys: KeyStore
    gateway: Gateway
    url: str
    http: aiohttp.ClientSession
    facts: list[Fact] = field(default_factory=list)
    key: str = ""

    async def post(self, body: object, **headers: str) -> tuple[int, dict[str, object], aiohttp.ClientResponse]:
        """Status, content, response. ``body``: bytes as they are, else as JSON."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        async with self.http.post(self.url, data=data, headers=headers) as response:
            return response.status, msgspec.json.decode(await response.read()), response

    async def readings(self, partition: int = 0) -> list[Reading]:
        return [msgspec.json.decode(value, type=Reading) for _, value in await self.records(self.deployment.readings, partition)]

    async def rejected(self) -> list[Rejected]:
        return [msgspec.json.decode(value, type=Rejected) for _, value in await self.records(self.deployment.rejected, 0)]

    async def records(self, topic: str, partition: int) -> list[tuple[bytes | None, bytes]]:
        return await records(self.deployment.bootstrap, topic, partition)


async def records(bootstrap: str, topic: str, partition: int) -> list[tuple[bytes | None, bytes]]:
    """(key, value) of every record, in order."""
    place = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        end = (await consumer.end_offsets([place]))[place]
        consumer.assign([place])
        consumer.seek(place, 0)
        found: list[tuple[bytes | None, bytes]] = []
        while len(found) < end:
            for batch in (await consumer.getmany(place, timeout_ms=500)).values():
                found += [(record.key, record.value) for record in batch]
        return found
    finally:
        await consumer.stop()


def deployment(bootstrap: str, folder: Path, embedded: bool = True) -> Deployment:
    return Deployment(bootstrap=bootstrap, prefix=f"t{secrets.token_hex(3)}.", directory=folder, embedded=embedded)


@asynccontextmanager
async def ingest(
    bootstrap: str,
    folder: Path,
    region: Region,
    *,
    embedded: bool = True,
    within_s: float = 20.0,
    topics: bool = True,
    silent_s: float = 30.0,
) -> AsyncIterator[Ingest]:
    """``silent_s``: who says nothing for so long is closed, and a body may take so long."""
    place = deployment(bootstrap, folder, embedded)
    if topics:
        await ensure_topics(place, region.partitions)
    facts: list[Fact] = []
    log = KafkaLog(bootstrap, Gateway.topics(region, place), idempotent=not embedded, within_s=within_s, listen=facts.append)
    keys = KeyStore(place.database, wall_ms)
    gateway = Gateway(region, place, log, wall_ms)
    await log.start()
    if topics:
        assert await log.until_up(60), log.why
    server = await serve(create_app(gateway, keys, facts.append, body_within_s=silent_s), HOST, 0, silent_s=silent_s)
    _, key = await keys.create("agency")
    try:
        async with aiohttp.ClientSession() as http:
            yield Ingest(region, place, log, keys, gateway, f"http://{HOST}:{server.port}{PATH}", http, facts, key)
    finally:
        await server.stop()
        await keys.close()
        await log.stop()
