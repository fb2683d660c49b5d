"""How much goes in one request, how long an answer may take, and how long to wait after a failure: as the link is just now."""

from __future__ import annotations

import random

_FIRST_ITEMS = 32
_SMALL = 16  # they fit one packet: fewer would not get through any better, and the newest of every series shall come at once
_MOST_TIMEOUT_S = 60.0
_MOST_WAIT_S = 30.0


class Pace:
    """Requests double with each success and halve with each failure; where even small ones time out, they get more time.

    Waits double from 1 s to 30 s, jittered over their upper half, so that a valley's nodes do not all come back at once.
    """

    def __init__(self, most_items: int, timeout_s: float, chance: random.Random) -> None:
        self._most_items, self._least_timeout_s, self._chance = most_items, timeout_s, chance
        self.items = min(_FIRST_ITEMS, most_items)
        self.timeout_s = timeout_s
        self.failures = 0  # in a row

    def good(self) -> None:
        self.failures = 0
        self.items = min(self._most_items, self.items * 2)
        self.timeout_s = max(self._least_timeout_s, self.timeout_s / 2)

    def bad(self, *, timed_out: bool) -> float:
        """How long to wait, in s."""
        if timed_out and self.items <= _SMALL:
            self.timeout_s = min(_MOST_TIMEOUT_S, self.timeout_s * 1.5)
        self.failures += 1
        self.items = min(self.items, max(_SMALL, self.items // 2))
        return self.wait_s()

    def wait_s(self) -> float:
        longest = min(_MOST_WAIT_S, 2.0 ** min(self.failures - 1, 6))
        return longest * self._chance.uniform(0.5, 1.0)
