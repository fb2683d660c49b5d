"""HTTP through the suite that every way in passes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
from ingest_house import HOST
from way_conformance import Answer, At, Message, Way, WayConformance

from warning.ingest.http import PATH, create_app
from warning.ingest.keys import KeyStore
from warning.ingest.serving import serve

BAD_KEY = "fw_123456789abc_" + "x" * 43


class Http(Way):
    """One JSON object a request."""

    content_type = "application/json"

    @asynccontextmanager
    async def serve(self, at: At) -> AsyncIterator[dict[str, Any]]:
        keys = KeyStore(at.deployment.database, at.clock)
        server = await serve(create_app(at.gateway, keys, at.listen), HOST, 0)
        try:
            yield {"url": f"http://{HOST}:{server.port}{PATH}", "key": at.key}
        finally:
            await server.stop()
            await keys.close()

    async def send(self, where: dict[str, Any], message: Message, *, again: bool = False) -> Answer:
        key = BAD_KEY if message.bad_key else where["key"]
        headers = {"Authorization": f"Bearer {key}", "Content-Type": self.content_type}
        body = self.body(message) if message.raw is None else message.raw
        try:
            async with aiohttp.ClientSession() as http, http.post(where["url"], data=body, headers=headers) as response:
                content = json.loads(await response.read())
        except aiohttp.ClientError:
            return Answer(None, again=True)
        return Answer(response.status == 202, content.get("reason", ""), again=response.status in (429, 503))

    def body(self, message: Message) -> bytes:
        return json.dumps(fields(message)).encode()


def fields(message: Message) -> dict[str, Any]:
    at = datetime.fromtimestamp(message.at_ms / 1000, UTC).isoformat()
    content = {"station": message.station, "parameter": message.parameter, "time": at, "value": message.value, "unit": message.unit}
    return content | ({"datum": message.datum} if message.datum else {})


class TestHttp(WayConformance):
    way = Http()
