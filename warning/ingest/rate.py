"""How much a key may send: a token bucket each (readings a minute), so that one device gone mad does not slow the others.

A bucket holds a whole request at least, however low the limit: else a backlog could never come in. Limits are each gateway's own, and
forgotten when it restarts. Memory is bounded: of more keys than ``MOST_KEYS`` the one that was silent longest gets a full bucket again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from warning.errors import Unavailable
from warning.ingest.body import MOST_ITEMS
from warning.ingest.gateway import MOST_KEPT_BYTES
from warning.ingest.keys import Key

DEVICE_PER_MINUTE = 6_000  # a key for some stations: a month of minutes in under eight
PROVIDER_PER_MINUTE = 600_000  # a key for all of them
MOST_KEYS = 10_000
PHOTO = 100  # readings that one counts as

_READING_BYTES = 200  # of JSON, about

RATE_LIMITED = "rate_limited"


@dataclass(slots=True)
class Bucket:
    """``left`` readings at ``at_s``; ``per_minute`` more each minute, up to ``most``."""

    per_minute: int
    most: float
    left: float
    at_s: float

    def filled(self, now_s: float) -> None:
        self.left = min(self.most, self.left + max(0.0, now_s - self.at_s) * self.per_minute / 60)
        self.at_s = now_s

    def take(self, readings: int) -> None:
        """Before anything is appended; ``give_back`` if the log is away. Raises Unavailable (``rate_limited``): nothing of the request
        is taken and nothing kept, for its sender has it still."""
        if self.left < readings:
            again_s = max(1, ceil((readings - self.left) * 60 / self.per_minute))
            raise Unavailable(f"this key may send {self.per_minute} readings a minute", reason=RATE_LIMITED, retry_after_s=again_s)
        self.left -= readings

    def give_back(self, readings: int) -> None:
        self.left = min(self.most, self.left + readings)

    @property
    def headers(self) -> dict[str, str]:
        """RateLimit and RateLimit-Policy as structured fields (draft-ietf-httpapi-ratelimit-headers)."""
        to_full_s = ceil((self.most - self.left) * 60 / self.per_minute)
        policy = f'"readings";q={int(self.most)};w={ceil(self.most * 60 / self.per_minute)}'
        return {"RateLimit-Policy": policy, "RateLimit": f'"readings";r={max(0, int(self.left))};t={to_full_s}'}


def worth(body: bytes) -> int:
    """A body that is none counts as the readings that would be so long: a device gone mad must not fill ``readings.rejected``."""
    return 1 + min(len(body), MOST_KEPT_BYTES) // _READING_BYTES


class Limits:
    """The buckets of one gateway. ``clock_s``: monotonic."""

    def __init__(self, clock_s: Callable[[], float], *, device: int = DEVICE_PER_MINUTE, provider: int = PROVIDER_PER_MINUTE) -> None:
        self._clock_s, self._device, self._provider = clock_s, device, provider
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    @contextmanager
    def holding(self, key: Key, readings: int) -> Iterator[None]:
        """Takes them before the work within, and gives them back where that finds the log away. Raises Unavailable (``rate_limited``)."""
        bucket = self.bucket(key)
        if bucket is not None:
            bucket.take(readings)
        try:
            yield
        except Unavailable:
            if bucket is not None:
                bucket.give_back(readings)
            raise

    def bucket(self, key: Key) -> Bucket | None:
        """As it is now; None: no limit."""
        per_minute = key.per_minute if key.per_minute is not None else self._device if key.stations else self._provider
        if not per_minute:
            return None
        now_s = self._clock_s()
        found = self._buckets.get(key.id)
        if found is None or found.per_minute != per_minute:
            most = float(max(per_minute, MOST_ITEMS))
            found = self._buckets[key.id] = Bucket(per_minute, most, most, now_s)
            if len(self._buckets) > MOST_KEYS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key.id)
        found.filled(now_s)
        return found
