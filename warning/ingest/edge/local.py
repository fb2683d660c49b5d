"""HTTP on the spot: ``POST /v1/readings`` with a local key, as the gateway takes them; 202 when the outbox has it, on disk.

The answers are the gateway's (``ingest.http``): 202 with ``refused``, problems of RFC 9457, 503 with Retry-After where the outbox
cannot be written. ``time`` may be left out: then it is when the node heard it. ``clock_skew_s`` is null while the node's time is unsure.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

import msgspec
from aiohttp import web

from warning.errors import AuthError, InputError, Unavailable
from warning.ingest.body import inflate, split
from warning.ingest.edge.node import Local, Node, Taken
from warning.ingest.formats import Refusal
from warning.site import Key

PATH = "/v1/readings"
MOST_BYTES = 256 << 10  # as sent: a sensor's own history, not an agency's
_BODY_WITHIN_S = 20.0

_log = logging.getLogger(__name__)


def create_app(node: Node, keys: tuple[Key, ...]) -> web.Application:
    """Serve it with ``serving.serve``."""
    app = web.Application(client_max_size=MOST_BYTES)
    local = _Readings(node, keys)
    app.router.add_post(PATH, local.post)
    app.router.add_get("/livez", _alive)
    return app


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


class _Readings:
    def __init__(self, node: Node, keys: tuple[Key, ...]) -> None:
        self._node = node
        self._keys: Mapping[str, Local] = {key.sha256: Local(key.name, frozenset(key.stations)) for key in keys}
        self._one = asyncio.Lock()  # at a time: a message that inflates to 2 MB takes ten of the sixty MB that there are

    async def post(self, request: web.Request) -> web.Response:
        try:
            sender = self._sender(request)
            body = await _body(request)
            async with self._one:
                return _answer(await self._take(request, body, sender))
        except InputError as error:
            status = {"too_large": 413, "too_many": 413, "media_type": 415, "body_slow": 408}.get(error.reason, 400)
            return _problem(status, error.reason, str(error), error.field, error.fix)
        except AuthError as error:
            response = _problem(401, error.reason, str(error), "Authorization", "Bearer and a key from `warning edge new-key`")
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        except Unavailable as error:
            again_s = max(1, ceil(error.retry_after_s or 5))
            response = _problem(503, error.reason, str(error), "", f"send the whole request again after {again_s} s")
            response.headers["Retry-After"] = str(again_s)
            return response

    def _sender(self, request: web.Request) -> Local:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise AuthError("send your key: Authorization: Bearer ...")
        digest = hashlib.sha256(text.strip().encode("utf-8", "surrogateescape")).hexdigest()
        found = [local for known, local in self._keys.items() if hmac.compare_digest(known, digest)]
        if not found:
            raise AuthError("no such key")
        return found[0]

    async def _take(self, request: web.Request, body: bytes, sender: Local) -> Taken:
        try:
            if request.headers.get("Content-Encoding", "").strip().lower() == "gzip" and body[:2] == b"\x1f\x8b":
                body = inflate(body)
            texts = split(body)
        except InputError as error:
            await self._node.keep(body, error, sender)
            raise
        return await self._node.take(texts, sender)


async def _body(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        what = f"content type {request.headers.get('Content-Type', '')[:60]!r}"
        raise InputError(what, reason="media_type", field="Content-Type", fix="application/json in UTF-8")
    try:
        async with asyncio.timeout(_BODY_WITHIN_S):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise InputError(f"the body is over {MOST_BYTES} bytes", reason="too_large", field="", fix="send smaller batches") from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise InputError(f"the body broke off: {error}", reason="body_broken", field="", fix="send it again") from None
    except TimeoutError:
        raise InputError("the body did not come in time", reason="body_slow", field="", fix="send smaller batches") from None


def _answer(taken: Taken) -> web.Response:
    fields: dict[str, Any] = {
        "accepted": taken.accepted,
        "refused": taken.refused,
        "received_ms": taken.now.ms,
        "clock_skew_s": taken.ahead_ms / 1000 if taken.ahead_ms else None,
    }
    if taken.accepted:
        return web.Response(status=202, body=msgspec.json.encode(fields), content_type="application/json")
    first = taken.refused[0]
    forbidden = all(one.reason == Refusal.STATION_FORBIDDEN for one in taken.refused)
    return _problem(403 if forbidden else 422, first.reason, first.detail, first.field, first.fix, **fields)


def _problem(status: int, reason: str, detail: str, field: str, fix: str, **more: Any) -> web.Response:
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, "reason": reason}
    content |= {name: value for name, value in (("field", field), ("fix", fix)) if value}
    return web.Response(status=status, body=msgspec.json.encode(content | more), content_type="application/problem+json")
