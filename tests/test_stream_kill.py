"""A worker killed at every operation of its beats and checkpoints: nothing lost, nothing different, whatever was sent again is the same."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from stream_fake import FakeBroker, Killed, Life
from stream_regions import region
from stream_standin import STANDIN, Plan, State

from warning.deployment import Deployment
from warning.facts import CheckpointWritten, Fact
from warning.model import Parameter, Reading, Tick, to_json
from warning.stream.beats import Beats
from warning.stream.owned import RESTS
from warning.stream.state import Book, unpack

REGION = region(stations=4)
DEPLOYMENT = Deployment(prefix="t.", checkpoint_every_s=-1.0)  # a checkpoint as often as can be


def records(beats: int = 9, each: int = 11, seed: int = 7) -> list[tuple[bytes | None, bytes | None]]:
    chance = random.Random(seed)
    log: list[tuple[bytes | None, bytes | None]] = []
    for beat in range(beats):
        for _ in range(each):
            station, value = f"s{chance.randrange(4):03d}", chance.choice([None, 0.1, 1.5, 2.25, 3.75])
            time_ms = 600_000 * beat + chance.randrange(600_000)
            reading = Reading(station=station, parameter=Parameter.STAGE, time_ms=time_ms, value=value, received_ms=time_ms, provider="p")
            log.append((b"b0", to_json(reading) if chance.random() > 0.05 else b"{broken"))
        log.append((None, to_json(Tick(tick_ms=600_000 * (beat + 1), writer=f"t{beat}"))))
    return log


LOG = records()


def reference(log: list[tuple[bytes | None, bytes | None]]) -> tuple[dict[str, bytes], dict[int, dict[str, bytes]], list[str]]:
    """(alerts by id, arrays after each tick by N + 1, details of the rejected): one record at a time, in one life."""
    plan = Plan.of(REGION, 0)
    beats = Beats(0, STANDIN, plan, State.empty(plan), 0)
    alerts, states, rejected = {}, {}, []
    for offset, (key, value) in enumerate(log):
        for closed in beats.take([key], [value], offset):
            alerts |= {event.alert.identifier: to_json(event) for event in closed.alerts}
            rejected += [each.detail for each in closed.rejected]
            states[closed.offset + 1] = {name: array.tobytes() for name, array in beats.state.freeze()[1].items()}
    return alerts, states, rejected


ALERTS, STATES, REJECTED = reference(LOG)


def judge(broker: FakeBroker) -> None:
    sent: dict[str, bytes] = {}
    for key, value in broker.topics[DEPLOYMENT.alerts, 0]:
        assert key is not None and value is not None
        assert sent.setdefault(key.decode(), value) == value, "the same id with other content"
    assert sent == ALERTS
    book = Book()
    for offset, (key, value) in enumerate(broker.topics[DEPLOYMENT.checkpoints, 0]):
        book.take(offset, key, value)
    verified = [(number, found) for number in book.numbers() if (found := book.verified(number)) is not None]
    for number, (head, blob) in verified:
        assert {name: array.tobytes() for name, array in unpack(head, blob)[1].items()} == STATES[number]
    assert broker.commits[0][0] in [number for number, _ in verified]
    assert 1 <= len({number for number, _ in verified}) <= 4  # three, and one that was not committed


async def one(die_at: int | None, cut: int, lost: bool, second: int | None = None, slow_s: float = 0.0) -> tuple[FakeBroker, int]:
    broker = FakeBroker()
    broker.topics[DEPLOYMENT.readings, 0] = list(LOG)
    # The brokers take outputs later than chunks: a commit that does not wait for them would cover what dies with us.
    broker.slow = {DEPLOYMENT.alerts: slow_s, DEPLOYMENT.hazards: slow_s}
    deaths = 0
    for number, at in enumerate((die_at, second, None)):
        broker.new_life(at, lost)
        life = Life(broker, REGION, STANDIN, DEPLOYMENT, writer=f"w{number}")
        try:
            await life.run(cut)
        except Killed:
            deaths += 1
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
            continue
        break
    judge(broker)
    return broker, deaths


@pytest.mark.parametrize("cut", [1, 5, 1000])
@pytest.mark.parametrize("lost", [True, False])
async def test_killed_at_every_operation(cut: int, lost: bool) -> None:
    assert len(ALERTS) > 10 and len(REJECTED) > 3
    die_at = survived = 0
    while survived < 5:  # how many operations there are depends on when a digest's thread is done
        die_at += 1
        _, deaths = await one(die_at, cut, lost)
        survived = 0 if deaths else survived + 1
    assert die_at > 60


async def test_killed_while_outputs_are_under_way() -> None:
    died = 0
    for die_at in range(1, 110):
        died += (await one(die_at, 12, True, slow_s=0.003))[1]
    assert died > 50


async def test_killed_twice() -> None:
    chance = random.Random(3)
    for _ in range(300):
        await one(chance.randrange(1, 120), chance.choice([1, 3, 40]), chance.random() < 0.5, chance.randrange(1, 60))


async def test_killed_at_every_record_of_the_log() -> None:
    """The worker ends after exactly so many records, without a last checkpoint, and another goes on."""
    for until in range(1, len(LOG)):
        broker = FakeBroker()
        broker.topics[DEPLOYMENT.readings, 0] = list(LOG)
        await Life(broker, REGION, STANDIN, DEPLOYMENT, "w0").run(4, until, last_save=False)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)
        broker.new_life()
        await Life(broker, REGION, STANDIN, DEPLOYMENT, "w1").run(7)
        judge(broker)


async def test_an_expelled_worker_does_no_harm() -> None:
    """Its commit is refused; what it wrote is the same as what its successor writes."""
    broker = FakeBroker()
    broker.topics[DEPLOYMENT.readings, 0] = list(LOG)
    zombie = Life(broker, REGION, STANDIN, DEPLOYMENT, "zombie")
    await zombie.run(6, 40)
    broker.refuse = True
    await zombie.run(6)
    broker.refuse = False
    assert broker.commits[0][0] <= 40
    await Life(broker, REGION, STANDIN, DEPLOYMENT, "heir").run(9)
    judge(broker)


async def test_checkpoints_that_take_long_are_a_quarter_of_the_time_at_most() -> None:
    """Of a million series one takes longer than its interval: one after the other would leave nothing to the beats."""
    broker = FakeBroker()
    broker.slow[DEPLOYMENT.checkpoints] = 0.05  # chunks, then the head
    broker.topics[DEPLOYMENT.readings, 0] = records(beats=300)
    life = Life(broker, REGION, STANDIN, Deployment(prefix="t.", checkpoint_every_s=0.1))
    begun, ended, taken = list[float](), list[float](), list[float]()
    owned = await life.start()
    real = owned.begin_save

    def begin_save() -> None:
        begun.append(time.monotonic())
        real()

    def listen(fact: Fact) -> None:
        if isinstance(fact, CheckpointWritten):
            ended.append(time.monotonic())
            taken.append(fact.seconds)

    owned.begin_save, life.ports.listen = begin_save, listen  # type: ignore[method-assign]
    for beat in range(1, 301):
        await life.run(cut=12, until=12 * beat, last_save=False)
        if len(begun) > 4:
            break
        await asyncio.sleep(0.01)
    assert len(begun) > 4, "there were none"
    rests = [begin - end for begin, end in zip(begun[1:], ended, strict=False)]
    assert all(rest >= min(RESTS * took, RESTS * 0.1) - 0.001 for rest, took in zip(rests, taken, strict=False)), (rests, taken)
