"""A grid of rain in a file -> mm over land in an interval, by what the file says of itself: axes, orientation, fill, scale, units, time.

Knows the CF conventions (1.8: coordinate types 4, packed data 8, cell methods 7.3, bounds 7.1), and what GPM IMERG (Huffman et al., IMERG
Technical Documentation; 3IMERGHH V06 and V07: group ``Grid``, rates in mm/hr) and ERA5 (C3S: total precipitation ``tp`` in m over the hour
that ends at the time; ERA5-Land, on 0.1 degrees, since 00 UTC) do not say in CF. What is missing is not guessed: an InputError
that names variable and attribute, and the option that says it instead.

T steps, latitudes and longitudes in degrees (centres of cells), times in s since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from warning.errors import InputError
from warning.science.rain_grid_time import Interval, intervals, text
from warning.science.rain_grid_units import Unit, unit

Floats = NDArray[np.float64]

NAMES = ("precipitation", "precipitationCal", "tp", "pr", "prcp", "precip", "rain", "rainfall", "total_precipitation", "APCP_surface")
STANDARD_NAMES = (
    *("precipitation_flux", "precipitation_amount", "rainfall_flux", "rainfall_amount", "rainfall_rate", "lwe_precipitation_rate"),
    *("lwe_thickness_of_precipitation_amount", "thickness_of_rainfall_amount"),
)
_AXIS_NAMES = {"lat": "lat", "latitude": "lat", "nlat": "lat", "lon": "lon", "longitude": "lon", "nlon": "lon"}
_AXIS_NAMES |= {"time": "time", "valid_time": "time"}
_AXIS_UNITS = {
    "degrees_north": "lat",
    "degree_north": "lat",
    "degrees_n": "lat",
    "degrees_east": "lon",
    "degree_east": "lon",
    "degrees_e": "lon",
}
REGULAR = 0.02  # part of a step by which one may differ from the others
NEGATIVE_MM = 0.05  # so much below zero is the packing of the file, and is zero; more is a code for "nothing known"
MOST_VALUES = 25_000_000  # a month of ERA5-Land over a large region; half a gigabyte while it is read
MOST_MM_PER_H = 2000.0  # five times what was ever measured in an hour: a fill value or a unit that the file does not say


@dataclass(frozen=True, slots=True)
class Asked:
    """What the one who calls says in place of the file. ``interval``: seconds before each time, or ``"since-midnight"``."""

    variable: str = ""
    units: str = ""
    interval_s: int | None = None
    since_midnight: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """What a file says of its rain. ``dims``: of the variable, and which of them are latitude, longitude and time ("": it has none)."""

    variable: str
    dims: tuple[str, ...]
    lat_dim: str
    lon_dim: str
    time_dim: str
    lat: Floats
    lon: Floats
    unit: Unit
    steps: tuple[Interval, ...]
    missing: tuple[float, ...]  # as stored
    scale: float
    offset: float


@dataclass(frozen=True, slots=True)
class Window:
    """The cells around some land: rows from north to south, columns from west to east. ``lon`` is written as the land's is.

    ``lat_slice``, ``lon_slices``: where they are in the file (two pieces where the file's seam lies in between).
    """

    lat_slice: slice
    lon_slices: tuple[slice, ...]
    lat: Floats
    lon: Floats


def wrong(variable: str, attribute: str, what: str, fix: str) -> NoReturn:
    field = f"{variable}:{attribute}" if attribute else variable
    raise InputError(f"{field}: {what}" if field else what, reason="grid", field=field, fix=fix)


def describe(dataset: xr.Dataset, asked: Asked) -> Grid:
    """What a data set (not decoded: attributes as stored) says. Raises InputError where it does not say enough."""
    axes = _axes(dataset)
    name = _variable(dataset, axes, asked)
    variable = dataset.variables[name]
    dims = {axis: next((str(dim) for dim in variable.dims if axes.get(str(dim)) == axis), "") for axis in ("lat", "lon", "time")}
    for dim, size in zip(variable.dims, variable.shape, strict=True):
        if str(dim) not in dims.values() and size != 1:
            wrong(name, str(dim), f"has {size} values along {dim}, and which one counts is not said", f"write a file with one {dim} only")
    units = asked.units or text(variable.attrs.get("units", variable.attrs.get("Units", "")))
    if not units:
        wrong(name, "units", "is missing", "add it to the file (mm/h, m, kg m-2 s-1 ...), or say it: --units")
    lat, lon = _centres(dataset, dims["lat"]), _centres(dataset, dims["lon"])
    says = unit(name, units)
    return Grid(
        variable=name,
        dims=tuple(str(dim) for dim in variable.dims),
        lat_dim=dims["lat"],
        lon_dim=dims["lon"],
        time_dim=dims["time"],
        lat=lat,
        lon=lon,
        unit=says,
        steps=intervals(dataset, name, dims["time"], says.rate, abs(float(lat[1] - lat[0])), asked.interval_s, asked.since_midnight),
        missing=_missing(variable),
        scale=_number(name, variable.attrs, "scale_factor", 1.0),
        offset=_number(name, variable.attrs, "add_offset", 0.0),
    )


def window(grid: Grid, bounds: tuple[float, float, float, float]) -> Window:
    """The cells that touch ``bounds`` (south, west, north, east) and one more on each side, as far as the file has them.

    Raises InputError where it has none.
    """
    south, west, north, east = bounds
    step = abs(float(grid.lat[1] - grid.lat[0]))
    rows = np.flatnonzero((grid.lat >= south - 1.5 * step) & (grid.lat <= north + 1.5 * step))
    step = abs(float(grid.lon[1] - grid.lon[0]))
    middle = (west + east) / 2.0
    lon = middle + (grid.lon - middle + 180.0) % 360.0 - 180.0  # 0 to 360 or -180 to 180: as the land is written
    columns = np.flatnonzero((lon >= west - 1.5 * step) & (lon <= east + 1.5 * step))
    if not len(rows) or not len(columns):
        where = f"{grid.lat.min():g} to {grid.lat.max():g} N, {grid.lon.min():g} to {grid.lon.max():g} E"
        wrong(grid.variable, "", f"the grid ({where}) holds nothing of this region", "take the file of the region")
    if len(rows) * len(columns) * len(grid.steps) > MOST_VALUES:
        what = f"{len(grid.steps)} steps of {len(rows)} x {len(columns)} cells are more than fit into memory"
        wrong(grid.variable, "", what, "split the file by time: cdo splitday")
    pieces = np.split(columns, np.flatnonzero(np.diff(columns) != 1) + 1)
    pieces.sort(key=lambda piece: float(lon[piece].min()))
    slices = tuple(slice(int(piece[0]), int(piece[-1]) + 1) for piece in pieces)
    columns = np.concatenate(pieces)
    return Window(slice(int(rows[0]), int(rows[-1]) + 1), slices, np.sort(grid.lat[rows])[::-1], np.sort(lon[columns]))


Read = Callable[[dict[str, slice]], NDArray[Any]]


def millimetres(grid: Grid, here: Window, read: Read) -> Floats:
    """mm of each step, (T, rows, columns) of the window; NaN where nothing is known.

    ``read``: gives the stored values of a part, its dimensions in the file's order. Raises InputError for what cannot be rain.
    """
    parts = [read({grid.lat_dim: here.lat_slice, grid.lon_dim: piece}) for piece in here.lon_slices]
    order = [
        axis for axis in (grid.dims.index(dim) if dim else None for dim in (grid.time_dim, grid.lat_dim, grid.lon_dim)) if axis is not None
    ]
    rest = [axis for axis in range(len(grid.dims)) if axis not in order]
    turned = [np.transpose(part, rest + order).reshape(-1, *(part.shape[axis] for axis in order[-2:])) for part in parts]
    if grid.lon[1] < grid.lon[0]:
        turned = [part[:, :, ::-1] for part in turned]
    stored = np.concatenate(turned, axis=2)
    if grid.lat[1] > grid.lat[0]:
        stored = stored[:, ::-1, :]
    known = np.isfinite(stored) if stored.dtype.kind == "f" else np.ones(stored.shape, np.bool_)
    for code in grid.missing:
        known &= stored != np.asarray(code).astype(stored.dtype)
    value = stored.astype(np.float64) * grid.scale + grid.offset
    mm = np.where(known, value, np.nan) * grid.unit.to_mm
    if grid.unit.rate:
        mm *= np.array([step.seconds for step in grid.steps], np.float64)[:, None, None]
    return _rain(grid, _differences(grid, mm))


def _differences(grid: Grid, mm: Floats) -> Floats:
    """Of what accumulates since midnight, what came since the step before."""
    out = mm.copy()
    for place, step in enumerate(grid.steps):
        if step.less is not None:
            out[place] = mm[place] - mm[step.less]
    return out


def _rain(grid: Grid, mm: Floats) -> Floats:
    mm = np.where(mm < -NEGATIVE_MM, np.nan, np.maximum(mm, 0.0))
    for place, step in enumerate(grid.steps):
        most = float(np.nanmax(mm[place], initial=0.0))
        if most > MOST_MM_PER_H * max(step.seconds / 3600.0, 1.0):
            what = f"{most:g} mm in {step.seconds / 3600:g} h is no rain"
            wrong(grid.variable, "_FillValue, units", what, "add the value that means nothing is known, or the right unit: --units")
    return mm


# --- axes and variable


def _axes(dataset: xr.Dataset) -> dict[str, str]:
    """Dimension -> lat, lon or time, by its coordinate's units, standard name or axis, else by its name."""
    found = {}
    for dim in dataset.dims:
        variable = dataset.variables.get(dim)
        attrs: Mapping[Any, Any] = variable.attrs if variable is not None else {}
        units, standard = text(attrs.get("units", "")).lower(), text(attrs.get("standard_name", "")).lower()
        axis = _AXIS_UNITS.get(units) or _AXIS_NAMES.get(standard) or ("time" if " since " in units else None)
        axis = axis or _AXIS_NAMES.get(str(dim).lower())
        if axis:
            found[str(dim)] = axis
    return found


def _variable(dataset: xr.Dataset, axes: Mapping[str, str], asked: Asked) -> str:
    on_grid = [str(name) for name, each in dataset.variables.items() if {"lat", "lon"} <= {axes.get(str(dim), "") for dim in each.dims}]
    if asked.variable:
        if asked.variable not in on_grid:
            what = "is not there" if asked.variable not in dataset.variables else "is not on latitudes and longitudes"
            wrong(asked.variable, "", what, f"--variable: {', '.join(on_grid) or 'nothing in this file is on latitudes and longitudes'}")
        return asked.variable
    if not on_grid:
        fix = "regrid it to regular latitudes and longitudes (cdo remapcon), with units degrees_north and degrees_east"
        wrong("", "", f"no variable on latitudes and longitudes; dimensions: {', '.join(map(str, dataset.dims)) or 'none'}", fix)
    standard = [name for name in on_grid if text(dataset.variables[name].attrs.get("standard_name", "")) in STANDARD_NAMES]
    named = [name for name in NAMES if name in on_grid]
    found = standard if len(standard) == 1 else named[:1]
    if not found:
        wrong(on_grid[0], "standard_name", f"which of {', '.join(on_grid)} is rain is not said", "say it: --variable NAME")
    return found[0]


def _centres(dataset: xr.Dataset, dim: str) -> Floats:
    variable = dataset.variables.get(dim)
    if variable is None or variable.ndim != 1:
        wrong(dim, "", "has no coordinates of its own", "write the latitudes and longitudes of the cells' centres into the file")
    values = np.asarray(variable.values, np.float64)
    steps = np.diff(values)
    if len(values) < 2 or not (np.isfinite(values).all() and (np.abs(steps - steps.mean()) <= REGULAR * abs(steps.mean())).all()):
        wrong(dim, "", "is not evenly spaced (two cells at least)", "regrid it to regular latitudes and longitudes: cdo remapcon")
    if steps.mean() == 0.0:
        wrong(dim, "", "does not change from cell to cell", "write the coordinates of the cells' centres")
    return np.linspace(values[0], values[-1], len(values))  # without the noise of single precision


def _missing(variable: xr.Variable) -> tuple[float, ...]:
    """Codes of "nothing known", as stored."""
    codes: list[float] = []
    for name in ("_FillValue", "missing_value", "CodeMissingValue"):
        if name in variable.attrs:
            try:
                codes += [float(one) for one in np.atleast_1d(np.asarray(_plain(variable.attrs[name])))]
            except ValueError:
                wrong("", name, f"{variable.attrs[name]!r} is no number", "correct it")
    return tuple(dict.fromkeys(code for code in codes if code == code))


def _number(variable: str, attrs: Mapping[Any, Any], name: str, default: float) -> float:
    try:
        value = float(np.asarray(_plain(attrs.get(name, default))).reshape(()))
    except ValueError:
        wrong(variable, name, f"{attrs[name]!r} is no number", "correct it")
    if not np.isfinite(value):
        wrong(variable, name, f"{value} is no number", "correct it")
    return value


def _plain(value: Any) -> Any:
    return text(value) if isinstance(value, bytes | np.bytes_) else value
