"""The time of a node that may have no battery clock: what is sure, and what has to wait until somebody says what time it is.

A Raspberry Pi comes up with the time of its last shutdown. CLOCK_BOOTTIME goes on evenly all the same; so whatever happened in this
boot can be dated as soon as its distance from UTC is known: from NTP (the kernel says that it is synchronised), from a battery clock
(the site's file says so), or from the gateway's answers.
"""

from __future__ import annotations

import ctypes
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 512  # more than struct timex has on any Linux
_LEAP_MS = 2000  # the system's clock against the even one: more is a step
_DISAGREE_MS = 5000
NO_TIME_MS = 253_402_300_800_000  # the year 10000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Now:
    """``sure`` False: by a clock that nobody has set yet."""

    ms: int
    boot_ms: int
    sure: bool


def boot_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def system_ms() -> int:
    return time.time_ns() // 1_000_000


def boot_id() -> str:
    """Of this boot; another one after each. Raises OSError."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def kernel_synchronised() -> bool:
    """Whether NTP (or PTP, or GPS) disciplines the system's clock; False where the kernel does not say."""
    try:
        libc = ctypes.CDLL(None)
        state: int = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return False
    return 0 <= state < _TIME_ERROR


def least_ms(remembered: str | None) -> int:
    """The newest sure time that an outbox remembers; 0 if none, or if a dying card has made it none."""
    found = int(remembered) if remembered and remembered.isascii() and remembered.isdecimal() and len(remembered) < 20 else 0
    if remembered and not 0 < found < NO_TIME_MS:
        _log.error("the newest sure time cannot be read: %r", remembered[:40])
    return found if found < NO_TIME_MS else 0


class Clock:
    """UTC as far as this node knows it. ``least_ms``: the newest sure time of earlier boots; a clock before it is certainly wrong."""

    def __init__(
        self,
        *,
        battery: bool = False,
        least_ms: int = 0,
        system: Callable[[], int] = system_ms,
        even: Callable[[], int] = boot_ms,
        synchronised: Callable[[], bool] = kernel_synchronised,
    ) -> None:
        self._battery, self.least_ms = battery, least_ms
        self._system, self._even, self._synchronised = system, even, synchronised
        self._offset_ms: int | None = None  # UTC less the even clock
        self._how = ""
        self.look()

    @property
    def offset_ms(self) -> int | None:
        """UTC less CLOCK_BOOTTIME; None: nobody has said."""
        return self._offset_ms

    @property
    def how(self) -> str:
        """Who said what time it is: ntp, battery, gateway; "": nobody."""
        return self._how

    def even_ms(self) -> int:
        return self._even()

    def now(self) -> Now:
        even = self._even()
        if self._offset_ms is not None:
            return Now(even + self._offset_ms, even, True)
        return Now(max(self._system(), self.least_ms), even, False)

    def look(self) -> bool:
        """Looks at the system's clock; every few seconds. True: from now on the time is sure, and was not."""
        offset = self._system() - self._even()
        believable = self._even() + offset >= self.least_ms
        if believable and self._synchronised():
            return self._set(offset, "ntp")
        if believable and self._battery and self._how in ("", "battery"):
            return self._set(offset, "battery")
        return False

    def told(self, utc_ms: int, asked_even_ms: int, *, accurate_ms: int = 0) -> bool:
        """The gateway's time, in an answer to what was asked at ``asked_even_ms``. True: from now on the time is sure, and was not."""
        half = (self._even() - asked_even_ms) // 2
        offset = utc_ms - asked_even_ms - half
        doubt = half + accurate_ms
        if self._offset_ms is None or (self._how == "battery" and abs(offset - self._offset_ms) > _DISAGREE_MS + doubt):
            return self._set(offset, "gateway")
        if abs(offset - self._offset_ms) > _DISAGREE_MS + doubt:
            if self._how == "gateway":
                return self._set(offset, "gateway")
            _log.warning("the gateway's clock is %+.1f s from ours, which is set by %s", (offset - self._offset_ms) / 1000, self._how)
        return False

    def _set(self, offset_ms: int, how: str) -> bool:
        before, was = self._offset_ms, self._how
        if before is not None and how == was and abs(offset_ms - before) <= _LEAP_MS and how == "ntp":
            self._offset_ms = offset_ms  # slewed
            return False
        if before is not None and how == was and how == "battery":
            return False  # a step of a clock that nobody disciplines is not followed
        self._offset_ms, self._how = offset_ms, how
        if before is None:
            _log.info("the time is sure, by %s", how)
        elif how != was or abs(offset_ms - before) > _LEAP_MS:
            _log.warning("the time is by %s now, %+.1f s", how, (offset_ms - before) / 1000)
        return before is None
