"""The warnings that the authorities issued, beside ours: whose came first, and how many were false.

CSV: ``river`` or ``station`` (a gauge's id or name, a river, or a basin, as the region has them), ``time`` with its offset, ``level``
(a class or the region's name of it; empty: of any class). Agencies warn of rivers and not of gauges: a warning counts for every gauge of
its river, and it is false where none of them reaches the class in the next 24 h.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warning.errors import ConfigError, Problem
from warning.model import CLASSES, Level
from warning.region import Region
from warning.science import verify, verify_bootstrap
from warning.science.verify import Judged, Skill, Spells
from warning.verification.assessment import OURS, SEED, Judgement, class_name


@dataclass(frozen=True, slots=True)
class Official:
    """One warning of an authority. ``level`` None: of any class."""

    where: str
    zones: frozenset[str]
    time_s: int
    level: Level | None

    def says(self, level: Level) -> bool:
        return self.level is None or self.level >= level


@dataclass(frozen=True, slots=True)
class Comparison:
    """One class. ``hours_earlier``: of the events that both warned of, lower quartile, median, upper quartile of our lead less theirs;
    ``median_between``: the middle 95 % of that median when these events are drawn with replacement. ``only_ours``, ``only_theirs``,
    ``neither``: events by who warned of them before or as they came; ``warnings``, ``false``: theirs."""

    level: Level
    theirs: Skill
    both: int
    only_ours: int
    only_theirs: int
    neither: int
    hours_earlier: tuple[float, float, float]
    median_between: tuple[float, float]
    earlier_events: int  # of those both warned of: where ours came first
    warnings: int
    false: int

    @property
    def far(self) -> float:
        return verify.ratio(self.false, self.warnings)


def read(path: Path, region: Region) -> tuple[Official, ...]:
    """By time. Raises ConfigError with every line that is wrong."""
    places, levels = _places(region), _levels(region)
    problems: list[Problem] = []
    found: list[Official] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(line for line in file if not line.startswith("#"))
            for row in lines:
                try:
                    found.append(_warning(row, places, levels))
                except ValueError as error:
                    what, _, fix = str(error).partition("; ")
                    problems.append(Problem(f"{path}:{lines.line_num}", what, fix))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        problems.append(Problem(str(path), f"cannot be read: {error}", "a CSV file in UTF-8: river or station, time, level"))
    if problems or not found:
        raise ConfigError(problems or [Problem(str(path), "no warning in it", "columns river or station, time, level")])
    return tuple(sorted(found, key=lambda one: one.time_s))


def _warning(row: Mapping[str, str | None], places: Mapping[str, frozenset[str]], levels: Mapping[str, Level]) -> Official:
    cells = {name.strip().lower(): (cell or "").strip() for name, cell in row.items() if isinstance(cell, str) and name}
    where = cells.get("station") or cells.get("river") or cells.get("basin") or ""
    if not where:
        raise ValueError("no river, station or basin; write which one was warned of")
    zones = places.get(_key(where))
    if zones is None:
        if cells.get("outside", "").lower() in ("yes", "true"):
            zones = frozenset()
        else:
            near = difflib.get_close_matches(_key(where), places, n=1)
            hint = f"did you mean {near[0]}?" if near else "a gauge's id, a river or a basin of the region; outside = yes if it is none"
            raise ValueError(f"{where!r} is nowhere in the region; {hint}")
    try:
        time = datetime.fromisoformat(cells.get("time", ""))
    except ValueError:
        raise ValueError(f"time {cells.get('time', '')!r}; write it like 2025-11-27T18:00:00+05:30") from None
    if time.tzinfo is None:
        raise ValueError(f"time {cells['time']!r} has no offset; write it like 2025-11-27T18:00:00+05:30")
    word = cells.get("level", "").lower()
    if word and word not in levels:
        raise ValueError(f"level {word!r}; one of {', '.join(levels)}, or empty")
    return Official(where, zones, int(time.timestamp()), levels[word] if word else None)


def _key(name: str) -> str:
    return name.strip().lower().replace("-", " ")


def _places(region: Region) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for zone in region.zones:
        for name in (zone.basin, zone.river, zone.id, *zone.names.values()):
            found.setdefault(_key(name), set()).add(zone.id)
    return {name: frozenset(zones) for name, zones in found.items()}


def _levels(region: Region) -> dict[str, Level]:
    named = {class_name(region, level).lower(): level for level in CLASSES}
    words = {name.split()[0]: level for name, level in named.items()}
    return words | named | {level.value.lower(): level for level in CLASSES}


def compare(judgement: Judgement, warnings: tuple[Official, ...], within_s: int = verify.WITHIN_S) -> Comparison:
    """What the authorities' warnings were worth for one class, beside ours."""
    own = [one for one in warnings if one.says(judgement.level)]
    events = dict(zip(judgement.zones, (each.event_s for each in judgement.judged[OURS]), strict=True))
    theirs: list[Judged] = []
    for zone in judgement.zones:
        times = np.array([one.time_s for one in own if zone in one.zones], np.int64)
        theirs.append(verify.judge(events[zone], Spells(times, times), within_s))
    lead_ours = np.concatenate([each.lead_s for each in judgement.judged[OURS]])
    lead_theirs = np.concatenate([each.lead_s for each in theirs])
    ours, them = lead_ours >= 0, lead_theirs >= 0
    earlier = (lead_ours - lead_theirs)[ours & them] / 3600.0
    quartiles = tuple(float(each) for each in np.percentile(earlier, (25, 50, 75))) if len(earlier) else (float("nan"),) * 3
    inside = [one for one in own if one.zones & set(judgement.zones)]
    false = sum(not any(_follows(events[zone], one.time_s, within_s) for zone in one.zones if zone in events) for one in inside)
    return Comparison(
        level=judgement.level,
        theirs=_of_rivers(verify.skill(theirs), false),
        both=int((ours & them).sum()),
        only_ours=int((ours & ~them).sum()),
        only_theirs=int((~ours & them).sum()),
        neither=int((~ours & ~them).sum()),
        hours_earlier=(quartiles[0], quartiles[1], quartiles[2]),
        median_between=_median_between(earlier),
        earlier_events=int((earlier > 0).sum()),
        warnings=len(inside),
        false=false,
    )


def _median_between(earlier: NDArray[np.float64]) -> tuple[float, float]:
    """How sure the median is, by event; NaN without one that both warned of."""
    if not len(earlier):
        return float("nan"), float("nan")
    drawn = np.random.default_rng(SEED).choice(earlier, (verify_bootstrap.DRAWS, len(earlier)))
    return verify_bootstrap.interval(np.median(drawn, axis=1))


def _of_rivers(skill: Skill, false: int) -> Skill:
    """With false alarms counted once a warning and not once a gauge of its river."""
    whole = skill.events + false
    timely = {lead: verify.ratio(value * (skill.events + skill.false_alarms), whole) for lead, value in skill.timely.items()}
    return replace(skill, false_alarms=false, csi=verify.ratio(skill.hits, whole), timely=timely)


def _follows(event_s: verify.Seconds, time_s: int, within_s: int) -> bool:
    return bool(((event_s >= time_s) & (event_s <= time_s + within_s)).any())
