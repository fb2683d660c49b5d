"""The log of the job on a broker, and what the engines wrote."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition
from job import Change, records

BATCH_BYTES = 64 << 10  # some 450 readings: what a gateway writes at once under load
IN_FLIGHT = 64
FOR_EVER = {"retention.ms": "-1", "retention.bytes": "-1"}  # times are of last year: a broker would delete them at once


async def make(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=FOR_EVER)])
    finally:
        await admin.close()


async def write(bootstrap: str, topic: str, readings: int, progress: Callable[[int], None]) -> None:
    """The log, in partition 0; each record has the time of its reading. Idempotent: a batch that is sent again keeps its place."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, max_batch_size=BATCH_BYTES)
    await producer.start()
    try:
        batch, sent, count = producer.create_batch(), [], 0
        for key, value, time_ms in records(readings):
            if batch.append(key=key, value=value, timestamp=time_ms) is None:
                sent.append(await producer.send_batch(batch, topic, partition=0))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=time_ms)
                if len(sent) >= IN_FLIGHT:
                    await sent.pop(0)
            count += key is not None
            if count % 100_000 == 0 and key is not None:
                progress(count)
        sent.append(await producer.send_batch(batch, topic, partition=0))
        for each in sent:
            await each
    finally:
        await producer.stop()


async def changes(bootstrap: str, topic: str) -> list[Change]:
    """All that an engine wrote, in the order of the topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        at = TopicPartition(topic, 0)
        consumer.assign([at])
        end = (await consumer.end_offsets([at]))[at]
        found: list[Change] = []
        decode = msgspec.json.Decoder(Change).decode
        while await consumer.position(at) < end:
            found += [decode(record.value) for record in (await consumer.getmany(at, timeout_ms=1000)).get(at, ()) if record.value]
        return found
    finally:
        await consumer.stop()
