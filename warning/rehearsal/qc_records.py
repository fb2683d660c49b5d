"""Real records of stages to measure quality control with: the three sets of ``config``, as received."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FT = 0.3048


@dataclass(frozen=True, slots=True)
class Records:
    """``series``: station -> (time in s since 1970 UTC, rising; stage in m). ``near``: station -> the next ones up and down its river."""

    name: str
    series: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]
    near: dict[str, tuple[str, ...]]
    seen: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)  # station -> stretches that are faults of its sensor, by eye

    def seen_on(self, station: str) -> tuple[tuple[int, int], ...]:
        """(first, last) second of each."""
        return self.seen.get(station, ())


SEEN = "training/faults-seen.csv"


def ditwah(config: Path) -> Records:
    rows = _table(config / "sri-lanka/replays/ditwah-2025.csv", ",")
    found = _series((row["station"], row["time"], float(row["value"])) for row in rows if row["parameter"] == "stage")
    pairs = [(row["upstream"], row["downstream"]) for row in _table(config / "sri-lanka/reaches.csv", ",") if row["downstream"]]
    return Records("ditwah-2025", found, _near(pairs, found), _seen(config, "ditwah-2025"))


def texas(config: Path) -> Records:
    folder = config / "training/texas-2026"
    rows = _table(folder / "stage_30min.tsv.gz", "\t")
    found = _series((row["lid"], row["frame_utc"], float(row["stage_ft"]) * FT) for row in rows)
    pairs = [(row["from_lid"], row["to_lid"]) for row in _table(folder / "reaches.csv", ",")]
    return Records("texas-2026", found, _near(pairs, found), _seen(config, "texas-2026"))


def france(config: Path) -> Records:
    """Its three months, a series of a month a series of its own: STATION@MONTH. Neighbours: next to each other on one river by the size
    of their catchments."""
    folder = config / "training/france-2020"
    rivers: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for row in _table(folder / "stations.csv", ","):
        rivers[row["river"]].append((float(row["catchment_km2"] or 0), row["code_station"]))
    pairs, seen = list[tuple[str, str]](), _seen(config, "france-2020")
    series: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
    stretches: dict[str, tuple[tuple[int, int], ...]] = {}
    for month in ("2020-01_gloria", "2020-04-05_spring", "2020-09_cevennes"):
        rows = _table(folder / f"levels_{month}.tsv.gz", "\t")
        found = _series((row["code_station"], row["date_obs"], float(row["level_mm"]) / 1000.0) for row in rows)
        of = {station: f"{station}@{month.rpartition('_')[2]}" for station in found}
        series |= {of[station]: each for station, each in found.items()}
        stretches |= {of[station]: seen[station] for station in found if station in seen}
        for gauges in rivers.values():
            pairs += pairwise(of[station] for _, station in sorted(gauges) if station in found)
    return Records("france-2020", series, _near(pairs, series), stretches)


def _seen(config: Path, name: str) -> dict[str, tuple[tuple[int, int], ...]]:
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in _table(config / SEEN, ","):
        if row["set"] == name:
            first, last = (int(datetime.fromisoformat(row[column]).timestamp()) for column in ("from", "to"))
            found[row["station"]].append((first, last))
    return {station: tuple(stretches) for station, stretches in found.items()}


def _table(path: Path, delimiter: str) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8-sig") as file:
        yield from csv.DictReader((line for line in file if not line.startswith("#")), delimiter=delimiter)


def _series(rows: Iterator[tuple[str, str, float]]) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    points: dict[str, dict[int, float]] = defaultdict(dict)
    for station, time, value in rows:
        points[station][int(datetime.fromisoformat(time).timestamp())] = value
    return {
        station: (np.array(sorted(values), np.int64), np.array([values[time] for time in sorted(values)]))
        for station, values in sorted(points.items())
    }


def _near(pairs: list[tuple[str, str]], known: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]) -> dict[str, tuple[str, ...]]:
    near: dict[str, list[str]] = defaultdict(list)
    for up, down in pairs:
        if up in known and down in known:
            near[down].append(up)
            near[up].append(down)
    return {station: tuple(sorted(others)) for station, others in near.items()}
