"""One run: everything up, readings in, a fault at a random moment, healed, drained, and the verdict."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warning.dispatch.ledger import Ledger
from warning.errors import ExitCode
from warning.model import DeliveryState
from warning.rehearsal.evidence import published
from warning.stream.kafka import KafkaLog

from .cluster import Brokers
from .fault import Fault
from .feed import Feed
from .load import Size, Water
from .verdict import Verdict, group_offset, judge
from .world import World, everything

DRAIN_S = 240.0
TOLD_S = 420.0  # a webhook's third attempt is five minutes after its second one
RECEIPTS_S = 15.0  # how long receipts are waited for that a killed SMS centre may have forgotten


@dataclass
class Result:
    """One line of the results file."""

    fault: str
    seed: int
    readings: int
    target: str = ""
    kills: int = 0
    lost: int = 0
    doubled: int = 0
    alerts_changed: int = 0
    figures: dict[str, int] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)  # "worker1 CLOCK" -> how often
    answers: dict[str, int] = field(default_factory=dict)  # of the gateway: status or error -> requests
    seconds: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    passed: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. ``keep``: folder in which the logs of each run stay."""

    fault: type[Fault]
    seed: int
    readings: int
    readings_per_s: float
    keep: Path | None = None


async def once(plan: Plan, fault: Fault, brokers: Brokers) -> Result:
    """Never raises for what the system under test does: that is a result that has not passed. The next run then gets new brokers."""
    folder = Path(tempfile.mkdtemp(prefix=f"faults-{plan.fault.name}-{plan.seed}-", dir=plan.keep))
    result, began = Result(plan.fault.name, plan.seed, plan.readings), time.monotonic()
    try:
        await _run(plan, fault, folder, result, brokers)
    except Exception as error:
        result.wrong.append(f"{type(error).__name__}: {error}"[:3000])
    finally:
        await fault.end()
    result.passed = not result.wrong
    if not result.passed:
        await brokers.drop()
    result.seconds["all"] = round(time.monotonic() - began, 1)
    await asyncio.to_thread(_tidy, folder, plan.keep is not None, result)
    return result


def _tidy(folder: Path, keep: bool, result: Result) -> None:
    """Logs stay where that is wanted; what the brokers held only if something was wrong."""
    if keep and not result.passed:
        result.wrong.append(f"logs: {folder}")
        return
    for each in folder.iterdir():
        if each.is_dir():
            shutil.rmtree(each, ignore_errors=True)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(plan: Plan, fault: Fault, folder: Path, result: Result, brokers: Brokers) -> None:
    chance, size = random.Random(plan.seed), Size.of(plan.readings)
    clock = time.monotonic()

    def lap(name: str) -> None:
        nonlocal clock
        now = time.monotonic()
        result.seconds[name], clock = round(now - clock, 1), now

    cluster = await brokers.get(fault.setup.small_disk if fault.setup.small_disk.startswith("broker") else "")
    lap("brokers")
    async with everything(folder, size, fault.setup, cluster, f"faults-{plan.fault.name}-{plan.seed}.") as world:
        lap("start")
        water = Water(size, plan.seed, time.time_ns() // 1_000_000)
        await fault.prepare(world)
        feed = fault.feed(world, water, plan.readings_per_s, folder / "acknowledged.txt", random.Random(plan.seed + 1))
        try:
            await _with_fault(world, feed, fault, chance)
        finally:
            result.target, result.kills = fault.target, sum(world.killed.values())
            result.answers, result.exits = dict(feed.answers), _exits(world)
        lap("feed")
        await fault.arrived(world)
        await _drained(world)
        lap("drain")
        ends, result.exits = list(world.ends), _exits(world)
        await _stopped(world)
        lap("stop")
        verdict = await judge(world, feed.acknowledged)
        lap("verdict")
        await world.cluster.delete([topic.name for topic in world.deployment.topics])
    _take(result, verdict, feed)
    if fault.exits and not any(end.code in fault.exits for end in ends):
        result.wrong.append(f"no process ended with {', '.join(code.name for code in fault.exits)}")


def _exits(world: World) -> dict[str, int]:
    known = {code.value: code.name for code in ExitCode}
    return dict(Counter(f"{end.name} {known.get(end.code, end.code)}" for end in world.ends))


def _take(result: Result, verdict: Verdict, feed: Feed) -> None:
    result.lost, result.doubled = verdict.figures.pop("lost", 0), verdict.figures.pop("doubled", 0)
    result.alerts_changed = verdict.figures.pop("alerts_changed", 0)
    result.figures = dict(verdict.figures)
    result.seconds["longest_silence"] = round(feed.longest_silence_s, 1)
    result.wrong += verdict.words


async def _with_fault(world: World, feed: Feed, fault: Fault, chance: random.Random) -> None:
    feeding = asyncio.create_task(feed.run())
    breaking = asyncio.create_task(_break(world, feed, fault, chance))
    try:
        await asyncio.gather(breaking, feeding)
    finally:
        for task in (feeding, breaking):
            task.cancel()
        await asyncio.gather(feeding, breaking, return_exceptions=True)


async def _break(world: World, feed: Feed, fault: Fault, chance: random.Random) -> None:
    await asyncio.sleep(chance.uniform(*fault.after_s))
    try:
        await fault.inject(world, chance, feed)
        await asyncio.sleep(chance.uniform(*fault.lasts_s))
    finally:
        await fault.heal(world)


async def _drained(world: World) -> None:
    """All is up, the group has committed everything that was in the log, and everybody was told. Raises TimeoutError."""
    await world.well()
    partitions = range(world.region.partitions)
    async with KafkaLog(world.deployment) as log:
        ends = [(await log.bounds(world.deployment.readings, partition))[1] for partition in partitions]
    until = time.monotonic() + DRAIN_S
    while True:
        done = [(await group_offset(world.deployment, partition))[0] for partition in partitions]
        if all(mine >= end for mine, end in zip(done, ends, strict=True)):
            break
        if time.monotonic() > until:
            tails = "\n".join(f"{name}: {world.keeper.tail(name, 6)}" for name in world.workers)
            raise TimeoutError(f"workers stand at {done} of {ends} after {DRAIN_S:.0f} s\n{tails}")
        await asyncio.sleep(0.5)
    await _told(world)


async def _told(world: World) -> None:
    """The dispatcher has read every alert, nothing is under way, and receipts had their time."""
    ledger = await Ledger.open(world.deployment.database, world.region.id)
    until = time.monotonic() + TOLD_S
    accepted, since = -1, time.monotonic()
    try:
        while True:
            alerts = sorted(await published(world.deployment))
            known, unsettled, counts = await ledger.known_digests(alerts), await ledger.unsettled(), await ledger.counts()
            waiting = sum(count for (_, state), count in counts.items() if state == DeliveryState.ACCEPTED.value)
            if waiting != accepted:
                accepted, since = waiting, time.monotonic()
            if len(known) == len(alerts) and not unsettled and (not waiting or time.monotonic() - since > RECEIPTS_S):
                return
            if time.monotonic() > until:
                words = f"{len(known)} of {len(alerts)} alerts read, {unsettled} open"
                raise TimeoutError(f"the dispatcher: {words} after {TOLD_S:.0f} s\n{world.keeper.tail('dispatch')}")
            await asyncio.sleep(0.5)
    finally:
        await ledger.close()


async def _stopped(world: World) -> None:
    """Everything but the brokers ends in an orderly way: gateway, workers with their last checkpoint, dispatcher, the outside."""
    codes = {"gateway": await world.keeper.stop("gateway")}
    workers = world.workers
    codes |= dict(zip(workers, await asyncio.gather(*(world.keeper.stop(name) for name in workers)), strict=True))
    await _told(world)
    codes["dispatch"] = await world.keeper.stop("dispatch")
    for name in ("sms", "hooks"):
        await world.keeper.stop(name)
    wrong = {name: code for name, code in codes.items() if code}
    if wrong:
        raise RuntimeError(f"did not stop well: {wrong}")


def as_json(result: Result) -> dict[str, Any]:
    return dict(vars(result))
