"""The worker group's offsets, read and written from outside while no worker lives: benches and repairs have no member in the group."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from warning import access
from warning.deployment import Deployment


class Offsets:
    """``ports.Group`` without a member. The brokers refuse it as soon as a worker lives: its group has a generation, we have none."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._consumer: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> Offsets:
        self._consumer = AIOKafkaConsumer(
            **access.arguments(self._deployment), group_id=self._deployment.group, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        try:
            await self._consumer.start()
        except KafkaError as error:
            await self._consumer.stop()
            raise access.in_words(error, self._deployment) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._consumer is not None:
            await self._consumer.stop()

    async def committed(self, partition: int) -> tuple[int | None, str]:
        """(offset, ""): the client does not hand on the metadata."""
        return await self._mine(partition).committed(TopicPartition(self._deployment.readings, partition)), ""

    async def commit(self, partition: int, offset: int, metadata: str) -> str:
        """ "" or why the brokers refused."""
        try:
            await self._mine(partition).commit({TopicPartition(self._deployment.readings, partition): OffsetAndMetadata(offset, metadata)})
        except KafkaError as error:
            return repr(error)
        return ""

    def _mine(self, partition: int) -> AIOKafkaConsumer:
        assert self._consumer is not None
        tp = TopicPartition(self._deployment.readings, partition)
        if tp not in self._consumer.assignment():
            self._consumer.assign([*self._consumer.assignment(), tp])
        return self._consumer
