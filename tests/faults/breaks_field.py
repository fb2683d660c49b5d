"""Readings over all ways in, while what stands between a sensor and Kafka is killed."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import mosquitto
import services
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from warning import config_devices
from warning.stream.kafka import KafkaLog

from .breaks_processes import brokers_well
from .fault import Fault
from .feed import Feed
from .field import DEVICE, FieldFeed
from .keeper import Program
from .load import Water
from .world import World

GAP_S = 3.0
INBOX_S = 180.0
BROKER = "mosquitto"


class Field(Fault):
    """``kills`` kill -9 at random moments; two Kafka brokers are never down at once by our hand."""

    name = "field"
    breaks = "kill -9 of the gateway, of Mosquitto and of brokers, while readings come by HTTP (JSON, CSV), readings.inbox and MQTT"
    must = "whatever a sender was told is taken is in readings, and counts once"
    lasts_s = (0.0, 0.0)
    kills = 10
    gap_s = GAP_S

    def absent(self) -> str:
        there = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        return "" if there else "Mosquitto is not installed: make services"

    async def prepare(self, world: World) -> None:
        """Mosquitto beside it, and a gateway that knows of it."""
        self._mosquitto = mosquitto.Mosquitto(world.folder / "mosquitto", (DEVICE,))
        conf = str(self._mosquitto.folder / "mosquitto.conf")
        log = self._mosquitto.folder / "output"
        world.keeper.add(Program(BROKER, (self._mosquitto.program, "-c", conf), log, ready=self._listens))
        await world.keeper.ready(BROKER)
        (Path(world.region.folder) / config_devices.FILE).write_text(f"device,station\n{DEVICE},*\n", encoding="utf-8")
        world.deployment = replace(world.deployment, **self._mosquitto.settings())  # type: ignore[arg-type]
        await world.keeper.stop("gateway")
        world.add_gateway()
        await world.keeper.ready("gateway")

    async def _listens(self) -> bool:
        return services.listening(self._mosquitto.port)

    def feed(self, world: World, water: Water, readings_per_s: float, record: Path, chance: random.Random) -> Feed:
        return FieldFeed(world, water, readings_per_s, record, chance, self._mosquitto)

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        feed.may_end.clear()
        try:
            while sum(world.killed.values()) < self.kills:
                await asyncio.sleep(chance.uniform(0.4, 1.6) * self.gap_s)
                name = chance.choice(["gateway", "gateway", BROKER, chance.choice(world.cluster.names)])
                if name in world.cluster.names and not await brokers_well(world):
                    name = "gateway"
                world.kill(name)
        finally:
            feed.may_end.set()
        self.target = ",".join(f"{name}:{count}" for name, count in sorted(world.killed.items()))

    async def arrived(self, world: World) -> None:
        """The gateway has read ``readings.inbox`` to its end. Raises TimeoutError."""
        await world.well()
        async with KafkaLog(world.deployment) as log:
            ends = {partition: (await log.bounds(world.deployment.inbox, partition))[1] for partition in range(world.region.partitions)}
        until = time.monotonic() + INBOX_S
        while any([await _read_to(world, partition) < end for partition, end in ends.items()]):
            if time.monotonic() > until:
                raise TimeoutError(f"readings.inbox is not read to its end after {INBOX_S:.0f} s: {world.keeper.tail('gateway')}")
            await asyncio.sleep(0.5)


async def _read_to(world: World, partition: int) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=world.cluster.bootstrap)
    await admin.start()
    try:
        tp = TopicPartition(world.deployment.inbox, partition)
        found = (await admin.list_consumer_group_offsets(world.deployment.inbox_group, partitions=[tp])).get(tp)
        return found.offset if found else 0
    finally:
        await admin.close()
