"""Windows against a plain recount, and the identity of readings against a set."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from warning.science import identity, windows

BASE = 1_754_000_000 // 21_600 * 21_600


def empty(fields: dict, rows: int) -> dict[str, np.ndarray]:
    return {name: np.zeros((rows, *shape), dtype) for name, (dtype, shape) in fields.items()}


def fold(arrays: dict[str, np.ndarray], readings: list[tuple[int, int, float]]) -> None:
    readings = sorted(readings)
    row, time_s, value = (np.array(column) for column in zip(*readings, strict=True))
    newest = np.zeros(len(arrays["w_count"]), np.int64)
    np.maximum.at(newest, row, time_s)
    newest = np.maximum(newest, arrays.setdefault("newest", np.zeros(len(newest), np.int64)))
    arrays["newest"][:] = newest
    for change in windows.fold(arrays, row.astype(np.intp), time_s.astype(np.int64), value.astype(float), newest[row]):
        for name, values in change.fields.items():
            arrays[name][change.row, change.slot] = values


def recount(readings: list[tuple[int, int, float]], row: int, now_s: int, name: str) -> dict[str, float]:
    ring, buckets = windows.WINDOWS[name]
    width = windows.RINGS[ring][0]
    inside = sorted((t, v) for r, t, v in readings if r == row and now_s // width - buckets < t // width <= now_s // width)
    if not inside:
        return {"count": 0, "min": math.nan, "max": math.nan, "mean": math.nan, "last": math.nan}
    values = [v for _, v in inside]
    return {"count": len(values), "min": min(values), "max": max(values), "mean": sum(values) / len(values), "last": values[-1]}


# A series has one value at one time.
readings_of_two_series = st.dictionaries(
    st.tuples(st.integers(0, 1), st.integers(0, 80 * 3600)), st.integers(-2000, 20_000).map(lambda mm: mm / 1000), min_size=1, max_size=80
).map(lambda found: [(row, BASE + second, value) for (row, second), value in found.items()])


@settings(max_examples=150, deadline=None)
@given(readings=readings_of_two_series, cuts=st.integers(1, 5))
def test_windows_are_a_recount_whatever_the_beats(readings: list[tuple[int, int, float]], cuts: int) -> None:
    arrays = empty(windows.FIELDS, 2)
    by_time = sorted(readings, key=lambda one: one[1])
    for start in range(0, len(by_time), cuts * 7):
        fold(arrays, by_time[start : start + cuts * 7])
    now_s = max(t for _, t, _ in readings)
    found = windows.features(arrays, np.array([0, 1]), now_s)
    for name in windows.WINDOWS:
        ring, _ = windows.WINDOWS[name]
        for row in (0, 1):
            newest = max((t for r, t, _ in readings if r == row), default=0)
            if newest // windows.RINGS[ring][0] != now_s // windows.RINGS[ring][0]:
                continue  # the other series is further on: its ring still holds what this one's window has left
            for key, value in recount(readings, row, now_s, name).items():
                assert math.isclose(found[name][key][row], value, rel_tol=1e-6, abs_tol=1e-6) or (
                    math.isnan(value) and math.isnan(found[name][key][row])
                ), (name, key, row)


def test_a_late_reading_lands_in_its_own_bucket() -> None:
    arrays = empty(windows.FIELDS, 1)
    fold(arrays, [(0, BASE + 100, 1.0), (0, BASE + 7300, 2.0)])
    fold(arrays, [(0, BASE + 3700, 9.0)])
    found = windows.features(arrays, np.array([0]), BASE + 7300)
    assert (found["15min"]["max"][0], found["3h"]["max"][0], found["3h"]["count"][0], found["3h"]["last"][0]) == (2.0, 9.0, 3, 2.0)


def test_what_is_older_than_the_ring_does_not_displace_what_is_newer() -> None:
    arrays = empty(windows.FIELDS, 1)
    fold(arrays, [(0, BASE + 6 * 3600, 2.0)])
    fold(arrays, [(0, BASE, 5.0)])  # same slot of the ring of 15 minutes, six hours earlier
    found = windows.features(arrays, np.array([0]), BASE + 6 * 3600)
    assert (found["15min"]["count"][0], found["15min"]["max"][0]) == (1, 2.0)
    assert found["24h"]["count"][0] == 2


def test_the_rate_is_per_hour() -> None:
    arrays = empty(windows.FIELDS, 1)
    fold(arrays, [(0, BASE + minute * 60, 1.0 + minute / 60 * 0.4) for minute in range(0, 121, 15)])
    assert math.isclose(windows.features(arrays, np.array([0]), BASE + 7200)["3h"]["rate"][0], 0.4, rel_tol=1e-5)


def apply(arrays: dict[str, np.ndarray], changes: list[windows.Change]) -> None:
    for change in changes:
        for name, values in change.fields.items():
            arrays[name][change.row, change.slot] = values


def test_a_revision_replaces_its_value_and_a_spike_leaves_no_trace() -> None:
    arrays = empty(windows.FIELDS, 1)
    fold(arrays, [(0, BASE + 10, 1.0), (0, BASE + 20, 8.0), (0, BASE + 30, 2.0)])
    others = {key: [(BASE + 10, 1.0), (BASE + 30, 2.0)] for key in range(3)}
    apply(arrays, windows.replace(arrays, 0, BASE + 20, 8.0, 3.0, others))
    hour = {key: float(values[0]) for key, values in windows.features(arrays, np.array([0]), BASE + 60)["1h"].items()}
    assert (hour["count"], hour["max"], hour["mean"], hour["last"]) == (3, 3.0, 2.0, 2.0)
    apply(arrays, windows.replace(arrays, 0, BASE + 20, 3.0, None, others))
    hour = {key: float(values[0]) for key, values in windows.features(arrays, np.array([0]), BASE + 60)["1h"].items()}
    assert (hour["count"], hour["max"], hour["mean"]) == (2, 2.0, 1.5)


def test_a_revision_of_a_bucket_that_is_partly_forgotten_only_widens() -> None:
    arrays = empty(windows.FIELDS, 1)
    fold(arrays, [(0, BASE + 10, 1.0), (0, BASE + 20, 8.0), (0, BASE + 30, 2.0)])
    apply(arrays, windows.replace(arrays, 0, BASE + 20, 8.0, 3.0, {}))
    hour = {key: float(values[0]) for key, values in windows.features(arrays, np.array([0]), BASE + 60)["1h"].items()}
    assert (hour["count"], hour["max"], hour["mean"]) == (3, 8.0, 2.0)


@settings(max_examples=150, deadline=None)
@given(minutes=st.lists(st.integers(0, 70 * 60), min_size=1, max_size=250))
def test_a_reading_of_three_days_is_known_again(minutes: list[int]) -> None:
    """One reading a minute at most: then the bitmap and the last 64 know exactly what a set knows."""
    arrays = empty(identity.FIELDS, 1)
    seen: set[int] = set()
    for minute in minutes:
        time_s = np.array([BASE + minute * 60])
        state = identity.known(arrays, np.array([0]), time_s, BASE)
        assert (state.state[0] != identity.Known.NEW) == (minute in seen), minute
        if minute not in seen:
            for name, index, values in identity.remember(arrays, np.array([0]), time_s, np.array([1.0])):
                arrays[name][index] = values
        seen.add(minute)


def test_what_the_bitmap_has_left_behind_is_too_old_to_tell() -> None:
    arrays = empty(identity.FIELDS, 1)
    for name, index, values in identity.remember(arrays, np.array([0]), np.array([BASE + 90 * 3600]), np.array([1.0])):
        arrays[name][index] = values
    assert identity.known(arrays, np.array([0]), np.array([BASE]), BASE).state[0] == identity.Known.TOO_OLD
