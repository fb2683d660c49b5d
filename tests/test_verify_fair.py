"""The straight line with as many false alarms as we may have: its horizon comes from the other rivers."""

from __future__ import annotations

import numpy as np

from warning.model import Level
from warning.verification import fair
from warning.verification.observed import Track

HOUR = 3600


def river(*stages: float) -> Track:
    return Track(HOUR * np.arange(1, len(stages) + 1, dtype=np.int64), np.array(stages))


def steady(top: float) -> Track:
    """Half a metre an hour up to ``top``, then down as fast."""
    up = np.arange(0.0, top + 0.1, 0.5)
    return river(*([0.0] * 8), *up, *up[::-1], *([0.0] * 40))


def test_a_line_that_is_always_right_looks_as_far_as_it_may_and_one_that_never_is_hardly_ahead() -> None:
    tracks = {"A": steady(12.0), "B": steady(12.0), "C": steady(3.9), "D": steady(3.9)}
    limits = {Level.HIGH: dict.fromkeys(tracks, 4.0)}
    quantities = dict.fromkeys(tracks, "stage")
    right = fair.horizons({"A": "1", "B": "2"}, tracks, quantities, limits, 24 * HOUR)
    assert right == {"A": 4.0, "B": 4.0}  # in time at 3 h; a line through six hours knows too late of this rise to be so at 6 h
    # Rivers that turn back just below the limit: the third knows of two true ones and one false one at least.
    mixed = fair.horizons({"A": "1", "C": "3", "D": "4"}, tracks, quantities, limits, 24 * HOUR)
    assert mixed["A"] == fair.OTHERWISE_H  # the others had no flood
    assert mixed["C"] == mixed["D"] == 1.0  # one of two alerts is false at any horizon: the least there is


def test_what_happened_on_the_river_itself_does_not_matter() -> None:
    limits, quantities = {Level.HIGH: dict.fromkeys("ABC", 4.0)}, dict.fromkeys("ABC", "stage")
    rivers = {"A": "1", "B": "2", "C": "2"}
    one, other = (
        fair.horizons(rivers, {"A": own, "B": steady(12.0), "C": steady(6.0)}, quantities, limits, 24 * HOUR)
        for own in (steady(12.0), steady(3.9))
    )
    assert one["A"] == other["A"]


def test_no_river_is_no_horizon() -> None:
    assert fair.horizons({}, {}, {}, {}, 24 * HOUR) == {}
