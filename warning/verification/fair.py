"""The straight line as a fair opponent: with as many false alarms as we may have, its horizon found on the rivers that are not judged.

The straight line of a fixed horizon buys its lead with false alarms. Here it looks so far ahead as serves it best, timely CSI at 3 h and at
6 h together, where its FAR stays within ``MOST_FAR``: chosen river by river on all the others, all classes together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from warning.model import Level
from warning.science import verify, verify_baselines
from warning.verification.observed import Track

HORIZONS_H = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
OTHERWISE_H = 3.0  # where the other rivers had no flood to choose by
MOST_FAR = 0.25
LEADS_H = (3, 6)
RESOLUTION = {"stage": 0.001, "discharge": 0.1}
Counts = NDArray[np.int64]  # events, alerts, false alarms, in time at each of LEADS_H


def horizons(
    rivers: Mapping[str, str],
    tracks: Mapping[str, Track],
    quantities: Mapping[str, str],
    limits: Mapping[Level, Mapping[str, float]],
    within_s: int,
) -> dict[str, float]:
    """zone -> hours that the line looks ahead there. ``rivers``: zone -> river; ``limits``: by class, zone -> limit."""
    of_zone = {
        zone: _counts(tracks[zone], [each[zone] for each in limits.values() if zone in each], quantities[zone], within_s) for zone in rivers
    }
    total = sum(of_zone.values(), np.zeros((len(HORIZONS_H), 3 + len(LEADS_H)), np.int64))
    found: dict[str, float] = {}
    for river in sorted(set(rivers.values())):
        own = [zone for zone in rivers if rivers[zone] == river]
        found |= dict.fromkeys(own, _best(total - sum(of_zone[zone] for zone in own)))
    return found


def spells(track: Track, value: NDArray[np.float64], limit: float, resolution: float) -> verify.Spells:
    """Where ``value`` (N,), a reading or what is expected of it, is at or above the limit."""
    return verify.spells(track.time_s, verify.reached(value, limit, resolution))


def _counts(track: Track, limits: list[float], quantity: str, within_s: int) -> Counts:
    """(horizons, 5) of one zone, all its classes together."""
    out, resolution = np.zeros((len(HORIZONS_H), 3 + len(LEADS_H)), np.int64), RESOLUTION[quantity]
    for row, ahead_h in enumerate(HORIZONS_H):
        line = verify_baselines.straight_line(track.time_s, track.value, ahead_h)
        for limit in limits:
            events = verify.crossings(track.time_s, track.value, limit, resolution)
            judged = verify.judge(events, spells(track, line, limit, resolution), within_s)
            timely = [np.count_nonzero(judged.lead_s >= lead * 3600) for lead in LEADS_H]
            out[row] += (len(events), len(judged.alert_s), np.count_nonzero(judged.false), *timely)
    return out


def _best(counts: Counts) -> float:
    """The horizon with the most in time among those with few false alarms; with none such, that with the least part of false alarms."""
    events, alerts, false = counts[:, 0], counts[:, 1], counts[:, 2]
    if not events[0]:
        return OTHERWISE_H
    far = false / np.maximum(alerts, 1)
    worth = counts[:, 3:].sum(axis=1) / np.maximum(events + false, 1)
    fits = far <= MOST_FAR
    return HORIZONS_H[int(np.where(fits, worth, -1.0).argmax() if fits.any() else far.argmin())]
