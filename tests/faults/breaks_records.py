"""Faults in the records themselves: what no gateway of ours would write, in the log all the same."""

from __future__ import annotations

import asyncio
import random

import aiohttp
from aiokafka import AIOKafkaProducer

from .fault import Fault
from .feed import Feed
from .load import station
from .world import World

BIG = 10 << 20


class BadJson(Fault):
    name = "bad_json"
    breaks = "records in readings that are no JSON, no reading, of no known series, without a value, with and without a key"
    must = "each is in readings.rejected with its reason; the good ones beside it count"
    lasts_s = (2.0, 4.0)

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = world.deployment.readings
        producer = AIOKafkaProducer(bootstrap_servers=world.deployment.bootstrap, acks="all")
        await producer.start()
        try:
            for _ in range(400):
                value, partition = bad(chance), chance.randrange(world.region.partitions)
                key = None if value is not None and chance.random() < 0.3 else b"b0"  # aiokafka sends no record without both
                await (await producer.send(world.deployment.readings, value, key, partition=partition))
        finally:
            await producer.stop()


def bad(chance: random.Random) -> bytes | None:
    """One record that cannot be taken."""
    name = station(0)
    return chance.choice(
        [
            None,
            b"",
            b"\xff\xfe\x00garbage",
            b"{",
            b"[" * 5000,
            b'"a text"',
            b"12345",
            b"{}",
            b'{"tick_ms": "now"}',
            b'{"tick_ms": -5}',
            b'{"station": "nowhere", "parameter": "stage", "time_ms": 1, "value": 1.0, "received_ms": 1, "provider": "x"}',
            f'{{"station": "{name}", "parameter": "stage", "time_ms": "soon", "value": 1.0, "received_ms": 1, "provider": "x"}}'.encode(),
            f'{{"station": "{name}", "parameter": "stage", "time_ms": 1e400, "value": 1, "received_ms": 1, "provider": ""}}'.encode(),
            f'{{"station": "{name}", "parameter": "stage", "time_ms": 5, "value": NaN, "received_ms": 1, "provider": ""}}'.encode(),
            bytes(chance.randrange(256) for _ in range(chance.randrange(1, 300))),
        ]
    )


class BigRecord(Fault):
    name = "big_record"
    breaks = "a record of 10 MB in readings (the topic was told to take it), and a request of 10 MB to the gateway"
    must = "the gateway says 413; the worker rejects the record, keeps its beginning, and goes on"
    lasts_s = (2.0, 4.0)

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target, topic = world.deployment.readings, world.deployment.readings
        await world.cluster.configure(topic, "max.message.bytes", str(2 * BIG))
        producer = AIOKafkaProducer(bootstrap_servers=world.deployment.bootstrap, acks="all", max_request_size=2 * BIG)
        await producer.start()
        try:
            for partition in range(world.region.partitions):
                await (await producer.send(topic, b'{"station": "' + b"x" * BIG, b"b0", partition=partition))
        finally:
            await producer.stop()
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {world.key}"}) as session:
            for _ in range(3):
                await self._post(session, world, feed)

    async def _post(self, session: aiohttp.ClientSession, world: World, feed: Feed) -> None:
        body = b'[{"station": "' + b"x" * BIG
        try:
            async with session.post(world.gateway_url, data=body, headers={"Content-Type": "application/json"}) as response:
                feed.answers[str(response.status)] += 1
                assert response.status == 413, f"the gateway says {response.status} to 10 MB"
        except aiohttp.ClientError as error:  # it may close the connection while we still send
            feed.answers[type(error).__name__] += 1
            await asyncio.sleep(0.5)

    async def heal(self, world: World) -> None:
        await world.cluster.configure(world.deployment.readings, "max.message.bytes", None)
