"""A web service of an agency on the loopback: what it answers is set by the test, what it was asked is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

HOST = "127.0.0.1"


@dataclass
class AgencyServer:
    """``answer(request)`` -> response; without one, ``body`` with ``etag``, or 304 to whoever has it. ``asked``: (path, query, headers)."""

    body: bytes = b'{"items": []}'
    etag: str = ""
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    port: int = 0
    acknowledged: set[str] = field(default_factory=set)  # entity tags that came back
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None

    async def start(self) -> AgencyServer:
        app = web.Application()
        app.router.add_get("/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> AgencyServer:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def items(self, *items: dict[str, Any], etag: str = "") -> None:
        self.body, self.etag = json.dumps({"items": items}).encode(), etag

    async def until_acknowledged(self, etag: str, within_s: float) -> bool:
        """Whether somebody says within that time that he has taken what this tag stands for."""
        try:
            async with asyncio.timeout(within_s):
                while etag not in self.acknowledged:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, dict(request.query), dict(request.headers)))
        if self.answer is not None:
            return await self.answer(request)
        has = request.headers.get("If-None-Match", "")
        if has:
            self.acknowledged.add(has)
            self._changed.set()
        if self.etag and has == self.etag:
            return web.Response(status=304)
        return web.Response(body=self.body, headers={"ETag": self.etag} if self.etag else {})
