"""The log that readings are appended to: the port, and Kafka behind it.

``KafkaLog.append`` returns when all in-sync replicas have every record, and raises ``Unavailable`` otherwise, within bounded time.
An append that failed may still have been written, in whole or in part: the sender sends it again, and a reading's identity
(station, parameter, time) makes the second copy harmless. A record that the brokers would never take for its size is refused before
anything is sent (``TooLarge``): to try it again would hold up all beside it for ever.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from warning.batches import filled
from warning.errors import InputError, Unavailable, WarningSystemError
from warning.facts import BrokerState, Listener, nobody

Place = tuple[str, int]  # topic, partition
Record = tuple[bytes | None, bytes]  # key, value

_MOST_WAITING_BYTES = 64 << 20  # more than a broker that is slow, not away, ever lets pile up; then senders must wait
_MOST_GROUP_BYTES = 4 << 20  # what is taken from one lane at a time
_BATCH_BYTES = 256 << 10
_RECORD_OVERHEAD = 64
_LEAST_BATCH_BYTES = 4 << 10
_MOST_RECORD_BYTES = 1_000_000  # Kafka's default (message.max.bytes) is 1,048,588 with the batch around it
_AGAIN_AFTER_S = 5.0

_AWAY = (KafkaError, OSError, TimeoutError)
_SIZE = (MessageSizeTooLargeError, RecordListTooLargeError)

_log = logging.getLogger(__name__)


class TooLarge(InputError):
    """A record for ``place`` has over ``most`` bytes, key and value: nothing of what was to be appended was."""

    def __init__(self, place: Place, most: int) -> None:
        super().__init__(f"a record of over {most} bytes for {place[0]}", reason="too_large", field="", fix="send smaller ones")
        self.place, self.most = place, most


class Log(Protocol):
    async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
        """Appends all, each place in its order. Raises Unavailable unless every record is acknowledged, TooLarge before it tries."""


@dataclass(slots=True, eq=False)
class _Waiting:
    records: Sequence[Record]
    bytes: int
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Lane:
    """What waits for one place. One group is in flight at a time: what came meanwhile is the next group, one batch or a few."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    writer: asyncio.Task[None] | None = None


class KafkaLog:
    """Appends through one aiokafka producer, acks=all. While the broker is away ``append`` fails at once; it comes back by itself.

    ``partitions``: topic -> how many partitions it must have; with any other count (a topic that somebody made by accident)
    nothing is written, because basins would land in partitions that nobody reads. ``idempotent``: off for the embedded broker, which
    has no producer ids. A producer whose batch failed is thrown away: an idempotent one would retry for ever and hold what nobody
    waits for any more, and after a fatal error it never works again. ``security``: aiokafka's arguments, asked for at each connection;
    ``check`` raises what keeps us from writing, in words.
    """

    def __init__(
        self,
        bootstrap: str,
        partitions: Mapping[str, int],
        *,
        idempotent: bool = True,
        within_s: float = 10.0,
        listen: Listener = nobody,
        security: Callable[[], Mapping[str, Any]] = dict,
        check: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._bootstrap, self._partitions, self._idempotent = bootstrap, dict(partitions), idempotent
        self._within_s, self._listen, self._security, self._check = within_s, listen, security, check
        self._lanes: dict[Place, _Lane] = {}
        self._waiting_bytes = 0
        self._batch_bytes = _BATCH_BYTES  # less once the brokers refused one for its size: topics can be set below Kafka's default
        self._most: dict[str, int] = {}  # topic -> bytes of a record, where they refused a single one
        self._producer: Any = None
        self._why = "not connected yet"
        self._broken = asyncio.Event()
        self._changed = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()  # producers that are being thrown away
        self._stopping = False

    @property
    def up(self) -> bool:
        return self._producer is not None

    @property
    def why(self) -> str:
        """Why it is not up; empty if it is."""
        return "" if self.up else self._why

    async def start(self) -> None:
        """Begins to connect, and returns: a gateway whose broker is away answers 503, it does not refuse to start."""
        self._keeper = asyncio.create_task(self._keep_connected(), name="log-keeper")

    async def until_up(self, within_s: float) -> bool:
        """True as soon as the broker answers; False after ``within_s``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.up:
                    await self._changed.wait()
        return self.up

    async def stop(self) -> None:
        """Ends at once: what is not acknowledged fails with Unavailable. Let requests in flight end first (``http.serve`` does)."""
        self._stopping = True
        await _end([task for task in (self._keeper, *(lane.writer for lane in self._lanes.values())) if task])
        self._disconnect("the gateway stops")
        if self._ending:
            await asyncio.wait(self._ending, timeout=5.0)
            await _end(list(self._ending))

    async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
        if not self.up:
            raise Unavailable(f"the broker is away: {self._why}", retry_after_s=_AGAIN_AFTER_S)
        if self._waiting_bytes > _MOST_WAITING_BYTES:
            raise Unavailable("too much waits for the broker", reason="overloaded", retry_after_s=1.0)
        sizes = {place: self._size(place, those) for place, those in records.items() if those}
        futures = [self._enqueue(place, records[place], size) for place, size in sizes.items()]
        try:
            async with asyncio.timeout(self._within_s):
                await (futures[0] if len(futures) == 1 else asyncio.gather(*futures))
        except TimeoutError:
            words = f"the broker did not acknowledge within {self._within_s:g} s"
            raise Unavailable(words, reason="timeout", retry_after_s=_AGAIN_AFTER_S) from None
        finally:
            for future in futures:  # gather leaves the others running when one fails
                future.cancel()

    def _size(self, place: Place, records: Sequence[Record]) -> int:
        """Bytes of them. Raises TooLarge."""
        sizes = [len(key) + len(value) if key else len(value) for key, value in records]
        most = self._most.get(place[0], _MOST_RECORD_BYTES)
        if max(sizes) > most:
            raise TooLarge(place, most)
        return sum(sizes) + len(sizes) * _RECORD_OVERHEAD

    def _enqueue(self, place: Place, records: Sequence[Record], size: int) -> asyncio.Future[None]:
        lane = self._lanes.setdefault(place, _Lane())
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.waiting.append(_Waiting(records, size, done))
        self._waiting_bytes += size
        if lane.writer is None:
            lane.writer = asyncio.create_task(self._write(place, lane), name=f"log-{place[0]}-{place[1]}")
        lane.wake.set()
        return done

    async def _write(self, place: Place, lane: _Lane) -> None:
        while True:
            await lane.wake.wait()
            group = self._take(lane)
            if not group:
                lane.wake.clear()
                continue
            producer = self._producer
            try:
                async with asyncio.timeout(self._within_s):
                    await _send(producer, place, [record for waiting in group for record in waiting.records])
            except Exception as error:  # whatever it is, these readings are not safe, and the next ones need a writer
                if not isinstance(error, (*_AWAY, AssertionError)):  # aiokafka asserts that it knows the partition
                    _log.exception("append to %s failed", place)
                why = f"{type(error).__name__} {error}".strip()
                if isinstance(error, _SIZE):
                    self._refused_for_size(place, group)
                self._fail(group, why)
                if producer is not None and producer is self._producer:
                    self._why = why
                    self._broken.set()
            else:
                for waiting in group:
                    if not waiting.done.done():
                        waiting.done.set_result(None)
            finally:
                self._fail(group, "the gateway stops")  # only after a cancel is anything left to fail

    def _refused_for_size(self, place: Place, group: Sequence[_Waiting]) -> None:
        """The brokers take less than is Kafka's default: from now on batches are half as long, and records if they fill one alone."""
        largest = max(len(key or b"") + len(value) for waiting in group for key, value in waiting.records)
        if largest * 2 > self._batch_bytes:
            self._most[place[0]] = min(self._most.get(place[0], _MOST_RECORD_BYTES), largest) // 2
        self._batch_bytes = max(_LEAST_BATCH_BYTES, self._batch_bytes // 2)
        most = self._most.get(place[0], _MOST_RECORD_BYTES)
        _log.warning("%s refuses a batch for its size: at most %d bytes from now on, a record %d", place[0], self._batch_bytes, most)

    def _take(self, lane: _Lane) -> list[_Waiting]:
        """The next group: in order, without those whose sender has got its 503 already."""
        group: list[_Waiting] = []
        size = 0
        while lane.waiting and (not group or size + lane.waiting[0].bytes <= _MOST_GROUP_BYTES):
            waiting = lane.waiting.popleft()
            self._waiting_bytes -= waiting.bytes
            if not waiting.done.done():
                group.append(waiting)
                size += waiting.bytes
        return group

    def _fail(self, group: Sequence[_Waiting], why: str) -> None:
        for waiting in group:
            if not waiting.done.done():
                waiting.done.set_exception(Unavailable(f"the broker is away: {why}", retry_after_s=_AGAIN_AFTER_S))

    async def _keep_connected(self) -> None:
        pause_s = 0.2
        self._listen(BrokerState(up=False))
        while not self._stopping:
            self._broken.clear()
            producer = await self._connect()
            if producer is None:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _AGAIN_AFTER_S)
                continue
            pause_s = 0.2
            self._producer = producer
            self._changed.set()
            self._listen(BrokerState(up=True))
            await self._broken.wait()
            _log.warning("the broker is away: %s", self._why)
            self._listen(BrokerState(up=False))
            self._disconnect(self._why)

    async def _connect(self) -> Any:
        """A producer that is connected and sees every topic with the right number of partitions; None, and ``why``, otherwise."""
        try:
            if self._check is not None:
                await self._check()
            security = self._security()
        except WarningSystemError as error:
            return self._not_now(str(error))
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            enable_idempotence=self._idempotent,
            max_batch_size=self._batch_bytes,
            request_timeout_ms=max(1, int(self._within_s * 1000)),
            **security,
        )
        try:
            async with asyncio.timeout(self._within_s):
                await producer.start()
                cluster = await producer.client.fetch_all_metadata()  # all: to ask for one topic by name can create it
                for topic, count in self._partitions.items():
                    found = len(cluster.partitions_for_topic(topic) or ())
                    if found != count:
                        raise Unavailable(f"topic {topic} has {found} partitions, {count} are configured", reason="partitions")
        except Exception as error:  # as above: this task must outlive it
            if not isinstance(error, (*_AWAY, Unavailable)):
                _log.exception("cannot connect to %s", self._bootstrap)
            self._abandon(producer)
            return self._not_now(f"{type(error).__name__} {error}".strip())
        except asyncio.CancelledError:
            self._abandon(producer)
            raise
        return producer

    def _not_now(self, why: str) -> None:
        if why != self._why:
            _log.warning("cannot write to %s: %s", self._bootstrap, why)
        self._why = why

    def _disconnect(self, why: str) -> None:
        producer, self._producer, self._why = self._producer, None, why
        self._changed.clear()
        for lane in self._lanes.values():
            self._waiting_bytes -= sum(waiting.bytes for waiting in lane.waiting)
            self._fail(lane.waiting, why)
            lane.waiting.clear()
        if producer is not None:
            self._abandon(producer)

    def _abandon(self, producer: Any) -> None:
        """Ends it beside the work: the next connection does not wait for the last one's end."""
        task = asyncio.create_task(_abandoned(producer), name="log-ending")
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.warning("a producer did not end well: %r", task.exception())


async def _send(producer: Any, place: Place, records: Sequence[Record]) -> None:
    """Whole record batches of our own making, in order; returns when the last one is acknowledged."""
    if producer is None:
        raise TimeoutError("not connected")
    topic, partition = place
    at, now_ms = 0, time.time_ns() // 1_000_000
    while at < len(records):
        batch = producer.create_batch()
        at = filled(batch, records, at, now_ms)
        batch.close()
        sent = await producer.send_batch(batch, topic, partition=partition)
        sent.add_done_callback(_heard)
        await asyncio.wait([sent])  # "await sent" would cancel its shield when we give up, and a later error be nobody's
        sent.result()


def _heard(sent: asyncio.Future[Any]) -> None:
    if not sent.cancelled():
        sent.exception()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancels, as often as it takes: aiokafka's close swallows a cancel that comes while it waits."""
    for _ in range(20):
        running = [task for task in tasks if not task.done()]
        if not running:
            return
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=0.25)


async def _abandoned(producer: Any) -> None:
    """Ends a producer without its flush, which waits for a broker that may never come back.

    Connections first, so that requests in flight end; then the sender; then whatever batch is left fails; then its own stop finds
    nothing to wait for. ``_sender`` and ``_message_accumulator`` are private names of aiokafka 0.14.0, which is pinned.
    """
    await producer.client.close()
    task = producer._sender.sender_task
    for _ in range(2):  # the first cancel lets requests in flight end, and those wait for metadata; the second ends that
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=0.5)
    producer._message_accumulator.fail_all(KafkaError("abandoned"))
    await producer.stop()
