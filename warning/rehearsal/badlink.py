"""A TCP link that breaks: loses part of what passes, in four ways, and is away for hours. For benches and tests of senders."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST
_CHUNK = 64 << 10
_FIRST = asyncio.FIRST_COMPLETED
# What becomes of a request that is lost: not a byte of it arrives; half of it; all of it, but not the answer; nobody says anything.
FAULTS = ("cut", "half", "unanswered", "hang")


class BadLink:
    """Forwards to ``host:port``. ``loss``: part of the requests (bursts from the client) that is lost; ``up`` False: away.

    ``hang_s``: how long a hanging connection says nothing before it is reset.
    """

    def __init__(self, host: str, port: int, *, loss: float, chance: random.Random, hang_s: float = 1.0) -> None:
        self._host, self._port, self._chance, self._hang_s = host, port, chance, hang_s
        self.loss, self.up = loss, True
        self.passed: Counter[str] = Counter()  # "whole", and each of FAULTS -> requests
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        """Listens on a free port of 127.0.0.1 (``port``)."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def away(self) -> None:
        """Down: open connections are reset, new ones too."""
        self.up = False
        for task in list(self._open):
            task.cancel()

    def back(self) -> None:
        self.up = True

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        try:
            if self.up:
                await self._forward(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # a link tells nobody why
        finally:
            _reset(writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, to_them = await asyncio.open_connection(self._host, self._port)
        deaf = asyncio.Event()
        answers = asyncio.create_task(_answers(theirs, writer, deaf))
        try:
            while burst := await reader.read(_CHUNK):
                fault = self._chance.choice(FAULTS) if self._chance.random() < self.loss else "whole"
                self.passed[fault] += 1
                if fault == "cut":
                    return
                if fault == "hang":
                    await asyncio.sleep(self._hang_s)
                    return
                if fault == "unanswered":
                    deaf.set()
                to_them.write(burst[: len(burst) // 2] if fault == "half" else burst)
                await to_them.drain()
                if fault == "half":
                    return
                if fault == "unanswered":
                    break
            while deaf.is_set() and not answers.done():  # the rest of that request still has to arrive
                done, _ = await asyncio.wait([more := asyncio.ensure_future(reader.read(_CHUNK)), answers], return_when=_FIRST)
                if more not in done:
                    more.cancel()
                elif not more.result():
                    return
                else:
                    to_them.write(more.result())
        finally:
            answers.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await answers
            _reset(to_them)


async def _answers(theirs: asyncio.StreamReader, writer: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
    while burst := await theirs.read(_CHUNK):
        if deaf.is_set():
            return
        writer.write(burst)
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
