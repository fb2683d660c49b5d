"""Faults of the brokers: killed, away, slow, refusing, out of disk, with damaged data."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from warning.errors import ExitCode

from .fault import Fault
from .feed import Feed
from .verdict import group_offset
from .world import Setup, World, is_root


async def leading(world: World, chance: random.Random) -> tuple[int, int]:
    """(node, partition): who leads one of the partitions of ``readings``."""
    partition = chance.randrange(world.region.partitions)
    for _ in range(100):
        if node := await world.cluster.leader(world.deployment.readings, partition):
            return node, partition
        await asyncio.sleep(0.2)
    raise TimeoutError(f"partition {partition} of readings has no leader")


class LeaderKilled(Fault):
    name = "leader_killed"
    breaks = "kill -9 of the broker that leads a partition of readings; it is back after some seconds"
    must = "the partition moves to another broker; writes that were under way are done again"
    lasts_s = (6.0, 12.0)

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        node, _ = await leading(world, chance)
        self.target = f"broker{node}"
        world.keeper.hold(self.target)

    async def heal(self, world: World) -> None:
        world.keeper.release(self.target)


class BrokersAway(Fault):
    name = "brokers_away"
    breaks = "kill -9 of all three brokers; they are back after a minute"
    must = "the gateway says 503, nobody ends for it, and all go on by themselves"
    lasts_s = (60.0, 60.0)

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = "all brokers"
        for name in world.cluster.names:
            world.keeper.hold(name)

    async def heal(self, world: World) -> None:
        for name in world.cluster.names:
            world.keeper.release(name)


class SlowBroker(Fault):
    """Frozen for four fifths of the time, half a second at a time: as one that swaps, collects garbage or waits for its disk."""

    name = "slow_broker"
    breaks = "a broker runs for a tenth of a second and stands still for 0.4 s, again and again (SIGSTOP, SIGCONT)"
    must = "slow, and nothing worse"
    lasts_s = (10.0, 15.0)
    _task: asyncio.Task[None] | None = None

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        node, _ = await leading(world, chance)
        self.target = f"broker{node}"
        self._task = asyncio.create_task(self._slow(world))

    async def _slow(self, world: World) -> None:
        while True:
            world.keeper.send(self.target, signal.SIGSTOP)
            await asyncio.sleep(0.4)
            world.keeper.send(self.target, signal.SIGCONT)
            await asyncio.sleep(0.1)

    async def heal(self, world: World) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        world.keeper.send(self.target, signal.SIGCONT)


class TopicRefuses(Fault):
    """The brokers refuse what is larger than ``most_bytes`` on one topic, as after a wrong change of its configuration."""

    most_bytes: ClassVar[int]
    lasts_s = (6.0, 10.0)

    def topic(self, world: World) -> str:
        raise NotImplementedError

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = self.topic(world)
        await world.cluster.configure(self.target, "max.message.bytes", str(self.most_bytes))

    async def heal(self, world: World) -> None:
        await world.cluster.configure(self.topic(world), "max.message.bytes", None)


class CheckpointRefused(TopicRefuses):
    name = "checkpoint_refused"
    breaks = "the topic of the checkpoints takes no record over 500 bytes any more"
    must = "workers end with a code that says so, and start again from the last whole generation"
    most_bytes = 500
    exits = frozenset({ExitCode.BROKER, ExitCode.CHECKPOINT_WRITE})

    def topic(self, world: World) -> str:
        return world.deployment.checkpoints


class OutputRefused(TopicRefuses):
    name = "output_refused"
    breaks = "the topics of hazards and alerts take no record over 300 bytes any more"
    must = "no checkpoint passes an output that the brokers do not have"
    most_bytes = 300
    exits = frozenset({ExitCode.BROKER})

    def topic(self, world: World) -> str:
        return world.deployment.alerts

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        await super().inject(world, chance, feed)
        await world.cluster.configure(world.deployment.hazards, "max.message.bytes", str(self.most_bytes))

    async def heal(self, world: World) -> None:
        await super().heal(world)
        await world.cluster.configure(world.deployment.hazards, "max.message.bytes", None)


class CommitRefused(TopicRefuses):
    name = "commit_refused"
    breaks = "the topic of the group's offsets takes no record over 150 bytes any more: every commit is refused"
    must = "no state is believed to be the group's that it has not committed"
    most_bytes = 150

    def topic(self, world: World) -> str:
        return "__consumer_offsets"


class BrokerDiskFull(Fault):
    name = "disk_full_broker"
    breaks = "the disk of one broker is full (a tmpfs of 96 MB)"
    must = "that broker ends, the other two go on; with room it catches up"
    setup = Setup(small_disk="broker3")
    lasts_s = (8.0, 12.0)

    def absent(self) -> str:
        return "" if is_root() else "mounting a small disk needs root"

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = "broker3"
        await asyncio.to_thread(fill, world.cluster.brokers[2].data / "filler")

    async def heal(self, world: World) -> None:
        (world.cluster.brokers[2].data / "filler").unlink(missing_ok=True)


def fill(path: Path) -> None:
    """Until not a byte is left."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


class BadCrc(Fault):
    """While the workers are down, a batch that they have not read yet is damaged on its leader's disk.

    What must happen was decided here: the worker finds the wrong CRC, takes nothing of the batch, and ends with a code; started again it
    fails again, until the partition is led from an undamaged copy. That is an operator's work (take the broker out, delete the partition's
    folder there), which ``heal`` does.
    """

    name = "bad_crc"
    breaks = "one byte of an unread batch is flipped on the disk of the broker that leads its partition"
    must = "the worker takes nothing of it and ends with a code, until another replica leads; nothing is skipped"
    lasts_s = (10.0, 12.0)
    exits = frozenset({ExitCode.BROKER, ExitCode.INVARIANT})
    damaged = ""

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        node, partition = await leading(world, chance)
        topic, self.target = world.deployment.readings, f"broker{node}"
        self.damaged = f"{topic}-{partition}"
        for name in world.workers:
            world.keeper.hold(name)
        begin, _ = await group_offset(world.deployment, partition)
        await asyncio.sleep(2.0)
        world.keeper.hold(self.target, signal.SIGTERM)
        await world.keeper.down(self.target)
        await asyncio.to_thread(damage, world.cluster.brokers[node - 1].data / self.damaged, begin)
        world.keeper.release(self.target)
        await world.keeper.ready(self.target)
        await self._lead(world, topic, partition, node)
        for name in world.workers:
            world.keeper.release(name)

    async def _lead(self, world: World, topic: str, partition: int, node: int) -> None:
        """Makes it the leader again: it was the preferred one, and is in sync again."""
        for _ in range(60):
            if node in await world.cluster.in_sync(topic, partition):
                break
            await asyncio.sleep(0.5)
        where = ("--bootstrap-server", world.cluster.bootstrap, "--election-type", "PREFERRED")
        await world.cluster.command("org.apache.kafka.tools.LeaderElectionCommand", *where, "--topic", topic, "--partition", str(partition))
        assert await world.cluster.leader(topic, partition) == node, f"broker {node} does not lead {topic}-{partition}"

    async def heal(self, world: World) -> None:
        if not self.damaged:
            return
        for name in world.workers:
            world.keeper.release(name)
        world.keeper.hold(self.target, signal.SIGTERM)
        await world.keeper.down(self.target)
        await asyncio.to_thread(shutil.rmtree, world.cluster.brokers[int(self.target[-1]) - 1].data / self.damaged)
        world.keeper.release(self.target)


def damage(folder: Path, begin: int) -> None:
    """Flips one byte in the middle of the first batch with several records at or after ``begin``."""
    for segment in sorted(folder.glob("*.log")):
        content = bytearray(segment.read_bytes())
        for at, offset, length, records in batches(content):
            if offset >= begin and records > 10:
                content[at + length // 2] ^= 0x10
                segment.write_bytes(content)
                return
    raise AssertionError(f"{folder} has no batch at or after {begin}")


def batches(content: bytes | bytearray) -> Iterator[tuple[int, int, int, int]]:
    """(position, first offset, bytes, records) of each record batch of format 2."""
    at = 0
    while at + 61 <= len(content):
        length = 12 + int.from_bytes(content[at + 8 : at + 12], "big")
        if length <= 12:
            return
        yield at, int.from_bytes(content[at : at + 8], "big"), length, int.from_bytes(content[at + 57 : at + 61], "big")
        at += length
