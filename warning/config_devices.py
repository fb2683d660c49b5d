"""``devices.csv`` of a region: which device is which station, and what its payload means there. Absent: no devices.

A row is one thing that a device measures. An MQTT device (no ``eui``) sends our JSON: its rows say for which stations it may. A LoRaWAN
device has its EUI and the name of its codec, and each row takes one field of the payload:

=================  ================================================================================================
a distance         ``mount_height_m``: of the sensor above gauge zero; stage = mount height - distance
a depth, a level   ``offset_m``: of the sensor above gauge zero (below it: negative); stage = offset + level
anything else      as it is; ``scale`` times the field first, and ``unit`` is the unit after that (pressure: bar to m)
=================  ================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from warning import config_codecs, config_units
from warning.config_codecs import Layout
from warning.config_explain import did_you_mean
from warning.config_schema import FIELD, LOWER, WORD, OneParameter
from warning.config_table import Row, read_table
from warning.errors import ConfigError, Problem
from warning.model import Parameter
from warning.region import Region

FILE = "devices.csv"
ANY = "*"  # for all stations of the region: a collector that others send to


@dataclass(frozen=True, slots=True)
class Measured:
    """One field of a device's payload as one parameter of a station. A stage is in m above gauge zero then."""

    station: str
    parameter: Parameter
    field: str
    unit: str
    scale: float = 1.0
    mount_height_m: float | None = None
    offset_m: float | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """``id`` is its name and its MQTT user. ``stations`` empty: it may send for all. ``layout`` None: it sends our JSON."""

    id: str
    stations: frozenset[str]
    eui: str = ""
    layout: Layout | None = None
    measures: tuple[Measured, ...] = ()
    interval_s: int | None = None


def _eui(text: object) -> str:
    digits = str(text).replace("-", "").replace(":", "").upper()
    if len(digits) != 16 or not set(digits) <= set("0123456789ABCDEF"):
        raise ValueError(f"{text!r} is not an EUI; write 16 hexadecimal digits")
    return digits


class DeviceRow(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    device: Annotated[str, Field(pattern=WORD, max_length=64)]
    station: Annotated[str, Field(min_length=1)]
    parameter: OneParameter | None = None
    eui: Annotated[str, BeforeValidator(_eui)] = ""
    codec: Annotated[str, Field(pattern=LOWER)] = ""
    field: Annotated[str, Field(pattern=FIELD)] = ""
    unit: str = ""
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    mount_height_m: Annotated[float | None, Field(allow_inf_nan=False, ge=-50, le=200)] = None
    offset_m: Annotated[float | None, Field(allow_inf_nan=False, ge=-200, le=200)] = None
    interval_min: Annotated[float | None, Field(allow_inf_nan=False, ge=0.1, le=10_080)] = None
    note: str = ""


def load(folder: Path, region: Region) -> tuple[Device, ...]:
    """The devices of a region's folder, by id. Raises ConfigError with all problems of ``devices.csv`` and of the codecs it names."""
    devices, problems = _read(folder, region)
    if problems:
        raise ConfigError(problems)
    return devices


def device_problems(region: Region) -> list[Problem]:
    """What is wrong with the devices of a region (``warning check``)."""
    return _read(Path(region.folder), region)[1]


def _read(folder: Path, region: Region) -> tuple[tuple[Device, ...], list[Problem]]:
    problems: list[Problem] = []
    if not (folder / FILE).exists():
        return (), problems
    rows = read_table(folder / FILE, DeviceRow, problems).rows
    layouts = _layouts(rows, folder, problems)
    stations = region.station_by_id
    for row in rows:
        problems += _wrong_place(row, stations)
        problems += _wrong_payload(row, layouts)
    problems += _wrong_between(rows)
    if problems:
        return (), problems
    by_id: dict[str, list[DeviceRow]] = {}
    for row in rows:
        by_id.setdefault(row.data.device, []).append(row.data)
    return tuple(_device(by_id[name], layouts) for name in sorted(by_id)), problems


def _layouts(rows: list[Row[DeviceRow]], folder: Path, problems: list[Problem]) -> dict[str, Layout | None]:
    """Codec -> its layout; None for one that is broken or not there, which is a problem once."""
    layouts: dict[str, Layout | None] = {}
    for row in rows:
        name = row.data.codec
        if not name or name in layouts:
            continue
        path = config_codecs.find(name, folder)
        if path is None:
            fix = did_you_mean(name, config_codecs.known(folder)) or f"write codecs/{name}.yaml"
            problems.append(Problem(row.where("codec"), f"no codec {name!r}", fix))
        layouts[name] = None if path is None else config_codecs.read_layout(path, problems)
    return layouts


def _wrong_place(row: Row[DeviceRow], stations: Mapping[str, object]) -> Iterator[Problem]:
    one = row.data
    if one.station == ANY:
        if one.eui:
            yield Problem(row.where("station"), "* for a LoRaWAN device", "name the station that it measures")
        return
    if one.station not in stations:
        yield Problem(row.where("station"), f"no station {one.station!r} in this region", did_you_mean(one.station, stations))
        return
    if one.parameter is not None:
        has = [series.parameter for series in stations[one.station].series]  # type: ignore[attr-defined]
        if one.parameter not in has:
            words = ", ".join(parameter.value for parameter in has) or "nothing"
            yield Problem(row.where("parameter"), f"{one.station} has no {one.parameter.value}", f"it has {words}; or add it to series.csv")


def _wrong_payload(row: Row[DeviceRow], layouts: Mapping[str, Layout | None]) -> Iterator[Problem]:
    one = row.data
    if not one.eui:
        names = ("parameter", "codec", "field", "unit", "mount_height_m", "offset_m")
        given = [name for name in names if getattr(one, name) not in ("", None)]
        if one.scale != 1.0:
            given.append("scale")
        for name in given:
            yield Problem(row.where(name), f"{name} of a device without EUI, which sends JSON", "write its eui, or leave it empty")
        return
    lacking = [name for name in ("parameter", "codec", "field") if not getattr(one, name)]
    for name in lacking:
        yield Problem(row.where(name), f"{name} is missing: a LoRaWAN device needs it", "write it")
    layout = layouts.get(one.codec)
    if lacking or layout is None:
        return
    fields = config_codecs.units_of(layout)
    if one.field not in fields:
        yield Problem(row.where("field"), f"codec {one.codec} has no measurement {one.field!r}", did_you_mean(one.field, fields))
        return
    yield from _wrong_quantity(row, one.unit or fields[one.field], fields[one.field])


def _wrong_quantity(row: Row[DeviceRow], unit: str, of_field: str) -> Iterator[Problem]:
    one = row.data
    assert one.parameter is not None
    heights = [name for name in ("mount_height_m", "offset_m") if getattr(one, name) is not None]
    if one.parameter is not Parameter.STAGE:
        for name in heights:
            yield Problem(row.where(name), f"{name} is of a stage, and this is {one.parameter.value}", "leave it empty")
    elif len(heights) != 1:
        what = "both mount_height_m and offset_m" if heights else "neither mount_height_m nor offset_m"
        yield Problem(row.where("mount_height_m"), what, "mount_height_m for a distance, offset_m for a level (0: it is at gauge zero)")
    if one.scale == 0.0:
        yield Problem(row.where("scale"), "0 makes every value the same", "write what the field is multiplied with, or leave it empty")
    try:
        if unit != "tips":
            config_units.factor(unit, one.parameter.quantity)
    except ValueError as error:
        what, _, hint = str(error).partition("; ")
        yield Problem(row.where("unit"), f"{what}, which is the field's or the cell's", f"scale it and write the unit after that; {hint}")
        return
    if one.scale == 1.0 and _si(of_field, one.parameter) not in (None, _si(unit, one.parameter)):
        yield Problem(row.where("unit"), f"{one.field} is in {of_field}, which scale 1 keeps", f"leave unit empty, or scale it to {unit}")


def _si(unit: str, parameter: Parameter) -> tuple[float, float] | None:
    """(what one is in SI, what 0 is there); None where it is no unit of that parameter: bar, tips."""
    try:
        return config_units.factor(unit, parameter.quantity), config_units.zero(unit)
    except ValueError:
        return None


def _wrong_between(rows: list[Row[DeviceRow]]) -> Iterator[Problem]:
    first: dict[str, Row[DeviceRow]] = {}
    euis: dict[str, str] = {}
    series: dict[tuple[str, Parameter], Row[DeviceRow]] = {}
    for row in rows:
        one = row.data
        before = first.setdefault(one.device, row).data
        for name in ("eui", "codec", "interval_min"):
            if getattr(one, name) != getattr(before, name):
                what = f"{name} differs from line {first[one.device].line} of {one.device}"
                yield Problem(row.where(name), what, "write the same in all rows of a device")
        if one.eui and euis.setdefault(one.eui, one.device) != one.device:
            yield Problem(row.where("eui"), f"the EUI of {euis[one.eui]}", "one device, one EUI")
        if one.eui and one.parameter is not None:
            other = series.setdefault((one.station, one.parameter), row)
            if other is not row and other.data.device == one.device:
                what = f"{one.device} measures {one.parameter.value} of {one.station} twice (line {other.line})"
                yield Problem(row.where("field"), what, "one field for one series")


def _device(rows: list[DeviceRow], layouts: Mapping[str, Layout | None]) -> Device:
    head = rows[0]
    layout = layouts.get(head.codec) if head.codec else None
    stations = frozenset() if any(row.station == ANY for row in rows) else frozenset(row.station for row in rows)
    measures = tuple(_measured(row, layout) for row in rows) if layout is not None else ()
    interval_s = None if head.interval_min is None else round(head.interval_min * 60)
    return Device(head.device, stations, head.eui, layout, measures, interval_s)


def _measured(row: DeviceRow, layout: Layout) -> Measured:
    assert row.parameter is not None
    unit = row.unit or config_codecs.units_of(layout)[row.field]
    return Measured(row.station, row.parameter, row.field, unit, row.scale, row.mount_height_m, row.offset_m)
