"""When an attempt is made again, and when not so soon."""

from __future__ import annotations

from typing import Any

import channel_world as world
import pytest

from warning.dispatch.channel import Outcome
from warning.dispatch.courier import Courier
from warning.dispatch.rows import Open
from warning.model import DeliveryState as State
from warning.model import Level

NOW = 1_755_000_000_000
ITEM = Open(1, "A.1", "A", Level.HIGH, "c1", "sms", "en", "", 0, 0, NOW, NOW + 12 * world.HOUR_MS)


@pytest.mark.parametrize(("state", "most"), [(State.UNKNOWN, 20), (State.WAITING, 800)])
def test_what_may_have_been_sent_does_not_go_again_every_five_seconds_for_hours(state: State, most: int) -> None:
    """Both routes take a message and answer with an error: whoever has it already is not rung up all night. What was not sent goes on."""
    nothing: Any = None
    courier = Courier(nothing, nothing, nothing, {}, nothing, False, lambda: NOW, lambda: NOW, nothing)
    at_ms, attempts = NOW, 0
    while at_ms < NOW + world.HOUR_MS:
        attempts += 1
        close = courier._closing(ITEM, attempts, Outcome(state, "server_error", soon=True), at_ms)
        assert close.due_ms is not None and close.due_ms >= at_ms + 5000
        at_ms = close.due_ms
    assert (most // 2 < attempts <= most) and (attempts > 500) == (state is State.WAITING)
