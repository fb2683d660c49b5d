"""``POST /v1/readings``: who are you, is it well-formed; 202 only when the log has it. Everything else is an RFC 9457 problem.

========  ==========================================================================================================
202       the broker has every accepted item (acks=all); ``refused`` says which were not, with reason, field and fix
400       the body is not of its type, empty, or no gzip    401, 403  no valid key; a key for none of these stations
408       the body came too slowly                          413       over 1 MB, 2 MB inflated, or 10,000 items
415       none of application/json, text/csv; no gzip       422       every item was refused
429       the key has sent its readings of this minute      503       the broker or the database is away
========  ==========================================================================================================

After 429 and 503 nothing of the request is taken: send the whole of it again after Retry-After. A request may always be sent again, even
one that was answered: a reading is its station, parameter and time, so the same again is answered 202 and counts once, and another value
is a revision. An answer that was lost on the way is no reason to keep a reading back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from math import ceil
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import hdrs, web

from warning.errors import AuthError, InputError, Unavailable
from warning.facts import DeviceHeard, Listener, Received, nobody
from warning.ingest import csv_upload
from warning.ingest.body import MOST_BYTES, MOST_ITEMS, inflate, split
from warning.ingest.formats import Refusal, items
from warning.ingest.gateway import Gateway, Sender, Taken
from warning.ingest.keys import Key, KeyStore
from warning.ingest.rate import RATE_LIMITED, Bucket, Limits, worth

if TYPE_CHECKING:
    from warning.ingest.pushed import Parser

PATH = "/v1/readings"

_BODY_WITHIN_S = 20.0  # 1 MB at 400 kbit/s
_JSON = "application/json"
_STATUS = {"too_large": 413, "too_many": 413, "media_type": 415, "content_encoding": 415, "body_slow": 408}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)


def create_app(
    gateway: Gateway,
    keys: KeyStore,
    listen: Listener = nobody,
    *,
    body_within_s: float = _BODY_WITHIN_S,
    limits: Limits | None = None,
    formats: Mapping[str, Parser] = MappingProxyType({}),
) -> web.Application:
    """The application. Serve it with ``serving.serve``, which closes silent connections and leaves gzip bodies to us.

    ``formats``: further content types, each with what makes parts of a body (``pushed.parsers``).
    """
    app = web.Application(client_max_size=MOST_BYTES, middlewares=[_problems])
    readings = _Readings(gateway, keys, listen, body_within_s, limits or Limits(time.monotonic), formats)
    app.router.add_post(PATH, readings.post)
    return app


class _Readings:
    def __init__(
        self, gateway: Gateway, keys: KeyStore, listen: Listener, body_within_s: float, limits: Limits, formats: Mapping[str, Parser]
    ) -> None:
        self._formats = formats
        self._gateway, self._keys, self._listen, self._body_within_s, self._limits = gateway, keys, listen, body_within_s, limits

    async def post(self, request: web.Request) -> web.Response:
        began = time.monotonic()
        taken: Taken | None = None
        bucket: Bucket | None = None
        reason = ""
        try:
            key = await key_of(request, self._keys)
            bucket = self._limits.bucket(key)
            taken, lines = await self._take(request, Sender(key.provider, key.stations), bucket)
            response = self._answer(taken, lines, request, key)
        except (InputError, AuthError, Unavailable) as error:
            reason, response = error.reason, problem_of(error)
        if bucket is not None:
            response.headers.update(bucket.headers)
        refused = taken.reasons if taken else {reason: 1}
        self._listen(Received(taken.accepted if taken else 0, refused, response.status, time.monotonic() - began))
        return response

    async def _take(self, request: web.Request, sender: Sender, bucket: Bucket | None) -> tuple[Taken, tuple[int, ...]]:
        """What became of it, and the line of each row of a CSV."""
        is_csv = _media_type(request, self._formats) == csv_upload.MEDIA_TYPE
        parser = self._formats.get(request.content_type)
        if _encoding(request) not in ("", "identity", "gzip"):
            what = f"content encoding {_encoding(request)[:60]!r}"
            raise InputError(what, reason="content_encoding", field="Content-Encoding", fix="gzip, or none")
        if bucket is not None and bucket.left < 1:
            bucket.take(1)  # nothing is read of what could not be taken
        try:
            body = await body_of(request, self._body_within_s)
        except TooLong as error:
            await self._keep(error.begin, error, sender, bucket)
            raise
        taking: Callable[[], Awaitable[Taken]]
        lines: tuple[int, ...] = ()
        try:
            if _encoding(request) == "gzip" and body[:2] == b"\x1f\x8b":  # else the server has inflated it (aiohttp's own runner)
                body = inflate(body)
            if is_csv:
                upload = csv_upload.read(body)
                count, lines = len(upload.parts), upload.lines
                taking = partial(self._gateway.offer, upload.parts, sender)
            elif parser is not None:
                parts = await asyncio.to_thread(parser, body)
                count, taking = len(parts), partial(self._gateway.offer, parts, sender)
            else:
                count, taking = self._json(body, sender)
        except InputError as error:
            await self._keep(body, error, sender, bucket)
            raise
        if bucket is not None:
            bucket.take(count)
        try:
            return await taking(), lines
        except Unavailable:
            if bucket is not None:
                bucket.give_back(count)
            raise

    async def _keep(self, body: bytes, error: InputError, sender: Sender, bucket: Bucket | None) -> None:
        count = worth(body)
        if bucket is not None:
            bucket.take(count)
        try:
            await self._gateway.keep(body, error, sender)
        except Unavailable:
            if bucket is not None:
                bucket.give_back(count)
            raise

    def _json(self, body: bytes, sender: Sender) -> tuple[int, Callable[[], Awaitable[Taken]]]:
        """How many items they are, and what takes them. Raises InputError."""
        found = items(body) if body[:1] == b"[" else None
        if found and len(found) <= MOST_ITEMS:
            apart: list[Sequence[bytes | msgspec.Raw]] = []

            def source(index: int) -> bytes:
                if not apart:  # once, and only where one is refused
                    apart.append(split(body))
                return bytes(apart[0][index])

            return len(found), partial(self._gateway.take_items, found, source, sender)
        texts = split(body)
        return len(texts), partial(self._gateway.take, texts, sender)

    def _answer(self, taken: Taken, lines: tuple[int, ...], request: web.Request, key: Key) -> web.Response:
        skew_s = clock_skew_s(request.headers.get(hdrs.DATE), taken)
        station = next(iter(key.stations)) if len(key.stations) == 1 else ""
        self._listen(DeviceHeard(key.id, "http", taken.received_ms, clock_skew_s=skew_s, station=station))
        fields: dict[str, Any] = {
            "accepted": taken.accepted,
            "refused": [{"line": lines[one.index]} | msgspec.structs.asdict(one) for one in taken.refused] if lines else taken.refused,
            "received_ms": taken.received_ms,
            "clock_skew_s": skew_s,
        }
        if key.ends_ms is not None:
            fields["key_ends_ms"] = key.ends_ms
        if taken.accepted:
            return web.Response(status=202, body=msgspec.json.encode(fields), content_type=_JSON)
        first = taken.refused[0]
        forbidden = all(one.reason == Refusal.STATION_FORBIDDEN for one in taken.refused)
        detail = f"all {len(taken.refused)} readings were refused; the first: {first.detail}" if len(taken.refused) > 1 else first.detail
        return problem(403 if forbidden else 422, first.reason, detail, first.field, first.fix, **fields)


class TooLong(InputError):
    """A body of more than ``MOST_BYTES``; ``begin`` is what was read of it."""

    def __init__(self, begin: bytes) -> None:
        super().__init__(f"the body is over {MOST_BYTES} bytes", reason="too_large", field="", fix="send smaller batches")
        self.begin = begin


async def key_of(request: web.Request, keys: KeyStore) -> Key:
    """The key in ``Authorization: Bearer``. Raises AuthError, Unavailable."""
    scheme, _, text = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer":
        raise AuthError("send your key: Authorization: Bearer fw_...")
    return await keys.verify(text.strip())


async def body_of(request: web.Request, within_s: float = _BODY_WITHIN_S) -> bytes:
    """The whole body as sent. Raises InputError: too long (``TooLong``), broken off, not within that time."""
    body = bytearray()
    try:
        if request.content.is_eof():  # all of it came with the headers, as of small requests: no timer is needed
            whole = request.content.read_nowait()
            if len(whole) <= MOST_BYTES:
                return whole
            raise TooLong(whole)
        async with asyncio.timeout(within_s):
            while len(body) <= MOST_BYTES and (chunk := await request.content.readany()):
                body += chunk
    except (web.RequestPayloadError, ConnectionError) as error:
        raise InputError(f"the body broke off: {error}", reason="body_broken", field="", fix="send it again") from None
    except TimeoutError:
        what = f"the body did not come within {within_s:g} s"
        raise InputError(what, reason="body_slow", field="", fix="send smaller batches") from None
    if len(body) > MOST_BYTES:
        raise TooLong(bytes(body))
    return bytes(body)


def _media_type(request: web.Request, further: Mapping[str, Parser]) -> str:
    found = request.content_type
    if found not in (_JSON, csv_upload.MEDIA_TYPE, *further) or (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        what = f"content type {request.headers.get(hdrs.CONTENT_TYPE, '')[:60]!r}"
        choice = " or ".join((_JSON, csv_upload.MEDIA_TYPE, *further))
        raise InputError(what, reason="media_type", field="Content-Type", fix=f"{choice}, in UTF-8")
    return found


def _encoding(request: web.Request) -> str:
    return request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()


def clock_skew_s(date: str | None, taken: Taken) -> float | None:
    """The sender's clock less ours, in s. From its Date header (to 1 s; the way here makes it up to that much too small); without
    one, how far its newest reading is ahead of our clock, which is the least that it can be wrong; None if neither says anything."""
    if date:
        try:
            at = parsedate_to_datetime(date)
            at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)  # no zone, or -0000: never the gateway's own
            return round(at.timestamp() - taken.received_ms / 1000, 1)
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
        status = 429 if error.reason == RATE_LIMITED else 503
        response = problem(status, error.reason, str(error), fix=f"send the whole request again after {again_s} s")
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
