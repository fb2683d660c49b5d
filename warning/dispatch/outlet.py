"""Receipts to the broker. They wait in the ledger until every replica has them, so a crash repeats some and loses none."""

from __future__ import annotations

import asyncio
import logging

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError

from warning import access
from warning.deployment import Deployment
from warning.dispatch.ledger import Ledger
from warning.errors import WarningSystemError
from warning.facts import BrokerState, Listener

log = logging.getLogger(__name__)

MOST = 500
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
                if not await publish_once(ledger, producer, deployment.receipts):
                    await asyncio.sleep(IDLE_S)
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
        futures = [await producer.send(topic, key=alert.encode(), value=value) for _, alert, value in rows]
        await asyncio.gather(*futures)
        await ledger.published([number for number, _, _ in rows])
    return len(rows)


async def _connected(deployment: Deployment) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(**access.arguments(deployment), acks="all", request_timeout_ms=10_000)
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
