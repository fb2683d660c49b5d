"""``readings.inbox``: whoever has Kafka writes a reading there as it is (one record, one reading, the JSON of ``formats``).

A member of a consumer group beside the HTTP server: fetch, judge each record as a request's item is judged, append to ``readings`` and
``readings.rejected``, and only when the brokers have all of it commit the offset. A crash in between brings the same records again:
a reading's identity (station, parameter, time) makes its second copy harmless, a refused one has its partition and offset. Nothing
that a record holds stops the ones behind it. While the brokers are away it holds one portion and asks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as kafka

from warning import access
from warning.deployment import Deployment
from warning.errors import InputError, Unavailable, WarningSystemError
from warning.facts import InboxOwned, InboxTaken, InboxWaiting, Listener, nobody
from warning.ingest.fetched import Came, Fetched, Portion
from warning.ingest.formats import Refusal, refusal
from warning.ingest.gateway import Gateway, Sender
from warning.ingest.log import Place, Record

AWAY = (kafka.KafkaError, OSError, TimeoutError, Unavailable)

_SLICE = 200  # records between two turns of the event loop: requests over HTTP wait for no more
_AGAIN_S = (0.2, 5.0)  # the first pause, the longest
_START_S = 30.0
_STOP_S = 5.0
_LOOK_S = 1.0
_ABSENT_S = 10.0
_MOST_KEY_BYTES = 64 << 10

_log = logging.getLogger(__name__)


class Inbox(ConsumerRebalanceListener):  # type: ignore[misc]
    """``await inbox.run(stop)``. ``security``: aiokafka's arguments, asked for at each connection."""

    def __init__(
        self, deployment: Deployment, gateway: Gateway, listen: Listener = nobody, security: Callable[[], Mapping[str, Any]] = dict
    ) -> None:
        self._deployment, self._gateway, self._listen, self._security = deployment, gateway, listen, security
        self._topic = deployment.inbox
        self._working = asyncio.Lock()  # a portion is under way
        self._epoch = 0  # partitions given back so far: what was fetched before is another's to commit
        self._why, self._pause_s = "", _AGAIN_S[0]

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set and the portion under way is done. Comes back by itself from whatever happens: ``/livez`` tells."""
        self._listen(InboxOwned((), joined=False))
        while not stop.is_set():
            try:
                await self._life(stop)
            except (*AWAY, WarningSystemError) as error:
                self._say(str(access.in_words(error, self._deployment, self._topic)))
            except Exception:  # a bug of ours or of the library: the readings over HTTP must not end with it; /livez tells
                _log.exception("%s: reading it failed", self._topic)
            await _until(stop, self._pause_s)
            self._pause_s = min(2 * self._pause_s, _AGAIN_S[1])

    def _say(self, why: str) -> None:
        if why != self._why:
            _log.warning("%s cannot be read: %s", self._topic, why)
        self._why = why

    async def _life(self, stop: asyncio.Event) -> None:
        """One membership in the group."""
        session_ms = int(self._deployment.session_timeout_s * 1000)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._deployment.bootstrap,
            group_id=self._deployment.inbox_group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 4,
            rebalance_timeout_ms=6000 if self._deployment.embedded else 2 * session_ms,
            **self._security(),
        )
        looking: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(_START_S):
                await consumer.start()
                while self._topic not in await consumer.topics():  # to ask for it by name can create it
                    await self._absent(stop)
            consumer.subscribe([self._topic], listener=self)
            looking = asyncio.create_task(self._look(consumer), name="inbox-look")
            fetched = Fetched(consumer, self._topic)
            while not stop.is_set():
                portions = await fetched.portions()
                epoch = self._epoch  # of these partitions: the call above can last through a sharing out
                async with self._working:
                    if portions and epoch == self._epoch:
                        await self._take(consumer, portions, stop)
        finally:
            if looking is not None:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
            await _stopped(consumer)

    async def _absent(self, stop: asyncio.Event) -> None:
        self._say("there is no such topic")
        self._listen(InboxOwned(()))  # nothing to read is no fault of this process
        await _until(stop, _ABSENT_S)
        raise Unavailable(f"topic {self._topic} is not there")

    # --- the group

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """The portion under way is finished first, if it does not take too long: then nobody reads it again."""
        try:
            async with asyncio.timeout(self._deployment.session_timeout_s / 2), self._working:
                self._epoch += 1
        except TimeoutError:
            self._epoch += 1
        if revoked:
            self._listen(InboxOwned((), joined=False))

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._why, self._pause_s = "", _AGAIN_S[0]
        partitions = tuple(sorted(tp.partition for tp in assigned))
        _log.info("%s: partitions %s are ours", self._topic, ", ".join(map(str, partitions)) or "none")
        self._listen(InboxOwned(partitions))

    async def _look(self, consumer: Any) -> None:
        """How much waits, once a second. Where the brokers do not say, nothing is told, and that is what health goes by."""
        while True:
            await asyncio.sleep(_LOOK_S)
            owned = sorted(consumer.assignment())
            try:
                async with asyncio.timeout(_START_S):
                    ends = await consumer.end_offsets(owned) if owned else {}
                    for tp, end in ends.items():
                        self._listen(InboxWaiting(tp.partition, max(0, end - await consumer.position(tp))))
            except (*AWAY, AssertionError) as error:  # a partition that went meanwhile; or a broker, which the readings tell too
                _log.debug("%s: how much waits is not known: %r", self._topic, error)

    # --- records

    async def _take(self, consumer: Any, portions: Sequence[Portion], stop: asyncio.Event) -> None:
        """Judge, append, commit. Leaves the offset where it is if the partitions went or we stop before the brokers had it."""
        epoch = self._epoch
        records: dict[Place, list[Record]] = {}
        facts = [await self._judge(portion, records) for portion in portions]
        pause_s = _AGAIN_S[0]
        while True:
            try:
                await self._gateway.append(records)
                self._why = ""
                break
            except Unavailable as error:
                self._say(str(error))
                await _until(stop, pause_s)
                if stop.is_set() or epoch != self._epoch:
                    return
                pause_s = min(2 * pause_s, _AGAIN_S[1])
        offsets = {TopicPartition(self._topic, portion.partition): portion.next for portion in portions}
        if epoch == self._epoch:
            try:
                await consumer.commit(offsets)
            except (kafka.CommitFailedError, kafka.IllegalStateError) as error:
                _log.warning("%s: the group took our partitions; their new reader reads a portion again: %s", self._topic, error)
        for fact in facts:
            self._listen(fact)

    async def _judge(self, portion: Portion, records: dict[Place, list[Record]]) -> InboxTaken:
        """Adds what is to be appended to ``records``."""
        refused: Counter[str] = Counter()
        senders: dict[str, Sender] = {}
        for number, came in enumerate(portion.records, 1):
            sender = senders.setdefault(came.provider, Sender(came.provider))
            try:
                place, record = self._placed(came, sender)
            except InputError as error:
                refused[error.reason] += 1
                place, record = self._refused(came, error, portion.partition)
            records.setdefault(place, []).append(record)
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        return InboxTaken(portion.partition, len(portion.records) - refused.total(), dict(refused))

    def _placed(self, came: Came, sender: Sender) -> tuple[Place, Record]:
        if came.why:
            raise refusal(Refusal.UNREADABLE, "", came.why, "write record batches of format 2")
        if not came.value:
            what = "a record without a value" if came.value is None else "an empty value"
            raise refusal(Refusal.EMPTY, "", what, "one reading as a JSON object")
        try:
            return self._gateway.placed(came.value, sender)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # it would be tried for ever, and all behind it would wait
            _log.exception("%s: record %d was not judged", self._topic, came.offset)
            raise refusal(Refusal.INTERNAL, "", f"{type(error).__name__}: {error}", "this is our fault; it is logged") from error

    def _refused(self, came: Came, error: InputError, partition: int) -> tuple[Place, Record]:
        key = came.key if came.key is None or len(came.key) <= _MOST_KEY_BYTES else None
        return self._gateway.refused(came.value or b"", error, came.provider, key, partition, came.offset)


async def _until(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


async def _stopped(consumer: Any) -> None:
    """Leaves the group, if the brokers answer."""
    try:
        async with asyncio.timeout(_STOP_S):
            await consumer.stop()
    except AWAY as error:
        _log.info("the inbox's group was not left: %r", error)
