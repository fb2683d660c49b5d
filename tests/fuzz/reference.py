"""What one record of ``readings`` is, by ``model``'s nouns and one msgspec call each: slow, plain, and nothing of the stream's."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from warning.model import Cause, Parameter, Reading, Switch

LAST_MS = 4_102_444_800_000
UNREADABLE = ("bad_json", "bad_field")  # which of the two depends on where a parser looks first

_Time = Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)]


class _Ranged(Reading, frozen=True, kw_only=True):
    """A field that is there twice must fit twice."""

    time_ms: _Time
    received_ms: _Time


class _Times(msgspec.Struct):
    """A tick or a switch. Fields of other names are not looked at: not even whether they are UTF-8."""

    tick_ms: _Time | None = None
    switch_ms: _Time | None = None
    writer: str = ""


_READING, _TIMES, _SWITCH = msgspec.json.Decoder(_Ranged), msgspec.json.Decoder(_Times), msgspec.json.Decoder(Switch)


class Judged(NamedTuple):
    """``kind``: reading, mark, or why it is rejected."""

    kind: str
    row: int = -1
    time_ms: int = 0
    value: float = 0.0
    received_ms: int = 0
    sentinel: bool = False
    station: str = ""


def judge(key: bytes | None, value: bytes | None, rows: dict[tuple[str, Parameter], int]) -> Judged:
    if value is None:
        return Judged("empty")
    if key is None:
        return Judged(_mark(value))
    try:
        reading = _READING.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Judged("bad_json")
    row = rows.get((reading.station, reading.parameter))
    if row is None:
        return Judged("unknown_series")
    number = float("nan") if reading.value is None else float(reading.value)
    return Judged("reading", row, reading.time_ms, number, reading.received_ms, reading.cause is Cause.SENTINEL, reading.station)


def _mark(value: bytes) -> str:
    """``null`` in the time's place says that it is the other one; of a field that is there twice the last counts."""
    try:
        times = _TIMES.decode(value)
        if times.tick_ms is None and times.switch_ms is not None:
            _SWITCH.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "bad_json"
    return "missing_key" if times.tick_ms is None and times.switch_ms is None else "mark"
