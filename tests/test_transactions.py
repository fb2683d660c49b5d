"""Somebody else's producer that writes to ``readings`` in transactions: their marks have offsets and hold nothing, and stop nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
import services
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from crc32c import crc32c
from regions import write_region
from stream_fake import FakeBroker, Life
from stream_worker import WorkerProcess
from test_stream_worker import deployment_of, floods, settings, until_committed
from test_transport import TOPIC, batch, rows, unpack

from warning import config
from warning.deployment import Deployment
from warning.errors import ExitCode
from warning.model import Rejected
from warning.stream import transport
from warning.stream.archive import Range
from warning.stream.decisions import PIPELINE
from warning.stream.export import export
from warning.stream.exported import Exported
from warning.stream.feed import read_alerts, read_log
from warning.stream.kafka import KafkaLog
from warning.stream.marked import with_marks
from warning.stream.replay import LogRecord, documents, log_with_ticks, replay_file
from warning.stream.topics import ensure_topics

PER_TRANSACTION = 50


def mark(offset: int, committed: bool = True) -> bytes:
    """A control batch, as a broker writes it at the end of a transaction."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, 77, 0, -1, 1 << 10)
    builder.append(0, timestamp=5, key=b"\0\0\0" + (b"\1" if committed else b"\0"), value=b"\0" * 6, headers=[])
    raw = bytearray(builder.build())
    raw[0:8] = offset.to_bytes(8, "big")
    raw[22] |= 0x20
    raw[17:21] = crc32c(bytes(raw[21:])).to_bytes(4, "big")
    return bytes(raw)


@pytest.mark.parametrize("committed", [True, False])
def test_a_mark_is_an_empty_record(committed: bool) -> None:
    transport.install({TOPIC})
    raw = mark(9) + batch(10, rows(10, 4)) + mark(14, committed) + mark(15) + batch(16, rows(16, 3)) + mark(19)
    filled = [*rows(10, 4), (None, None), (None, None), *rows(16, 3), (None, None)]
    [run] = unpack(raw, 10)
    assert run.offset == 19 and list(zip(*run.value, strict=True)) == filled
    assert [(each.offset, each.key, each.value) for each in unpack(raw, 10, mark=with_marks)] == [
        (10 + at, *row) for at, row in enumerate(filled)
    ]
    [last] = unpack(mark(7), 7)
    assert last.offset == 7 and last.value == ([None], [None])
    assert [each.offset for each in unpack(raw, 10, mark=None)] == [10, 11, 12, 13, 16, 17, 18]  # others: plain aiokafka


async def test_marks_decide_nothing(tmp_path: Path) -> None:
    """They stand where no batch of the log ends: also in the middle of a beat, and at the end of the log."""
    oak = config.load(write_region(tmp_path))
    log = [(key, value) for partition, key, value in log_with_ticks(oak, floods(days=6), 3600) if partition == 0]
    want = documents(replay_file(oak, [LogRecord(0, key, value) for key, value in log]))
    assert len(want) >= 5
    deployment = Deployment(prefix="t.", checkpoint_every_s=-1.0)
    broker = FakeBroker()
    for at, record in enumerate(log):
        broker.topics[deployment.readings, 0] += [record, (None, None)] if at % 7 == 0 else [record]
    broker.topics[deployment.readings, 0].append((None, None))
    await Life(broker, oak, PIPELINE, deployment, "w1").run(13, len(log) // 2, last_save=False)
    broker.new_life()
    await Life(broker, oak, PIPELINE, deployment, "w2").run(17)
    assert {(key or b"").decode(): value for key, value in broker.topics[deployment.alerts, 0]} == want
    await export(broker, deployment, [oak], PIPELINE.code_of(oak), 0, Range(), tmp_path / "log")
    assert Exported.of(tmp_path / "log").documents() == want


async def write(deployment: Deployment, records: list[LogRecord]) -> int:
    """In transactions, each third one given up, and by a plain producer in between; how many transactions there were."""
    transactions = 0
    async with (
        AIOKafkaProducer(bootstrap_servers=deployment.bootstrap, transactional_id=f"{deployment.prefix}foreign") as foreign,
        AIOKafkaProducer(bootstrap_servers=deployment.bootstrap) as plain,
    ):
        for number, at in enumerate(range(0, len(records), PER_TRANSACTION)):
            producer = plain if number % 4 == 3 else foreign
            if producer is foreign:
                transactions += 1
                await foreign.begin_transaction()
            await asyncio.gather(
                *[
                    await producer.send(deployment.readings, each.value, each.key, each.partition)
                    for each in records[at : at + PER_TRANSACTION]
                ]
            )
            if producer is foreign:
                await (foreign.abort_transaction() if number % 3 == 0 else foreign.commit_transaction())
    return transactions


async def test_a_log_written_in_transactions(tmp_path: Path) -> None:
    """Killed in the middle, exported and replayed: what the records alone decide, those of transactions that were given up among them."""
    folder = write_region(tmp_path)
    oak = config.load(folder)
    records = list(log_with_ticks(oak, floods(days=6), 3600))
    want = documents(replay_file(oak, records))
    assert len(want) >= 5
    with services.apache_kafka() as kafka:
        place = deployment_of(kafka.bootstrap, "replay-t", False, replay=True, checkpoint_every_s=0.2)
        await ensure_topics(place, oak.partitions)
        transactions = await write(place, records)
        logs = [await read_log(place, partition) for partition in range(oak.partitions)]
        marks = sum(record[1:] == (None, None) for log in logs for record in log)
        assert all([offset for offset, _, _ in log] == list(range(len(log))) for log in logs)
        assert transactions > 8 and marks == sum(map(len, logs)) - len(records) == oak.partitions * transactions
        with WorkerProcess(**settings(place, folder)) as worker:
            await asyncio.to_thread(worker.wait_for, "BeatClosed", count=90)
            worker.kill()
        with WorkerProcess(**settings(place, folder)) as worker:
            last = [max(at for at, key, value in log if key is None and value is not None) + 1 for log in logs]
            await until_committed(place, dict(enumerate(last)))
            assert await asyncio.to_thread(worker.stop) == ExitCode.OK
        assert await read_alerts(place) == want
        refused = [msgspec.json.decode(value or b"", type=Rejected) for _, _, value in await read_log(place, 0, place.rejected)]
        empty = {(each.partition, each.offset) for each in refused if each.reason == "empty"}
        assert empty >= {(at, offset) for at, log in enumerate(logs) for offset, *record in log[: last[at]] if record == [None, None]}
        async with KafkaLog(place, writes=False) as log:
            await export(log, place, [oak], PIPELINE.code_of(oak), 0, Range(), tmp_path / "log")
        assert Exported.of(tmp_path / "log").documents() == want
