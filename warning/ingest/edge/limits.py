"""The limits of one series on the spot: when a class stands, when it is over. No clock, no file: both times are arguments.

A class stands after two readings that reach it, from ``Rules.at_once`` on after one; it is over after an hour of good readings below its
limit less the margin. What is missing, implausible, old or from the future decides nothing, and silence clears nothing.
Durations are of the even clock (``Clock.even_ms``), so a leap of the time of day neither clears nor deafens.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from warning.model import Level, Parameter
from warning.site import Rules, Sensor

_GAP = 3  # times the interval: after a longer one the hour begins anew
_FUTURE_MS = 5 * 60 * 1000


class Judged(enum.StrEnum):
    """What became of a reading at its limits."""

    COUNTED = "counted"
    NO_LIMITS = "no_limits"
    MISSING = "missing"
    GROSS_RANGE = "gross_range"
    STALE = "stale"
    FUTURE = "future"
    OLDER = "older"  # than one that has been judged
    SAME = "same"  # the same reading again is no second one


@dataclass(frozen=True, slots=True)
class Seen:
    """One reading as the limits see it. ``time_ms``: its own; ``sure``: that can be compared with now."""

    value: float | None  # SI
    time_ms: int
    now_ms: int
    even_ms: int
    sure: bool
    own_time: bool  # it came with a time: one without is of now


class Watch:
    """One series. ``level``: the class that stands; hand it in again after a restart."""

    def __init__(self, sensor: Sensor, rules: Rules, level: Level = Level.NORMAL) -> None:
        self.sensor, self._rules, self.level = sensor, rules, level
        self._newest_ms: int | None = None
        self._newest_value: float | None = None
        self._judged_even_ms = 0
        self._old: tuple[int, int] | None = None  # (its time, even clock) of the last one with an old time
        self._reached = self._before = Level.NORMAL  # by the newest reading; by the one before
        self._below_since_ms: int | None = None
        self._below_level = Level.NORMAL
        self._digits = 3 if sensor.parameter is Parameter.STAGE else 1

    def reached(self, value: float | None) -> Level:
        """The highest class whose limit a value reaches."""
        return Level.NORMAL if value is None else self._class(value, 0.0)

    def see(self, seen: Seen) -> Judged:
        """Takes a reading into account; ``level`` may be another afterwards."""
        judged = self._admitted(seen)
        if judged is not Judged.COUNTED or seen.value is None:
            return judged
        gap = seen.even_ms - self._judged_even_ms > _GAP * self.sensor.every_s * 1000
        first = self._newest_ms is None
        if not (seen.own_time and seen.time_ms == self._newest_ms):
            self._before = self._reached  # else a revision: it takes its predecessor's place, and does not confirm it
        self._newest_ms, self._newest_value, self._judged_even_ms = seen.time_ms, seen.value, seen.even_ms
        if gap or first:
            self._below_since_ms = None
        self._rise(seen.value)
        self._fall(seen.value, seen.even_ms)
        return judged

    def clock_set(self) -> None:
        """The time of day is another now: what was newest by the old one says nothing."""
        self._newest_ms = None

    def _admitted(self, seen: Seen) -> Judged:
        sensor = self.sensor
        if not sensor.limits:
            return Judged.NO_LIMITS
        if seen.value is None:
            return Judged.MISSING
        low, high = sensor.plausible_min, sensor.plausible_max
        if (low is not None and seen.value < low) or (high is not None and seen.value > high):
            return Judged.GROSS_RANGE
        if seen.sure and seen.own_time:
            if seen.time_ms < seen.now_ms - self._rules.stale_after * sensor.every_s * 1000 and not self._in_step(seen):
                return Judged.STALE
            if seen.time_ms > seen.now_ms + _FUTURE_MS:
                return Judged.FUTURE
        return self._in_order(seen)

    def _in_step(self, seen: Seen) -> bool:
        """An old time that goes on as fast as the even clock is a wrong clock, ours or the sensor's, and no history that is sent later."""
        before, self._old = self._old, (seen.time_ms, seen.even_ms)
        if before is None:
            return False
        passed_ms, half_ms = seen.even_ms - before[1], self.sensor.every_s * 500
        return passed_ms >= half_ms and abs(seen.time_ms - before[0] - passed_ms) <= half_ms

    def _in_order(self, seen: Seen) -> Judged:
        """By its own time against the newest; unless so long ago that a clock must have been set back in between."""
        if self._newest_ms is None:
            return Judged.COUNTED
        since_ms = seen.even_ms - self._judged_even_ms
        if not seen.own_time:
            # One that came again for want of an answer must not confirm itself.
            doubled = seen.value == self._newest_value and since_ms < self.sensor.every_s * 500
            return Judged.SAME if doubled else Judged.COUNTED
        if seen.time_ms == self._newest_ms and seen.value == self._newest_value:
            return Judged.SAME
        if seen.sure and self._newest_ms > seen.now_ms + _FUTURE_MS:
            return Judged.COUNTED  # the newest is of a clock that has been set back since
        if seen.time_ms < self._newest_ms and (seen.sure or since_ms < 2 * self.sensor.every_s * 1000):
            return Judged.OLDER
        return Judged.COUNTED

    def _class(self, value: float, margin: float) -> Level:
        value = round(value, self._digits)
        level = Level.NORMAL
        for name, limit in self.sensor.limits:
            if value >= round(limit - margin, self._digits):
                level = name
        return level

    def _rise(self, value: float) -> None:
        reached = self._class(value, 0.0)
        confirmed = min(reached, self._before, key=lambda level: level.rank)
        sure = reached if reached >= self._rules.at_once else confirmed
        self._reached = reached
        self.level = max(self.level, sure, key=lambda level: level.rank)

    def _fall(self, value: float, even_ms: int) -> None:
        kept = self._class(value, self.sensor.margin)
        if kept >= self.level:
            self._below_since_ms = None
            return
        if self._below_since_ms is None:
            self._below_since_ms, self._below_level = even_ms, kept
            return
        self._below_level = max(self._below_level, kept, key=lambda level: level.rank)
        if even_ms - self._below_since_ms >= self._rules.clear_after_s * 1000:
            self.level, self._below_since_ms = self._below_level, None
