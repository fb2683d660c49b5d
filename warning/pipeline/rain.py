"""Rain before and after quality control: running counts become increments, and what counts goes into the sums of its day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warning.model import Parameter
from warning.pipeline.beat import Readings
from warning.pipeline.layout import Arrays
from warning.region import Series
from warning.science import qc, qc_manual, rain_counters, rainfall

Index = NDArray[np.intp]
Writes = list[tuple[str, Index, NDArray[np.float64]]]  # field of the tables of rain, rows, values


@dataclass(frozen=True, slots=True)
class Rain:
    """The R series of rain of a plan with S series."""

    row: Index  # (S,) which of them a series is, -1: it is none
    series: Index  # (R,) their rows in the plan
    rules: rain_counters.Rules

    @staticmethod
    def of(series: Sequence[Series]) -> Rain | None:
        """None: no series is rain, and nothing here costs anything."""
        mine = [number for number, one in enumerate(series) if one.parameter is Parameter.RAIN]
        if not mine:
            return None
        row = np.full(len(series), -1, np.intp)
        row[mine] = np.arange(len(mine))
        nouns = [series[number] for number in mine]
        rules = rain_counters.Rules(
            counts=np.array([noun.rain_as in ("total", "tips") for noun in nouns], np.bool_),
            reset_s=np.array([-1 if noun.reset_s is None else noun.reset_s for noun in nouns], np.int64),
            roll_over=_numbers(noun.roll_over_mm for noun in nouns),
            greatest=_numbers(noun.plausible_max for noun in nouns),
        )
        return Rain(row, np.array(mine, np.intp), rules)


def _numbers(values: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def increments(rain: Rain, s: Arrays, r: Arrays, readings: Readings, now_s: int) -> tuple[Readings, Writes]:
    """The readings with mm since the one before where a counter was sent, those that were made besides at the end; and what to write.

    What quality control will not believe whatever it says (its time, no number, a sentinel) stays as it was sent.
    """
    which = rain.row[readings.row]
    counted = (which >= 0) & rain.rules.counts[which]
    if not counted.any():
        return readings, []
    time_s, value = readings.time_ms // 1000, readings.value
    counted &= np.isfinite(value) & (value >= 0.0) & ~readings.sentinel & ~s["out"][readings.row]
    counted &= (time_s <= np.minimum(readings.received_ms // 1000, now_s) + qc.FUTURE_S) & (time_s > max(0, now_s - qc.OLDEST_S))
    counted &= ~qc_manual.out_of_order(s, readings.row, time_s)
    for number in qc.SENTINELS:
        counted &= value != number
    here = np.flatnonzero(counted)
    done = rain_counters.convert(r, rain.rules, which[here], time_s[here], value[here])
    mm = done.mm
    old = np.isnan(mm)
    if old.any():  # before all that is kept: a copy of what is known, or rain that a later one has in it
        rows, times = readings.row[here[old]], time_s[here[old]]
        hit = s["raw_t"][rows] == times[:, None]
        mm[old] = np.where(hit.any(axis=1), s["raw_v"][rows, hit.argmax(axis=1)], 0.0)
    value = value.copy()
    value[here] = mm
    more = len(done.row)
    return Readings(
        np.append(readings.row, rain.series[done.row].astype(readings.row.dtype)),
        np.append(readings.time_ms, done.time_s * 1000),
        np.append(value, done.more),
        np.append(readings.received_ms, np.full(more, now_s * 1000)),
        np.append(readings.sentinel, np.zeros(more, np.bool_)),
    ), done.fields


def remember(rain: Rain, r: Arrays, found: qc.Examined) -> Writes:
    """What the readings of a beat that count, and earlier ones that changed, do to the sums of their days."""
    which = rain.row[found.row]
    mine = which >= 0
    taken = [(rain.row[row], time, -old) for row, time, old in found.retracted if rain.row[row] >= 0]
    taken += [(rain.row[row], time, new - old) for row, time, old, new in found.revised if rain.row[row] >= 0]
    if not mine.any() and not taken:
        return []
    row = np.append(which[mine], np.array([one[0] for one in taken], np.intp))
    time_s = np.append(found.time_s[mine], np.array([one[1] for one in taken], np.int64))
    mm = np.append(found.value[mine], np.array([one[2] for one in taken], np.float64))
    order = np.lexsort((time_s, row))
    return rainfall.remember(r, row[order], time_s[order], mm[order])


def taken_back(rain: Rain, s: Arrays, r: Arrays, row: int, stretch: qc_manual.Stretch) -> Writes:
    """The sums of days without what counted in the stretch: of whole days nothing is left, of others what is known by its value goes."""
    which = int(rain.row[row])
    newest = int(r["d_day"][which]) if which >= 0 else 0
    if not newest:
        return []
    mm = r["d_mm"][which].copy()
    times, values = s["raw_t"][row].astype(np.int64), s["raw_v"][row].astype(np.float64)
    inside = (times >= stretch[0]) & (times < stretch[1])
    for day in range(newest - rainfall.DAYS + 1, newest + 1):
        begin, end = day * rainfall.DAY_S + 1, (day + 1) * rainfall.DAY_S + 1  # midnight is the end of a day
        if stretch[0] <= begin and end <= stretch[1]:
            mm[day % rainfall.DAYS] = 0.0
        elif stretch[0] < end and begin < stretch[1]:
            gone = values[inside & (times >= begin) & (times < end)]
            mm[day % rainfall.DAYS] = max(0.0, mm[day % rainfall.DAYS] - sum(gone.tolist()))
    return [("d_mm", np.array([which]), mm[None, :])]


def antecedent(rain: Rain | None, r: Arrays, rows: Index, now_s: int) -> NDArray[np.float64]:
    """``rainfall.api`` of the series ``rows`` of the plan, mm; NaN of one that is no rain (or -1)."""
    out = np.full(rows.shape, np.nan)
    if rain is None:
        return out
    which = np.where(rows >= 0, rain.row[rows], -1)
    some = which >= 0
    out[some] = rainfall.api(r, which[some], now_s)
    return out
