"""An HTTP server that slow and silent clients cannot exhaust, and that ends without dropping a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

_SILENT_S = 30.0  # a connection without a request for so long is closed, be it idle or trickling headers
_STOP_WITHIN_S = 15.0  # for requests in flight

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Serving:
    """A running server; ``port`` is the one that was really taken."""

    def __init__(self, runner: web.AppRunner, port: int, guard: asyncio.Task[None]) -> None:
        self._runner, self.port, self._guard = runner, port, guard

    async def stop(self) -> None:
        """Takes no new connections, lets requests in flight end (bounded), closes."""
        self._guard.cancel()
        await asyncio.gather(self._guard, return_exceptions=True)
        await self._runner.cleanup()


async def serve(app: web.Application, host: str, port: int, *, silent_s: float = _SILENT_S) -> Serving:
    """Serves ``app``. aiohttp has no limit on the time a client takes for its headers: ``silent_s`` is that limit.

    Raises OSError if the address is taken.
    """
    busy: dict[Any, int] = {}  # connection -> requests in work
    quiet_since: dict[Any, float] = {}

    @web.middleware
    async def watched(request: web.Request, handler: _Handler) -> web.StreamResponse:
        connection = request.protocol
        busy[connection] = busy.get(connection, 0) + 1
        try:
            return await handler(request)
        finally:
            busy[connection] -= 1
            if not busy[connection]:
                del busy[connection]
            quiet_since[connection] = time.monotonic()

    app.middlewares.insert(0, watched)
    runner = web.AppRunner(
        app, auto_decompress=False, access_log=None, handle_signals=False, keepalive_timeout=silent_s, shutdown_timeout=_STOP_WITHIN_S
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
    except BaseException:
        await runner.cleanup()
        raise
    assert runner.server is not None
    guard = asyncio.create_task(_close_silent(runner.server, busy, quiet_since, silent_s), name="http-guard")
    return Serving(runner, runner.addresses[0][1], guard)


async def _close_silent(server: web.Server, busy: dict[Any, int], quiet_since: dict[Any, float], silent_s: float) -> None:
    while True:
        await asyncio.sleep(silent_s / 4)
        now, open_now = time.monotonic(), set(server.connections)
        for gone in quiet_since.keys() - open_now:
            del quiet_since[gone]
        for connection in open_now:
            if connection not in busy and now - quiet_since.setdefault(connection, now) > silent_s:
                connection.force_close()
