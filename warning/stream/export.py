"""Writes a part of one partition's log into a file that can be replayed anywhere: see ``archive`` for its form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from warning.deployment import Deployment
from warning.errors import ExitCode, InputError, StateError
from warning.region import Region
from warning.stream.archive import Batch, End, Header, Range
from warning.stream.owned import ALERTS_FROM
from warning.stream.part import Part, tick_ms
from warning.stream.ports import StampedLog
from warning.stream.state import Book, key_of
from warning.stream.takeover import decoded

RECORDS = 10_000  # a section
BYTES = 4 << 20
Progress = Callable[[str, int, int], None]  # what, done, of how many


@dataclass(frozen=True, slots=True)
class Written:
    header: Header
    end: End
    resumed: int  # records that an earlier, interrupted call had written
    size: int  # bytes


async def export(
    log: StampedLog,
    deployment: Deployment,
    regions: list[Region],
    code: str,
    partition: int,
    wanted: Range,
    path: Path,
    progress: Progress = lambda what, done, total: None,
) -> Written:
    """Writes ``path``, by way of ``path.part``: an interrupted export goes on where it was, a file with its own name is whole.

    The file begins at the newest checkpoint that is not after the beginning of ``wanted``, or at the beginning of the log. ``regions``: the
    one that decides now, then others that decided in the range; ``code``: of the decisions now. Raises ``StateError`` if no
    state is left for the beginning, ``InputError`` for a range that holds nothing, ``Unavailable``.
    """
    begin, end = await log.bounds(deployment.readings, partition)
    part = path.with_name(path.name + ".part")
    with await _part(log, deployment, regions, code, partition, wanted, part, begin) as out:
        await _records(log, deployment, partition, wanted, out, end, progress)
        if not out.records:
            words = f"the range holds no record from {out.header.first} on"
            raise InputError(words, reason="range", field="--to", fix="a later end")
        await _alerts(log, deployment, partition, regions, out)
        finished, size = out.finish()
    out.rename(path)
    return Written(out.header, finished, out.resumed, size)


async def _part(
    log: StampedLog,
    deployment: Deployment,
    regions: list[Region],
    code: str,
    partition: int,
    wanted: Range,
    path: Path,
    begin: int,
) -> Part:
    """Takes up what an interrupted export of the same range has left, if it is of the same log; else begins."""
    left = Part.left(path, (regions[0].id, deployment.readings, partition), wanted)
    if left is not None:
        last: list[bytes | None] = []
        await log.read(deployment.readings, partition, lambda offset, key, value: last.append(value), left.next - 1, left.next)
        if last == [left.last]:
            return left
        left.close()
    start = await _start(log, deployment, regions[0], code, partition, wanted, begin)
    return Part.begun(path, start.header, regions, start.records)


class _Start(NamedTuple):
    header: Header
    records: list[tuple[bytes, bytes]]  # of the checkpoint


async def _start(log: StampedLog, deployment: Deployment, region: Region, code: str, partition: int, wanted: Range, begin: int) -> _Start:
    book, held = Book(), {}

    def take(offset: int, key: bytes | None, value: bytes | None) -> None:
        book.take(offset, key, value)
        if key is not None and value is not None:
            held[key] = value

    await log.read(deployment.checkpoints, partition, take)
    kept = [(number, found) for number in book.numbers() if number >= begin and (found := book.verified(number)) is not None]
    words = {number: msgspec.json.decode(blob[: head.state_bytes], type=dict[str, Any]) for number, (head, blob) in kept}
    early = [number for number in words if _before(wanted, number, words[number]["now_ms"])]
    if early and (begin > 0 or wanted.from_offset is not None or wanted.from_ms is not None):
        number = min(early) if wanted.from_offset is None and wanted.from_ms is None else max(early)
        head = dict(kept)[number][0]
        keys = [key_of(head.writer, number, piece) for piece in (*range(head.chunks), "head")]
        header = _header(region, deployment, partition, wanted, (head.config, head.code), number, head.tick, words[number])
        return _Start(header, [(key, held[key]) for key in keys])
    if begin > 0:
        times = sorted(each["now_ms"] for each in words.values())
        raise StateError(
            f"no state is left for the beginning that is wanted: the log begins at record {begin}, the checkpoints that are kept stand at "
            f"{sorted(words)} (log times {times} ms): export from there on, and sooner the next time",
            exit_code=ExitCode.CHECKPOINT_MISSING,
            reason="checkpoint_missing",
        )
    decides = await _first_decider(log, deployment, region, partition) or (region.digest, code)
    return _Start(_header(region, deployment, partition, wanted, decides, 0, "", {}), [])


async def _first_decider(log: StampedLog, deployment: Deployment, region: Region, partition: int) -> tuple[str, str] | None:
    """Configuration and code of the first alert of the partition: no record says who began an empty log."""
    zones = {zone.id for zone in region.zones if region.basins[zone.basin] == partition}
    found: list[tuple[str, str]] = []

    def each(offset: int, key: bytes | None, value: bytes | None) -> None:
        event = decoded(value)
        if event is not None and event.alert.zone in zones:
            found.append((event.config, event.code))
            raise _Enough

    try:
        await log.read(deployment.alerts, 0, each)
    except _Enough:
        return found[0]
    return None


def _before(wanted: Range, number: int, now_ms: int) -> bool:
    if wanted.from_offset is not None:
        return number <= wanted.from_offset
    return wanted.from_ms is None or now_ms < wanted.from_ms


def _header(
    region: Region,
    deployment: Deployment,
    partition: int,
    wanted: Range,
    decides: tuple[str, str],
    first: int,
    tick: str,
    words: dict[str, Any],
) -> Header:
    return Header(
        region=region.id,
        topic=deployment.readings,
        partition=partition,
        config=decides[0],
        code=decides[1],
        start="checkpoint" if first else "empty",
        first=first,
        tick=tick,
        start_ms=words.get("now_ms", 0),
        alerts_from=words.get(ALERTS_FROM, 0),
        wanted=wanted,
    )


class _Enough(Exception):
    """The range is over."""


class _Columns:
    """Collects records into batches, which ``put`` takes; memory holds one."""

    def __init__(self, put: Callable[[Batch], None]) -> None:
        self._put, self._size = put, 0
        self._rows: list[tuple[int, int, bytes | None, bytes | None]] = []

    def add(self, offset: int, key: bytes | None, value: bytes | None, stamp_ms: int) -> None:
        self._rows.append((offset, stamp_ms, key, value))
        self._size += len(value or b"")
        if len(self._rows) >= RECORDS or self._size >= BYTES:
            self.close()

    def close(self) -> None:
        if self._rows:
            offsets, stamps, keys, values = (list(column) for column in zip(*self._rows, strict=True))
            self._put(Batch(offsets=offsets, stamps_ms=stamps, keys=keys, values=values))
        self._rows, self._size = [], 0


async def _records(log: StampedLog, deployment: Deployment, partition: int, wanted: Range, out: Part, end: int, progress: Progress) -> None:
    begun, columns, following = out.next, _Columns(out.put), out.next

    def each(offset: int, key: bytes | None, value: bytes | None, stamp_ms: int) -> None:
        if key is None and wanted.to_ms is not None and (moment := tick_ms(value)) is not None and moment > wanted.to_ms:
            raise _Enough
        nonlocal following
        if offset != following:
            raise StateError(
                f"{deployment.readings}-{partition}: record {following} is gone, the next one is {offset}",
                exit_code=ExitCode.LOG_TRUNCATED,
                reason="log_truncated",
            )
        following += 1
        columns.add(offset, key, value, stamp_ms)
        if offset % RECORDS == 0:
            progress("records exported", offset - begun, max(end - begun, offset - begun))

    try:
        if wanted.to_offset is None or out.next < wanted.to_offset:
            await log.read_stamped(deployment.readings, partition, each, out.next, wanted.to_offset)
    except _Enough:
        pass
    columns.close()
    progress("records exported", out.next - begun, out.next - begun)


async def _alerts(log: StampedLog, deployment: Deployment, partition: int, regions: list[Region], out: Part) -> None:
    """What the range made people hear of: so that whoever replays it can compare."""
    zones = {zone.id for region in regions for zone in region.zones if region.basins[zone.basin] == partition}
    columns = _Columns(out.put_alerts)
    since_ms = out.header.start_ms // 1000 * 1000

    def each(offset: int, key: bytes | None, value: bytes | None, stamp_ms: int) -> None:
        event = decoded(value)
        if event is not None and event.alert.zone in zones and since_ms <= event.alert.sent_ms <= out.now_ms:
            columns.add(offset, key, value, stamp_ms)

    await log.read_stamped(deployment.alerts, 0, each, out.header.alerts_from)
    columns.close()
