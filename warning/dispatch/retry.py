"""When to try again. Pure: times go in, times come out."""

from __future__ import annotations

FIRST_S = (5, 300, 1800, 7200)  # Standard Webhooks: at once, 5 s, 5 min, 30 min, 2 h, then every 2 h until the alert expires
SPREAD = 0.1  # so that the retries of one outage do not arrive in one instant


def next_attempt_ms(attempt: int, now_ms: int, expires_ms: int, *, retry_after_s: float | None = None, spread: float = 0.5) -> int | None:
    """When to try after ``attempt`` (1 is the first) failed at ``now_ms``; None: not any more, the alert expires before.

    ``retry_after_s``: what the other side asked for; never earlier than that. ``spread``: 0 <= x < 1, where in the
    window of ``SPREAD`` this one falls (a hash of the delivery, not chance: a replay must do the same again).

    >>> next_attempt_ms(1, 0, 10**9, spread=0.0)
    5000
    >>> next_attempt_ms(9, 0, 10**9, spread=0.0)
    7200000
    >>> next_attempt_ms(1, 0, 10**9, retry_after_s=60, spread=0.0)
    60000
    >>> next_attempt_ms(2, 0, 299_999) is None
    True
    """
    if attempt < 1:
        raise ValueError(f"attempt: {attempt}, but the first is 1")
    delay_s = float(FIRST_S[min(attempt, len(FIRST_S)) - 1])
    if retry_after_s is not None:
        delay_s = max(delay_s, retry_after_s)
    due_ms = now_ms + round(1000 * delay_s * (1 + SPREAD * spread))
    return due_ms if due_ms < expires_ms else None
