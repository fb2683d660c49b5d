"""Group commit: what many sends have to write goes into one transaction, and each waits until that is durable."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
MOST = 1500  # entries in one transaction
AGAIN_S = 0.5
CROWDS = ((64, 0.05), (8, 0.02), (0, 0.0))  # entries that one transaction found waiting, and how long the next one waits for more (s)


@dataclass
class Journal(Generic[T, R]):
    """``write`` gets what has gathered while the last transaction ran, and answers once for each entry, in order.

    A database that is away is waited for: nothing is lost, nobody is told "done". ``on_state``: whether it answers.
    ``run`` raises what no waiting mends.
    """

    write: Callable[[list[T]], Awaitable[list[R]]]
    on_state: Callable[[bool, str], None]
    _waiting: asyncio.Queue[tuple[Sequence[T], asyncio.Future[list[R]]]] = field(default_factory=asyncio.Queue)

    async def put(self, entry: T) -> R:
        """Returns when the entry is durable."""
        return (await self.all((entry,)))[0]

    async def all(self, entries: Sequence[T]) -> list[R]:
        """The same of several, which go into one transaction; their answers in order."""
        if not entries:
            return []
        future: asyncio.Future[list[R]] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((entries, future))
        return await future

    async def run(self) -> None:
        """Writes until it is cancelled."""
        number = 0
        while True:
            groups = [await self._waiting.get()]
            if wait_s := next(wait_s for many, wait_s in CROWDS if number >= many):  # a transaction of hundreds costs little more than one
                await asyncio.sleep(wait_s)
            number = len(groups[0][0])
            while number < MOST and not self._waiting.empty():
                groups.append(self._waiting.get_nowait())
                number += len(groups[-1][0])
            answers = iter(await self._durable([entry for entries, _ in groups for entry in entries]))
            for entries, future in groups:
                own = list(itertools.islice(answers, len(entries)))
                if not future.done():
                    future.set_result(own)

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
