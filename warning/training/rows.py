"""A flood replayed through the windows of the stream, hour by hour: features as they would have been, and what came.

Nothing from after a row's newest reading is in its features. F features, L leads, n rows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.science import around, features, windows
from warning.science.network import LEADS_H
from warning.training.floods import Flood, Gauge

HOUR_S = 3600
CLASSES = 5


@dataclass(frozen=True)
class Rows:
    """``table`` (n, F), the gauge of each row, when its newest reading was made, the unit; changes in units (n, L), NaN: not known.

    ``change``: at the lead; ``highest``: up to the lead, not below 0. ``limits`` (n, 5): above the newest reading, in units; NaN: none.
    ``per_span`` (n,): the unit in spans of the limits.
    """

    flood: str
    factor: float
    gauges: tuple[Gauge, ...]
    gauge: NDArray[np.intp]
    time_s: NDArray[np.int64]
    table: NDArray[np.float32]
    unit: NDArray[np.float64]
    change: NDArray[np.float32]
    highest: NDArray[np.float32]
    limits: NDArray[np.float64]
    per_span: NDArray[np.float64]

    @property
    def basin(self) -> NDArray[np.str_]:
        return np.array([gauge.basin for gauge in self.gauges])[self.gauge]


def replay(flood: Flood, beat_s: int, every_s: int = 0, phase: int = 0, factor: float = 1.0) -> Rows:
    """Rows at each reading. ``every_s``: only one reading in so long is kept, as of a gauge that is read less often."""
    gauges = flood.gauges
    number, limits = len(gauges), np.full((len(gauges), CLASSES), np.nan)
    for place, gauge in enumerate(gauges):
        limits[place, : len(gauge.limits_m)] = gauge.limits_m
    scale = features.Scale.of(limits, np.ones(number, np.bool_))
    who = around.of([gauge.id for gauge in gauges], _pairs(gauges), np.array([(gauge.lat, gauge.lon) for gauge in gauges]))
    arrays = {name: np.zeros((number, *shape), dtype) for name, (dtype, shape) in windows.FIELDS.items()}
    moves, told_s, newest = np.full((number, len(features.MOVES)), np.nan), np.zeros(number, np.int64), np.zeros(number, np.int64)
    found: list[tuple[Any, ...]] = []
    for now_s, row, time_s, value in _beats(gauges, beat_s, every_s, phase):
        np.maximum.at(newest, row, time_s)
        for change in windows.fold(arrays, row, time_s, value, newest[row]):
            for name, values in change.fields.items():
                arrays[name][change.row, change.slot] = values
        touched = np.unique(row)
        past = features.past(arrays, touched, now_s, scale.take(touched))
        moves[touched], told_s[touched] = past.moves, past.time_s
        table = features.table(past, who.take(touched), moves, told_s, now_s)
        good = past.enough
        found.append((touched[good], past.time_s[good], past.value[good], past.unit[good], table[good].astype(np.float32)))
    gauge_of, time, base, unit, tables = (np.concatenate(each) for each in zip(*found, strict=True))
    change_m, highest_m = _came(gauges, gauge_of, time, base)
    return Rows(
        flood.name,
        factor,
        gauges,
        gauge_of,
        time,
        tables,
        unit,
        (change_m / unit[:, None]).astype(np.float32),
        (highest_m / unit[:, None]).astype(np.float32),
        (limits[gauge_of] - base[:, None]) / unit[:, None],
        unit / scale.span[gauge_of],
    )


def _pairs(gauges: tuple[Gauge, ...]) -> list[tuple[str, str]]:
    return [(upper, gauge.id) for gauge in gauges for upper in gauge.upstream]


def _beats(gauges: tuple[Gauge, ...], beat_s: int, every_s: int, phase: int) -> Any:
    """(now, gauge, time, value) of each beat in order."""
    parts = []
    for place, gauge in enumerate(gauges):
        keep = np.ones(len(gauge.time_s), np.bool_)
        if every_s:
            turn = (gauge.time_s + (phase * 7919 + place * 1543) % every_s) // every_s
            keep[1:] = turn[1:] != turn[:-1]
        parts.append((np.full(np.count_nonzero(keep), place, np.intp), gauge.time_s[keep], gauge.stage_m[keep]))
    row, time_s, value = (np.concatenate(each) for each in zip(*parts, strict=True))
    beat = -(-time_s // beat_s)
    order = np.lexsort((time_s, row, beat))
    row, time_s, value, beat = row[order], time_s[order], value[order], beat[order]
    cuts = [0, *(np.flatnonzero(np.diff(beat)) + 1).tolist(), len(beat)]
    for low, high in itertools.pairwise(cuts):
        yield int(beat[low]) * beat_s, row[low:high], time_s[low:high], value[low:high]


def _came(
    gauges: tuple[Gauge, ...], gauge: NDArray[np.intp], time_s: NDArray[np.int64], base: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What came after each row: the change at each lead and the highest up to it, m; NaN where the record has a gap there."""
    change, highest = np.full((2, len(gauge), len(LEADS_H)), np.nan)
    for place, one in enumerate(gauges):
        mine = np.flatnonzero(gauge == place)
        gaps = np.diff(one.time_s)
        if not len(mine) or not len(gaps):
            continue
        first = np.searchsorted(one.time_s, time_s[mine], side="right")
        top, seen = np.zeros(len(mine)), first.copy()
        for column, lead in enumerate(LEADS_H):
            until = time_s[mine] + lead * HOUR_S
            after = np.clip(np.searchsorted(one.time_s, until), 1, len(gaps))
            known = until <= one.time_s[-1]
            near = known & (gaps[after - 1] <= max(3 * HOUR_S, lead * HOUR_S // 2))
            change[mine[near], column] = (np.interp(until, one.time_s, one.stage_m) - base[mine])[near]
            end = np.searchsorted(one.time_s, until, side="right")
            while (seen < end).any():  # one reading further in each row
                here = seen < end
                top[here] = np.maximum(top[here], one.stage_m[seen[here]] - base[mine[here]])
                seen[here] += 1
            told = known & (end > first)
            highest[mine[told], column] = top[told]
    return change, highest
