"""Receipts over HTTP: ``/receipts/ROUTE/TOKEN``. Answered with 200 only when they are durable; else the gateway is to tell it again.

It listens on this machine; gateways reach it through the operator's proxy, which ends TLS. Without the token there is no such page.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from warning.dispatch.channel import OnReceipt, PartReceipt
from warning.errors import Unavailable

log = logging.getLogger(__name__)

MOST_OCTETS = 1 << 20  # a bounce carries the headers of what bounced, not the whole
AGAIN_S = 30

Reader = Callable[[Any], Awaitable[list[PartReceipt]]]  # what came (fields, JSON, or bytes of a mail) -> receipts; raises ValueError


@dataclass
class ReceiptsIn:
    """The listener. ``readers``: by route; the second of each is who keeps what it read."""

    host: str
    port: int
    token: str = field(repr=False)
    readers: Mapping[str, tuple[Reader, OnReceipt]]

    async def start(self) -> int:
        """Listens; returns the port. Raises Unavailable if it is taken."""
        app = web.Application(client_max_size=MOST_OCTETS)
        app.router.add_route("GET", "/receipts/{route}/{token}", self._receive)
        app.router.add_route("POST", "/receipts/{route}/{token}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, keepalive_timeout=30.0, shutdown_timeout=5.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port, backlog=1024).start()
        except OSError as error:
            await self._runner.cleanup()
            raise Unavailable(f"{self.host}:{self.port} for receipts: {error.strerror or error}", reason="address") from error
        self.port = int(self._runner.addresses[0][1])
        return self.port

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        reader, keep = self.readers.get(request.match_info["route"], (None, None))
        known = hmac.compare_digest(request.match_info["token"].encode(), self.token.encode())
        if reader is None or keep is None or not known:
            return web.Response(status=404, text="no such page\n")
        try:
            receipts = await reader(await _said(request))
        except ValueError as error:
            log.error("route %s: a receipt that is none: %s", request.match_info["route"], str(error)[:200])
            return web.Response(status=400, text="not understood\n")
        for receipt in receipts:
            try:
                await keep(receipt)
            except Exception:
                log.exception("route %s: a receipt could not be kept; the gateway is to tell it again", request.match_info["route"])
                return web.Response(status=503, text="again\n", headers={"Retry-After": str(AGAIN_S)})
        return web.Response(text="ok\n")


async def _said(request: web.Request) -> Any:
    """The fields of the query with those of the body; JSON where it is that; the bytes of a mail."""
    if request.content_type == "application/json":
        try:
            return json.loads(await request.read())
        except RecursionError:
            raise ValueError("JSON that is nested too deep") from None
    if request.content_type in ("message/rfc822", "message/delivery-status", "multipart/report"):
        return await request.read()
    posted = await request.post() if request.method == "POST" else {}
    return {**request.query, **{name: value for name, value in posted.items() if isinstance(value, str)}}
