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
        """Requests without end: a wave that rises and falls within an hour, far below any limit."""
        first = int(time.time()) - self.behind_s
        parts: list[str] = []
        for step in itertools.count():
            at = datetime.fromtimestamp(first + step, UTC).isoformat()
            for number, station in enumerate(self.stations):
                value = round(200 + 20 * math.sin(step / 600 + number), 2)
                parts.append(f'{{"station":"{station}","parameter":"discharge","time":"{at}","value":{value},"unit":"m3/s"}}')
                if len(parts) == self.batch:
                    yield f"[{','.join(parts)}]".encode()
                    parts = []

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


class _Connection:
    """A kept connection that posts one request after the other. A client library costs more than the gateway it is to measure."""

    def __init__(self, url: str, key: str) -> None:
        place = urlsplit(url)
        self._host, self._port = place.hostname or "", place.port or 80
        lines = [f"POST {place.path} HTTP/1.1", f"Host: {place.netloc}", f"Authorization: Bearer {key}", "Content-Type: application/json"]
        self._head = "".join(f"{line}\r\n" for line in [*lines, "Content-Length: "])[:-2].encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> str:
        """The status, or the name of what went wrong; then a new connection is made the next time."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            return head[9:12].decode()
        except (OSError, EOFError, ValueError) as error:  # IncompleteReadError is an EOFError
            self.close()
            await asyncio.sleep(_AGAIN_S)
            return type(error).__name__

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def main() -> None:
    """As a program: the fields of ``Load`` as JSON."""
    print(json.dumps(asyncio.run(Load(**json.loads(sys.argv[1])).run())), flush=True)


if __name__ == "__main__":
    main()
