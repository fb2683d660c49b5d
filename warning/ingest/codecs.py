"""The bytes of a LoRaWAN uplink by a declared layout -> numbers with names. Whatever the bytes are, it answers or says what is wrong."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from warning.config_codecs import TIME, Block, ByteField, ChannelsLayout, FlagsLayout, Layout, PortsLayout
from warning.errors import InputError
from warning.ingest.formats import Refusal, refusal

Value = float | str | None
_FIX = "is the codec of this device in devices.csv the right one, and its firmware the one that the codec knows?"


@dataclass(slots=True)
class Record:
    """What was measured at one time. ``time_s``: since 1970 UTC by the device's clock; None: when the frame was sent.

    ``values``: None is a measurement that the sensor says it does not have.
    """

    time_s: int | None = None
    values: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decoded:
    """``records``: what is said of now (first, maybe without values), then what the device had kept. ``wrong``: what could not be read."""

    records: tuple[Record, ...]
    wrong: InputError | None = None


def decode(layout: Layout, port: int, data: bytes) -> Decoded:
    """One frame. What stands before the first bytes that do not fit the layout counts; those are in ``wrong``."""
    if port in layout.ignore_ports:
        return Decoded((Record(),))
    if layout.ports and port not in layout.ports:
        return Decoded((), _wrong("fPort", f"port {port} carries no readings of {layout.device}"))
    records = [Record()]
    wrong: InputError | None = None
    try:
        for block, part in _blocks(layout, port, data):
            _take(block, part, records)
    except InputError as error:
        wrong = error
    return Decoded(tuple(records), wrong)


def _take(block: Block, part: bytes, records: list[Record]) -> None:
    raws = {one.name: _raw(one, at, part) for one, at in block.placed()}
    for name, wanted in block.expect.items():
        if raws[name] != wanted:
            raise _wrong(name, f"{name} is {raws[name]:g} instead of {wanted}: no frame of this device")
    nothing = any(raws[name] in values for name, values in block.missing_when.items())
    values = {one.name: None if nothing and one.unit else _value(one, raws[one.name]) for one in block.fields if one.name != TIME}
    if TIME in raws:
        records.append(Record(int(raws[TIME]), values))
    else:
        records[0].values.update(values)


def _blocks(layout: Layout, port: int, data: bytes) -> Iterator[tuple[Block, bytes]]:
    """Each block of the frame with its bytes. Raises InputError at the first bytes that are none."""
    if isinstance(layout, ChannelsLayout):
        return _rows(layout, data)
    if isinstance(layout, FlagsLayout):
        return _flagged(layout, data)
    return iter([_frame(layout, port, data)])


def _rows(layout: ChannelsLayout, data: bytes) -> Iterator[tuple[Block, bytes]]:
    at = 0
    while at < len(data):
        name = data[at : at + 2].hex().upper()
        block = layout.channels.get(name)
        if block is None:
            raise _wrong("data", f"channel {name} at byte {at} is not in the layout of {layout.device}; what follows it cannot be read")
        yield block, _cut(data, at + 2, block, f"channel {name}")
        at += 2 + block.size


def _flagged(layout: FlagsLayout, data: bytes) -> Iterator[tuple[Block, bytes]]:
    header = _cut(data, 0, layout.header, "the header")
    yield layout.header, header
    flags = next(int(_raw(one, at, header)) for one, at in layout.header.placed() if one.name == "flags")
    at = layout.header.size
    for block in layout.blocks_by_bit:
        if flags >> block.bit & 1:
            yield block, _cut(data, at, block, f"block {block.bit}")
            at += block.size
            flags ^= 1 << block.bit
    if flags or at < len(data):
        what = f"flags {flags:#x} are not in the layout" if flags else f"{len(data) - at} bytes more than the layout says"
        raise _wrong("data", f"{what} of {layout.device}")


def _frame(layout: PortsLayout, port: int, data: bytes) -> tuple[Block, bytes]:
    blocks = layout.frames.get(port)
    if blocks is None:
        raise _wrong("fPort", f"port {port} carries no readings of {layout.device}")
    for block in blocks:
        if block.size == len(data):
            return block, data
    sizes = " or ".join(str(block.size) for block in blocks)
    raise _wrong("data", f"{len(data)} bytes on port {port} where {layout.device} sends {sizes}")


def _cut(data: bytes, at: int, block: Block, what: str) -> bytes:
    part = data[at : at + block.size]
    if len(part) < block.size:
        raise _wrong("data", f"the frame ends within {what}: {len(part)} of {block.size} bytes")
    return part


def _raw(one: ByteField, at: int, part: bytes) -> float:
    kind, size, order = one.type[0], one.size, "<" if one.type.endswith("le") else ">"
    if kind == "f":
        return float(struct.unpack(f"{order}f", part[at : at + size])[0])
    if one.type == "u32be_low_first":
        low_word, high_word = struct.unpack(">HH", part[at : at + size])
        return int(low_word | high_word << 16)
    number = int.from_bytes(part[at : at + size], "little" if order == "<" else "big", signed=kind == "i")
    if one.bits is not None:
        low, high = one.bits
        number = number >> low & ((1 << (high - low + 1)) - 1)
    return number


def _value(one: ByteField, raw: float) -> Value:
    if raw in one.missing or not math.isfinite(raw):
        return None
    if one.words:
        return one.words.get(int(raw), f"{raw:g}")
    value = (raw - one.subtract) * one.multiply / one.divide + one.add
    return value if math.isfinite(value) else None


def _wrong(where: str, what: str) -> InputError:
    return refusal(Refusal.PAYLOAD, where, what, _FIX)
