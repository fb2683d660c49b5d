"""Tasks that have to end. A cancellation can get lost on its way: a client of Kafka or SMPP that closes takes it for one of its own tasks',
and ``asyncio.wait_for`` of Python 3.11 loses the one that comes as its work is done (``asyncio.timeout`` does not)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 6.0  # longer than a client takes to close


async def ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancels them, again and again, until they are done; for those whose own end takes less than ``AGAIN_S``, for it is cut off then. What
    they raise is nobody's any more."""
    every = list(tasks)
    waiting = {task for task in every if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=AGAIN_S)
    await asyncio.gather(*every, return_exceptions=True)
