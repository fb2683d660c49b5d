"""A hindcast as tables for people and as one JSON object for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from warning.model import Level
from warning.science.verify import LEADS_H, Skill
from warning.science.verify_bootstrap import Difference
from warning.verification.assessment import FAIR, LINES, METHODS, OURS, Assessment, Judgement
from warning.verification.official import Comparison


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def number(value: float, digits: int = 2) -> str:
    """``-`` for what is not defined."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def tables(found: Assessment, official: Mapping[Level, Comparison]) -> list[Table]:
    """One table a class, then the differences to the baselines, the forecasts, and the authorities' warnings if there are any."""
    shown = [_class(found, each, official.get(each.level)) for each in found.classes if each.skill[OURS].events]
    quiet = [each.name for each in found.classes if not each.skill[OURS].events]
    if quiet:
        shown.append(Table("No gauge crossed the limit of", ("",), ((", ".join(quiet),),)))
    shown.append(_differences(found))
    shown.append(_forecasts(found))
    if official:
        shown.append(_official(found, official))
    return shown


def _class(found: Assessment, judgement: Judgement, official: Comparison | None) -> Table:
    columns = (
        "method",
        "events",
        "alerts",
        "POD",
        "FAR",
        "CSI",
        *(f"timely {lead} h" for lead in LEADS_H),
        "lead h (quartiles)",
        "in warning",
    )
    rows = [_skill(method, judgement.skill[method]) for method in METHODS]
    if official is not None:
        authorities = _skill("authorities", official.theirs, official.far)
        rows.append((*authorities[:2], str(official.warnings), *authorities[3:]))
    low_high = {lead: judgement.intervals[lead] for lead in LEADS_H}
    rows.insert(1, ("  95 % of draws", *[""] * 5, *(f"{number(low)}-{number(high)}" for low, high in low_high.values()), "", ""))
    title = (
        f"{judgement.name} ({judgement.level.value}): {len(judgement.zones)} gauges; an alert may come {found.within_s // 3600} h before"
    )
    return Table(title, columns, tuple(rows))


def _skill(method: str, skill: Skill, far: float | None = None) -> tuple[str, ...]:
    low, middle, high = (number(each, 1) for each in skill.lead_h)
    return (
        method,
        str(skill.events),
        str(skill.alerts),
        number(skill.pod),
        number(skill.far if far is None else far),
        number(skill.csi),
        *(number(skill.timely[lead]) for lead in LEADS_H),
        f"{middle} ({low}-{high})",
        "-" if math.isnan(skill.warned_part) else f"{100 * skill.warned_part:.1f} %",
    )


def _differences(found: Assessment) -> Table:
    rows = []
    for judgement in found.classes:
        for (method, lead), each in judgement.differences.items():
            if judgement.skill[OURS].events and method in (*LINES, FAIR):
                rows.append((judgement.name, f"{lead} h", method, _difference(each)))
    return Table(
        "Timely CSI, ours less the straight line (95 % of draws, paired by event)", ("class", "lead", "than", "difference"), tuple(rows)
    )


def _difference(each: Difference) -> str:
    sure = "" if math.isnan(each.low) else ", sure" if each.sure else ", may be chance"
    return f"{each.value:+.2f} ({number(each.low)} to {number(each.high)}{sure})"


def _forecasts(found: Assessment) -> Table:
    columns = (
        "lead",
        "cases",
        "with a spread",
        "90 % covers",
        "Brier",
        "skill: climatology",
        "skill: persistence",
        "CRPS (skill: persistence)",
    )
    rows = []
    for lead, cases in found.forecasts.cases.items():
        score = found.forecasts.all.get(lead)
        crps = ", ".join(
            f"{number(ours, 3)} {'m' if quantity == 'stage' else 'm3/s'} ({number(skill)})"
            for (quantity, other), (ours, skill) in found.forecasts.crps.items()
            if other == lead
        )
        scores = (
            ("-", "-", "-") if score is None else (number(score.brier, 4), number(score.skill_climatology), number(score.skill_persistence))
        )
        covered = found.forecasts.coverage[lead]
        covers = "-" if math.isnan(covered) else f"{100 * covered:.1f} %"
        rows.append((f"{lead} h", str(cases), str(found.forecasts.with_spread[lead]), covers, *scores, crps or "-"))
    return Table("Forecasts (all classes together)", columns, tuple(rows))


def _official(found: Assessment, official: Mapping[Level, Comparison]) -> Table:
    columns = (
        "class",
        "warnings",
        "false",
        "FAR",
        "both warned",
        "only we",
        "only they",
        "neither",
        "we were earlier by h (quartiles)",
        "95 % of draws",
        "in",
    )
    rows = []
    for judgement in found.classes:
        each = official.get(judgement.level)
        if each is None or not judgement.skill[OURS].events:
            continue
        low, middle, high = (number(value, 1) for value in each.hours_earlier)
        counts = (each.both, each.only_ours, each.only_theirs, each.neither)
        earlier = f"{each.earlier_events} of {each.both}"
        rows.append(
            (
                judgement.name,
                str(each.warnings),
                str(each.false),
                number(each.far),
                *map(str, counts),
                f"{middle} ({low} to {high})",
                " to ".join(number(value, 1) for value in each.median_between),
                earlier,
            )
        )
    return Table("Against the authorities' warnings", columns, tuple(rows))


# --- JSON


def aliases(found: Assessment) -> dict[str, Judgement]:
    """The names that figures go by -> the class: each by its name, and ``minor`` and ``major``, which are MEDIUM and HIGH unless the
    region calls another class so."""
    named = {each.level.value.lower(): each for each in found.classes}
    for word, otherwise in (("minor", Level.MEDIUM), ("major", Level.HIGH)):
        called = next((each for each in found.classes if each.name.lower().split()[:1] == [word]), None)
        own = called or found.of(otherwise)
        if own is not None:
            named[word] = own
    for each in found.classes:
        first = each.name.lower().split()
        if first and first[0].isidentifier():
            named.setdefault(first[0], each)
    return named


def figures(found: Assessment, official: Mapping[Level, Comparison]) -> dict[str, float]:
    """Flat names -> numbers; what is not defined (a ratio of nothing) is left out."""
    out: dict[str, float] = {}
    for name, each in aliases(found).items():
        skill = each.skill[OURS]
        out |= {f"events_{name}": skill.events, f"alerts_{name}": skill.alerts, f"far_{name}": skill.far, f"pod_{name}": skill.pod}
        out |= {f"csi_{name}": skill.csi, f"lead_median_h_{name}": skill.lead_h[1], f"warned_part_{name}": skill.warned_part}
        for lead in LEADS_H:
            low, high = each.intervals[lead]
            out |= {f"timely_csi_{lead}h_{name}": skill.timely[lead]}
            out |= {f"timely_csi_{lead}h_{name}_low": low, f"timely_csi_{lead}h_{name}_high": high}
        for (method, lead), difference in each.differences.items():
            word = method.replace(",", "").replace(" ", "_")
            out |= {
                f"timely_csi_{lead}h_{name}_less_{word}": difference.value,
                f"timely_csi_{lead}h_{name}_less_{word}_low": difference.low,
            }
            out[f"timely_csi_{lead}h_{name}_less_{word}_high"] = difference.high
        if each.level in official:
            compared = official[each.level]
            out |= {f"official_far_{name}": compared.far, f"hours_earlier_than_official_{name}": compared.hours_earlier[1]}
    for lead, score in found.forecasts.all.items():
        out |= {f"brier_{lead}h": score.brier, f"brier_skill_climatology_{lead}h": score.skill_climatology}
        out |= {f"brier_skill_persistence_{lead}h": score.skill_persistence, f"coverage_90_at_{lead}h": found.forecasts.coverage[lead]}
    out["brier_skill_climatology"] = out.get("brier_skill_climatology_6h", float("nan"))
    return {name: value for name, value in out.items() if not math.isnan(value)}


def document(found: Assessment, official: Mapping[Level, Comparison], about: Mapping[str, Any]) -> dict[str, Any]:
    """The object for ``--json``: ``figures``, every class with every method and its events, and the units that ``--pool`` takes up."""
    return {
        "figures": figures(found, official),
        "region": found.region.id,
        **about,
        "within_h": found.within_s / 3600,
        "names": {name: each.level.value for name, each in aliases(found).items()},
        "classes": {each.level.value: _class_document(each) for each in found.classes},
        "forecasts": [
            {"class": level.value, "lead_h": lead, "cases": score.cases, "happened": score.happened, "brier": score.brier}
            | {"reliability": [(one.low, one.high, one.cases, one.forecast, one.observed) for one in score.table]}
            for (level, lead), score in found.forecasts.classes.items()
        ],
        "official": {
            level.value: {name: getattr(each, name) for name in ("both", "only_ours", "only_theirs", "neither", "warnings", "false")}
            | {"hours_earlier_quartiles": _known(each.hours_earlier), "hours_earlier_median_between": _known(each.median_between)}
            for level, each in official.items()
        },
    }


def _class_document(each: Judgement) -> dict[str, Any]:
    methods = {}
    for method, skill in each.skill.items():
        fields = ("events", "hits", "alerts", "false_alarms", "pod", "far", "csi", "warned_h", "warned_part")
        methods[method] = {name: _known(getattr(skill, name)) for name in fields}
        methods[method] |= {
            "timely": {str(lead): _known(value) for lead, value in skill.timely.items()},
            "lead_h_quartiles": _known(skill.lead_h),
        }
    events = [
        {"station": zone, "time_s": int(time), "lead_h": None if lead < 0 else round(int(lead) / 3600, 3)}
        for zone, judged in zip(each.zones, each.judged[OURS], strict=True)
        for time, lead in zip(judged.event_s, judged.lead_s, strict=True)
    ]
    units = {"event": each.units.event.tolist(), "lead_s": each.units.lead_s.tolist(), "false": each.units.false.tolist()}
    return {"name": each.name, "methods": methods, "events": events, "units": units}


def _known(value: Any) -> Any:
    """None for what is not defined: JSON has no NaN."""
    if isinstance(value, Iterable):
        return [_known(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
