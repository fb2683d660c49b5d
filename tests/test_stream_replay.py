"""Replays: the ticks that a history gets, that batches decide nothing, and the refusals; with the real decisions."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import re
from dataclasses import replace
from types import SimpleNamespace

import msgspec
import pytest
import services
from aiokafka.errors import TopicAuthorizationFailedError
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from regions import write_region
from stream_fake import FakeBroker, Life
from test_stream_worker import floods

from warning import config
from warning.deployment import Deployment
from warning.errors import ConfigError, ExitCode, InputError, StateError
from warning.model import AlertEvent, Parameter, Reading, Tick, to_json
from warning.region import Region
from warning.stream import quiet
from warning.stream.clock import Clock
from warning.stream.decisions import PIPELINE
from warning.stream.feed import Fed, feed, read_log
from warning.stream.ports import Sent
from warning.stream.replay import LogRecord, documents, log_with_ticks, once, replay_file
from warning.wiring_replay import deciding


@pytest.fixture(scope="module")
def oak(tmp_path_factory: pytest.TempPathFactory) -> Region:
    return config.load(write_region(tmp_path_factory.mktemp("replay")))


def reading(moment_ms: int, station: str = "A") -> Reading:
    return Reading(station=station, parameter=Parameter.STAGE, time_ms=moment_ms, value=1.0, received_ms=moment_ms, provider="t")


def ticks(records: list[LogRecord], partition: int) -> list[int]:
    return [msgspec.json.decode(r.value, type=Tick).tick_ms for r in records if r.partition == partition and r.key is None]


async def test_who_ends_a_demo_early_waits_for_nothing_that_is_still_decided(oak: Region) -> None:
    """A thread cannot be cancelled, and a process waits for it: Ctrl-C in a demo took effect minutes later."""
    endless = (LogRecord(0, None, to_json(Tick(tick_ms=600_000 * number))) for number in itertools.count(1))
    async with asyncio.timeout(60), deciding(oak, endless) as decided:
        await asyncio.sleep(0)
    assert isinstance(decided.exception(), InterruptedError)


def test_ticks_of_a_history(oak: Region) -> None:
    start = 1_753_000_200_000  # on a full ten minutes
    records = list(log_with_ticks(oak, [reading(start - 1), reading(start), reading(start + 1), reading(start + 3_000_000)], 600, 1200))
    step = 600_000
    assert ticks(records, 0) == ticks(records, 1) == [start + step * number for number in range(8)]
    order = [("tick" if r.key is None else "reading") for r in records if r.partition == 0]
    assert order[:4] == ["reading", "reading", "tick", "reading"] and order[-1] == "tick"
    assert [r.key for r in records if r.key] == [b"oak"] * 4
    assert list(log_with_ticks(oak, [])) == []
    with pytest.raises(InputError, match="comes after"):
        list(log_with_ticks(oak, [reading(5), reading(4)]))


def test_one_identifier_has_one_content() -> None:
    assert once([("a", b"1"), ("a", b"1"), ("b", b"2")]) == {"a": b"1", "b": b"2"}
    with pytest.raises(StateError, match="twice"):
        once([("a", b"1"), ("a", b"2")])


@pytest.fixture(scope="module")
def flood(oak: Region) -> tuple[list[LogRecord], dict[str, bytes]]:
    records = list(log_with_ticks(oak, floods(days=6), 3600))
    want = documents(replay_file(oak, records))
    assert len(want) >= 5
    return records, want


@hypothesis_settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(most=st.integers(1, 40))
def test_batches_decide_nothing(oak: Region, flood: tuple[list[LogRecord], dict[str, bytes]], most: int) -> None:
    records, want = flood
    assert documents(replay_file(oak, records, most=most)) == want


async def test_killed_at_every_record_of_the_rise(oak: Region, flood: tuple[list[LogRecord], dict[str, bytes]]) -> None:
    """The real decisions; the worker ends after exactly so many records, another goes on from its last checkpoint."""
    records, _ = flood
    log = [(key, value) for partition, key, value in records if partition == 0]
    short = log[: len(log) * 3 // 4]
    want = documents(replay_file(oak, [LogRecord(0, key, value) for key, value in short]))
    assert len(want) >= 3
    deployment = Deployment(prefix="t.", checkpoint_every_s=-1.0)
    base = FakeBroker()
    base.topics[deployment.readings, 0] = list(short)
    middle = len(short) * 5 // 8
    first = Life(base, oak, PIPELINE, deployment, "w0")
    await first.run(7, middle)
    for until in range(middle, middle + 40):
        broker = FakeBroker()
        for place, held in base.topics.items():
            broker.topics[place] = list(held)
        broker.commits = dict(base.commits)
        await Life(broker, oak, PIPELINE, deployment, "w1").run(5, until, last_save=False)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)
        broker.new_life()
        await Life(broker, oak, PIPELINE, deployment, "w2").run(9)
        assert once((identifier_of(value), value) for _, value in broker.topics[deployment.alerts, 0] if value) == want


def identifier_of(value: bytes) -> str:
    return str(msgspec.json.decode(value, type=AlertEvent).alert.identifier)


# --- onto brokers


@pytest.fixture(params=["embedded", "apache"])
def bootstrap(request: pytest.FixtureRequest) -> object:
    with services.embedded() if request.param == "embedded" else services.apache_kafka() as broker:
        yield broker.bootstrap, request.param == "embedded"


async def test_what_is_fed_stands_in_the_log(bootstrap: tuple[str, bool], oak: Region) -> None:
    address, embedded = bootstrap
    deployment = Deployment(bootstrap=address, prefix="replay-f.", replay=True, embedded=embedded)
    records = list(log_with_ticks(oak, floods(days=3)))
    seen: list[Fed] = []
    fed = await feed(deployment, oak, records, speed=3 * 86_400 / 1.5, progress=seen.append)
    for partition in range(2):
        want = [(offset, key, value) for offset, (_, key, value) in enumerate(r for r in records if r.partition == partition)]
        assert await read_log(deployment, partition) == want
        assert fed.ends[partition] == len(want)
    assert fed.seconds > 1.0 and len(seen) > 3 and seen[-1].readings <= fed.readings == len(floods(days=3))
    with pytest.raises(ConfigError, match="already holds records"):
        await feed(deployment, oak, records)


@pytest.mark.parametrize("change", [{"prefix": "live."}, {"prefix": ""}, {"replay": False}])
async def test_a_prefix_that_is_not_a_replays_is_refused(oak: Region, change: dict[str, object]) -> None:
    deployment = replace(Deployment(prefix="replay-x.", replay=True), **change)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="prefix of its own"):
        await feed(deployment, oak, [])


# --- the clock


class Answers(FakeBroker):
    """A broker with a clock that stands still at ``broker_ms``."""

    broker_ms: int | None = 0

    async def send(self, topic: str, value: bytes | None, key: bytes | None, partition: int) -> asyncio.Future[Sent]:
        sent: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        self.topics[topic, partition].append((key, value))
        sent.set_result(Sent(0, self.broker_ms))
        return sent


@pytest.mark.parametrize(("off_s", "stops"), [(0, False), (4.9, False), (-4.9, False), (5.5, True), (-5.5, True), (3600, True)])
async def test_a_clock_is_held_against_the_brokers(off_s: float, stops: bool) -> None:
    broker = Answers()
    broker.broker_ms = 1_000_000_000
    clock = Clock(broker, Deployment(), "w", lambda fact: None, lambda error: None, lambda: 1_000_000.0 + off_s)
    if not stops:
        return await clock.check(0)
    with pytest.raises(StateError, match=re.escape(f"{off_s:+.1f} s off")) as stopped:
        await clock.check(0)
    assert stopped.value.exit_code is ExitCode.CLOCK
    return None


async def test_a_clock_that_jumps_writes_no_tick() -> None:
    broker, wall, fatal = Answers(), [1_000_000.0], []
    broker.broker_ms = 1_000_000_000
    deployment = Deployment()
    clock = Clock(broker, deployment, "w", lambda fact: None, fatal.append, lambda: wall[0])
    await clock.check(0)
    await clock.tick([0, 1])
    await asyncio.sleep(0)
    wall[0] += 3600
    with pytest.raises(StateError, match="3600"):
        await clock.tick([0])
    assert broker.topics[deployment.readings, 0] == [(None, to_json(Tick(tick_ms=1_000_000_000, writer="w")))] and not fatal


# --- the log lines of Kafka's clients


def test_clients_are_heard_seldom(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet.hush()
    now = [0.0]
    monkeypatch.setattr(quiet, "time", SimpleNamespace(monotonic=lambda: now[0]))
    noisy = logging.getLogger("aiokafka.of.this.test")
    handler = quiet.Seldom(logging.getLogger("warning.kafka"), every_s=60.0)
    noisy.addHandler(handler)
    noisy.propagate = False
    with caplog.at_level(logging.WARNING, "warning.kafka"):
        for number in range(500):
            noisy.warning("no leader for %d", number)
        assert [record.getMessage() for record in caplog.records] == ["no leader for 0"]
        now[0] = 60.0
        noisy.warning("no leader for %d", 7)
    assert caplog.records[-1].getMessage() == "no leader for 7 (and 499 more like it)"


async def test_what_a_cut_off_commit_raises_is_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """aiokafka shields its commits: a stop leaves the task alone, and what the broker then answers is nobody's."""
    quiet.hush()

    async def refused() -> None:
        raise TopicAuthorizationFailedError({"readings"})

    async def ours() -> None:
        raise ValueError("our own fault")

    for each in (refused, ours):
        with caplog.at_level(logging.WARNING):
            task = asyncio.create_task(each())
            await asyncio.sleep(0)
            del task
            gc.collect()
    (refusal, fault) = (record for record in caplog.records if "never retrieved" in record.getMessage())
    assert (refusal.name, refusal.exc_info) == ("asyncio", None) and "TopicAuthorizationFailedError" in refusal.getMessage()
    assert fault.exc_info is not None, "a task of ours keeps its traceback"
