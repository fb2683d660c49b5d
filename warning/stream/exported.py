"""Reads an exported log: what it is, and what it decides here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from warning import config_archive
from warning.errors import ConfigError, InputError, Problem
from warning.model import AlertEvent, Switch, to_json
from warning.region import Region
from warning.stream import epochs
from warning.stream.archive import Batch, End, Header, sections
from warning.stream.decisions import PIPELINE
from warning.stream.ports import Pipeline
from warning.stream.replay import once
from warning.stream.state import Book, unpack
from warning.stream.takeover import Switches

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Exported:
    """A file that was read to its end once and is whole. Implements ``epochs.Log``."""

    path: Path
    header: Header
    end: End
    regions: dict[str, Region]
    switches: list[tuple[int, Switch]]
    published: dict[str, bytes]  # identifier -> what stood on ``alerts``
    book: Book = field(repr=False)

    @property
    def partition(self) -> int:
        return self.header.partition

    @staticmethod
    def of(path: Path) -> Exported:
        """Raises ``InputError`` for a file that is no export, damaged or cut; ``ConfigError`` if this code reads its region otherwise."""
        header, end, book, switches = None, None, Book(), _Found()
        regions: dict[str, Region] = {}
        published: list[tuple[str, bytes]] = []
        for letter, content in sections(path):
            if letter == b"H":
                header = msgspec.json.decode(content, type=Header)
            elif letter == b"R":
                region = config_archive.unpack(content, str(path))
                regions[region.digest] = region
            elif letter == b"S":
                key, value = msgspec.msgpack.decode(content, type=tuple[bytes, bytes])
                book.take(0, key, value)
            elif letter == b"B":
                switches.look(msgspec.msgpack.decode(content, type=Batch))
            elif letter == b"A":
                batch = msgspec.msgpack.decode(content, type=Batch)
                published += [((key or b"").decode(), value or b"") for key, value in zip(batch.keys, batch.values, strict=True)]
            elif letter == b"E":
                end = msgspec.json.decode(content, type=End)
        if header is None or end is None:
            raise InputError(f"{path} has no header", reason="format", field=str(path), fix="ask for it again: warning export-log")
        return Exported(path, header, end, regions, switches.whole, once(published), book)

    def runs(self, first: int) -> Iterator[epochs.Run]:
        for letter, content in sections(self.path):
            if letter != b"B":
                continue
            batch = msgspec.msgpack.decode(content, type=Batch)
            if batch.offsets[-1] < first:
                continue
            skip = max(0, first - batch.offsets[0])
            yield batch.offsets[skip], batch.keys[skip:], batch.values[skip:]

    def region_of(self, digest: str) -> Region:
        if digest not in self.regions:
            words = f"configuration {digest[:12]} decided in a part of this log and is not in the file; in it: {[*self.regions]}"
            raise ConfigError([Problem(str(self.path), words, "export it again with --also FOLDER of that configuration")])
        return self.regions[digest]

    def begin(self) -> epochs.Begin:
        header = self.header
        if header.start == "empty":
            return epochs.Begin(header.first, header.config, header.code)
        found = self.book.verified(header.first)
        if found is None:
            raise InputError(f"{self.path}: its checkpoint is damaged", reason="damaged", field=str(self.path), fix="export it again")
        return epochs.Begin(header.first, header.config, header.code, header.tick, *unpack(*found))

    def replay(self, pipeline: Pipeline = PIPELINE) -> Iterator[epochs.Told]:
        return epochs.replay(self, self.begin(), self.switches, self.region_of, pipeline)

    def expected(self, pipeline: Pipeline = PIPELINE) -> dict[str, bytes]:
        """Of what stood on ``alerts``, what was decided after the state at the start."""
        begin = self.begin()
        if begin.head is None:
            return self.published
        plan = pipeline.plan(self.region_of(begin.config), self.partition)
        state = pipeline.thaw(plan, begin.head, begin.arrays or {})
        events = [msgspec.json.decode(value, type=AlertEvent) for value in self.published.values()]
        after = {event.alert.identifier for event in pipeline.published_after(plan, state, events)}
        return {name: value for name, value in self.published.items() if name in after}

    def documents(self, pipeline: Pipeline = PIPELINE, progress: Progress = lambda what, done, total: None) -> dict[str, bytes]:
        """identifier -> the bytes that this code publishes for this log: what should stand on ``alerts``."""

        def events() -> Iterator[tuple[str, bytes]]:
            for told in self.replay(pipeline):
                progress("records decided", min(told.closed.offset + 1, self.end.next) - self.header.first, self.end.records)
                for event in told.alerts:
                    yield event.alert.identifier, to_json(event)

        return once(events())

    def codes(self) -> list[str]:
        """The codes that decided in it, in order."""
        return list(dict.fromkeys([self.header.code, *(switch.code for _, switch in self.switches)]))


class _Found:
    """The switches in batches of a log."""

    def __init__(self) -> None:
        self.whole: list[tuple[int, Switch]] = []
        self._parts = Switches()
        self._decode = msgspec.json.Decoder(Switch).decode

    def look(self, batch: Batch) -> None:
        for offset, key, value in zip(batch.offsets, batch.keys, batch.values, strict=True):
            if key is not None or value is None or b'"switch_ms"' not in value:
                continue
            try:
                switch = self._parts.take(self._decode(value))
            except (msgspec.MsgspecError, RecursionError):
                continue  # the worker rejected it too
            if switch is not None:
                self.whole.append((offset, switch))
