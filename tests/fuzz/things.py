"""Mutated SensorThings up to the log: bodies and addresses through the HTTP handler, topics and payloads through MQTT's reader.

Of each: 201 and it is a reading that the model allows, row by row of a data array; or an answer that is no 5xx, and it is kept.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import quote

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from multidict import CIMultiDict, CIMultiDictProxy
from regions import write_region
from yarl import URL

from fuzz.agencies import NOW_MS, Kept, mutated
from fuzz.inside import found_by
from warning import config
from warning.config_datastreams import Datastream
from warning.config_devices import Device
from warning.deployment import Deployment
from warning.facts import nobody
from warning.ingest.gateway import Gateway
from warning.ingest.keys import KeyStore
from warning.ingest.lorawan import Uplinks
from warning.ingest.mqtt_messages import Messages
from warning.ingest.rate import Limits
from warning.ingest.sensorthings import Things
from warning.ingest.sensorthings_http import ROOT, SensorThings
from warning.model import Parameter, Reading, Rejected

TIME = "2025-09-02T06:00:00Z"
ONE: tuple[dict[str, Any], ...] = (
    {"Datastream": {"@iot.id": "A:stage"}, "phenomenonTime": TIME, "result": 2.25},
    {
        "Datastream": {"@iot.id": 17},
        "phenomenonTime": f"2025-09-02T05:00:00+05:00/{TIME}",
        "result": None,
        "FeatureOfInterest": {"@iot.id": 1},
    },
    {"Datastream": {"@iot.id": "D:inflow"}, "resultTime": TIME, "result": 30000, "parameters": {"x": [1, {}]}},
)
MANY: tuple[list[dict[str, Any]], ...] = tuple(
    [
        {"Datastream": {"@iot.id": name}, "components": columns, "dataArray@iot.count": 2, "dataArray": rows},
        {"Datastream": {"@iot.id": 17}, "components": ["result", "resultTime"], "dataArray": [[1.5, TIME]]},
    ]
    for name, columns, rows in (
        ("A:stage", ["phenomenonTime", "result", "parameters"], [[TIME, 1.5, {}], ["2025-09-02T06:05:00Z", 1.6, {"a": None}]]),
        ("D:inflow", ["result", "phenomenonTime"], [[30_000, TIME], [None, "2025-09-02T06:05:00Z"]]),
    )
)
POOL_ONE = [json.dumps(one).encode() for one in ONE] + [json.dumps(one, separators=(",", ":")).encode() for one in ONE]
POOL_MANY = [json.dumps(some).encode() for some in MANY]
ADDRESSES = (
    b"Datastreams('A:stage')",
    b"Datastreams(17)",
    b"Datastreams('D:inflow')",
    b"v1.1/Datastreams('A:stage')",
    b"Datastreams('A''s')",
)
STATUSES = (201, 400, 403, 404, 408, 413, 415, 422, 501)  # 501: an address that creates nothing, told before anything is read


class ThingsFuzz:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-things-")
        self._region = config.load(write_region(Path(self._folder.name)))

    def chunk(self, number: int, count: int) -> dict[str, Any]:
        return asyncio.run(self._run(count, random.Random(f"{self._seed} {number}")))

    async def _run(self, count: int, chance: random.Random) -> dict[str, Any]:
        self._log, self._answers = Kept(), Counter[str]()
        self._gateway = Gateway(self._region, Deployment(), self._log, lambda: NOW_MS)  # type: ignore[arg-type]
        things = Things.of(self._region, [Datastream("17", "A", Parameter.STAGE, "cm", "gauge_zero")])
        self._messages = Messages((Device("logger", frozenset({"A", "D"})),), Uplinks((), lambda: NOW_MS), lambda: NOW_MS, things)
        keys = KeyStore(f"sqlite+aiosqlite:///{self._folder.name}/keys.db", lambda: NOW_MS, remember_s=1e9)
        _, key = await keys.create("fuzz", per_minute=0)
        app = web.Application()
        app.add_routes(SensorThings(things, self._gateway, keys, nobody, Limits(lambda: 0.0)).routes())
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._app, self._headers = app, CIMultiDictProxy(CIMultiDict(headers))
        self._line = Mock(_reading_paused=False)  # one for all: mocks are what costs time
        self._line.get_extra_info.return_value = None
        for _ in range(count):
            await (self._by_mqtt(chance) if chance.random() < 0.25 else self._by_http(chance))
        await keys.close()
        return {"records": count, "answers": dict(self._answers)}

    async def _by_http(self, chance: random.Random) -> None:
        many = chance.random() < 0.4
        body = mutated(chance, POOL_MANY if many else POOL_ONE)
        path = f"{ROOT}/" + ("CreateObservations" if many else "Observations" if chance.random() < 0.5 else _address(chance))
        payload = StreamReader(self._line, 1 << 16, loop=asyncio.get_running_loop())
        payload.feed_data(body)
        payload.feed_eof()
        url = URL(path, encoded=True)
        message = RawRequestMessage("POST", path, HttpVersion11, self._headers, (), False, None, False, False, url)
        line: Any = self._line
        request = web.Request(message, payload, line, line, line, asyncio.get_running_loop(), client_max_size=1 << 26)
        try:
            response = await self._app._handle(request)
        except web.HTTPException as error:
            response = error
        assert isinstance(response, web.Response)
        assert response.status in STATUSES, (response.status, response.body, path, body)
        self._answers[str(response.status)] += 1
        readings, kept = self._brought((path, body))
        if response.status == 201:
            links = msgspec.json.decode(response.body) if many else [response.headers["Location"]]  # type: ignore[arg-type]
            wrong = links.count("error")
            assert (readings, kept) == (len(links) - wrong, wrong) and readings, (readings, kept, body)
        elif not await self._creates(request):  # nothing is created at that address, whatever the body is
            assert response.status in (404, 501) and (readings, kept) == (0, 0), (path, body)
        else:
            assert readings == 0 and kept >= 1, f"{response.status} {response.body!r}: nothing is left of {path} {body!r}"

    async def _creates(self, request: web.Request) -> bool:
        resource = (await self._app.router.resolve(request)).route.resource
        return resource is not None and resource.canonical.endswith("Observations")

    async def _by_mqtt(self, chance: random.Random) -> None:
        body, topic = mutated(chance, POOL_ONE), f"sensors/logger/v1.1/{_address(chance)}"
        if chance.random() < 0.5:
            topic = "sensors/logger/v1.1/Observations"
        heard = self._messages.read(topic, body)
        assert heard.parts, (topic, body)
        taken = await self._gateway.offer(heard.parts, heard.sender)
        assert self._brought((topic, body)) == (taken.accepted, len(taken.refused)), (topic, body)
        self._answers["mqtt taken" if taken.accepted else "mqtt refused"] += 1

    def _brought(self, what: object) -> tuple[int, int]:
        """(readings, refusals) of one message, each as the model allows."""
        records = self._log.records
        readings = [msgspec.json.decode(value, type=Reading) for topic, value in records if topic == "readings"]
        kept = [msgspec.json.decode(value, type=Rejected) for topic, value in records if topic == "readings.rejected"]
        for one in readings:
            assert (one.station, one.parameter.value) in (
                ("A", "stage"),
                ("D", "inflow"),
                ("B", "stage"),
                ("D", "outflow"),
                ("C", "stage"),
            ), (one, what)
            assert one.time_ms <= NOW_MS + 300_000 and (one.value is None or abs(one.value) < 1e308), (one, what)
        assert all(one.reason and one.detail for one in kept), (kept, what)
        records.clear()
        return len(readings), len(kept)


def _address(chance: random.Random) -> str:
    """Percent-encoded where it must be; mutated in a third."""
    name = chance.choice(ADDRESSES)
    if chance.random() < 0.3:
        name = mutated(chance, (name,))[:300]
    return quote(name + b"/Observations", safe="/()':%" if chance.random() < 0.5 else "/()'")


def run_things(seed: int) -> Any:
    """(chunk, messages) -> its tally, for the command. What it finds is raised as Found."""
    fuzz = ThingsFuzz(seed)
    return found_by("sensorthings", fuzz.chunk)
