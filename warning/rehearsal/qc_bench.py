"""``warning bench qc``: faults put into real records, found or not; what is good and flagged all the same; the same by ``ioos_qc``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from warning.config_quality import DEFAULTS
from warning.model import Cause, Parameter, Status
from warning.region import AlertRules, ForecastRules, Quality, Region, Series, Station
from warning.rehearsal import qc_faults, qc_records, qc_reference
from warning.rehearsal.qc_faults import Excerpt, Limits
from warning.rehearsal.qc_judged import Course, Judged, judge
from warning.rehearsal.qc_records import Records
from warning.science import qc

SEED = 20_251_128
T0 = 1_760_000_000 // 86_400 * 86_400  # all excerpts begin here: one beat judges readings of all of them
GAP_S = 9000
RATE = 5.0  # m/h: the fastest that is taken without waiting for the next reading
_BELOW, _ABOVE = 2.0, 5.0  # m below the lowest and above the highest that is known, where nobody configured what is plausible
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """Of one kind in one set. ``on_arrival``: found by the faulty reading itself, not by the one after it."""

    kind: str
    faults: int
    found: int
    on_arrival: int
    good: int
    good_flagged: int
    causes: dict[str, int]


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


def limits_of(records: Records, configured: Region | None) -> dict[str, Limits]:
    """The region's where it has any."""
    if configured is None:
        return {
            name: Limits(float(value.min()) - _BELOW, float(value.max()) + _ABOVE, RATE, RATE)
            for name, (_, value) in records.series.items()
        }
    found = {}
    for station in records.series:
        one = next(each for each in configured.station_by_id[station].series if each.parameter is Parameter.STAGE)
        assert None not in (one.plausible_min, one.plausible_max, one.rise_per_hour, one.fall_per_hour)
        found[station] = Limits(*(float(v or 0) for v in (one.plausible_min, one.plausible_max, one.rise_per_hour, one.fall_per_hour)))
    return found


def _series(name: str, limits: Limits, quality: Quality | None) -> Series:
    return Series(name, Parameter.STAGE, limits.least, limits.greatest, limits.rise, limits.fall, quality=quality)


def quality(neighbours: Sequence[str]) -> Quality:
    return replace(DEFAULTS[Parameter.STAGE], gap_s=GAP_S, neighbours=tuple(neighbours))


def clean(records: Records, limits: dict[str, Limits]) -> tuple[Judged, int]:
    """The records as they are, and how many rises of a metre in six hours they hold with a reading that FAILed."""
    names = list(records.series)
    region = region_of([_series(name, limits[name], quality(records.near.get(name, ()))) for name in names])
    begin = min(time[0] for time, _ in records.series.values())
    shift = T0 - int(begin) // 86_400 * 86_400
    courses = [Course(row, time + shift, value, time + shift) for row, (time, value) in enumerate(records.series.values())]
    judged = judge(region, courses)
    return judged, _failed_rises(courses, judged)


def _failed_rises(courses: Sequence[Course], judged: Judged) -> int:
    """Readings that are FAIL inside a rise of a metre in six hours which the next reading confirms."""
    failed, at = 0, 0
    for one in courses:
        flag = judged.flag[at : at + len(one.time)]
        at += len(one.time)
        before = one.value[np.searchsorted(one.time, one.time - 6 * 3600)]
        rising = one.value - before > 1.0
        confirmed = np.append(rising[1:] & (one.value[1:] > one.value[:-1] - 0.5), False)
        failed += int((rising & confirmed & (flag == qc.FAIL)).sum())
    return failed


def faulty(kind: str, records: Records, limits: dict[str, Limits], many: int) -> tuple[list[Excerpt], list[list[Course]], Region]:
    """The excerpts, the courses of each (itself first, then its neighbours), and their region."""
    names = list(records.series)
    drawn = qc_faults.draw(kind, many, SEED, list(records.series.values()), [limits[name] for name in names])
    series: list[Series] = []
    groups = []
    for number, one in enumerate(drawn):
        name = names[one.series]
        shift = T0 - int(one.time[0])
        near = [f"{number}.{place}" for place in range(len(records.near.get(name, ())))]
        group = [Course(len(series), one.time + shift, one.value, one.received + shift)]
        series.append(_series(str(number), limits[name], quality(near)))
        for own, other in zip(near, records.near.get(name, ()), strict=True):
            time, value = records.series[other]
            part = slice(*np.searchsorted(time, [int(one.received[0]) - 86_400, int(one.received[-1])]).tolist())
            group.append(Course(len(series), time[part] + shift, value[part], time[part] + shift))
            series.append(_series(own, limits[other], None))
        groups.append(group)
    return drawn, groups, region_of(series)


def find(kind: str, records: Records, limits: dict[str, Limits], many: int) -> Found:
    """``many`` faults of a kind, judged."""
    drawn, groups, region = faulty(kind, records, limits, many)
    courses = [course for group in groups for course in group if len(course.time)]
    judged = judge(region, courses) if courses else None
    found = on_arrival = good = good_flagged = at = 0
    causes: dict[str, int] = {}
    for one, group in zip(drawn, groups, strict=True):
        assert judged is not None
        part = slice(at, at + len(one.time))
        at += sum(len(course.time) for course in group)
        flagged = judged.flagged[part] | (judged.cause[part] == qc.CODE[Cause.GAP])
        came = (judged.flag[part] >= qc.SUSPECT) | (judged.cause[part] > 0)
        hits = np.flatnonzero((flagged | came) & one.show)
        found += bool(len(hits))
        on_arrival += bool((came & one.show).any())
        first = qc.CAUSES[judged.cause[part][hits[0]]].value if len(hits) else "not found"
        first = "spike, exposed by the next" if first == "none" else first
        causes[first] = causes.get(first, 0) + 1
        right = qc_faults.right(one)
        good += int(right.sum())
        good_flagged += int((flagged & right & (judged.cause[part] != qc.CODE[Cause.GAP])).sum())
    return Found(kind, len(drawn), found, on_arrival, good, good_flagged, causes)


def measure(folder: Path, many: int, by_reference: int, configured: Region, say: Say) -> dict[str, Any]:
    """All kinds in all sets: rows for ``show``, and the document of ``--json``. ``by_reference``: so many of each by ``ioos_qc`` too."""
    ours = qc_records.ditwah(folder)
    sets = [(ours, limits_of(ours, configured))]
    sets += [(records, limits_of(records, None)) for records in (qc_records.texas(folder), *qc_records.france(folder))]
    rows: list[dict[str, Any]] = []
    for records, limits in sets:
        rows.append(_as_received(records, limits))
        say(sentence(rows[-1]))
        for kind in qc_faults.KINDS:
            one = find(kind, records, limits, many)
            if one.faults:
                rows.append(_row(records, limits, one, by_reference))
                say(sentence(rows[-1]))
    return {"faults": many, "seed": SEED, "rows": rows, "figures": _figures(rows)}


def _as_received(records: Records, limits: dict[str, Limits]) -> dict[str, Any]:
    judged, failed = clean(records, limits)
    shown = np.bincount(judged.cause[judged.flagged], minlength=len(qc.CAUSES))
    causes = {qc.CAUSES[code].value: int(number) for code, number in enumerate(shown.tolist()) if number}
    causes["spike"] = causes.get("spike", 0) + causes.pop("none", 0)  # exposed by the next
    every = np.array([bool(hit) for name, (time, value) in records.series.items() for hit in _reference(time, value, limits[name])])
    return {
        "set": records.name,
        "kind": "as received",
        "readings": len(judged.flag),
        "good_flagged": float(judged.flagged.mean()),
        "on_arrival": float((judged.flag >= qc.SUSPECT).mean()),
        "rises_failed": failed,
        "causes": causes,
        "reference_good_flagged": float(every.mean()) if len(every) else None,
    }


def _reference(time: Any, value: Any, limits: Limits) -> Any:
    try:
        return qc_reference.flagged(time, value, time, limits)
    except ImportError:
        return ()


def _row(records: Records, limits: dict[str, Limits], one: Found, by_reference: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "set": records.name,
        "kind": one.kind,
        "faults": one.faults,
        "detection": one.found / one.faults,
        "on_arrival": one.on_arrival / one.faults,
        "good_flagged": one.good_flagged / max(one.good, 1),
        "causes": one.causes,
    }
    names = list(records.series)
    each = [limits[name] for name in names]
    drawn = qc_faults.draw(one.kind, min(by_reference, one.faults), SEED, list(records.series.values()), each)
    try:
        found, good, wrong = qc_reference.find(drawn, each)
    except ImportError:
        return row
    return row | {"reference_detection": found / max(len(drawn), 1), "reference_good_flagged": wrong / max(good, 1)}


def sentence(row: dict[str, Any]) -> str:
    """One row as a line."""

    def part(name: str) -> str:
        return f"{100 * row[name]:6.2f} %" if row.get(name) is not None else "       -"

    if row["kind"] == "as received":
        causes = ", ".join(f"{cause} {number}" for cause, number in row["causes"].items())
        return (
            f"{row['set']}: {row['readings']} readings as received, flagged {part('good_flagged')} (ioos_qc "
            f"{part('reference_good_flagged')}), rises that FAIL {row['rises_failed']}: {causes}"
        )
    words = f"{row['set']:22} {row['kind']:13}{row['faults']:7} faults: found {part('detection')}, at once {part('on_arrival')}, "
    other = f"ioos_qc {part('reference_detection')}, {part('reference_good_flagged')}"
    return words + f"good flagged {part('good_flagged')}; {other}"


def _figures(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Over all sets, by faults and by readings."""
    found: dict[str, float] = {}
    for kind in qc_faults.KINDS:
        mine = [row for row in rows if row["kind"] == kind]
        if mine:
            found[f"detection_{kind}"] = sum(row["detection"] * row["faults"] for row in mine) / sum(row["faults"] for row in mine)
    received = [row for row in rows if row["kind"] == "as received"]
    readings = sum(row["readings"] for row in received)
    found["good_flagged"] = sum(row["good_flagged"] * row["readings"] for row in received) / readings
    found["rises_failed"] = float(sum(row["rises_failed"] for row in received))
    return found
