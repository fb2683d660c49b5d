"""A gauge in doubt that leaps for one reading raises nothing by it: the records of Ditwah with sensors that hang, shift, differ from their
twin, and spike hours later; and what truly rises out of such a doubt counts with the next reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pipeline_story import Story, small
from regions import edit, write_region

from warning import config
from warning.model import Parameter
from warning.region import Series
from warning.rehearsal import qc_bench, qc_records, qc_trial
from warning.rehearsal.qc_faults import Limits
from warning.rehearsal.qc_judged import Course, Judged, judge

CONFIG = Path(__file__).parent.parent / "config"
GAUGES = ("HANWELLA", "KITHULGALA", "NORWOOD", "THANAMALWILA", "URAWA")
HELD, DOUBTED_H = 30, 14  # readings before the fault begins; hours until it spikes
SPIKES_M = (1.0, 4.5)  # in an hour: 5 m/h is taken for the water's

Floats = NDArray[np.float64]
Record = tuple[NDArray[np.int64], Floats]
Fault = Callable[[Floats, int], Floats]


@pytest.fixture(scope="module")
def ditwah() -> dict[str, tuple[Record, Limits]]:
    known = qc_records.ditwah(CONFIG)
    limits = qc_bench.limits_of(known, config.load(str(CONFIG / "sri-lanka")))
    return {name: (known.series[name], limits[name]) for name in GAUGES}


def hung(value: Floats, at: int) -> Floats:
    return np.concatenate((value[:at], np.full(len(value) - at, value[at - 1])))


def shifted(value: Floats, at: int) -> Floats:
    return np.concatenate((value[:at], value[at:] - 0.9))


def shifted_up(value: Floats, at: int) -> Floats:
    return np.concatenate((value[:at], value[at:] + 0.9))


def as_it_is(value: Floats, at: int) -> Floats:
    return value


def judged(records: list[tuple[Record, Limits, Record | None]]) -> tuple[list[Course], Judged]:
    """Each beside its twin, if any, as the pipeline's quality control takes them."""
    series, courses = list[Series](), list[Course]()
    for number, (record, limits, twin) in enumerate(records):
        near = f"{number}.twin" if twin else ""
        for name, each, quality in [(str(number), record, qc_trial._quality((), near)), *([(near, twin, None)] if twin else [])]:
            time, value = each
            shift = qc_trial.T0 - int(record[0][0]) // 86_400 * 86_400
            series.append(
                Series(name, Parameter.STAGE, limits.least - 5.0, limits.greatest + 5.0, limits.rise, limits.fall, quality=quality)
            )
            courses.append(Course(len(courses), time + shift, value, time + shift))
    return courses, judge(qc_trial.region_of(series), courses)


CASES = [
    (None, hung, 10),
    (None, shifted, 4),
    (None, shifted_up, 4),
    (0.4, as_it_is, 10),
    (-0.4, as_it_is, 10),
    (0.4, hung, 10),
    (-0.4, shifted, 10),
]


@pytest.mark.parametrize(("twin", "fault", "least"), CASES)
def test_one_reading_of_a_doubted_gauge_never_counts(
    ditwah: dict[str, tuple[Record, Limits]], twin: float | None, fault: Fault, least: int
) -> None:
    """``least``: so many of the ten are in doubt when they spike; a step that the moving water hides is none."""
    records, spikes = list[tuple[Record, Limits, Record | None]](), list[int]()
    for (time, value), limits in ditwah.values():
        at = int(np.searchsorted(time, time[HELD] + DOUBTED_H * 3600))
        for size in SPIKES_M:
            made = fault(value[: at + 6].copy(), HELD)
            made[at] = max(made[at] + size, made[:at].max() + 0.2)
            records.append(((time[: at + 6], made), limits, None if twin is None else (time[: at + 6] - 900, value[: at + 6] - twin)))
            spikes.append(at)
    courses, said = judged(records)
    begins = np.append(0, np.cumsum([len(one.time) for one in courses]))[:: 1 if twin is None else 2]
    places = begins[: len(spikes)] + spikes
    doubted = places[said.cause[places - 1] > 0]
    assert len(doubted) >= least
    assert not said.counted[doubted].any()


@pytest.mark.parametrize("twin", [None, 0.4, -0.4])
def test_a_rise_that_ends_a_standstill_counts_with_the_next_reading_at_the_latest(
    ditwah: dict[str, tuple[Record, Limits]], twin: float | None
) -> None:
    """Each gauge hung before its steepest rise, and is free again in the middle of it."""
    records, frees = list[tuple[Record, Limits, Record | None]](), list[int]()
    for (time, value), limits in ditwah.values():
        free = int(np.argmax(value[DOUBTED_H:] - value[:-DOUBTED_H])) + DOUBTED_H - 2
        made = value.copy()
        made[free - DOUBTED_H : free] = value[free - DOUBTED_H]
        part = slice(0, free + 8)
        records.append(((time[part], made[part]), limits, None if twin is None else (time[part] - 900, value[part] - twin)))
        frees.append(free)
    courses, said = judged(records)
    begins = np.append(0, np.cumsum([len(one.time) for one in courses]))[:: 1 if twin is None else 2]
    waited = 0
    for begin, one, free in zip(begins, courses[:: 1 if twin is None else 2], frees, strict=False):
        highest = np.maximum.accumulate(one.value)
        for place in (at for at in range(free, len(one.value) - 1) if one.value[at] > highest[at - 1]):
            counted, came = said.counted[begin + place], said.came[begin + place : begin + place + 2]
            assert 0 < counted <= came[1]
            waited += counted > came[0]
    assert waited > 0


def test_a_gauge_that_hung_and_spikes_at_night_wakes_nobody(tmp_path: Path) -> None:
    """By the fixed limits alone: flat after three hours, a spike from 1.5 m on; 2.9 m in an hour are no fast rise here."""
    folder = write_region(tmp_path)
    edit(folder, "series", "A,stage,m,-0.5,20,3,3,1.5,48,0", "A,stage,m,-0.5,20,3,3,1.5,3,0")
    story = Story(small(folder, confirm_readings=1))
    course = [(hour * 60.0, 1.1 if hour < 3 else 1.2) for hour in range(10)]
    assert story.course("A", [*course, (600.0, 4.1), (660.0, 1.2), (720.0, 1.2)]) == []
    assert story.course("A", [(780.0, 4.1), (840.0, 4.2)])[:1] == ["raise VERY_HIGH"]


@pytest.mark.parametrize(("every_h", "waits"), [(1, 1), (2, 1), (3, 0), (24, 0)])
def test_a_flood_after_a_standstill_waits_for_no_reading_that_comes_hours_later(tmp_path: Path, every_h: int, waits: int) -> None:
    """Its rate is the water's, and more than a spike departs by: whoever is read once a day would have heard of it a day after."""
    folder = write_region(tmp_path)
    edit(folder, "series", "A,stage,m,-0.5,20,3,3,1.5,48,0", f"A,stage,m,-0.5,20,9,9,1.5,{3 * every_h},0")
    story = Story(small(folder))
    assert story.course("A", [(hour * 60.0, 1.2) for hour in range(0, 6 * every_h, every_h)]) == []
    flood = [((6 + number) * every_h * 60.0, 9.1 + 0.3 * number) for number in range(waits + 1)]
    assert story.course("A", flood[:waits]) == []
    assert story.course("A", flood[waits:]) == ["raise EXCEPTIONAL"]
