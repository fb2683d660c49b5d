"""How much of each cell of a grid belongs to each catchment, and the rain over catchments from it: weights once per grid, then sums.

Areas are exact: ``exactextract`` cuts the cells by the polygon and measures the parts on the sphere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.region import Catchment
from warning.science.rain_grid import Window

LEAST_KNOWN = 0.75  # of a catchment's area; with less of it the mean is missing


@dataclass(frozen=True, slots=True)
class Weights:
    """Of C catchments on one window: parts of cells (n). ``cell`` numbers these row by row from the north-west, ``of`` the catchments.

    ``area`` in m2.
    """

    stations: tuple[str, ...]  # those that lie wholly on the window
    outside: tuple[str, ...]  # those that do not
    cell: NDArray[np.intp]
    of: NDArray[np.intp]
    area: NDArray[np.float64]

    def means(self, mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(T, C) of ``mm`` (T, rows, columns), NaN where nothing is known: over what is known, if that is three quarters of the area."""
        out = np.full((len(mm), len(self.stations)), np.nan)
        number = len(self.stations)
        whole = np.bincount(self.of, weights=self.area, minlength=number)
        for step, field in enumerate(mm.reshape(len(mm), -1)):
            rain = field[self.cell]
            known = ~np.isnan(rain)
            # One after the other, in the order of the cells: the same on every machine.
            area = np.bincount(self.of, weights=np.where(known, self.area, 0.0), minlength=number)
            total = np.bincount(self.of, weights=np.where(known, rain * self.area, 0.0), minlength=number)
            enough = area >= LEAST_KNOWN * whole
            out[step] = np.where(enough, total / np.where(area > 0.0, area, 1.0), np.nan)
        return out


class WeightsCache:
    """Weights of the windows seen last, by what cells they have."""

    MOST = 8

    def __init__(self, catchments: Sequence[Catchment]) -> None:
        self._catchments = tuple(catchments)
        self._known: dict[tuple[float, ...], Weights] = {}

    def of(self, window: Window) -> Weights:
        lat, lon = window.lat, window.lon
        key = tuple(round(float(each), 6) for each in (len(lat), lat[0], lat[-1], len(lon), lon[0], lon[-1]))
        found = self._known.pop(key, None)
        if found is None:
            found = weights(self._catchments, window)
            while len(self._known) >= self.MOST:
                del self._known[next(iter(self._known))]
        self._known[key] = found
        return found


def weights(catchments: Sequence[Catchment], window: Window) -> Weights:
    """The weights of those catchments that lie wholly on the window."""
    from exactextract import exact_extract
    from exactextract.feature import JSONFeatureSource
    from exactextract.raster import NumPyRasterSource

    west, south, east, north = edges(window)
    inside = [one for one in catchments if _within(one, west, south, east, north)]
    outside = tuple(one.station for one in catchments if one not in inside)
    empty = np.zeros(0, np.intp)
    if not inside:
        return Weights((), outside, empty, empty, np.zeros(0))
    cells = np.zeros((len(window.lat), len(window.lon)))
    raster = NumPyRasterSource(cells, xmin=west, ymin=south, xmax=east, ymax=north)
    features = JSONFeatureSource([feature(one) for one in inside])
    found = exact_extract(raster, features, ["cell_id", "coverage(coverage_weight=area_spherical_m2)"])
    parts = [one["properties"] for one in found]
    of = np.repeat(np.arange(len(parts)), [len(part["cell_id"]) for part in parts]).astype(np.intp)
    cell = np.concatenate([part["cell_id"] for part in parts]).astype(np.intp)
    area = np.concatenate([part["coverage"] for part in parts]).astype(np.float64)
    order = np.lexsort((cell, of))
    return Weights(tuple(one.station for one in inside), outside, cell[order], of[order], area[order])


def edges(window: Window) -> tuple[float, float, float, float]:
    """West, south, east, north of the cells."""
    high, wide = (abs(float(axis[-1] - axis[0])) / max(len(axis) - 1, 1) / 2.0 for axis in (window.lat, window.lon))
    south, north = max(-90.0, float(window.lat[-1]) - high), min(90.0, float(window.lat[0]) + high)
    return float(window.lon[0]) - wide, south, float(window.lon[-1]) + wide, north


def feature(catchment: Catchment) -> dict[str, Any]:
    """As GeoJSON."""
    polygons = [[[[lon, lat] for lat, lon in ring] for ring in polygon] for polygon in catchment.polygons]
    return {
        "type": "Feature",
        "properties": {"id": catchment.station},
        "geometry": {"type": "MultiPolygon", "coordinates": polygons},
    }


def bounds(catchments: Sequence[Catchment]) -> tuple[float, float, float, float]:
    """South, west, north, east of all of them."""
    points = [point for one in catchments for polygon in one.polygons for point in polygon[0]]
    lats, lons = [lat for lat, _ in points], [lon for _, lon in points]
    return min(lats), min(lons), max(lats), max(lons)


def _within(catchment: Catchment, west: float, south: float, east: float, north: float) -> bool:
    low_lat, low_lon, high_lat, high_lon = bounds((catchment,))
    tiny = 1e-9
    return west - tiny <= low_lon and high_lon <= east + tiny and south - tiny <= low_lat and high_lat <= north + tiny
