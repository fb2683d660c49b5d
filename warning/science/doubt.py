"""Quality control of one series, reading by reading, where something is in doubt.

The course is the last two good readings and one that waits. Rates are per hour; a spike is QARTOD's: the last but one
departs from the mean of its neighbours by more than a threshold, and lies outside of both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.model import Cause

_CAUSES = tuple(Cause)


def is_spike(before: Any, middle: Any, after: Any, threshold: Any) -> Any:
    """Whether the middle one of three departs by more than ``threshold`` (NaN: never) and to the same side of both. Arrays or numbers."""
    return (np.abs(middle - (before + after) / 2.0) > threshold) & ((middle - before) * (middle - after) > 0.0)


@dataclass(slots=True)
class Course:
    """The recent course of one series. Times in s since 1970, 0: none; ``where`` numbers readings of the beat, -1: of an earlier one."""

    rise: float
    fall: float
    spike: float
    last: tuple[int, float, int]  # time, value, where
    before: tuple[int, float, int]
    pending: tuple[int, float, int]
    pending_cause: Cause
    counted: list[tuple[int, float]] = field(default_factory=list)
    spikes: list[int] = field(default_factory=list)
    confirmed: list[int] = field(default_factory=list)
    retracted: list[tuple[int, float]] = field(default_factory=list)

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]], row: int, rise: float, fall: float, spike: float) -> Course:
        """The course of series ``row`` as the state has it."""

        def reading(name: str) -> tuple[int, float, int]:
            return int(arrays[f"{name}_t"][row]), float(arrays[f"{name}_v"][row]), -1

        cause = _CAUSES[int(arrays["pending_cause"][row])]
        return cls(float(rise), float(fall), float(spike), reading("last"), reading("before"), reading("pending"), cause)

    def take(self, time_s: int, value: float, flat: bool, where: int) -> Cause:
        """The next reading; returns why it is suspect, or Cause.NONE."""
        if flat:
            return Cause.FLAT_LINE
        if self.pending[0]:
            if self._rate(self.pending, time_s, value) is Cause.NONE:  # the next reading agrees with it: it was real
                self.confirmed.append(self.pending[2])
                self._count(self.pending)
            elif self._rate(self.last, time_s, value) is Cause.NONE:  # back on the old course: it was a spike
                self.spikes.append(self.pending[2])
            else:
                return self._wait(time_s, value, where)
            self.pending = (0, 0.0, -1)
        elif self._rate(self.last, time_s, value) is not Cause.NONE:
            return self._wait(time_s, value, where)
        if self.before[0] and is_spike(self.before[1], self.last[1], value, self.spike):
            self._retract()
        self._count((time_s, value, where))
        return Cause.NONE

    def state(self) -> dict[str, float]:
        """The fields of the state."""
        out: dict[str, float] = {"pending_cause": _CAUSES.index(self.pending_cause) if self.pending[0] else 0}
        for name, reading in (("last", self.last), ("before", self.before), ("pending", self.pending)):
            out[f"{name}_t"], out[f"{name}_v"] = reading[0], reading[1]
        return out

    def _rate(self, reading: tuple[int, float, int], time_s: int, value: float) -> Cause:
        if not reading[0]:
            return Cause.NONE
        rate = (value - reading[1]) * 3600.0 / max(time_s - reading[0], 1)
        return Cause.RATE_OF_RISE if rate > self.rise else Cause.RATE_OF_FALL if -rate > self.fall else Cause.NONE

    def _wait(self, time_s: int, value: float, where: int) -> Cause:
        against = self.last
        self.pending_cause = self._rate(against, time_s, value)
        if self.pending_cause is Cause.NONE:
            self.pending_cause = Cause.SPIKE
        self.pending = (time_s, value, where)
        return self.pending_cause

    def _count(self, reading: tuple[int, float, int]) -> None:
        self.before, self.last = self.last, reading
        self.counted.append(reading[:2])

    def _retract(self) -> None:
        """The last one was a spike: it does not count any more."""
        spike, self.last = self.last, self.before
        if spike[:2] in self.counted:
            self.counted.remove(spike[:2])
        else:
            self.retracted.append(spike[:2])
        if spike[2] >= 0:
            self.spikes.append(spike[2])
        self.before = (0, 0.0, -1)
