"""What is wrong with ``hazards.csv`` beside the other files of a region."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from warning.config_hazards import HazardRow
from warning.config_read import Files, Row, did_you_mean
from warning.config_units import factor
from warning.errors import Problem
from warning.region import QUANTITIES


def check_hazards(files: Files) -> Iterator[Problem]:
    """Every problem of the zones in ``hazards.csv``."""
    for row in files.hazards.rows:
        if row.data.zone in files.stations.ids:
            yield Problem(
                row.where("zone"), f"{row.data.zone} is a gauge's id, and its flood zone has that", "give this zone an id of its own"
            )
        if "en" not in row.data.names:
            yield Problem(row.where("name_en"), "no English name", "documents need one; write name_en")
        yield from _limits(files, row)
        yield from _stations(files, row)
        for district in row.data.districts:
            if district not in files.districts.ids:
                fix = did_you_mean(district, files.districts.ids) or "add it to districts.csv"
                yield Problem(row.where("districts"), f"{district!r} is not in districts.csv", fix)
        if not row.data.districts:
            yield Problem(row.where("districts"), f"zone {row.data.zone} has no district", "write who is at risk, separated by |")
        yield from _guidance(row)


def _limits(files: Files, row: Row[HazardRow]) -> Iterator[Problem]:
    limits = row.data.values
    try:
        factor(row.data.unit, row.data.group)
    except ValueError as error:
        what, _, fix = str(error).partition("; ")
        yield Problem(row.where("unit"), what, fix)
    if not limits:
        yield Problem(row.where("low"), "no limit at all", "write at least one, or remove the row")
    for (lower, below), (upper, above) in pairwise(limits.items()):
        if below >= above:
            what = f"limits out of order: {lower.name} {below:g} is not below {upper.name} {above:g}"
            yield Problem(row.where(upper.name.lower()), what, "limits rise with the class")
    for level in limits:
        if files.region and level not in files.region.classes:
            yield Problem(
                row.where(level.name.lower()), f"class {level.name} has no name in region.yaml", f"add {level.name} under classes:"
            )
        if QUANTITIES[row.data.quantity].hazard != "heat" and limits[level] <= 0:
            yield Problem(row.where(level.name.lower()), f"limit {limits[level]:g} is reached by no rain at all", "write more than 0")


def _stations(files: Files, row: Row[HazardRow]) -> Iterator[Problem]:
    if not row.data.stations:
        yield Problem(row.where("stations"), "no station", "write whose readings count, separated by |")
    if len(set(row.data.stations)) < len(row.data.stations):
        yield Problem(row.where("stations"), "a station stands twice", "remove one: it would confirm itself")
    measured = {(one.data.station, one.data.parameter) for one in files.series.rows}
    basins = {one.data.id: one.data.basin for one in files.stations.rows}
    for station in row.data.stations:
        if station not in files.stations.ids:
            fix = did_you_mean(station, files.stations.ids) or "add it to stations.csv"
            yield Problem(row.where("stations"), f"{station!r} is not in stations.csv", fix)
            continue
        missing = [one.value for one in QUANTITIES[row.data.quantity].parameters if (station, one) not in measured]
        if missing and station in files.series.ids:
            what = f"{station} does not measure {' and '.join(missing)}, of which {row.data.quantity} is made"
            yield Problem(row.where("stations"), what, "correct quantity or stations, or add the series")
    own = {basins[station] for station in row.data.stations if station in basins}
    if len(own) > 1:
        what = f"its stations lie in basins {', '.join(sorted(own))}"
        yield Problem(row.where("stations"), what, "their readings must meet in one partition: make a zone for each basin")


def _guidance(row: Row[HazardRow]) -> Iterator[Problem]:
    flash, told = row.data.quantity == "flash_flood", row.data.curve_number is not None
    if flash and not (told and row.data.runoff):
        what = "a flash flood needs the curve number of its ground and the runoff that fills its stream"
        yield Problem(row.where("curve_number"), what, "write curve_number and at least one of runoff_1h, runoff_3h, runoff_6h (mm)")
    if not flash and (told or row.data.runoff):
        yield Problem(row.where("curve_number"), f"{row.data.quantity} needs no curve number and no runoff", "leave them empty")
    for (shorter, less), (longer, more) in pairwise(row.data.runoff.items()):
        if less > more:
            what = f"runoff over {shorter} h, {less:g} mm, is more than over {longer} h, {more:g} mm"
            yield Problem(row.where(f"runoff_{longer}h"), what, "the longer the rain, the more it takes")
