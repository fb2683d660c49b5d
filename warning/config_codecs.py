"""Payload codecs: how the bytes of a LoRaWAN sensor's uplink are laid out, as YAML. A layout is data; nothing of it is executed.

``config/codecs/NAME.yaml`` ships with the system; a region's own ``codecs/NAME.yaml`` goes before it. Three kinds of layout::

    layout: ports      # {2: [{size: 8, fields: [...]}]}         the port says what the frame is; of several, the one of its length
    layout: channels   # {"0382": {size: 2, fields: [...]}}      a row of: channel byte, type byte, data (Milesight)
    layout: flags      # header, then one block for each set bit of the header's field ``flags``, lowest first (Decentlab)

A field's value is ``(raw - subtract) * multiply / divide + add`` in ``unit``; a raw value listed in ``missing`` says that the sensor
has no value. A field named ``time`` (s since 1970 UTC) makes its block a record of its own: a measurement that the device kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from warning.config_schema import CHANNEL, FIELD
from warning.config_yaml import table_of, validated, yaml_where
from warning.errors import Problem

# le, be: little, big endian; low_first: two words of 16 bits, each big-endian, the lower word first.
Type = Literal[
    "u8", "i8", "u16le", "u16be", "i16le", "i16be", "u24le", "u24be", "i24le", "i24be",
    "u32le", "u32be", "i32le", "i32be", "u32be_low_first", "f32le", "f32be",
]  # fmt: skip
FieldName = Annotated[str, Field(pattern=FIELD)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Byte = Annotated[int, Field(ge=0, le=255)]
Channel = Annotated[str, Field(pattern=CHANNEL)]
TIME = "time"
BATTERY_V, BATTERY_PERCENT = "battery_v", "battery_percent"  # fields that are the device's health, whatever the layout


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ByteField(_Model):
    """One number in a block. ``at``: offset in bytes, default behind the field before; ``bits``: lowest and highest of the number."""

    name: FieldName
    type: Type
    at: Byte | None = None
    bits: Annotated[list[Annotated[int, Field(ge=0, le=31)]], Field(min_length=2, max_length=2)] | None = None
    subtract: Number = 0.0
    multiply: Number = 1.0
    divide: Annotated[float, Field(allow_inf_nan=False, gt=0)] = 1.0
    add: Number = 0.0
    unit: str = ""
    missing: tuple[int, ...] = Field(default=(), strict=False)
    words: Mapping[int, str] = Field(default_factory=dict)

    @property
    def size(self) -> int:
        return int(re.findall(r"\d+", self.type)[0]) // 8

    @model_validator(mode="after")
    def _bits_fit(self) -> Self:
        if self.bits is not None:
            low, high = self.bits
            if self.type[0] != "u" or not low <= high < 8 * self.size:
                raise ValueError(f"bits {low} to {high} of {self.type}; the lowest first, within an unsigned number")
        return self

    @model_validator(mode="after")
    def _time_is_seconds(self) -> Self:
        if self.name == TIME and (self.type[0] != "u" or (self.subtract, self.multiply, self.divide, self.add) != (0.0, 1.0, 1.0, 0.0)):
            raise ValueError("the time is read as it is; write it as unsigned s since 1970 UTC, or give the field another name")
        return self


class Block(_Model):
    """Some bytes with fields in them. ``expect``: field -> the raw value without which this is no frame of this device; ``missing_when``:
    field -> raw values that say that nothing was measured: then every field with a unit is missing."""

    size: Annotated[int, Field(ge=1, le=242)]
    fields: tuple[ByteField, ...] = Field(default=(), strict=False)
    expect: Mapping[FieldName, int] = Field(default_factory=dict)
    missing_when: Mapping[FieldName, list[int]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        names = [field.name for field in self.fields]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"field {twice!r} stands twice; remove one")
        if unknown := next((name for name in (*self.expect, *self.missing_when) if name not in names), None):
            raise ValueError(f"no field {unknown!r} in this block; known: {', '.join(names)}")
        for field, at in self.placed():
            if at + field.size > self.size:
                raise ValueError(f"field {field.name!r} ends at byte {at + field.size} of {self.size}; check size and at")
        return self

    def placed(self) -> tuple[tuple[ByteField, int], ...]:
        """Each field and its offset."""
        found, at = [], 0
        for field in self.fields:
            at = field.at if field.at is not None else at
            found.append((field, at))
            at += field.size
        return tuple(found)


class FlagBlock(Block):
    bit: Annotated[int, Field(ge=0, le=31)]


class _LayoutFile(_Model):
    device: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]  # where the layout is documented
    ports: tuple[Byte, ...] = Field(default=(), strict=False)  # those that carry such frames; empty: any
    ignore_ports: tuple[Byte, ...] = Field(default=(), strict=False)  # answers to configuration and the like: heard, not read

    def blocks(self) -> tuple[Block, ...]:
        """All blocks that a frame may have."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _one_unit_each(self) -> Self:
        """A field is mapped by its name, whichever block it came in."""
        units: dict[str, str] = {}
        for block in self.blocks():
            for field in block.fields:
                before = units.setdefault(field.name, field.unit)
                if before != field.unit:
                    both = f"{before or 'no unit'} and {field.unit or 'no unit'}"
                    raise ValueError(f"field {field.name!r} is in {both}; write the same in all blocks, or give it two names")
        return self


class ChannelsLayout(_LayoutFile):
    layout: Literal["channels"]
    channels: Annotated[Mapping[Channel, Block], Field(min_length=1)]

    def blocks(self) -> tuple[Block, ...]:
        return tuple(self.channels.values())


class FlagsLayout(_LayoutFile):
    layout: Literal["flags"]
    header: Block
    blocks_by_bit: Annotated[tuple[FlagBlock, ...], Field(min_length=1, strict=False)]

    def blocks(self) -> tuple[Block, ...]:
        return (self.header, *self.blocks_by_bit)

    @model_validator(mode="after")
    def _has_flags(self) -> Self:
        if all(field.name != "flags" or field.type[0] != "u" for field in self.header.fields):
            raise ValueError("the header has no unsigned field 'flags'; name the one whose bits say which blocks follow")
        bits = [block.bit for block in self.blocks_by_bit]
        if bits != sorted(set(bits)):
            raise ValueError("bits stand twice or out of order; one block for each bit, lowest first")
        return self


class PortsLayout(_LayoutFile):
    layout: Literal["ports"]
    frames: Annotated[Mapping[Byte, list[Block]], Field(min_length=1)]

    def blocks(self) -> tuple[Block, ...]:
        return tuple(block for blocks in self.frames.values() for block in blocks)

    @model_validator(mode="after")
    def _sizes_differ(self) -> Self:
        for port, blocks in self.frames.items():
            sizes = [block.size for block in blocks]
            if len(set(sizes)) < len(sizes):
                raise ValueError(f"two frames of port {port} have the same size; their length tells them apart")
        return self


Layout = ChannelsLayout | FlagsLayout | PortsLayout


_LAYOUTS: dict[str, type[Layout]] = {"channels": ChannelsLayout, "flags": FlagsLayout, "ports": PortsLayout}


def units_of(layout: Layout) -> dict[str, str]:
    """Field -> unit, of those that are measurements (they have a unit, and are not the time or the device's health)."""
    fields = (field for block in layout.blocks() for field in block.fields)
    return {field.name: field.unit for field in fields if field.unit and field.name not in (TIME, BATTERY_V, BATTERY_PERCENT)}


def find(name: str, folder: Path | None) -> Path | None:
    """The file of a codec: of the region's ``folder``, else of $WARNING_CONFIG, ``./config``, the checkout or the wheel, in this order."""
    return next((path for root in _roots(folder) if (path := root / "codecs" / f"{name}.yaml").is_file()), None)


def known(folder: Path | None) -> list[str]:
    """The names of all codecs that ``find`` finds."""
    return sorted({path.stem for root in _roots(folder) for path in (root / "codecs").glob("*.yaml")})


def _roots(folder: Path | None) -> list[Path]:
    package = Path(__file__).resolve().parent
    own = os.environ.get("WARNING_CONFIG")
    return [*([folder] if folder else []), *([Path(own)] if own else []), Path("config"), package.parent / "config", package / "regions"]


def read_layout(path: Path, problems: list[Problem]) -> Layout | None:
    """The layout in a file; None where anything is wrong, and all of it is added to ``problems``."""
    content, lines = table_of(path, problems, "begin with device: and layout:, as config/README.md shows")
    if content is None:
        return None
    kind = content.get("layout")
    if not isinstance(kind, str) or kind not in _LAYOUTS:
        problems.append(Problem(yaml_where(path, lines, ("layout",)), f"layout {kind!r}", f"write {', '.join(_LAYOUTS)}"))
        return None
    return validated(path, content, lines, _LAYOUTS[kind], problems)
