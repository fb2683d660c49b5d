"""Quality control of one series, reading by reading, where something is in doubt.

The course is the last two good readings and one that waits. Rates are per hour; a spike is QARTOD's: the last but one
departs from the mean of its neighbours by more than a threshold, and lies outside of both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.model import Cause

CLEAR, BACK, CLEANLY = 1.5, 0.5, 0.2
SELDOM_S = 4 * 3600  # from the reading before to the one after: a flood can come and go between them ...
RISING = 0.2  # ... and what moved by this part of the way just before was on its way to a crest
GOES_ON = 2.0  # times the step before: a doubted river that rises no faster goes on
_CAUSES = tuple(Cause)
_HARD = (Cause.RATE_OF_RISE, Cause.RATE_OF_FALL, Cause.SPIKE)  # what the next reading can show to have been real
_NO_DOUBT = (Cause.NONE, Cause.RISE_WITHOUT_RAIN)  # of a leap: rain that no gauge measures, a dam that breaks


def is_spike(before: Any, middle: Any, after: Any, threshold: Any) -> Any:
    """Whether the middle one of three departs by more than ``threshold`` (NaN: never) and to the same side of both. Arrays or numbers."""
    return (np.abs(middle - (before + after) / 2.0) > threshold) & ((middle - before) * (middle - after) > 0.0)


def is_unusual(before: Any, middle: Any, after: Any, threshold: Any) -> Any:
    """The same by what is usual: further than ``threshold`` (NaN: never) from both, and the one after is back where it was, to a fifth of
    the way; or half as far again, and it is back half of the way."""
    there, back = np.abs(middle - before), np.abs(middle - after)
    least, apart = np.minimum(there, back), np.abs(after - before)
    clear = (least > CLEAR * threshold) & (apart <= BACK * there)
    clean = (least > threshold) & (apart <= CLEANLY * there)
    return (clear | clean) & ((middle - before) * (middle - after) > 0.0)


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
    within: float = 0.0  # changes up to this are none
    soft_t: int = 0  # newest reading that counts though it is suspect
    seen: tuple[int, float, int] = (0, 0.0, -1)  # newest reading, whether it counts or not
    counted: list[tuple[int, float]] = field(default_factory=list)
    spikes: list[int] = field(default_factory=list)
    confirmed: list[int] = field(default_factory=list)
    retracted: list[tuple[int, float]] = field(default_factory=list)
    older: Callable[[int], tuple[int, float]] = field(default=lambda before_s: (0, 0.0))  # the newest reading before a time; 0: none

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]], row: int, rise: float, fall: float, spike: float, within: float = 0.0) -> Course:
        """The course of series ``row`` as the state has it."""

        def reading(name: str) -> tuple[int, float, int]:
            return int(arrays[f"{name}_t"][row]), float(arrays[f"{name}_v"][row]), -1

        cause = _CAUSES[int(arrays["pending_cause"][row])]
        three, soft_t = (reading("last"), reading("before"), reading("pending")), int(arrays["soft_t"][row])
        return cls(float(rise), float(fall), float(spike), *three, cause, float(within), soft_t, reading("seen"))

    def take(
        self,
        time_s: int,
        value: float,
        flat: bool,
        where: int,
        usual: float = math.nan,
        soft: Cause = Cause.NONE,
        low: bool = False,
        waits: bool = False,
    ) -> Cause:
        """The next reading; returns why it is suspect, or Cause.NONE.

        ``usual``: what a spike departs by, as the series moves now. ``soft``: why others doubt it; ``low``: they say that it shows too
        little. Then it counts if it is above the last one, for there they agree with it, and else not, for nothing is cleared by it. How
        fast it rises is asked of the reading before too: what counts last may be of hours ago. ``waits``: this reading alone is in doubt;
        it counts once the next confirms it, and so do all that follow at once. ``flat``: stands as the one before, by ``within``.
        What leaps where others show less, or after one that did not count (it hung, it has shifted), waits for the next as well: one
        reading of a sensor that fails is none.
        """
        ahead, self.seen = self.seen, (time_s, value, where)
        if flat and value - self.last[1] <= self.within:
            return Cause.FLAT_LINE
        if low and self._adds_nothing(ahead[0], time_s, value, usual):
            return soft
        doubted = ahead[0] > self.last[0] or (soft not in _NO_DOUBT and not low)
        leaps = doubted and self._leaps(ahead, time_s, value, usual)
        if self.pending[0]:
            stays_up = value - self.last[1] >= 0.5 * (self.pending[1] - self.last[1]) > 0.0  # a spike is gone by the next reading
            if stays_up or self._rate(self.pending, time_s, value) is Cause.NONE:  # the next reading agrees with it: it was real
                if self.pending_cause in _HARD:
                    self.confirmed.append(self.pending[2])
                self._count(self.pending)
            elif self._rate(self.last, time_s, value) is Cause.NONE:  # back on the old course: it was a spike
                self.spikes.append(self.pending[2])
            else:
                return self._wait(time_s, value, where, soft, ahead)
            self.pending = (0, 0.0, -1)
        elif leaps or (self._rate(self.last, time_s, value) is not Cause.NONE and not self._is_back(time_s, value, usual)):
            return self._wait(time_s, value, where, soft, ahead)
        elif waits and self.soft_t != self.last[0]:
            self.pending, self.pending_cause = (time_s, value, where), soft
            return soft
        if self.before[0] and self._exposes(time_s, value, usual):
            self._retract()
        self._count((time_s, value, where))
        self.soft_t = self.soft_t if soft is Cause.NONE else time_s
        return soft

    def _adds_nothing(self, ahead_s: int, time_s: int, value: float, usual: float) -> bool:
        """Whether what shows too little is not above what counts. What waits is none then, and a spike just before is taken back."""
        if self.before[0] and ahead_s == self.last[0] and self._exposes(time_s, value, usual):
            self._retract()
        if value > self.last[1]:
            return False
        self.pending = (0, 0.0, -1)
        return True

    def _leaps(self, ahead: tuple[int, float, int], time_s: int, value: float, usual: float) -> bool:
        """Whether it is higher than what counts, and than the reading ``ahead`` by more than a spike departs by; clearly so, where that one
        counts. A river that goes on as it rose does not leap. Where readings are seldom only its rate says so: the water may well have
        gone so far, and the next reading would come hours or a day after the flood."""
        if not ahead[0] or value <= self.last[1]:
            return False
        step = value - ahead[1]
        counts = ahead[0] == self.last[0]
        rose = self.last[1] - self.before[1] if counts and self.before[0] else 0.0
        known = [each for each in (self.spike, usual) if not math.isnan(each)]
        often = time_s - ahead[0] <= SELDOM_S // 2
        departs = often and bool(known) and step > max((CLEAR if counts else 1.0) * min(known), GOES_ON * rose)
        return departs or self._rate(ahead, time_s, value) is Cause.RATE_OF_RISE

    def _is_back(self, time_s: int, value: float, usual: float) -> bool:
        """From a spike that was slow enough to count, to where the water was before it."""
        known = bool(self.before[0]) and self._rate(self.before, time_s, value) is Cause.NONE
        return known and self._is_unusual(time_s, value, usual)

    def _exposes(self, time_s: int, value: float, usual: float) -> bool:
        return bool(is_spike(self.before[1], self.last[1], value, self.spike)) or self._is_unusual(time_s, value, usual)

    def _is_unusual(self, time_s: int, value: float, usual: float) -> bool:
        """As the function; where readings are seldom only if the water was not on its way there: a crest looks like this then."""
        if not is_unusual(self.before[1], self.last[1], value, usual):
            return False
        older_s, older = self.older(self.before[0])
        if time_s - self.before[0] <= SELDOM_S or not 0 < self.before[0] - older_s <= SELDOM_S:
            return True
        came = self.before[1] - float(np.float32(older))  # as the past is kept
        return came / (self.last[1] - self.before[1]) < RISING

    def state(self) -> dict[str, float]:
        """The fields of the state."""
        out: dict[str, float] = {"pending_cause": _CAUSES.index(self.pending_cause) if self.pending[0] else 0, "soft_t": self.soft_t}
        for name, reading in (("last", self.last), ("before", self.before), ("pending", self.pending)):
            out[f"{name}_t"], out[f"{name}_v"] = reading[0], reading[1]
        return out

    def _rate(self, reading: tuple[int, float, int], time_s: int, value: float) -> Cause:
        if not reading[0]:
            return Cause.NONE
        rate = (value - reading[1]) * 3600.0 / max(time_s - reading[0], 1)
        return Cause.RATE_OF_RISE if rate > self.rise else Cause.RATE_OF_FALL if -rate > self.fall else Cause.NONE

    def _wait(self, time_s: int, value: float, where: int, soft: Cause, ahead: tuple[int, float, int]) -> Cause:
        against = (self._rate(each, time_s, value) for each in (self.last, ahead))  # the reading before may not have counted
        mine = Cause.SPIKE if soft is Cause.NONE else soft
        self.pending_cause = next((cause for cause in against if cause is not Cause.NONE), mine)
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
            self.confirmed = [where for where in self.confirmed if where != spike[2]]
        self.before = (0, 0.0, -1)
