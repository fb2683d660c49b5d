"""Our clock against the brokers': how far it is off, and when that is too far."""

from __future__ import annotations

from warning.errors import ExitCode, StateError

MOST_S = 5.0


def offset_s(before_ms: int, after_ms: int, broker_ms: int | None) -> float:
    """Seconds that our clock is ahead of the broker's at least, which took a record between ``before_ms`` and ``after_ms``.

    0 where it may be right, and for a broker that does not tell its time (the embedded one: it is on this machine).
    """
    if broker_ms is None:
        return 0.0
    ahead, behind = (before_ms - broker_ms) / 1000, (after_ms - broker_ms) / 1000
    return 0.0 if ahead <= 0 <= behind else min(ahead, behind, key=abs)


def wrong(offset: float) -> StateError:
    """For an offset of more than ``MOST_S``."""
    return StateError(
        f"this machine's clock is {offset:+.1f} s off the broker's: set it right (NTP) on whichever is wrong",
        exit_code=ExitCode.CLOCK,
        reason="clock",
    )
