"""A file of gridded rain -> the mean over each catchment, an interval at a time. Only the region's part of the file is read.

NetCDF of every kind and HDF5. What the file has to say is in ``science.rain_grid``; which file it was stands before every error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from warning.errors import ConfigError, InputError, Problem
from warning.ingest.grid_weights import Weights, WeightsCache, bounds
from warning.region import Catchment
from warning.science.rain_grid import Asked, describe, millimetres, window

_KINDS = (b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x02", b"CDF\x05")
_RESOLUTION_MM = 3  # decimals: a grid's rain is not known better than 0.001 mm


class Unreadable(InputError):
    """The file cannot be opened: it may be that it is not whole yet."""


@dataclass(frozen=True, slots=True)
class Mean:
    """Rain over one catchment in one interval; ``mm`` None: too little of it is known."""

    station: str
    end_s: int
    mm: float | None

    @property
    def time(self) -> str:
        return datetime.fromtimestamp(self.end_s, UTC).isoformat()

    def item(self) -> bytes:
        """As a sender writes it to the gateway."""
        return msgspec.json.encode({"station": self.station, "parameter": "rain", "time": self.time, "value": self.mm, "unit": "mm"})

    def row(self) -> str:
        """A line of a replay's file."""
        return f"{self.station},rain,{self.time},{'' if self.mm is None else self.mm},mm\n"


@dataclass(frozen=True, slots=True)
class Averaged:
    """What a file gave. ``outside``: stations whose catchment it does not hold; ``left_out``: steps that cannot be told."""

    means: tuple[Mean, ...]
    variable: str
    steps: int
    outside: tuple[str, ...]
    left_out: int


class Landed(Protocol):
    """What averaging asks of a region."""

    @property
    def id(self) -> str: ...
    @property
    def catchments(self) -> tuple[Catchment, ...]: ...


class Grids:
    """Reads files for the catchments of one region. Not for two threads at once: the NetCDF library is not either."""

    def __init__(self, region: Landed, asked: Asked | None = None) -> None:
        if not region.catchments:
            fix = "set rain_as to grid in series.csv and add catchments.geojson: config/README.md"
            raise ConfigError([Problem(f"region {region.id}", "no station's rain is of grids", fix)])
        needed()
        self._asked = asked or Asked()
        self._bounds = bounds(region.catchments)
        self._weights = WeightsCache(region.catchments)

    def read(self, path: Path) -> Averaged:
        """Raises InputError that names the file, what is wrong in it and the fix; ``Unreadable`` where it cannot be opened."""
        try:
            with opened(path, self._asked.variable) as dataset:
                return self._averaged(dataset)
        except Unreadable:
            raise
        except InputError as error:
            raise InputError(f"{path.name}: {error}", reason=error.reason, field=error.field, fix=error.fix) from error
        except MemoryError:
            raise
        except Exception as error:  # whatever a damaged file makes the libraries raise, or us: it is the file that is named
            raise _unreadable(path, error) from error

    def _averaged(self, dataset: xr.Dataset) -> Averaged:
        grid = describe(dataset, self._asked)
        here = window(grid, self._bounds)
        variable = dataset.variables[grid.variable]

        def stored(part: dict[str, slice]) -> NDArray[Any]:
            return np.asarray(variable.isel(part).values)

        weights: Weights = self._weights.of(here)
        told = [place for place, step in enumerate(grid.steps) if step.whole]
        means = weights.means(millimetres(grid, here, stored)[told])
        found = tuple(
            Mean(station, grid.steps[place].end_s, None if np.isnan(mm) else round(float(mm), _RESOLUTION_MM))
            for place, row in zip(told, means, strict=True)
            for station, mm in zip(weights.stations, row, strict=True)
        )
        return Averaged(found, grid.variable, len(grid.steps), weights.outside, len(grid.steps) - len(told))


def needed() -> None:
    """Raises ConfigError where the libraries of the extra are not installed."""
    try:
        import exactextract  # noqa: F401
        import netCDF4  # noqa: F401
    except ImportError as error:
        fix = 'pip install "flood-warning[grids]"'
        raise ConfigError([Problem("warning grids", f"needs a library that is not installed: {error.name}", fix)]) from error


@contextmanager
def opened(path: Path, variable: str = "") -> Iterator[xr.Dataset]:
    """The data set of a file as stored, of the group that has something on latitudes and longitudes (IMERG: ``Grid``)."""
    kind = _kind(path)
    if kind[:4] == b"GRIB":
        fix = "convert it: cdo -f nc4 copy FILE.grib2 FILE.nc"
        raise InputError("GRIB is not read", reason="grid_kind", field="FILE", fix=fix)
    if not any(kind.startswith(magic) for magic in _KINDS):
        fix = "NetCDF or HDF5; if it is packed, unpack it"
        raise Unreadable(f"{path.name}: it is neither NetCDF nor HDF5", reason="grid_kind", field="FILE", fix=fix)
    try:
        group = _group(path, variable)
        dataset = xr.open_dataset(path, engine="netcdf4", group=group, decode_cf=False, cache=False)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise _unreadable(path, error) from error
    try:
        header = _header(path) if group else {}
        yield _named(dataset).assign_attrs(header)
    finally:
        dataset.close()


def _kind(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise InputError(f"{error.strerror}", reason="file", field="FILE", fix="name a file that can be read") from error


def _unreadable(path: Path, error: Exception) -> Unreadable:
    words = f"{path.name}: cannot be read: {type(error).__name__} {error}".strip()
    return Unreadable(words, reason="grid_unreadable", field="FILE", fix="fetch it again; is it whole?")


def _group(path: Path, variable: str) -> str | None:
    """The first group, the root before all, that has the variable or anything of two dimensions or more."""
    import netCDF4

    with netCDF4.Dataset(path) as file:
        for group in _groups(file):
            names = [name for name, each in group.variables.items() if each.ndim >= 2 and not name.endswith(("_bnds", "_bounds"))]
            if (variable in names) if variable else names:
                return None if group.path == "/" else str(group.path)
    return None


def _groups(group: Any) -> Iterator[Any]:
    yield group
    for one in group.groups.values():
        yield from _groups(one)


def _header(path: Path) -> dict[str, str]:
    """What the root of a file says that has its data in a group."""
    import netCDF4

    with netCDF4.Dataset(path) as file:
        return {name: str(file.getncattr(name)) for name in file.ncattrs()}


def _named(dataset: xr.Dataset) -> xr.Dataset:
    """IMERG before V06 names its dimensions in an attribute only."""
    renamed: dict[str, str] = {}
    for each in dataset.variables.values():
        names = str(each.attrs.get("DimensionNames", "")).split(",")
        if len(names) == each.ndim and any(str(dim).startswith("phony_dim") for dim in each.dims):
            renamed |= {str(dim): name for dim, name in zip(each.dims, names, strict=True) if str(dim) != name}
    return dataset.rename_dims({old: new for old, new in renamed.items() if old in dataset.dims}) if renamed else dataset


def items(means: Sequence[Mean]) -> list[bytes]:
    """In order of time: the newest last."""
    return [mean.item() for mean in sorted(means, key=lambda mean: (mean.end_s, mean.station))]
