"""What the trained model makes of a gauge's own past: the fan of its level, the chance of each class, and what is enough to warn.

Z zones, L times of a forecast, values in the zone's SI unit, times in s since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warning.science import features, network
from warning.science.normal import logistic

LEADS_S = 3600.0 * np.array(network.LEADS_H)
RULE_LEADS_H = (6, 12, 24)  # within how many hours the rule asks
_RULE = [network.LEADS_H.index(lead) for lead in RULE_LEADS_H]
_DAY = network.LEADS_H.index(24)
NINETY = 2.0 * 1.645  # standard deviations between the 5 % and the 95 % quantile
LEAST_NEED, MOST_NEED = 0.02, 8.0  # units; a limit that is farther is not in sight
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rule:
    """Chance needed by class and lead of ``RULE_LEADS_H`` (5, 3); what part of it keeps an expectation alive."""

    needed: Numbers
    keep: float

    @staticmethod
    def of(needed: tuple[float, ...], keep: float, miss_cost: NDArray[np.float64]) -> Rule:
        """A miss that costs c times as much as usual divides the needed odds by c (cost-loss: Murphy, 1977). ``miss_cost`` (5,)."""
        part = np.clip(np.array(needed), 0.001, 0.999)
        odds = (part / (1.0 - part))[None, :] / miss_cost[:, None]
        return Rule(odds / (1.0 + odds), keep)


@dataclass(frozen=True, slots=True)
class Own:
    """(Z, 5): the chance that a class is reached within 24 h, what part that is of what is needed (1: enough), when it is expected.

    ``leads`` (Z, L): where the zone's own past, and not a wave, makes the course; ``told`` (Z,): the model spoke.
    """

    chance: Numbers
    share: Numbers
    arrival_s: NDArray[np.int64]
    leads: NDArray[np.bool_]
    told: NDArray[np.bool_]
    keep: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """Of Z zones: whether the model spoke, and the median, spread and reach of its fan (Z, L).

    ``table`` (N, F), ``unit``, ``per_span``, ``value``, ``time_s`` (N,): of the N zones ``zone`` for which it did.
    """

    told: NDArray[np.bool_]
    median: Numbers
    sigma: Numbers
    inside: NDArray[np.bool_]
    zone: NDArray[np.intp]
    table: Numbers
    unit: Numbers
    per_span: Numbers
    value: Numbers
    time_s: NDArray[np.int64]
    model: network.Model

    @staticmethod
    def of(
        model: network.Model,
        past: features.Past,
        span: Numbers,
        table: Numbers,
        told: NDArray[np.bool_],
        base: Numbers,
        knot_s: NDArray[np.int64],
    ) -> Outlook:
        """``table``: the features of all Z; ``told``: those to be asked for; ``base`` (Z,): the reading that the forecast starts from."""
        zone = np.flatnonzero(told)
        table, unit, value, time_s = table[zone], past.unit[zone], base[zone], past.time_s[zone]
        fan = model.fan(table) * unit[:, None, None]
        ahead = (knot_s[None, :] - time_s[:, None]).astype(np.float64)
        middle = at_leads(fan[:, :, 2], ahead)
        spread = at_leads(fan[:, :, 4] - fan[:, :, 0], ahead) / NINETY
        shape = (len(told), len(knot_s))
        median, sigma, inside = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, np.bool_)
        median[zone], sigma[zone] = value[:, None] + middle, spread
        inside[zone] = ahead <= LEADS_S[-1]
        return Outlook(told, median, sigma, inside, zone, table, unit, unit / span[zone], value, time_s, model)

    def own(self, limits: Numbers, rule: Rule, leads: NDArray[np.bool_] | None) -> Own:
        """The classes (Z, 5) by their ``limits``; ``leads``: see ``forecast.Course.own``."""
        zones = len(self.told)
        chance, share = np.zeros((2, zones, limits.shape[1]))
        arrival = np.zeros((zones, limits.shape[1]), np.int64)
        need = (limits[self.zone] - self.value[:, None]) / self.unit[:, None]
        above = need > 0.0
        # Of the classes that are reached already only the highest is asked for: whether it rises further.
        highest = np.where(need <= 0.0, np.arange(limits.shape[1]), -1).max(axis=1, initial=-1)
        asked = (above & (need < MOST_NEED)) | (np.arange(limits.shape[1])[None, :] == highest[:, None])
        place, column = np.nonzero(asked)
        if len(place):
            units = np.maximum(need[place, column], LEAST_NEED)
            toward = features.toward(self.table[place], units, units * self.per_span[place])
            within = logistic(self.model.exceedance(self.table, place, toward))  # (M, leads)
            zone = self.zone[place]
            chance[zone, column] = within[:, _DAY]
            share[zone, column] = (within[:, _RULE] / rule.needed[column]).max(axis=1)
            arrival[zone, column] = _arrival(within, self.time_s[place])
        return Own(
            chance, share, arrival, np.zeros_like(self.inside) if leads is None else leads & self.told[:, None], self.told, rule.keep
        )


def at_leads(values: Numbers, ahead_s: Numbers) -> Numbers:
    """``values`` (N, leads) at the times ``ahead_s`` (N, L) after the reading: linear, 0 at the reading, held beyond the last lead."""
    edges = np.concatenate(([0.0], LEADS_S))
    padded = np.concatenate((np.zeros((len(values), 1)), values), axis=1)
    shift = (2.0 * LEADS_S[-1]) * np.arange(len(values))[:, None]
    wanted = np.clip(ahead_s, 0.0, LEADS_S[-1]) + shift
    return np.asarray(np.interp(wanted.ravel(), (edges[None, :] + shift).ravel(), padded.ravel())).reshape(ahead_s.shape)


def _arrival(within: Numbers, time_s: NDArray[np.int64]) -> NDArray[np.int64]:
    """When half of the chance of the next 24 h is spent: the middle of when it comes if it comes. To ten minutes."""
    half = 0.5 * within[:, _DAY]
    padded = np.concatenate((np.zeros((len(within), 1)), within), axis=1)
    edges = np.concatenate(([0.0], LEADS_S))
    after = np.maximum((padded >= half[:, None]).argmax(axis=1), 1)
    here = np.arange(len(within))
    low, high = padded[here, after - 1], padded[here, after]
    part = np.clip((half - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    found = time_s + edges[after - 1] + part * (edges[after] - edges[after - 1])
    return np.asarray((found / 600.0).astype(np.int64) * 600)
