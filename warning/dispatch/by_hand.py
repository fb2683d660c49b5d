"""What people raised, corrected or cancelled by hand, onto ``alerts``: from SQL, where it is decided, into the log that all read.

Published again until it comes back out of the log (the ledger then knows it): killed anywhere, it goes out once more, with the same
bytes under the same identifier. What expired while no broker took it stays where it is, and the log of this process says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError

from warning import access
from warning.deployment import Deployment
from warning.dispatch.ledger import Ledger
from warning.dispatch.planner import DECODER
from warning.errors import WarningSystemError
from warning.model import AlertEvent

log = logging.getLogger(__name__)

EVERY_S = 0.5
AGAIN_S = 10.0  # what was published and has not come back is published again
WITHIN_S = 10.0


class ByHand:
    """``manual``: identifier -> the event as JSON, as ``Standing.manual`` has it now."""

    def __init__(
        self, deployment: Deployment, ledger: Ledger, manual: Callable[[], Mapping[str, bytes]], now_ms: Callable[[], int]
    ) -> None:
        self._deployment, self._ledger, self._manual, self._now_ms = deployment, ledger, manual, now_ms
        self._done: set[str] = set()  # in the ledger, or of no use any more
        self._sent_s: dict[str, float] = {}
        self._producer: AIOKafkaProducer | None = None

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                try:
                    await self.once()
                except (KafkaError, OSError, DBAPIError, WarningSystemError) as error:
                    told = (
                        access.in_words(error, self._deployment, self._deployment.alerts) if isinstance(error, KafkaError) else repr(error)
                    )
                    log.error("alerts by hand wait, broker or ledger does not answer: %s", told)
                    await self._drop()
                await asyncio.sleep(EVERY_S)
        finally:
            await self._drop()

    async def once(self) -> int:
        """Publishes what is due; returns how many. Raises what broker and ledger raise."""
        waiting = await self._waiting()
        due = [
            name
            for name in waiting
            if asyncio.get_running_loop().time() >= self._sent_s.get(name, 0.0) + AGAIN_S or name not in self._sent_s
        ]
        if not due:
            return 0
        producer = await self._connected()
        for name in due:  # in the order of the decisions: a cancel never before what it ends
            async with asyncio.timeout(WITHIN_S):
                await producer.send_and_wait(self._deployment.alerts, key=name.encode(), value=waiting[name])
            self._sent_s[name] = asyncio.get_running_loop().time()
            log.warning("alert %s, by hand, is in the log", name)
        return len(due)

    async def _waiting(self) -> dict[str, bytes]:
        new = {name: value for name, value in self._manual().items() if name not in self._done}
        if not new:
            return {}
        for name in await self._ledger.known_digests(list(new)):
            self._forget(name)
            del new[name]
        for name, value in list(new.items()):
            event: AlertEvent = DECODER.decode(value)
            if self._now_ms() >= event.alert.expires_ms:
                log.error("alert %s, by hand, expired before any broker took it", name)
                self._forget(name)
                del new[name]
        return new

    def _forget(self, name: str) -> None:
        self._done.add(name)
        self._sent_s.pop(name, None)

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(**access.arguments(self._deployment), acks="all", request_timeout_ms=10_000)
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def _drop(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()
