"""``GET /v1/sms/kannel``: Kannel's sms-service asks us with what a phone sent, and sends the phone our answer.

``deploy/channels/kannel.conf`` is a whole configuration; what counts is ``http-request-retry`` in ``group = smsbox``, else Kannel gives up
at our first 503. The key is one of provider ``kannel`` (``warning keys new REGION --provider kannel``): who has it may speak for every
phone. Kannel keeps a message that waits for us in its memory, so we keep it in SQL, too (``kannel_held``).
"""

from __future__ import annotations

import time
from urllib.parse import parse_qsl, urlencode

import smsutil
from aiohttp import hdrs, web

from warning.errors import AuthError, InputError, Unavailable
from warning.facts import Listener, Received, nobody
from warning.ingest.gateway import Gateway, Sender
from warning.ingest.http import problem_of
from warning.ingest.kannel_held import Held
from warning.ingest.keys import KeyStore
from warning.ingest.rate import Limits
from warning.ingest.sms_in import SmsIn

PATH = "/v1/sms/kannel"
PROVIDER = "kannel"

_CHARSETS = {"": "utf-8", "utf-8": "utf-8", "utf8": "utf-8", "utf-16be": "utf-16-be", "ucs-2": "utf-16-be", "iso-8859-1": "latin-1"}


class KannelIn:
    """``routes`` for the server; ``await run()`` for ever beside it, for what Kannel forgets."""

    def __init__(
        self, readers: SmsIn, gateway: Gateway, keys: KeyStore, held: Held, listen: Listener = nobody, limits: Limits | None = None
    ) -> None:
        self._readers, self._gateway, self._keys, self._held, self._listen = readers, gateway, keys, held, listen
        self._limits = limits or Limits(time.monotonic)

    def routes(self) -> list[web.RouteDef]:
        """The one route. A key that sends too much gets 429, which Kannel tries again as it does after 503."""
        return [web.get(PATH, self._answered, allow_head=False)]

    async def run(self) -> None:
        """Takes what was held and does not come again."""
        await self._held.run(self._heard)

    async def _answered(self, request: web.Request) -> web.Response:
        try:
            return await self._asked(request)
        except (InputError, AuthError, Unavailable) as error:
            if not isinstance(error, Unavailable):
                self._listen(Received(0, {error.reason: 1}, problem_of(error).status, 0.0))
            return problem_of(error)

    async def _asked(self, request: web.Request) -> web.Response:
        query = dict(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True, encoding="latin-1"))
        key = await self._keys.verify(query.pop("key", ""))
        if key.provider != PROVIDER:
            raise AuthError("this key is not Kannel's", reason="forbidden")
        came_ms = await self._held.since(query)
        try:
            with self._limits.holding(key, 1):
                response = await self._heard(query, came_ms)
        except Unavailable:
            await self._held.keep(query)
            raise
        if came_ms is not None:
            await self._held.forget(query)
        return response

    async def _heard(self, query: dict[str, str], came_ms: int | None) -> web.Response:
        try:
            phone, raw = query["from"].strip(), query["text"].encode("latin-1")
        except KeyError as error:
            what = InputError(f"{error.args[0]} is missing", reason="field_missing", field=str(error.args[0]), fix="see get-url")
            await self._gateway.keep(urlencode(query).encode()[:4096], what, Sender("sms:unregistered"))  # without the key
            raise what from None
        try:
            text = raw.decode(_CHARSETS[query.get("charset", "").lower()])
        except (UnicodeDecodeError, KeyError):
            broken = InputError("not in its own alphabet", reason="malformed", field="text", fix="charset=%C")
            return _reply(await self._readers.keep(phone, raw, broken))
        time_s = query.get("time", "")
        sent_ms = int(time_s) * 1000 if time_s.isdecimal() and len(time_s) < 12 else None
        answer = await self._readers.take(phone, text, sent_ms, came_ms)
        # a get-url of somebody's own, without %T, or a clock that is ahead: nothing tells when Kannel has the answer
        await self._readers.delivered(phone, sent_ms)
        return _reply(answer)


def _reply(answer: str) -> web.Response:
    """Kannel sends the body to the phone; it must be told that Urdu is not of the GSM alphabet. An empty one sends nothing."""
    response = web.Response(text=answer, content_type="text/plain", charset="utf-8")
    if answer and smsutil.split(answer).encoding != "gsm0338":
        response.headers["X-Kannel-Coding"] = "2"
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response
