"""What goes into a beat and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from warning.model import AlertEvent, Hazard, Rejected


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings between two ticks, as columns of equal length n, in the order of the log.

    ``row``: int32, the series' row in the plan (``Plan.row``); ``time_ms``: int64; ``value``: float64, SI, NaN where the
    sender said "missing"; ``received_ms``: int64, the gateway's clock; ``sentinel``: bool, the sender sent a sentinel.
    """

    row: NDArray[np.int32]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    received_ms: NDArray[np.int64]
    sentinel: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.row)

    @staticmethod
    def none() -> Readings:
        return Readings(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float64), np.zeros(0, np.int64), np.zeros(0, np.bool_))

    @staticmethod
    def concatenate(parts: list[Readings]) -> Readings:
        """The parts one after the other; ``none()`` if there are none."""
        if not parts:
            return Readings.none()
        if len(parts) == 1:
            return parts[0]
        return Readings(*(np.concatenate([getattr(part, name) for part in parts]) for name in Readings.__slots__))


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a beat decided; the caller adds the offset of the tick (``Hazard.n``) when it writes ``hazards``."""

    now_ms: int
    applied: int = 0
    hazards: tuple[Hazard, ...] = ()
    alerts: tuple[AlertEvent, ...] = ()
    rejected: tuple[Rejected, ...] = ()  # readings that quality control failed
    flags: dict[tuple[str, str], int] = field(default_factory=dict)  # (Flag value, Cause value) -> readings of this beat
    out_of_service: dict[tuple[str, str], str] = field(default_factory=dict)  # (station, parameter) -> error, new in this beat
