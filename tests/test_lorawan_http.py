"""Uplinks by HTTP beyond the suite of ways in: what a key of other stations may say of a device, and a body that is too long."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from ingest_house import HOST, wall_ms
from test_lorawan import changed, made

from warning import config
from warning.deployment import Deployment
from warning.facts import DeviceHeard, Fact
from warning.ingest.body import MOST_BYTES
from warning.ingest.gateway import Gateway
from warning.ingest.http import create_app
from warning.ingest.keys import KeyStore
from warning.ingest.lorawan_http import PATH, routes
from warning.ingest.serving import serve

STATUS = b'{"deviceInfo": {"devEui": "70b3d57ba0003bb8"}, "batteryLevel": 7}'


@dataclass
class Log:
    """The port ``Log``: has whatever it is given."""

    values: list[bytes] = field(default_factory=list)

    async def append(self, records: Mapping[Any, Sequence[Any]]) -> None:
        self.values += [value for those in records.values() for _, value in those]


@asynccontextmanager
async def posting(
    folder: Path, log: Log, facts: list[Fact], stations: tuple[str, ...] = ()
) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A client with a key of those stations, and the address of ChirpStack's events."""
    uplinks, deployment = made(folder), Deployment(directory=folder)
    gateway = Gateway(config.load(folder / "oak"), deployment, log, wall_ms)
    keys = KeyStore(deployment.database, wall_ms)
    _, key = await keys.create("network", stations=stations)
    app = create_app(gateway, keys, facts.append)
    app.add_routes(routes(gateway, keys, uplinks, facts.append))
    server = await serve(app, HOST, 0)
    try:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
            yield http, f"http://{HOST}:{server.port}{PATH.format(network='chirpstack')}"
    finally:
        await server.stop()
        await keys.close()


@pytest.mark.parametrize(("stations", "accepted", "heard"), [((), 1, 3), (("A",), 1, 3), (("B",), 0, 0)])
async def test_a_key_of_other_stations_says_nothing_of_a_device(
    tmp_path: Path, stations: tuple[str, ...], accepted: int, heard: int
) -> None:
    """The device is A's: neither its battery nor its frames are known by the key of B, or B's owner would make it look well."""
    facts: list[Fact] = []
    async with posting(tmp_path, Log(), facts, stations) as (http, url):
        for _ in range(2):
            async with http.post(url, data=changed("Decentlab_DL-MBX_ChirpStack_payload.json")) as response:
                assert (response.status, json.loads(await response.read())["accepted"]) == (202, accepted)
        async with http.post(f"{url}?event=status", data=STATUS) as response:
            assert response.status == 202
    told = [fact for fact in facts if isinstance(fact, DeviceHeard)]
    assert len(told) == heard
    assert [fact.repeated for fact in told] == [False, True, False][:heard]


async def test_of_a_body_that_is_too_long_the_beginning_is_kept(tmp_path: Path) -> None:
    log = Log()
    async with posting(tmp_path, log, []) as (http, url), http.post(url, data=b"x" * (MOST_BYTES + 1)) as response:
        assert response.status == 413
    [kept] = map(json.loads, log.values)
    assert (kept["reason"], kept["provider"], kept["record"][:3]) == ("too_large", "network", "xxx")
