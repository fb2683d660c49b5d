"""Which way the water flows: gauges with those upstream first."""

from __future__ import annotations

import heapq


def downstream_order(ids: list[str], reaches: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """(upstream before downstream, as near to the given order as can be; the ids that stand in or below a loop)."""
    place = {one: number for number, one in enumerate(ids)}
    known = {(place[up], place[down]) for up, down in reaches if up in place and down in place}
    if all(up < down for up, down in known):
        return ids, []
    missing = [0] * len(ids)
    below: dict[int, list[int]] = {}
    for up, down in known:
        missing[down] += 1
        below.setdefault(up, []).append(down)
    ready = [number for number, above in enumerate(missing) if not above]
    ordered: list[str] = []
    while ready:
        here = heapq.heappop(ready)  # the order in which they become ready does not matter
        ordered.append(ids[here])
        for down in below.get(here, ()):
            missing[down] -= 1
            if not missing[down]:
                heapq.heappush(ready, down)
    return ordered, [one for one, above in zip(ids, missing, strict=True) if above]
