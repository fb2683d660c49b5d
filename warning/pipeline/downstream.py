"""Which zones lie downstream of which, at a cost that grows with those asked for and not with all that there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warning.pipeline.plan import Index, Numbers, Plan

FEW = 32  # zones: up to so many, a step from one to the next is cheaper than an array operation
DENSE = 16  # one zone in so many: then one look at all is cheaper
SMALL = 4096  # zones of a partition: a look at all costs no more than the call


def with_downstream(plan: Plan, zones: Index) -> Index:
    """``zones`` and everything downstream of them, each once, upstream first."""
    total = len(plan.zones)
    if len(zones) <= FEW:
        return _one_by_one(plan, zones)
    if DENSE * len(zones) > total:
        todo = np.zeros(total, np.bool_)
        todo[zones] = True
        for up, down in plan.pairs_by_depth:
            np.logical_or.at(todo, down, todo[up])  # a zone where rivers meet is below more than one
        return plan.downwards[todo[plan.downwards]]
    found, front = [zones], zones
    while len(front):  # as often as the longest way to the sea
        _, mine = spans(plan.below_from, front)
        front = np.unique(plan.below[mine])
        found.append(front)
    return plan.downwards[np.unique(plan.place[np.concatenate(found)])]


def _one_by_one(plan: Plan, zones: Index) -> Index:
    below, below_from = plan.below, plan.below_from
    todo = zones.tolist()
    found = set(todo)
    while todo:
        zone = todo.pop()
        for down in below[below_from[zone] : below_from[zone + 1]].tolist():
            if down not in found:
                found.add(down)
                todo.append(down)
    places = plan.place[list(found)] if found else plan.place[:0]
    places.sort()
    return plan.downwards[places]


def spans(starts: Numbers, zones: Index) -> tuple[Index, Index]:
    """Of the entries ``starts[z] : starts[z + 1]`` of each of ``zones``, one after the other: (place in ``zones``, number of the entry)."""
    start = starts[zones]
    number = starts[zones + 1] - start
    of = np.arange(len(zones)).repeat(number)
    return of, np.arange(len(of)) + (start - number.cumsum() + number)[of]


def places(plan: Plan, zones: Index, wanted: Index) -> NDArray[np.intp]:
    """Where in ``zones`` (in the plan's order) each of ``wanted`` is; -1: not there."""
    total = len(plan.zones)
    if total <= SMALL or DENSE * len(zones) > total:
        place = np.full(total, -1, np.intp)
        place[zones] = np.arange(len(zones))
        return place[wanted]
    here, asked = plan.place[zones], plan.place[wanted]
    at = np.minimum(here.searchsorted(asked), len(zones) - 1)
    return np.where(here[at] == asked, at, -1)
