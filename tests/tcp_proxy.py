"""A TCP proxy that can swallow everything without a word, as a network that lost its route does: connections stay open, nothing comes."""

from __future__ import annotations

import asyncio
import contextlib


class Proxy:
    """``async with Proxy(port) as proxy``: ``proxy.port`` leads to ``port`` of this machine."""

    def __init__(self, port: int) -> None:
        self._to, self.port = port, 0
        self._era, self._holed = 0, False
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def swallow(self) -> None:
        """From here on nothing passes; new connections are taken, too, and lead nowhere."""
        self._era, self._holed = self._era + 1, True

    def heal(self) -> None:
        """New connections lead on; those of before stay dead without a word."""
        self._era, self._holed = self._era + 1, False

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass_on(reader, writer, self._era))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, era: int) -> None:
        if self._holed:
            await self._pump(reader, writer, -1)
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        both = [asyncio.create_task(self._pump(reader, back, era)), asyncio.create_task(self._pump(there, writer, era))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if era != self._era:
                await asyncio.Event().wait()  # the end of one side is not heard on the other
        finally:
            for one in both:
                one.cancel()
            writer.close()
            back.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, era: int) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if era == self._era:
                    writer.write(data)
                    await writer.drain()
