"""Contacts as they are at the moment of sending, many asked for at once: what gathers while one question runs is the next question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from warning.region import Contact

MOST = 500

Ask = Callable[[Collection[str]], Awaitable[dict[str, Contact]]]  # raises Unavailable


@dataclass
class Lookup:
    """``ask``: the directory. A contact that said stop is there, without ``consent``; one that left is not."""

    ask: Ask
    _waiting: list[tuple[Collection[str], asyncio.Future[dict[str, Contact]]]] = field(default_factory=list)
    _asking: asyncio.Task[None] | None = None

    async def some(self, contacts: Collection[str]) -> dict[str, Contact]:
        """Those that there are, asked for with what others want to know at this moment. Raises Unavailable."""
        future: asyncio.Future[dict[str, Contact]] = asyncio.get_running_loop().create_future()
        self._waiting.append((contacts, future))
        if self._asking is None:
            self._asking = asyncio.create_task(self._go_on(), name="contacts")
        return await future

    async def many(self, contacts: Collection[str]) -> dict[str, Contact]:
        """Those that there are. Raises Unavailable."""
        return await self.ask(contacts)

    async def _go_on(self) -> None:
        try:
            while self._waiting:
                together, names = [], set[str]()
                while self._waiting and len(names) < MOST:
                    contacts, future = self._waiting.pop()
                    together.append((contacts, future))
                    names.update(contacts)
                await self._answer(together, names)
        finally:
            self._asking = None

    async def _answer(self, together: list[tuple[Collection[str], asyncio.Future[dict[str, Contact]]]], names: set[str]) -> None:
        try:
            found = await self.ask(names)
        except Exception as error:  # whatever it is, who waits must hear of it
            for _, future in together:
                if not future.done():
                    future.set_exception(error)
            return
        for contacts, future in together:
            if not future.done():
                future.set_result({name: found[name] for name in contacts if name in found})
