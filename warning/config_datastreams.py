"""``datastreams.csv``: ids that senders of SensorThings use for our series. Optional; no part of the region's digest.

::

    id,station,parameter,unit,datum
    17,IND-SUKKUR,inflow,cusec,
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from warning import config_units
from warning.config_explain import did_you_mean
from warning.config_schema import Word, _Model, _parameter
from warning.config_table import Row, read_table
from warning.errors import ConfigError, Problem
from warning.model import Parameter
from warning.region import Region

FILE = "datastreams.csv"


class DatastreamRow(_Model):
    """One row of ``datastreams.csv``."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    station: Word
    parameter: Annotated[Parameter, BeforeValidator(_parameter)]
    unit: Annotated[str, Field(min_length=1)]
    datum: str = ""


@dataclass(frozen=True, slots=True)
class Datastream:
    """What an id stands for: the series, and in which unit and datum its results are."""

    id: str
    station: str
    parameter: Parameter
    unit: str
    datum: str = ""


def load(folder: str | os.PathLike[str], region: Region) -> tuple[Datastream, ...]:
    """Those of a region's folder; none without the file. Raises ConfigError with all that is wrong."""
    found, problems = _read(Path(folder), region)
    if problems:
        raise ConfigError(problems)
    return found


def check(region: Region) -> list[Problem]:
    """What is wrong with the file, for ``warning check``."""
    return _read(Path(region.folder), region)[1]


def _read(folder: Path, region: Region) -> tuple[tuple[Datastream, ...], list[Problem]]:
    path = folder / FILE
    problems: list[Problem] = []
    if not path.exists():
        return (), problems
    rows = read_table(path, DatastreamRow, problems).rows
    seen: dict[str, int] = {}
    for row in rows:
        problems += _row(row, region)
        if seen.setdefault(row.data.id, row.line) != row.line:
            problems.append(Problem(row.where("id"), f"{row.data.id} stands twice", f"see line {seen[row.data.id]}"))
    if problems:
        return (), problems
    return tuple(Datastream(row.data.id, row.data.station, row.data.parameter, row.data.unit, _datum(row.data)) for row in rows), problems


def _datum(row: DatastreamRow) -> str:
    return row.datum or ("gauge_zero" if row.parameter is Parameter.STAGE else "")


def _row(row: Row[DatastreamRow], region: Region) -> Iterator[Problem]:
    one = row.data
    station = region.station_by_id.get(one.station)
    if station is None:
        fix = did_you_mean(one.station, region.station_by_id) or "see stations.csv"
        yield Problem(row.where("station"), f"no station {one.station!r} in this region", fix)
    elif one.parameter not in {series.parameter for series in station.series}:
        has = ", ".join(series.parameter.value for series in station.series)
        yield Problem(row.where("parameter"), f"{one.station} has no {one.parameter.value}", f"it has: {has}")
    try:
        config_units.factor(one.unit, one.parameter.quantity)
    except ValueError as error:
        yield Problem(row.where("unit"), str(error), "")
    if one.datum and one.parameter is not Parameter.STAGE:
        yield Problem(row.where("datum"), f"a {one.parameter.value} has no datum", "leave it empty")
    elif one.datum not in ("", "gauge_zero") and station is not None:
        elevation = station.datum if station.datum != "gauge_zero" else "msl"
        if station.zero_elevation_m is None or one.datum != elevation:
            yield Problem(
                row.where("datum"), f"{one.station} knows no datum {one.datum!r}", "leave it empty: the stage above the gauge's zero"
            )
