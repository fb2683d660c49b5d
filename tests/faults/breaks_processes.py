"""Faults of our own processes: killed, frozen, joining, leaving."""

from __future__ import annotations

import asyncio
import random
import signal
import time

from .fault import Fault
from .feed import Feed
from .world import SESSION_TIMEOUT_S, World

GAP_S = 2.5  # between two kills, on average


class Kill9(Fault):
    """``kills`` kill -9 at random moments while readings come in, over all processes; two brokers are never down at once by our hand."""

    name = "kill9"
    breaks = "kill -9 of any process at random moments: gateway, workers, dispatcher, SMS centre, webhook receiver, brokers"
    must = "each is restarted and goes on; what was in flight is done again"
    lasts_s = (0.0, 0.0)
    kills = 5
    gap_s = GAP_S

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        feed.may_end.clear()  # every kill falls into the replay
        try:
            while sum(world.killed.values()) < self.kills:
                await asyncio.sleep(chance.uniform(0.4, 1.6) * self.gap_s)
                name = chance.choice(world.keeper.names)
                if name in world.cluster.names and not await brokers_well(world):
                    name = chance.choice([each for each in world.keeper.names if each not in world.cluster.names])
                world.kill(name)
        finally:
            feed.may_end.set()
        self.target = ",".join(f"{name}:{count}" for name, count in sorted(world.killed.items()))


async def brokers_well(world: World) -> bool:
    """All three are up and have caught up: what replication 3 with two in sync is made for is the loss of one."""
    if not all([await world.keeper.is_ready(name) for name in world.cluster.names]):
        return False
    topic = world.deployment.readings
    return all([len(await world.cluster.in_sync(topic, partition)) == 3 for partition in range(world.region.partitions)])


class Zombie(Fault):
    name = "zombie"
    breaks = "SIGSTOP of a worker for longer than the session timeout, then SIGCONT"
    must = "another worker takes over; the one that wakes up is refused and rejoins; its late writes change nothing"
    lasts_s = (2 * SESSION_TIMEOUT_S, 3 * SESSION_TIMEOUT_S)

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = chance.choice(world.workers)
        world.keeper.send(self.target, signal.SIGSTOP)

    async def heal(self, world: World) -> None:
        world.keeper.send(self.target, signal.SIGCONT)


class FrozenDispatcher(Zombie):
    name = "frozen_dispatcher"
    breaks = "SIGSTOP of the dispatcher for half a minute, then SIGCONT"
    must = "messages are late, not lost, and none goes twice without its mark"
    lasts_s = (25.0, 30.0)

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = "dispatch"
        world.keeper.send(self.target, signal.SIGSTOP)


class Join(Fault):
    name = "join"
    breaks = "a third worker joins"
    must = "partitions change hands at a checkpoint"
    target = "worker3"

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = "worker3"
        world.add_worker(self.target)
        await world.keeper.ready(self.target)


class Leave(Fault):
    name = "leave"
    breaks = "a worker is told to stop (SIGTERM), and comes back later"
    must = "it saves, leaves, and the other one takes over"

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = chance.choice(world.workers)
        world.keeper.hold(self.target, signal.SIGTERM)
        assert await world.keeper.down(self.target) == 0, f"{self.target} did not end well: {world.keeper.tail(self.target)}"

    async def heal(self, world: World) -> None:
        world.keeper.release(self.target)


class ProducerRepeats(Fault):
    name = "producer_repeats"
    breaks = "providers send every second request again although it was acknowledged, and the gateway is killed under way"
    must = "a reading that stands twice in the log counts once"
    lasts_s = (8.0, 12.0)

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        feed.repeat, self._feed = 0.5, feed
        self.target = "gateway"
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        world.kill("gateway")

    async def heal(self, world: World) -> None:
        self._feed.repeat = 0.0


class GatewayAnswersLost(Fault):
    """The gateway is frozen in the middle of requests until their senders give up, and then goes on."""

    name = "answers_lost"
    breaks = "SIGSTOP of the gateway until senders time out and send again; then it goes on with the first copy too"
    must = "what the log has twice counts once"
    lasts_s = (16.0, 18.0)  # longer than a sender waits

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = "gateway"
        await asyncio.sleep(chance.uniform(0.0, 0.2))
        world.keeper.send("gateway", signal.SIGSTOP)
        self._since = time.monotonic()

    async def heal(self, world: World) -> None:
        world.keeper.send("gateway", signal.SIGCONT)
