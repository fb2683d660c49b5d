"""Real worker processes on real brokers: replays and live, killed, stopped, joined, expelled; and every way in which one has to end."""

from __future__ import annotations

import asyncio
import math
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import services
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition
from regions import write_region
from stream_regions import region
from stream_standin import STANDIN
from stream_worker import WorkerProcess

from warning import config
from warning.deployment import Deployment
from warning.errors import ExitCode
from warning.model import Parameter, Reading, to_json
from warning.region import Region
from warning.stream.broker import free_port
from warning.stream.feed import committed, feed, read_alerts, read_log
from warning.stream.kafka import KafkaLog
from warning.stream.replay import LogRecord, documents, log_with_ticks, replay_file
from warning.stream.state import Book, key_of
from warning.stream.topics import ensure_topics

HOUR = 3_600_000


@pytest.fixture(scope="module")
def embedded() -> Iterator[str]:
    with services.embedded() as broker:
        yield broker.bootstrap


@pytest.fixture(scope="module")
def apache() -> Iterator[services.ApacheKafka]:
    with services.apache_kafka() as kafka:
        yield kafka


@pytest.fixture(params=["embedded", "apache"])
def bootstrap(request: pytest.FixtureRequest) -> str:
    if request.param == "embedded":
        return str(request.getfixturevalue("embedded"))
    return str(request.getfixturevalue("apache").bootstrap)


def deployment_of(bootstrap: str, prefix: str, embedded: bool, **more: object) -> Deployment:
    fields = {"checkpoint_every_s": 1.0, "session_timeout_s": 4.0, "embedded": embedded}
    return Deployment(bootstrap=bootstrap, prefix=f"{prefix}{time.time_ns()}.", **(fields | more))  # type: ignore[arg-type]


def floods(stations: tuple[str, ...] = ("A", "B", "C"), days: int = 9, seed: int = 5) -> list[Reading]:
    """Stages with a flood wave that passes each gauge later, noise, gaps and a few broken values. For load and order, not for science."""
    chance = random.Random(seed)
    found = []
    for hour in range(24 * days):
        for number, station in enumerate(stations):
            crest = 4.2 * math.exp(-(((hour - 80 - 12 * number) / 25) ** 2))
            value: float | None = round(1.2 + crest + chance.uniform(-0.03, 0.03), 3)
            if chance.random() < 0.02:
                value = chance.choice([None, 99.0, -9.0])
            if chance.random() > 0.03:
                moment = 1_753_000_000_000 + hour * HOUR + number
                found.append(
                    Reading(station=station, parameter=Parameter.STAGE, time_ms=moment, value=value, received_ms=moment, provider="t")
                )
    return found


def settings(deployment: Deployment, folder: Path | None = None, **more: object) -> dict[str, object]:
    where: dict[str, object] = {"folder": folder, "pipeline": "real"} if folder else {"region": {"stations": 4, "partitions": 2}}
    return {"deployment": asdict(deployment), **where, **more}


async def until_committed(deployment: Deployment, ends: dict[int, int], within_s: float = 240.0) -> None:
    until = time.monotonic() + within_s
    while (got := await committed(deployment, len(ends))) != ends:
        assert time.monotonic() < until, f"committed {got} of {ends}"
        await asyncio.sleep(0.3)


async def test_a_replay_with_the_worker_killed_decides_what_the_file_decides(bootstrap: str, embedded: str, tmp_path: Path) -> None:
    folder = write_region(tmp_path)
    oak = config.load(folder)
    deployment = deployment_of(bootstrap, "replay-k", bootstrap == embedded, replay=True, checkpoint_every_s=0.2)
    records = list(log_with_ticks(oak, floods()))
    want = documents(replay_file(oak, records))
    assert len(want) >= 8
    feeding = asyncio.create_task(feed(deployment, oak, records, speed=9 * 86_400 / 20))
    for beats in (70, 150, 40):
        with WorkerProcess(**settings(deployment, folder)) as worker:
            await asyncio.to_thread(worker.wait_for, "BeatClosed", count=beats)
            worker.kill()
    fed = await feeding
    assert sum(fed.ends.values()) == len(records) == fed.readings + fed.ticks
    with WorkerProcess(**settings(deployment, folder)) as worker:
        await until_committed(deployment, fed.ends)
        assert await asyncio.to_thread(worker.stop) == ExitCode.OK
    assert await read_alerts(deployment) == want


async def produce(deployment: Deployment, made: Region, seconds: float, rate: int = 400, seed: int = 1) -> None:
    chance, sent = random.Random(seed), 0
    async with KafkaLog(deployment) as log:
        began = time.monotonic()  # however long it took to reach the brokers
        while (passed := time.monotonic() - began) < seconds:
            while sent < passed * rate:
                station = chance.choice(made.stations)
                now_ms = int(time.time() * 1000)
                value = round(chance.random(), 2)
                one = Reading(station=station.id, parameter=Parameter.STAGE, time_ms=now_ms, value=value, received_ms=now_ms, provider="t")
                future = await log.send(deployment.readings, to_json(one), station.basin.encode(), made.basins[station.basin])
                sent += 1
            await asyncio.sleep(0.02)
        await future


async def judge(deployment: Deployment, made: Region) -> int:
    """What stands on ``alerts`` is what the log decides; every kept checkpoint is whole. Returns how many alerts.

    A tick that nobody took before he stopped stands after the commit: what it decides need not be there.
    """
    records, covered = [], []
    ends = await committed(deployment, made.partitions)
    for partition in range(made.partitions):
        log = await read_log(deployment, partition)
        records += [LogRecord(partition, key, value or b"") for _, key, value in log]
        covered += [LogRecord(partition, key, value or b"") for offset, key, value in log if offset < ends[partition]]
        book = Book()
        for offset, key, value in await read_log(deployment, partition, deployment.checkpoints):
            book.take(offset, key, value)
        assert all(book.verified(number) for number in book.numbers())
        assert ends[partition] in book.numbers(), "a commit that is not a checkpoint"
    possible, must = documents(replay_file(made, records, STANDIN)), documents(replay_file(made, covered, STANDIN))
    got = await read_alerts(deployment)
    assert must.items() <= got.items(), f"lost: {must.keys() - got.keys()}"
    assert got.items() <= possible.items(), f"extra: {got.keys() - possible.keys()}"
    return len(got)


async def test_live_workers_come_and_go(bootstrap: str, embedded: str) -> None:
    """Two workers; one is stopped, one killed, one frozen past its session and continued."""
    made = region(stations=8, partitions=2)
    deployment = deployment_of(bootstrap, "live", bootstrap == embedded)
    live = settings(deployment) | {"region": {"stations": 8, "partitions": 2}}
    with WorkerProcess(**live) as first:
        await asyncio.to_thread(first.wait_for, "Ready", ready=True)
        assert first.told("PartitionsOwned")[-1]["partitions"] == [0, 1]
        producing = asyncio.create_task(produce(deployment, made, 24.0))
        with WorkerProcess(**live) as second:
            await asyncio.to_thread(second.wait_for, "Ready", ready=True)
            await asyncio.sleep(3)
            assert await asyncio.to_thread(second.stop) == ExitCode.OK
        with WorkerProcess(**live) as third:
            await asyncio.to_thread(third.wait_for, "Ready", ready=True)
            await asyncio.sleep(1)
            third.kill()
        with WorkerProcess(**live) as fourth:
            await asyncio.to_thread(fourth.wait_for, "Ready", ready=True)
            await producing
            await asyncio.sleep(2)
            assert await asyncio.to_thread(fourth.stop) == ExitCode.OK
        await asyncio.to_thread(first.wait_for, "Ready", ready=True)
        await asyncio.sleep(2)
        assert await asyncio.to_thread(first.stop) == ExitCode.OK, first.words[-2000:]
    with WorkerProcess(**live) as last:  # closes what the killed one left open
        await asyncio.to_thread(last.wait_for, "Ready", ready=True)
        await asyncio.sleep(2)
        assert await asyncio.to_thread(last.stop) == ExitCode.OK
    assert await judge(deployment, made) > 100


async def test_a_frozen_worker_is_expelled_and_does_no_harm(apache: services.ApacheKafka) -> None:
    made = region(stations=8, partitions=2)
    deployment = deployment_of(apache.bootstrap, "zombie", False)
    live = settings(deployment) | {"region": {"stations": 8, "partitions": 2}}
    with WorkerProcess(**live) as first, WorkerProcess(**live) as second:
        for worker in (first, second):
            await asyncio.to_thread(worker.wait_for, "Ready", ready=True)
        producing = asyncio.create_task(produce(deployment, made, 20.0))
        await asyncio.sleep(3)
        second.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(10)
        assert first.told("PartitionsOwned")[-1]["partitions"] == [0, 1]
        second.process.send_signal(signal.SIGCONT)
        await producing
        await asyncio.sleep(3)
        assert [await asyncio.to_thread(worker.stop) for worker in (second, first)] == [ExitCode.OK, ExitCode.OK]
    assert await judge(deployment, made) > 100


async def test_an_outage_of_all_brokers_is_ridden_out(apache: services.ApacheKafka) -> None:
    made = region(stations=8, partitions=2)
    deployment = deployment_of(apache.bootstrap, "outage", False)
    with WorkerProcess(**settings(deployment) | {"region": {"stations": 8, "partitions": 2}}) as worker:
        await asyncio.to_thread(worker.wait_for, "Ready", ready=True)
        await produce(deployment, made, 3.0)
        apache.kill()
        await asyncio.sleep(6)
        apache.start()
        await produce(deployment, made, 3.0, seed=2)
        beats = len(worker.told("BeatClosed"))
        await asyncio.to_thread(worker.wait_for, "BeatClosed", count=beats + 20)
        assert await asyncio.to_thread(worker.stop) == ExitCode.OK, worker.words[-2000:]
    assert await judge(deployment, made) > 100


# --- every way in which a worker has to end


async def lived(bootstrap: str, name: str, embedded: bool = False) -> Deployment:
    """A deployment on which a worker has lived: it has commits and checkpoints."""
    deployment = deployment_of(bootstrap, name, embedded)
    with WorkerProcess(**settings(deployment)) as worker:
        await asyncio.to_thread(worker.wait_for, "CheckpointWritten", count=4)
        assert await asyncio.to_thread(worker.stop) == ExitCode.OK
    return deployment


async def ended(deployment: Deployment, within_s: float = 180.0, **more: object) -> tuple[int, str]:
    with WorkerProcess(**settings(deployment), **more) as worker:  # type: ignore[arg-type]
        return await asyncio.to_thread(worker.ends, within_s), worker.words


async def test_a_missing_generation_ends(bootstrap: str, embedded: str) -> None:
    deployment = await lived(bootstrap, "missing", bootstrap == embedded)
    book = Book()
    for offset, key, value in await read_log(deployment, 0, deployment.checkpoints):
        book.take(offset, key, value)
    async with KafkaLog(deployment) as log:
        for each in book.generations():
            await (await log.send(deployment.checkpoints, None, key_of(each.writer, each.next, "head"), 0))
    code, words = await ended(deployment)
    assert code == ExitCode.CHECKPOINT_MISSING and "no verified generation" in words


async def test_a_damaged_generation_is_passed_over(bootstrap: str, embedded: str) -> None:
    deployment = await lived(bootstrap, "damaged", bootstrap == embedded)
    book = Book()
    for offset, key, value in await read_log(deployment, 0, deployment.checkpoints):
        book.take(offset, key, value)
    newest = book.generations()[-1]
    async with KafkaLog(deployment) as log:
        await (await log.send(deployment.checkpoints, b"not what it was", key_of(newest.writer, newest.next, 0), 0))
    with WorkerProcess(**settings(deployment)) as worker:
        loaded = await asyncio.to_thread(worker.wait_for, "StateLoaded", partition=0)
        assert loaded["how"] == "older" and loaded["next_offset"] < newest.next
        await asyncio.to_thread(worker.wait_for, "CheckpointWritten", partition=0)
        assert await asyncio.to_thread(worker.stop) == ExitCode.OK


async def test_a_truncated_log_ends(apache: services.ApacheKafka) -> None:
    deployment = await lived(apache.bootstrap, "truncated")
    end = (await committed(deployment, 2))[0]
    async with KafkaLog(deployment) as log:
        for _ in range(5):
            await (await log.send(deployment.readings, b'{"tick_ms":1}', None, 0))
    admin = AIOKafkaAdminClient(bootstrap_servers=apache.bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(deployment.readings, 0): RecordsToDelete(before_offset=end + 2)})
    await admin.close()
    code, words = await ended(deployment)
    assert code == ExitCode.LOG_TRUNCATED and "2 records are lost" in words


async def test_a_topic_that_was_made_anew_ends(apache: services.ApacheKafka) -> None:
    deployment = await lived(apache.bootstrap, "anew")
    admin = AIOKafkaAdminClient(bootstrap_servers=apache.bootstrap)
    await admin.start()
    before = await committed(deployment, 2)
    await admin.delete_topics([deployment.readings])
    await asyncio.sleep(1)
    await ensure_topics(deployment, 2)
    await admin.close()
    assert before[0] > 0
    code, words = await ended(deployment)
    # Kafka 4 deletes the commits with the topic: then the newest checkpoint is tried against the log
    assert code == ExitCode.LOG_OTHER and "not the log that the state was made from" in words


async def test_another_number_of_partitions_ends(bootstrap: str, embedded: str) -> None:
    deployment = deployment_of(bootstrap, "count", bootstrap == embedded)
    await ensure_topics(deployment, 3)
    code, words = await ended(deployment)
    assert code == ExitCode.CONFIG and "has 3 partitions, not 2" in words


async def test_no_broker_ends() -> None:
    code, words = await ended(Deployment(bootstrap=f"127.0.0.1:{free_port()}"))
    assert code == ExitCode.BROKER and words.count("the worker ends with code") == 1


async def test_a_wrong_clock_ends_before_the_first_tick(apache: services.ApacheKafka) -> None:
    deployment = deployment_of(apache.bootstrap, "clock", False)
    code, words = await ended(deployment, clock_off_s=-7.5)
    assert code == ExitCode.CLOCK and "-7.5 s off" in words
    assert [await read_log(deployment, partition) for partition in range(2)] == [[], []]


async def test_actual_is_refused_on_the_broker_that_forgets(embedded: str) -> None:
    deployment = deployment_of(embedded, "actual", True)
    with WorkerProcess(**settings(deployment) | {"region": {"stations": 4, "partitions": 2}, "actual": True}) as worker:
        assert await asyncio.to_thread(worker.ends) == ExitCode.CONFIG
    assert "forgets all when it stops" in worker.words


async def test_another_configuration_writes_a_switch(bootstrap: str, embedded: str) -> None:
    deployment = await lived(bootstrap, "switch", bootstrap == embedded)
    with WorkerProcess(**settings(deployment) | {"region": {"stations": 4, "partitions": 2, "digest": "d2"}}) as worker:
        await asyncio.to_thread(worker.wait_for, "CheckpointWritten", count=2)
        await asyncio.to_thread(worker.stop)
    log = await read_log(deployment, 0)
    assert sum(b'"switch_ms"' in (value or b"") and b'"config":"d2"' in (value or b"") for _, _, value in log) == 1
    with WorkerProcess(**settings(deployment) | {"region": {"stations": 4, "partitions": 2, "digest": "d2"}}) as worker:
        await asyncio.to_thread(worker.wait_for, "Ready", ready=True)
        await asyncio.to_thread(worker.stop)
    assert sum(b'"switch_ms"' in (value or b"") for _, _, value in await read_log(deployment, 0)) == 1


async def test_a_step_that_raises_ends_and_commits_nothing_of_it(embedded: str) -> None:
    """Faust acknowledges what an agent raised on; here the process ends, and the next one does the beat again."""
    made = region(stations=4, partitions=2)
    deployment = deployment_of(embedded, "raise", True)
    with WorkerProcess(**settings(deployment), poison=0.123) as worker:
        await asyncio.to_thread(worker.wait_for, "CheckpointWritten", count=2)
        async with KafkaLog(deployment) as log:
            one = Reading(station="s000", parameter=Parameter.STAGE, time_ms=1, value=0.123, received_ms=1, provider="t")
            offset = (await (await log.send(deployment.readings, to_json(one), b"b0", 0))).offset
        assert await asyncio.to_thread(worker.ends) == ExitCode.INVARIANT
    assert "poisoned" in worker.words and worker.words.count("the worker ends with code") == 1
    assert (await committed(deployment, 2))[0] <= offset
    with WorkerProcess(**settings(deployment)) as worker:
        await asyncio.to_thread(worker.wait_for, "Ready", ready=True)
        await produce(replace(deployment), made, 1.0)
        await asyncio.sleep(1)
        assert await asyncio.to_thread(worker.stop) == ExitCode.OK
    await judge(deployment, made)


async def test_records_that_wait_and_are_not_taken_end(embedded: str) -> None:
    deployment = deployment_of(embedded, "stuck", True)
    with WorkerProcess(**settings(deployment), patience_s=3.0, stuck=0.123) as worker:
        await asyncio.to_thread(worker.wait_for, "Ready", ready=True)
        async with KafkaLog(deployment) as log:
            one = Reading(station="s000", parameter=Parameter.STAGE, time_ms=1, value=0.123, received_ms=1, provider="t")
            await (await log.send(deployment.readings, to_json(one), b"b0", 0))
        assert await asyncio.to_thread(worker.ends) == ExitCode.NO_PROGRESS
    assert "records wait and none was taken" in worker.words
