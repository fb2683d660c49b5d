"""The file of an export while it is not finished: written beside its name, taken up where it was, renamed when it is whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec

from warning import config_archive
from warning.errors import InputError
from warning.model import Tick
from warning.region import Region
from warning.stream.archive import Batch, End, Header, Range, Section, Writer, whole


def tick_ms(value: bytes | None) -> int | None:
    """Log time of a record without a key; None for a switch and for what cannot be read."""
    try:
        return msgspec.json.decode(value or b"", type=Tick).tick_ms
    except (msgspec.MsgspecError, RecursionError):
        return None


class Part:
    """``next``: the record to come; ``last``: value of the one before; ``now_ms``: of the last tick."""

    def __init__(self, path: Path, header: Header, file: IO[bytes], summed: hashlib.blake2b | None = None) -> None:
        self.header, self.next = header, header.first
        self.records = self.resumed = self.alerts = self.now_ms = 0
        self.last: bytes | None = None
        self._path, self._file, self._writer = path, file, Writer(file, summed)

    @staticmethod
    def begun(path: Path, header: Header, regions: list[Region], checkpoint: list[tuple[bytes, bytes]]) -> Part:
        """``checkpoint``: its records, as they stand on their topic."""
        part = Part(path, header, path.open("wb"))
        part._writer.put(b"H", msgspec.json.encode(header))
        for region in regions:
            part._writer.put(b"R", config_archive.pack(region))
        for record in checkpoint:
            part._writer.put(b"S", msgspec.msgpack.encode(record))
        return part

    @staticmethod
    def left(path: Path, of: tuple[str, str, int], wanted: Range) -> Part | None:
        """What an interrupted export of the same region, topic, partition and range left, if it has got to the records."""
        part: Part | None = None
        end: Section | None = None
        try:
            for section in whole(path):
                if part is None:
                    header = msgspec.json.decode(section.content, type=Header)
                    if (header.region, header.topic, header.partition) != of or header.wanted != wanted:
                        return None
                    part = Part(path, header, path.open("r+b"), section.summed)
                elif section.letter == b"B":
                    part._count(msgspec.msgpack.decode(section.content, type=Batch))
                    end = section
                elif section.letter == b"A":
                    break
        except (FileNotFoundError, InputError, msgspec.MsgspecError):
            end = None
        if part is None or end is None:
            return None
        part.resumed = part.records
        part._file.truncate(end.end)
        part._file.seek(end.end)
        part._writer = Writer(part._file, end.summed)
        return part

    def __enter__(self) -> Part:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def put(self, batch: Batch) -> None:
        """Records of the log, on disk when this returns."""
        self._writer.put(b"B", msgspec.msgpack.encode(batch))
        self._writer.sync()
        self._count(batch)

    def put_alerts(self, batch: Batch) -> None:
        self._writer.put(b"A", msgspec.msgpack.encode(batch))
        self.alerts += len(batch.offsets)

    def finish(self) -> tuple[End, int]:
        """(what the file says at its end, its size)"""
        end = End(records=self.records, alerts=self.alerts, next=self.next, end_ms=self.now_ms)
        self._writer.put(b"E", msgspec.json.encode(end))
        self._writer.sync()
        return end, self._file.tell()

    def rename(self, path: Path) -> None:
        """Under its own name, whole, also after a power cut."""
        self._path.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _count(self, batch: Batch) -> None:
        self.records += len(batch.offsets)
        self.next, self.last = batch.offsets[-1] + 1, batch.values[-1]
        moments = (tick_ms(value) for key, value in zip(batch.keys, batch.values, strict=True) if key is None)
        self.now_ms = max((moment for moment in moments if moment is not None), default=self.now_ms)
