"""``POST /v1/readings``: who are you, is it well-formed; 202 only when the log has it. Everything else is an RFC 9457 problem.

========  ==========================================================================================================
202       the broker has every accepted item (acks=all); ``refused`` says which were not, with reason, field and fix
400       the body is no JSON, empty, or no gzip            401, 403  no valid key; a key for none of these stations
408       the body came too slowly                          413       over 1 MB, 2 MB inflated, or 10,000 items
415       neither application/json nor gzip                 422       every item was refused
503       the broker or the database is away: send the whole request again after Retry-After
========  ==========================================================================================================
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import ceil
from typing import Any

import msgspec
from aiohttp import hdrs, web

from warning.errors import AuthError, InputError, Unavailable
from warning.facts import Listener, Received, nobody
from warning.ingest.body import MOST_BYTES, inflate, split
from warning.ingest.formats import Refusal
from warning.ingest.gateway import Gateway, Sender, Taken
from warning.ingest.keys import KeyStore

PATH = "/v1/readings"

_BODY_WITHIN_S = 20.0  # 1 MB at 400 kbit/s
_STATUS = {"too_large": 413, "too_many": 413, "media_type": 415, "content_encoding": 415, "body_slow": 408}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)


def create_app(gateway: Gateway, keys: KeyStore, listen: Listener = nobody, *, body_within_s: float = _BODY_WITHIN_S) -> web.Application:
    """The application. Serve it with ``serving.serve``, which bounds connections and leaves gzip bodies to us."""
    app = web.Application(client_max_size=MOST_BYTES, middlewares=[_problems])
    readings = _Readings(gateway, keys, listen, body_within_s)
    app.router.add_post(PATH, readings.post)
    return app


class _Readings:
    def __init__(self, gateway: Gateway, keys: KeyStore, listen: Listener, body_within_s: float) -> None:
        self._gateway, self._keys, self._listen, self._body_within_s = gateway, keys, listen, body_within_s

    async def post(self, request: web.Request) -> web.Response:
        began = time.monotonic()
        taken: Taken | None = None
        reason = ""
        try:
            sender = await sender_of(request, self._keys)
            taken = await self._take(request, sender)
            response = _answer(taken, request)
        except (InputError, AuthError, Unavailable) as error:
            reason, response = error.reason, problem_of(error)
        refused = taken.reasons if taken else {reason: 1}
        self._listen(Received(taken.accepted if taken else 0, refused, response.status, time.monotonic() - began))
        return response

    async def _take(self, request: web.Request, sender: Sender) -> Taken:
        body = await self._body(request)
        try:
            if _encoding(request) == "gzip" and body[:2] == b"\x1f\x8b":  # else the server has inflated it (aiohttp's own runner)
                body = inflate(body)
            texts = split(body)
        except InputError as error:
            await self._gateway.keep(body, error, sender)
            raise
        return await self._gateway.take(texts, sender)

    async def _body(self, request: web.Request) -> bytes:
        if request.content_type != "application/json" or (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
            what = f"content type {request.headers.get(hdrs.CONTENT_TYPE, '')[:60]!r}"
            raise InputError(what, reason="media_type", field="Content-Type", fix="application/json in UTF-8")
        if _encoding(request) not in ("", "identity", "gzip"):
            raise InputError(
                f"content encoding {_encoding(request)[:60]!r}", reason="content_encoding", field="Content-Encoding", fix="gzip, or none"
            )
        return await body_of(request, self._body_within_s)


async def sender_of(request: web.Request, keys: KeyStore) -> Sender:
    """Who sends: the key in ``Authorization: Bearer``. Raises AuthError, Unavailable."""
    scheme, _, text = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer":
        raise AuthError("send your key: Authorization: Bearer fw_...")
    key = await keys.verify(text.strip())
    return Sender(key.provider, key.stations)


async def body_of(request: web.Request, within_s: float = _BODY_WITHIN_S) -> bytes:
    """The whole body. Raises InputError: too large, broken off, not within that time."""
    try:
        async with asyncio.timeout(within_s):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise InputError(f"the body is over {MOST_BYTES} bytes", reason="too_large", field="", fix="send smaller batches") from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise InputError(f"the body broke off: {error}", reason="body_broken", field="", fix="send it again") from None
    except TimeoutError:
        what = f"the body did not come within {within_s:g} s"
        raise InputError(what, reason="body_slow", field="", fix="send smaller batches") from None


def _encoding(request: web.Request) -> str:
    return request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()


def _answer(taken: Taken, request: web.Request) -> web.Response:
    fields = {
        "accepted": taken.accepted,
        "refused": taken.refused,
        "received_ms": taken.received_ms,
        "clock_skew_s": clock_skew_s(request.headers.get(hdrs.DATE), taken),
    }
    if taken.accepted:
        return web.Response(status=202, body=msgspec.json.encode(fields), content_type="application/json")
    first = taken.refused[0]
    forbidden = all(one.reason == Refusal.STATION_FORBIDDEN for one in taken.refused)
    detail = f"all {len(taken.refused)} readings were refused; the first: {first.detail}" if len(taken.refused) > 1 else first.detail
    return problem(403 if forbidden else 422, first.reason, detail, first.field, first.fix, **fields)


def clock_skew_s(date: str | None, taken: Taken) -> float | None:
    """The sender's clock less ours, in s. From its Date header (to 1 s; the way here makes it up to that much too small); without
    one, how far its newest reading is ahead of our clock, which is the least that it can be wrong; None if neither says anything."""
    if date:
        try:
            return round(parsedate_to_datetime(date).timestamp() - taken.received_ms / 1000, 1)
        except (ValueError, OverflowError):
            return None
    return taken.ahead_ms / 1000 if taken.ahead_ms else None


def problem(status: int, reason: str, detail: str, field: str = "", fix: str = "", **more: Any) -> web.Response:
    """An RFC 9457 document; ``reason``, ``field`` and ``fix`` are ours."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "reason": reason,
    }
    content |= {name: value for name, value in (("field", field), ("fix", fix)) if value}
    return web.Response(status=status, body=msgspec.json.encode(content | more), content_type="application/problem+json")


def problem_of(error: InputError | AuthError | Unavailable) -> web.Response:
    if isinstance(error, Unavailable):
        again_s = max(1, ceil(error.retry_after_s or 5))
        response = problem(503, error.reason, str(error), fix=f"send the whole request again after {again_s} s")
        response.headers[hdrs.RETRY_AFTER] = str(again_s)
        return response
    if isinstance(error, AuthError):
        response = problem(401, error.reason, str(error), "Authorization", "Bearer and a key from `warning keys new`")
        response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        return response
    response = problem(_STATUS.get(error.reason, 400), error.reason, str(error), error.field, error.fix)
    if error.reason == "content_encoding":
        response.headers[hdrs.ACCEPT_ENCODING] = "gzip"
    if error.reason in ("body_slow", "body_broken", "too_large"):
        response.force_close()  # the rest of the body is still on its way
    return response


@web.middleware
async def _problems(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """What aiohttp itself refuses, and what nobody foresaw, as problems."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = problem(error.status, error.reason.lower().replace(" ", "_"), f"{request.method} {request.path[:200]}: {error.reason}")
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return response
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        return problem(500, "internal", "this is our fault; it is logged", fix="send it again later")
