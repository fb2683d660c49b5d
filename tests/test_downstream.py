"""What lies downstream: by each of the ways it is found; few at once and many at once: the same, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_science_courses import rivers

from warning.deployment import Deployment
from warning.pipeline import downstream, zones
from warning.pipeline.plan import Plan
from warning.pipeline.state import State
from warning.region import Region
from warning.science import forecast, windows
from warning.stream.beats import Beats
from warning.stream.decisions import PIPELINE
from warning.stream.frames import Frames
from warning.stream.owned import outputs_of
from warning.wiring_bench_readings import START_MS, records, tick
from warning.wiring_bench_region import Size, made_up

NOW = 1_756_684_800
SLOW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def below(made: Region, plan: Plan, some: set[int]) -> list[int]:
    """By the region's reaches, one after the other."""
    number = {zone.id: place for place, zone in enumerate(plan.zones)}
    todo, found = list(some), set(some)
    while todo:
        zone = plan.zones[todo.pop()].id
        fresh = {number[reach.downstream] for reach in made.reaches if reach.upstream == zone} - found
        found |= fresh
        todo += fresh
    return [zone for zone in plan.downwards.tolist() if zone in found]


@SLOW
@given(made=rivers(), data=st.data())
@pytest.mark.parametrize(("few", "dense"), [(32, 16), (0, 10**9), (0, 0)], ids=["one by one", "all at once", "step by step"])
def test_everything_downstream_is_found_also_where_rivers_meet(
    made: Region, data: st.DataObject, few: int, dense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downstream, "FEW", few)
    monkeypatch.setattr(downstream, "DENSE", dense)
    monkeypatch.setattr(downstream, "SMALL", 0)
    plan = Plan.of(made, 0)
    some = data.draw(st.sets(st.integers(0, len(plan.zones) - 1), min_size=1))
    zones = downstream.with_downstream(plan, np.array(sorted(some), np.intp))
    assert zones.tolist() == below(made, plan, some)
    every = np.arange(len(plan.zones))
    expected = [zones.tolist().index(zone) if zone in zones.tolist() else -1 for zone in every.tolist()]
    assert downstream.places(plan, zones, every).tolist() == expected


def decided(region: Region, seed: int) -> list[bytes]:
    """All that half a day of a load with gaps, some floods among it, has to tell, and the state that is left."""
    random, plan = np.random.default_rng(seed), Plan.of(region, 0)
    beats = Beats(0, PIPELINE, plan, PIPELINE.empty(plan), 0)
    told: list[bytes] = []
    readings = records(Size(60))
    for beat in range(30):
        kept = [next(readings) for _ in range(60 * 30)]
        run = [kept[number] for number in np.flatnonzero(random.random(len(kept)) < random.choice([0.0, 0.02, 0.3, 1.0])).tolist()]
        run.append((None, tick(START_MS + (beat + 1) * 1_800_000)))
        for closed in beats.take([key for key, _ in run], Frames.of([value for _, value in run]), beats.position):
            told += [value for _, _, those in outputs_of(Deployment(), closed) for _, value in those]
    return told + [array.tobytes() for _, array in sorted(beats.state.freeze()[1].items())]


@pytest.mark.parametrize("block", [1, 7])
def test_zones_scored_in_blocks_are_what_all_at_once_are(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    region = made_up(Size(60))
    at_once = decided(region, block)
    assert sum(b"<alert" in each for each in at_once) > 3
    monkeypatch.setattr(zones, "BLOCK", block)
    assert decided(region, block) == at_once


def filled(rows: int, seed: int) -> Any:
    """Rings with readings of the last days, empty buckets, and buckets of an earlier turn."""
    random = np.random.default_rng(seed)
    plan = Plan.of(made_up(Size(rows)), 0)
    state = State.empty(plan)
    for offset, (width, buckets) in zip(windows.OFFSETS, windows.RINGS, strict=True):
        ids = NOW // width - np.arange(buckets) - random.choice([0, 0, 0, 1], (rows, buckets)) * buckets
        at = (np.arange(rows)[:, None], offset + ids % buckets)
        there = random.random((rows, buckets)) < 0.7
        least, most = np.sort(random.uniform(0, 900, (2, rows, buckets)), axis=0)
        times = ids * width + random.integers(0, width, ids.shape)
        for name, values in (("w_min", least), ("w_max", most), ("w_last", most), ("w_over", most - least), ("w_last_t", times)):
            state.s[name][at] = np.where(there, values, 0)
        state.s["w_count"][at] = np.where(there, random.integers(1, 9, ids.shape), 0)
    return state.s


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_few_series_at_once_are_what_many_are(seed: int, hours: int) -> None:
    """Windows folded, features and trends: each of ``FEW`` and of more has its own way, and both give the same bits."""
    s, rows = filled(30, seed), np.arange(30)
    random = np.random.default_rng(seed)
    row = np.sort(random.integers(0, 30, 60))
    time_s = NOW + random.integers(-7200, 7200 * (1 + hours), 60)
    order = np.lexsort((time_s, row))
    row, time_s, value = row[order], time_s[order], np.round(random.uniform(0, 900, 60), 2)
    newest = np.array([time_s[row == each].max() for each in row])
    found = {}
    for few in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(windows, "FEW", few)
            slots = {
                (int(r), int(slot), name): change.fields[name][place].tobytes()
                for change in windows.fold(s, row, time_s, value, newest)
                for place, (r, slot) in enumerate(zip(change.row, change.slot, strict=True))
                for name in change.fields
            }
            features = {
                (window, name): values.tobytes()
                for window, of in windows.features(s, rows, NOW + 3600 * hours).items()
                for name, values in of.items()
            }
            line = forecast.trend(s, rows, NOW + 3600 * hours, 21_600, 3)
        trends = [each.tobytes() for each in (line.slope, line.sigma, line.points, line.span_s)]
        found[few] = (slots, features, trends)
    assert found[0] == found[10**9]
