"""Who is around a gauge: right upstream, all above it, the nearest. For ``features``; made once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from warning.science.features import Around

NEAREST, NEAR_KM = 5, 70.0
ABOVE = 3  # steps upstream
CROWD = 1024  # gauges looked at around one; only the first of more
BLOCK = 256  # gauges whose neighbours are found at once


def of(ids: Sequence[str], pairs: Iterable[tuple[str, str]], places: NDArray[np.float64]) -> Around:
    """``pairs``: (upstream, downstream), unknown ones are left out; ``places`` (Z, 2): degrees north and east."""
    number = {name: place for place, name in enumerate(ids)}
    parents: list[list[int]] = [[] for _ in ids]
    for upper, lower in pairs:
        if upper in number and lower in number and number[upper] not in parents[number[lower]]:
            parents[number[lower]].append(number[upper])
    return Around(_padded(parents), _padded([_above(parents, place) for place in range(len(ids))]), _near(places))


def _above(parents: list[list[int]], place: int) -> list[int]:
    found: set[int] = set()
    front = {place}
    for _ in range(ABOVE):
        front = {upper for lower in front for upper in parents[lower]} - found
        found |= front
    return sorted(found)


def _padded(lists: list[list[int]]) -> NDArray[np.int32]:
    out = np.full((len(lists), max([1, *map(len, lists)])), -1, np.int32)
    for place, one in enumerate(lists):
        out[place, : len(one)] = one
    return out


def _near(places: NDArray[np.float64]) -> NDArray[np.int32]:
    """The nearest gauges within ``NEAR_KM`` (equirectangular), by a grid of that width: (Z, NEAREST). A gauge without a place has none."""
    out = np.full((len(places), NEAREST), -1, np.int32)
    placed = np.flatnonzero(~np.isnan(places).any(axis=1))
    if not len(placed):
        return out
    middle = float(np.mean(places[placed, 0]))
    per_degree = np.array([111.0, 111.0 * max(1.0 - (middle / 90.0) ** 2, 0.05)])  # cosine to 4 %: no transcendental
    at = places * per_degree
    cells: dict[tuple[int, int], list[int]] = {}
    for place, (north, east) in zip(placed.tolist(), (at[placed] // NEAR_KM).astype(np.int64).tolist(), strict=True):
        cells.setdefault((north, east), []).append(place)
    for (north, east), members in cells.items():
        others = np.array(
            sorted(place for up in (-1, 0, 1) for right in (-1, 0, 1) for place in cells.get((north + up, east + right), ()))[:CROWD],
            np.intp,
        )
        for start in range(0, len(members), BLOCK):
            block = np.array(members[start : start + BLOCK], np.intp)
            apart = ((at[others] - at[block, None]) ** 2).sum(axis=2)
            apart[others == block[:, None]] = np.inf
            order = np.argsort(apart, axis=1, kind="stable")[:, :NEAREST]  # of equally near ones the first
            close = np.take_along_axis(apart, order, axis=1) <= NEAR_KM**2
            out[block, : order.shape[1]] = np.where(close, others[order], -1)
    return out
