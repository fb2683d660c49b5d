"""``POST /v1/lorawan/chirpstack`` and ``/v1/lorawan/ttn``: uplinks by the HTTP integration of a LoRaWAN network, with an ingest key.

202 when the log has the readings or the refusals of an event (``refused`` says which): a network that is told of a fault in one device's
bytes can do nothing about it, and would call the webhook broken and keep the good ones back. 401, 413, 429, 503 as for readings. Neither
network tries again of itself after 503 (The Things Stack does where retries are part of the plan): by MQTT nothing is lost.
"""

from __future__ import annotations

import time

import msgspec
from aiohttp import web

from warning.errors import AuthError, InputError, Unavailable
from warning.facts import Listener, Received, nobody
from warning.ingest.gateway import Gateway, Sender, Taken
from warning.ingest.http import TooLong, body_of, key_of, problem_of
from warning.ingest.keys import KeyStore
from warning.ingest.lorawan import Uplinks
from warning.ingest.rate import Limits, worth
from warning.ingest.uplink import Network

PATH = "/v1/lorawan/{network}"


def routes(
    gateway: Gateway, keys: KeyStore, uplinks: Uplinks, listen: Listener = nobody, limits: Limits | None = None
) -> list[web.RouteDef]:
    """For ``add_routes`` of the application that ``http.create_app`` made."""
    posted = _Posted(gateway, keys, uplinks, listen, limits or Limits(time.monotonic))
    return [web.post(PATH.format(network="chirpstack"), posted.chirpstack), web.post(PATH.format(network="ttn"), posted.ttn)]


class _Posted:
    def __init__(self, gateway: Gateway, keys: KeyStore, uplinks: Uplinks, listen: Listener, limits: Limits) -> None:
        self._gateway, self._keys, self._uplinks, self._listen, self._limits = gateway, keys, uplinks, listen, limits

    async def chirpstack(self, request: web.Request) -> web.Response:
        return await self._answered(request, Network.CHIRPSTACK, request.query.get("event", "up"))

    async def ttn(self, request: web.Request) -> web.Response:
        return await self._answered(request, Network.TTN, "up")

    async def _answered(self, request: web.Request, network: Network, event: str) -> web.Response:
        began = time.monotonic()
        try:
            taken = await self._take(request, network, event)
        except (InputError, AuthError, Unavailable) as error:
            response = problem_of(error)
            self._listen(Received(0, {error.reason: 1}, response.status, time.monotonic() - began))
            return response
        self._listen(Received(taken.accepted, taken.reasons, 202, time.monotonic() - began))
        fields = {"accepted": taken.accepted, "refused": taken.refused, "received_ms": taken.received_ms}
        return web.Response(status=202, body=msgspec.json.encode(fields), content_type="application/json")

    async def _take(self, request: web.Request, network: Network, event: str) -> Taken:
        key = await key_of(request, self._keys)
        sender = Sender(key.provider, key.stations)
        try:
            body = await body_of(request)
        except TooLong as error:
            with self._limits.holding(key, worth(error.begin)):
                await self._gateway.keep(error.begin, error, sender)
            raise
        understood = self._uplinks.read(network, body, event)
        with self._limits.holding(key, max(1, len(understood.parts))):
            taken = await self._gateway.offer(understood.parts, sender)
        if sender.stations and not sender.stations & understood.stations:
            return taken  # a key of other stations: it says nothing of this device's battery, nor of its frames
        self._uplinks.done(understood.frame)
        if understood.heard is not None:
            self._listen(understood.heard)
        return taken
