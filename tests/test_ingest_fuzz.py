"""Whatever comes in: never a 500, every item is answered, and what is said to be accepted is in the log (here in memory)."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
import msgspec
import pytest
from fuzz.requests import Requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_house import HOST, two_basins, wall_ms

from warning.deployment import Deployment
from warning.ingest.gateway import Gateway
from warning.ingest.http import PATH, create_app
from warning.ingest.keys import KeyStore
from warning.ingest.log import Place, Record
from warning.ingest.serving import serve
from warning.model import Parameter, Reading

DEPLOYMENT = Deployment(prefix="f.")


class MemoryLog:
    """The port ``Log``, kept in memory."""

    def __init__(self) -> None:
        self.records: dict[Place, list[Record]] = {}

    async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
        for place, those in records.items():
            self.records.setdefault(place, []).extend(those)


class Server:
    """An ingest in an event loop of its own, for tests that are not asynchronous."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.log = MemoryLog()
        self.runner.run(self._start(folder))

    async def _start(self, folder: Path) -> None:
        self.keys = KeyStore(f"sqlite+aiosqlite:///{folder}/keys.db", wall_ms, remember_s=60)
        _, self.key = await self.keys.create("fuzz")
        gateway = Gateway(two_basins(folder), DEPLOYMENT, self.log, wall_ms)
        self.serving = await serve(create_app(gateway, self.keys), HOST, 0)
        self.http = aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.key}"})

    def post(self, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, object]]:
        async def request() -> tuple[int, dict[str, object]]:
            url = f"http://{HOST}:{self.serving.port}{PATH}"
            async with self.http.post(url, data=body, headers={"Content-Type": "application/json"} | headers) as response:
                return response.status, msgspec.json.decode(await response.read())

        self.log.records.clear()
        return self.runner.run(request())

    def kept(self) -> tuple[list[Reading], int]:
        """The readings of all partitions, and how many refused items were kept."""
        rejected = len(self.log.records.pop((DEPLOYMENT.rejected, 0), []))
        return [msgspec.json.decode(value, type=Reading) for those in self.log.records.values() for _, value in those], rejected

    def stop(self) -> None:
        async def end() -> None:
            await self.http.close()
            await self.serving.stop()
            await self.keys.close()

        self.runner.run(end())
        self.runner.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    running = Server(tmp_path_factory.mktemp("fuzz"))
    yield running
    running.stop()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
GOOD = st.fixed_dictionaries(
    {
        "station": st.sampled_from(["A", "B", "C"]),
        "parameter": st.just("stage"),
        "time": st.datetimes().map(lambda at: at.isoformat() + "+05:00"),
        "value": st.floats() | st.none() | st.sampled_from([-999, 1, 2.5]),
        "unit": st.sampled_from(["m", "cm", "ft", "in"]),
        "datum": st.just("gauge_zero"),
    }
)
NEARLY = st.tuples(GOOD, st.sampled_from(["station", "parameter", "time", "value", "unit", "datum", "extra"]), JSON).map(
    lambda made: made[0] | {made[1]: made[2]}
)
ITEMS = st.lists(GOOD | NEARLY | JSON, min_size=1, max_size=8)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=ITEMS, wrapped=st.booleans(), zipped=st.booleans())
def test_every_item_is_answered(server: Server, items: list[object], wrapped: bool, zipped: bool) -> None:
    body = json.dumps({"readings": items} if wrapped else items).encode()
    status, answer = server.post(gzip.compress(body) if zipped else body, {"Content-Encoding": "gzip"} if zipped else {})
    assert status in (202, 422)
    refused = answer["refused"]
    assert isinstance(refused, list)
    assert answer["accepted"] + len(refused) == len(items)
    assert len({one["index"] for one in refused}) == len(refused)
    assert (status == 202) == (answer["accepted"] != 0)
    readings, rejected = server.kept()
    assert (len(readings), rejected) == (answer["accepted"], len(refused))
    for reading in readings:
        assert reading.station in "ABC"
        assert reading.parameter is Parameter.STAGE
        assert reading.value is None or abs(reading.value) < float("inf")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | ITEMS.map(lambda items: json.dumps(items).encode()[:-3]), encoding=st.sampled_from(["", "gzip"]))
def test_any_bytes_are_a_4xx_or_taken(server: Server, body: bytes, encoding: str) -> None:
    status, answer = server.post(body, {"Content-Encoding": encoding} if encoding else {})
    assert status in (202, 400, 422)
    readings, rejected = server.kept()
    if status == 400:
        assert (readings, rejected) == ([], 1)
        assert answer["reason"] in ("not_json", "empty", "not_gzip")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["Authorization", "Content-Type", "Content-Encoding", "Date"]),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40).map(str.strip),
)
def test_any_header_is_a_4xx_or_taken(server: Server, name: str, value: str) -> None:
    status, _ = server.post(b"[1]", {name: value})
    assert status in (400, 401, 415, 422)


@pytest.mark.parametrize(
    "body",
    [
        b'{"\\ud800": NaN}',
        b'[{"station": "\\ud800", "value": NaN}]',
        b'{"readings": [NaN], "\\ud800": 1}',
        b'[{"\\ud800": 1}]',
        b'[{"station": "A", "parameter": "\\u0000\\ud83c\\udf0a", "time": "2025-01-01T00:00:00Z", "value": 1}]',
        b"[" * 900 + b"]" * 900,
        b'[{"x": ' + b"[" * 900 + b"]" * 900 + b"}]",
        b'[{"x": ' + b"[" * 900 + b"NaN" + b"]" * 900 + b"}]",
        b'[{"value": ' + b"1" * 10_000 + b"}]",
        b'[{"value": ' + b"1" * 10_000 + b', "x": NaN}]',
    ],
)
def test_texts_that_broke_something_once(server: Server, body: bytes) -> None:
    """Half a surrogate pair cannot be written in UTF-8; nesting and long numbers have limits in every parser."""
    status, _ = server.post(body, {})
    assert status in (400, 422)


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_mutated_bodies(kind: str) -> None:
    """A thousandth of ``python -m tests.fuzz --json-bodies 1000000 --csv-bodies 1000000``."""
    tally = Requests(1, kind).chunk(0, 1000)
    assert tally["records"] >= 1000 and tally["accepted"] > 50 and tally["refused"] > 50


class SlowLog(MemoryLog):
    """Acknowledges after half a second."""

    async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
        await asyncio.sleep(0.5)
        await super().append(records)


async def test_a_stop_lets_requests_in_flight_end(tmp_path: Path) -> None:
    keys = KeyStore(f"sqlite+aiosqlite:///{tmp_path}/keys.db", wall_ms)
    _, key = await keys.create("agency")
    log = SlowLog()
    serving = await serve(create_app(Gateway(two_basins(tmp_path), DEPLOYMENT, log, wall_ms), keys), HOST, 0)
    item = {"station": "A", "parameter": "stage", "time": "2025-01-01T00:00:00Z", "value": 1, "unit": "m", "datum": "gauge_zero"}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:

        async def post() -> int:
            async with http.post(f"http://{HOST}:{serving.port}{PATH}", json=item) as response:
                return response.status

        posting = [asyncio.create_task(post()) for _ in range(5)]
        await asyncio.sleep(0.25)
        assert log.records == {}
        await serving.stop()
        assert await asyncio.gather(*posting) == [202] * 5
        assert len(log.records[(DEPLOYMENT.readings, 0)]) == 5
        with pytest.raises(aiohttp.ClientConnectorError):
            await post()
    await keys.close()
