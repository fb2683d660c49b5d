"""``python -m tests.faults --dispatch``: two dispatchers on one ledger in PostgreSQL, killed again and again, while all around them fails.

Real processes: brokers, database, SMS centre, webhook receiver, two dispatchers that a keeper starts again. Alerts are written to the log
at a steady pace; the judge (``dispatch_verdict``) holds what phones and endpoints got against the ledger, message by message.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import channel_postgres
import channel_process
import channel_world as channel
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from warning.alerts.lifecycle import chain_of
from warning.deployment import Deployment
from warning.model import AlertEvent, EventKind, Level
from warning.region import Region
from warning.stream.broker import free_port

from .dispatch_verdict import Verdict, judge
from .keeper import Keeper, Program
from .world import FAKETIME

TESTS = Path(__file__).parent.parent
NAMES = ("dispatch1", "dispatch2")
SETTLE_S = 240.0
TAKEOVER_S = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. ``outage_s``: how long the SMS centre is away; ``gap_s``: between two kills, on average."""

    seed: int
    kills: int = 25
    gap_s: float = 3.0
    outage_s: float = 30.0
    contacts: int = 60
    alert_every_s: float = 1.0
    clock: bool = True
    slowness: float = 1.0  # of what happens around them; less for a short selection
    folder: Path = Path()


@dataclass
class Result:
    seed: int
    kills: int = 0
    missed: int = 0
    doubled_unmarked: int = 0
    alerts: int = 0
    deliveries: int = 0
    doubled_marked: int = 0
    takeover_s: list[float] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class World:
    plan: Plan
    region: Region
    deployment: Deployment
    keeper: Keeper
    postgres: channel_postgres.Cluster
    engine: AsyncEngine
    chance: random.Random
    events: list[AlertEvent] = field(default_factory=list)
    result: Result = field(default_factory=lambda: Result(0))
    database_away: bool = False
    outages: int = 0  # of the database; a takeover that one fell into measures something else

    @property
    def phones(self) -> Path:
        return self.plan.folder / "sms.jsonl"

    @property
    def hooks(self) -> Path:
        return self.plan.folder / "hooks.jsonl"

    def clock_file(self, name: str) -> Path:
        return self.plan.folder / f"{name}.clock"

    async def asked(self, query: str) -> list[Any]:
        """Rows; [] while the database is away."""
        try:
            async with self.engine.connect() as connection:
                return list(await connection.execute(text(query)))
        except (DBAPIError, OSError):
            return []

    async def lease(self) -> tuple[int, int]:
        """(epoch, pid of who works)"""
        rows = await self.asked("SELECT epoch, holder FROM leases")
        return (int(rows[0][0]), int(str(rows[0][1]).split()[-1])) if rows else (0, 0)

    def stands_by(self, name: str) -> bool:
        """It has started, and said so."""
        log = self.plan.folder / f"{name}.log"
        life = log.read_text("utf-8", "replace").rpartition("started\n")[2] if log.exists() else ""
        return self.keeper.pid(name) is not None and "this one stands by" in life

    async def at_work(self, within_s: float = 20.0) -> tuple[int, int]:
        """The lease, as soon as its holder lives: to kill only what has not begun yet would prove little."""
        until = time.monotonic() + within_s
        while True:
            epoch, pid = await self.lease()
            if pid in [self.keeper.pid(name) for name in NAMES] or time.monotonic() > until:
                return epoch, pid
            await asyncio.sleep(0.1)

    async def until_taken(self, epoch: int) -> float:
        """Seconds until another one works."""
        began = time.monotonic()
        while (await self.lease())[0] <= epoch:
            if time.monotonic() - began > TAKEOVER_S:
                raise TimeoutError(f"nobody took over in {TAKEOVER_S:.0f} s: {[self.keeper.tail(name, 4) for name in NAMES]}")
            await asyncio.sleep(0.05)
        return time.monotonic() - began


async def once(plan: Plan, bootstrap: str, postgres: channel_postgres.Cluster) -> Result:
    """Never raises for what the dispatchers do: that is a result that has not passed."""
    began = time.monotonic()
    result = Result(plan.seed)
    try:
        async with world(plan, bootstrap, postgres, result) as running:
            await _run(running)
    except Exception as error:
        result.wrong.append(f"{type(error).__name__}: {error}"[:2000])
    result.seconds = round(time.monotonic() - began, 1)
    return result


@asynccontextmanager
async def world(plan: Plan, bootstrap: str, postgres: channel_postgres.Cluster, result: Result) -> AsyncIterator[World]:
    folder = channel.regions.write_region(plan.folder)
    name = f"d{plan.seed}x{time.time_ns() // 1_000_000 % 10**9}"
    admin = create_async_engine(postgres.url, isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await admin.dispose()
    url = postgres.url.rpartition("/")[0] + f"/{name}"
    secrets = {f"h{number}": channel.SECRET for number in range(4)}
    (plan.folder / "secrets.json").write_text(json.dumps(secrets))
    sms_port, hook_port = free_port(), free_port()
    where = await channel.deployment(bootstrap, plan.folder, name, database_url=url)
    where = replace(where, smpp_port=sms_port, smpp_user="ews", smpp_password="pw")
    region = replace(channel.config.load(folder), contacts=tuple(channel_process.contacts(plan.contacts)))
    settings = {
        "region": str(folder),
        "contacts": plan.contacts,
        "deployment": {**asdict(where), "directory": str(where.directory)},
        "receiver_port": hook_port,
        "endpoints": {each: f"http://127.0.0.1:{hook_port}/hook/{each}" for each in secrets},
    }
    (plan.folder / "settings.json").write_text(json.dumps(settings))
    async with AsyncExitStack() as stack:
        engine = create_async_engine(url, pool_pre_ping=True)
        stack.push_async_callback(engine.dispose)
        keeper = await stack.enter_async_context(Keeper())
        running = World(plan, region, where, keeper, postgres, engine, random.Random(plan.seed), result=result)
        for program in _programs(running, sms_port, hook_port):
            keeper.add(program)
        await running.until_taken(0)
        yield running


def _programs(world: World, sms_port: int, hook_port: int) -> list[Program]:
    folder, path = world.plan.folder, {"PYTHONPATH": f"{TESTS.parent}:{TESTS}"}
    sms = (sys.executable, "-m", "warning.rehearsal.telecom", "--port", str(sms_port), "--record", str(world.phones))
    record = ("--record", str(world.hooks), "--secrets", str(folder / "secrets.json"))
    hooks = (sys.executable, "-m", "warning.rehearsal.receiver", "--port", str(hook_port), *record)
    programs = [Program("sms", sms, folder / "sms.log", path), Program("hooks", hooks, folder / "hooks.log", path)]
    for name in NAMES:
        words = (sys.executable, str(TESTS / "channel_process.py"), str(folder / "settings.json"))
        fake: dict[str, str] = {}
        if world.plan.clock and Path(FAKETIME).exists():
            world.clock_file(name).write_text("+0\n")
            fake = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(world.clock_file(name)), "FAKETIME_CACHE_DURATION": "1"}
            fake |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        programs.append(Program(name, words, folder / f"{name}.log", path | fake))
    return programs


async def _run(world: World) -> None:
    feeding = asyncio.create_task(_feed(world))
    around = asyncio.create_task(_around(world))
    try:
        await _kill(world)
        await around
    finally:
        for task in (feeding, around):
            task.cancel()
        await asyncio.gather(feeding, around, return_exceptions=True)
    await _settled(world)
    verdict: Verdict = await judge(world.engine, world.region, world.events, world.phones, world.hooks)
    result = world.result
    result.missed, result.doubled_unmarked = len(verdict.missed), len(verdict.doubled)
    result.alerts, result.deliveries, result.doubled_marked = len(world.events), verdict.deliveries, verdict.marked
    result.counts = verdict.counts
    result.wrong += verdict.missed[:20] + verdict.doubled[:20]


async def _feed(world: World) -> None:
    """A raise in one zone after the other, each a chain of its own, and after every third its upgrade."""
    while True:
        number, now_ms = len(world.events), channel.now_ms()
        if number % 4 == 3:
            before = world.events[-1].alert
            event = channel.event(
                world.region, before.zone, 2, EventKind.UPGRADE, Level.VERY_HIGH,
                sent_ms=now_ms, raised_ms=before.raised_ms, previous=before.level,
            )  # fmt: skip
            assert chain_of(event.alert.identifier) == chain_of(before.identifier)
        else:
            event = channel.event(world.region, "ABCD"[number % 4], sent_ms=now_ms, raised_ms=now_ms - 3_600_000 + 1000 * number)
        await channel.publish(world.deployment, [event])
        world.events.append(event)
        await asyncio.sleep(world.plan.alert_every_s)


async def _kill(world: World) -> None:
    """Mostly the one that works; a second kill may come before the first one is back."""
    plan, chance, result = world.plan, world.chance, world.result
    while result.kills < plan.kills:
        await asyncio.sleep(chance.uniform(0.3, 2.0) * plan.gap_s)
        epoch, pid = await world.at_work()
        working = next((name for name in NAMES if world.keeper.pid(name) == pid), NAMES[0])
        standing = next(name for name in NAMES if name != working)
        name = working if chance.random() < 0.75 else standing
        well, outages = world.stands_by(standing) and not world.database_away and epoch, world.outages
        if world.keeper.kill(name):
            result.kills += 1
            if name == working and well:
                seconds = await world.until_taken(epoch)
                if world.outages == outages:
                    result.takeover_s.append(round(seconds, 2))


async def _around(world: World) -> None:
    """Everything else that fails, one after the other, while dispatchers are killed."""
    plan, chance = world.plan, world.chance

    async def while_(least_s: float, most_s: float) -> None:
        await asyncio.sleep(chance.uniform(least_s, most_s) * plan.slowness)

    await while_(1, 3)
    world.keeper.hold("sms")  # away: and it forgets the receipts that it owes
    await asyncio.sleep(plan.outage_s / 2)
    world.database_away, world.outages = True, world.outages + 1
    await asyncio.to_thread(world.postgres.stop)
    await while_(1, 4)
    await asyncio.to_thread(world.postgres.start)
    world.database_away = False
    await asyncio.sleep(plan.outage_s / 2)
    world.keeper.release("sms")
    for behaviour in (
        {"receipts": 0},
        {"receipts": 2, "receipt_first": True},
        *([{"lose_response": True}] if plan.slowness == 1 else []),
        {},
    ):
        await _behave(world, behaviour)
        await while_(2, 4)
    if (clock := world.clock_file(chance.choice(NAMES))).exists():
        clock.write_text(chance.choice(["+86400\n", "-86400\n"]))
        await while_(4, 8)
        clock.write_text("+0\n")


async def _behave(world: World, behaviour: dict[str, Any]) -> None:
    """The SMS centre from now on. It comes anew with other words on its command line: its lives are separate, its record one."""
    old = world.keeper.program("sms")
    arguments = [*old.arguments[:7], *(["--behave", json.dumps(behaviour)] if behaviour else [])]
    world.keeper.add(replace(old, arguments=tuple(arguments)))
    world.keeper.kill("sms")
    await asyncio.sleep(0.3)


async def _settled(world: World) -> None:
    """All is well again, every alert is planned, and nothing is under way or due."""
    for program in ("sms", "hooks", *NAMES):
        world.keeper.release(program)
    until = time.monotonic() + SETTLE_S
    count = len(world.events)
    while time.monotonic() < until:
        alerts = await world.asked("SELECT count(*) FROM alerts")
        due = "state IN ('waiting', 'unknown') AND next_attempt_ms IS NOT NULL OR state = 'sending'"
        left = await world.asked(
            f"SELECT (SELECT count(*) FROM deliveries WHERE {due}), (SELECT count(*) FROM outbox), (SELECT count(*) FROM plans)"
        )
        if alerts and left and alerts[0][0] == count and not any(left[0]):
            return
        await asyncio.sleep(0.5)
    tails = [f"{name}: {world.keeper.tail(name, 8)}" for name in NAMES]
    raise TimeoutError(f"not settled after {SETTLE_S:.0f} s: {alerts} of {count} alerts, left {left}\n" + "\n".join(tails))
