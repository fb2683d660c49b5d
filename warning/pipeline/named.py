"""The names of a state's rows as a checkpoint has them: a line each, as bytes that are written like any table and never kept twice.

They are what a take-over by another configuration finds its rows by. With the same configuration nobody reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.errors import ExitCode, StateError
from warning.pipeline.plan import Plan

Arrays = dict[str, NDArray[Any]]


def names(plan: Plan) -> Arrays:
    """``s.names`` ...: of series (station/parameter), zones, histories (zones) and rain (stations), in the order of their rows."""
    rain = [] if plan.rain is None else plan.rain.series.tolist()
    return {
        "s.names": packed(f"{one.station}/{one.parameter.value}" for one in plan.series),
        "z.names": packed(zone.id for zone in plan.zones),
        "h.names": packed(zone.id for zone, row in zip(plan.zones, plan.history_row.tolist(), strict=True) if row >= 0),
        "r.names": packed(plan.series[row].station for row in rain),
    }


def packed(lines: Iterable[str]) -> NDArray[np.uint8]:
    """The lines in UTF-8, each with its end; none may hold one."""
    return np.frombuffer("".join(f"{line}\n" for line in lines).encode(), np.uint8)


def pairs(mine: NDArray[np.uint8], theirs: NDArray[np.uint8], rows: int) -> tuple[Any, Any]:
    """Which of their ``rows`` go where: (to, of). Raises StateError where they have another number of names."""
    if np.array_equal(mine, theirs):
        return slice(None), slice(None)
    old = _lines(theirs)
    if len(old) != rows:
        raise StateError(
            f"the checkpoint has {len(old)} names for {rows} rows: it was not written by this program",
            exit_code=ExitCode.CHECKPOINT_DIGEST,
            reason="checkpoint_names",
        )
    place = {name: number for number, name in enumerate(old)}
    found = [(number, place[name]) for number, name in enumerate(_lines(mine)) if name in place]
    return np.array([pair[0] for pair in found], np.intp), np.array([pair[1] for pair in found], np.intp)


def _lines(array: NDArray[np.uint8]) -> list[str]:
    return array.tobytes().decode().split("\n")[:-1]
