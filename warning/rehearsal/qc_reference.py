"""The same excerpts by ``ioos_qc`` (3.0.0, a development dependency), with the fixed limits that its tests take.

Its spike and rate tests know fixed thresholds only: 0.5 m, and the rate that is configured, else 5 m/h. Flat line after 12 h, attenuated
signal by a range below 0.05 m in 24 h, gaps of 2.5 h. It has no test of sentinels, duplicates, units, steps or neighbours.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.model import Cause
from warning.rehearsal.qc_faults import Excerpt, Limits

SUSPECT, FAIL = 3, 4
SPIKE = 0.5
ALL = (Cause.GROSS_RANGE, Cause.SPIKE, Cause.RATE_OF_RISE, Cause.FLAT_LINE, Cause.ATTENUATED, Cause.GAP, Cause.FUTURE)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def flagged(time: Ints, value: Floats, received: Ints, limits: Limits, causes: Collection[Cause] = ALL) -> NDArray[np.bool_]:
    """Whether one of its tests of ``causes`` calls a reading suspect or worse. Raises ImportError where it is not installed."""
    from ioos_qc import qartod

    when: Any = time.astype("M8[s]")
    rate = max(limits.rise, limits.fall) / 3600.0
    tests: dict[Cause, Callable[[], Any]] = {
        Cause.GROSS_RANGE: lambda: qartod.gross_range_test(value, (limits.least, limits.greatest)),
        Cause.SPIKE: lambda: qartod.spike_test(value, suspect_threshold=SPIKE),
        Cause.RATE_OF_RISE: lambda: qartod.rate_of_change_test(value, when, rate),
        Cause.FLAT_LINE: lambda: qartod.flat_line_test(value, when, 12 * 3600, 10**9, 0.001),
        Cause.ATTENUATED: lambda: qartod.attenuated_signal_test(
            value, when, 0.05, 0.0, test_period=86_400, min_period=86_000, check_type="range"
        ),
        Cause.GAP: lambda: qartod.time_gap_test(when, 2.5),
    }
    found = time > received + 300 if Cause.FUTURE in causes else np.zeros(len(value), np.bool_)  # its own test asks the wall clock
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for cause, test in tests.items():
            if cause in causes:
                found = found | np.isin(np.ma.filled(test(), 0), (SUSPECT, FAIL))
    return np.asarray(found)


def find(drawn: Sequence[Excerpt], limits: Sequence[Limits], clean: Sequence[tuple[Ints, Floats]], causes: Collection[Cause]) -> int:
    """How many of the faults it finds: with a cause that fits, at a reading that it does not flag in the clean record."""
    found = 0
    for one in drawn:
        by = flagged(one.time, one.value, one.received, limits[one.series], causes) & one.show
        if by.any():
            time, value = clean[one.series]
            part = slice(*np.searchsorted(time, [one.received[0], one.received[-1] + 1]).tolist())
            anyway = flagged(time[part], value[part], time[part], limits[one.series], causes)
            found += bool((by & ~np.isin(one.received, time[part][anyway])).any())
    return found
