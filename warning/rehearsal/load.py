"""Load on a gateway: posts made-up readings at a pace, or as fast as they are taken. No claim about floods.

Runs as a process of its own, so that whoever measures is not held up by it::

    python -m warning.rehearsal.load '{"url": "...", "key": "fw_...", "stations": ["G0000000", ...], "rate": 1000, "seconds": 30}'

``rate``: readings a second, 0: as fast as they are taken. Prints a JSON line each second, and one with ``done`` at the end.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

_MOST_TIMES = 1_000_000
_AGAIN_S = 0.2
_STILL_S = 10
_TIME = b"\0"


@dataclass
class Load:
    """``batch`` readings a request, over so many ``connections``. ``late_s``: how far the latest request began after its time.

    The made-up times begin ``behind_s`` ago and go a second further with each reading of a gauge, so that they do not overtake the clock.
    """

    url: str
    key: str
    stations: list[str]
    rate: float
    seconds: float
    batch: int = 100
    connections: int = 8
    behind_s: int = 5 * 3600
    accepted: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    late_s: float = 0.0
    took_s: list[float] = field(default_factory=list)  # from when a request was due (or begun, without a rate) to its answer

    async def run(self) -> dict[str, Any]:
        """What became of it."""
        bodies = self._bodies()
        began = time.monotonic()
        numbers = itertools.count()
        senders = [asyncio.create_task(self._send(bodies, numbers, began)) for _ in range(self.connections)]
        telling = asyncio.create_task(self._tell(began))
        await asyncio.gather(*senders)
        telling.cancel()
        return self._told(began) | {"done": True} | self._latencies()

    async def _send(self, bodies: Iterator[bytes], numbers: Iterator[int], began: float) -> None:
        connection = _Connection(self.url, self.key)
        try:
            while (due := time.monotonic()) - began < self.seconds:
                if self.rate:
                    due = began + next(numbers) * self.batch / self.rate
                    if due > began + self.seconds:
                        return
                    await asyncio.sleep(due - time.monotonic())
                    self.late_s = max(self.late_s, time.monotonic() - due)
                self._count(await connection.post(next(bodies)), time.monotonic() - due)
        finally:
            connection.close()

    def _count(self, status: str, took_s: float) -> None:
        if status == "202":
            self.accepted += self.batch
            if len(self.took_s) < _MOST_TIMES:
                self.took_s.append(took_s)
        else:
            self.failed[status] = self.failed.get(status, 0) + self.batch

    def _bodies(self) -> Iterator[bytes]:
        """Requests without end: a wave that rises and falls within an hour, far below any limit, in steps of ``_STILL_S`` seconds.

        Written by filling the time into a text: whoever sends shares the machine with what is measured.
        """
        first, size = int(time.time()) - self.behind_s, math.gcd(len(self.stations), self.batch)
        texts: list[bytes] = []
        parts: list[bytes] = []
        for step in itertools.count():
            if step % _STILL_S == 0:
                texts = [self._text(step, begin, begin + size) for begin in range(0, len(self.stations), size)]
            at = datetime.fromtimestamp(first + step, UTC).isoformat().encode()
            for text in texts:
                parts.append(text.replace(_TIME, at))
                if len(parts) * size == self.batch:
                    yield b"[%b]" % b",".join(parts)
                    parts = []

    def _text(self, step: int, begin: int, end: int) -> bytes:
        """Readings of these stations, with ``_TIME`` for their times."""
        found = []
        for number, station in enumerate(self.stations[begin:end], begin):
            value = round(200 + 20 * math.sin(step / 600 + number), 2)
            found.append(f'{{"station":"{station}","parameter":"discharge","time":"\0","value":{value},"unit":"m3/s"}}')
        return ",".join(found).encode()

    async def _tell(self, began: float) -> None:
        while True:
            await asyncio.sleep(1)
            print(json.dumps(self._told(began)), flush=True)

    def _latencies(self) -> dict[str, Any]:
        if len(self.took_s) < 2:
            return {}
        cuts = statistics.quantiles(self.took_s, n=100, method="inclusive")
        return {"p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000, "most_ms": max(self.took_s) * 1000}

    def _told(self, began: float) -> dict[str, Any]:
        return {"accepted": self.accepted, "failed": self.failed, "seconds": time.monotonic() - began, "late_s": self.late_s}


class _Connection(asyncio.Protocol):
    """A kept connection that posts one request after the other. A client library costs more than the gateway it is to measure."""

    def __init__(self, url: str, key: str) -> None:
        place = urlsplit(url)
        self._host, self._port = place.hostname or "", place.port or 80
        lines = [f"POST {place.path} HTTP/1.1", f"Host: {place.netloc}", f"Authorization: Bearer {key}", "Content-Type: application/json"]
        self._head = "".join(f"{line}\r\n" for line in [*lines, "Content-Length: "])[:-2].encode()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[str] | None = None
        self._came = b""

    async def post(self, body: bytes) -> str:
        """The status, or the name of what went wrong; then a new connection is made the next time."""
        loop = asyncio.get_running_loop()
        try:
            if self._transport is None:
                self._came = b""
                self._transport = (await loop.create_connection(lambda: self, self._host, self._port))[0]
            self._answer = loop.create_future()
            self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
            return await self._answer
        except (OSError, EOFError, ValueError) as error:
            self.close()
            await asyncio.sleep(_AGAIN_S)
            return type(error).__name__

    def data_received(self, data: bytes) -> None:
        """An answer, or a part of one; every answer of a gateway says how long it is."""
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        if end and self._answer is not None and not self._answer.done():
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            if not length.strip().isdigit():
                self._answer.set_exception(ValueError("an answer without a length"))
            elif len(body) >= int(length):
                self._came = b""
                self._answer.set_result(head[9:12].decode())

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits for an answer hears it."""
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or EOFError())

    def close(self) -> None:
        """Ends it."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None


def main() -> None:
    """As a program: the fields of ``Load`` as JSON."""
    print(json.dumps(asyncio.run(Load(**json.loads(sys.argv[1])).run())), flush=True)


if __name__ == "__main__":
    main()
