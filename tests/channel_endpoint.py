"""A channel that posts to somebody's HTTP server, for the conformance suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from channel_conformance import Side

from warning.region import Contact, Region


def side(
    channel: Any, region: Region, contact: Contact, server: Any, behave: Callable[..., None], *, refuses: dict[str, object], silent_s: float
) -> Side:
    """``server``: with ``start``, ``stop`` and ``taken``; ``behave``: from now on; ``refuses``: how it refuses for good."""
    return Side(
        channel,
        region,
        contact,
        reject=lambda: behave(**refuses),
        throttle=lambda: behave(status=429, retry_after="1", times=2),
        silence=lambda: behave(after_s=silent_s),
        reset=lambda: behave(reset=True),
        heal=behave,
        go_away=server.stop,
        come_back=server.start,
        taken=lambda: len(server.taken),
    )
