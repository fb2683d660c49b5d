"""``quality.csv``: further tests of quality control per station and parameter, and what is usual for each parameter.

The defaults come from what sensors and rivers do, checked on the rivers of ``config/training`` (``warning bench qc`` measures them on each
set): a float or radar reads to 1 cm, waves and gates make some cm, so a stage must depart by 0.2 m and by twice its usual change to
be a spike; a river that moves at all does not stand still to the resolution for three times as long as it ever did lately; a step of 0.3 m
that stays is no wave; a river does not creep along a straight line by half a metre a day while its neighbours stand.
Discharges have no size that fits all rivers: only what scales with their own past is made.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from warning.config_schema import DATE, Listed, Number, Text, Word
from warning.config_units import factor
from warning.model import Parameter
from warning.region import Quality, Rating, Reach, Series, Station

_STAGE = Quality(spike=0.2, spike_factor=2.0, still_s=3 * 3600, still_factor=3.0, shift=0.3, attenuated=0.05, while_moving=0.4, alone=0.5)
_FLOW = Quality(spike_factor=7.0, still_s=24 * 3600, still_factor=3.0)
DEFAULTS: dict[Parameter, Quality] = {
    Parameter.STAGE: _STAGE,
    Parameter.DISCHARGE: _FLOW,
    Parameter.INFLOW: _FLOW,
    Parameter.OUTFLOW: _FLOW,
    Parameter.RAIN: Quality(),
    Parameter.TEMPERATURE: Quality(spike=3.0, spike_factor=4.0, still_s=6 * 3600, still_factor=3.0),
    Parameter.HUMIDITY: Quality(spike=15.0, spike_factor=4.0, still_s=12 * 3600, still_factor=3.0),
}
ALL, OFF = "*", "-"


def _cell(text: object) -> float:
    """A number above 0, or ``-`` for "not made" (NaN)."""
    if text == OFF:
        return math.nan
    try:
        number = float(str(text))
    except ValueError:
        raise ValueError(f"{text!r} is not a number; write a number above 0, or - where the test is not to be made") from None
    if not 0 < number < math.inf:
        raise ValueError(f"{text!r} is not above 0; write a number above 0, or - where the test is not to be made")
    return number


def _parameter(text: object) -> Parameter:
    known = {parameter.value: parameter for parameter in Parameter}
    if not isinstance(text, str) or text not in known:
        raise ValueError(f"{text!r} is not a parameter; write one of {', '.join(known)}")
    return known[text]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Cell = Annotated[float, BeforeValidator(_cell)]
StationOrAll = Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9_-]*)$")]


class QualityRow(_Model):
    """``quality.csv``: station ``*`` is for all that have the parameter. Empty: the value of ``*``, else the default; ``-``: not made."""

    station: StationOrAll
    parameter: Annotated[Parameter, BeforeValidator(_parameter)]
    unit: Text
    gap_after_h: Cell | None = None
    spike: Cell | None = None
    spike_factor: Cell | None = None
    still_h: Cell | None = None
    still_factor: Cell | None = None
    shift: Cell | None = None
    neighbours: Listed = ()
    twin: str = ""
    twin_within: Cell | None = None
    attenuated: Cell | None = None
    while_moving: Cell | None = None
    alone: Cell | None = None
    rain: str = ""
    rise: Cell | None = None
    dry_mm: Cell | None = None
    wet_mm: Cell | None = None


class ClimatologyRow(_Model):
    """``climatology.csv``: what a series is between in a month (UTC); outside of it a reading is suspect."""

    station: Word
    parameter: Annotated[Parameter, BeforeValidator(_parameter)]
    unit: Text
    month: Annotated[int, Field(ge=1, le=12)]
    least: Number
    greatest: Number
    source: Text
    basis: Literal["record", "model", "judgement"] = "record"


class RatingRow(_Model):
    """``ratings.csv``: one point of a rating curve. ``valid_to`` empty: until there is a newer one. Stages rise with the discharges."""

    station: Word
    valid_from: Annotated[str, Field(pattern=DATE)]
    valid_to: Annotated[str, Field(pattern=DATE)] | None = None
    stage: Number
    stage_unit: Text
    discharge: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    discharge_unit: Text
    source: Text


_PLAIN = ("spike_factor", "still_factor", "dry_mm", "wet_mm")
_SIZES = ("spike", "shift", "twin_within", "attenuated", "while_moving", "alone", "rise")
_HOURS = {"gap_after_h": "gap_s", "still_h": "still_s"}


def with_quality(
    stations: Sequence[Station], rows: Sequence[QualityRow], seasons: Sequence[ClimatologyRow], reaches: Iterable[Reach]
) -> tuple[Station, ...]:
    """The stations, their series with the further tests that the files ask for."""
    if not rows and not seasons:
        return tuple(stations)
    said = {(row.station, row.parameter): row for row in rows}
    near: dict[str, list[str]] = {}
    for reach in reaches:
        near.setdefault(reach.upstream, []).append(reach.downstream)
        near.setdefault(reach.downstream, []).append(reach.upstream)
    months = _months(seasons)

    def of(station: Station, one: Series) -> Series:
        chosen = [row for key in (station.id, ALL) if (row := said.get((key, one.parameter))) is not None]
        season = months.get((station.id, one.parameter), ())
        if not chosen and not season:
            return one
        found = _quality(station, one.parameter, chosen, near.get(station.id, ())) if chosen else Quality()
        return dataclasses.replace(one, quality=dataclasses.replace(found, months=season))

    return tuple(dataclasses.replace(station, series=tuple(of(station, one) for one in station.series)) for station in stations)


def _quality(station: Station, parameter: Parameter, rows: Sequence[QualityRow], near: Sequence[str]) -> Quality:
    """``rows``: of the station, then of all."""
    default = DEFAULTS[parameter]
    found: dict[str, float | int | None] = {}
    for name in (*_PLAIN, *_SIZES, *_HOURS):
        to = _HOURS.get(name, name)
        found[to] = getattr(default, to)
        for row in rows:
            value = getattr(row, name)
            if value is not None:
                scale = factor(row.unit, parameter.quantity) if name in _SIZES else 3600 if name in _HOURS else 1.0
                found[to] = None if math.isnan(value) else round(value * scale) if name in _HOURS else value * scale
                break
        else:
            found[to] = station.silent_after_s if name == "gap_after_h" else found[to]
    first = rows[0]
    neighbours = () if first.neighbours == (OFF,) else first.neighbours or tuple(sorted(set(near)))
    words = {"neighbours": neighbours, "twin": first.twin, "rain": next((row.rain for row in rows if row.rain), "")}
    return Quality(**found, **words)  # type: ignore[arg-type]


def _months(rows: Sequence[ClimatologyRow]) -> dict[tuple[str, Parameter], tuple[tuple[float, float], ...]]:
    """A month without a row is not judged."""
    found: dict[tuple[str, Parameter], list[tuple[float, float]]] = {}
    for row in rows:
        unit = factor(row.unit, row.parameter.quantity)
        twelve = found.setdefault((row.station, row.parameter), [(-1e308, 1e308)] * 12)
        twelve[row.month - 1] = row.least * unit, row.greatest * unit
    return {key: tuple(twelve) for key, twelve in found.items()}


def ratings(rows: Sequence[RatingRow]) -> tuple[Rating, ...]:
    """Curves by station and first day, their points by stage."""
    found: dict[tuple[str, str], list[RatingRow]] = {}
    for row in rows:
        found.setdefault((row.station, row.valid_from), []).append(row)
    return tuple(_rating(points) for _, points in sorted(found.items()))


def _rating(rows: Sequence[RatingRow]) -> Rating:
    points = sorted((row.stage * factor(row.stage_unit, "stage"), row.discharge * factor(row.discharge_unit, "discharge")) for row in rows)
    first = rows[0]
    return Rating(
        station=first.station,
        from_s=_day(first.valid_from),
        to_s=None if first.valid_to is None else _day(first.valid_to),
        stages=tuple(stage for stage, _ in points),
        discharges=tuple(discharge for _, discharge in points),
        source=first.source,
    )


def _day(text: str) -> int:
    return int(datetime.fromisoformat((text + "-01-01")[:10]).replace(tzinfo=UTC).timestamp())


def named(row: QualityRow) -> Iterator[tuple[str, str]]:
    """(column, station) of every other station that a row names."""
    yield from (("neighbours", station) for station in row.neighbours if station != OFF)
    yield from ((column, station) for column, station in (("twin", row.twin), ("rain", row.rain)) if station)
