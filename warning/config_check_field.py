"""What is wrong between quality.csv, climatology.csv, ratings.csv and the stations they are about."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from warning.config_explain import did_you_mean
from warning.config_quality import ALL, RatingRow, named
from warning.config_read import Files
from warning.config_table import Row
from warning.config_units import factor
from warning.errors import Problem
from warning.model import Parameter


def check_field(files: Files) -> Iterator[Problem]:
    yield from _quality(files)
    yield from _climatology(files)
    yield from _ratings(files)


def _unit(where: str, unit: str, quantity: str) -> Iterator[Problem]:
    try:
        factor(unit, quantity)
    except ValueError as error:
        what, _, fix = str(error).partition("; ")
        yield Problem(where, what, fix)


def _measured(files: Files) -> set[tuple[str, Parameter]]:
    return {(row.data.station, row.data.parameter) for row in files.series.rows}


def _quality(files: Files) -> Iterator[Problem]:
    measured, seen = _measured(files), dict[tuple[str, Parameter], int]()
    for row in files.quality.rows:
        one = row.data
        yield from _unit(row.where("unit"), one.unit, one.parameter.quantity)
        first = seen.setdefault((one.station, one.parameter), row.line)
        if first != row.line:
            yield Problem(row.where(), f"{one.station} {one.parameter.value} stands in line {first} too", "remove one")
        if one.station != ALL and (one.station, one.parameter) not in measured:
            what = f"{one.station} has no series {one.parameter.value}"
            yield Problem(row.where("station"), what, did_you_mean(one.station, files.stations.ids) or "add it to series.csv")
        for column, station in named(one):
            parameter = Parameter.RAIN if column == "rain" else one.parameter
            if (station, parameter) not in measured:
                what = f"{station!r} has no series {parameter.value}"
                yield Problem(row.where(column), what, did_you_mean(station, files.stations.ids) or "add it to series.csv")
            elif one.station != ALL and _partition(files, station) != _partition(files, one.station):
                yield Problem(row.where(column), f"{station} is in another partition", "give both basins one partition in region.yaml")


def _partition(files: Files, station: str) -> int | None:
    basin = next((row.data.basin for row in files.stations.rows if row.data.id == station), "")
    return files.region.basins.get(basin) if files.region else None


def _climatology(files: Files) -> Iterator[Problem]:
    measured = _measured(files)
    for row in files.climatology.rows:
        one = row.data
        yield from _unit(row.where("unit"), one.unit, one.parameter.quantity)
        if (one.station, one.parameter) not in measured:
            yield Problem(row.where("station"), f"{one.station} has no series {one.parameter.value}", "add it to series.csv")
        if one.least > one.greatest:
            yield Problem(row.where("least"), f"least {one.least:g} is above greatest {one.greatest:g}", "swap them")


def _ratings(files: Files) -> Iterator[Problem]:
    measured = _measured(files)
    curves: dict[tuple[str, str], list[Row[RatingRow]]] = {}
    for row in files.ratings.rows:
        one = row.data
        yield from _unit(row.where("stage_unit"), one.stage_unit, "stage")
        yield from _unit(row.where("discharge_unit"), one.discharge_unit, "discharge")
        for parameter in (Parameter.STAGE, Parameter.DISCHARGE):
            if (one.station, parameter) not in measured:
                yield Problem(row.where("station"), f"{one.station} has no series {parameter.value}", "add it to series.csv")
        if one.valid_to is not None and one.valid_to <= one.valid_from:
            yield Problem(
                row.where("valid_to"), f"{one.valid_to} is not after {one.valid_from}", "write the first day that it is no more valid"
            )
        curves.setdefault((one.station, one.valid_from), []).append(row)
    for (station, begin), rows in curves.items():
        points = sorted((row.data.stage, row.data.discharge) for row in rows)
        if len(points) < 2:
            yield Problem(rows[0].where(), f"the curve of {station} from {begin} has one point", "a curve needs two at least")
        if any(low[0] == high[0] or low[1] >= high[1] for low, high in pairwise(points)):
            yield Problem(rows[0].where(), f"the curve of {station} from {begin} does not rise", "discharges must rise with the stages")
        if len({(row.data.stage_unit, row.data.discharge_unit, row.data.valid_to) for row in rows}) > 1:
            yield Problem(rows[0].where(), f"the curve of {station} from {begin} has several units or ends", "write one of each")
