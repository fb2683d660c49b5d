"""The records as received, and with faults in them, through the quality control of the pipeline: what it found, what it flagged wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from warning.config_quality import DEFAULTS
from warning.model import Cause, Parameter, Status
from warning.region import AlertRules, ForecastRules, Quality, Region, Series, Station
from warning.rehearsal import qc_faults, qc_rises
from warning.rehearsal.qc_faults import HOUR, KINDS, Excerpt, Limits
from warning.rehearsal.qc_judged import Course, Judged, judge
from warning.rehearsal.qc_records import Records
from warning.science import qc

T0 = 1_760_000_000 // 86_400 * 86_400  # all excerpts begin here: one beat judges readings of all of them
GAP_S = 9000
CHUNK = 1000  # excerpts judged at once: what they hold is a few 100 MB
TWIN_WITHIN = 0.1  # m: what two sensors at one water are apart at most
TWIN_ERROR = 0.01  # m: standard deviation of the second one


@dataclass(frozen=True, slots=True)
class Found:
    """Of one kind in one set. ``on_arrival``: found by the faulty reading itself, not by the one after it."""

    faults: int
    found: int
    on_arrival: int
    good: int
    good_flagged: int
    causes: dict[str, int]


@dataclass(frozen=True, slots=True)
class AsReceived:
    """``flagged``: readings flagged that no list calls faulty; ``faulty``: those that it does, and how many of them were flagged.
    ``failed``: readings that FAILed within a rise of a metre in six hours that the next reading confirms."""

    readings: int
    flagged: int
    on_arrival: int
    faulty: int
    faulty_flagged: int
    failed: int
    causes: dict[str, int]
    rises: qc_rises.Rises
    said: dict[str, NDArray[np.int8]]  # station -> per reading: code of the cause it is flagged for, -1: not flagged


def region_of(series: Sequence[Series]) -> Region:
    """One partition of gauges, no zone: quality control alone."""
    stations = tuple(
        Station(one.station, {"en": one.station}, "gauge", "r", "b", None, None, "published", (one,), 10_800) for one in series
    )
    return Region(
        id="qc",
        names={"en": "Quality control"},
        namespace="ews.qc",
        sender="qc@example",
        status=Status.EXERCISE,
        languages=("en",),
        utc_offset_s=0,
        timezone_name="UTC",
        country="PK",
        display_units={},
        class_names={},
        partitions=1,
        basins={"b": 0},
        stations=stations,
        zones=(),
        reaches=(),
        districts=(),
        contacts=(),
        forecast=ForecastRules(),
        alert=AlertRules(),
        exercise_numbers="+999",
        urls={},
        digest="",
        folder="",
    )


def _series(name: str, limits: Limits, quality: Quality | None) -> Series:
    return Series(name, Parameter.STAGE, limits.least, limits.greatest, limits.rise, limits.fall, quality=quality)


def _quality(neighbours: Sequence[str], twin: str = "") -> Quality:
    within = TWIN_WITHIN if twin else None
    return replace(DEFAULTS[Parameter.STAGE], gap_s=GAP_S, neighbours=tuple(neighbours), twin=twin, twin_within=within)


def as_received(records: Records, limits: dict[str, Limits]) -> AsReceived:
    """The records as they are."""
    names = list(records.series)
    region = region_of([_series(name, limits[name], _quality(records.near.get(name, ()))) for name in names])
    begin = min(time[0] for time, _ in records.series.values())
    shift = T0 - int(begin) // 86_400 * 86_400
    courses = [Course(row, time + shift, value, time + shift) for row, (time, value) in enumerate(records.series.values())]
    judged = judge(region, courses)
    faulty = np.concatenate([listed(records, name) for name in names])
    ends = np.cumsum([len(one.time) for one in courses])
    exposed = np.where(judged.cause == 0, qc.CODE[Cause.SPIKE], judged.cause)
    said = np.where(judged.flagged | (judged.cause > 0), exposed, -1).astype(np.int8)
    shown = np.bincount(judged.cause[judged.flagged & ~faulty], minlength=len(qc.CAUSES))
    causes = {qc.CAUSES[code].value: int(number) for code, number in enumerate(shown.tolist()) if number}
    causes["spike"] = causes.get("spike", 0) + causes.pop("none", 0)  # exposed by the next
    return AsReceived(
        readings=len(judged.flag),
        flagged=int((judged.flagged & ~faulty).sum()),
        on_arrival=int(((judged.flag >= qc.SUSPECT) & ~faulty).sum()),
        faulty=int(faulty.sum()),
        faulty_flagged=int((faulty & (judged.flagged | (judged.flag >= qc.SUSPECT))).sum()),
        failed=_failed_rises(courses, judged, faulty),
        causes=causes,
        rises=qc_rises.waiting(courses, judged, faulty, range(len(courses))),
        said=dict(zip(names, np.split(said, ends[:-1]), strict=True)),
    )


def behind(records: Records, limits: dict[str, Limits], hours: float) -> qc_rises.Rises:
    """Every series that has neighbours as if all that it shows came so many hours later: their waves are still upstream of it."""
    begin = min(time[0] for time, _ in records.series.values())
    shift, later = T0 - int(begin) // 86_400 * 86_400, int(hours * HOUR)
    series, courses, faulty, asked = list[Series](), list[Course](), list[NDArray[np.bool_]](), list[int]()
    for number, name in enumerate(records.series):
        others = records.near.get(name, ())
        near = [f"{number}.{place}" for place in range(len(others))]
        asked += [len(courses)] if others else []
        for one, of, by in [(str(number), name, later), *((each, other, 0) for each, other in zip(near, others, strict=True))]:
            time, value = records.series[of]
            series.append(_series(one, limits[of], _quality(near) if of == name else None))
            courses.append(Course(len(courses), time + shift + by, value, time + shift + by))
            faulty.append(listed(records, of))
    return qc_rises.waiting(courses, judge(region_of(series), courses), np.concatenate(faulty), asked)


def listed(records: Records, name: str) -> NDArray[np.bool_]:
    """Which readings of a station the list of faults seen names."""
    time = records.series[name][0]
    out = np.zeros(len(time), np.bool_)
    for first, last in records.seen_on(name):
        out |= (time >= first) & (time <= last)
    return out


def _failed_rises(courses: Sequence[Course], judged: Judged, faulty: NDArray[np.bool_]) -> int:
    failed, at = 0, 0
    for one in courses:
        part = slice(at, at + len(one.time))
        at = part.stop
        before = one.value[np.searchsorted(one.time, one.time - 6 * HOUR)]
        rising = one.value - before > 1.0
        confirmed = np.append(rising[1:] & (one.value[1:] > one.value[:-1] - 0.5), False)
        failed += int((rising & confirmed & (judged.flag[part] == qc.FAIL) & ~faulty[part]).sum())
    return failed


def find(kind: str, drawn: Sequence[Excerpt], records: Records, limits: dict[str, Limits], clean: AsReceived, seed: int) -> Found:
    """The faults of a kind, judged. Found: with a cause that fits, by a reading of the fault that is not
    flagged for such a cause in the clean record."""
    fits = np.isin(np.arange(len(qc.CAUSES)), [qc.CODE[cause] for cause in KINDS[kind].causes])
    exposed = Cause.SPIKE in KINDS[kind].causes
    found = on_arrival = good = good_flagged = 0
    causes: dict[str, int] = {}
    for begin in range(0, len(drawn), CHUNK):
        some = drawn[begin : begin + CHUNK]
        groups, region = _groups(kind, some, records, limits, np.random.default_rng([seed, begin]))
        judged = judge(region, [course for group in groups for course in group])
        at = 0
        for one, group in zip(some, groups, strict=True):
            part = slice(at, at + len(one.time))
            at += sum(len(course.time) for course in group)
            name = list(records.series)[one.series]
            cause, flag, flagged = judged.cause[part], judged.flag[part], judged.flagged[part]
            came = ((flag >= qc.SUSPECT) | (cause > 0)) & fits[cause]
            later = flagged & (cause == 0) & exposed
            anyway = records.series[name][0][(clean.said[name] >= 0) & fits[clean.said[name]]]
            hits = np.flatnonzero((came | later) & one.show & ~np.isin(one.received, anyway))
            found += bool(len(hits))
            on_arrival += bool(came[hits].any())
            first = "not found" if not len(hits) else qc.CAUSES[cause[hits[0]]].value if came[hits[0]] else "spike, exposed by the next"
            causes[first] = causes.get(first, 0) + 1
            right = qc_faults.right(one)
            good += int(right.sum())
            good_flagged += int((flagged & right).sum())
    return Found(len(drawn), found, on_arrival, good, good_flagged, causes)


def _groups(
    kind: str, some: Sequence[Excerpt], records: Records, limits: dict[str, Limits], random: np.random.Generator
) -> tuple[list[list[Course]], Region]:
    """The courses of each (itself first, then its neighbours or its twin), and their region."""
    names = list(records.series)
    series: list[Series] = []
    groups = []
    for number, one in enumerate(some):
        name = names[one.series]
        shift = T0 - int(one.time[0])
        others = records.near.get(name, ()) if KINDS[kind].neighbours else (name,) if kind == "drift_twin" else ()
        near = [f"{number}.{place}" for place in range(len(others))]
        group = [Course(len(series), one.time + shift, one.value, one.received + shift)]
        said = _quality((), near[0]) if kind == "drift_twin" else _quality(near)
        series.append(_series(str(number), limits[name], said))
        for own, other in zip(near, others, strict=True):
            time, value = records.series[other]
            part = slice(*np.searchsorted(time, [int(one.received[0]) - 86_400, int(one.received[-1]) + 1]).tolist())
            if kind == "drift_twin":
                value = np.round(value + random.normal(0.0, TWIN_ERROR, len(value)), 3)
            group.append(Course(len(series), time[part] + shift, value[part], time[part] + shift))
            series.append(_series(own, limits[other], None))
        groups.append(group)
    return groups, region_of(series)
