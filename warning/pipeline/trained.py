"""The trained model as a plan has it: what it needs to know of each zone, made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warning.errors import ConfigError, Problem
from warning.model import CLASSES
from warning.region import Region, Station, Zone
from warning.science import around, features, network, outlook


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, and what it needs of each zone (Z): the scale of its limits, who is around, whether a river's gauge judges it."""

    model: network.Model
    rule: outlook.Rule
    scale: features.Scale
    around: features.Around
    river: NDArray[np.bool_]


def trained(region: Region, zones: Sequence[Zone], limits: NDArray[np.float64], stations: Mapping[str, Station]) -> Trained | None:
    """Of the zones of a partition; None: the region has no model, or no river. Raises ConfigError for a model that is none of ours."""
    if problems := model_problems(region):
        raise ConfigError(problems)
    rules = region.forecast
    river = np.array([zone.limits.quantity in ("stage", "discharge") for zone in zones], np.bool_)
    if not rules.model or not river.any():
        return None
    cost = dict(rules.miss_cost)
    places = [stations[zone.station] for zone in zones]
    pairs = [(reach.upstream, reach.downstream) for reach in region.reaches]
    return Trained(
        network.Model.of(rules.model),
        outlook.Rule.of(
            (rules.needed_6h, rules.needed_12h, rules.needed_24h), rules.needed_keep, np.array([cost.get(level, 1.0) for level in CLASSES])
        ),
        features.Scale.of(limits, np.array([zone.limits.quantity == "stage" for zone in zones], np.bool_)),
        around.of([zone.id for zone in zones], pairs, np.array([(one.lat, one.lon) for one in places], np.float64).reshape(-1, 2)),
        river,
    )


def model_problems(region: Region) -> list[Problem]:
    """What is wrong with the region's forecast model: no model at all, of another format, or trained on other features."""
    if not region.forecast.model:
        return []
    place, fix = "region.yaml (forecast: model)", "make it with `warning train` of this version, or name `standard`"
    try:
        model = network.Model.of(region.forecast.model)
    except ValueError as error:
        return [Problem(place, str(error), fix)]
    if model.features != features.names():
        differ = sorted(set(model.features) ^ set(features.names()))
        return [Problem(place, f"it was trained on other features: {', '.join(differ[:5]) or 'the same in another order'}", fix)]
    return []
