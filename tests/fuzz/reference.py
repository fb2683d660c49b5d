"""What one record of ``readings`` is, by ``model``'s nouns and one msgspec call each: slow, plain, and nothing of the stream's."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from warning.model import Cause, Parameter, Reading, Switch, Tick

LAST_MS = 4_102_444_800_000
UNREADABLE = ("bad_json", "bad_field")  # which of the two depends on where a parser looks first

_NULL = msgspec.Raw(b"null")
_Time = Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)]


class _Ranged(Reading, frozen=True, kw_only=True):
    """A field that is there twice must fit twice."""

    time_ms: _Time
    received_ms: _Time


class _Names(msgspec.Struct):
    """Fields of other names are not looked at: not even whether they are UTF-8."""

    tick_ms: msgspec.Raw = _NULL
    switch_ms: msgspec.Raw = _NULL


_READING, _NAMES = msgspec.json.Decoder(_Ranged), msgspec.json.Decoder(_Names)
_TICK, _SWITCH = msgspec.json.Decoder(Tick), msgspec.json.Decoder(Switch)


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
    """A tick, a switch, neither, or no JSON object at all. ``null`` in the time's place says that it is the other one."""
    try:
        fields = _NAMES.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "bad_json"
    if bytes(fields.tick_ms) != b"null":
        return "mark" if _fits(_TICK, value, "tick_ms") else "bad_field"
    if bytes(fields.switch_ms) != b"null":
        return "mark" if _fits(_SWITCH, value, "switch_ms") else "bad_field"
    return "missing_key"


def _fits(decoder: msgspec.json.Decoder[Tick] | msgspec.json.Decoder[Switch], value: bytes, name: str) -> bool:
    try:
        return 0 <= getattr(decoder.decode(value), name) <= LAST_MS
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
