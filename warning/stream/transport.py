"""Faust's aiokafka transport for a state that is a pure function of the log. All that depends on Faust's insides is here.

* A fetched run of one partition is ONE event: value = (keys, values), offset = its last one, folded inside aiokafka.
* Only gapless runs pass, starting at ``expect[tp]``, which whoever loaded the state has set. No state, no event; two open
  runs per partition at most, so that no partition waits for another; where several have records waiting they get the same time, not the
  same number of records, so that a flood of what is dear (rejects) costs another partition no more than its share.
* Faust never commits these topics; ``commit_at`` does, exactly where it is told, and says whether the group took it.

Topics that ``runs_of`` does not name, and other consumers of this process, see plain Faust and plain aiokafka.
Faust-streaming 0.15.3 and aiokafka 0.14.0: both are pinned, because names with an underscore are used.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import aiokafka
import faust.transport.drivers as drivers
from aiokafka import conn
from aiokafka.consumer import fetcher
from aiokafka.errors import CommitFailedError, CorruptRecordException, IllegalStateError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as base
from mode.threads import WorkerThread

from warning.stream import marked
from warning.stream.frames import Batch, frames
from warning.stream.marked import MarkedRecords

SCHEME = "runs"  # broker URL scheme: runs://host:port
MAX_OPEN = 2  # runs handed on and not finished, per partition
AHEAD_S = 0.05  # of work: so far a partition may be ahead of one that has records waiting
LOOK_S = 0.01  # for what waits in those that are behind
READ_AHEAD = 16 << 20  # bytes: aiokafka's 64 KiB made it stop and start the socket sixteen times a MiB, a fifth of all CPU in a backlog
STOPPED = "the consumer stopped meanwhile: the group cannot be asked any more"
_TOPICS: set[str] = set()
_Bytes = Sequence[bytes | None]
_Run = tuple[_Bytes, _Bytes, tuple[int, int]]  # keys, values, (time, its type) of the last batch


def install(topics: Iterable[str]) -> None:
    """Coalesce these topics in apps whose broker URL begins with ``runs://``. Call it before the app is made."""
    _TOPICS.update(topics)
    conn.READER_LIMIT = READ_AHEAD
    marked.install()
    fetcher.PartitionRecords = _RunRecords
    drivers.TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"


def broker_url(bootstrap: str) -> str:
    return ";".join(f"{SCHEME}://{address.strip()}" for address in bootstrap.split(","))


def _as_it_is(raw: bytes) -> bytes:
    """Key deserializer that marks our consumers: aiokafka hands it to what unpacks a fetch, so others are left alone."""
    return raw


class _RunRecords(MarkedRecords):
    def _unpack_records(self) -> Iterator[Any]:
        if self._key_deserializer is not _as_it_is or self._tp.topic not in _TOPICS:
            yield from super()._unpack_records()
            return
        first, found = self.next_fetch_offset, self._records.whole()
        run = self._at_once(found, first) if found is not None else None
        if run is None:
            run = self._one_by_one(self._check_crcs and found is None)
        if run is None:
            return
        keys, values, stamp = run
        if self.next_fetch_offset - first != len(values):
            words = f"{self._tp} has holes between {first} and {self.next_fetch_offset}: it must not be compacted (cleanup.policy=delete)"
            raise CorruptRecordException(words)
        last = self.next_fetch_offset - 1
        yield ConsumerRecord(self._tp.topic, self._tp.partition, last, *stamp, None, (keys, values), None, -1, 0, ())

    def _at_once(self, found: list[Batch], first: int) -> _Run | None:
        """All records that these batches hold from ``first`` on, without an object for each; None if they are not of that kind."""
        wanted = [batch for batch in found if batch.base + batch.last >= first]
        framed = frames(self._records.raw, wanted)
        if framed is None:
            return None
        last, before = wanted[-1], max(0, first - wanted[0].base)
        self.next_fetch_offset = last.base + last.last + 1
        return framed[0][before:], framed[1][before:], last.stamp(self._records.raw)

    def _one_by_one(self, check: bool) -> _Run | None:
        """The same by aiokafka's parser; None if nothing is left."""
        keys: list[bytes | None] = []
        values: list[bytes | None] = []
        last = None
        for batch, rows in self._by_batch(check):
            keys += [row.key for row in rows]
            values += [row.value for row in rows]
            last = batch if rows else last
            self.next_fetch_offset = batch.next_offset
        return None if last is None else (keys, values, (last.max_timestamp, last.timestamp_type))


class _Daemon(WorkerThread):
    """A consumer thread that hangs must not keep a process alive that wants to end."""

    def __init__(self, service: Any, **options: Any) -> None:
        super().__init__(service, **options)
        self.daemon = True


class _Thread(base.AIOKafkaConsumerThread):
    Worker = _Daemon

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """Not past the log to standard error: the engine is told and ends the process with a line of its own."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._key_deserializer = _as_it_is
        return consumer


class Consumer(base.Consumer):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.expect: dict[Any, int] = {}  # tp -> offset of the next record that its state wants
        self.open: Counter[Any] = Counter()  # tp -> runs handed on and not finished
        self.spent: dict[Any, float] = {}  # tp -> seconds of work on its runs
        self.dropped: Counter[str] = Counter()  # early, old, gap -> runs
        super().__init__(*arguments, **options)

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    # --- records in

    async def _getmany(self, active_partitions: set[Any] | None, timeout: float) -> dict[Any, list[Any]]:  # noqa: ASYNC109 - Faust's name
        active = active_partitions or set()
        want = {tp for tp in active if tp.topic not in _TOPICS or (tp in self.expect and self.open[tp] < MAX_OPEN)}
        if not want:  # an empty set would mean all of them
            await asyncio.sleep(0.01)
            return {}
        busy = len(want) < len(active)
        fetched = await self._behind(want) or await super()._getmany(want, min(timeout, 0.02) if busy else timeout)
        return {tp: passed for tp, records in fetched.items() if (passed := await self._pass(tp, records))}

    async def _behind(self, want: set[Any]) -> dict[Any, list[Any]]:
        """What waits in the partitions that others are ahead of; nothing if none is. Who has nothing waiting saves up no time."""
        spent = {tp: self.spent[tp] for tp in want if tp in self.spent}
        least = min(spent.values(), default=0.0)
        ahead = {tp for tp, seconds in spent.items() if seconds > least + AHEAD_S}
        if not ahead:
            return {}
        fetched = dict(await super()._getmany(want - ahead, LOOK_S))
        if not any(fetched.values()):
            for tp in spent.keys() - ahead:
                self.spent[tp] = min(spent[other] for other in ahead)
        return fetched

    async def _pass(self, tp: Any, records: list[Any]) -> list[Any]:
        """Of these records those that follow on what the state has."""
        if tp.topic not in _TOPICS:
            return records
        passed = []
        for record in records:
            expect, (keys, values) = self.expect.get(tp), record.value
            first = record.offset - len(values) + 1
            if expect is None or record.offset < expect or not self.flow_active:
                self.dropped["early" if expect is None else "old"] += 1
            elif first > expect:  # fetched from another position than the state's: go back
                self.dropped["gap"] += 1
                await self.go_to(tp)
                break
            else:
                if first < expect:
                    record = replace(record, value=(keys[expect - first :], values[expect - first :]))
                self.expect[tp] = record.offset + 1
                self.open[tp] += 1
                self._read_offset[tp] = None  # Faust would drop a run that ends before one that it saw in an earlier life
                passed.append(record)
        return passed

    def finished(self, tp: Any, seconds: float = 0.0) -> None:
        """A run of this partition is done with, which took so long; another may come."""
        self.open[tp] -= 1
        if tp in self.spent:
            self.spent[tp] += seconds

    def begin(self, tp: Any, offset: int) -> None:
        """From now on hand on this partition, from this record."""
        self.open[tp] = 0
        self.expect[tp] = offset
        self.spent[tp] = max(self.spent.values(), default=0.0)

    def end(self, tp: Any) -> None:
        """Hand on nothing of this partition until ``begin``."""
        self.expect.pop(tp, None)
        self.spent.pop(tp, None)

    async def perform_seek(self) -> None:  # also called by getmany in the middle of a rebalance
        for tp in self.assignment():
            if tp in self.expect:
                await self.go_to(tp)

    async def go_to(self, tp: Any) -> None:  # Faust's own seek touches aiokafka from the wrong thread
        async def go() -> None:
            if tp in self.expect:
                try:
                    self._thread._ensure_consumer().seek(TopicPartition(*tp), self.expect[tp])
                except IllegalStateError:  # taken from us meanwhile; whoever gets it seeks for itself
                    self.dropped["unassigned"] += 1

        await self._thread.call_thread(go)

    def abandon(self) -> None:
        """Wait for no run any more: the agent will not finish, and Faust would wait for ever, swallowing even a cancel."""
        self._unacked_messages.clear()

    # --- no acknowledging, no commits, no back-pressure of Faust's

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        if tp.topic not in _TOPICS:
            await super()._add_gap(tp, offset_from, offset_to)

    def on_buffer_full(self, tp: Any) -> None:
        if tp.topic not in _TOPICS:
            super().on_buffer_full(tp)

    def _new_offset(self, tp: Any) -> int | None:
        if tp.topic not in _TOPICS:
            offset: int | None = super()._new_offset(tp)
            return offset
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return None

    def verify_event_path(self, now: float, tp: Any) -> None:  # it would call us stuck because Faust commits nothing
        if tp.topic not in _TOPICS:
            super().verify_event_path(now, tp)

    # --- exact commits

    async def committed_at(self, tp: Any) -> tuple[int | None, str]:
        """(offset, metadata) in the group, asked now; (None, "") without a commit."""
        coordinator = self._thread._ensure_consumer()._coordinator
        got = await self._thread.call_thread(coordinator.fetch_committed_offsets, [TopicPartition(*tp)])
        found = got.get(TopicPartition(*tp))
        return (found.offset, found.metadata or "") if found and found.offset >= 0 else (None, "")

    async def commit_at(self, tp: Any, offset: int, metadata: str) -> str:
        """ "" if the coordinator took it, else why it refused us: we are not in the group any more. Other errors are raised."""

        async def go() -> str:
            try:
                await self._thread._ensure_consumer().commit({TopicPartition(*tp): OffsetAndMetadata(offset, metadata)})
            except (CommitFailedError, IllegalStateError) as error:
                return f"{type(error).__name__}: {error}"
            except asyncio.CancelledError:  # not ours: aiokafka's coordinator closes while it commits, in a stop during a rebalance
                if _cancelled():
                    raise
                return STOPPED
            return ""

        try:
            return str(await self._thread.call_thread(go))
        except asyncio.CancelledError:
            if _cancelled():
                raise
            return STOPPED
        except RuntimeError:
            if not self._thread.thread_loop.is_closed():
                raise
            return STOPPED


def _cancelled() -> bool:
    """Whether this task itself was told to end, and not just what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Transport(base.Transport):
    Consumer = Consumer
