"""A key's limit holds whichever way it sends: LoRaWAN by HTTP, a photo, Kannel, SensorThings; one bucket for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
from form_house import png
from ingest_house import HOST, wall_ms
from test_ingest import stage
from test_ingest_rate import Clock
from test_lorawan import changed, made
from test_lorawan_http import Log

from warning import config, wiring_devices, wiring_readers
from warning.deployment import Deployment
from warning.facts import nobody
from warning.ingest.body import MOST_BYTES, MOST_ITEMS
from warning.ingest.form import PHOTOS
from warning.ingest.gateway import Gateway
from warning.ingest.http import PATH, create_app
from warning.ingest.keys import KeyStore
from warning.ingest.rate import PHOTO, Limits
from warning.ingest.sensorthings_http import ROOT
from warning.ingest.serving import serve

UPLINKS, KANNEL = "/v1/lorawan/chirpstack", "/v1/sms/kannel"
UPLINK = "Decentlab_DL-MBX_ChirpStack_payload.json"


class House:
    """A gateway of the wiring, with a log that takes all."""

    def __init__(self, http: aiohttp.ClientSession, keys: KeyStore, limits: Limits, log: Log, clock: Clock) -> None:
        self.http, self.keys, self.limits, self.log, self.clock = http, keys, limits, log, clock

    async def key(self, provider: str, *stations: str, left: int) -> str:
        """Of 60 readings a minute, and so many left."""
        key, text = await self.keys.create(provider, stations=stations, per_minute=60)
        bucket = self.limits.bucket(key)
        assert bucket is not None
        bucket.take(MOST_ITEMS - left)
        return text

    async def post(self, path: str, key: str, body: object) -> tuple[int, str | None]:
        async with self.http.post(path, data=body, headers={"Authorization": f"Bearer {key}"}) as response:
            return response.status, response.headers.get("Retry-After")


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    made(folder)
    region, deployment, log, clock = config.load(folder / "oak"), Deployment(directory=folder), Log(), Clock()
    gateway, keys, limits = Gateway(region, deployment, log, wall_ms), KeyStore(deployment.database, wall_ms), Limits(clock)
    app = create_app(gateway, keys, limits=limits)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(keys.close)
        wiring_devices.sensors(app.add_routes, region, deployment, gateway, keys, wall_ms, nobody, limits)
        await wiring_readers.readers(stack, app.add_routes, region, deployment, gateway, keys, wall_ms, nobody, limits)
        server = await serve(app, HOST, 0)
        stack.push_async_callback(server.stop)
        http = await stack.enter_async_context(aiohttp.ClientSession(f"http://{HOST}:{server.port}"))
        yield House(http, keys, limits, log, clock)


async def test_a_network_of_lorawan(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        key = await here.key("network", left=2)
        assert await here.post(UPLINKS, key, changed(UPLINK)) == (202, None)
        assert await here.post(PATH, key, msgspec.json.encode([stage(), stage(2.0)])) == (415, None), "no content type: nothing is counted"
        assert await here.post(UPLINKS, key, b"x" * (MOST_BYTES + 1)) == (429, "327"), "what is kept of it counts as readings"
        assert await here.post(UPLINKS, key, changed(UPLINK)) == (202, None)
        count = len(here.log.values)
        assert await here.post(UPLINKS, key, changed(UPLINK)) == (429, "1")
        assert len(here.log.values) == count, "nothing of it is kept"
        here.clock.s += 1
        assert await here.post(UPLINKS, key, changed(UPLINK)) == (202, None)


async def test_a_photo_counts_as_many_readings(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        key = await here.key("clerk", "A", left=PHOTO + 1)

        def body() -> aiohttp.FormData:
            form = aiohttp.FormData()
            form.add_field("reading", msgspec.json.encode(stage()).decode(), content_type="application/json")
            form.add_field("photo", png(), filename="gauge.png", content_type="image/png")
            return form

        assert await here.post(PHOTOS, key, body()) == (202, None)
        assert await here.post(PHOTOS, key, body()) == (429, "99")
        assert [msgspec.json.decode(value)["station"] for value in here.log.values] == ["A"]
        here.clock.s += 99
        assert await here.post(PHOTOS, key, body()) == (202, None)


async def test_kannel(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        query = {"key": await here.key("kannel", left=1), "from": "+99910000101", "text": "A 1.5", "charset": "UTF-8"}
        for status in (200, 429):
            async with here.http.get(KANNEL, params=query) as response:
                assert response.status == status
        here.clock.s += 1
        async with here.http.get(KANNEL, params=query) as response:
            assert response.status == 200


async def test_one_bucket_for_all_ways(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        key = await here.key("network", left=1)
        assert await here.post(UPLINKS, key, changed(UPLINK)) == (202, None)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        async with here.http.post(PATH, data=msgspec.json.encode([stage()]), headers=headers) as response:
            assert response.status == 429
        async with here.http.post(
            f"{ROOT}/Observations", data=b'{"result": 1, "Datastream": {"@iot.id": "A:stage"}}', headers=headers
        ) as response:
            assert response.status == 429
