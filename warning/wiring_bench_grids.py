"""How long a half hour of GPM IMERG over the whole Earth takes to the rain of a region's basins."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from warning.ingest.grids import Grids
from warning.region import Catchment
from warning.rehearsal.imerg import half_hour, showers

START_S = 1_756_684_800
# About the Indus corridor: 6 x 8 basins of 1.5 x 1.5 degrees, none of them along the cells.
SOUTH, WEST, ROWS, COLUMNS, DEGREES = 24.03, 62.02, 6, 8, 1.5
TIMES = 5


class Land(NamedTuple):
    """What averaging asks of a region."""

    id: str
    catchments: tuple[Catchment, ...]


def grid_seconds(told: Callable[[str, int, int], None]) -> float:
    """The figure of ``measure``, in a folder of its own."""
    told("half hour of IMERG", 0, 1)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = float(measure(Path(folder))["grid_seconds"])
    told("half hour of IMERG", 1, 1)
    return found


def measure(folder: Path, times: int = TIMES) -> dict[str, Any]:
    """Writes a made-up half hour of 3600 x 1800 cells into ``folder`` and reads it ``times`` times.

    ``grid_seconds``: the median of a reading by the clock, from the file's name to millimetres of each basin, with the weights at hand
    (they are made once per grid: ``first_seconds`` has them in it). ``cpu_seconds``: what the median costs of a core. The file is in
    the memory of the machine; a disk comes on top.
    """
    path = half_hour(folder, START_S, showers)
    grids = Grids(Land("bench", basins()))
    walls, cores = [], []
    for _ in range(times + 1):
        wall, core = time.perf_counter(), time.process_time()
        found = grids.read(path)
        walls.append(time.perf_counter() - wall)
        cores.append(time.process_time() - core)
    return {
        "grid_seconds": sorted(walls[1:])[times // 2],
        "cpu_seconds": sorted(cores[1:])[times // 2],
        "first_seconds": walls[0],
        "basins": len(found.means),
        "cells": 3600 * 1800,
        "file_bytes": path.stat().st_size,
    }


def basins() -> tuple[Catchment, ...]:
    """Many-sided and without a straight border: 40 points each."""
    return tuple(_basin(row, column) for row in range(ROWS) for column in range(COLUMNS))


def _basin(row: int, column: int) -> Catchment:
    south, west = SOUTH + row * DEGREES, WEST + column * DEGREES
    bottom = [(south + 0.03 * (place % 3), west + 0.14 * place) for place in range(10)]
    right = [(south + 0.14 * place, west + 1.42 + 0.02 * (place % 4)) for place in range(10)]
    top = [(south + 1.42 + 0.02 * (place % 3), west + 1.4 - 0.14 * place) for place in range(10)]
    left = [(south + 1.4 - 0.14 * place, west + 0.01 * (place % 4)) for place in range(10)]
    ring = (*bottom, *right, *top, *left)
    return Catchment(f"B{row}{column}", (((*ring, ring[0]),),))
