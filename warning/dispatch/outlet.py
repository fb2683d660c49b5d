"""Receipts to the broker. They wait in the ledger until every replica has them, so a crash repeats some and loses none."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.partitioner import DefaultPartitioner
from sqlalchemy.exc import DBAPIError

from warning import access
from warning.deployment import Deployment
from warning.dispatch.ledger import Ledger
from warning.errors import WarningSystemError
from warning.facts import BrokerState, Listener

log = logging.getLogger(__name__)

MOST, BATCH = 1000, 1 << 18  # receipts; bytes
PARTITIONER = DefaultPartitioner()
IDLE_S = 0.1
AGAIN_S = 1.0


async def publish(ledger: Ledger, deployment: Deployment, listen: Listener) -> None:
    """Publishes what the ledger holds, in its order, until it is cancelled."""
    producer: AIOKafkaProducer | None = None
    try:
        while True:
            try:
                if producer is None:
                    producer = await _connected(deployment)
                    listen(BrokerState(True))
                if await publish_once(ledger, producer, deployment.receipts) < MOST:
                    await asyncio.sleep(IDLE_S)  # a crowd gathers meanwhile, and goes together
            except (KafkaError, OSError, DBAPIError, WarningSystemError) as error:
                broker = isinstance(error, KafkaError | WarningSystemError)
                told = access.in_words(error, deployment, deployment.receipts) if broker else repr(error)
                log.warning("receipts wait, broker or ledger does not answer: %s", told)
                if broker:
                    listen(BrokerState(False))
                if producer:
                    await producer.stop()
                    producer = None
                await asyncio.sleep(AGAIN_S)
    finally:
        if producer:
            await producer.stop()


async def publish_once(ledger: Ledger, producer: AIOKafkaProducer, topic: str) -> int:
    """One batch; returns its size. Raises KafkaError; nothing is marked then."""
    rows = await ledger.unpublished(MOST)
    if rows:
        await _sent(producer, topic, rows)
        await ledger.published([number for number, _, _ in rows])
    return len(rows)


async def _sent(producer: AIOKafkaProducer, topic: str, rows: Sequence[tuple[int, str, bytes]]) -> None:
    """The receipts of one alert stand in one partition in their order, and go in batches: to hand them over one by one costs five times as
    much. Returns when every replica has them."""
    partitions = sorted(await producer.partitions_for(topic))
    confirmed = []
    for alert, own in itertools.groupby(sorted(rows, key=lambda row: (row[1], row[0])), key=lambda row: row[1]):
        key = alert.encode()
        partition = PARTITIONER(key, partitions, partitions)
        batch = producer.create_batch()
        for _, _, value in own:
            if batch.append(key=key, value=value, timestamp=None) is None:  # it is full
                confirmed.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                if batch.append(key=key, value=value, timestamp=None) is None:
                    raise MessageSizeTooLargeError(f"a receipt of {len(value)} bytes")
        confirmed.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*confirmed)


async def _connected(deployment: Deployment) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(**access.arguments(deployment), acks="all", request_timeout_ms=10_000, max_batch_size=BATCH)
    try:
        await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return producer


async def drain(ledger: Ledger) -> None:
    """Receipts of what was just finished still go out, if the broker takes them within two seconds."""
    for _ in range(20):
        if not await ledger.unpublished(1):
            return
        await asyncio.sleep(0.1)
