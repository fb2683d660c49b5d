"""``readings.inbox`` on real brokers: judged, kept, committed after the log has it; nothing that a record holds stops the next."""

from __future__ import annotations

import asyncio
import base64
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from crc32c import crc32c
from ingest_house import deployment, records, two_basins, wall_ms
from services import ApacheKafka, apache_kafka, embedded

from warning.deployment import Deployment
from warning.facts import Fact, InboxOwned, InboxTaken, InboxWaiting
from warning.ingest.gateway import Gateway
from warning.ingest.inbox import Inbox
from warning.ingest.log import KafkaLog, Place, Record
from warning.model import Parameter, Reading, Rejected
from warning.region import Region
from warning.stream.broker import EmbeddedBroker
from warning.stream.topics import ensure_topics


def good(station: str = "A", value: float = 1.5, minute: int = 0) -> bytes:
    at = datetime.fromtimestamp(1_756_000_000 + 60 * minute, UTC).isoformat()
    return msgspec.json.encode({"station": station, "parameter": "stage", "time": at, "value": value, "unit": "m", "datum": "gauge_zero"})


@dataclass
class House:
    region: Region
    place: Deployment
    log: KafkaLog
    facts: list[Fact] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def told(self, kind: type[Fact]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    @property
    def done(self) -> int:
        return sum(fact.taken + sum(fact.refused.values()) for fact in self.told(InboxTaken))

    async def readings(self, partition: int = 0) -> list[Reading]:
        return [
            msgspec.json.decode(value, type=Reading) for _, value in await records(self.place.bootstrap, self.place.readings, partition)
        ]

    async def rejected(self) -> list[tuple[bytes | None, Rejected]]:
        found = await records(self.place.bootstrap, self.place.rejected, 0)
        return [(key, msgspec.json.decode(value, type=Rejected)) for key, value in found]

    async def committed(self, partition: int = 0) -> int | None:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.place.bootstrap, group_id=self.place.inbox_group, enable_auto_commit=False)
        await consumer.start()
        try:
            return await consumer.committed(TopicPartition(self.place.inbox, partition))
        finally:
            await consumer.stop()


async def until(what: Callable[[], bool], at: House, within_s: float = 120.0) -> None:
    end = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end, f"not in time; told so far: {at.facts[-20:]}"
        await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def broker() -> Iterator[ApacheKafka]:
    with apache_kafka() as running:
        yield running


@pytest.fixture
def either(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "kafka":
        yield request.getfixturevalue("broker")
    else:
        with embedded() as running:
            yield running


@asynccontextmanager
async def house(broker: Any, folder: Path) -> AsyncIterator[House]:
    region = two_basins(folder)
    place = deployment(broker.bootstrap, folder, isinstance(broker, EmbeddedBroker))
    await ensure_topics(place, region.partitions)
    log = KafkaLog(place.bootstrap, Gateway.topics(region, place), idempotent=not place.embedded, within_s=5.0)
    await log.start()
    assert await log.until_up(60), log.why
    try:
        yield House(region, place, log)
    finally:
        await log.stop()


@asynccontextmanager
async def reader(at: House, gateway: Gateway | None = None) -> AsyncIterator[Inbox]:
    """An inbox that runs until the block is left."""
    stop = asyncio.Event()
    inbox = Inbox(at.place, gateway or Gateway(at.region, at.place, at.log, wall_ms), at.facts.append)
    task = asyncio.create_task(inbox.run(stop))
    try:
        yield inbox
    finally:
        stop.set()
        await asyncio.wait_for(task, 120)


@asynccontextmanager
async def sender(at: House, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=at.place.bootstrap, acks="all", enable_idempotence=False, **options) as producer:
        yield producer


async def send_batch(producer: AIOKafkaProducer, at: House, raw: bytes, partition: int = 0) -> None:
    """Bytes of a record batch as they are."""
    batch = producer.create_batch()
    batch.append(key=None, value=b"x", timestamp=1)
    batch.close()
    batch._buffer = bytearray(raw)
    await (await producer.send_batch(batch, at.place.inbox, partition=partition))


@pytest.mark.parametrize("either", ["embedded", "kafka"], indirect=True)
async def test_every_record_is_taken_or_kept_with_its_reason(either: Any, tmp_path: Path) -> None:
    async with house(either, tmp_path) as at, reader(at), sender(at) as producer:
        sent: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = [
            (None, good(minute=0), []),
            (b"any", good("B", 2.5), [("provider", b"wapda")]),
            (b"k", b'{"station": "A"', []),
            (None, None, []),
            (b"", b"", []),
            (b"\xff", b"\xff\xfe\x00", [("provider", b"no such name \xff")]),
            (None, good("NOWHERE"), []),
            (None, b"[" * 60_000, []),
            (None, good(minute=2), [("provider", b"\n")]),
        ]
        for key, value, headers in sent:
            batch = producer.create_batch()  # send refuses neither key nor value; other clients do not
            batch.append(key=key, value=value, timestamp=wall_ms(), headers=headers)
            await (await producer.send_batch(batch, at.place.inbox, partition=0))
        discharge = {"station": "D", "parameter": "inflow", "time": "2025-09-02T12:00:00+05:00", "value": 350000, "unit": "cusec"}
        await producer.send_and_wait(at.place.inbox, msgspec.json.encode(discharge), b"pine", partition=1)
        await until(lambda: at.done == len(sent) + 1, at)
    readings = await at.readings()
    assert [(one.station, one.value, one.provider) for one in readings] == [
        ("A", 1.5, "inbox"),
        ("B", 2.5, "inbox:wapda"),
        ("A", 1.5, "inbox"),
    ]
    assert all(abs(one.received_ms - wall_ms()) < 120_000 for one in readings)
    [flow] = await at.readings(1)
    assert (flow.station, flow.parameter) == ("D", Parameter.INFLOW) and flow.value == pytest.approx(9910.896)
    kept = await at.rejected()
    assert [(each.offset, each.reason) for _, each in kept] == [
        (2, "malformed"),
        (3, "empty"),
        (4, "empty"),
        (5, "malformed"),
        (6, "station_unknown"),
        (7, "malformed"),
    ]
    for key, each in kept:
        assert key == sent[each.offset][0] and (each.stage, each.partition) == ("inbox", 0)
        text = base64.b64decode(each.record) if each.encoding == "base64" else each.record.encode()
        assert text == (sent[each.offset][1] or b"")
    assert (await at.committed(0), await at.committed(1)) == (len(sent), 1)


async def test_what_senders_compress_is_read(broker: ApacheKafka, tmp_path: Path) -> None:
    async with house(broker, tmp_path) as at:
        for number, codec in enumerate(["gzip", "snappy", "lz4", "zstd"]):
            async with sender(at, compression_type=codec) as producer:
                for minute in range(20):
                    await producer.send(at.place.inbox, good(minute=20 * number + minute), partition=0)
        async with reader(at):
            await until(lambda: at.done == 80, at)
        assert len({one.time_ms for one in await at.readings()}) == 80


def headed(count: int) -> bytes:
    """A batch of readings, one of them with a header whose name is no UTF-8: aiokafka gives up the fetch that holds it."""
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
    for number in range(count):
        builder.append(number, timestamp=wall_ms(), key=None, value=good(minute=number), headers=[("AAAA", b"x")])
    raw = bytearray(builder.build())
    at = raw.rindex(b"AAAA")
    raw[at : at + 4] = b"\xff\xfe\xff\xfe"
    raw[17:21] = struct.pack(">I", crc32c(bytes(raw[21:])))
    return bytes(raw)


async def test_a_header_that_is_no_utf8_costs_no_reading(broker: ApacheKafka, tmp_path: Path) -> None:
    async with house(broker, tmp_path) as at, sender(at) as producer:
        await producer.send_and_wait(at.place.inbox, good("B"), partition=0)
        await send_batch(producer, at, headed(5))
        await producer.send_and_wait(at.place.inbox, good("C"), partition=0)
        async with reader(at):
            await until(lambda: at.done == 7, at)
    assert [one.station for one in await at.readings()] == ["B", "A", "A", "A", "A", "A", "C"]
    assert await at.rejected() == [] and await at.committed() == 7


async def test_a_torn_batch_costs_nothing_of_the_other_partition(broker: ApacheKafka, tmp_path: Path) -> None:
    """aiokafka moves on in the partitions before it when the next one's batch makes it raise: those records would be lost."""
    async with house(broker, tmp_path) as at, sender(at) as producer:
        for _ in range(5):
            for partition in (0, 1):
                await producer.send_and_wait(at.place.inbox, good(), partition=partition)
                await send_batch(producer, at, headed(3), partition)
        async with reader(at):
            await until(lambda: at.done == 40, at)
        assert len(await at.readings()) == 40


async def test_what_was_written_in_vain_is_not_read(broker: ApacheKafka, tmp_path: Path) -> None:
    """A sender's transaction that was given up, beside one that was not, and a batch that makes us read the bytes ourselves."""
    async with house(broker, tmp_path) as at:
        async with AIOKafkaProducer(bootstrap_servers=at.place.bootstrap, transactional_id=f"{at.place.prefix}s") as producer:
            async with producer.transaction():
                await producer.send(at.place.inbox, good("A"), partition=0)
            await producer.begin_transaction()
            await producer.send_and_wait(at.place.inbox, good("B"), partition=0)
            await producer.abort_transaction()
            async with producer.transaction():
                await producer.send(at.place.inbox, good("C"), partition=0)
        async with sender(at) as producer:
            await send_batch(producer, at, headed(3))
        async with reader(at):
            await until(lambda: at.done == 5, at)
            await until(
                lambda: set(at.told(InboxWaiting)[-2:]) == {InboxWaiting(0, 0), InboxWaiting(1, 0)}, at
            )  # marks are nothing that waits
        assert [one.station for one in await at.readings()] == ["A", "C", "A", "A", "A"]


async def test_a_record_of_10_mb(broker: ApacheKafka, tmp_path: Path) -> None:
    async with house(broker, tmp_path) as at:
        admin = AIOKafkaAdminClient(bootstrap_servers=at.place.bootstrap)
        await admin.start()
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, at.place.inbox, {"max.message.bytes": str(20 << 20)})])
        await admin.close()
        async with sender(at, max_request_size=20 << 20) as producer:
            await producer.send_and_wait(at.place.inbox, good("A"), partition=0)
            for left in range(300, -1, -1):  # a broker puts the change into effect a little later; what it refuses leaves no offset
                try:
                    await producer.send_and_wait(at.place.inbox, b"\x01" * (10 << 20), b"k" * (1 << 20), partition=0)
                    break
                except MessageSizeTooLargeError:
                    assert left, "the broker never took the change"
                    await asyncio.sleep(0.1)
            await producer.send_and_wait(at.place.inbox, good("B"), partition=0)
        async with reader(at):
            await until(lambda: at.done == 3, at)
        assert [one.station for one in await at.readings()] == ["A", "B"]
        [(key, kept)] = await at.rejected()
        assert (
            key is None and kept.record == "\x01" * (64 << 10) and "the first 65536 of 10485760 bytes" in kept.detail and kept.offset == 1
        )


class Killed(BaseException):
    """kill -9: no handler of ours may stop it."""


class Dying:
    """The gateway's log: the brokers have it all, and we die before we hear of it."""

    def __init__(self, log: KafkaLog) -> None:
        self._log = log

    async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
        await self._log.append(records)
        raise Killed


async def test_killed_between_the_log_and_the_commit(broker: ApacheKafka, tmp_path: Path) -> None:
    async with house(broker, tmp_path) as at, sender(at) as producer:
        for minute in range(50):
            await producer.send(at.place.inbox, good(minute=minute) if minute % 10 else b"{", partition=0)
        await producer.flush()
        dying = Inbox(at.place, Gateway(at.region, at.place, Dying(at.log), wall_ms), at.facts.append)
        with pytest.raises(Killed):
            await dying.run(asyncio.Event())
        assert at.done == 0 and await at.committed() is None
        async with reader(at):
            await until(lambda: at.done == 50, at)
    times = [one.time_ms for one in await at.readings()]
    assert times[45:] == sorted(set(times)) and set(times[:45]) <= set(times[45:])  # twice, in order: the stream knows a reading again
    kept = [(each.partition, each.offset, each.record) for _, each in await at.rejected()]
    assert set(kept) == {(0, offset, "{") for offset in range(0, 50, 10)}
    assert await at.committed() == 50


async def test_readers_come_and_go_and_nothing_is_read_twice(broker: ApacheKafka, tmp_path: Path) -> None:
    async with house(broker, tmp_path) as at, sender(at, linger_ms=5) as producer:

        async def send() -> None:
            for minute in range(4000):
                await producer.send(at.place.inbox, good(minute=minute), partition=minute % 2)
                if minute % 20 == 0:
                    await asyncio.sleep(0.01)

        sending = asyncio.create_task(send())
        async with reader(at):
            await until(lambda: at.done > 0, at)
            for _ in range(2):
                async with reader(at):
                    owned = len(at.told(InboxOwned))
                    await until(lambda: len([each for each in at.told(InboxOwned)[owned:] if each.joined]) > 1, at)  # noqa: B023
            await sending
            await producer.flush()
            await until(lambda: at.done >= 4000, at)
        assert at.done == 4000
    assert sorted(one.time_ms for one in await at.readings()) == [1_756_000_000_000 + 60_000 * minute for minute in range(4000)]


async def test_the_broker_away(broker: ApacheKafka, tmp_path: Path) -> None:
    async with house(broker, tmp_path) as at:
        async with sender(at) as producer, reader(at):
            await producer.send_and_wait(at.place.inbox, good(minute=0), partition=0)
            await until(lambda: at.done == 1, at)
            broker.kill()
            await asyncio.sleep(1)
            await asyncio.to_thread(broker.start)
            await producer.send_and_wait(at.place.inbox, good(minute=1), partition=0)
            await until(lambda: at.done == 2, at, 120.0)
        assert {one.time_ms for one in await at.readings()} == {1_756_000_000_000, 1_756_000_060_000}
