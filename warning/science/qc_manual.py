"""What an operator says: stretches of time in which a sensor is out of order, and how what counted in them is taken back.

QARTOD leaves the last word to people ("the operator's flag"). A stretch is ``from`` <= time < ``to`` of event time. Four are kept a
series; a fifth pushes out the one that ended first, whose readings by then only come very late.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.science import windows
from warning.science.windows import Change

KEPT = 4
FOREVER_S = 2**32 - 1  # until further notice

FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "manual_n": ("i1", ()),  # stretches that are kept
    "manual_from": ("u4", (KEPT,)),
    "manual_to": ("u4", (KEPT,)),
}

Arrays = dict[str, NDArray[Any]]
Stretch = tuple[int, int]


def out_of_order(arrays: Arrays, row: NDArray[Any], time_s: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of n readings (series ``row``): does an operator say that the sensor is out of order then?"""
    said: NDArray[np.bool_] = arrays["manual_n"][row] > 0
    if said.any():
        some = np.flatnonzero(said)
        times = time_s[some, None]
        inside = (times >= arrays["manual_from"][row[some]]) & (times < arrays["manual_to"][row[some]])
        said[some] = inside.any(axis=1)
    return said


def stretches(arrays: Arrays, row: int) -> list[Stretch]:
    """Those of one series, by their begin."""
    return sorted(
        (int(begin), int(end)) for begin, end in zip(arrays["manual_from"][row], arrays["manual_to"][row], strict=True) if end > begin
    )


def with_stretch(known: list[Stretch], new: Stretch) -> list[Stretch]:
    """``known`` and the new one; what touches becomes one, of too many the one that ended first goes."""
    merged: list[Stretch] = []
    for begin, end in sorted([*known, new]):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return sorted(sorted(merged, key=lambda one: one[1])[-KEPT:])


def without_stretch(known: list[Stretch], gone: Stretch) -> list[Stretch]:
    """``known`` less what was withdrawn."""
    left = [part for begin, end in known for part in ((begin, min(end, gone[0])), (max(begin, gone[1]), end)) if part[0] < part[1]]
    return sorted(sorted(left, key=lambda one: one[1])[-KEPT:])


def fields_of(said: list[Stretch]) -> dict[str, NDArray[Any]]:
    """The state fields of a series with these stretches."""
    begins, ends = np.zeros(KEPT, np.uint32), np.zeros(KEPT, np.uint32)
    for place, (begin, end) in enumerate(said):
        begins[place], ends[place] = begin, end
    return {"manual_n": np.array(len(said), np.int8), "manual_from": begins, "manual_to": ends}


def taken_back(arrays: Arrays, row: int, stretch: Stretch) -> list[Change]:
    """The buckets of series ``row`` without what counted in the stretch.

    A bucket that lies in it becomes empty. One that lies in it in part is made anew from the last 64 readings where they are all that it
    counted, else it becomes empty too: it cannot be told any more which of its numbers were the bad ones.
    """
    held = (arrays["w_count"][row] > 0) & (arrays["w_last_t"][row] > 0)
    width = np.repeat([each for each, _ in windows.RINGS], [buckets for _, buckets in windows.RINGS])
    begin = arrays["w_last_t"][row] // width * width
    touched = np.flatnonzero(held & (begin < stretch[1]) & (begin + width > stretch[0]))
    times, values = arrays["raw_t"][row].astype(np.int64), arrays["raw_v"][row].astype(np.float64)
    changes = []
    for slot in touched.tolist():
        inside = np.flatnonzero((times >= begin[slot]) & (times < begin[slot] + width[slot]))
        known = len(inside) == int(arrays["w_count"][row, slot])
        left = inside[(times[inside] < stretch[0]) | (times[inside] >= stretch[1])] if known else inside[:0]
        if known and len(left) == len(inside):
            continue  # none of them was in the stretch
        changes.append(_bucket(row, slot, times[left], values[left]))
    return changes


def _bucket(row: int, slot: int, times: NDArray[np.int64], values: NDArray[np.float64]) -> Change:
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    least = float(values.min()) if len(values) else 0.0
    new = {
        "w_count": len(values),
        "w_min": least,
        "w_max": float(values.max()) if len(values) else 0.0,
        "w_over": float(np.cumsum(values - least)[-1]) if len(values) else 0.0,
        "w_last": float(values[-1]) if len(values) else 0.0,
        "w_last_t": int(times[-1]) if len(values) else 0,
    }
    fields = {name: np.array([new[name]], dtype) for name, (dtype, _) in windows.FIELDS.items()}
    return Change(np.array([row]), np.array([slot]), fields)


def course_without(arrays: Arrays, row: int, stretch: Stretch) -> dict[str, float]:
    """New values of the fields of the course of series ``row`` whose buckets are already without the stretch; only those that change."""

    def gone(name: str) -> bool:
        return bool(arrays[f"{name}_t"][row]) and stretch[0] <= int(arrays[f"{name}_t"][row]) < stretch[1]

    held = arrays["w_count"][row] > 0
    counted = sorted(set(zip(arrays["w_last_t"][row][held].tolist(), arrays["w_last"][row][held].tolist(), strict=True)), reverse=True)
    new: dict[str, float] = {}
    last = int(arrays["last_t"][row])
    if gone("last"):
        last, value = counted[0] if counted else (0, 0.0)
        new |= {"last_t": last, "last_v": value, "heard_t": last}
    if gone("last") or gone("before"):
        before = next((one for one in counted if one[0] < last), (0, 0.0))
        new |= {"before_t": before[0], "before_v": before[1]}
    if gone("pending"):
        new |= {"pending_t": 0, "pending_v": 0.0, "pending_cause": 0}
    return new
