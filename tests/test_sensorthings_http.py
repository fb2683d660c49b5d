"""SensorThings over HTTP as a client of FROST uses it: what can be read, what is created, what is refused and how it is said."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from ingest_house import HOST, two_basins
from test_sensorthings import stamp
from yarl import URL

from warning.facts import Fact, Received
from warning.ingest.keys import KeyStore
from warning.ingest.sensorthings import Things
from warning.ingest.sensorthings_http import ROOT, SensorThings
from warning.ingest.serving import serve
from warning.region import Region

NOON = "2025-09-02T12:00:00+05:00"


@asynccontextmanager
async def served(region: Region, folder: Path) -> AsyncIterator[tuple[aiohttp.ClientSession, str, list[Fact], list[Any]]]:
    """(client, key, facts, records appended) on a log that takes everything."""
    from warning.deployment import Deployment
    from warning.ingest.gateway import Gateway

    class Log:
        async def append(self, records: dict[Any, list[Any]]) -> None:
            appended.extend(record for these in records.values() for record in these)

    appended: list[Any] = []
    facts: list[Fact] = []
    place = Deployment(directory=folder)
    keys = KeyStore(place.database, lambda: 1_800_000_000_000)
    _, key = await keys.create("frost", stations=("A", "D"))
    gateway = Gateway(region, place, Log(), lambda: 1_800_000_000_000)  # type: ignore[arg-type]
    app = web.Application()
    app.add_routes(SensorThings(Things.of(region), gateway, keys, facts.append).routes())
    server = await serve(app, HOST, 0)
    try:
        async with aiohttp.ClientSession(f"http://{HOST}:{server.port}") as http:
            yield http, key, facts, appended
    finally:
        await server.stop()
        await keys.close()


async def test_as_a_client_of_frost_does(tmp_path: Path) -> None:
    """Root, a Datastream by its Thing, its unit; then an Observation by its id, with Basic, and its id out of Location."""
    async with served(two_basins(tmp_path), tmp_path) as (http, key, facts, appended):

        async def get(path: str) -> Any:
            async with http.get(path if path.startswith("http") else ROOT + path) as response:
                assert response.status == 200, await response.text()
                return await response.json()

        collections = {one["name"]: one["url"] for one in (await get(""))["value"]}
        assert set(collections) == {"Things", "Locations", "Datastreams", "Sensors", "ObservedProperties", "Observations"}
        found = await get(collections["Things"] + "?$top=2&$skip=1&$count=true")
        assert ([one["@iot.id"] for one in found["value"]], found["@iot.count"]) == (["B", "C"], 4)
        assert [one["@iot.id"] for one in (await get(found["@iot.nextLink"]))["value"]] == ["D"]
        thing = await get("/Things('A')")
        assert (thing["name"], thing["properties"]["river"]) == ("Alder", "Oak")
        [place] = (await get(thing["Locations@iot.navigationLink"]))["value"]
        assert place["location"] == {"type": "Point", "coordinates": [72.0, 32.0]}
        [stream] = (await get(thing["Datastreams@iot.navigationLink"]))["value"]
        assert (stream["@iot.id"], stream["unitOfMeasurement"]["symbol"]) == ("A:stage", "m")
        for link in ("Thing", "Sensor", "ObservedProperty"):
            assert (await get(stream[f"{link}@iot.navigationLink"]))["@iot.id"]
        assert (await get(stream["@iot.selfLink"])) == stream
        basic = "Basic " + base64.b64encode(f"any:{key}".encode()).decode()
        body = {"Datastream": {"@iot.id": stream["@iot.id"]}, "phenomenonTime": NOON, "result": 2.25, "FeatureOfInterest": {"@iot.id": 1}}
        async with http.post(ROOT + "/Observations", json=body, headers={"Authorization": basic}) as response:
            assert response.status == 201
            assert response.headers["Location"].endswith(f"{ROOT}/Observations('A:stage:1756796400000')")
        assert b'"value":2.25' in appended[0][1]
        assert [(one.accepted, one.status) for one in facts if isinstance(one, Received)] == [(1, 201)]


async def test_observations_of_one_datastream(tmp_path: Path) -> None:
    """The address says which; of an interval its end counts."""
    async with served(two_basins(tmp_path), tmp_path) as (http, key, _, appended):
        body = {"phenomenonTime": f"2025-09-02T06:00:00Z/{NOON}", "result": 3}
        url = URL(f"{ROOT}/Datastreams(%27D:inflow%27)/Observations", encoded=True)
        async with http.post(url, json=body, headers={"Authorization": f"Bearer {key}"}) as response:
            assert response.status == 201
            assert response.headers["Location"].endswith("Observations('D:inflow:1756796400000')")
        assert b'"value":3.0' in appended[0][1]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Things('X')", 404),
        ("GET", "/Nothing", 404),
        ("GET", "/Things/Datastreams", 404),
        ("GET", "/Things('A')/Datastreams/x/y", 404),
        ("GET", "/Things('A", 404),
        ("GET", "/Things?$filter=name%20eq%20'A'", 501),
        ("GET", "/Things?$top=-1", 400),
        ("GET", "/Datastreams('A:stage')/Observations", 501),
        ("GET", "/Observations", 501),
        ("POST", "/Things", 501),
        ("DELETE", "/Things('A')", 501),
        ("PATCH", "/Datastreams('A:stage')", 501),
        ("POST", "/Datastreams('X:stage')/Observations", 404),
        ("POST", "/Datastreams('B:stage')/Observations", 403),
    ],
)
async def test_what_is_not_there_is_told_as_frost_does(tmp_path: Path, method: str, path: str, status: int) -> None:
    async with served(two_basins(tmp_path), tmp_path) as (http, key, _, appended):
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        body = json.dumps({"phenomenonTime": NOON, "result": 1}).encode()
        async with http.request(method, URL(ROOT + path, encoded=True), data=body, headers=headers) as response:
            content = await response.json()
            assert (response.status, content["code"], content["type"], bool(content["message"])) == (status, status, "error", True)
        assert len(appended) == (method == "POST" and "Datastreams" in path), "a refused Observation is kept"


async def test_octets_that_are_no_text_in_a_request_are_the_senders_fault(tmp_path: Path) -> None:
    """Wherever they stand: in the address, in an option's name, in Host."""
    async with served(two_basins(tmp_path), tmp_path) as (http, _, _, _):
        assert http._base_url is not None and http._base_url.port
        for line, host in (
            ("/Things?\xff=1", "x"),
            ("/Things?%FF=1", "x"),
            ("/Things?%ED%B3%BF=1", "x"),
            ("/Things('\xff')", "x"),
            ("/\xff", "x"),
            ("/Things", "\xff"),
            ("", "\xff"),
        ):
            reader, writer = await asyncio.open_connection(HOST, http._base_url.port)
            writer.write(f"GET {ROOT}{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1"))
            answer = await reader.read()
            writer.close()
            assert int(answer.split()[1]) < 500 or int(answer.split()[1]) == 501, (line, host, answer[:200])


async def test_a_key_sends_no_more_than_by_any_other_way(tmp_path: Path) -> None:
    rows = [[stamp(1_756_796_400_000 + 1000 * n), 1.5] for n in range(10_000)]
    array = {"Datastream": {"@iot.id": "A:stage"}, "components": ["phenomenonTime", "result"], "dataArray": rows}
    one = {"Datastream": {"@iot.id": "A:stage"}, "components": ["phenomenonTime", "result"], "dataArray": rows[:9000]}
    async with served(two_basins(tmp_path), tmp_path) as (http, key, facts, appended):
        mine = {"Authorization": f"Bearer {key}"}
        async with http.post(ROOT + "/CreateObservations", json=[array], headers=mine) as response:
            assert (response.status, len(await response.json())) == (201, 10_000)
        async with http.post(ROOT + "/CreateObservations", json=[one], headers=mine) as response:
            content = await response.json()
            assert (response.status, content["reason"], int(response.headers["Retry-After"]) > 0) == (429, "rate_limited", True)
        assert len(appended) == 10_000 and [one.status for one in facts if isinstance(one, Received)] == [201, 429]
