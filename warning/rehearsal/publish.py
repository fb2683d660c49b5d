"""One record onto a topic, for benches that begin behind the pipeline."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer

from warning import access
from warning.deployment import Deployment


async def publish(deployment: Deployment, topic: str, key: str, value: bytes) -> None:
    """Returns when all replicas have it. Raises KafkaError."""
    producer = AIOKafkaProducer(**access.arguments(deployment), acks="all")
    await producer.start()
    try:
        await producer.send_and_wait(topic, key=key.encode(), value=value)
    finally:
        await producer.stop()
