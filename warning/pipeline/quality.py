"""The further tests of quality control that a partition's series ask for, as arrays. None where none does: then they cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from warning.model import Parameter
from warning.region import Quality, Series
from warning.science.qc_activity import Activity
from warning.science.qc_limits import More
from warning.science.qc_neighbours import Others

Rows = Mapping[tuple[str, Parameter], int]
_NONE = Quality()


def further_limits(series: Sequence[Series], row: Rows) -> More | None:
    """``row``: (station, parameter) -> row; neighbours of another partition are not there, and what needs them is not evaluated."""
    if all(one.quality is None for one in series):
        return None
    each = [one.quality or _NONE for one in series]

    def column(get: Callable[[Quality], float | None]) -> NDArray[np.float64]:
        return np.array([np.nan if (value := get(one)) is None else value for one in each], np.float64)

    activity = Activity(
        spike=column(lambda one: one.spike),
        spike_factor=column(lambda one: one.spike_factor),
        still_s=column(lambda one: one.still_s),
        still_factor=column(lambda one: one.still_factor),
        within=np.array([one.flat_within for one in series], np.float64),
        shift=column(lambda one: one.shift),
    )
    least, greatest = _months(each)
    others = Others(
        neighbours=_neighbours(series, each, row),
        twin=np.array([row.get((said.twin, one.parameter), -1) for one, said in zip(series, each, strict=True)], np.intp),
        twin_within=column(lambda one: one.twin_within),
        attenuated=column(lambda one: one.attenuated),
        while_moving=column(lambda one: one.while_moving),
        alone=column(lambda one: one.alone),
        rain=np.array([row.get((said.rain, Parameter.RAIN), -1) for said in each], np.intp),
        rise=column(lambda one: one.rise),
        dry_mm=column(lambda one: one.dry_mm),
        wet_mm=column(lambda one: one.wet_mm),
        month_least=least,
        month_greatest=greatest,
    )
    return More(np.array([one.quality is not None for one in series]), column(lambda one: one.gap_s), activity, others)


def _neighbours(series: Sequence[Series], each: Sequence[Quality], row: Rows) -> NDArray[np.intp]:
    lists = [
        [row[station, one.parameter] for station in said.neighbours if (station, one.parameter) in row]
        for one, said in zip(series, each, strict=True)
    ]
    out = np.full((len(series), max(map(len, lists), default=0) or 1), -1, np.intp)
    for place, rows in enumerate(lists):
        out[place, : len(rows)] = rows
    return out


def _months(each: Sequence[Quality]) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    if not any(one.months for one in each):
        return None, None
    never = ((np.nan, np.nan),) * 12
    both = np.array([one.months or never for one in each], np.float64)
    return both[:, :, 0], both[:, :, 1]
