"""OGC SensorThings: through the suite of the ways in, the data array extension, MQTT's topics, what can be read, and a fuzz of it all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_house import HOST, two_basins
from regions import write_region
from test_ways_http import BAD_KEY
from way_conformance import Answer, At, CannotSay, Message, Way, WayConformance
from yarl import URL

from warning import config, config_datastreams
from warning.config_datastreams import Datastream
from warning.config_devices import Device
from warning.errors import ConfigError, InputError
from warning.ingest.formats import Item
from warning.ingest.gateway import Part
from warning.ingest.keys import KeyStore
from warning.ingest.lorawan import Uplinks
from warning.ingest.mqtt_messages import Messages
from warning.ingest.sensorthings import Things, id_of
from warning.ingest.sensorthings_http import ROOT, SensorThings
from warning.ingest.serving import serve
from warning.model import Parameter


def stamp(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat().replace("+00:00", "Z")


class Sta(Way):
    """Unit and datum are the Datastream's; a sender whose Datastream has another unit is in datastreams.csv."""

    reasons: ClassVar[dict[str, str]] = {"station_unknown": "datastream_unknown"}

    def prepare(self, folder: Path) -> None:
        (folder / "datastreams.csv").write_text("id,station,parameter,unit,datum\n17,A,stage,m,gauge_zero\n", "utf-8")

    @asynccontextmanager
    async def serve(self, at: At) -> AsyncIterator[dict[str, Any]]:
        keys = KeyStore(at.deployment.database, at.clock)
        app = web.Application()
        things = Things.of(at.region, config_datastreams.load(at.region.folder, at.region))
        app.add_routes(SensorThings(things, at.gateway, keys, at.listen).routes())
        server = await serve(app, HOST, 0)
        try:
            yield {"url": f"http://{HOST}:{server.port}{ROOT}", "key": at.key}
        finally:
            await server.stop()
            await keys.close()

    async def send(self, where: dict[str, Any], message: Message, *, again: bool = False) -> Answer:
        if message.unit != "m":
            raise CannotSay("the unit is the Datastream's")
        headers = {"Authorization": f"Bearer {BAD_KEY if message.bad_key else where['key']}", "Content-Type": "application/json"}
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.post(self.url(where, message), data=self.body(message), headers=headers) as response,
            ):
                text = await response.read()
        except aiohttp.ClientError:
            return Answer(None, again=True)
        content = json.loads(text) if text else {}
        if response.status == 201:
            self.created(message, response, content)
            return Answer(True)
        assert (content["code"], content["type"]) == (response.status, "error")
        return Answer(False if response.status < 500 else None, content["reason"], again=response.status == 503)

    def url(self, where: dict[str, Any], message: Message) -> URL:
        return URL(where["url"] + "/Observations", encoded=True)

    def body(self, message: Message) -> bytes:
        if message.raw is not None:
            return message.raw
        link = 17 if message.station == "A" else f"{message.station}:{message.parameter}"
        return json.dumps({"phenomenonTime": stamp(message.at_ms), "result": message.value, "Datastream": {"@iot.id": link}}).encode()

    def created(self, message: Message, response: aiohttp.ClientResponse, content: Any) -> None:
        assert response.headers["Location"].endswith(f"/Observations('{message.station}:{message.parameter}:{message.at_ms}')")


class StaArray(Sta):
    def url(self, where: dict[str, Any], message: Message) -> URL:
        return URL(where["url"] + "/CreateObservations", encoded=True)

    def body(self, message: Message) -> bytes:
        link, row = {"@iot.id": f"{message.station}:{message.parameter}"}, [stamp(message.at_ms), message.value, {}]
        array = {"Datastream": link, "components": ["phenomenonTime", "result", "parameters"], "dataArray@iot.count": 1, "dataArray": [row]}
        return json.dumps([array]).encode() if message.raw is None else message.raw

    def created(self, message: Message, response: aiohttp.ClientResponse, content: Any) -> None:
        assert [link.rpartition("/")[2] for link in content] == [f"Observations('{message.station}:{message.parameter}:{message.at_ms}')"]


class TestSta(WayConformance):
    way = Sta()


class TestStaArray(WayConformance):
    way = StaArray()


# --- one Observation


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Things:
    region = two_basins(tmp_path_factory.mktemp("sta"))
    return Things.of(
        region, (Datastream("17", "D", Parameter.INFLOW, "cusec"), Datastream("north (old)", "A", Parameter.STAGE, "ft", "gauge_zero"))
    )


def told(part: Part) -> tuple[str, str]:
    assert isinstance(part.item, InputError), part.item
    return part.item.reason, part.item.field


NOON = "2025-09-02T12:00:00+05:00"
AT = datetime(2025, 9, 2, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("observation", "datastream", "want"),
    [
        ({"phenomenonTime": NOON, "result": 1.5, "Datastream": {"@iot.id": "A:stage"}}, None, ("A", "stage", 1.5, "m", "gauge_zero")),
        ({"phenomenonTime": NOON, "result": 550000, "Datastream": {"@iot.id": 17}}, None, ("D", "inflow", 550000, "cusec", "")),
        ({"phenomenonTime": NOON, "result": 5, "Datastream": {"@iot.id": "17"}}, None, ("D", "inflow", 5, "cusec", "")),
        ({"phenomenonTime": NOON, "result": 5}, "north (old)", ("A", "stage", 5, "ft", "gauge_zero")),
        ({"resultTime": NOON, "result": None}, "D:outflow", ("D", "outflow", None, "m3/s", "")),
        ({"phenomenonTime": f"2025-09-02T06:00:00Z/{NOON}", "result": 5}, 17, ("D", "inflow", 5, "cusec", "")),
        (
            {"phenomenonTime": NOON, "resultTime": "2025-09-02T09:00:00Z", "result": 5, "resultQuality": "ok", "parameters": {"x": 1}},
            17,
            ("D", "inflow", 5, "cusec", ""),
        ),
    ],
)
def test_observations(things: Things, observation: object, datastream: int | str | None, want: tuple[Any, ...]) -> None:
    item = things.observation(json.dumps(observation).encode(), datastream).item
    assert isinstance(item, Item)
    assert ((item.station, item.parameter, item.value, item.unit, item.datum), item.time) == (want, AT)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (b"", ("malformed", "")),
        (b"[]", ("malformed", "")),
        (b'{"result": 1}', ("field_missing", "phenomenonTime")),
        (b'{"phenomenonTime": "2025-09-02T06:00:00Z"}', ("field_missing", "result")),
        (b'{"phenomenonTime": "2025-09-02T06:00:00", "result": 1}', ("time_format", "phenomenonTime")),
        (b'{"phenomenonTime": "yesterday", "result": 1}', ("time_format", "phenomenonTime")),
        (b'{"phenomenonTime": 5, "result": 1}', ("field_type", "phenomenonTime")),
        (b'{"resultTime": "now", "result": 1}', ("time_format", "resultTime")),
        (b'{"phenomenonTime": "2025-09-02T06:00:00Z", "result": "1.5"}', ("value_type", "result")),
        (b'{"phenomenonTime": "2025-09-02T06:00:00Z", "result": true}', ("value_type", "result")),
        (b'{"phenomenonTime": "2025-09-02T06:00:00Z", "result": [1]}', ("value_type", "result")),
        (b'{"phenomenonTime": "2025-09-02T06:00:00Z", "result": NaN}', ("malformed", "")),
        (b'{"phenomenonTime": "2025-09-02T06:00:00Z", "result": 1e999}', ("value_not_finite", "result")),
        (b"[" * 100_000, ("malformed", "")),
    ],
)
def test_what_is_refused(things: Things, text: bytes, want: tuple[str, str]) -> None:
    assert told(things.observation(text, 17)) == want


def test_a_datastream_nobody_knows(things: Things) -> None:
    good = {"phenomenonTime": NOON, "result": 1}
    assert told(things.observation(json.dumps(good).encode())) == ("field_missing", "Datastream")
    for link in (99, "A", "A:inflow", "X:stage", ":", "", "A:stage:1"):
        assert told(things.observation(json.dumps(good | {"Datastream": {"@iot.id": link}}).encode())) == (
            "datastream_unknown",
            "Datastream",
        )
        assert told(things.observation(json.dumps(good).encode(), link)) == ("datastream_unknown", "Datastream")


def test_by_mqtt(things: Things) -> None:
    good = json.dumps({"phenomenonTime": NOON, "result": 1}).encode()
    for topic, station in (
        ("v1.1/Datastreams(17)/Observations", "D"),
        ("v1.0/Datastreams('A:stage')/Observations", "A"),
        ("FROST/v1.1/Datastreams(A:stage)/Observations", "A"),
        ("v1.1/Datastreams('north (old)')/Observations", "A"),
    ):
        [part] = things.message(topic, good)
        assert isinstance(part.item, Item) and part.item.station == station
        assert part.source == good
    [part] = things.message("v1.1/Observations", good)
    assert told(part) == ("field_missing", "Datastream")
    for topic in ("v1.1/Things(1)/Locations", "sensors/a/readings", "", "v1.1/Datastreams()/Observations"):
        assert [told(part) for part in things.message(topic, good)] == [("malformed", "topic")]
    assert [id_of(text) for text in ("17", "'17'", "'o''neil'", "x", "'", "9" * 30)] == [17, "17", "o'neil", "x", "'", "9" * 30]


def test_by_mqtt_a_device_sends_for_its_own_stations(things: Things) -> None:
    """In its own topics, which the broker's ACL holds it to."""
    device = Device("bridge", frozenset({"A"}))
    messages = Messages((device,), Uplinks((), lambda: 5), lambda: 5, things)
    good = json.dumps({"phenomenonTime": NOON, "result": 1}).encode()
    for topic, reason in (
        ("sensors/bridge/v1.1/Datastreams('A:stage')/Observations", ""),
        ("sensors/bridge/v1.1/Datastreams(99)/Observations", "datastream_unknown"),
        ("sensors/bridge/v1.1/Observations", "field_missing"),
        ("sensors/bridge/v1.1/Things(1)/Observations", "malformed"),
        ("sensors/other/v1.1/Datastreams('A:stage')/Observations", "device_unknown"),
    ):
        heard = messages.read(topic, good)
        [part] = heard.parts
        assert (part.item.reason if isinstance(part.item, InputError) else "") == reason
        assert heard.sender.stations == (frozenset({"A"}) if "bridge" in topic else frozenset())


def test_arrays(things: Things) -> None:
    first = {"Datastream": {"@iot.id": 17}, "components": ["result", "phenomenonTime"], "dataArray": [[1, NOON], [2, "x"], [3]]}
    second = {"Datastream": {"@iot.id": "X:stage"}, "components": ["result", "phenomenonTime"], "dataArray": [[1, NOON]]}
    third = {"Datastream": {"@iot.id": 17}, "components": ["result", "wind"], "dataArray": [[1, 2]]}
    found = things.arrays(json.dumps([first, second, third, {"components": []}, 5]).encode())
    assert [len(parts) for parts in found] == [3, 1, 1, 1, 1]
    assert isinstance(found[0][0].item, Item) and found[0][0].source == b'[1, "2025-09-02T12:00:00+05:00"]'
    assert [told(part) for part in (found[0][1], found[0][2], found[1][0], found[2][0], found[3][0], found[4][0])] == [
        ("time_format", "phenomenonTime"),
        ("malformed", "dataArray"),
        ("datastream_unknown", "Datastream"),
        ("field_unknown", "components"),
        ("field_missing", "Datastream"),
        ("malformed", ""),
    ]
    for body, reason in (
        (b"{}", "not_json"),
        (b"[]", "empty"),
        (b"\xff", "not_json"),
        (json.dumps([first | {"dataArray": [[1, NOON]] * 10_001}]).encode(), "too_many"),
    ):
        with pytest.raises(InputError) as refused:
            things.arrays(body)
        assert refused.value.reason == reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([NOON, "A:stage", 17]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["result", "phenomenonTime", "resultTime", "Datastream", "@iot.id", "components", "dataArray", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.binary(max_size=300), JSON.map(lambda one: json.dumps(one).encode())), st.text(max_size=60))
def test_any_bytes_are_parts_or_a_refusal(body: bytes, topic: str) -> None:
    things = THINGS[0]
    for part in (
        things.observation(body),
        things.observation(body, 17),
        *things.message(topic, body),
        *things.message(f"v1.1/Datastreams({topic})/Observations", body),
    ):
        assert isinstance(part.item, Item | InputError) and part.source == body
        if isinstance(part.item, Item):
            assert part.item.time.tzinfo is not None and part.item.station in ("A", "D")
    try:
        lists = things.arrays(body)
    except InputError as error:
        assert error.reason in ("not_json", "empty", "too_many")
        return
    assert all(isinstance(part.item, Item | InputError) for parts in lists for part in parts)


@pytest.fixture(scope="module", autouse=True)
def _things(things: Things) -> None:
    THINGS.append(things)


THINGS: list[Things] = []


# --- over HTTP
# --- datastreams.csv


def test_every_mistake_is_named(tmp_path: Path) -> None:
    region = config.load(write_region(tmp_path))
    path = Path(region.folder) / "datastreams.csv"
    path.write_text(
        "id,station,parameter,unit,datum\n1,X,stage,m,\n1,A,inflow,cusec,\n2,A,stage,cusec,\n3,D,inflow,cusec,msl\n4,A,stage,m,msl\n",
        "utf-8",
    )
    with pytest.raises(ConfigError) as wrong:
        config_datastreams.load(region.folder, region)
    shown = "\n".join(map(str, wrong.value.problems))
    for words in (
        "datastreams.csv:2 (station): no station 'X'",
        "datastreams.csv:3 (parameter): A has no inflow",
        "datastreams.csv:3 (id): 1 stands twice (see line 2)",
        "datastreams.csv:4 (unit): unknown unit 'cusec' for stage",
        "datastreams.csv:5 (datum): a inflow has no datum",
        "datastreams.csv:6 (datum): A knows no datum 'msl'",
    ):
        assert words in shown, shown
