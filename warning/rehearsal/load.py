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
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp


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

    async def run(self) -> dict[str, Any]:
        """What became of it."""
        bodies = self._bodies()
        began = time.monotonic()
        numbers = itertools.count()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as http:
            senders = [asyncio.create_task(self._send(http, bodies, numbers, began)) for _ in range(self.connections)]
            telling = asyncio.create_task(self._tell(began))
            await asyncio.gather(*senders)
            telling.cancel()
        return self._told(began) | {"done": True}

    async def _send(self, http: aiohttp.ClientSession, bodies: Iterator[bytes], numbers: Iterator[int], began: float) -> None:
        while time.monotonic() - began < self.seconds:
            if self.rate:
                due = began + next(numbers) * self.batch / self.rate
                if due > began + self.seconds:
                    return
                await asyncio.sleep(due - time.monotonic())
                self.late_s = max(self.late_s, time.monotonic() - due)
            async with http.post(self.url, data=next(bodies)) as response:
                await response.read()
            if response.status == 202:
                self.accepted += self.batch
            else:
                self.failed[str(response.status)] = self.failed.get(str(response.status), 0) + self.batch

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

    def _told(self, began: float) -> dict[str, Any]:
        return {"accepted": self.accepted, "failed": self.failed, "seconds": time.monotonic() - began, "late_s": self.late_s}


def main() -> None:
    """As a program: the fields of ``Load`` as JSON."""
    print(json.dumps(asyncio.run(Load(**json.loads(sys.argv[1])).run())), flush=True)


if __name__ == "__main__":
    main()
