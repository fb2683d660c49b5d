"""``warning travel-times``: what a history says about each reach's travel time, beside what the region's files say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warning.ingest import rows
from warning.model import Reading
from warning.region import QUANTITIES, Reach, Region, Series
from warning.rehearsal.summary import Table
from warning.science.traveltime import TravelTime, columns, learn

LONGEST_S = 10 * 86_400  # where the region says nothing
ROOM = 3  # times the configured longest: what is looked at
LEAST_S = 48 * 3600
TRUSTED = 0.5  # correlation without a peak that says something
Point = tuple[int, float]


@dataclass(frozen=True, slots=True)
class Learnt:
    """One reach: as configured, and as the readings say; ``readings``: of the two gauges."""

    reach: Reach
    found: TravelTime
    readings: tuple[int, int]

    @property
    def span_s(self) -> tuple[int, int] | None:
        """From the least to the greatest that either method leaves open; None: they say nothing."""
        found = self.found
        said = [each for each in (found.low_s, found.high_s) if each is not None]
        if found.correlated_low_s is not None and found.correlated_high_s is not None and (said or found.correlation >= TRUSTED):
            said += [max(found.correlated_low_s - found.step_s, 0), found.correlated_high_s + found.step_s]
        return (min(said), max(said)) if said else None

    @property
    def verdict(self) -> str:
        """agrees | contradicts | new (nothing is configured) | silent (the readings say nothing)."""
        span, low, high = self.span_s, self.reach.travel_low_s, self.reach.travel_high_s
        if span is None:
            return "silent"
        if low is None or high is None:
            return "new"
        return "agrees" if span[0] <= high and low <= span[1] else "contradicts"

    @property
    def words(self) -> str:
        """What the readings say, in hours."""
        found, said = self.found, []
        if found.lag_s is not None:
            said.append(f"{len(found.pairs)} peaks {_hours(found.lag_s)} h ({_hours(found.low_s)} to {_hours(found.high_s)})")
        if found.correlated_s is not None:
            span = f"{_hours(found.correlated_low_s)} to {_hours(found.correlated_high_s)}"
            said.append(f"rises agree best at {_hours(found.correlated_s)} h ({span}; r {found.correlation:.2f})")
        return ", ".join(said) or "no rise passed both gauges"

    @property
    def document(self) -> dict[str, Any]:
        """For ``--json``; hours, None where nothing is known."""
        found, reach = self.found, self.reach
        times = {
            "configured_low_h": reach.travel_low_s,
            "configured_high_h": reach.travel_high_s,
            "peaks_median_h": found.lag_s,
            "peaks_low_h": found.low_s,
            "peaks_high_h": found.high_s,
            "correlation_h": found.correlated_s,
            "correlation_low_h": found.correlated_low_s,
            "correlation_high_h": found.correlated_high_s,
            "step_h": found.step_s,
        }
        return {
            "upstream": reach.upstream,
            "downstream": reach.downstream,
            "basis": reach.basis,
            "verdict": self.verdict,
            "readings": list(self.readings),
            "peaks": [[pair.upstream_s, pair.downstream_s] for pair in found.pairs],
            "correlation": None if math.isnan(found.correlation) else round(found.correlation, 3),
            **{name: None if value is None else round(value / 3600, 2) for name, value in times.items()},
        }


def travel_times(region: Region, files: Sequence[Path]) -> tuple[list[Learnt], list[str]]:
    """(every reach with the readings of all files, what was refused in words). Raises InputError for a file that holds no table."""
    readings: list[Reading] = []
    refused: list[str] = []
    for file in files:
        read = rows.read(file, region)
        readings += read.readings
        refused += [f"{file} line {row.line}: {row.error} ({row.error.fix})" for row in read.refused]
    courses = _courses(region, readings)
    return [_learnt(reach, courses) for reach in region.reaches], refused


def _learnt(reach: Reach, courses: dict[str, list[Point]]) -> Learnt:
    up, down = courses.get(reach.upstream, []), courses.get(reach.downstream, [])
    most_s = LONGEST_S if reach.travel_high_s is None else max(ROOM * reach.travel_high_s, LEAST_S)
    found = learn(*columns(up), *columns(down), most_s)
    return Learnt(reach, found, (len(up), len(down)))


def _courses(region: Region, readings: Iterable[Reading]) -> dict[str, list[Point]]:
    """Gauge -> (s, value) by time: of a barrage the larger of what was read at the same time; what nobody would believe is left out."""
    series = {(one.station, one.parameter): one for station in region.stations for one in station.series}
    wanted = {zone.station: QUANTITIES[zone.limits.quantity].parameters for zone in region.zones if zone.hazard == "flood"}
    found: dict[str, dict[int, float]] = {}
    for reading in readings:
        own = series.get((reading.station, reading.parameter))
        if (
            reading.value is None
            or own is None
            or reading.parameter not in wanted.get(reading.station, ())
            or not _believed(own, reading.value)
        ):
            continue
        course, at = found.setdefault(reading.station, {}), reading.time_ms // 1000
        course[at] = max(course.get(at, reading.value), reading.value)
    return {station: sorted(course.items()) for station, course in found.items()}


def _believed(series: Series, value: float) -> bool:
    low, high = series.plausible_min, series.plausible_max
    return (low is None or value >= low) and (high is None or value <= high)


def table(found: Sequence[Learnt]) -> Table:
    """Every reach that is configured, or that the readings say something about."""
    shown = tuple(
        (
            f"{one.reach.upstream} - {one.reach.downstream}",
            "" if one.reach.travel_low_s is None else f"{_hours(one.reach.travel_low_s)} to {_hours(one.reach.travel_high_s)}",
            one.reach.basis if one.reach.travel_low_s is not None else "",
            one.words,
            one.verdict,
        )
        for one in found
    )
    return Table("travel times in hours", ("reach", "configured", "basis", "the readings say", ""), shown)


def document(found: Sequence[Learnt]) -> dict[str, Any]:
    """The object for ``--json``."""
    verdicts = [one.verdict for one in found]
    figures = {"reaches": len(found)} | {name: verdicts.count(name) for name in ("agrees", "contradicts", "new", "silent")}
    return {"figures": figures, "reaches": [one.document for one in found]}


def contradicted(region: Region, files: Sequence[Path]) -> list[str]:
    """Reaches whose assumed time is not what the readings say, in words."""
    found, _ = travel_times(region, files)
    return [
        f"{one.reach.upstream} - {one.reach.downstream}: assumed {_hours(one.reach.travel_low_s)} to {_hours(one.reach.travel_high_s)} h, "
        f"the region's replays say {one.words}"
        for one in found
        if one.verdict == "contradicts" and one.reach.basis == "assumed"
    ]


def _hours(seconds: int | None) -> str:
    return "?" if seconds is None else f"{seconds / 3600:.3g}"
