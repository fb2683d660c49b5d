"""What a checkpoint is: the arrays of a state, copied; chunks and a head on a compacted topic; and how they are read back.

A generation's records have the keys ``writer|next|0 .. writer|next|head``; the head is written last and counts the chunks and
digests all of it. Any verified generation is right, whoever wrote it, because the state is a function of the log; the commit
of the consumer group says which one counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from warning.errors import ExitCode, StateError

CHUNK = 900_000  # bytes; brokers take 1 MiB a record by default
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
    """A copy of a state at the end of a beat, to be written while the work goes on."""

    def __init__(self, head: Head, views: list[memoryview]) -> None:
        self.head, self._views = head, views

    @property
    def size(self) -> int:
        return sum(view.nbytes for view in self._views)

    def sealed(self) -> Head:
        """The head with its digest. Takes 2 s for 1 GB and releases the interpreter: run it in a thread."""
        return msgspec.structs.replace(self.head, digest=digest_of(self.head, self._views))

    def chunks(self) -> Iterator[bytes]:
        rest = b""
        for view in self._views:
            at = 0
            while len(rest) + view.nbytes - at >= CHUNK:
                piece = view[at : at + CHUNK - len(rest)]
                yield rest + bytes(piece) if rest else bytes(piece)
                at, rest = at + piece.nbytes, b""
            rest += bytes(view[at:])
        if rest:
            yield rest


class Memory:
    """Memory kept for the copies of one partition: to copy into it costs 50 ms for 400 MB, into new memory four times that."""

    def __init__(self) -> None:
        self._kept: Arrays = {}

    def copy(self, head: dict[str, Any], arrays: Arrays, **fields: Any) -> Frozen:
        """``fields``: the rest of ``Head``. One copy at a time: the next one overwrites it."""
        for name, array in arrays.items():
            kept = self._kept.get(name)
            if kept is None or kept.shape != array.shape or kept.dtype != array.dtype:
                if array.dtype.hasobject:
                    raise TypeError(f"array {name} of the state holds Python objects: it cannot be checkpointed")
                self._kept[name] = array.copy(order="C")
            else:
                np.copyto(kept, array)
        for name in self._kept.keys() - arrays.keys():
            del self._kept[name]
        words = msgspec.json.encode(head)
        kinds = [(name, _kind(self._kept[name].dtype), self._kept[name].shape) for name in arrays]
        views = [memoryview(words)]
        views += [self._kept[name].reshape(-1).view(np.uint8).data for name in arrays]
        size = sum(view.nbytes for view in views)
        return Frozen(Head(state_bytes=len(words), arrays=kinds, chunks=-(-size // CHUNK), **fields), views)


def _kind(dtype: np.dtype[Any]) -> str:
    """``<f4``, or ``field:<f4 field:<u4`` of a record without gaps."""
    if dtype.names is None:
        return dtype.str
    return " ".join(f"{name}:{dtype[name].str}" for name in dtype.names)


def _dtype(kind: str) -> np.dtype[Any]:
    if ":" not in kind:
        return np.dtype(kind)
    fields = [field.rpartition(":") for field in kind.split(" ")]
    return np.dtype([(name, each) for name, _, each in fields])


def digest_of(head: Head, views: list[memoryview]) -> str:
    """blake2b over the head without its digest, then the bytes of the arrays."""
    hashed = hashlib.blake2b(msgspec.json.encode(msgspec.structs.replace(head, digest="")), digest_size=16)
    for view in views:
        hashed.update(view)
    return hashed.hexdigest()


def unpack(head: Head, blob: bytes) -> tuple[dict[str, Any], Arrays]:
    """The state's own head and the arrays of a verified generation, writable and aligned."""
    arrays: Arrays = {}
    at = head.state_bytes
    for name, kind, shape in head.arrays:
        dtype, count = _dtype(kind), int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(blob, dtype, count, at).reshape(shape).copy()
        at += count * dtype.itemsize
    return msgspec.json.decode(blob[: head.state_bytes], type=dict[str, Any]), arrays


def key_of(writer: str, generation: int, chunk: int | str) -> bytes:
    return f"{writer}|{generation}|{chunk}".encode()


class Generation(msgspec.Struct, frozen=True):
    """Where the records of a generation are: enough to tombstone it, whole or not."""

    writer: str
    next: int
    pieces: tuple[str, ...]  # "0", "1", ..., "head": those that are there


class Book:
    """Reads the records of one partition of ``checkpoints``, in order."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, str], dict[str, bytes]] = {}

    def take(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        words = (key or b"").decode(errors="replace").split("|")
        if len(words) != 3 or not words[1].isdecimal():
            return  # not of a generation, e.g. the clock's
        parts = self._parts.setdefault((int(words[1]), words[0]), {})
        if value is None:
            parts.pop(words[2], None)
        else:
            parts[words[2]] = value

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
            if head.next == number and digest in (None, head.digest) and digest_of(head, [memoryview(blob)]) == head.digest:
                return head, blob
        return None


def note_of(head: Head) -> str:
    """What goes with the commit."""
    return f"{head.next}:{head.writer}:{head.digest}"


def choose(book: Book, committed: int | None, note: str, log_begin: int) -> tuple[Head, bytes, str] | None:
    """The generation to start from, with how it was found (committed, older, newest); None: an empty start.

    Raises ``StateError`` if only a person can tell: nothing verified is left (CHECKPOINT_MISSING), the committed one is not what
    was committed (CHECKPOINT_DIGEST), the log has lost its beginning and there is no state (LOG_TRUNCATED).
    """
    if committed is not None and (found := _committed(book, committed, note)) is not None:
        return (*found, "committed")
    for number in book.numbers():
        if (committed is None or number < committed) and (found := book.verified(number)) is not None:
            return (*found, "newest" if committed is None else "older")
    if committed is not None:
        raise StateError(
            f"the group has committed {committed}, but no verified generation at or before it is left (heads found: {book.numbers()}); "
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


def _committed(book: Book, committed: int, note: str) -> tuple[Head, bytes] | None:
    digest = note.rpartition(":")[2] if note else None  # the embedded broker drops the metadata of commits
    found = book.verified(committed, digest or None)
    if found is None and digest and book.verified(committed) is not None:
        raise StateError(
            f"generation {committed} is whole, but is not the one that was committed ({note}): the checkpoints topic was changed",
            exit_code=ExitCode.CHECKPOINT_DIGEST,
            reason="checkpoint_digest",
        )
    return found
