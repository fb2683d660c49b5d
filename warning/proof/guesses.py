"""How often somebody may ask about a code: a token bucket for each address, and one for all of them together.

Both are asked before the code is looked at, so "too often" says nothing about it. Memory is bounded: of more addresses than
``MOST`` the one that was silent longest gets a full bucket again; the common one does not forget.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from warning.errors import Unavailable

MOST = 10_000


@dataclass(slots=True)
class _Bucket:
    per_s: float
    most: float
    left: float
    at_s: float

    def wait_s(self, now_s: float) -> float:
        """How long until there is one; 0: there is."""
        self.left = min(self.most, self.left + max(0.0, now_s - self.at_s) * self.per_s)
        self.at_s = now_s
        return max(0.0, (1.0 - self.left) / self.per_s)


@dataclass
class Guesses:
    """A family behind one router asks ``burst`` times at once, then ten times a minute; all together fifty times a second, for in a
    flood thousands ask. ``clock_s``: monotonic."""

    clock_s: Callable[[], float]
    per_minute: float = 10.0
    burst: int = 20
    in_all_per_s: float = 50.0
    in_all_burst: int = 1_000
    _each: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict, init=False)

    def __post_init__(self) -> None:
        self._all = _Bucket(self.in_all_per_s, float(self.in_all_burst), float(self.in_all_burst), self.clock_s())

    def take(self, address: str) -> None:
        """Raises ``Unavailable`` (reason ``rate_limited``, with ``retry_after_s``). Of IPv6 the network of 64 bits counts as one."""
        now_s, who = self.clock_s(), network(address)
        mine = self._each.get(who)
        if mine is None:
            mine = self._each[who] = _Bucket(self.per_minute / 60, float(self.burst), float(self.burst), now_s)
            if len(self._each) > MOST:
                self._each.popitem(last=False)
        self._each.move_to_end(who)
        wait_s = mine.wait_s(now_s) or self._all.wait_s(now_s)  # who is over his own limit takes nothing from the others'
        if wait_s:
            raise Unavailable("asked too often; try again later", reason="rate_limited", retry_after_s=wait_s)
        mine.left -= 1.0
        self._all.left -= 1.0


def network(address: str) -> str:
    """The address; of IPv6 its first 64 bits; anything else (a telephone number) as it is."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return found.exploded[:19]
    return str(found)
