"""The generations of a partition as a recovery reads them: heads and places first, then one generation's chunks, straight into its tables.

The topic can hold many generations that compaction has not come to; memory holds one. The commit's note says where the committed one is,
so that it alone is read, and what came after it; without a note all of the topic is gone through for its heads.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np

from warning.pipeline.state import Given
from warning.stream.ports import Log
from warning.stream.state import Arrays, Generation, Head, digest_begun, dtype_of, place_of, rule, words_of

LARGEST = 1 << 20  # bytes of a chunk: what brokers take
WAITING = 64  # chunks that came before their turn


class Read(NamedTuple):
    """A verified generation."""

    head: Head
    words: dict[str, Any]  # the state's own head
    arrays: Arrays


class Index:
    """The heads of one partition of ``checkpoints`` and where the chunks are; it keeps no chunk."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, str], dict[str, int]] = {}  # of the pieces that are there
        self._heads: dict[tuple[int, str], bytes] = {}
        self._gone: set[tuple[int, str, str]] = set()

    def take(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        """A record, in order."""
        if (name := words_of(key)) is None:
            return
        number, writer, piece = name
        if value is None:
            self._places.get((number, writer), {}).pop(piece, None)
            if piece == "head":
                self._heads.pop((number, writer), None)
            self._gone.add(name)
            return
        self._gone.discard(name)
        self._places.setdefault((number, writer), {})[piece] = offset
        if piece == "head":
            self._heads[number, writer] = value

    async def complete(self, log: Log, topic: str, partition: int, before: int) -> None:
        """Reads what stands before the record ``before``, which was the first taken. Raises ``Unavailable``; then it is as it was."""
        old: dict[tuple[int, str], dict[str, int]] = {}

        def earlier(offset: int, key: bytes | None, value: bytes | None) -> None:
            name = words_of(key)
            if name is None or name in self._gone or name[2] in self._places.get(name[:2], {}):
                return  # what came later counts
            pieces = old.setdefault(name[:2], {})
            if value is None:
                pieces.pop(name[2], None)
            else:
                pieces[name[2]] = offset

        await log.read(topic, partition, earlier, None, before)
        for name, pieces in old.items():
            self._places[name] = {**pieces, **self._places.get(name, {})}

    def generations(self) -> list[Generation]:
        """All of which anything is left, also what a killed worker left unfinished, oldest first."""
        return [Generation(writer, number, tuple(places)) for (number, writer), places in sorted(self._places.items()) if places]

    def numbers(self) -> list[int]:
        """The ``next`` of all that have a head, newest first."""
        return sorted({number for number, _ in self._heads}, reverse=True)

    def heads(self, wanted: int, digest: str | None) -> Iterator[tuple[Head, dict[int, int]]]:
        """Those with this ``next`` (and digest, if given) of which all chunks are there, and the chunks' offsets."""
        for (number, writer), value in self._heads.items():
            head = _head(value) if number == wanted else None
            if head is None or head.next != wanted or digest not in (None, head.digest):
                continue
            places = self._places[number, writer]
            if all(str(chunk) in places for chunk in range(head.chunks)):
                yield head, {places[str(chunk)]: chunk for chunk in range(head.chunks)}


def _head(value: bytes | None) -> Head | None:
    try:
        return msgspec.json.decode(value or b"", type=Head)
    except msgspec.MsgspecError:
        return None  # damaged


class Filling:
    """The tables of a generation while its chunks come; ``whole``: all have come, and are what the head's digest is of."""

    def __init__(self, head: Head) -> None:
        """Raises ValueError or TypeError for a head that cannot be right."""
        kinds = [(name, dtype_of(kind), shape) for name, kind, shape in head.arrays]
        size = head.state_bytes + sum(dtype.itemsize * math.prod(shape) for _, dtype, shape in kinds)
        if head.chunks < 1 or not 0 <= size <= head.chunks * LARGEST or any(dtype.hasobject for _, dtype, _ in kinds):
            raise ValueError(f"{size} bytes in {head.chunks} chunks")  # and not that much memory
        self.head, self._words = head, bytearray(head.state_bytes)
        self.arrays: Arrays = Given({name: np.empty(shape, dtype) for name, dtype, shape in kinds})
        views = [array.reshape(-1).view(np.uint8).data for array in self.arrays.values() if array.size]
        self._targets = [memoryview(self._words), *views]
        self._digest: hashlib.blake2b = digest_begun(head)
        self._next, self._early, self._left = 0, dict[int, bytes](), size

    def feed(self, number: int, chunk: bytes | None) -> None:
        """Any number; one that has been has no second turn."""
        if number > self._next and len(self._early) < WAITING:
            self._early[number] = chunk or b""
        if number != self._next:
            return
        self._put(chunk or b"")
        while self._next in self._early:
            self._put(self._early.pop(self._next))

    def _put(self, chunk: bytes) -> None:
        self._next += 1
        self._digest.update(chunk)
        self._left -= len(chunk)
        at = 0
        while at < len(chunk) and self._targets:
            target = self._targets[0]
            some = min(len(target), len(chunk) - at)
            target[:some] = chunk[at : at + some]
            at += some
            self._targets[:1] = [target[some:]] if some < len(target) else []

    @property
    def whole(self) -> bool:
        return self._left == 0 and self._next == self.head.chunks and self._digest.hexdigest() == self.head.digest

    def read(self) -> Read | None:
        return Read(self.head, msgspec.json.decode(self._words, type=dict[str, Any]), self.arrays) if self.whole else None


def _filling(head: Head) -> Filling | None:
    try:
        return Filling(head)
    except (ValueError, TypeError, OverflowError):
        return None  # damaged


class Topic:
    """The checkpoints of one partition. ``index`` is complete when ``unread`` is 0, else it lacks what stands before that record."""

    def __init__(self, log: Log, topic: str, partition: int) -> None:
        self._log, self._topic, self._partition = log, topic, partition
        self.index, self.unread = Index(), 0

    async def complete(self) -> list[Generation]:
        """All generations; reads what has not been read. Raises ``Unavailable``."""
        if self.unread:
            await self.index.complete(self._log, self._topic, self._partition, self.unread)
            self.unread = 0
        return self.index.generations()

    async def choose(self, committed: int | None, note: str, log_begin: int) -> tuple[Read, str] | None:
        """The generation to start from, by ``state.rule``, and how it was found; None: an empty start."""
        if committed is not None and (read := await self._noted(committed, note)) is not None:
            return read, "committed"
        self.index, self.unread = Index(), 0
        await self._log.read(self._topic, self._partition, self.index.take)
        asking: Generator[tuple[int, str | None], Read | None, tuple[Read, str] | None]
        asking = rule(self.index.numbers(), committed, note, log_begin)
        try:
            ask = next(asking)
            while True:
                ask = asking.send(await self._verified(*ask))
        except StopIteration as done:
            chosen: tuple[Read, str] | None = done.value
            return chosen

    async def _verified(self, number: int, digest: str | None) -> Read | None:
        for head, places in self.index.heads(number, digest):
            if (filling := _filling(head)) is None:
                continue

            def each(
                offset: int, key: bytes | None, value: bytes | None, filling: Filling = filling, places: dict[int, int] = places
            ) -> None:
                if offset in places:
                    filling.feed(places[offset], value)

            await self._log.read(self._topic, self._partition, each, min(places), max(places) + 1)
            if (read := filling.read()) is not None:
                return read
        return None

    async def _noted(self, committed: int, note: str) -> Read | None:
        """By the place in the commit's note: None where it is not, or not any more, exactly what was committed."""
        if (place := place_of(note)) is None:
            return None
        first, last, digest = place
        found: list[tuple[bytes | None, bytes | None]] = []
        await self._log.read(self._topic, self._partition, lambda offset, key, value: found.append((key, value)), last, last + 1)
        head = _head(found[0][1]) if found else None
        if head is None or (head.next, head.digest) != (committed, digest) or head.chunks > last - first:
            return None
        names = (head.next, head.writer)
        if words_of(found[0][0]) != (*names, "head") or (filling := _filling(head)) is None:
            return None
        self.index, self.unread, changed = Index(), first, False

        def each(offset: int, key: bytes | None, value: bytes | None) -> None:
            nonlocal changed
            self.index.take(offset, key, value)
            name = words_of(key)
            if name is None or name[:2] != names:
                return
            if offset > last:
                changed = True  # buried, or written over
            elif name[2].isdecimal():
                filling.feed(int(name[2]), value)

        await self._log.read(self._topic, self._partition, each, first)
        return None if changed else filling.read()
