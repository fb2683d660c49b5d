"""Many mutated records at once. Bytes are changed in one matrix by array operations; words are put in one record at a time.

The same generator gives the same records. About 1.5 us a record.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence

import numpy as np

from fuzz import seeds as words

WIDTH = 384  # bytes of a seed and of what is inserted
HEAVY_EVERY = 20_000  # records to one that is very long or very deep
_FIELD = re.compile(rb'"(\w+)":\s*("(?:[^"\\]|\\.)*"|[^,}]*)')


class Mutator:
    """``seeds``: whole JSON objects, at most 256 bytes each."""

    def __init__(self, seeds: Sequence[bytes], seed: int) -> None:
        self._rng, self._random = np.random.default_rng(seed), random.Random(seed)
        self._matrix = np.zeros((len(seeds), WIDTH), np.uint8)
        for row, text in enumerate(seeds):
            self._matrix[row, : len(text)] = np.frombuffer(text, np.uint8)
        self._size = np.array([len(text) for text in seeds])
        self._fields = [_FIELD.findall(text) for text in seeds]
        self._interesting = np.frombuffer(words.INTERESTING, np.uint8)

    def batch(self, count: int) -> list[bytes]:
        rng = self._rng
        pick = rng.integers(len(self._size), size=count)
        rows, size = self._matrix[pick], self._size[pick]
        kind = rng.integers(0, 16, count)
        for number, change in enumerate(
            (self._flip, self._byte, self._cut, self._delete, self._insert, self._splice, self._digits, self._repeat)
        ):
            those = np.flatnonzero(kind == number)
            rows[those], size[those] = change(rows[those], size[those])
        both = np.flatnonzero(kind == 8)  # two changes
        rows[both], size[both] = self._digits(*self._flip(rows[both], size[both]))
        raw = rows.tobytes()
        found = [raw[at : at + length] for at, length in zip(range(0, count * WIDTH, WIDTH), size.tolist(), strict=True)]
        for at in np.flatnonzero((kind >= 9) & (kind < 14)).tolist():  # 14 and 15 stay as they are
            found[at] = self._worded(int(pick[at]))
        for at in np.flatnonzero(rng.integers(0, HEAVY_EVERY, count) == 0).tolist():
            found[at] = self._random.choice(words.HEAVY)
        return found

    def _places(self, size: np.ndarray) -> np.ndarray:
        return (self._rng.random(len(size)) * np.maximum(size, 1)).astype(np.int64)

    def _flip(self, rows: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        for _ in range(int(self._rng.integers(1, 4))):
            rows[np.arange(len(rows)), self._places(size)] ^= (1 << self._rng.integers(0, 8, len(rows))).astype(np.uint8)
        return rows, size

    def _byte(self, rows: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows[np.arange(len(rows)), self._places(size)] = self._rng.choice(self._interesting, len(rows))
        return rows, size

    def _cut(self, rows: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return rows, self._places(size)

    def _delete(self, rows: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        place, length = self._places(size)[:, None], self._rng.integers(1, 24, len(rows))[:, None]
        columns = np.arange(WIDTH)[None, :]
        source = np.minimum(np.where(columns < place, columns, columns + length), WIDTH - 1)
        return np.take_along_axis(rows, source, 1), np.maximum(size - length[:, 0], place[:, 0])

    def _insert(self, rows: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        place, length = self._places(size)[:, None], self._rng.integers(1, 24, len(rows))[:, None]
        columns = np.arange(WIDTH)[None, :]
        moved = np.take_along_axis(rows, np.where(columns < place, columns, np.maximum(columns - length, 0)), 1)
        inside = (columns >= place) & (columns < place + length)
        return np.where(inside, self._rng.choice(self._interesting, rows.shape), moved), size + length[:, 0]

    def _repeat(self, rows: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A part of the record twice."""
        place, length = self._places(size)[:, None], self._rng.integers(1, 60, len(rows))[:, None]
        columns = np.arange(WIDTH)[None, :]
        return np.take_along_axis(rows, np.where(columns < place + length, columns, columns - length), 1), np.minimum(
            size + length[:, 0], WIDTH
        )

    def _splice(self, rows: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The beginning of one, the end of another."""
        other = self._rng.integers(len(self._size), size=len(rows))
        place, end = self._places(size)[:, None], self._size[other][:, None]
        source = self._places(self._size[other])[:, None]
        columns = np.arange(WIDTH)[None, :]
        tail = np.take_along_axis(self._matrix[other], np.clip(columns - place + source, 0, WIDTH - 1), 1)
        return np.where(columns < place, rows, tail), np.minimum(place + end - source, WIDTH)[:, 0]

    def _digits(self, rows: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Other digits: mostly still a reading, of another value, time or station."""
        for _ in range(12):
            line, place = np.arange(len(rows)), self._places(size)
            now = rows[line, place]
            rows[line, place] = np.where((now >= 48) & (now < 58), self._rng.integers(48, 58, len(rows)).astype(np.uint8), now)
        return rows, size

    def _worded(self, seed: int) -> bytes:
        """A field or two with a word in place of its own; now and then another order, a field twice, missing, or something around it."""
        choose, chance = self._random.choice, self._random.random
        fields = list(self._fields[seed])
        for _ in range(1 if chance() < 0.7 else 2):
            at = self._random.randrange(len(fields))
            fields[at] = (fields[at][0], _word(fields[at][0], choose))
        if chance() < 0.1:
            self._random.shuffle(fields)
        if chance() < 0.1:
            del fields[self._random.randrange(len(fields))]
        body = b",".join(b'"%b":%b' % field for field in fields)
        more = choose(words.MORE) if chance() < 0.2 else b""
        before, after = choose(words.WRAPS) if chance() < 0.15 else (b"", b"")
        text = before + b"{" + body + more + b"}" + after
        if chance() < 0.03:
            return text.decode("latin-1").encode(choose(["utf-16", "utf-16-be", "utf-32", "utf-7"]), "replace")
        if chance() < 0.03:
            return json.dumps(text.decode("latin-1")).encode()
        return text


def _word(field: bytes, choose: Callable[[Sequence[bytes]], bytes]) -> bytes:
    if field == b"time":
        return choose(words.ITEM_TIMES)
    if field.endswith(b"_ms"):
        return choose(words.TIMES)
    return choose(words.NUMBERS if field == b"value" else words.TEXTS)
