"""Which interval each step of a grid's rain fell in: by its time bounds, its cell methods, or what IMERG and ERA5 say of themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np
import xarray as xr

from warning.errors import InputError

DAY_S = 86_400
LAND_DEGREES = 0.11  # the grid of ERA5-Land is finer than this, ERA5's is 0.25
_SECONDS = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hr": 3600, "hour": 3600, "d": DAY_S, "day": DAY_S}
_SINCE = re.compile(r"\s*([a-z]+?)s?\s+since\s+(.+?)\s*", re.IGNORECASE)
_CALENDARS = ("", "standard", "gregorian", "proleptic_gregorian", "julian")  # the same from 1900 to 2100 when they count from then
_CELL = re.compile(r"time:\s*(sum|mean)\s*\(\s*(?:interval:\s*)?([\d.]+)\s*([a-z]+?)s?\s*\)", re.IGNORECASE)
_GRANULE = re.compile(r"(Start|Stop)GranuleDateTime=([0-9T:.-]+)Z")


@dataclass(frozen=True, slots=True)
class Interval:
    """Rain fell in ``start_s`` .. ``end_s``. ``less``: the step whose amount is contained in this one's, where it accumulates.

    ``whole`` False: the file does not have that step, so what came since is not known.
    """

    start_s: int
    end_s: int
    less: int | None = None
    whole: bool = True

    @property
    def seconds(self) -> int:
        return self.end_s - self.start_s


def text(value: Any) -> str:
    """An attribute as text: HDF5 has bytes, and arrays of one."""
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def intervals(
    dataset: xr.Dataset, variable: str, time: str, rate: bool, degrees: float, interval_s: int | None, since_midnight: bool
) -> tuple[Interval, ...]:
    """One of each step of ``variable`` along its dimension ``time`` ("": it has none). Raises InputError where the file does not say.

    ``rate``: its values are rates; ``degrees``: the grid's step; ``interval_s``, ``since_midnight``: said in place of the file.
    """
    attrs = dataset.variables[variable].attrs
    if not time:
        return _granule(dataset, variable)
    stamps = _times(dataset, time, time)
    if len(stamps) == 0:
        _wrong(time, "", "has no step", "take a file that holds rain")
    if since_midnight:
        return _since_midnight(stamps)
    if interval_s is not None:
        return _checked(time, [(stamp - interval_s, stamp) for stamp in stamps])
    bounds = text(dataset.variables[time].attrs.get("bounds", ""))
    if bounds in dataset.variables:
        pairs = _times(dataset, bounds, time)
        if len(pairs) != 2 * len(stamps):
            _wrong(bounds, "", f"has {len(pairs)} values for {len(stamps)} times", "write a start and an end for each time")
        return _checked(bounds, list(zip(pairs[::2], pairs[1::2], strict=True)))
    cell = _CELL.search(text(attrs.get("cell_methods", "")))
    if cell and (cell[1].lower() == "sum") is not rate and cell[3].lower() in _SECONDS:
        seconds = round(float(cell[2]) * _SECONDS[cell[3].lower()])
        return _checked(time, [(stamp - seconds, stamp) for stamp in stamps])
    if not rate and _of_ecmwf(dataset, attrs):
        return _since_midnight(stamps) if degrees < LAND_DEGREES else _checked(time, [(stamp - 3600, stamp) for stamp in stamps])
    fix = "add bounds to the time (CF 7.1), or say how long before each time it fell: --interval 1h, or --interval since-midnight"
    raise _error(time, "bounds", "the file does not say in which interval the rain fell", fix)


def _of_ecmwf(dataset: xr.Dataset, attrs: Mapping[Any, Any]) -> bool:
    """An accumulation as the Climate Data Store delivers it: now with the keys of GRIB, before 2024 by its history."""
    history = text(dataset.attrs.get("history", ""))
    return text(attrs.get("GRIB_stepType", "")) == "accum" or "grib_to_netcdf" in history or "era5" in history.lower()


def _since_midnight(stamps: list[int]) -> tuple[Interval, ...]:
    """Amounts since 00 UTC; 00:00 has all of the day before. The first step of a file tells only if it is the first of its day, too."""
    step = min((after - before for before, after in pairwise(stamps)), default=3600)
    if step <= 0:
        _wrong("time", "", "does not rise", "sort the steps by time")
    out = []
    for place, stamp in enumerate(stamps):
        midnight = (stamp - 1) // DAY_S * DAY_S
        before = stamps[place - 1] if place and midnight < stamps[place - 1] else None
        if before is not None:
            out.append(Interval(before, stamp, place - 1))
        else:
            out.append(Interval(midnight, stamp, None, stamp - midnight <= step))
    return tuple(out)


def _checked(name: str, pairs: list[tuple[int, int]]) -> tuple[Interval, ...]:
    for start, end in pairs:
        if not 0 < end - start <= 31 * DAY_S:
            _wrong(name, "", f"an interval of {end - start} s is none that rain falls in", "write start and end of each step: CF 7.1")
    return tuple(Interval(start, end) for start, end in pairs)


def _granule(dataset: xr.Dataset, variable: str) -> tuple[Interval, ...]:
    """The one step of a file without a time: IMERG before V06 has it in its header."""
    header = text(dataset.attrs.get("FileHeader", ""))
    found = {match[1]: match[2] for match in _GRANULE.finditer(header)}
    if set(found) != {"Start", "Stop"}:
        fix = "add a dimension time with bounds to the file (CF 4.4, 7.1)"
        _wrong(variable, "time", "the file does not say when the rain fell", fix)
    start, stop = (datetime.fromisoformat(found[name]).replace(tzinfo=UTC).timestamp() for name in ("Start", "Stop"))
    return _checked("FileHeader", [(round(start), round(stop))])


def _times(dataset: xr.Dataset, name: str, of: str) -> list[int]:
    """The values of a time variable, or of its bounds, which have its units, in s since 1970."""
    attrs = dataset.variables[of].attrs
    words = text(dataset.variables[name].attrs.get("units", attrs.get("units", attrs.get("Units", ""))))
    match = _SINCE.fullmatch(words)
    if match is None or match[1].lower() not in _SECONDS:
        _wrong(of, "units", f"{words!r} is not like seconds since 1970-01-01" if words else "is missing", "write it as CF 4.4 says")
    calendar = text(attrs.get("calendar", "")).lower()
    since = _moment(of, match[2])
    if calendar not in _CALENDARS or since < _moment(of, "1900-01-01"):
        _wrong(
            of, "calendar", f"{calendar or 'standard'} since {match[2]} cannot be read for sure", "count from 1970 in the standard calendar"
        )
    values = np.asarray(dataset.variables[name].values, np.float64).reshape(-1) * _SECONDS[match[1].lower()]
    if not np.isfinite(values).all():
        _wrong(name, "", "has a time that is no number", "correct it")
    return [round(since + value) for value in values.tolist()]


def _moment(name: str, words: str) -> float:
    plain = re.sub(r"\.0*$", "", words.strip().removesuffix("UTC").removesuffix("Z").strip())
    parts = re.fullmatch(r"(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):?(\d{2})?:?(\d{2})?)?", plain)
    if parts is None:
        _wrong(name, "units", f"{words!r} is no date that can be read", "count since a date such as 1970-01-01 00:00:00, in UTC")
    try:
        return datetime(*(int(part or 0) for part in parts.groups()), tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]
    except ValueError:
        _wrong(name, "units", f"{words!r} is no date", "count since a date such as 1970-01-01 00:00:00, in UTC")


def _wrong(variable: str, attribute: str, what: str, fix: str) -> NoReturn:
    raise _error(variable, attribute, what, fix)


def _error(variable: str, attribute: str, what: str, fix: str) -> InputError:
    field = f"{variable}:{attribute}" if attribute else variable
    return InputError(f"{field}: {what}", reason="grid", field=field, fix=fix)
