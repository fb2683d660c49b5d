"""How a process ends: by a signal, or by the first of its works that does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable


def on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def first_of(stop: asyncio.Event, *works: Awaitable[None]) -> None:
    """Until ``stop`` is set or one of the works ends, whichever is first; cancels the rest and raises what a work raised."""
    tasks = [asyncio.ensure_future(work) for work in (stop.wait(), *works)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:  # once: a whole deployment may take minutes to stop in order
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
