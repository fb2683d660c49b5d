"""Group commit: what many sends have to write goes into one transaction, and each waits until that is durable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
MOST = 500  # entries in one transaction
AGAIN_S = 0.5
MANY = 8  # entries that one transaction found waiting: then there is a crowd, and the next one waits GATHER_S for more of it
GATHER_S = 0.02


@dataclass
class Journal(Generic[T, R]):
    """``write`` gets what has gathered while the last transaction ran, and answers once for each entry, in order.

    A database that is away is waited for: nothing is lost, nobody is told "done". ``on_state``: whether it answers.
    ``run`` raises what no waiting mends.
    """

    write: Callable[[list[T]], Awaitable[list[R]]]
    on_state: Callable[[bool, str], None]
    _waiting: asyncio.Queue[tuple[T, asyncio.Future[R]]] = field(default_factory=asyncio.Queue)

    async def put(self, entry: T) -> R:
        """Returns when the entry is durable."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((entry, future))
        return await future

    async def run(self) -> None:
        """Writes until it is cancelled."""
        found = 0
        while True:
            batch = [await self._waiting.get()]
            if found >= MANY:  # a transaction of a hundred costs hardly more than one of ten
                await asyncio.sleep(GATHER_S)
            while len(batch) < MOST and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            found = len(batch)
            answers = await self._durable([entry for entry, _ in batch])
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    async def _durable(self, entries: list[T]) -> list[R]:
        away = False
        while True:
            try:
                answers = await self.write(entries)
            except IntegrityError:
                raise  # to repeat it does not help: the process ends, and the next one takes up what the ledger has
            except (DBAPIError, OSError) as error:
                if not away:
                    log.error("the ledger does not answer, %d entries wait: %s", len(entries), error)
                    self.on_state(False, "the ledger does not answer")
                away = True
                await asyncio.sleep(AGAIN_S)
                continue
            if away:
                log.warning("the ledger answers again")
                self.on_state(True, "")
            return answers
