"""The form of gauge readers: one page at ``/reader`` that works offline, what it has to know, and photos of staff gauges.

========================  ============================================================================================================
GET /reader               the page; a reader's personal link is ``/reader#fw_...``: a fragment never leaves the phone
GET /v1/reader            who the key is, his stations with units and limits (Authorization: Bearer)
POST /v1/readings         a reading without a photo, as from any device
POST /v1/photos           multipart: ``reading`` (the JSON of one reading), ``photo`` (JPEG or PNG, 4 MB). 202 when the log has the reading;
                          ``photo`` is the photo's hash, or null where it could not be kept: a full disk costs no reading
GET /v1/photos/HASH       the photo, for a key that may send for its station
========================  ============================================================================================================
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import BodyPartReader, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from warning import config_units
from warning.config_readers import Reader
from warning.errors import AuthError, InputError, Unavailable
from warning.facts import DeviceHeard, Listener, Received, nobody
from warning.ingest import photos as kept
from warning.ingest.formats import GAUGE_ZERO, Item, item
from warning.ingest.gateway import Gateway, Sender, Taken
from warning.ingest.http import key_of, problem, problem_of
from warning.ingest.keys import Key, KeyStore
from warning.ingest.rate import PHOTO, Limits
from warning.ingest.reader_level import Levels
from warning.model import Level, Status
from warning.region import Region, Series, Station

PAGE, READER, PHOTOS = "/reader", "/v1/reader", "/v1/photos"

_FILES = {
    "index.html": "text/html",
    "form.css": "text/css",
    "words.js": "text/javascript",
    "queue.js": "text/javascript",
    "form.js": "text/javascript",
    "worker.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; worker-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_MOST_READING = 4096
_WITHIN_S = 240.0  # a photo of 4 MB at 140 kbit/s
_UNITS = {
    "stage": ("ft", "m", "cm"),
    "discharge": ("cusec", "m3/s"),
    "rain": ("mm", "in"),
    "temperature": ("degC", "degF"),
    "humidity": ("%",),
}

# What aiohttp raises of a multipart body that breaks its own rules, or breaks off.
_BROKEN = (ValueError, AssertionError, LookupError, RuntimeError, HttpProcessingError, web.RequestPayloadError, ConnectionError)

_log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Form:
    """``routes`` for the server. ``folder``: where photos are kept."""

    def __init__(
        self,
        region: Region,
        readers: Sequence[Reader],
        gateway: Gateway,
        keys: KeyStore,
        folder: Path,
        listen: Listener = nobody,
        limits: Limits | None = None,
    ) -> None:
        self._region, self._gateway, self._keys, self._listen = region, gateway, keys, listen
        self._limits = limits or Limits(time.monotonic)
        self._readers = {reader.id: reader for reader in readers}
        self._photos, self._writing = kept.Photos(folder), asyncio.Lock()
        self._levels = Levels.of(region)
        self._files = {name: (Path(__file__).parent / "form" / name).read_bytes() for name in _FILES}
        self._version = hashlib.sha256(b"".join(self._files.values())).hexdigest()[:16]
        self._files["worker.js"] = self._files["worker.js"].replace(b"VERSION", self._version.encode())

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PAGE, self._file),
            web.get(PAGE + "/{name}", self._file),
            web.get(READER, self._told(self._reader)),
            web.post(PHOTOS, self._told(self._post)),
            web.get(PHOTOS + "/{hash}", self._told(self._photo)),
        ]

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name", "index.html")
        if name not in self._files:
            raise web.HTTPNotFound
        headers = {
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            hdrs.CACHE_CONTROL: "no-cache",
            hdrs.ETAG: f'"{self._version}-{name}"',
            "Service-Worker-Allowed": PAGE,
        }
        if request.headers.get(hdrs.IF_NONE_MATCH) == headers[hdrs.ETAG]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=self._files[name], content_type=_FILES[name], charset="utf-8", headers=headers)

    def _told(self, handler: _Handler) -> _Handler:
        async def answered(request: web.Request) -> web.StreamResponse:
            began = time.monotonic()
            try:
                return await handler(request)
            except (InputError, AuthError, Unavailable) as error:
                response = problem(403, error.reason, str(error)) if error.reason == "forbidden" else problem_of(error)
                if request.method == "POST":
                    self._listen(Received(0, {error.reason: 1}, response.status, time.monotonic() - began))
                return response

        return answered

    # --- what the page has to know

    async def _reader(self, request: web.Request) -> web.Response:
        key = await key_of(request, self._keys)
        reader, stations = self._readers.get(key.provider), self._stations(key)
        region = self._region
        content = {
            "reader": {
                "id": key.provider,
                "name": reader.name if reader else key.provider,
                "language": reader.language if reader else "en",
            },
            "region": {
                "id": region.id,
                "names": dict(region.names),
                "exercise": region.status is not Status.ACTUAL,
                "status": region.status.value,
                "utc_offset_s": region.utc_offset_s,
            },
            "classes": {level.name: dict(names) for level, names in region.class_names.items()},
            "stations": [self._station(station, reader) for station in stations],
            "server_ms": time.time_ns() // 1_000_000,
        }
        return web.Response(body=msgspec.json.encode(content), content_type="application/json", headers={hdrs.CACHE_CONTROL: "no-store"})

    def _stations(self, key: Key) -> list[Station]:
        """Those of his row in readers.csv as far as the key goes, else the key's. Raises AuthError if that is all of a region."""
        reader = self._readers.get(key.provider)
        names = reader.stations if reader else sorted(key.stations)
        allowed = [name for name in names if not key.stations or name in key.stations]
        if not allowed:
            raise AuthError("this key is nobody's who reads gauges: make one with `warning readers link`", reason="forbidden")
        known = self._region.station_by_id
        return [known[name] for name in allowed if name in known]

    def _station(self, station: Station, reader: Reader | None) -> dict[str, Any]:
        series = [self._series(station, one, reader) for one in station.series if one.rain_as != "grid"]
        return {"id": station.id, "names": dict(station.names), "series": series}

    def _series(self, station: Station, series: Series, reader: Reader | None) -> dict[str, Any]:
        quantity = series.parameter.quantity
        mine = reader.unit if reader and reader.parameter and reader.parameter.quantity == quantity else ""
        first = mine or self._region.display_units.get(quantity, "")
        units = list(dict.fromkeys(filter(None, (first, *_UNITS[quantity]))))
        levels: list[dict[str, Any]] = []
        for zone in self._levels.zones.get(station.id, ()):
            if not levels and zone.limits.quantity == quantity:
                levels = [{"level": level.name, "si": limit} for level, limit in _rising(zone.limits.values)]
        return {
            "parameter": series.parameter.value,
            "units": [
                {"unit": unit, "factor": config_units.factor(unit, quantity), "zero": config_units.zero(unit)}
                for unit in units
                if unit in config_units.units_of(quantity)
            ],
            "datum": (reader.datum if reader else GAUGE_ZERO) if quantity == "stage" else "",
            "usual": bool(reader and reader.parameter is series.parameter),
            "levels": levels,
            "least": series.plausible_min,
            "greatest": series.plausible_max,
        }

    # --- photos

    async def _post(self, request: web.Request) -> web.Response:
        began = time.monotonic()
        key = await key_of(request, self._keys)
        with self._limits.holding(key, PHOTO):
            return await self._take(request, key, began)

    async def _take(self, request: web.Request, key: Key, began: float) -> web.Response:
        sender = Sender(key.provider, key.stations)
        parts: dict[str, bytes] = {}
        try:
            await self._parts(request, parts)
            text, photo = parts["reading"], parts["photo"]
            kept.kind_of(photo)
        except InputError as error:
            if "reading" in parts:
                await self._gateway.keep(parts["reading"], error, sender)
            raise
        taken = await self._gateway.take([text], sender)
        self._listen(DeviceHeard(key.id, "form", taken.received_ms))
        if not taken.accepted:
            one = taken.refused[0]
            status = 403 if one.reason == "station_forbidden" else 422
            self._listen(Received(0, taken.reasons, status, time.monotonic() - began))
            return problem(status, one.reason, one.detail, one.field, one.fix, refused=taken.refused)
        name = await self._keep(photo, item(text), sender, taken)
        self._listen(Received(1, {}, 202, time.monotonic() - began))
        content = {"accepted": 1, "refused": [], "received_ms": taken.received_ms, "photo": name}
        return web.Response(status=202, body=msgspec.json.encode(content), content_type="application/json")

    async def _keep(self, photo: bytes, of: Item, sender: Sender, taken: Taken) -> str | None:
        reading = kept.Of(of.station, of.parameter, round(of.time.timestamp() * 1000), sender.provider, taken.received_ms)
        try:
            async with self._writing:
                return await asyncio.to_thread(self._photos.keep, photo, reading)
        except OSError as error:
            _log.error("a photo of %s is not kept, its reading is: %s", of.station, error)
            return None

    async def _parts(self, request: web.Request, found: dict[str, bytes]) -> None:
        """Reading and photo of the body into ``found``. Raises InputError; what had come until then is there."""
        if request.content_type != "multipart/form-data":
            raise _multipart("a photo comes as multipart/form-data", "media_type")
        try:
            async with asyncio.timeout(_WITHIN_S):
                async for part in await request.multipart():
                    name = part.name if isinstance(part, BodyPartReader) else None
                    if not isinstance(part, BodyPartReader) or name not in ("reading", "photo") or name in found:
                        raise _multipart("only the parts reading and photo, each once")
                    most = _MOST_READING if name == "reading" else kept.MOST_BYTES
                    found[name] = await _read(part, most)
                    if len(found[name]) > most:
                        raise InputError(f"{name} has over {most} bytes", reason="too_large", field=name, fix="send a smaller one")
        except TimeoutError:
            raise InputError("the photo did not come in time", reason="body_slow", field="photo", fix="send a smaller one") from None
        except _BROKEN as error:
            raise _multipart(f"the body is broken: {type(error).__name__}") from None
        for name in ("reading", "photo"):
            if name not in found:
                raise _multipart(f"the part {name} is missing")

    async def _photo(self, request: web.Request) -> web.StreamResponse:
        key = await key_of(request, self._keys)
        found = await asyncio.to_thread(self._photos.find, request.match_info["hash"])
        if found is None or not any(not key.stations or one.station in key.stations for one in found[2]):
            raise web.HTTPNotFound
        of = [msgspec.structs.asdict(one) | {"time": _shown(one.time_ms)} for one in found[2]]
        headers = {"Content-Type": found[1], "X-Content-Type-Options": "nosniff", hdrs.CACHE_CONTROL: "private, max-age=31536000"}
        headers["Photo-Of"] = msgspec.json.encode(of).decode()
        return web.Response(body=await asyncio.to_thread(found[0].read_bytes), headers=headers)


async def _read(part: BodyPartReader, most: int) -> bytes:
    """Of one that is longer than ``most`` its beginning, which is longer, too."""
    content = bytearray()
    while len(content) <= most and (chunk := await part.read_chunk(64 << 10)):
        content += chunk
    return bytes(content)


def _multipart(what: str, reason: str = "malformed") -> InputError:
    return InputError(what, reason=reason, field="", fix="multipart/form-data with the parts reading and photo")


def _rising(limits: Any) -> list[tuple[Level, float]]:
    return sorted(limits.items(), key=lambda one: one[0].rank)


def _shown(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()
