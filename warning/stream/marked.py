"""The records of a log in which every offset counts, one by one: aiokafka's parser, with what it leaves out and gives up at put back.

* The mark at which a transaction was committed or given up has an offset and is handed to nobody. Here it is a record with neither key
  nor value, which decides nothing and is rejected as such: so a producer of somebody else's that writes in transactions leaves no hole.
  (What stands in a transaction that was given up counts as any other record: ``readings`` is read uncommitted.)
* A header whose name is no UTF-8 makes aiokafka give up the whole batch: ``warning.batches`` reads it.

Holes, as compaction leaves them, stay holes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord
from crc32c import crc32c

from warning.batches import batches
from warning.stream.frames import HEADER, Batch


def with_marks(raw: bytes) -> bytes:
    """Key deserializer of a consumer that gets such records (``install`` first): aiokafka hands it to what unpacks a fetch."""
    return raw


def install() -> None:
    """Other consumers of this process see plain aiokafka."""
    fetcher.MemoryRecords = Fetched
    if not issubclass(fetcher.PartitionRecords, MarkedRecords):
        fetcher.PartitionRecords = MarkedRecords


class Fetched:
    """aiokafka's MemoryRecords with the raw bytes kept, to check the CRCs of all batches in hardware (7 ns a reading, not 85-160)."""

    def __init__(self, raw: bytes) -> None:
        records = MemoryRecords(raw)
        self.raw = raw
        self._reread: dict[int, Sequence[Any]] | None = None
        self.has_next, self.next_batch, self.size_in_bytes = records.has_next, records.next_batch, records.size_in_bytes

    def whole(self) -> list[Batch] | None:
        """The whole batches, if all are of format 2 and their CRCs are right. None: let aiokafka look at each."""
        raw, at, found = memoryview(self.raw), 0, []
        while at + HEADER <= len(raw):
            batch = Batch.at(self.raw, at)
            if batch.end > len(raw):
                break  # the last batch of a fetch can be cut short; it is fetched again
            if (
                batch.end < at + HEADER
                or raw[at + 16] != 2
                or crc32c(raw[at + 21 : batch.end]) != int.from_bytes(raw[at + 17 : at + 21], "big")
            ):
                return None
            found.append(batch)
            at = batch.end
        return found

    def rows(self, batch: Any) -> Sequence[Any]:
        """The records of one batch, with ``offset``, ``key``, ``value``."""
        if batch.is_control_batch:
            return [_Mark(offset) for offset in range(batch.base_offset, batch.next_offset)]
        try:
            return list(batch)
        except UnicodeDecodeError:
            if self._reread is None:
                self._reread = {each.first: each.entries for each in batches(self.raw)}
            return self._reread[batch.base_offset]


class _Mark(NamedTuple):
    offset: int
    key: None = None
    value: None = None


class MarkedRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        if self._key_deserializer is not with_marks:
            yield from super()._unpack_records()
            return
        for batch, rows in self._by_batch(self._check_crcs):
            for row in rows:
                self.next_fetch_offset = row.offset + 1
                stamp = getattr(row, "timestamp", batch.max_timestamp), batch.timestamp_type
                yield ConsumerRecord(*self._tp, row.offset, *stamp, row.key, row.value, None, -1, -1, ())
            self.next_fetch_offset = batch.next_offset

    def _by_batch(self, check: bool) -> Iterator[tuple[Any, list[Any]]]:
        """Each batch with its records from where the fetch was to begin. Raises ``CorruptRecordException``."""
        first = self.next_fetch_offset
        while self._records.has_next():
            batch = self._records.next_batch()
            if check and not batch.validate_crc():
                raise CorruptRecordException(f"{self._tp}: a batch at or after {self.next_fetch_offset} has a wrong CRC")
            yield batch, [row for row in self._records.rows(batch) if row.offset >= first]
