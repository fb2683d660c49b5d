"""Several hindcasts as one: the difference to the baselines over all their events. Takes up the units that ``--json`` wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warning.errors import ConfigError, Problem
from warning.science import verify_bootstrap
from warning.science.verify_bootstrap import Difference, Units
from warning.verification.assessment import FAIR, LINES, METHODS, OURS, SEED, Assessment, differences
from warning.verification.fair import LEADS_H
from warning.verification.tables import Table, aliases, number

NAMES = ("minor", "major")


@dataclass(frozen=True, slots=True)
class Pooled:
    """``sets``: of how many hindcasts; by name of the class and ``all``: events, false part and timely CSI by method, differences."""

    sets: int
    events: Mapping[str, int]
    far: Mapping[str, Mapping[str, float]]
    timely: Mapping[str, Mapping[tuple[str, int], float]]
    differences: Mapping[str, Mapping[tuple[str, int], Difference]]


def read(path: Path) -> dict[str, Units]:
    """minor and major -> units. Raises ConfigError if it is no JSON of a hindcast."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        names = document["names"]
        found = {name: document["classes"][names[name]]["units"] for name in NAMES if name in names}
        return {name: _units(columns) for name, columns in found.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"is no JSON of a hindcast: {type(error).__name__} {error}"
        raise ConfigError([Problem(f"--pool {path}", what, "make it with warning hindcast ... --json FILE")]) from error


def _units(columns: Mapping[str, list[object]]) -> Units:
    units = Units(
        np.array(columns["event"], np.bool_),
        np.array(columns["lead_s"], np.int64).reshape(len(METHODS), -1),
        np.array(columns["false"], np.int64).reshape(len(METHODS), -1),
    )
    if not len(units.event) == units.lead_s.shape[1] == units.false.shape[1]:
        raise ValueError("columns of different lengths")
    return units


def together(found: Assessment, others: list[dict[str, Units]]) -> Pooled:
    """This hindcast with others."""
    named = aliases(found)
    sets = [{name: named[name].units for name in NAMES if name in named}, *others]
    units = {name: verify_bootstrap.pooled(own) for name in NAMES if (own := [each[name] for each in sets if name in each])}
    if len(units) > 1:
        units["all"] = verify_bootstrap.pooled(list(units.values()))
    rng = np.random.default_rng(SEED)
    return Pooled(
        sets=len(sets),
        events={name: int(each.event.sum()) for name, each in units.items()},
        far={name: {method: _far(each, place) for place, method in enumerate(METHODS)} for name, each in units.items()},
        timely={
            name: {(method, lead): verify_bootstrap.timely(each, place, lead) for place, method in enumerate(METHODS) for lead in LEADS_H}
            for name, each in units.items()
        },
        differences={name: differences([each], rng) for name, each in units.items()},
    )


def _far(units: Units, method: int) -> float:
    """False alarms over false alarms and warned events: the alerts themselves are not in the units."""
    false, hits = int(units.false[method].sum()), int((units.lead_s[method] >= 0).sum())
    return false / (false + hits) if false + hits else math.nan


def table(pooled: Pooled) -> Table:
    rows = []
    for name, found in pooled.differences.items():
        far, timely = pooled.far[name], pooled.timely[name]
        for (method, lead), each in found.items():
            if method in (*LINES, FAIR):
                sure = "sure" if each.sure else "may be chance"
                values = f"{number(timely[OURS, lead])} : {number(timely[method, lead])}"
                false = f"{number(far[OURS])} : {number(far[method])}"
                interval = f"{each.low:+.2f} to {each.high:+.2f}"
                rows.append((name, str(pooled.events[name]), f"{lead} h", method, values, false, f"{each.value:+.2f}", interval, sure))
    title = f"{pooled.sets} hindcasts together: timely CSI, ours less the straight line"
    columns = ("class", "events", "lead", "than", "timely CSI", "false part", "difference", "95 % of draws", "")
    return Table(title, columns, tuple(rows))


def figures(pooled: Pooled) -> dict[str, float]:
    out: dict[str, float] = {"pooled_sets": pooled.sets}
    for name, found in pooled.differences.items():
        out |= {f"pooled_events_{name}": pooled.events[name], f"pooled_false_part_{name}": pooled.far[name][OURS]}
        out |= {f"pooled_timely_csi_{lead}h_{name}": pooled.timely[name][OURS, lead] for lead in LEADS_H}
        for (method, lead), each in found.items():
            word = f"pooled_timely_csi_{lead}h_{name}_less_{method.replace(',', '').replace(' ', '_')}"
            out |= {word: each.value, f"{word}_low": each.low, f"{word}_high": each.high}
    return {name: value for name, value in out.items() if not math.isnan(value)}
