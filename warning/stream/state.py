"""What a checkpoint is: the tables of a state in chunks, and a head, on a compacted topic; and how they are read back.

A generation's records have the keys ``writer|next|0 .. writer|next|head``; the head is written last and counts the chunks and
digests all of it. Any verified generation is right, whoever wrote it, because the state is a function of the log; the commit
of the consumer group says which one counts.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from warning.errors import ExitCode, StateError
from warning.pipeline.held import Held
from warning.stream.ports import State

CHUNK = 900_000  # bytes; brokers take 1 MiB a record by default
PIECE = 4 << 20  # bytes of a table that are read at a time
Arrays = dict[str, NDArray[Any]]


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The last record of a generation. Digested as it is encoded: a field more would void the generations of older versions."""

    next: int  # N + 1: the first record that the state has not seen
    writer: str
    config: str  # digest of the region
    code: str  # fingerprint of the decision code
    tick: str  # the tick at N: who reads the log again sees whether it is the same log
    state_bytes: int  # length of State.freeze's own head, as JSON: the first of the bytes (it can be larger than a record)
    arrays: list[tuple[str, str, tuple[int, ...]]]  # name, dtype ("<f4", or "field:<f4 field:<u4" of a record), shape, in order
    chunks: int
    digest: str = ""


class Frozen:
    """A state as it is at the end of a beat, to be read once while the work goes on."""

    def __init__(self, words: Iterator[bytes], held: Held, release: Callable[[Held], None], fields: dict[str, Any]) -> None:
        for name, dtype, _ in held.kinds:
            if dtype.hasobject:
                raise TypeError(f"array {name} of the state holds Python objects: it cannot be checkpointed")
        self._parts, self._held, self._release = words, held, release
        self.next, self.writer = int(fields["next"]), str(fields["writer"])
        self.size = held.size  # and the state's own head, once it has been encoded
        self._fields, self._words = fields, list[bytes]()
        self._head: Head | None = None
        self._digest: hashlib.blake2b | None = None
        self._left = self.size

    @staticmethod
    def of(state: State, more: dict[str, Any], **fields: Any) -> Frozen:
        """``more``: of the writer's own, for the state's head; ``fields``: the rest of ``Head``. Costs no copy of the arrays."""
        words, held = state.hold(more)
        return Frozen(words, held, state.release, fields)

    @staticmethod
    def copied(head: dict[str, Any], arrays: Arrays, **fields: Any) -> Frozen:
        """A copy of arrays that nobody holds."""
        held = Held({name: array.copy(order="C") for name, array in arrays.items()})
        return Frozen(iter([msgspec.json.encode(head)]), held, lambda held: None, fields)

    def close(self) -> None:
        """Nothing more will be read. To be called in any case: a state that is held keeps what is overwritten."""
        self._release(self._held)

    def prepared(self) -> Iterator[None]:
        """Encodes the state's own head, a part each time: some ms, in which no beat is decided. Before the chunks."""
        for part in self._parts:
            self._words.append(part)
            yield
        words = sum(map(len, self._words))
        self.size += words
        kinds = [(name, _kind(dtype), shape) for name, dtype, shape in self._held.kinds]
        self._head = Head(state_bytes=words, arrays=kinds, chunks=-(-self.size // CHUNK), **self._fields)
        self._digest, self._left = digest_begun(self._head), self.size

    def chunks(self) -> Iterator[bytes]:
        """Each time a few MB at most are copied and digested: 3 ms, in which no beat is decided."""
        for _ in self.prepared() if self._head is None else ():
            pass
        parts: list[memoryview] = []
        have = 0
        for view in self._views():
            while have + view.nbytes >= CHUNK:
                parts.append(view[: CHUNK - have])
                view = view[CHUNK - have :]
                yield self._chunk(parts)
                parts, have = [], 0
            if view.nbytes:
                parts.append(view)
                have += view.nbytes
        if parts:
            yield self._chunk(parts)

    def sealed(self) -> Head:
        """The head with the digest of all chunks, once they have been read."""
        if self._left or self._head is None or self._digest is None:
            raise ValueError(f"{self._left} of {self.size} bytes have not been read")
        return msgspec.structs.replace(self._head, digest=self._digest.hexdigest())

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of the whole generation, in order."""
        for number, chunk in enumerate(self.chunks()):
            yield key_of(self.writer, self.next, number), chunk
        yield key_of(self.writer, self.next, "head"), msgspec.json.encode(self.sealed())

    def _chunk(self, parts: list[memoryview]) -> bytes:
        chunk = b"".join(parts)
        if self._digest is not None:
            self._digest.update(chunk)
        self._left -= len(chunk)
        return chunk

    def _views(self) -> Iterator[memoryview]:
        while self._words:
            yield memoryview(self._words.pop(0))
        for name, dtype, shape in self._held.kinds:
            rows = max(PIECE // max(dtype.itemsize * math.prod(shape[1:]), 1), 1)
            for start in range(0, shape[0], rows):
                piece = self._held.read(name, start, min(start + rows, shape[0]))
                yield np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data


def _kind(dtype: np.dtype[Any]) -> str:
    """``<f4``, or ``field:<f4 field:<u4`` of a record without gaps."""
    if dtype.names is None:
        return dtype.str
    return " ".join(f"{name}:{dtype[name].str}" for name in dtype.names)


def dtype_of(kind: str) -> np.dtype[Any]:
    if ":" not in kind:
        return np.dtype(kind)
    fields = [field.rpartition(":") for field in kind.split(" ")]
    return np.dtype([(name, each) for name, _, each in fields])


def digest_begun(head: Head) -> hashlib.blake2b:
    """blake2b over the head without its digest; then the bytes of the chunks follow."""
    return hashlib.blake2b(msgspec.json.encode(msgspec.structs.replace(head, digest="")), digest_size=16)


def _digest_of(head: Head, blob: bytes) -> str:
    hashed = digest_begun(head)
    hashed.update(blob)
    return hashed.hexdigest()


def unpack(head: Head, blob: bytes) -> tuple[dict[str, Any], Arrays]:
    """The state's own head and the arrays of a verified generation: views of its bytes, to be copied into place."""
    arrays: Arrays = {}
    at = head.state_bytes
    for name, kind, shape in head.arrays:
        dtype, count = dtype_of(kind), int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(blob, dtype, count, at).reshape(shape)
        at += count * dtype.itemsize
    return msgspec.json.decode(blob[: head.state_bytes], type=dict[str, Any]), arrays


def key_of(writer: str, generation: int, chunk: int | str) -> bytes:
    return f"{writer}|{generation}|{chunk}".encode()


def words_of(key: bytes | None) -> tuple[int, str, str] | None:
    """(generation, writer, chunk or head); None for what is not of a generation, e.g. the clock's."""
    words = (key or b"").decode(errors="replace").split("|")
    return (int(words[1]), words[0], words[2]) if len(words) == 3 and words[1].isdecimal() else None


class Generation(msgspec.Struct, frozen=True):
    """Where the records of a generation are: enough to tombstone it, whole or not."""

    writer: str
    next: int
    pieces: tuple[str, ...]  # "0", "1", ..., "head": those that are there


class Book:
    """The records of one partition of ``checkpoints``, in order, all in memory: for what is small. A worker's recovery: ``generations``."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, str], dict[str, bytes]] = {}

    def take(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        if (name := words_of(key)) is None:
            return
        parts = self._parts.setdefault(name[:2], {})
        if value is None:
            parts.pop(name[2], None)
        else:
            parts[name[2]] = value

    def generations(self) -> list[Generation]:
        """All of which anything is left, also what a killed worker left unfinished, oldest first."""
        return [Generation(writer, number, tuple(parts)) for (number, writer), parts in sorted(self._parts.items()) if parts]

    def numbers(self) -> list[int]:
        """The ``next`` of all that have a head, newest first."""
        return sorted({number for (number, _), parts in self._parts.items() if "head" in parts}, reverse=True)

    def verified(self, number: int, digest: str | None = None) -> tuple[Head, bytes] | None:
        """A whole and undamaged generation with this ``next`` (and this digest, if given)."""
        for (other, _), parts in self._parts.items():
            if other != number or "head" not in parts:
                continue
            try:
                head = msgspec.json.decode(parts["head"], type=Head)
            except msgspec.MsgspecError:
                continue  # damaged
            blob = b"".join(parts.get(str(chunk), b"") for chunk in range(head.chunks))
            if head.next == number and digest in (None, head.digest) and _digest_of(head, blob) == head.digest:
                return head, blob
        return None


def note_of(head: Head, first: int | None = None, last: int | None = None) -> str:
    """What goes with the commit. ``first``, ``last``: offsets of the first chunk and of the head, where the brokers told them."""
    place = f"{first}-{last}:" if first is not None and last is not None and 0 <= first < last else ""
    return f"{head.next}:{head.writer}:{place}{head.digest}"


_PLACED = re.compile(r"\d+:[^:]*:(\d+)-(\d+):([0-9a-f]+)")


def place_of(note: str) -> tuple[int, int, str] | None:
    """(offset of the first chunk, of the head, digest); None: a note that does not say."""
    found = _PLACED.fullmatch(note)
    return (int(found[1]), int(found[2]), found[3]) if found else None


Found = TypeVar("Found")


def rule(
    numbers: list[int], committed: int | None, note: str, log_begin: int
) -> Generator[tuple[int, str | None], Found | None, tuple[Found, str] | None]:
    """Which generation to start from. Asks for verified generations by ``next`` and digest (None: any) and is sent what was found.

    Returns it and how it was found (committed, older, newest); None: an empty start. ``numbers``: of all heads, newest first.
    Raises ``StateError`` if only a person can tell: nothing verified is left (CHECKPOINT_MISSING), the committed one is not what
    was committed (CHECKPOINT_DIGEST), the log has lost its beginning and there is no state (LOG_TRUNCATED).
    """
    if committed is not None:
        digest = note.rpartition(":")[2] or None  # the embedded broker drops the metadata of commits
        if (found := (yield committed, digest)) is not None:
            return found, "committed"
        if digest and (yield committed, None) is not None:
            raise StateError(
                f"generation {committed} is whole, but is not the one that was committed ({note}): the checkpoints topic was changed",
                exit_code=ExitCode.CHECKPOINT_DIGEST,
                reason="checkpoint_digest",
            )
    for number in numbers:
        if (committed is None or number < committed) and (found := (yield number, None)) is not None:
            return found, "newest" if committed is None else "older"
    if committed is not None:
        raise StateError(
            f"the group has committed {committed}, but no verified generation at or before it is left (heads found: {numbers}); "
            "restore the checkpoints topic, or start under a new prefix",
            exit_code=ExitCode.CHECKPOINT_MISSING,
            reason="checkpoint_missing",
        )
    if log_begin > 0:
        raise StateError(
            f"there is neither a commit nor a checkpoint, and the log begins at {log_begin}, not at 0: what came before is lost",
            exit_code=ExitCode.LOG_TRUNCATED,
            reason="log_truncated",
        )
    return None


def choose(book: Book, committed: int | None, note: str, log_begin: int) -> tuple[Head, bytes, str] | None:
    """``rule`` on what is in memory."""
    asking: Generator[tuple[int, str | None], tuple[Head, bytes] | None, tuple[tuple[Head, bytes], str] | None]
    asking = rule(book.numbers(), committed, note, log_begin)
    try:
        ask = next(asking)
        while True:
            ask = asking.send(book.verified(*ask))
    except StopIteration as done:
        return (*done.value[0], done.value[1]) if done.value is not None else None
