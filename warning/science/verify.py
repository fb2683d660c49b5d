"""Verification of warnings: events, alerts, false alarms, POD, FAR, CSI, timely CSI, lead time, time in warning.

One definition for every river and every method (ours, the baselines, an authority's warnings):

* An **event** is an upward crossing of a class's limit by a gauge that had not been at or above it for 6 h.
* An **alert** is the moment from which a method says the class, if it had not said so for 6 h. What stands already at a series' first
  reading is an alert, but no event: nobody saw it cross.
* A **false alarm** is an alert with no event within 24 h after it.
* An event is **warned** by the earliest alert of the 24 h before it, or by one that still stands when it comes; its lead is from there.
* **Timely CSI** at L hours: events warned at least L hours ahead / (events + false alarms). CSI itself is that at 0 h.

Contingency scores: Wilks, Statistical Methods in the Atmospheric Sciences (3rd ed. 2011), section 8.2; FAR is the part of the
alerts that were false (the false alarm ratio, not the rate). Times are whole seconds since 1970, arrays of one series, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

APART_S = 6 * 3600
WITHIN_S = 24 * 3600
LEADS_H = (1, 3, 6, 12, 24)
Seconds = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spells:
    """Stretches of time in which something held: ``start`` and ``end`` (n,), the first and the last moment at which it was seen to hold."""

    start: Seconds
    end: Seconds


def spells(time_s: Seconds, on: NDArray[np.bool_], apart_s: int = APART_S) -> Spells:
    """Where ``on`` (N,) holds; what begins less than ``apart_s`` after another's last moment belongs to that. ``time_s`` must not fall."""
    if len(time_s) != len(on):
        raise ValueError(f"{len(time_s)} times and {len(on)} values")
    if len(time_s) > 1 and bool((np.diff(time_s) < 0).any()):
        raise ValueError("times must not fall")
    held = np.asarray(time_s, np.int64)[np.asarray(on, np.bool_)]
    place = np.flatnonzero(on)
    if not len(held):
        return Spells(held, held)
    # A new stretch: it was off in between, and long enough since it last held.
    begins = np.ones(len(held), np.bool_)
    begins[1:] = (np.diff(place) > 1) & (np.diff(held) >= apart_s)
    first = np.flatnonzero(begins)
    return Spells(held[first], held[np.append(first[1:], len(held)) - 1])


def crossings(time_s: Seconds, value: NDArray[np.float64], limit: float, resolution: float = 0.0, apart_s: int = APART_S) -> Seconds:
    """Times of the events of one series: a reading at or above ``limit`` (same unit) after one below it. NaN values are left out.

    ``resolution``: both are rounded to it before they are compared, as the decisions do; 0: as they are.
    """
    known = ~np.isnan(value)
    time_s, value = np.asarray(time_s, np.int64)[known], value[known]
    over = reached(value, limit, resolution)
    start = spells(time_s, over, apart_s).start
    return start[1:] if len(over) and over[0] else start


def reached(value: NDArray[np.float64], limit: float, resolution: float = 0.0) -> NDArray[np.bool_]:
    """``value`` (N,) at or above ``limit``, after rounding both to ``resolution``; False for NaN."""
    if resolution > 0.0:
        return np.asarray(np.rint(value / resolution) >= np.rint(limit / resolution))
    return np.asarray(value >= limit)


@dataclass(frozen=True, slots=True)
class Judged:
    """One series and class, judged: its events and what warned of them, its alerts and whether they were false.

    ``event_s`` (E,); ``lead_s`` (E,): seconds from the alert to the event, -1 where nothing warned; ``alert_s`` (A,), ``false`` (A,);
    ``warned_s``: total time in warning; ``covered_s``: time that the series covers.
    """

    event_s: Seconds
    lead_s: Seconds
    alert_s: Seconds
    false: NDArray[np.bool_]
    warned_s: int = 0
    covered_s: int = 0


def judge(event_s: Seconds, alerts: Spells, within_s: int = WITHIN_S, covered_s: int = 0) -> Judged:
    """Alerts against events of the same series and class. See the module for what is a hit and what is false."""
    events = np.sort(np.asarray(event_s, np.int64))
    start, end = alerts.start, alerts.end
    before = start[None, :] <= events[:, None]
    near = start[None, :] >= events[:, None] - within_s
    warns = before & (near | (end[None, :] >= events[:, None]))  # (E, A)
    lead = np.where(warns, events[:, None] - start[None, :], -1).max(axis=1, initial=-1)
    true: NDArray[np.bool_] = np.asarray((before & near).any(axis=0))
    return Judged(events, lead.astype(np.int64), start, np.logical_not(true), int((end - start).sum()), covered_s)


@dataclass(frozen=True, slots=True)
class Skill:
    """Scores of one method and class over many series. A ratio without a denominator is NaN. Leads in hours, of the warned events."""

    events: int
    hits: int
    alerts: int
    false_alarms: int
    pod: float
    far: float
    csi: float
    timely: dict[int, float]  # lead in hours -> timely CSI
    lead_h: tuple[float, float, float]  # lower quartile, median, upper quartile
    warned_h: float
    warned_part: float  # of the time that the series cover


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def skill(judged: Iterable[Judged], leads_h: Sequence[int] = LEADS_H) -> Skill:
    """All series together: counts are summed, then the ratios are taken."""
    each = list(judged)
    lead_s = np.concatenate([one.lead_s for one in each]) if each else np.zeros(0, np.int64)
    events, hits = len(lead_s), int(np.count_nonzero(lead_s >= 0))
    alerts = sum(len(one.alert_s) for one in each)
    false = sum(int(np.count_nonzero(one.false)) for one in each)
    warned = lead_s[lead_s >= 0] / 3600.0
    low, middle, high = (float(x) for x in np.percentile(warned, (25, 50, 75))) if hits else (float("nan"),) * 3
    warned_s, covered_s = sum(one.warned_s for one in each), sum(one.covered_s for one in each)
    return Skill(
        events=events,
        hits=hits,
        alerts=alerts,
        false_alarms=false,
        pod=ratio(hits, events),
        far=ratio(false, alerts),
        csi=ratio(hits, events + false),
        timely={lead: ratio(int(np.count_nonzero(lead_s >= lead * 3600)), events + false) for lead in leads_h},
        lead_h=(low, middle, high),
        warned_h=warned_s / 3600.0,
        warned_part=ratio(warned_s, covered_s),
    )
