"""An exported log: one compressed file with all that a replay elsewhere needs, and nothing of it can be missing unnoticed.

A line ``flood-warning log 1``, then sections: a letter, the length of what follows (4 bytes, little-endian), bytes compressed with
zstd, and 8 bytes of a blake2b over everything so far. H header; R a region's configuration; S a record of the checkpoint that it starts
from; B a batch of records of the log; A a batch of what stands on ``alerts``; E the end, with the counts. A file that was cut has no E.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import cramjam
import msgspec

from warning.errors import InputError

MAGIC = b"flood-warning log 1\n"
LEVEL = 9
_SUM = 8
_FRAME = struct.Struct("<cI")


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted, by offsets (``to_offset`` exclusive) or by log time; None: from the beginning, to the end."""

    from_offset: int | None = None
    to_offset: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What the file is. ``first``: the first record; the state at its start has seen all before. Times are log times."""

    region: str
    topic: str
    partition: int
    config: str  # digest of the region that decides at the start
    code: str  # fingerprint of the code that decides at the start
    start: str  # checkpoint | empty
    first: int
    tick: str  # the tick before ``first``: tells one log from another; "" if there is none
    start_ms: int  # log time of the state at the start
    alerts_from: int  # no alert decided after the start stands on ``alerts`` before this offset
    wanted: Range


class End(msgspec.Struct, frozen=True, kw_only=True):
    records: int
    alerts: int
    next: int  # offset after the last record
    end_ms: int  # log time of the last tick


class Batch(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Records as they stand in the log, in columns of one length."""

    offsets: list[int]
    stamps_ms: list[int]  # the brokers' timestamps
    keys: list[bytes | None]
    values: list[bytes | None]


class Writer:
    """Appends sections; ``at``: how much of the file is whole already (see ``whole``)."""

    def __init__(self, file: IO[bytes], summed: hashlib.blake2b | None = None) -> None:
        self._file, self._sum = file, summed or _begin()
        if summed is None:
            file.write(MAGIC)

    def put(self, letter: bytes, content: bytes) -> None:
        packed = bytes(cramjam.zstd.compress(content, level=LEVEL))
        frame = _FRAME.pack(letter, len(packed)) + packed
        self._sum.update(frame)
        self._file.write(frame + self._sum.digest()[:_SUM])

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


def _begin() -> hashlib.blake2b:
    return hashlib.blake2b(MAGIC, digest_size=16)


def sections(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """(letter, content) of each section. Raises ``InputError`` where the file is no export, is damaged, or was cut."""
    ended = False
    with path.open("rb") as file:
        summed = _opened(file, path)
        while (found := _next(file, summed)) is not None:
            letter, packed = found
            if not packed:
                raise _refuse(path, f"is damaged or was cut before byte {file.tell()}", "damaged")
            ended = letter == b"E"
            yield letter, bytes(cramjam.zstd.decompress(packed))
    if not ended:
        raise _refuse(path, "was cut: its end is missing", "cut")


class Section(NamedTuple):
    """A whole section of a file that may have been cut; ``end``: of it in the file, ``summed``: to go on writing there."""

    letter: bytes
    content: bytes
    end: int
    summed: hashlib.blake2b


def whole(path: Path) -> Iterator[Section]:
    """What is whole of a file that was cut, up to its end section. Raises ``InputError`` where the file is no export."""
    with path.open("rb") as file:
        summed = _opened(file, path)
        while (found := _next(file, summed)) is not None and found[1] and found[0] != b"E":
            yield Section(found[0], bytes(cramjam.zstd.decompress(found[1])), file.tell(), summed.copy())


def _opened(file: IO[bytes], path: Path) -> hashlib.blake2b:
    if file.read(len(MAGIC)) != MAGIC:
        raise _refuse(path, f"is no exported log (it does not begin with {MAGIC.decode().strip()!r})", "format")
    return _begin()


def _next(file: IO[bytes], summed: hashlib.blake2b) -> tuple[bytes, bytes] | None:
    """(letter, what is compressed), empty where it is not whole; None at the end of the file."""
    head = file.read(_FRAME.size)
    if not head:
        return None
    if len(head) < _FRAME.size:
        return b"", b""
    letter, length = _FRAME.unpack(head)
    packed = file.read(length)
    summed.update(head + packed)
    if len(packed) < length or file.read(_SUM) != summed.digest()[:_SUM]:
        return letter, b""
    return letter, packed


def _refuse(path: Path, what: str, reason: str) -> InputError:
    return InputError(f"{path} {what}", reason=reason, field=str(path), fix="ask for it again: warning export-log")
