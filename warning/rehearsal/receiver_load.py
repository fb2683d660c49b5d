"""A receiver of webhooks for load: HTTP/1.1 over kept connections, as fast as Python gets; it checks each signature and answers 204 or 401.

Next to nothing of HTTP (``rehearsal.receiver`` has it): POST /hook/NAME with a content-length. Writes lines of arrival (Unix s) and name of
what was verified to ``record``.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from pathlib import Path

GOOD, BAD = b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"


class Inbox:
    """What all connections share. ``secrets``: name -> ``whsec_...``."""

    def __init__(self, secrets: Mapping[str, str], record: Path) -> None:
        self._keys = {name: base64.b64decode(secret.removeprefix("whsec_")) for name, secret in secrets.items()}
        self._file = record.open("a", encoding="utf-8", buffering=1)
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listens; returns the port."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Connection(self), "127.0.0.1", 0, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        self._file.close()

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """The answer."""
        name = path.removeprefix("/hook/")
        signed = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}.".encode() + body
        known = self._keys.get(name)
        if known is None:
            return BAD
        wanted = "v1," + base64.b64encode(hmac.digest(known, signed, hashlib.sha256)).decode()
        if wanted not in headers.get("webhook-signature", "").split():
            return BAD
        self._file.write(f"{time.time():.3f} {name}\n")
        return GOOD


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox, self._left = inbox, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._left += data
        while (end := self._left.find(b"\r\n\r\n")) >= 0:
            first, *lines = self._left[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            whole = end + 4 + int(headers.get("content-length", "0"))
            if len(self._left) < whole:
                return
            self._transport.write(self._inbox.take(first.split(" ")[1], headers, bytes(self._left[end + 4 : whole])))
            del self._left[:whole]
