"""Contacts as they are at the moment of sending, many asked for at once: what gathers while one question runs is the next question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from warning.errors import Unavailable
from warning.region import Contact

MOST = 500

Ask = Callable[[Collection[str]], Awaitable[dict[str, Contact]]]  # raises Unavailable


@dataclass
class Lookup:
    """``ask``: the directory. A contact that said stop is there, without ``consent``; one that left is not."""

    ask: Ask
    _waiting: dict[str, asyncio.Future[Contact | None]] = field(default_factory=dict)
    _asking: asyncio.Task[None] | None = None

    async def one(self, contact: str) -> Contact | None:
        """None: there is no such contact. Raises Unavailable."""
        future = self._waiting.get(contact)
        if future is None:
            future = self._waiting[contact] = asyncio.get_running_loop().create_future()
        if self._asking is None:
            self._asking = asyncio.create_task(self._go_on(), name="contacts")
        return await asyncio.shield(future)

    async def many(self, contacts: Collection[str]) -> dict[str, Contact]:
        """Those that there are. Raises Unavailable."""
        return await self.ask(contacts)

    async def _go_on(self) -> None:
        try:
            while self._waiting:
                some = {name: self._waiting[name] for name in list(self._waiting)[:MOST]}
                for name in some:
                    del self._waiting[name]
                try:
                    found = await self.ask(list(some))
                except Unavailable as error:
                    for future in some.values():
                        if not future.done():
                            future.set_exception(error)
                            future.exception()  # who waited may have been cancelled
                    continue
                for name, future in some.items():
                    if not future.done():
                        future.set_result(found.get(name))
        finally:
            self._asking = None
