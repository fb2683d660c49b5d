"""What a fetch of ``readings.inbox`` brought, record by record, whatever the senders' libraries made of it.

Mostly aiokafka's own reader does it. It gives up a whole fetch for one batch that it cannot take apart; then the bytes are fetched
once more and read by ``warning.batches``, so that each good record beside it is taken and nobody waits behind it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from aiokafka.errors import CorruptRecordException, InvalidMessageError, KafkaError, RecordTooLargeError, UnsupportedCodecError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition

from warning.batches import Batch, batches

PROVIDER = "inbox"  # who sent it: Kafka's rights let him write, and do not tell readers who he is
HEADER = "provider"  # what he says himself stands behind it, as ``inbox:NAME``, so that nobody takes it for a key's owner
MOST_RECORDS = 2000  # at a time
SAY_EVERY_S = 60.0
RETRY_S = 20.0  # so long a wrong checksum may be the network's or one replica's fault

_BYTES = 1 << 20
_PAUSE_S = 0.02
_NAME = re.compile(rb"[A-Za-z0-9._-]{1,60}")
_TORN = (CorruptRecordException, InvalidMessageError, RecordTooLargeError, UnsupportedCodecError)
_READ_COMMITTED = 1
_ABORT = b"\0\0\0\0"  # version 0, type 0

_log = logging.getLogger(__name__)


class Came(NamedTuple):
    """One record. ``why``: why a batch could not be read; ``value`` is then the batch as it stands in the log."""

    offset: int
    key: bytes | None
    value: bytes | None
    provider: str
    why: str = ""


class Portion(NamedTuple):
    """Records of one partition in their order; when they are done with, ``next`` is to be committed."""

    partition: int
    records: list[Came]
    next: int


class Fetched:
    """Portions of all partitions that the group gave to ``consumer``."""

    def __init__(self, consumer: Any, topic: str) -> None:
        self._consumer, self._topic = consumer, topic
        self._doubted: dict[tuple[int, int], float] = {}  # partition, offset of a batch with a wrong checksum -> since when
        self._said = -SAY_EVERY_S
        self._last = -1  # partition whose turn it was

    async def portions(self, wait_ms: int = 500) -> list[Portion]:
        """What is there, at most ``wait_ms`` after it is asked: of one partition, each in its turn. Raises KafkaError if the brokers are
        away or refuse us.

        One at a time: aiokafka has moved the positions of those before when the next one's batch makes it raise, and gives none of them.
        """
        until = time.monotonic() + wait_ms / 1000
        while True:
            turn = self._in_turn()
            if not turn:
                self._consumer._coordinator.check_errors()  # getmany would; a group that refuses us gives us nothing to ask for
            for tp in turn:
                portion = await self._of(tp)
                if portion is not None:
                    self._last = tp.partition
                    return [portion]
            if time.monotonic() >= until:
                return []
            await asyncio.sleep(_PAUSE_S)

    def _in_turn(self) -> list[TopicPartition]:
        return sorted(self._consumer.assignment(), key=lambda tp: (tp.partition <= self._last, tp.partition))

    async def _of(self, tp: TopicPartition) -> Portion | None:
        try:
            found = await self._consumer.getmany(tp, timeout_ms=0, max_records=MOST_RECORDS)
        except _TORN as error:
            return await self._reread(tp, error)
        except (KafkaError, OSError) as error:
            if isinstance(error, KafkaError) or error.errno is not None:  # gzip raises an OSError of its own, without a number
                raise
            return await self._reread(tp, error)
        except Exception as error:  # a reader that comes upon bytes that it did not expect may raise anything
            return await self._reread(tp, error)
        records = found.get(tp)
        return Portion(tp.partition, [_came(record) for record in records], records[-1].offset + 1) if records else None

    async def _reread(self, tp: TopicPartition, error: BaseException) -> Portion | None:
        """From where it stands, for aiokafka leaves the position alone when it raises."""
        if time.monotonic() - self._said > SAY_EVERY_S:
            self._said = time.monotonic()
            _log.warning("%s: a batch cannot be read by the client library (%r); reading it record by record", self._topic, error)
        position = await self._consumer.position(tp)
        portion = self._portion(tp.partition, position, *await self._raw(tp, position))
        if portion is None or await self._consumer.position(tp) != position:  # nothing yet; or it was given away meanwhile
            return None
        self._consumer.seek(tp, portion.next)
        return portion

    async def _raw(self, tp: TopicPartition, position: int) -> tuple[bytes, Sequence[tuple[int, int]]]:
        """The bytes from ``position`` on, and the aborted transactions in them: (producer, first offset)."""
        client = self._consumer._client  # a private name of aiokafka 0.14.0, which is pinned
        node = client.cluster.leader_for_partition(tp)
        request = FetchRequest(500, 1, 50 * _BYTES, _READ_COMMITTED, [(tp.topic, [(tp.partition, position, _BYTES)])], rack_id="")
        response = await client.send(node, request)
        [(_, [(_, code, _, *rest)])] = response.topics
        if code:
            raise for_code(code)(f"{tp.topic}-{tp.partition}")
        aborted = rest[2] if response.API_VERSION >= 11 else rest[-2] if response.API_VERSION >= 4 else ()
        return bytes(rest[-1] or b""), aborted or ()

    def _portion(self, partition: int, position: int, raw: bytes, aborted: Sequence[tuple[int, int]]) -> Portion | None:
        records: list[Came] = []
        following = position
        for batch in committed(batches(raw), aborted):
            if batch.next <= position:
                continue
            if "checksum" in batch.why and time.monotonic() - self._since(partition, batch.first) < RETRY_S:
                break
            records += [came for came in _entries(batch) if came.offset >= position]
            following = batch.next
        return Portion(partition, records, following) if following > position else None

    def _since(self, partition: int, first: int) -> float:
        return self._doubted.setdefault((partition, first), time.monotonic())


def committed(found: Iterable[Batch], aborted: Sequence[tuple[int, int]]) -> Iterator[Batch]:
    """Every batch; marks of transactions, and what was written in those that were given up, without records."""
    pending = sorted(aborted, key=lambda each: each[1])
    given_up: set[int] = set()
    for batch in found:
        while pending and pending[0][1] <= batch.first:
            given_up.add(pending.pop(0)[0])
        if batch.control:
            if batch.entries and (batch.entries[0].key or b"")[:4] == _ABORT and batch.producer is not None:
                given_up.discard(batch.producer)
            yield Batch(batch.first, batch.next, (), True, batch.producer, "", batch.raw)
        elif batch.producer is not None and batch.producer in given_up:
            yield Batch(batch.first, batch.next, (), False, batch.producer, "", batch.raw)
        else:
            yield batch


def _entries(batch: Batch) -> list[Came]:
    if batch.why:
        return [Came(batch.first, None, batch.raw, PROVIDER, f"{batch.why} (records {batch.first} to {batch.next - 1})")]
    return [Came(entry.offset, entry.key, entry.value, provider(entry.headers)) for entry in batch.entries]


def _came(record: Any) -> Came:
    return Came(record.offset, record.key, record.value, provider(record.headers) if record.headers else PROVIDER)


def provider(headers: Iterable[tuple[str | bytes, bytes | None]]) -> str:
    """``inbox:NAME`` for the first header ``provider`` whose value can be a name; else ``inbox``: a header never costs a reading."""
    for name, value in headers:
        if name in (HEADER, HEADER.encode()) and _NAME.fullmatch(value or b""):
            return f"{PROVIDER}:{(value or b'').decode('ascii')}"
    return PROVIDER
