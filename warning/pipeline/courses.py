"""The course of zones' discharges and stages: level by level down the rivers, for a forecast needs those upstream of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.pipeline.downstream import places, spans
from warning.pipeline.plan import Index, Numbers, Plan
from warning.pipeline.state import Journal, State
from warning.science import curves, forecast, outlook, routing


def courses(
    plan: Plan,
    state: State,
    journal: Journal,
    zones: Index,
    base: NDArray[np.float64],
    observed_s: NDArray[np.int64],
    line: forecast.Trend,
    knot_s: NDArray[np.int64],
    look: outlook.Outlook | None = None,
) -> tuple[forecast.Course, Index]:
    """The forecast of each zone from its newest reading ``base`` at ``observed_s``, and which zone brings it the most water (-1: none).

    ``zones`` in the plan's order; what their gauges say now is in the state.
    """
    n, leads = len(zones), len(knot_s)
    silent_s, resolution, rules = plan.zone_silent_s[zones], plan.resolution[zones], plan.region.forecast
    alone = forecast.alone(base, observed_s, silent_s, line, resolution, knot_s, rules.trend_horizon_s)
    if look is not None:
        alone = alone.seen_by(look)
    routed = np.full((n, leads), np.nan)
    median = alone.with_water(slice(None), routed)
    kept = median.astype(np.float32)
    water = _Water.of(plan, state, zones, base, observed_s, knot_s)
    if water is None:
        course, source = alone.course(median, routed, routed), np.full(n, -1, np.intp)
    else:
        for part, here, reaches in water.levels:
            routed[here] = arriving = water.arriving(part, here, reaches, kept, routed[:, 0])
            median[here] = kept[here] = alone.with_water(here, arriving)
        now, early, late = (water.found[:, part * leads : (part + 1) * leads] for part in range(3))
        sigma = routing.spread(water.reaches, now, early, late, _then(water.found), base, routed, rules.travel_spread)
        course, source = alone.course(median, routed, sigma), _source(water, n, now)
    journal.put(state.z["median"], zones, kept)
    journal.put(state.z["issued_t"], zones, knot_s[0])
    history = plan.history_row[zones]
    asked = (history >= 0) & course.wave
    for name, index, values in routing.estimate(state.h, history[asked], int(knot_s[0]), routed[asked, 0]):
        journal.put(state.h[name], index, values)
    return course, source


def _source(water: _Water, zones: int, now: NDArray[np.float64]) -> Index:
    source, most = np.full(zones, -1, np.intp), np.full(zones, -np.inf)
    brings = np.where(np.isnan(now), -np.inf, now * water.reaches.share[:, None]).max(axis=1)
    np.maximum.at(most, water.reaches.down, brings)
    main = np.flatnonzero((brings == most[water.reaches.down]) & ~np.isinf(brings))[::-1]  # the first of equals stays
    source[water.reaches.down[main]] = water.up[main]
    return source


@dataclass(frozen=True, slots=True)
class _Water:
    """The R reaches that end at some zones (places among them), in their order; the forecast of a zone needs those upstream of it.

    ``levels``: the reaches, the zones, and the reaches among these zones, of each length of the way from a source. ``found`` (R, 3 L + 3):
    discharges upstream at each time of the forecast less the middle, the short and the long travel time, and at that of the newest reading
    downstream less each of them; where a wave is late, the middle one is by so much longer.
    """

    up: Index  # zone of the plan
    up_place: Index  # its place; -1: it is not scored now
    reaches: routing.Reaches
    levels: list[tuple[slice, Index | slice, routing.Reaches]]
    course: curves.Curves
    found: NDArray[np.float64]
    known: NDArray[np.float64]  # (R, L) the forecasts of the zones upstream, as they were before
    base: NDArray[np.float64]

    @staticmethod
    def of(
        plan: Plan, state: State, zones: Index, base: NDArray[np.float64], observed_s: NDArray[np.int64], knot_s: NDArray[np.int64]
    ) -> _Water | None:
        """None: no reach ends there."""
        down, mine = spans(plan.into, zones)
        if not len(down):
            return None
        all_reaches, z, now_s = plan.reaches, state.z, int(knot_s[0])
        up = all_reaches.up[mine].astype(np.intp)
        up_place = places(plan, zones, up)
        reaches = routing.Reaches.of(down, all_reaches.share[mine], all_reaches.share_sigma[mine])
        levels = _levels(plan.depth[zones], reaches)
        asked = _asked(all_reaches.travel_low_s[mine], all_reaches.travel_high_s[mine], observed_s[down], knot_s)
        upstream_knots = np.where((up_place >= 0)[:, None], knot_s[None, :], forecast.knots_of(z["issued_t"][up].astype(np.int64)))
        course = curves.Curves(
            state.h,
            plan.history_row[up],
            z["observed_t"][up].astype(np.int64),
            z["value"][up],
            plan.zone_silent_s[up],
            upstream_knots,
            asked,
            now_s,
            [part for part, _, _ in levels],
        )
        known = z["median"][up].astype(np.float64)
        return _Water(up, up_place, reaches, levels, course, np.empty(asked.shape), known, base)

    def arriving(
        self, part: slice, here: Index | slice, reaches: routing.Reaches, kept: NDArray[np.float32], routed_now: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """What arrives at the zones ``here`` by their reaches ``part``.

        ``kept`` (Z, L): the forecasts of this beat, ``routed_now`` (Z,): what was found to arrive now; of the zones upstream of ``here``.
        """
        place = self.up_place[part]
        scored = place >= 0
        if scored.all():
            median: NDArray[Any] = kept[place]
            told = routed_now[place].astype(np.float32)  # as the history will have it
        else:
            median = np.where(scored[:, None], kept[place], self.known[part])
            told = np.where(scored, routed_now[place], np.nan).astype(np.float32)
        self.course.expect(part, median, told)
        self.found[part] = found = self.course.at(part)
        leads, base = median.shape[1], self.base[here]
        late = routing.lateness(reaches, _then(found), base)
        if late.any():
            by = late[reaches.down]
            found[:, :leads] = routing.later(found[:, :leads], found[:, 2 * leads : 3 * leads], by[:, None])
            found[:, -3] = routing.later(found[:, -3], found[:, -1], by)
            self.found[part] = found
        return routing.arrival(reaches, found[:, :leads], found[:, -3], base)


def _then(found: NDArray[np.float64]) -> routing.Then:
    return routing.Then(found[:, -3], found[:, -2], found[:, -1])


def _asked(low_s: Numbers, high_s: Numbers, read_s: NDArray[np.int64], knot_s: NDArray[np.int64]) -> NDArray[np.float64]:
    """``read_s`` (R,): when the newest reading downstream was made; 0: never."""
    middle_s, leads = (low_s + high_s) // 2, knot_s - knot_s[0]
    asked = np.empty((len(low_s), 3 * len(leads) + 3))
    for part, travel_s in enumerate((middle_s, low_s, high_s)):
        asked[:, part * len(leads) : (part + 1) * len(leads)] = leads - travel_s[:, None]
        asked[:, part - 3] = np.where(read_s > 0, read_s - travel_s - knot_s[0], np.nan)
    return asked


def _levels(depth: Numbers, reaches: routing.Reaches) -> list[tuple[slice, Index | slice, routing.Reaches]]:
    """The reaches by the depth of the zones that they end at; they are in its order."""
    down, of_reach = reaches.down, depth[reaches.down]
    bounds = [0, *(np.flatnonzero(of_reach[1:] != of_reach[:-1]) + 1).tolist(), len(of_reach)]
    number = np.arange(len(down))
    levels = []
    for start, stop in itertools.pairwise(bounds):
        here, local = down[start:stop], number[: stop - start]
        part = routing.Reaches(local, reaches.share[start:stop], reaches.share_sigma[start:stop], ((local, local),))
        if len(reaches.turns) > 1:  # somewhere more than one ends at a zone
            here, local = np.unique(here, return_inverse=True)
            part = routing.Reaches.of(local, part.share, part.share_sigma)
        first, last = int(here[0]), int(here[-1])
        together = last - first + 1 == len(here)  # then they are looked at in place
        levels.append((slice(start, stop), slice(first, last + 1) if together else here, part))
    return levels
