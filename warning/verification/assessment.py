"""A hindcast judged: every class and method by the same events, with the intervals of the bootstrap; the forecasts by their spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from warning.model import CLASSES, Level
from warning.region import Region, Zone, named
from warning.science import verify, verify_baselines, verify_bootstrap
from warning.science.verify import Judged, Skill
from warning.science.verify_bootstrap import Difference, Units
from warning.verification import fair
from warning.verification.forecasts import Forecasts, forecasts
from warning.verification.observed import Track
from warning.verification.said import Said

OURS = "ours"
THRESHOLD = "threshold"
LINES = {f"straight line {ahead} h": ahead for ahead in verify_baselines.AHEAD_H}
FAIR = "straight line, fair"  # its horizon chosen on the other rivers, so that it is in time as often as it can with few false alarms
METHODS = (OURS, THRESHOLD, *LINES, FAIR)
SEED = 20250827  # of the bootstrap: the same figures each time; the day on which the Chenab rose
FAR_AHEAD_H = 24  # timely CSI at this lead takes alerts of two days before an event; else none could be in time

Equal = frozenset[tuple[str, Level]]  # (zone, class) whose limit is that of the class above it


@dataclass(frozen=True, slots=True)
class Judgement:
    """One class: ``judged[method]`` per zone of ``zones``, in that order."""

    level: Level
    name: str
    zones: tuple[str, ...]
    judged: Mapping[str, tuple[Judged, ...]]
    skill: Mapping[str, Skill]
    units: Units  # of METHODS
    intervals: Mapping[int, tuple[float, float]]  # lead in hours -> timely CSI of ours
    differences: Mapping[tuple[str, int], Difference]  # (baseline, lead in hours) -> ours less it


@dataclass(frozen=True, slots=True)
class Assessment:
    """All of a hindcast. ``tracks`` and ``said`` by zone."""

    region: Region
    within_s: int
    tracks: Mapping[str, Track]
    said: Mapping[str, Said]
    classes: tuple[Judgement, ...]
    forecasts: Forecasts

    def of(self, level: Level) -> Judgement | None:
        return next((each for each in self.classes if each.level is level), None)


def limit_of(zone: Zone, level: Level, equal: Equal = frozenset()) -> float | None:
    """The limit of the class at that zone; where the table gave two classes the same one, that of the class above."""
    values = zone.limits.values
    if level in values or (zone.id, level) not in equal:
        return values.get(level)
    return next((values[above] for above in CLASSES if above > level and above in values), None)


def class_name(region: Region, level: Level) -> str:
    names = region.class_names.get(level)
    return named(names, "en") if names else level.name.lower()


def assess(
    region: Region, tracks: Mapping[str, Track], said: Mapping[str, Said], equal: Equal = frozenset(), within_s: int = verify.WITHIN_S
) -> Assessment:
    """Judges every class that a zone of the region has. Zones without a reading count for nothing."""
    rng = np.random.default_rng(SEED)
    zones = [zone for zone in region.zones if zone.id in tracks and zone.id in said]
    quantities = {zone.id: zone.limits.quantity for zone in zones}
    by_class = {level: {zone.id: value for zone in zones if (value := limit_of(zone, level, equal)) is not None} for level in CLASSES}
    horizons = fair.horizons({zone.id: zone.river for zone in zones}, tracks, quantities, by_class, within_s)
    classes = [_judge(region, level, limits, horizons, tracks, said, within_s, rng) for level, limits in by_class.items() if limits]
    found = forecasts(quantities, by_class, tracks, said)
    return Assessment(region, within_s, tracks, said, tuple(classes), found)


def _judge(
    region: Region,
    level: Level,
    limits: Mapping[str, float],
    horizons: Mapping[str, float],
    tracks: Mapping[str, Track],
    said: Mapping[str, Said],
    within_s: int,
    rng: np.random.Generator,
) -> Judgement:
    judged, far = _judged(region, level, limits, horizons, tracks, said, (within_s, max(within_s, 2 * FAR_AHEAD_H * 3600)))
    units, far_units = (verify_bootstrap.units([found[method] for method in METHODS], within_s) for found in (judged, far))
    skill = {method: verify.skill(each) for method, each in judged.items()}
    for method, each in far.items():
        skill[method].timely[FAR_AHEAD_H] = verify.skill(each).timely[FAR_AHEAD_H]
    of_lead = {lead: far_units if lead == FAR_AHEAD_H else units for lead in verify.LEADS_H}
    return Judgement(
        level=level,
        name=class_name(region, level),
        zones=tuple(limits),
        judged={method: tuple(each) for method, each in judged.items()},
        skill=skill,
        units=units,
        intervals={lead: verify_bootstrap.interval(verify_bootstrap.draws(of_lead[lead], lead, rng)[0]) for lead in verify.LEADS_H},
        differences=differences([units], rng),
    )


def _judged(
    region: Region,
    level: Level,
    limits: Mapping[str, float],
    horizons: Mapping[str, float],
    tracks: Mapping[str, Track],
    said: Mapping[str, Said],
    withins_s: Sequence[int],
) -> list[dict[str, list[Judged]]]:
    """For each of ``withins_s``: method -> what it made of each zone."""
    found: list[dict[str, list[Judged]]] = [{method: [] for method in METHODS} for _ in withins_s]
    covered_s = max(int(track.time_s[-1]) for track in tracks.values()) - min(int(track.time_s[0]) for track in tracks.values())
    for zone, limit in limits.items():
        track, resolution = tracks[zone], fair.RESOLUTION[region.zone_by_id[zone].limits.quantity]
        events = verify.crossings(track.time_s, track.value, limit, resolution)
        speaks = {OURS: said[zone].alerts(level), THRESHOLD: fair.spells(track, track.value, limit, resolution)}
        for name, ahead_h in (*LINES.items(), (FAIR, horizons[zone])):
            speaks[name] = fair.spells(track, verify_baselines.straight_line(track.time_s, track.value, ahead_h), limit, resolution)
        for method, alerts in speaks.items():
            for judged, within_s in zip(found, withins_s, strict=True):
                judged[method].append(verify.judge(events, alerts, within_s, covered_s))
    return found


def differences(sets: Sequence[Units], rng: np.random.Generator, leads_h: Sequence[int] = (3, 6)) -> dict[tuple[str, int], Difference]:
    """Ours less each other method, all sets of units taken as one; paired by event."""
    sample = verify_bootstrap.pooled(sets)
    return {
        (method, lead): verify_bootstrap.difference(sample, 0, number, lead, rng)
        for number, method in enumerate(METHODS)
        if number
        for lead in leads_h
    }
