"""Until when the dispatcher followed what it tells people of, for whoever asks whether there is a warning (``people.standing``)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from sqlalchemy import delete, insert
from sqlalchemy.exc import DBAPIError

from warning.dispatch import tables as t
from warning.dispatch.ledger import Ledger
from warning.errors import Unavailable

log = logging.getLogger(__name__)

EVERY_S = 5.0


async def run(ledger: Ledger, read_up_to_ms: Callable[[], int | None], newest_ms: Mapping[int, int]) -> None:
    """Until it is cancelled. ``read_up_to_ms``: of the log of alerts; ``newest_ms``: partition -> its newest hazard.

    A task of its own: whatever holds the others up shows, too.
    """
    while True:
        await asyncio.sleep(EVERY_S)
        read_ms = read_up_to_ms()
        followed = {f"hazards {number}": at_ms for number, at_ms in newest_ms.items()}
        if read_ms is not None:
            followed["alerts"] = read_ms
        try:
            await enter(ledger, followed)
        except (DBAPIError, OSError, Unavailable) as error:
            if isinstance(error, Unavailable) and error.reason != "database":
                raise
            log.error("the ledger does not answer, what is followed is not entered: %s", error)


async def enter(ledger: Ledger, followed: Mapping[str, int]) -> None:
    """Name -> until when, ms. Raises Unavailable, DBAPIError."""
    if not followed:
        return
    async with ledger.writing() as connection:
        await connection.execute(delete(t.pulses).where(t.pulses.c.name.in_(list(followed))))
        await connection.execute(insert(t.pulses), [{"name": name, "at_ms": at_ms} for name, at_ms in followed.items()])
