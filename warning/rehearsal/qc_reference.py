"""The same excerpts by ``ioos_qc`` (3.0.0, a development dependency), with the fixed limits that its tests take.

Its spike and rate tests know fixed thresholds only: 0.5 m, and the rate that is configured, else 5 m/h. Flat line after 12 h, attenuated
signal by a range below 0.05 m in 24 h, gaps of 2.5 h. It has no test of sentinels, duplicates, units or steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.rehearsal import qc_faults
from warning.rehearsal.qc_faults import Excerpt, Limits

SUSPECT, FAIL = 3, 4
SPIKE = 0.5


def flagged(time: NDArray[np.int64], value: NDArray[np.float64], received: NDArray[np.int64], limits: Limits) -> NDArray[np.bool_]:
    """Whether any of its tests calls a reading suspect or worse. Raises ImportError where it is not installed."""
    from ioos_qc import qartod

    when: Any = time.astype("M8[s]")
    rate = max(limits.rise, limits.fall) / 3600.0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        tests = [
            qartod.gross_range_test(value, (limits.least, limits.greatest)),
            qartod.spike_test(value, suspect_threshold=SPIKE),
            qartod.rate_of_change_test(value, when, rate),
            qartod.flat_line_test(value, when, 12 * 3600, 10**9, 0.001),
            qartod.attenuated_signal_test(value, when, 0.05, 0.0, test_period=86_400, min_period=86_000, check_type="range"),
            qartod.time_gap_test(when, 2.5),
        ]
    found = np.zeros(len(value), np.bool_)
    for flags in tests:
        found |= np.isin(np.ma.filled(flags, 0), (SUSPECT, FAIL))
    return found | (time > received + 300)  # its test of the future asks the wall clock; here the gateway's


def find(drawn: Sequence[Excerpt], limits: Sequence[Limits]) -> tuple[int, int, int]:
    """(faults found, good readings, of them flagged)"""
    found = good = wrong = 0
    for one in drawn:
        by = flagged(one.time, one.value, one.received, limits[one.series])
        found += bool((by & one.show).any())
        right = qc_faults.right(one)
        good, wrong = good + int(right.sum()), wrong + int((by & right).sum())
    return found, good, wrong
