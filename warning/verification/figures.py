"""The figures of a hindcast, as PNG: hydrographs with the fan of the forecast, reliability, lead times, timely CSI, a map of the gauges.

Colours are those of Okabe and Ito (2008), which people with any colour vision tell apart; what differs in colour differs in form too.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
from matplotlib import dates as untyped
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from warning.model import CLASSES, Level
from warning.region import named
from warning.science.verify import LEADS_H, Judged, Seconds
from warning.verification.assessment import METHODS, OURS, Assessment, Judgement, limit_of
from warning.verification.forecasts import LEADS_H as FORECAST_LEADS_H
from warning.verification.official import Official
from warning.verification.said import Issue

dates: Any = untyped  # matplotlib says nothing of the types there
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
)
GREY = "#777777"
OF_CLASS = {Level.LOW: SKY, Level.MEDIUM: ORANGE, Level.HIGH: VERMILION, Level.VERY_HIGH: PURPLE, Level.EXCEPTIONAL: BLACK}
OF_METHOD = dict(
    zip(
        METHODS,
        ((BLUE, "-", "o"), (GREY, ":", "s"), (ORANGE, "--", "^"), (GREEN, "--", "v"), (VERMILION, "--", "D"), (PURPLE, "-.", "P")),
        strict=True,
    )
)
BEFORE_S, AFTER_S = 48 * 3600, 48 * 3600  # what is shown around a zone's events
AROUND = 6  # readings, where they are days apart
FANS = 3  # forecasts drawn in one hydrograph
DPI = 110


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure. ``name``: of its file; ``text``: what it shows, for those who cannot see it."""

    name: str
    text: str
    png: bytes


def _png(figure: Figure) -> bytes:
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=DPI, metadata={"Software": None})
    return held.getvalue()


def _times(time_s: Any) -> Any:
    return dates.date2num([datetime.fromtimestamp(float(each), UTC) for each in np.atleast_1d(time_s)])


def _time_axis(axes: Any, found: Assessment) -> None:
    zone = timezone(timedelta(seconds=found.region.utc_offset_s))
    locator = dates.AutoDateLocator(tz=zone, minticks=4, maxticks=12)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=zone))
    axes.set_xlabel(f"time ({found.region.timezone_name})")


def _shown_class(found: Assessment, zone: str) -> Judgement | None:
    """The highest class that the zone reached."""
    reached = [each for each in found.classes if zone in each.zones and len(each.judged[OURS][each.zones.index(zone)].event_s)]
    return reached[-1] if reached else None


def worst(found: Assessment, most: int) -> list[str]:
    """The zones with events, those of the highest class first, then those that rose most above its limit."""
    ranked = []
    for zone, track in found.tracks.items():
        judgement = _shown_class(found, zone)
        if judgement is not None:
            limit = limit_of(found.region.zone_by_id[zone], judgement.level) or float(np.max(track.value))
            ranked.append((-judgement.level.rank, -float(np.max(track.value)) / limit, zone))
    return [zone for _, _, zone in sorted(ranked)[:most]]


def hydrograph(found: Assessment, zone: str, warnings: Sequence[Official] = ()) -> Picture:
    """Readings, limits, crossings, forecasts as they were at our alerts, and when we and the authorities warned."""
    judgement = _shown_class(found, zone)
    assert judgement is not None, "worst() names only zones with an event"
    noun, track, said = found.region.zone_by_id[zone], found.tracks[zone], found.said[zone]
    judged = judgement.judged[OURS][judgement.zones.index(zone)]
    begin, end = stretch(track.time_s, judged)
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    axes, bars = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    inside = (track.time_s >= begin) & (track.time_s <= end)
    axes.plot(_times(track.time_s[inside]), track.value[inside], color=BLACK, lw=1.4, marker=".", ms=3, label="reading")
    for level, limit in noun.limits.values.items():
        axes.axhline(limit, color=OF_CLASS[level], ls="--", lw=1.2)
        axes.annotate(
            _class(found, level), (1.005, limit), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=OF_CLASS[level]
        )
    _fans(axes, [_issue_at(said.issues, int(e - lead)) for e, lead in zip(judged.event_s, judged.lead_s, strict=True) if lead >= 0][:FANS])
    crossed = [float(track.value[np.searchsorted(track.time_s, each)]) for each in judged.event_s]
    axes.plot(_times(judged.event_s), crossed, "v", color=VERMILION, ms=9, mec=BLACK, label=f"crossing of {judgement.name}")
    axes.set_ylabel("stage, m" if noun.limits.quantity == "stage" else "discharge, m³/s")
    axes.set_xlim(_times(begin)[0], _times(end)[0])
    axes.legend(loc="best", fontsize=8, framealpha=0.9)
    axes.set_title(f"{named(noun.names, 'en')}, {noun.river}", loc="left", fontsize=12)
    axes.grid(alpha=0.25)
    _bars(bars, found, zone, begin, end, warnings)
    lead = ", ".join("not warned" if each < 0 else f"{each / 3600:.1f} h ahead" for each in judged.lead_s)
    return Picture(
        f"hydrograph-{zone}", f"{named(noun.names, 'en')}: {judgement.name} reached {len(judged.event_s)} times; {lead}", _png(figure)
    )


def stretch(time_s: Seconds, judged: Judged) -> tuple[int, int]:
    """From our first alert, or two days before the first crossing, to two days after the last; some readings before and after at least."""
    first, last = int(judged.event_s[0]), int(judged.event_s[-1])
    before, after = np.searchsorted(time_s, [first, last])
    alerts = [int(event - lead) for event, lead in zip(judged.event_s, judged.lead_s, strict=True) if lead >= 0]
    begin = min([first - BEFORE_S, int(time_s[max(0, before - AROUND)]), *alerts])
    return begin, max(last + AFTER_S, int(time_s[min(len(time_s) - 1, after + AROUND)]))


def _class(found: Assessment, level: Level) -> str:
    return named(found.region.class_names[level], "en") if level in found.region.class_names else level.name


def _issue_at(issues: Sequence[Issue], time_s: int) -> Issue | None:
    near = [issue for issue in issues if time_s - 5400 <= issue.at_s <= time_s + 5400 and len(issue.lead_h)]
    return min(near, key=lambda issue: abs(issue.at_s - time_s)) if near else None


def _fans(axes: Any, issues: Sequence[Issue | None]) -> None:
    label = True
    for issue in issues:
        if issue is None:
            continue
        known = ~np.isnan(issue.quantiles).any(axis=1)
        at = _times(issue.at_s + issue.lead_h[known].astype(np.float64) * 3600.0)
        fan = issue.quantiles[known].astype(np.float64)
        if len(at):
            axes.fill_between(
                at, fan[:, 0], fan[:, -1], color=SKY, alpha=0.25, lw=0, label="forecast at our alert: 90 %" if label else None
            )
            axes.fill_between(at, fan[:, 1], fan[:, -2], color=BLUE, alpha=0.30, lw=0, label="50 %" if label else None)
            axes.plot(at, fan[:, len(fan[0]) // 2], color=BLUE, lw=1.2, ls="-.", label="median" if label else None)
            label = False


def _bars(axes: Any, found: Assessment, zone: str, begin: int, end: int, warnings: Sequence[Official]) -> None:
    """When each class was warned of, and when the authorities warned."""
    rows = [level for level in CLASSES if limit_of(found.region.zone_by_id[zone], level) is not None]
    for row, level in enumerate(rows):
        spells = found.said[zone].alerts(level)
        for first, last in zip(spells.start.tolist(), spells.end.tolist(), strict=True):
            left, right = max(first, begin), min(max(last, first + 600), end)
            if left < right:
                axes.barh(
                    row, _times(right)[0] - _times(left)[0], left=_times(left)[0], height=0.7, color=OF_CLASS[level], ec=BLACK, lw=0.5
                )
    theirs = [one.time_s for one in warnings if zone in one.zones and begin <= one.time_s <= end]
    names = [f"we: {_class(found, level)}" for level in rows]
    if theirs:
        axes.plot(_times(theirs), [len(rows)] * len(theirs), "D", color=GREEN, mec=BLACK, ms=6)
        names.append("authorities")
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(axis="x", alpha=0.25)
    _time_axis(axes, found)


def reliability(found: Assessment) -> Picture | None:
    """Forecast probability against how often it happened, at four leads."""
    leads = [lead for lead in FORECAST_LEADS_H if lead in found.forecasts.all]
    if not leads:
        return None
    figure = Figure(figsize=(6.4, 6.8), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1.2))
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, label="perfect")
    for number, (lead, color, mark) in enumerate(zip(leads, (BLUE, GREEN, ORANGE, VERMILION), "o^sD", strict=False)):
        table = found.forecasts.all[lead].table
        axes.plot(
            [one.forecast for one in table], [one.observed for one in table], color=color, marker=mark, lw=1.4, label=f"{lead} h ahead"
        )
        middle = np.array([(one.low + one.high) / 2 for one in table]) + (number - 1.5) * 0.012
        counts.bar(middle, [one.cases for one in table], width=0.011, color=color)
    axes.set_ylabel("how often the limit was reached")
    axes.set_title("Reliability, all classes", loc="left")
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.legend(loc="best", fontsize=9)
    axes.grid(alpha=0.25)
    counts.set_yscale("log")
    counts.set_ylabel("cases")
    counts.set_xlabel("forecast probability")
    counts.grid(alpha=0.25, axis="y")
    return Picture("reliability", "Reliability diagram of the forecasts", _png(figure))


def _with_events(found: Assessment) -> list[Judgement]:
    return [each for each in found.classes if each.skill[OURS].events]


def leads(found: Assessment) -> Picture | None:
    """How long before each event we warned; one row of bars a class."""
    classes = _with_events(found)
    if not classes:
        return None
    edges = np.array([0, 1, 3, 6, 12, 24, max(48.0, found.within_s / 3600.0)])
    names = ["missed", *(f"{low:g}-{high:g}" for low, high in itertools.pairwise(edges.tolist()))]
    figure = Figure(figsize=(8, 1.2 + 1.7 * len(classes)), layout="constrained")
    for axes, each in zip(np.atleast_1d(figure.subplots(len(classes), 1, sharex=True)), classes, strict=True):
        lead = np.concatenate([one.lead_s for one in each.judged[OURS]]) / 3600.0
        heights = [int((lead < 0).sum()), *np.histogram(np.minimum(lead[lead >= 0], edges[-1]), edges)[0].tolist()]
        drawn = axes.bar(names, heights, color=[GREY, *[OF_CLASS[each.level]] * (len(names) - 1)], ec=BLACK, lw=0.6)
        axes.bar_label(drawn, [str(one) if one else "" for one in heights], fontsize=8)
        axes.margins(y=0.2)
        axes.set_ylabel("events")
        axes.set_title(f"{each.name}: {each.skill[OURS].events} events", loc="left", fontsize=10)
    axes.set_xlabel("hours from our alert to the crossing")
    return Picture("lead-times", "Histogram of lead times by class", _png(figure))


def timely(found: Assessment) -> Picture | None:
    """Timely CSI over lead, every method, with the interval of ours."""
    classes = _with_events(found)
    if not classes:
        return None
    figure = Figure(figsize=(4.2 * min(len(classes), 3), 4.4 * -(-len(classes) // 3)), layout="constrained")
    grid = figure.subplots(-(-len(classes) // 3), min(len(classes), 3), sharey=True, squeeze=False)
    for axes, each in zip(grid.flat, classes, strict=False):
        low, high = zip(*(each.intervals[lead] for lead in LEADS_H), strict=True)
        axes.fill_between(range(len(LEADS_H)), low, high, color=BLUE, alpha=0.15, lw=0, label="95 % of draws")
        for method, (color, line, mark) in OF_METHOD.items():
            values = [each.skill[method].timely[lead] for lead in LEADS_H]
            axes.plot(range(len(LEADS_H)), values, color=color, ls=line, marker=mark, ms=4, lw=2 if method == OURS else 1.1, label=method)
        axes.set_xticks(range(len(LEADS_H)), [str(lead) for lead in LEADS_H])
        axes.set_xlabel("hours ahead, at least")
        axes.set_title(f"{each.name} ({each.skill[OURS].events} events)", loc="left", fontsize=10)
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.25)
    for axes in grid.flat[len(classes) :]:
        axes.set_axis_off()
    grid[0][0].set_ylabel("timely CSI")
    grid[0][0].legend(fontsize=8)
    return Picture("timely-csi", "Timely CSI of every method", _png(figure))


_MARKS = {
    "warned 3 h ahead or more": (GREEN, "o"),
    "warned, less than 3 h ahead": (ORANGE, "^"),
    "missed": (VERMILION, "X"),
    "no flood, no alert": (GREY, "."),
    "false alarm only": (PURPLE, "s"),
}


def verdicts(found: Assessment) -> Mapping[str, str]:
    """Zone -> how its worst event went, in the words of the map; classes below the second are left out where there are higher ones."""
    out = dict.fromkeys(found.tracks, "no flood, no alert")
    for each in found.classes[1:] or found.classes:
        for zone, judged in zip(each.zones, each.judged[OURS], strict=True):
            if len(judged.lead_s):
                worst_lead = int(judged.lead_s.min())
                ahead = "warned 3 h ahead or more" if worst_lead >= 10_800 else "warned, less than 3 h ahead"
                out[zone] = "missed" if worst_lead < 0 else ahead
            elif judged.false.any() and out[zone] == "no flood, no alert":
                out[zone] = "false alarm only"
    return out


def map_of(found: Assessment) -> Picture | None:
    """Gauges at their places, with how their worst flood was warned of; reaches as thin lines. None without positions."""
    placed = {one.id: (one.lat, one.lon) for one in found.region.stations if one.lat is not None and one.lon is not None}
    shown = {zone: word for zone, word in verdicts(found).items() if zone in placed}
    if not shown:
        return None
    figure = Figure(figsize=(8, 8), layout="constrained")
    axes = figure.subplots()
    for reach in found.region.reaches:
        if reach.upstream in placed and reach.downstream in placed:
            (y1, x1), (y2, x2) = placed[reach.upstream], placed[reach.downstream]
            axes.plot([x1, x2], [y1, y2], color=SKY, lw=1, zorder=1)
    for word, (color, mark) in _MARKS.items():
        mine = [placed[zone] for zone, one in shown.items() if one == word]
        if mine:
            axes.scatter([lon for _, lon in mine], [lat for lat, _ in mine], c=color, marker=mark, s=70, ec=BLACK, lw=0.5, zorder=2)
    for zone in worst(found, 25):
        if zone in placed:
            lat, lon = placed[zone]
            name = named(found.region.zone_by_id[zone].names, "en").split(" near ")[0][:28]
            axes.annotate(name, (lon, lat), xytext=(5, 4), textcoords="offset points", fontsize=7)
    present = [word for word in _MARKS if word in shown.values()]
    handles = [Line2D([], [], color=_MARKS[word][0], marker=_MARKS[word][1], ls="", mec=BLACK, ms=8, label=word) for word in present]
    axes.legend(handles=handles, fontsize=8, loc="best")
    axes.set_xlabel("longitude, ° E")
    axes.set_ylabel("latitude, ° N")
    axes.set_aspect(1.0 / max(0.2, float(np.cos(np.radians(np.mean([placed[zone][0] for zone in shown]))))))
    axes.set_title("How the worst flood of each gauge was warned of\n(lines: which drains to which)", loc="left", fontsize=10)
    axes.grid(alpha=0.2)
    return Picture("map", "Map of the gauges", _png(figure))


def pictures(found: Assessment, warnings: Sequence[Official] = (), most: int = 12) -> list[Picture]:
    """Every figure that the hindcast has something for."""
    general = [each for each in (timely(found), leads(found), reliability(found), map_of(found)) if each is not None]
    return general + [hydrograph(found, zone, warnings) for zone in worst(found, most)]
