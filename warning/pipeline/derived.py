"""Zones whose quantity no gauge reads: heat from temperature and humidity, rain over hours, flash flood from rain and wet ground.

Such a zone has one or more stations, its members; each is judged by itself and the highest counts, as of the twin sensors of a gauge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.model import Parameter, Reason
from warning.pipeline.rain import Rain
from warning.region import QUANTITIES, Zone
from warning.science import flashflood, heat, rainfall, windows

Index = NDArray[np.intp]
Arrays = dict[str, NDArray[Any]]

PAIR_S = 3600  # temperature and humidity so far apart are still one observation
_HEAT: Mapping[str, int] = {"heat_index": 0, "wet_bulb": 1}
_HOURS = np.array(rainfall.HOURS)
_NEVER = -np.inf  # the value of a member that says nothing


@dataclass(frozen=True, slots=True)
class Derived:
    """The D derived zones of a plan, each with K members at most."""

    place: Index  # (Z,) which of them a zone is; -1: a gauge's
    formula: NDArray[np.int8]  # (D,) heat index 0, wet bulb 1, rain 2, flash flood 3
    hours: Index  # (D,) of rain: place in ``rainfall.HOURS``
    humidity: Index  # (D, K) rows; those of temperature and rain stand in ``Plan.zone_series``
    curve_number: NDArray[np.float64]  # (D,)
    runoff: NDArray[np.float64]  # (D, hours) NaN: not judged
    rain: Index  # (S,) which series of rain each series is
    feeds_from: Index  # (S + 1,) the zones that series r feeds: feeds[feeds_from[r] : feeds_from[r + 1]]
    feeds: Index

    @staticmethod
    def of(zones: Sequence[Zone], row: Mapping[tuple[str, Parameter], int], zone_series: Index, rain: Rain | None) -> Derived | None:
        """None: every zone is a gauge's, and nothing here costs anything."""
        own = [place for place, zone in enumerate(zones) if QUANTITIES[zone.limits.quantity].derived]
        if not own:
            return None
        nouns = [zones[place] for place in own]
        place = np.full(len(zones), -1, np.intp)
        place[own] = np.arange(len(own))
        humidity = np.full((len(own), zone_series.shape[1]), -1, np.intp)
        runoff = np.full((len(own), len(_HOURS)), np.nan)
        for number, noun in enumerate(nouns):
            if noun.hazard == "heat":
                humidity[number, : len(noun.stations)] = [row[station, Parameter.HUMIDITY] for station in noun.stations]
            for duration, filled in noun.guidance.runoff_mm if noun.guidance else ():
                runoff[number, rainfall.HOURS.index(duration)] = filled
        pairs = sorted({(int(r), z) for z, d in zip(own, range(len(own)), strict=True) for r in (*zone_series[z], *humidity[d]) if r >= 0})
        fed = np.bincount(np.array([r for r, _ in pairs], np.intp), minlength=len(row))
        hours = [QUANTITIES[noun.limits.quantity].hours for noun in nouns]
        return Derived(
            place=place,
            formula=np.array([_HEAT.get(noun.limits.quantity, 2 if noun.hazard == "heavy_rain" else 3) for noun in nouns], np.int8),
            hours=np.array([rainfall.HOURS.index(each) if each else 0 for each in hours], np.intp),
            humidity=humidity,
            curve_number=np.array([noun.guidance.curve_number if noun.guidance else np.nan for noun in nouns]),
            runoff=runoff,
            rain=np.zeros(0, np.intp) if rain is None else rain.row,
            feeds_from=np.concatenate(([0], np.cumsum(fed))).astype(np.intp),
            feeds=np.array([z for _, z in pairs], np.intp),
        )

    def touched(self, rows: NDArray[Any]) -> Index:
        """The derived zones that the series ``rows`` feed, each once."""
        rows = np.unique(rows)
        start = self.feeds_from[rows]
        number = self.feeds_from[rows + 1] - start
        return np.unique(self.feeds[np.arange(number.sum()) + (start - number.cumsum() + number).repeat(number)])


@dataclass(frozen=True, slots=True)
class Members:
    """What the members of the derived zones among some zones say: (n, K) each, of the zones at the places ``at``.

    ``time`` 0: never spoke. ``value`` -inf: what is needed is not there together, and ``heard`` 0 then makes the zone silent.
    """

    at: Index
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    before_t: NDArray[np.int64]
    before: NDArray[np.float64]
    heard: NDArray[np.int64]


def members(derived: Derived, s: Arrays, r: Arrays, zones: Index, rows: Index) -> Members | None:
    """None: none of ``zones`` is derived. ``rows`` (Z, K): their series of temperature or rain, -1 where there is none.

    ``s``, ``r``: the tables of series and of rain.
    """
    number = derived.place[zones]
    at = np.flatnonzero(number >= 0)
    if not len(at):
        return None
    number, rows = number[at], rows[at]
    shape = rows.shape
    out = Members(
        at, np.zeros(shape, np.int64), np.full(shape, _NEVER), np.zeros(shape, np.int64), np.full(shape, np.nan), np.zeros(shape, np.int64)
    )
    hot = derived.formula[number] <= 1
    if hot.any():
        _heat(out, hot, derived.formula[number[hot]], s, rows[hot], derived.humidity[number[hot]])
    if not hot.all():
        _rain(out, ~hot, derived, number[~hot], s, r, rows[~hot])
    return out


def _heat(out: Members, mine: NDArray[np.bool_], formula: NDArray[np.int8], s: Arrays, t: Index, h: Index) -> None:
    """The newest temperature and humidity within an hour of each other, and those before both of them."""
    there = (t >= 0) & (h >= 0) & ~s["out"][t] & ~s["out"][h]
    t_time, h_time = ([s[name][rows].astype(np.int64) for name in ("last_t", "before_t")] for rows in (t, h))
    t_value, h_value = ([s[name][rows] for name in ("last_v", "before_v")] for rows in (t, h))
    spoke = there & (t_time[0] > 0) & (h_time[0] > 0)

    def paired(a: int, b: int) -> NDArray[np.bool_]:
        return np.asarray(spoke & (t_time[a] > 0) & (h_time[b] > 0) & (np.abs(t_time[a] - h_time[b]) <= PAIR_S))

    both, older_t, older_h = paired(0, 0), paired(1, 0), paired(0, 1)
    # One of the two has come already and the other is on its way: what was said last still stands.
    first = np.where(both, 0, np.where(older_t, 1, 0))
    second = np.where(both | older_t, 0, 1)
    known = both | older_t | older_h
    time = np.maximum(_pick(t_time, first), _pick(h_time, second))
    value = _judged(formula, np.where(known, _pick(t_value, first), np.nan), _pick(h_value, second))
    known &= ~np.isnan(value)
    out.time[mine] = np.where(known, time, np.where(spoke, np.minimum(t_time[0], h_time[0]), 0))
    out.value[mine] = np.where(known, value, _NEVER)
    out.heard[mine] = np.where(known, np.minimum(s["heard_t"][t], s["heard_t"][h]).astype(np.int64), 0)
    # A second observation has both anew: one wrong temperature must not confirm itself with two humidities.
    again = both & paired(1, 1)
    out.before_t[mine] = np.where(again, np.maximum(t_time[1], h_time[1]), 0)
    out.before[mine] = _judged(formula, np.where(again, t_value[1], np.nan), h_value[1])


def _pick(columns: Sequence[NDArray[Any]], which: NDArray[Any]) -> NDArray[Any]:
    return np.where(which == 0, columns[0], columns[1])


def _judged(formula: NDArray[np.int8], t: NDArray[np.float64], h: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.round(np.where(formula[:, None] == 0, heat.heat_index(t, h), heat.wet_bulb(t, h)), 3), np.float64)


def _rain(out: Members, mine: NDArray[np.bool_], derived: Derived, number: Index, s: Arrays, r: Arrays, rows: Index) -> None:
    there = (rows >= 0) & ~s["out"][rows]
    time = np.where(there, s["last_t"][rows].astype(np.int64), 0)
    before_t = np.where(time > 0, s["before_t"][rows].astype(np.int64), 0)
    fell = totals(s, rows, time)
    earlier = totals(s, rows, before_t)
    # Where both readings lie in one bucket, it holds the newest too: that must not confirm itself.
    widths = np.array([windows.RINGS[0][0]] * 3 + [windows.RINGS[1][0], windows.RINGS[2][0]])
    together = before_t[..., None] // widths == time[..., None] // widths
    earlier = np.where(together, np.maximum(fell - s["last_v"][rows][..., None], 0.0), earlier)
    index = _antecedent(derived, r, rows, time)
    out.time[mine] = time
    value = _over(derived, number, fell, index)
    known = (time > 0) & ~np.isnan(value)
    out.value[mine] = np.where(known, value, _NEVER)
    out.heard[mine] = np.where(known, s["heard_t"][rows].astype(np.int64), 0)
    out.before_t[mine] = before_t
    ground = np.maximum(index - s["last_v"][rows], 0.0)  # as it was then
    out.before[mine] = np.where(before_t > 0, _over(derived, number, earlier, ground), np.nan)


def totals(s: Arrays, rows: Index, until_s: NDArray[np.int64]) -> NDArray[np.float64]:
    """mm in the hours of ``rainfall.HOURS`` up to ``until_s`` of each of ``rows``: one axis more; NaN: no reading in them."""
    found = rainfall.accumulations(s, np.maximum(rows, 0).ravel(), until_s.ravel())
    return np.stack([found[hours] for hours in rainfall.HOURS], axis=-1).reshape(*rows.shape, len(_HOURS))


def _antecedent(derived: Derived, r: Arrays, rows: Index, until_s: NDArray[np.int64]) -> NDArray[np.float64]:
    """Antecedent precipitation index at ``until_s``, with the rain up to then, of each of ``rows``, mm."""
    return rainfall.api(r, derived.rain[np.maximum(rows, 0)].ravel(), until_s.ravel() - 1).reshape(rows.shape)


def _over(derived: Derived, number: Index, fell: NDArray[np.float64], index: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, K): the rain over a zone's hours, or its highest ratio to a threshold."""
    zones, stations = fell.shape[:2]
    rain = fell[np.arange(zones)[:, None], np.arange(stations)[None, :], derived.hours[number][:, None]]
    flash = derived.formula[number] == 3
    if flash.any():
        rain[flash] = judged(derived, number[flash], fell[flash], index[flash]).ratio.reshape(-1, stations)
    return np.round(rain, 3)


def judged(derived: Derived, number: Index, fell: NDArray[np.float64], index: NDArray[np.float64]) -> flashflood.Judged:
    """Flash flood of the derived zones ``number`` (n,) from (n, K, hours) of rain; its arrays are n x K long."""
    stations = fell.shape[1]
    each = np.repeat(number, stations)
    return flashflood.judge(fell.reshape(len(each), -1), index.ravel(), derived.curve_number[each], derived.runoff[each])


def grounds(derived: Derived, s: Arrays, r: Arrays, zone: int, row: int, zone_rows: Index) -> Reason:
    """From what the value of a zone comes that its member with the series ``row`` decides."""
    number = int(derived.place[zone])
    rows = np.array([[row]])
    if derived.formula[number] <= 1:
        humid = int(derived.humidity[number][np.flatnonzero(zone_rows == row)[0]])
        last = {name: (float(s["last_v"][one]), int(s["last_t"][one]) * 1000) for name, one in (("temperature", row), ("humidity", humid))}
        values: dict[str, float | int | str | None] = {name: value for name, (value, _) in last.items()}
        return Reason(code="heat_of", values=values | {f"{name}_at_ms": time for name, (_, time) in last.items()})
    until_s = s["last_t"][rows].astype(np.int64)
    fell = totals(s, rows, until_s)
    if derived.formula[number] == 2:
        hours = int(_HOURS[derived.hours[number]])
        return Reason(code="rain_fell", values={"rain_mm": round(float(fell[0, 0, derived.hours[number]]), 1), "duration_h": hours})
    index = _antecedent(derived, r, rows, until_s)
    found = judged(derived, np.array([number]), fell, index)
    return Reason(
        code="flash_flood",
        values={
            "rain_mm": round(float(found.rain[0]), 1),
            "duration_h": int(_HOURS[found.duration[0]]),
            "threshold_mm": round(float(found.threshold[0]), 1),
            "wetness": round(float(found.wetness[0]), 2),
            "antecedent_mm": round(max(float(index[0, 0] - found.rain[0]), 0.0), 1),
        },
    )
