"""``warning pull`` as a way in: the suite that every way passes, with a web server that plays the agency.

The acknowledgement is the entity tag: the agency hears it back only after the log has all that it stands for.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pull_agency import AgencyServer
from way_conformance import Answer, At, Message, Way, WayConformance

from warning import config_sources
from warning.ingest.pull import Puller
from warning.ingest.watermark import Watermarks

WITHIN_S = 4.0  # a poll every 0.1 s
SOURCES = """
sources:
  agency:
    url: http://127.0.0.1:1/readings?key={key}
    reach: loopback
    every: 1 min
    most_mb: 0.5
    timeout: 2 s
    others: refuse
    secrets: {key: "file:KEY_FILE"}
    stations: {A: A, B: B, C: C, D: D}
    parameters: {stage: stage, inflow: inflow}
    own_format:
      format: json
      items: {item: whole.items}
      readings:
        - {station: item.station, what: item.parameter, time: item.at, value: item.value, unit: item.unit, datum: item.datum}
      time_format: unix_ms
"""


class PullWay(Way):
    tells = False  # an agency is not told; its operators are, by the alarm and readings.rejected
    most_bytes = 1 << 20

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def prepare(self, folder: Path) -> None:
        key = folder / "agency.key"
        key.write_text("secret\n")
        (folder / "sources.yaml").write_text(SOURCES.replace("KEY_FILE", str(key)))

    async def open(self, folder: Path) -> None:
        self.agency = await AgencyServer().start()

    async def close(self) -> None:
        await self.agency.stop()

    def where_outside(self) -> dict[str, Any]:
        return {"port": self.agency.port}

    @asynccontextmanager
    async def serve(self, at: At) -> AsyncIterator[dict[str, Any]]:
        (source,) = config_sources.load(Path(at.region.folder), at.region)
        source = replace(source, url=source.url.replace(":1/", f":{at.outside['port']}/"), every_s=0.1)
        marks = Watermarks(at.deployment.database, at.clock)
        puller = Puller(source, at.gateway, marks, at.clock, at.listen)
        stop = asyncio.Event()
        await puller.start()
        running = asyncio.create_task(puller.run(stop))
        try:
            yield {"pid": os.getpid()}
        finally:
            stop.set()
            await running
            await puller.stop()
            await marks.close()

    async def send(self, where: dict[str, Any], message: Message, *, again: bool = False) -> Answer:
        etag = f'"{next(self._numbers)}"'
        item = {"station": message.station, "parameter": message.parameter, "at": message.at_ms, "value": message.value}
        body = json.dumps({"items": [item | {"unit": message.unit, "datum": message.datum}]}).encode()
        if message.bad_key:
            return await self._without_the_key(body)
        self.agency.body, self.agency.etag = body if message.raw is None else message.raw, etag
        if message.raw is not None and len(message.raw) > self.most_bytes:
            await asyncio.sleep(1.0)
            self.agency.items()
            return Answer(accepted=None)
        until = time.monotonic() + (WITHIN_S if not again else 3.0)
        while not (acknowledged := await self.agency.until_acknowledged(etag, 0.2)):
            if time.monotonic() > until or _dead(where["pid"]):
                break
        self.agency.items()  # the next process begins with what is sent to it
        return Answer(accepted=None, again=not acknowledged)

    async def _without_the_key(self, body: bytes) -> Answer:
        """The agency does not know our key."""
        from aiohttp import web

        async def refuse(request: web.Request) -> web.StreamResponse:
            known = request.query.get("key") == "another"
            return web.Response(body=body) if known else web.Response(status=401)

        self.agency.answer = refuse
        try:
            before = len(self.agency.asked)
            async with asyncio.timeout(WITHIN_S):
                while len(self.agency.asked) < before + 1:
                    await asyncio.sleep(0.05)
        finally:
            self.agency.answer = None
        return Answer(accepted=None)


def _dead(pid: int) -> bool:
    """Ended, or waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class TestPull(WayConformance):
    way = PullWay()
