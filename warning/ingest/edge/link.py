"""HTTP to the gateway over a link that breaks: short timeouts, and nothing believed that the gateway did not say."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from warning.errors import Unavailable
from warning.site import Gateway

_MOST_ANSWER_BYTES = 4 << 20
_CONNECT_PART = 0.5  # of the timeout


class OneRefused(msgspec.Struct, frozen=True):
    index: int
    reason: str
    field: str = ""
    detail: str = ""
    fix: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What the gateway says, of an answer or a problem (RFC 9457)."""

    accepted: int = 0
    refused: list[OneRefused] = []
    received_ms: int | None = None
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """``answer`` None: not the gateway's words (a portal of the network, a proxy). ``date_ms``: of its Date header, to 1 s."""

    status: int
    answer: Answer | None
    retry_after_s: float | None
    date_ms: int | None


class Link:
    """One connection at a time, kept open while it works. Use it in one event loop, and ``close`` it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(self, body: bytes, headers: dict[str, str], timeout_s: float) -> Response:
        """Raises Unavailable: nobody knows what became of it."""
        return await self._request("POST", body, headers, timeout_s)

    async def ask(self, timeout_s: float) -> Response:
        """A request that changes nothing, for its answer's Date. Raises Unavailable."""
        return await self._request("GET", None, {}, timeout_s)

    async def _request(self, method: str, body: bytes | None, headers: dict[str, str], timeout_s: float) -> Response:
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=timeout_s * _CONNECT_PART)
        try:
            session = self._opened()
            sending = session.request(method, self._gateway.url, data=body, headers=headers, timeout=timeout, allow_redirects=False)
            async with sending as response:
                content = await response.content.read(_MOST_ANSWER_BYTES)
                while not response.content.at_eof() and len(content) < _MOST_ANSWER_BYTES:
                    content += await response.content.read(_MOST_ANSWER_BYTES - len(content))
                return Response(response.status, _answer(response, content), _retry_after_s(response), _date_ms(response))
        except TimeoutError as error:
            raise Unavailable(f"no answer within {timeout_s:g} s", reason="timeout") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: bytes that are no HTTP
            raise Unavailable(f"{type(error).__name__}: {error}", reason="link") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            secure: Any = True
            if self._gateway.ca_file:
                secure = ssl.create_default_context(cafile=self._gateway.ca_file)
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1, ssl=secure, keepalive_timeout=60))
        return self._session

    def key(self) -> str:
        """Read anew each time, so that a new key needs no restart. Raises Unavailable."""
        try:
            return Path(self._gateway.key_file).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise Unavailable(f"the key {self._gateway.key_file} cannot be read: {error}", reason="key_file") from error


def _answer(response: aiohttp.ClientResponse, content: bytes) -> Answer | None:
    if response.content_type not in ("application/json", "application/problem+json"):
        return None
    try:
        return msgspec.json.decode(content, type=Answer)
    except msgspec.DecodeError:
        return None


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def _date_ms(response: aiohttp.ClientResponse) -> int | None:
    try:
        return int(parsedate_to_datetime(response.headers["Date"]).timestamp() * 1000)
    except (KeyError, ValueError, OverflowError):
        return None
