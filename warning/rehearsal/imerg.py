"""A half hour of GPM IMERG as its files are, made up: for load, and for tests of how it is read; never for claims about rain.

After the structure of 3B-HHR.MS.MRG.3IMERG.20000601-S000000-E002959.0000.V07B as its OPeNDAP servers describe it (HDF Group's
eosdap.hdfgroup.org and OPeNDAP's test server; V06 differs in the names and in counting from 1970): group ``Grid``, precipitation (time,
lon, lat) in mm/hr, float32 with _FillValue -9999.9 and chunks of (1, 145, 1800) deflated, bounds of time, lat and lon, FileHeader.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HALF_HOUR_S = 1800
_SINCE = {"V07B": datetime(1980, 1, 6, tzinfo=UTC), "V06B": datetime(1970, 1, 1, tzinfo=UTC)}
_NAMES = {"V07B": "precipitation", "V06B": "precipitationCal"}
Rate = Callable[[NDArray[np.float64], NDArray[np.float64]], Any]  # (lon[:, None], lat[None, :]) -> mm/h


def showers(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rain on a fifth of the Earth, rough from cell to cell as the real one is, so that a file packs no better."""
    rough = np.abs(np.sin(lon * 12.9898 + lat * 78.233) * 43_758.5453) % 1.0
    return np.where(np.sin(lon / 9.0) * np.cos(lat / 7.0) > 0.55, 12.0 * rough * rough, 0.0)


def half_hour(path: Path, start_s: int, rate: Rate, *, version: str = "V07B", step: float = 0.1, suffix: str = "HDF5") -> Path:
    """Writes the file of the half hour from ``start_s`` into the folder ``path`` under the name that it would have; returns it.

    ``step``: degrees; the real ones have 0.1. NaN of ``rate``: missing.
    """
    import netCDF4

    start = datetime.fromtimestamp(start_s, UTC)
    stop = datetime.fromtimestamp(start_s + HALF_HOUR_S - 1, UTC)
    minute = (start_s % 86_400) // 60
    name = f"3B-HHR-E.MS.MRG.3IMERG.{start:%Y%m%d}-S{start:%H%M%S}-E{stop:%H%M%S}.{minute:04d}.{version}.{suffix}"
    lon = np.arange(-180.0 + step / 2, 180.0, step)
    lat = np.arange(-90.0 + step / 2, 90.0, step)
    values = np.broadcast_to(np.asarray(rate(lon[:, None], lat[None, :]), np.float64), (len(lon), len(lat)))
    with netCDF4.Dataset(path / name, "w", format="NETCDF4") as file:
        file.FileHeader = (
            f"AlgorithmID=3IMERGHH;\nFileName={name};\nStartGranuleDateTime={start:%Y-%m-%dT%H:%M:%S}.000Z;\n"
            f"StopGranuleDateTime={stop:%Y-%m-%dT%H:%M:%S}.999Z;\nTimeInterval=HALF_HOUR;\nProductVersion={version};\n"
        )
        grid = file.createGroup("Grid")
        grid.GridHeader = "BinMethod=ARITHMETIC_MEAN;\nRegistration=CENTER;\nLatitudeResolution=0.1;\nOrigin=SOUTHWEST;\n"
        for dim, size in (("time", None), ("lon", len(lon)), ("lat", len(lat)), ("latv", 2), ("lonv", 2), ("nv", 2)):
            grid.createDimension(dim, size)
        _axis(grid, "lon", lon, step, "degrees_east", "longitude", "lonv")
        _axis(grid, "lat", lat, step, "degrees_north", "latitude", "latv")
        _time(grid, start_s - int(_SINCE[version].timestamp()), _SINCE[version])
        chunks = (1, min(145, len(lon)), len(lat))
        for variable, units in ((_NAMES[version], "mm/hr"), ("randomError", "mm/hr")):
            each = grid.createVariable(
                variable, "f4", ("time", "lon", "lat"), zlib=True, complevel=4, chunksizes=chunks, fill_value=np.float32(-9999.9)
            )
            each.setncatts({"DimensionNames": "time,lon,lat", "Units": units, "units": units, "coordinates": "time lon lat"})
            each.CodeMissingValue = "-9999.9"
            each[0] = np.where(np.isnan(values), np.float32(-9999.9), values)
    return path / name


def _axis(grid: Any, name: str, centres: NDArray[np.float64], step: float, units: str, standard: str, corner: str) -> None:
    axis = grid.createVariable(name, "f4", (name,))
    axis.setncatts({"DimensionNames": name, "Units": units, "units": units, "standard_name": standard, "bounds": f"{name}_bnds"})
    axis[:] = centres
    bounds = grid.createVariable(f"{name}_bnds", "f4", (name, corner))
    bounds.setncatts({"DimensionNames": f"{name},{corner}", "units": units, "coordinates": f"{name} {corner}"})
    bounds[:] = np.stack((centres - step / 2, centres + step / 2), axis=1)


def _time(grid: Any, seconds: int, since: datetime) -> None:
    units = f"seconds since {since:%Y-%m-%d %H:%M:%S} UTC"
    time = grid.createVariable("time", "i4", ("time",))
    time.setncatts({"DimensionNames": "time", "Units": units, "units": units, "standard_name": "time", "bounds": "time_bnds"})
    time.setncatts({"axis": "T", "calendar": "julian"})
    time[:] = [seconds]
    bounds = grid.createVariable("time_bnds", "i4", ("time", "nv"))
    bounds.setncatts({"DimensionNames": "time,nv", "units": units, "coordinates": "time nv"})
    bounds[:] = [[seconds, seconds + HALF_HOUR_S]]
