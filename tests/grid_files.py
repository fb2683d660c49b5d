"""Files of grids for tests, made after their documentation: real ones of ERA5 cannot be had without an account, and are large.

ERA5 as the Climate Data Store delivers it: since 2024 NetCDF4 with the keys of GRIB in its attributes and ``valid_time``; before, NetCDF3
by grib_to_netcdf, packed in 16 bits. What the times mean is in ECMWF's "Conversion table for accumulated variables (total precipitation/
fluxes)": the hour that ends at the time; ERA5-Land: since 00 UTC. IMERG: ``warning.rehearsal.imerg``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from warning.region import Catchment, Region

SQUARE = Catchment("SQ", (((((30.0, 70.0), (30.0, 72.0), (32.0, 72.0), (32.0, 70.0), (30.0, 70.0))),),))


def catchment(station: str, south: float, west: float, north: float, east: float) -> Catchment:
    ring = ((south, west), (south, east), (north, east), (north, west), (south, west))
    return Catchment(station, ((ring,),))


class Land(Region):
    """Only what averaging asks of a region."""

    def __init__(self, *catchments: Catchment) -> None:
        object.__setattr__(self, "id", "land")
        object.__setattr__(self, "catchments", catchments)


def cf(
    path: Path,
    values: Any,
    lat: Any,
    lon: Any,
    *,
    time: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Any] | None = None,
    dims: tuple[str, ...] = ("time", "lat", "lon"),
    bounds: Any = None,
    dtype: str = "f4",
    fill: Any = None,
    names: tuple[str, str, str] = ("time", "lat", "lon"),
    variable: str = "pr",
    kind: str = "NETCDF4",
    root: Mapping[str, Any] | None = None,
) -> Path:
    """A file of one variable; ``time``: attributes of the time and its ``values``; ``dims``: the order of the variable's."""
    time = {"values": [0], "units": "hours since 2025-09-01 00:00:00", **(time or {})}
    with netCDF4.Dataset(path, "w", format=kind) as file:
        file.setncatts(dict(root or {}))
        axes = dict(zip(("time", "lat", "lon"), (np.asarray(time["values"]), np.asarray(lat), np.asarray(lon)), strict=True))
        units = {"time": time["units"], "lat": "degrees_north", "lon": "degrees_east"}
        for axis, name in zip(axes, names, strict=True):
            file.createDimension(name, len(axes[axis]))
            each = file.createVariable(name, "f8", (name,))
            each.units = units[axis]
            each[:] = axes[axis]
        if bounds is not None:
            file.createDimension("nv", 2)
            file.variables[names[0]].bounds = "time_bnds"
            file.createVariable("time_bnds", "f8", (names[0], "nv"))[:] = bounds
        for name, value in time.items():
            if name not in ("values", "units"):
                file.variables[names[0]].setncattr(name, value)
        called = dict(zip(("time", "lat", "lon"), names, strict=True))
        each = file.createVariable(variable, dtype, tuple(called[dim] for dim in dims), fill_value=fill)
        each.set_auto_maskandscale(False)
        each.setncatts(dict(attrs or {}))
        each[:] = np.transpose(np.asarray(values), [("time", "lat", "lon").index(dim) for dim in dims])
    return path


def era5(path: Path, mm: Any, lat: Any, lon: Any, hours: Any) -> Path:
    """As since 2024: latitudes from the north, tp in m."""
    attrs = {"GRIB_paramId": 228, "GRIB_stepType": "accum", "GRIB_shortName": "tp", "units": "m", "long_name": "Total precipitation"}
    time = {"values": np.asarray(hours) * 3600 + 1_756_684_800, "units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"}
    root = {"institution": "European Centre for Medium-Range Weather Forecasts", "Conventions": "CF-1.7"}
    named = ("valid_time", "latitude", "longitude")
    return cf(
        path, np.asarray(mm) / 1000.0, lat, lon, time=time, attrs=attrs, names=named, variable="tp", fill=np.float32(np.nan), root=root
    )


def era5_packed(path: Path, mm: Any, lat: Any, lon: Any, hours: Any) -> Path:
    """As before 2024: NetCDF3, packed, longitudes as asked for, no word on the interval but its history."""
    scale, offset = 1e-6, 0.02
    packed = np.where(np.isnan(mm), -32767, np.rint((np.asarray(mm) / 1000.0 - offset) / scale)).astype("i2")
    attrs = {
        "scale_factor": scale,
        "add_offset": offset,
        "missing_value": np.int16(-32767),
        "units": "m",
        "long_name": "Total precipitation",
    }
    time = {"values": np.asarray(hours) + 1_101_576, "units": "hours since 1900-01-01 00:00:00.0", "calendar": "gregorian"}
    history = {"Conventions": "CF-1.6", "history": "2023-01-01 by grib_to_netcdf-2.24.0: /opt/ecmwf/mars-client/bin/grib_to_netcdf ..."}
    named = ("time", "latitude", "longitude")
    return cf(
        path,
        packed,
        lat,
        lon,
        time=time,
        attrs=attrs,
        names=named,
        variable="tp",
        dtype="i2",
        fill=np.int16(-32767),
        root=history,
        kind="NETCDF3_64BIT_OFFSET",
    )
