"""``/v1/sta/v1.1``: SensorThings over HTTP. Whoever has a key creates Observations; Things and their like are the region's, to read.

201 means: the log has it (acks=all). Observations are not kept here: to read them answers 501 and says where they are. Errors have the form
that FROST gives them (``code``, ``type``, ``message``) with our ``reason``, ``field`` and ``fix`` beside it. The key comes as Bearer, or as
the password of Basic, which is what clients of SensorThings can send; its limit of readings a minute (429) counts here by itself, beside
that of ``POST /v1/readings``.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web

from warning.errors import AuthError, InputError, Unavailable
from warning.facts import DeviceHeard, Listener, Received, nobody
from warning.ingest.formats import Item
from warning.ingest.gateway import Gateway, Part, Sender, Taken
from warning.ingest.http import TooLong, body_of
from warning.ingest.keys import Key, KeyStore
from warning.ingest.rate import RATE_LIMITED, Limits
from warning.ingest.refused import Refused
from warning.ingest.sensorthings import Things, id_of
from warning.ingest.sensorthings_entities import COLLECTIONS, Entities, NotFound

ROOT = "/v1/sta/v1.1"

_MOST, _USUAL = 1000, 100  # entities in an answer
_STATUS = {"too_large": 413, "too_many": 413, "body_slow": 408, "media_type": 415, "datastream_unknown": 404, "station_forbidden": 403}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SensorThings:
    """``routes`` for the server."""

    def __init__(self, things: Things, gateway: Gateway, keys: KeyStore, listen: Listener = nobody, limits: Limits | None = None) -> None:
        self._things, self._gateway, self._keys, self._listen = things, gateway, keys, listen
        self._entities = Entities(things.region)
        self._limits = limits or Limits(time.monotonic)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(ROOT, self._told(self._root)),
            web.get(ROOT + "/{path:.*}", self._told(self._get)),
            web.post(ROOT + "/Observations", self._told(self._create)),
            web.post(ROOT + "/Datastreams({id:[^/]+})/Observations", self._told(self._create)),
            web.post(ROOT + "/CreateObservations", self._told(self._create_many)),
            web.post(ROOT + "/{path:.*}", self._told(self._only_read)),
            web.patch(ROOT + "/{path:.*}", self._told(self._only_read)),
            web.put(ROOT + "/{path:.*}", self._told(self._only_read)),
            web.delete(ROOT + "/{path:.*}", self._told(self._only_read)),
        ]

    def _told(self, handler: _Handler) -> _Handler:
        async def answered(request: web.Request) -> web.StreamResponse:
            began = time.monotonic()
            try:
                return await handler(request)
            except (InputError, AuthError, Unavailable, NotFound) as error:
                response = _error(error)
                if request.method == "POST":
                    self._listen(Received(0, {getattr(error, "reason", "not_found"): 1}, response.status, time.monotonic() - began))
                return response

        return answered

    # --- Observations

    async def _create(self, request: web.Request) -> web.Response:
        began = time.monotonic()
        key = await self._key(request)
        body = await self._body(request, key)
        named = request.match_info.get("id")
        part = self._things.observation(body, id_of(named) if named is not None else None)
        taken = await self._offer([part], key, began)
        if taken.refused:
            return _refused(taken.refused[0])
        link = _link(request, part)
        return web.Response(status=201, body=b"", headers={hdrs.LOCATION: link}, content_type="application/json")

    async def _create_many(self, request: web.Request) -> web.Response:
        began = time.monotonic()
        key = await self._key(request)
        body = await self._body(request, key)
        try:
            lists = self._things.arrays(body)
        except InputError as error:
            await self._gateway.keep(body, error, Sender(key.provider, key.stations))
            raise
        parts = [part for one in lists for part in one]
        taken = await self._offer(parts, key, began)
        if not taken.accepted:
            return _refused(taken.refused[0])
        wrong = {one.index for one in taken.refused}
        links = ["error" if index in wrong else _link(request, part) for index, part in enumerate(parts)]
        return web.Response(status=201, body=msgspec.json.encode(links), content_type="application/json")

    async def _offer(self, parts: Sequence[Part], key: Key, began: float) -> Taken:
        with self._limits.holding(key, len(parts)):
            taken = await self._gateway.offer(parts, Sender(key.provider, key.stations))
        self._listen(DeviceHeard(key.id, "sensorthings", taken.received_ms))
        self._listen(Received(taken.accepted, taken.reasons, 201 if taken.accepted else 422, time.monotonic() - began))
        return taken

    async def _key(self, request: web.Request) -> Key:
        scheme, _, text = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "basic":
            try:
                text = base64.b64decode(text, validate=True).decode("ascii").rpartition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                raise AuthError("this is no Basic authorization") from None
        elif scheme.lower() != "bearer":
            raise AuthError("send your key: Authorization: Bearer fw_..., or as the password of Basic")
        return await self._keys.verify(text.strip())

    async def _body(self, request: web.Request, key: Key) -> bytes:
        if request.content_type != "application/json":
            what = f"content type {request.content_type[:60]!r}"
            raise InputError(what, reason="media_type", field="Content-Type", fix="application/json")
        try:
            return await body_of(request)
        except TooLong as error:
            await self._gateway.keep(error.begin, error, Sender(key.provider, key.stations))
            raise

    # --- what there is

    async def _root(self, request: web.Request) -> web.Response:
        base = _base(request)
        content = {
            "value": [{"name": name, "url": f"{base}/{name}"} for name in (*COLLECTIONS, "Observations")],
            "serverSettings": {
                "conformance": [
                    "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel",
                    "http://www.opengis.net/spec/iot_sensing/1.1/req/data-array/data-array",
                    "http://www.opengis.net/spec/iot_sensing/1.1/req/create-observations-via-mqtt/observations-creation",
                ]
            },
        }
        return _json(content)

    async def _get(self, request: web.Request) -> web.Response:
        top, skip, count = _page(request)
        path = request.match_info["path"].strip("/")
        if path.rpartition("/")[2].startswith("Observations"):
            raise InputError("Observations are not read here", reason="not_implemented", field="", fix="the API's /v1/zones and series")
        found = self._entities.get(path, _base(request))
        if isinstance(found, dict):
            return _json(found)
        content: dict[str, Any] = {"@iot.count": len(found)} if count else {}
        content["value"] = [made() for made in found[skip : skip + top]]
        if skip + top < len(found):
            content["@iot.nextLink"] = f"{_base(request)}/{path}?$top={top}&$skip={skip + top}"
        return _json(content)

    async def _only_read(self, request: web.Request) -> web.Response:
        raise InputError(
            "only Observations are created here", reason="not_implemented", field="", fix="stations are the region's configuration"
        )


def _page(request: web.Request) -> tuple[int, int, bool]:
    """($top, $skip, $count). Raises InputError for every other option: an option that is passed over would be a wrong answer."""
    for name in request.query:
        if name not in ("$top", "$skip", "$count"):
            raise InputError(f"{name[:40]} is not there", reason="not_implemented", field=name[:40], fix="$top, $skip, $count")
    numbers = {}
    for name, usual in (("$top", _USUAL), ("$skip", 0)):
        text = request.query.get(name, str(usual))
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise InputError(f"{name}={text[:20]!r} is no number", reason="bad_field", field=name, fix="a whole number")
        numbers[name] = int(text)
    return min(numbers["$top"], _MOST), numbers["$skip"], request.query.get("$count", "").lower() == "true"


def _base(request: web.Request) -> str:
    return f"{request.scheme}://{quote(request.host, safe=':[]', errors='surrogateescape')}{ROOT}"


def _link(request: web.Request, part: Part) -> str:
    """The id of an Observation is its identity: series and time."""
    assert isinstance(part.item, Item)
    name = f"{part.item.station}:{part.item.parameter}:{round(part.item.time.timestamp() * 1000)}"
    return f"{_base(request)}/Observations('{name}')"


def _json(content: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), content_type="application/json")


def _refused(one: Refused) -> web.Response:
    return _error(InputError(one.detail, reason=one.reason, field=one.field, fix=one.fix))


def _error(error: InputError | AuthError | Unavailable | NotFound) -> web.Response:
    headers = {}
    if isinstance(error, Unavailable):
        status = 429 if error.reason == RATE_LIMITED else 503
        headers[hdrs.RETRY_AFTER] = str(max(1, round(error.retry_after_s or 5)))
    elif isinstance(error, AuthError):
        status, headers[hdrs.WWW_AUTHENTICATE] = 401, 'Bearer, Basic realm="SensorThings"'
    elif isinstance(error, NotFound):
        status = 404
    else:
        status = 501 if error.reason == "not_implemented" else _STATUS.get(error.reason, 400)
    content: dict[str, Any] = {"code": status, "type": "error", "message": str(error), "reason": getattr(error, "reason", "not_found")}
    if isinstance(error, InputError):
        content |= {"field": error.field, "fix": error.fix}
    response = web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json", headers=headers)
    if content["reason"] in ("body_slow", "body_broken", "too_large"):
        response.force_close()
    return response
