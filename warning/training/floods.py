"""The floods in the repository as plain series: stages in metres, limits, which gauges lie above which.

Ditwah 2025 from the region ``sri-lanka``; Texas 2026 and France 2020 from ``config/training``. Only values that nobody would believe
are left out (see each folder's SOURCE.txt); nothing is interpolated. France has no official limits: parts of the rise from the median
to the highest of the month stand in for them, in training only.
"""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warning.errors import InputError

FOOT_M = 0.3048
COLORADO = ("Colorado", "Llano", "San Saba", "Beaver")  # the rest is the Nueces basin
CHAINS = (  # order along the rivers; SOURCE.txt and the gauges' names
    *("JCTT2 JNCT2 MLRT2 LLAT2", "UVAT2 UVLT2 ASRT2 COTT2 TILT2 THET2 MTBT2 CBVT2 CAAT2", "BTVT2 UVLT2", "RWDT2 UDET2"),
    *("CNCT2 UDET2 DBYT2 TIDT2 THET2", "SABT2 DBYT2", "TPHT2 KWHT2", "SSMT2 SCRT2", "MNRT2 BSST2 SSBT2"),
    *("ACRT2 BRTT2 SMIT2 LGRT2 CBST2 WHAT2 BACT2", "SCRT2 DBYT2", "KWHT2 DBYT2"),
)
FRENCH = ("2020-01_gloria", "2020-04-05_spring", "2020-09_cevennes")


@dataclass(frozen=True)
class Gauge:
    """One gauge of one flood: ``time_s`` (n,) rising, ``stage_m`` (n,), limits in m, lowest class first."""

    id: str
    river: str
    basin: str
    lat: float
    lon: float
    limits_m: tuple[float, ...]
    time_s: NDArray[np.int64]
    stage_m: NDArray[np.float64]
    upstream: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Flood:
    name: str
    gauges: tuple[Gauge, ...]

    def slower(self, factor: float) -> Flood:
        """The same flood on rivers that take ``factor`` times as long."""
        begin = min(int(gauge.time_s[0]) for gauge in self.gauges)
        stretched = (replace(one, time_s=((one.time_s - begin) * factor).astype(np.int64) + begin) for one in self.gauges)
        return Flood(self.name, tuple(stretched))


def floods(config: Path) -> list[Flood]:
    """All floods below the folder ``config``. Raises InputError where a file is missing."""
    return [ditwah(config / "sri-lanka"), texas(config / "training" / "texas-2026"), *france(config / "training" / "france-2020")]


def _rows(path: Path, delimiter: str = ",") -> Iterator[dict[str, str]]:
    if not path.is_file():
        raise InputError(
            f"{path}: not there", reason="missing", field="file", fix="training needs the floods of the repository: run it in a checkout"
        )
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        yield from csv.DictReader((line for line in lines if not line.startswith("#")), delimiter=delimiter)


def _time_s(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _series(rows: Iterable[tuple[str, int, float]]) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    found: dict[str, dict[int, float]] = {}
    for station, time_s, stage_m in rows:
        found.setdefault(station, {})[time_s] = stage_m
    out = {}
    for station, values in found.items():
        times = sorted(values)
        out[station] = np.array(times, np.int64), np.array([values[time] for time in times])
    return out


def ditwah(folder: Path) -> Flood:
    """Cyclone Ditwah, Sri Lanka, November 2025. Weraganthota's -2.74 m is a fault."""
    limits = {row["station"]: row for row in _rows(folder / "limits.csv")}
    above: dict[str, list[str]] = {}
    for row in _rows(folder / "reaches.csv"):
        if row["downstream"]:
            above.setdefault(row["downstream"], []).append(row["upstream"])
    readings = ((row["station"], _time_s(row["time"]), float(row["value"])) for row in _rows(folder / "replays" / "ditwah-2025.csv"))
    series = _series((station, time_s, stage) for station, time_s, stage in readings if stage > -2.73)
    gauges = []
    for row in _rows(folder / "stations.csv"):
        name = row["id"]
        if name in series and name in limits:
            levels = tuple(float(limits[name][level]) for level in ("low", "medium", "high"))
            place = float(row["lat"]), float(row["lon"])
            gauges.append(Gauge(name, row["river"], row["basin"], *place, levels, *series[name], tuple(above.get(name, ()))))
    return Flood("ditwah-2025", tuple(gauges))


def texas(folder: Path) -> Flood:
    """Nueces and Colorado, Texas, July 2026."""
    above: dict[str, list[str]] = {}
    for chain in CHAINS:
        stations = chain.split()
        for upper, lower in itertools.pairwise(stations):
            above.setdefault(lower, []).append(upper)
    rows = _rows(folder / "stage_30min.tsv.gz", "\t")
    series = _series((row["lid"], _time_s(row["frame_utc"]), float(row["stage_ft"]) * FOOT_M) for row in rows if row["stage_ft"])
    gauges = []
    for row in _rows(folder / "gauges.csv"):
        if row["lid"] in series:
            levels = tuple(float(row[f"{level}_ft"]) * FOOT_M for level in ("action", "minor", "moderate", "major") if row[f"{level}_ft"])
            basin = "colorado" if any(word in row["name"] for word in COLORADO) else "nueces"
            place = float(row["lat"]), float(row["lon"])
            gauges.append(Gauge(row["lid"], row["name"], basin, *place, levels, *series[row["lid"]], tuple(above.get(row["lid"], ()))))
    return Flood("texas-2026", tuple(gauges))


def france(folder: Path) -> list[Flood]:
    """The south of France, three months of 2020."""
    about = {row["code_station"]: row for row in _rows(folder / "stations.csv")}
    found = []
    for month in FRENCH:
        rows = _rows(folder / f"levels_{month}.tsv.gz", "\t")
        series = _series((row["code_station"], _time_s(row["date_obs"]), float(row["level_mm"]) / 1000.0) for row in rows)
        gauges = []
        for station, (time_s, stage_m) in series.items():
            time_s, stage_m = _believed(time_s, stage_m)
            if station in about and len(stage_m) >= 300:
                meta, rise = about[station], float(stage_m.max() - np.median(stage_m))
                levels = tuple(float(np.median(stage_m)) + part * rise for part in (0.35, 0.5, 0.72)) if rise > 0.8 else ()
                place = float(meta["lat"]), float(meta["lon"])
                gauges.append(Gauge(station, meta["river"], meta["river"], *place, levels, time_s, stage_m))
        found.append(Flood(f"france-{month}", tuple(_by_catchment(gauges, about))))
    return found


def _believed(time_s: NDArray[np.int64], stage_m: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Without drop-outs, single spikes of 1.5 m, and what follows a leap of 3 m over a gap of a day."""
    good = (stage_m > -1.0) & ~((stage_m == 0.0) & (np.median(stage_m) > 0.3))
    time_s, stage_m = time_s[good], stage_m[good]
    before, after = np.diff(stage_m, prepend=stage_m[:1]), np.diff(stage_m, append=stage_m[-1:])
    spike = (np.abs(before) > 1.5) & (np.abs(after) > 1.5) & (before * after < 0.0)
    time_s, stage_m = time_s[~spike], stage_m[~spike]
    leap = np.flatnonzero((np.diff(stage_m) > 3.0) & (np.diff(time_s) > 86_400))
    end = int(leap[0]) + 1 if len(leap) else len(stage_m)
    return time_s[:end], stage_m[:end]


def _by_catchment(gauges: list[Gauge], about: dict[str, dict[str, str]]) -> Iterator[Gauge]:
    """Along each river the gauge with the next smaller catchment lies upstream."""
    area = {gauge.id: float(about[gauge.id]["catchment_km2"] or 0.0) for gauge in gauges}
    last: dict[str, str] = {}
    for gauge in sorted(gauges, key=lambda one: (one.river, area[one.id], one.id)):
        above = last.get(gauge.river)
        yield replace(gauge, upstream=(above,) if above and area[gauge.id] > area[above] > 0.0 else ())
        last[gauge.river] = gauge.id
