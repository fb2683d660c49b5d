"""Records of the log <-> columns. Many of our gateway's shape at once; any other through msgspec by itself, so that a broken one costs
only itself."""

from __future__ import annotations

import base64
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Annotated, Literal, Protocol

import msgspec
import numpy as np

from warning.model import ManualFlag, Parameter, Rejected, Switch, Tick
from warning.pipeline.beat import Readings
from warning.pipeline.plan import RowNumbers
from warning.stream import shape
from warning.stream.frames import Frames, Ints

LAST_MS = 4_102_444_800_000  # 2100-01-01: what is later is no time but an error of unit
MOST_BYTES = 128 << 10  # of a rejected record that are kept: six times that, escaped, is below 1 MiB. The log has all of it
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)]
_Parameter = Literal["stage", "discharge", "inflow", "outflow", "rain", "temperature", "humidity"]
_Cause = Literal[
    "none", "missing", "sentinel", "future", "stale", "gross_range", "duplicate", "revision", "spike", "rate_of_rise", "rate_of_fall",
    "flat_line", "manual", "internal", "gap", "climatology", "rise_without_rain", "rain_without_rise", "neighbour", "attenuated",
    "datum_shift", "outside_rating", "wrong_unit",
]  # fmt: skip


_FLAG = b'{"flag_ms":'  # as ``model.to_json`` begins a ManualFlag


class _Line(msgspec.Struct, gc=False):
    """``model.Reading`` with words in place of enums, which would cost a hash in Python each. A test holds the two together."""

    station: str
    parameter: _Parameter
    time_ms: _Milliseconds
    value: float | None
    received_ms: _Milliseconds
    provider: str
    cause: _Cause = "none"


class _Mark(msgspec.Struct, gc=False):
    """A tick or a switch, whichever it is; of a switch only enough to know it."""

    tick_ms: _Milliseconds | None = None
    switch_ms: _Milliseconds | None = None
    writer: str = ""


class Rows(Protocol):
    """What the codec needs of ``pipeline.plan.Plan``."""

    @property
    def row(self) -> Mapping[tuple[str, Parameter], int]: ...


@dataclass(frozen=True, slots=True)
class Segment:
    """Records of the log up to and including one mark (or the end of the run): ``offset`` is the last one's."""

    readings: Readings
    rejected: tuple[Rejected, ...]
    mark: Tick | Switch | None
    offset: int
    records: int
    flags: tuple[ManualFlag, ...] = ()  # what operators said


def _rows(row: Mapping[tuple[str, Parameter], int]) -> dict[str, Mapping[str, int]]:
    """parameter -> station -> row; a plan's own dictionaries where it has such: no second one, and no tuple for each series."""
    rows: dict[str, Mapping[str, int]] = {parameter.value: {} for parameter in Parameter}
    if isinstance(row, RowNumbers):
        return rows | {parameter.value: own for parameter, own in row.by_parameter.items()}
    made: dict[str, dict[str, int]] = {name: {} for name in rows}
    for (station, parameter), number in row.items():
        made[parameter.value][station] = number
    return rows | made


class Decoder:
    """Reads runs of one partition's log."""

    def __init__(self, plan: Rows) -> None:
        self._rows = _rows(plan.row)
        self._shape = shape.Shape(self._rows)
        self._line = msgspec.json.Decoder(_Line).decode
        self._mark = msgspec.json.Decoder(_Mark).decode
        self._switch = msgspec.json.Decoder(Switch).decode
        self._flag = msgspec.json.Decoder(ManualFlag).decode
        self._said: list[tuple[int, ManualFlag]] = []  # (offset, what an operator said) in the run that is being read

    def run(self, keys: Sequence[bytes | None], values: Sequence[bytes | None], first: int) -> list[Segment]:
        """``first``: offset of the first record. Never raises for what the records hold."""
        self._said.clear()
        stops, end = _absent(keys), len(keys)  # marks have no key
        found = self._readings(_without(values, stops), _offsets(first, end, stops))
        segments, at = [], 0
        for stop in [*stops, end]:
            if at == end:
                break
            readings, rejected = found.before(first + stop)
            mark: Tick | Switch | None = None
            if stop < end:
                marked = self._marked(values[stop], first + stop)
                if isinstance(marked, Rejected):
                    rejected.append(marked)
                else:
                    mark = marked
            last = min(stop, end - 1)
            said = tuple(flag for offset, flag in self._said if first + at <= offset < first + stop) if self._said else ()
            segments.append(Segment(readings, tuple(rejected), mark, first + last, last - at + 1, said))
            at = stop + 1
        return segments

    def _readings(self, values: Sequence[bytes | None], offsets: Ints) -> _Found:
        if len(values) >= shape.FEWEST and (frames := _frames(values)) is not None:
            if not self._shape.taught:  # the first run of a life need not be read one by one as a whole
                self._by_msgspec(frames[: shape.FEWEST].all(), offsets[: shape.FEWEST])
                self._said.clear()  # they are read again
            columns = self._shape.read(frames)
            if columns is not None:
                return self._completed(columns, frames, offsets)
            values = frames.all()
        return _Found(*self._by_msgspec(values, offsets))

    def _completed(self, columns: shape.Columns, values: Frames, offsets: Ints) -> _Found:
        """What is of our gateway's shape has been read; msgspec reads the rest, each reading in its place."""
        good, count = columns.good, len(columns.row)
        plain = Readings(columns.row, columns.time_ms, columns.value, columns.received_ms, np.zeros(count, np.bool_))
        if count == len(good):
            return _Found(plain, [], offsets)
        others = np.flatnonzero(~good)
        readings, rejected, taken = self._by_msgspec(values.part(others).all(), offsets[others])
        if not len(readings):
            return _Found(plain, rejected, offsets[good])
        both, where = Readings.concatenate([plain, readings]), np.concatenate((offsets[good], taken))
        place = np.argsort(where, kind="stable")
        return _Found(Readings(*(getattr(both, name)[place] for name in Readings.__slots__)), rejected, where[place])

    def _by_msgspec(self, values: Sequence[bytes | None], offsets: Ints) -> tuple[Readings, list[Rejected], Ints]:
        """Also the offsets of those that were taken."""
        if not values:
            return Readings.none(), [], offsets
        decode, rows = self._line, self._rows
        try:
            if (some := decode(values[0])).station not in rows[some.parameter]:  # type: ignore[arg-type]
                return self._one_by_one(values, offsets.tolist())  # the others, too, most likely
            lines = [decode(value) for value in values]  # type: ignore[arg-type]
            readings = _columns([rows[line.parameter][line.station] for line in lines], lines)
        except (msgspec.MsgspecError, ValueError, LookupError, RecursionError, TypeError):
            return self._one_by_one(values, offsets.tolist())
        self._learn(lines, values)
        return readings, [], offsets

    def _learn(self, lines: Sequence[_Line], values: Sequence[bytes | None]) -> None:
        if len(lines) >= shape.FEWEST:
            self._shape.learn({line.provider: value for line, value in zip(lines, values, strict=True) if value is not None}.values())

    def _one_by_one(self, values: Sequence[bytes | None], offsets: Sequence[int]) -> tuple[Readings, list[Rejected], Ints]:
        rows: list[int] = []
        lines: list[_Line] = []
        texts: list[bytes] = []
        taken: list[int] = []
        rejected: list[Rejected] = []
        decode, of = self._line, self._rows
        for offset, value in zip(offsets, values, strict=True):
            if value is None:
                rejected.append(reject("empty", f"record {offset}: a key without a value", b"", offset))
                continue
            if value.startswith(_FLAG):
                rejected += self._flagged(value, offset)
                continue
            try:
                line = decode(value)
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                rejected.append(reject(_reason(error), f"record {offset}: {error}", value, offset))
                continue
            row = of[line.parameter].get(line.station)
            if row is None:
                words = f"record {offset}: no series {line.parameter} at station {line.station[:80]!a} in this partition"
                rejected.append(reject("unknown_series", words, value, offset, line.provider))
                continue
            rows.append(row)
            lines.append(line)
            texts.append(value)
            taken.append(offset)
        self._learn(lines, texts)  # else one broken record a fetch would keep all the others from being read at once
        return _columns(rows, lines), rejected, np.asarray(taken, np.int64)

    def _flagged(self, value: bytes, offset: int) -> list[Rejected]:
        """What an operator said about a sensor; why it is not taken, if it is not."""
        try:
            flag = self._flag(value)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return [reject(_reason(error), f"record {offset}, a flag: {error}", value, offset)]
        if flag.station not in self._rows[flag.parameter.value]:
            words = f"record {offset}: a flag for {flag.parameter.value} at station {flag.station[:80]!a}, no series of this partition"
            return [reject("unknown_series", words, value, offset, flag.who)]
        end_ms = LAST_MS if flag.to_ms is None else flag.to_ms
        if not 0 <= flag.from_ms < end_ms <= LAST_MS:
            words = f"record {offset}: a flag from {flag.from_ms} to {flag.to_ms} ms: the end must come after the beginning, before 2100"
            return [reject("bad_field", words, value, offset, flag.who)]
        self._said.append((offset, flag))
        return []

    def _marked(self, value: bytes | None, offset: int) -> Tick | Switch | Rejected:
        if value is None:
            return reject("empty", f"record {offset}: neither key nor value, as the mark where a transaction ends", b"", offset)
        try:
            mark = self._mark(value)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return reject(_reason(error), f"record {offset}, without a key: {error}", value, offset)
        if mark.tick_ms is not None:
            return Tick(tick_ms=mark.tick_ms, writer=mark.writer)
        if mark.switch_ms is not None:
            try:
                return self._switch(value)
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                return reject(_reason(error), f"record {offset}, a switch: {error}", value, offset)
        words = f"record {offset}: no key, and neither a tick nor a switch; a reading's key is its basin"
        return reject("missing_key", words, value, offset)


class _Found:
    """The readings of a run and its rejects, both in order, to be handed out up to one mark after the other."""

    def __init__(self, readings: Readings, rejected: list[Rejected], offsets: Ints) -> None:
        self._readings, self._rejected, self._offsets = readings, rejected, offsets
        self._at = self._reject = 0
        self._next = self._upcoming()

    def before(self, offset: int) -> tuple[Readings, list[Rejected]]:
        """What stands before this record and was not handed out yet."""
        if offset <= self._next:  # a tick after the other
            return Readings.none(), []
        begin, self._at = self._at, int(np.searchsorted(self._offsets, offset))
        first = self._reject
        self._reject = bisect_left(self._rejected, offset, first, key=lambda each: each.offset)
        self._next = self._upcoming()
        return self._readings[begin : self._at], self._rejected[first : self._reject]

    def _upcoming(self) -> float:
        """Offset of the first that was not handed out yet."""
        reading = int(self._offsets[self._at]) if self._at < len(self._offsets) else math.inf
        return min(reading, self._rejected[self._reject].offset) if self._reject < len(self._rejected) else reading


def _absent(keys: Sequence[bytes | None]) -> list[int]:
    return keys.absent() if isinstance(keys, Frames) else [at for at, key in enumerate(keys) if key is None]


def _without(values: Sequence[bytes | None], stops: list[int]) -> Sequence[bytes | None]:
    """Readings alone: what stands between the marks is read in one go."""
    if not stops:
        return values
    if isinstance(values, Frames):
        return Frames(values.buffer, np.delete(values.start, stops), np.delete(values.size, stops))
    kept = [values[begin + 1 : end] for begin, end in pairwise([-1, *stops, len(values)])]
    return list(chain.from_iterable(kept))


def _offsets(first: int, count: int, stops: list[int]) -> Ints:
    offsets = np.arange(first, first + count)
    return np.delete(offsets, stops) if stops else offsets


def _frames(values: Sequence[bytes | None]) -> Frames | None:
    """None where there is a record without a value."""
    try:
        return values if isinstance(values, Frames) else Frames.of(values)  # type: ignore[arg-type]
    except TypeError:
        return None


def _columns(rows: list[int], lines: list[_Line]) -> Readings:
    n = len(lines)
    return Readings(
        row=np.fromiter(rows, np.int32, n),
        time_ms=np.fromiter([line.time_ms for line in lines], np.int64, n),
        value=np.array([line.value for line in lines], np.float64),  # None becomes NaN
        received_ms=np.fromiter([line.received_ms for line in lines], np.int64, n),
        sentinel=np.fromiter([line.cause == "sentinel" for line in lines], np.bool_, n),
    )


def _reason(error: Exception) -> str:
    return "bad_field" if isinstance(error, msgspec.ValidationError) else "bad_json"


def reject(reason: str, detail: str, record: bytes, offset: int = -1, provider: str = "") -> Rejected:
    """A record that cannot be read, as it came (cut after 128 kB, which ``detail`` says). The time is set by the beat."""
    if len(record) > MOST_BYTES:
        detail += f" (the first {MOST_BYTES} of {len(record)} bytes are kept)"
        record = record[:MOST_BYTES]
    try:
        text, encoding = record.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(record).decode(), "base64"
    return Rejected(reason=reason, stage="decode", detail=detail, record=text, encoding=encoding, provider=provider, offset=offset)
