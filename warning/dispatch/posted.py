"""Requests to gateways over HTTP: what a failure on the way means, and which statuses are the gateway's fault, ours, or the message's."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from warning.dispatch.channel import Outcome
from warning.dispatch.webhook import NOT_SENT, retry_after
from warning.model import DeliveryState

log = logging.getLogger(__name__)

MOST_OCTETS = 1 << 20  # of an answer; what comes beyond that is not read
SHOWN = 200
CLOSE_WITHIN_S = 5.0
WHOLE = 2.0  # times the timeout of each step
OUR_FAULT = {401, 402, 403, 404, 407}  # key, credit, address: of the route, whoever the message is for
AMBIGUOUS = {500, 502, 504}  # it may have been taken before somebody fell over


@dataclass
class Poster:
    """One client of one gateway. Its address is the operator's own word, so it may lie inside the house; redirects are not followed."""

    url: str
    timeout_s: float = 20.0
    window: int = 16
    verify: ssl.SSLContext | bool = True
    _client: httpx.AsyncClient | None = field(default=None, init=False)

    async def start(self) -> None:
        limits = httpx.Limits(max_connections=self.window, max_keepalive_connections=self.window)
        self._client = httpx.AsyncClient(timeout=self.timeout_s, limits=limits, follow_redirects=False, trust_env=False, verify=self.verify)

    async def stop(self) -> None:
        """Bounded: a gateway that does not answer the end of a TLS session does not hold up ours."""
        if self._client:
            try:
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    await self._client.aclose()
            except (TimeoutError, httpx.HTTPError, OSError) as error:
                log.warning("a gateway's connections did not close: %s", _words(error))

    async def ask(self, method: str, url: str, **request: Any) -> httpx.Response | Outcome:
        """The answer, or what no answer means."""
        assert self._client is not None, "start() comes first"
        try:
            async with asyncio.timeout(WHOLE * self.timeout_s):  # the client's own is per read: one byte a second would keep us for ever
                return await _asked(self._client, method, url, request)
        except (httpx.TimeoutException, TimeoutError) as error:
            return Outcome(DeliveryState.WAITING if isinstance(error, NOT_SENT) else DeliveryState.UNKNOWN, "timeout", detail=_words(error))
        except NOT_SENT as error:
            return Outcome(DeliveryState.WAITING, "connect", detail=_words(error))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            return Outcome(DeliveryState.WAITING, "refused_us", detail=_words(error))
        except httpx.HTTPError as error:
            return Outcome(DeliveryState.UNKNOWN, "reset", detail=_words(error))

    async def well(self) -> bool:
        """Does somebody listen there?"""
        place = urlsplit(self.url)
        return await listens(place.hostname or "", place.port or (443 if place.scheme == "https" else 80))


class ByPoster:
    """What every way over one ``Poster`` has of it."""

    _poster: Poster

    @property
    def up(self) -> bool:
        return True

    async def start(self) -> None:
        await self._poster.start()

    async def stop(self) -> None:
        await self._poster.stop()

    async def well(self) -> bool:
        return await self._poster.well()


async def _asked(client: httpx.AsyncClient, method: str, url: str, request: dict[str, Any]) -> httpx.Response:
    """The answer, with as much of its body as may be read."""
    async with client.stream(method, url, **request) as response:
        read = bytearray()
        async for some in response.aiter_bytes():
            read += some
            if len(read) > MOST_OCTETS:
                break
        headers = {name: value for name, value in response.headers.items() if name in ("content-type", "retry-after")}
        return httpx.Response(response.status_code, headers=headers, content=bytes(read[:MOST_OCTETS]))


async def listens(host: str, port: int) -> bool:
    """Can a connection be made within three seconds?"""
    try:
        async with asyncio.timeout(3.0):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def refused(response: httpx.Response) -> Outcome | None:
    """What a status other than 2xx means; None for 2xx."""
    status, detail = response.status_code, f"{response.status_code} {response.text[:SHOWN]!r}"
    if 200 <= status < 300:
        return None
    wish = retry_after(response.headers.get("retry-after", ""), datetime.now(UTC))
    if status == 429 or status == 503:
        return Outcome(DeliveryState.WAITING, "throttled" if status == 429 else "gateway_error", wish, soon=True, detail=detail)
    if status in AMBIGUOUS:
        return Outcome(DeliveryState.UNKNOWN, "server_error", wish, detail=detail)
    if status in OUR_FAULT or status >= 500 or status < 400:
        return Outcome(DeliveryState.WAITING, "refused_us", wish, detail=detail)
    return Outcome(DeliveryState.FAILED, "rejected", detail=detail)


def _words(error: Exception) -> str:
    """Without the URL, which may hold a key."""
    return f"{type(error).__name__}: {str(error).split('http', maxsplit=1)[0]}"[:SHOWN]
