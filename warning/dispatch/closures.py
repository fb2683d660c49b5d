"""How long each channel was closed lately: time in which no receipt could come over it."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

MOST = 1000  # closures remembered of a channel


@dataclass
class Closures:
    """``note`` what a channel says of itself, by one clock (ms). A channel that said nothing yet is open."""

    _closed: dict[str, int] = field(default_factory=dict)  # channel -> since when
    _past: dict[str, deque[tuple[int, int]]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=MOST)))

    def note(self, channel: str, up: bool, at_ms: int) -> None:
        if not up:
            self._closed.setdefault(channel, at_ms)
        elif (since := self._closed.pop(channel, None)) is not None:
            self._past[channel].append((since, at_ms))

    def closed_ms(self, channel: str, from_ms: int, until_ms: int) -> int:
        """How much of that time it was closed."""
        spans = [*self._past.get(channel, ()), *([(self._closed[channel], until_ms)] if channel in self._closed else [])]
        return sum(max(0, min(end, until_ms) - max(begin, from_ms)) for begin, end in spans)
