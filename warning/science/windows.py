"""Event-time windows: per series, rings of buckets in a hierarchy of 15 minutes, 1 hour and 6 hours.

A bucket is the readings with ``floor(time / width)`` equal: count, least, greatest, sum, last and the last's time, which says too
which bucket it is. A late reading lands in its own bucket as long as the ring still holds it. The sum is kept as what the readings add
up to above the least of them: single precision then errs by a part of the bucket's range, not of its level (6e-8 of it a beat at most).
Windows are whole buckets up to the one that holds ``now`` (hopping by the bucket).
All times are uint32 seconds since 1970 UTC, values in the series' SI unit; S series, n readings, T slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RINGS = ((900, 24), (3600, 24), (21_600, 12))  # (width in s, buckets)
OFFSETS = (0, 24, 48)
SLOTS = 60
FEW = 512  # rows: up to so many, what an operation costs is the call
WINDOWS = {"15min": (0, 1), "1h": (0, 4), "3h": (0, 12), "6h": (0, 24), "24h": (1, 24), "72h": (2, 12)}  # name -> ring, buckets

FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "w_count": ("u2", (SLOTS,)),  # one a second at most: 21,600
    "w_min": ("f4", (SLOTS,)),
    "w_max": ("f4", (SLOTS,)),
    "w_over": ("f4", (SLOTS,)),  # sum of (value - w_min)
    "w_last": ("f4", (SLOTS,)),
    "w_last_t": ("u4", (SLOTS,)),  # 0: empty
}

Arrays = dict[str, NDArray[Any]]

_OFFSETS, _WIDTHS, _BUCKETS = np.array(OFFSETS), np.array([width for width, _ in RINGS]), np.array([buckets for _, buckets in RINGS])
_SLOT_RING = np.repeat(np.arange(len(RINGS)), _BUCKETS)
_SLOT_WIDTH = _WIDTHS[_SLOT_RING].astype(np.uint32)
_WINDOW_RING, _WINDOW_BUCKETS = (np.array(each) for each in zip(*WINDOWS.values(), strict=True))


@dataclass(frozen=True, slots=True)
class Change:
    """New contents of some slots: assign ``fields[name]`` to ``arrays[name][row, slot]``."""

    row: NDArray[np.intp]
    slot: NDArray[np.intp]
    fields: Arrays


def fold(
    arrays: Arrays, row: NDArray[np.intp], time_s: NDArray[np.int64], value: NDArray[np.float64], newest_s: NDArray[np.int64]
) -> list[Change]:
    """What the readings change; nothing is written. No slot is in two of the changes.

    ``row``, ``time_s``, ``value``: n readings sorted by (row, time). ``newest_s``: per reading, the newest event time of its series,
    these readings included: what is older than the ring reaches is left out.
    """
    n = len(row)
    if not n:
        return []
    if n > FEW:  # ring by ring: what each works on stays in the cache
        return [_fold(arrays, offset, *ring, row, time_s, value, newest_s) for offset, ring in zip(OFFSETS, RINGS, strict=True)]
    three = len(RINGS)
    offset, width, buckets = (np.repeat(of_ring, n) for of_ring in (_OFFSETS, _WIDTHS, _BUCKETS))
    return [_fold(arrays, offset, width, buckets, *(np.concatenate([each] * three) for each in (row, time_s, value, newest_s)))]


def _fold(
    arrays: Arrays,
    offset: Any,
    width: Any,
    buckets: Any,
    row: NDArray[np.intp],
    time_s: NDArray[np.int64],
    value: NDArray[np.float64],
    newest_s: NDArray[np.int64],
) -> Change:
    """``offset``, ``width``, ``buckets``: of the ring, or of the ring of each of the readings."""
    bucket = time_s // width
    keep = bucket > newest_s // width - buckets
    if not keep.all():
        row, bucket, time_s, value = row[keep], bucket[keep], time_s[keep], value[keep]
        if isinstance(offset, np.ndarray):
            offset, width, buckets = offset[keep], width[keep], buckets[keep]
    n = len(row)
    first = np.ones(n, np.bool_)
    first[1:] = (row[1:] != row[:-1]) | (bucket[1:] != bucket[:-1])
    if isinstance(offset, np.ndarray):
        first[1:] |= offset[1:] != offset[:-1]
    start = first.nonzero()[0]
    if not n:
        return Change(start, start, {})
    if isinstance(offset, np.ndarray):
        offset, width, buckets = offset[start], width[start], buckets[start]
    segment = first.cumsum() - 1
    end = np.empty_like(start)
    end[:-1], end[-1] = start[1:] - 1, n - 1
    seg_row, seg_bucket = row[start], bucket[start]
    slot = offset + seg_bucket % buckets
    count = end - start + 1
    total = np.bincount(segment, weights=value, minlength=len(start))  # adds one after the other: the same on every CPU
    least, greatest = np.minimum.reduceat(value, start), np.maximum.reduceat(value, start)
    old = {name: arrays[name][seg_row, slot] for name in FIELDS}
    same = old["w_last_t"] // width == seg_bucket
    return Change(seg_row, slot, _merged(old, same, count, total, least, greatest, value[end], time_s[end]))


def _merged(
    old: Arrays,
    same: NDArray[np.bool_],
    count: NDArray[np.intp],
    total: NDArray[Any],
    least: NDArray[np.float64],
    greatest: NDArray[np.float64],
    last: NDArray[np.float64],
    last_t: NDArray[np.int64],
) -> Arrays:
    """Buckets as they are with these readings; ``same``: the slot holds the same bucket already, else it begins anew."""
    newer = ~same | (last_t >= old["w_last_t"])
    count = count + np.where(same, old["w_count"], 0)
    total = total + np.where(same, _sum(old), 0.0)
    lowest = np.where(same, np.minimum(old["w_min"], least), least).astype(np.float32)
    return {
        "w_count": count.astype(np.uint16),
        "w_min": lowest,
        "w_max": np.where(same, np.maximum(old["w_max"], greatest), greatest).astype(np.float32),
        "w_over": (total - count * lowest.astype(np.float64)).astype(np.float32),
        "w_last": np.where(newer, last, old["w_last"]).astype(np.float32),
        "w_last_t": np.where(newer, last_t, old["w_last_t"]).astype(np.uint32),
    }


def _sum(bucket: Arrays) -> NDArray[np.float64]:
    return np.asarray(bucket["w_over"] + bucket["w_count"] * bucket["w_min"].astype(np.float64))


def replace(
    arrays: Arrays, row: int, time_s: int, old: float, new: float | None, same_bucket: dict[int, list[tuple[int, float]]]
) -> list[Change]:
    """One reading of a series became another value (a revision), or none at all (``new`` None: it was a spike).

    ``same_bucket``: ring -> the (time, value) of all other readings of that bucket that are still known. Where they are
    all that the bucket counted it is made anew, else sum and count are corrected and the extremes can only widen.
    """
    changes = []
    for ring, (width, buckets) in enumerate(RINGS):
        slot = OFFSETS[ring] + time_s // width % buckets
        values = {name: arrays[name][row, slot].item() for name in FIELDS}
        if values["w_last_t"] // width != time_s // width:
            continue
        others = list(same_bucket.get(ring, ()))
        if len(others) + 1 == values["w_count"]:
            known = sorted(others + ([(time_s, new)] if new is not None else []))
            if not known:
                values |= {"w_last_t": 0, "w_count": 0}
            else:
                numbers = [number for _, number in known]
                values |= {"w_count": len(known), "w_min": min(numbers), "w_max": max(numbers)}
                values |= {"w_last_t": known[-1][0], "w_last": known[-1][1]}
                values["w_over"] = sum(numbers) - len(known) * float(np.float32(min(numbers)))
        else:
            total = values["w_over"] + values["w_count"] * values["w_min"] + (new or 0.0) - old
            values["w_count"] -= new is None
            if new is not None:
                values |= {"w_min": min(values["w_min"], new), "w_max": max(values["w_max"], new)}
                if values["w_last_t"] == time_s:
                    values["w_last"] = new
            values["w_over"] = total - values["w_count"] * float(np.float32(values["w_min"]))
        fields = {name: np.array([values[name]], dtype) for name, (dtype, _) in FIELDS.items()}
        changes.append(Change(np.array([row]), np.array([slot]), fields))
    return changes


def features(arrays: Arrays, rows: NDArray[np.intp], now_s: int) -> dict[str, dict[str, NDArray[Any]]]:
    """window -> count, min, max, mean, last and rate of each of ``rows``; NaN where empty.

    ``rate`` is per hour, from the last reading of the oldest bucket to that of the newest.
    """
    if len(rows) <= FEW // len(WINDOWS):
        return _features_of_few(arrays, rows, now_s)
    rings = [{name: _ring(arrays, name, rows, ring) for name in FIELDS} for ring in sorted({ring for ring, _ in WINDOWS.values()})]
    out = {}
    for name, (ring, buckets) in WINDOWS.items():
        width, slots = RINGS[ring]
        now = now_s // width
        ids = np.arange(now - buckets + 1, now + 1)
        slot = np.sort(ids % slots)  # in the order of slots: a fixed order of addition
        part = {key: array if buckets == slots else array[:, slot] for key, array in rings[ring].items()}
        out[name] = _features(part, part["w_last_t"] // np.uint32(width), now - buckets, now)
    return out


def _features_of_few(arrays: Arrays, rows: NDArray[np.intp], now_s: int) -> dict[str, dict[str, NDArray[Any]]]:
    """The same, all windows at once: each looks at all slots of all rings, and takes those that are its own."""
    number = len(rows)
    part = {name: np.concatenate([arrays[name][rows]] * len(WINDOWS)) for name in FIELDS}
    ids = part["w_last_t"] // _SLOT_WIDTH
    mine = np.repeat(_WINDOW_RING[:, None] == _SLOT_RING, number, axis=0)
    until = np.repeat(now_s // _WIDTHS[_WINDOW_RING], number)[:, None]
    after = until - np.repeat(_WINDOW_BUCKETS, number)[:, None]
    found = _features(part, np.where(mine, ids, -1), after, until)
    return {
        name: {key: values[place * number : (place + 1) * number] for key, values in found.items()} for place, name in enumerate(WINDOWS)
    }


def _features(part: Arrays, ids: NDArray[Any], after: Any, until: Any) -> Arrays:
    """Of the buckets ``part`` (rows, B), those numbered ``after`` < id <= ``until``."""
    held = (ids > after) & (ids <= until) & (part["w_count"] > 0)
    number = np.where(held, part["w_count"], 0).sum(axis=1, dtype=np.int64)
    total = np.cumsum(np.where(held, _sum(part), 0.0), axis=1)[:, -1]  # one after the other
    some = number > 0
    least = np.where(held, part["w_min"], np.inf).min(axis=1)
    greatest = np.where(held, part["w_max"], -np.inf).max(axis=1)
    times = np.where(held, part["w_last_t"].astype(np.int64), -1)
    values = part["w_last"].astype(np.float64)
    here = np.arange(len(times))
    newest = times.argmax(axis=1)
    oldest = np.where(held, times, np.iinfo(np.int64).max).argmin(axis=1)
    span = np.where(some, times[here, newest] - times[here, oldest], 0)
    rise = values[here, newest] - values[here, oldest]
    return {
        "count": number,
        "min": np.where(some, least, np.nan),
        "max": np.where(some, greatest, np.nan),
        "mean": np.where(some, total / np.maximum(number, 1), np.nan),
        "last": np.where(some, values[here, newest], np.nan),
        "rate": np.where(span > 0, rise * 3600.0 / np.maximum(span, 1), np.nan),
    }


def recent(
    arrays: Arrays, rows: NDArray[np.intp], now_s: int, buckets: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float64]]:
    """The last reading of each 15-minute bucket in the last ``buckets``: (held, time_s, value), each (rows, 24).

    In the order of slots, not of time.
    """
    held = _held(arrays, rows, 0, buckets, now_s)
    return held, _ring(arrays, "w_last_t", rows, 0).astype(np.int64), _ring(arrays, "w_last", rows, 0).astype(np.float64)


def _ring(arrays: Arrays, name: str, rows: NDArray[np.intp], ring: int) -> NDArray[Any]:
    return arrays[name][rows, OFFSETS[ring] : OFFSETS[ring] + RINGS[ring][1]]


def _held(arrays: Arrays, rows: NDArray[np.intp], ring: int, buckets: int, now_s: int) -> NDArray[np.bool_]:
    """Which slots of the ring hold one of the last ``buckets`` buckets up to the one of ``now_s``."""
    width, _ = RINGS[ring]
    ids = _ring(arrays, "w_last_t", rows, ring) // np.uint32(width)
    now = now_s // width
    return (ids > now - buckets) & (ids <= now) & (_ring(arrays, "w_count", rows, ring) > 0)
