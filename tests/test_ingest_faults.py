"""The broker or the database goes away, the gateway is killed: nothing acknowledged is missing, and it comes back by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from ingest_house import HOST, Ingest, deployment, ingest, records, two_basins, wall_ms
from services import ApacheKafka, apache_kafka
from test_ingest import stage

from warning.errors import Unavailable
from warning.facts import BrokerState
from warning.ingest.keys import KeyStore
from warning.ingest.log import KafkaLog
from warning.model import Reading
from warning.stream.broker import EmbeddedBroker
from warning.stream.topics import ensure_topics


async def until(true: Callable[[], Awaitable[bool]], within_s: float = 120.0) -> None:
    end = time.monotonic() + within_s
    while not await true():
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


async def accepted(house: Ingest) -> bool:
    return (await house.post(stage(9.0)))[0] == 202


async def assert_503(house: Ingest, within_s: float) -> None:
    began = time.monotonic()
    status, answer, response = await house.post(stage(2.0))
    assert (status, response.content_type) == (503, "application/problem+json")
    assert answer["reason"] in ("unavailable", "timeout")
    assert int(response.headers["Retry-After"]) >= 1
    assert time.monotonic() - began < within_s


async def test_the_broker_dies_and_comes_back_empty(tmp_path: Path) -> None:
    broker = EmbeddedBroker().start()
    try:
        async with ingest(broker.bootstrap, tmp_path, two_basins(tmp_path), within_s=3.0) as house:
            assert await accepted(house)
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGKILL)
            broker.stop()
            await assert_503(house, 3.0 + 4)
            await assert_503(house, 2.0)  # now it knows
            assert house.facts.count(BrokerState(up=False)) == 2
            broker.start()  # as empty as at first: until the topics are there, nothing is written
            await asyncio.sleep(2)
            await assert_503(house, 2.0)
            await ensure_topics(house.deployment, house.region.partitions)
            await until(lambda: accepted(house))
            assert [reading.value for reading in await house.readings()] == [9.0]
            assert house.log.up
    finally:
        broker.stop()


async def test_the_broker_hangs_and_goes_on(tmp_path: Path) -> None:
    """A stopped process keeps its sockets open: only time tells. What was sent meanwhile may be there twice, but is there."""
    with EmbeddedBroker() as broker:
        async with ingest(broker.bootstrap, tmp_path, two_basins(tmp_path), within_s=2.0) as house:
            assert await accepted(house)
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                answers = await asyncio.gather(*(house.post(stage(number)) for number in range(20)))
                assert {status for status, _, _ in answers} == {503}
                await assert_503(house, 2.0 + 4)
            finally:
                os.kill(broker.pid, signal.SIGCONT)
            await until(lambda: accepted(house))


async def test_a_gateway_that_starts_before_its_broker(tmp_path: Path) -> None:
    broker = EmbeddedBroker()
    try:
        async with ingest(broker.bootstrap, tmp_path, two_basins(tmp_path), within_s=2.0, topics=False) as house:
            await assert_503(house, 2.0)
            broker.start()
            await ensure_topics(house.deployment, house.region.partitions)
            await until(lambda: accepted(house))
    finally:
        broker.stop()


async def test_a_topic_with_another_number_of_partitions_gets_nothing(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker:
        place = deployment(broker.bootstrap, tmp_path)
        await ensure_topics(place, 3)
        log = KafkaLog(broker.bootstrap, {place.readings: 2}, idempotent=False, within_s=2.0)
        await log.start()
        try:
            assert not await log.until_up(2.0)
            assert "has 3 partitions, 2 are configured" in log.why
            with pytest.raises(Unavailable, match="3 partitions"):
                await log.append({(place.readings, 0): [(b"oak", b"x")]})
        finally:
            await log.stop()


@pytest.mark.timeout(60)
async def test_nobody_waits_for_what_can_never_be_held(tmp_path: Path) -> None:
    """More waits than a slow broker explains: the next sender hears it at once, and memory stays bounded."""
    with EmbeddedBroker() as broker:
        place = deployment(broker.bootstrap, tmp_path)
        await ensure_topics(place, 1)
        log = KafkaLog(broker.bootstrap, {place.readings: 1}, idempotent=False, within_s=4.0)
        await log.start()
        assert await log.until_up(60)
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            big = [(b"oak", bytes(100_000))] * 100
            tasks = [asyncio.create_task(log.append({(place.readings, 0): big})) for _ in range(12)]
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(error) for error in ended} == {Unavailable}
            assert "overloaded" in {error.reason for error in ended if isinstance(error, Unavailable)}
        finally:
            os.kill(broker.pid, signal.SIGCONT)
            await log.stop()
        assert log._waiting_bytes == 0


async def test_the_database_is_away(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker:
        async with ingest(broker.bootstrap, tmp_path, two_basins(tmp_path)) as house:
            lost = KeyStore(f"sqlite+aiosqlite:///{tmp_path}/no/such/folder/x.db", wall_ms)
            house.keys._engine, right = lost._engine, house.keys._engine
            house.keys._table_is_there = False
            status, answer, response = await house.post(stage())
            assert (status, answer["reason"], response.headers["Retry-After"]) == (503, "database", "5")
            house.keys._engine = right
            assert await accepted(house)
            await lost.close()


_SERVER = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = sys.argv[4].split(":")
from ingest_house import wall_ms
from warning import config
from warning.deployment import Deployment
from warning.ingest.gateway import Gateway
from warning.ingest.http import create_app
from warning.ingest.keys import KeyStore
from warning.ingest.log import KafkaLog
from warning.ingest.serving import serve

async def main(bootstrap, prefix, folder):
    region = config.load(folder / "oak")
    place = Deployment(bootstrap=bootstrap, prefix=prefix, directory=folder, embedded=True)
    log = KafkaLog(bootstrap, Gateway.topics(region, place), idempotent=False)
    await log.start()
    assert await log.until_up(60)
    server = await serve(create_app(Gateway(region, place, log, wall_ms), KeyStore(place.database, wall_ms)), "127.0.0.1", 0)
    print(server.port, flush=True)
    await asyncio.Event().wait()

asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
"""


@pytest.mark.parametrize("after", [5, 40, 150])
async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, after: int) -> None:
    """Eight senders, one number after the other, until the process is killed after so many answers."""
    with EmbeddedBroker() as broker:
        region = two_basins(tmp_path)
        place = deployment(broker.bootstrap, tmp_path)
        await ensure_topics(place, region.partitions)
        keys = KeyStore(place.database, wall_ms)
        _, key = await keys.create("agency")
        await keys.close()
        paths = f"{Path(__file__).parent}:{Path(__file__).parent.parent}"
        command = [sys.executable, "-c", _SERVER, broker.bootstrap, place.prefix, str(tmp_path), paths]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            port = int(await asyncio.to_thread(process.stdout.readline))
            known: list[float] = []

            async def sender(number: int) -> None:
                async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
                    for step in range(10_000):
                        value = number * 10_000.0 + step
                        try:
                            async with http.post(f"http://{HOST}:{port}/v1/readings", json=stage(value)) as response:
                                if response.status == 202:
                                    known.append(value)
                        except aiohttp.ClientError:
                            return
                        if len(known) >= after and process.returncode is None:
                            process.kill()
                            process.wait()

            await asyncio.gather(*(sender(number) for number in range(8)))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        found = [_value(value) for _, value in await records(place.bootstrap, place.readings, 0)]
        assert len(known) >= after
        assert set(known) <= set(found)
        assert len(found) == len(set(found))
        assert len(found) - len(known) <= 8  # what was in flight at that moment


def _value(record: bytes) -> float | None:
    import msgspec

    return msgspec.json.decode(record, type=Reading).value


@pytest.fixture(scope="module")
def kafka() -> Iterator[ApacheKafka]:
    with apache_kafka() as running:
        yield running


async def test_brokers_that_take_less_than_the_default(kafka: ApacheKafka, tmp_path: Path) -> None:
    """Batches get shorter until they go through; of what is refused the beginning is kept; neither holds up the readings beside it."""
    async with ingest(kafka.bootstrap, tmp_path, two_basins(tmp_path), embedded=False, topics=False) as house:
        admin, place = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap), house.deployment
        await admin.start()
        partitions = {topic.name: house.region.partitions if topic.by_partition else 1 for topic in place.topics}
        small = {"max.message.bytes": "20000"}  # from the beginning: a broker puts a change into effect some time after it has said yes
        await admin.create_topics([NewTopic(name, partitions[name], 1, topic_configs=small) for name in (place.readings, place.rejected)])
        await admin.close()
        await ensure_topics(place, house.region.partitions)
        assert await house.log.until_up(60), house.log.why
        items = [stage(number / 1000, ago_s=number) for number in range(1, 501)]  # 60 KB

        async def taken() -> bool:
            status, answer, _ = await house.post(items)
            return (status, answer.get("accepted")) == (202, 500)

        async def kept() -> bool:
            return (await house.post(b"x" * 60_000))[0] == 400

        await until(taken)
        await until(kept)
        assert await accepted(house)
        assert [reading.value for reading in await house.readings()][-501:] == [*(number / 1000 for number in range(1, 501)), 9.0]
        [letter] = await house.rejected()
        assert 5_000 < len(letter.record) < 20_000 and "shortened" in letter.detail


async def test_apache_kafka_dies_and_comes_back(kafka: ApacheKafka, tmp_path: Path) -> None:
    """The idempotent producer on the real thing: 503 while it is away, all that was acknowledged is there afterwards, once."""
    async with ingest(kafka.bootstrap, tmp_path, two_basins(tmp_path), embedded=False, within_s=5.0) as house:
        items = [stage(number / 1000, ago_s=number) for number in range(1, 3001)]
        for start in range(0, 3000, 1000):
            status, answer, _ = await house.post(items[start : start + 1000])
            assert (status, answer["accepted"]) == (202, 1000)
        assert [reading.value for reading in await house.readings()] == [number / 1000 for number in range(1, 3001)]
        kafka.kill()
        await assert_503(house, 5.0 + 5)
        await assert_503(house, 2.0)
        await asyncio.to_thread(kafka.start)
        await until(lambda: accepted(house), 120)
        found = [reading.value for reading in await house.readings()]
        assert found[:3000] == [number / 1000 for number in range(1, 3001)]
        assert 9.0 in found[3000:]
