"""``GET /v1/sms/kannel``: Kannel's sms-service asks us with what a phone sent, and sends the phone our answer.

::

    group = sms-service
    keyword = default
    get-url = "http://127.0.0.1:8080/v1/sms/kannel?key=fw_...&from=%p&text=%b&charset=%C&time=%T"
    accept-x-kannel-headers = true
    omit-empty = true
    concatenation = true
    max-messages = 2

and in ``group = smsbox``: ``http-request-retry = 8640`` and ``http-queue-delay = 10``, else it gives up at our first 503. The key is one of
provider ``kannel`` (``warning keys new REGION --provider kannel``): who has it may speak for every phone. Kannel keeps a message that waits
for us in its memory; a centre bound by SMPP (``smpp_in``) keeps it on its disk.
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
from warning.ingest.keys import KeyStore
from warning.ingest.rate import Limits
from warning.ingest.sms_in import SmsIn

PATH = "/v1/sms/kannel"
PROVIDER = "kannel"

_CHARSETS = {"": "utf-8", "utf-8": "utf-8", "utf8": "utf-8", "utf-16be": "utf-16-be", "ucs-2": "utf-16-be", "iso-8859-1": "latin-1"}


def routes(readers: SmsIn, gateway: Gateway, keys: KeyStore, listen: Listener = nobody, limits: Limits | None = None) -> list[web.RouteDef]:
    """The one route. A key that sends too much gets 429, which Kannel tries again as it does after 503."""
    buckets = limits or Limits(time.monotonic)

    async def asked(request: web.Request) -> web.Response:
        try:
            return await _asked(request)
        except (InputError, AuthError, Unavailable) as error:
            if not isinstance(error, Unavailable):
                listen(Received(0, {error.reason: 1}, problem_of(error).status, 0.0))
            return problem_of(error)

    async def _asked(request: web.Request) -> web.Response:
        query = dict(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True, encoding="latin-1"))
        key = await keys.verify(query.pop("key", ""))
        if key.provider != PROVIDER:
            raise AuthError("this key is not Kannel's", reason="forbidden")
        with buckets.holding(key, 1):
            return await _heard(query)

    async def _heard(query: dict[str, str]) -> web.Response:
        try:
            phone, raw = query["from"].strip(), query["text"].encode("latin-1")
        except KeyError as error:
            what = InputError(f"{error.args[0]} is missing", reason="field_missing", field=str(error.args[0]), fix="see get-url")
            await gateway.keep(urlencode(query).encode()[:4096], what, Sender("sms:unregistered"))  # without the key
            raise what from None
        try:
            text = raw.decode(_CHARSETS[query.get("charset", "").lower()])
        except (UnicodeDecodeError, KeyError):
            broken = InputError("not in its own alphabet", reason="malformed", field="text", fix="charset=%C")
            return _reply(await readers.keep(phone, raw, broken))
        time_s = query.get("time", "")
        sent_ms = int(time_s) * 1000 if time_s.isdecimal() and len(time_s) < 12 else None
        return _reply(await readers.take(phone, text, sent_ms))

    return [web.get(PATH, asked, allow_head=False)]


def _reply(answer: str) -> web.Response:
    """Kannel sends the body to the phone; it must be told that Urdu is not of the GSM alphabet. An empty one sends nothing."""
    response = web.Response(text=answer, content_type="text/plain", charset="utf-8")
    if answer and smsutil.split(answer).encoding != "gsm0338":
        response.headers["X-Kannel-Coding"] = "2"
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response
