"""Readings over all ways in, while what stands between a sensor and Kafka is killed."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import mosquitto
import msgspec
import services
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from warning.model import Reading
from warning.stream.kafka import KafkaLog

from .breaks_processes import brokers_well
from .fault import Fault
from .feed import Feed
from .field import FieldFeed
from .field_ways import COLLECTOR, EDGE, PULL, Around, edge_waits, set_up
from .keeper import Program
from .load import Water
from .world import World

GAP_S = 3.0
INBOX_S = 180.0
OUTBOX_S = 600.0
BROKER = "mosquitto"


class Field(Fault):
    """``kills`` kill -9 of gateway, Mosquitto and brokers at random moments, and as they come of the edge node and of pull besides.

    Two Kafka brokers are never down at once by our hand.
    """

    name = "field"
    breaks = (
        "kill -9 of the gateway, of Mosquitto and of brokers, of `warning edge` and `warning pull` too, and cuts of the edge node's link"
    )
    must = "whatever a sender was told is taken is in readings, and counts once"
    lasts_s = (0.0, 0.0)
    kills = 10
    gap_s = GAP_S

    def __init__(self) -> None:
        super().__init__()
        self._around: Around | None = None

    def absent(self) -> str:
        there = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        return "" if there else "Mosquitto is not installed: make services"

    async def prepare(self, world: World) -> None:
        """Mosquitto, an edge node, an agency and the readers' SMS centre beside it, and a gateway that knows of them."""
        self._mosquitto = mosquitto.Mosquitto(world.folder / "mosquitto", (COLLECTOR,))
        conf = str(self._mosquitto.folder / "mosquitto.conf")
        log = self._mosquitto.folder / "output"
        world.keeper.add(Program(BROKER, (self._mosquitto.program, "-c", conf), log, ready=self._listens))
        await world.keeper.ready(BROKER)
        self._around = await set_up(world, random.Random(1))
        world.deployment = replace(world.deployment, **self._mosquitto.settings())  # type: ignore[arg-type]
        await world.keeper.stop("gateway")
        world.add_gateway()
        await world.well()

    async def end(self) -> None:
        around, self._around = self._around, None
        if around is not None:
            await around.stop()

    async def _listens(self) -> bool:
        return services.listening(self._mosquitto.port)

    def feed(self, world: World, water: Water, readings_per_s: float, record: Path, chance: random.Random) -> Feed:
        assert self._around is not None
        self._water = water
        return FieldFeed(world, water, readings_per_s, record, chance, self._mosquitto, self._around)

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        assert self._around is not None
        feed.may_end.clear()
        link, cuts = self._around.link, 0
        counted = ("gateway", BROKER, *world.cluster.names)
        try:
            while sum(world.killed.get(name, 0) for name in counted) < self.kills:
                await asyncio.sleep(chance.uniform(0.4, 1.6) * self.gap_s)
                name = chance.choice(["gateway", "gateway", BROKER, chance.choice(world.cluster.names)])
                if name in world.cluster.names and not await brokers_well(world):
                    name = "gateway"
                world.kill(name)
                if chance.random() < 0.4:
                    world.kill(chance.choice([EDGE, EDGE, PULL]))
                if chance.random() < 0.3:
                    link.back() if not link.up else link.away()
                    cuts += not link.up
        finally:
            link.back()
            feed.may_end.set()
        self.target = ",".join(f"{name}:{count}" for name, count in sorted((world.killed | {"link": cuts}).items()))

    async def arrived(self, world: World) -> None:
        """The gateway has read ``readings.inbox`` to its end, the edge node's outbox is empty; both end well. Raises TimeoutError."""
        await world.well()
        await self._emptied(world)
        async with KafkaLog(world.deployment) as log:
            ends = {partition: (await log.bounds(world.deployment.inbox, partition))[1] for partition in range(world.region.partitions)}
        until = time.monotonic() + INBOX_S
        while any([await _read_to(world, partition) < end for partition, end in ends.items()]):
            if time.monotonic() > until:
                raise TimeoutError(f"readings.inbox is not read to its end after {INBOX_S:.0f} s: {world.keeper.tail('gateway')}")
            await asyncio.sleep(0.5)
        await self._as_read(world)

    async def _as_read(self, world: World) -> None:
        """Each way has its own units, zone and encoding: what stands in the log is what the gauge read, then. Raises RuntimeError."""
        wrong: list[Reading] = []

        def take(offset: int, key: bytes | None, value: bytes | None) -> None:
            if key is not None and value is not None:
                one = msgspec.json.decode(value, type=Reading)
                read = self._water.value(one.station, one.time_ms)
                if read is None or one.value is None or abs(one.value - read) > 1e-6:
                    wrong.append(one)

        async with KafkaLog(world.deployment) as log:
            for partition in range(world.region.partitions):
                await log.read(world.deployment.readings, partition, take)
        if wrong:
            raise RuntimeError(f"{len(wrong)} readings are not what was read: {wrong[:3]}")

    async def _emptied(self, world: World) -> None:
        assert self._around is not None
        until = time.monotonic() + OUTBOX_S
        while (waiting := await edge_waits(self._around.edge)) != 0:
            if time.monotonic() > until:
                raise TimeoutError(f"{waiting} readings wait in the edge node after {OUTBOX_S:.0f} s: {world.keeper.tail(EDGE)}")
            await asyncio.sleep(1.0)
        for name in (EDGE, PULL):
            if code := await world.keeper.stop(name):
                raise RuntimeError(f"{name} did not stop well: {code}")


async def _read_to(world: World, partition: int) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=world.cluster.bootstrap)
    await admin.start()
    try:
        tp = TopicPartition(world.deployment.inbox, partition)
        found = (await admin.list_consumer_group_offsets(world.deployment.inbox_group, partitions=[tp])).get(tp)
        return found.offset if found else 0
    finally:
        await admin.close()
