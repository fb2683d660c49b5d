"""What the pipeline said of each zone over time, taken from the hazards that its beats tell.

An **alert** of a class, for verification, begins when the higher of the confirmed and the expected class first reaches it, and stands as
the alerts do that people get: as long as the reading with its margin, or an expectation with the smaller chance that keeps one alive, is of
that class. A silent gauge ends nothing, as a silent gauge clears no alert; what is expected of it can still rise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from warning.model import Forecast, Level
from warning.science.verify import Spells, spells

LONGEST_LEAD_H = 26.0  # of a forecast that is kept: what is verified looks a day ahead
ISSUE_S = 3600  # a forecast an hour is judged, however many there are
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles of a forecast, as far as a hindcast wants them
_Z = (-1.6448536269514722, -0.6744897501960817, 0.0, 0.6744897501960817, 1.6448536269514722)  # of the normal distribution, at LEVELS
_RANK = {level.value: level.rank for level in Level}


@dataclass(frozen=True, slots=True)
class Issue:
    """One forecast as it was told. ``lead_h`` (L,), ``quantiles`` (L, 5) at ``LEVELS``, SI; empty where nothing but "as it is" was said."""

    at_s: int
    value: float
    lead_h: NDArray[np.float32]
    quantiles: NDArray[np.float32]


@dataclass(slots=True)
class Said:
    """Of one zone: ``at_s`` and the class's ``rank`` that was warned of then; the forecasts."""

    at_s: list[int] = field(default_factory=list)
    rank: list[int] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    observed_ms: int = -1
    hour: int = -1

    def alerts(self, level: Level) -> Spells:
        """When ``level`` or a higher class was warned of."""
        return spells(np.array(self.at_s, np.int64), np.array(self.rank, np.int64) >= level.rank)

    def take(self, row: Any) -> None:
        """One hazard, as a row or a noun: its fields, classes by name."""
        at_s = row.at_ms // 1000
        rank = max(_rank(row.level_confirmed), _rank(row.level_expected), 0)
        if self.rank:
            held = max(_rank(row.level_cleared), _rank(row.level_expected_cleared))
            rank = max(rank, self.rank[-1] if row.silent_since_ms is not None else min(self.rank[-1], held))
        if self.at_s and self.at_s[-1] == at_s:
            self.rank[-1] = rank
        else:
            self.at_s.append(at_s)
            self.rank.append(rank)
        if row.observed_ms is not None and row.observed_ms != self.observed_ms and row.value is not None:
            self.observed_ms = row.observed_ms
            if row.observed_ms // 1000 // ISSUE_S != self.hour:
                self.hour = row.observed_ms // 1000 // ISSUE_S
                self.issues.append(_issue(at_s, float(row.value), row.forecast))


def _rank(level: Any) -> int:
    return int(_RANK[getattr(level, "value", level)])


def _issue(at_s: int, value: float, forecast: Any) -> Issue:
    if forecast is None:
        return Issue(at_s, value, np.zeros(0, np.float32), np.zeros((0, len(LEVELS)), np.float32))
    told = msgspec.json.decode(msgspec.json.encode(forecast), type=Forecast)  # a row holds what goes to JSON as it is, whatever that is
    lead = np.array(told.lead_h, np.float64)
    near = lead <= LONGEST_LEAD_H
    near[: np.count_nonzero(near) + 1] = True  # and the one beyond, to have what is between
    median, sigma = (np.array([np.nan if each is None else each for each in values], np.float64) for values in (told.median, told.sigma))
    quantiles = median[near, None] + sigma[near, None] * np.array(_Z)
    return Issue(at_s, value, lead[near].astype(np.float32), quantiles.astype(np.float32))


class Listener:
    """Collects what beats tell of the zones that it knows. ``raised``: (station, parameter) -> what a computation on it raised."""

    def __init__(self, zones: Iterable[str]) -> None:
        self.raised: dict[tuple[str, str], str] = {}
        self.zones = {zone: Said() for zone in zones}

    def take(self, rows: Iterable[Any]) -> None:
        """Hazards in the order in which they were decided."""
        for row in rows:
            said = self.zones.get(row.zone)
            if said is not None:
                said.take(row)
