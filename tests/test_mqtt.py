"""MQTT beyond the suite of ways in: a broker or a gateway that falls, two gateways, last wills, the ACL, what devices are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiomqtt import Client, MqttError, ProtocolVersion, Will
from ingest_house import deployment as place
from ingest_house import records, two_basins, wall_ms
from mosquitto import PASSWORD, Mosquitto, client_of
from typer.testing import CliRunner

from warning import cli, config, wiring
from warning.config_devices import Device
from warning.deployment import Deployment
from warning.errors import AccessError, Unavailable
from warning.facts import DeviceHeard, Fact, MqttState, Received
from warning.ingest import mqtt_config
from warning.ingest.gateway import Gateway
from warning.ingest.keys import KeyStore
from warning.ingest.lorawan import Uplinks
from warning.ingest.mqtt import Mqtt
from warning.region import Region
from warning.stream.broker import EmbeddedBroker, free_port
from warning.stream.topics import ensure_topics

DEVICES = (Device("bridge", frozenset({"A"}), interval_s=300), Device("weir", frozenset({"B"})), Device("collector", frozenset()))
SWL = "70B3D57BA0003BB8,A,stage,milesight-em500-swl,water_level"
GOOD = {"station": "A", "parameter": "stage", "time": "2025-09-02T07:00:00Z", "value": 1.5, "unit": "m", "datum": "gauge_zero"}


def text(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


@dataclass
class Log:
    """The port ``Log``: keeps what is appended, or is away."""

    records: list[tuple[str, bytes]] = field(default_factory=list)
    away: bool = False

    async def append(self, records: Mapping[Any, Sequence[Any]]) -> None:
        if self.away:
            raise Unavailable("away")
        self.records += [(topic.rpartition(".readings")[2], value) for (topic, _), those in records.items() for _, value in those]

    def times(self) -> list[int]:
        return [json.loads(value)["time_ms"] for kind, value in self.records if not kind]


@dataclass
class Reader:
    """One gateway's reader of MQTT on a log that keeps everything in memory."""

    log: Log
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    facts: list[Fact] = field(default_factory=list)
    mqtt: Any = None

    async def until(self, true: Callable[[], object], within_s: float = 120.0) -> None:
        async with asyncio.timeout(within_s):
            while not true():
                await asyncio.sleep(0.01)

    @property
    def up(self) -> bool:
        states = [fact.up for fact in self.facts if isinstance(fact, MqttState)]
        return bool(states and states[-1])

    def heard(self) -> list[DeviceHeard]:
        return [fact for fact in self.facts if isinstance(fact, DeviceHeard)]


@asynccontextmanager
async def reading(region: Region, deployment: Deployment, log: Log, settings: Mapping[str, str]) -> AsyncIterator[Reader]:
    """Leaving stops it in order."""
    reader = Reader(log)
    deployment = replace(deployment, **settings)  # type: ignore[arg-type]
    gateway = Gateway(region, deployment, log, wall_ms)
    reader.mqtt = mqtt = Mqtt(deployment, gateway, DEVICES, Uplinks((), wall_ms), wall_ms, reader.facts.append)
    task = asyncio.create_task(mqtt.run(reader.stop))
    try:
        await reader.until(lambda: reader.up or task.done())
        yield reader
    finally:
        reader.stop.set()
        await asyncio.wait_for(task, 60)


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Any:
    server = Mosquitto(tmp_path_factory.mktemp("mosquitto"), ("bridge", "weir", "collector")).start()
    yield server
    server.stop()


@dataclass
class At:
    region: Region
    deployment: Deployment
    mosquitto: Mosquitto

    def reading(self, log: Log, **more: str) -> Any:
        return reading(self.region, self.deployment, log, self.mosquitto.settings() | more)

    def device(self, name: str, **options: Any) -> Client:
        where = {"mqtt": self.mosquitto.port, "ca": str(self.mosquitto.ca_file)}
        return Client(**client_of(where, name, **options))  # type: ignore[arg-type]

    async def send(self, name: str, *bodies: bytes) -> None:
        async with self.device(name) as client:
            for body in bodies:
                await client.publish(f"sensors/{name}/readings", body, qos=1)


@pytest.fixture
def at(tmp_path: Path, mosquitto: Mosquitto) -> At:
    return At(two_basins(tmp_path), place("127.0.0.1:1", tmp_path), mosquitto)


def minute(number: int) -> bytes:
    return text(time=f"2025-09-02T07:{number:02d}:00Z")


# --- what happens at a broker


async def test_what_comes_while_the_gateway_is_away_is_there_when_it_is_back(at: At) -> None:
    log = Log()
    async with at.reading(log):
        await at.send("bridge", minute(0))
    await at.send("bridge", minute(1), minute(2))
    async with at.reading(log) as reader:
        await reader.until(lambda: len(log.times()) == 3)
    assert log.times() == sorted(log.times())


async def test_while_the_log_is_away_messages_wait_in_order_and_none_is_acknowledged(at: At) -> None:
    log = Log()
    async with at.reading(log) as reader:
        log.away = True
        await at.send("bridge", *map(minute, range(5)))
        await reader.until(lambda: any(isinstance(fact, Received) and fact.status == 503 for fact in reader.facts))
    assert log.records == []  # the reader has gone, and acknowledged nothing
    log.away = False
    async with at.reading(log) as reader:
        await reader.until(lambda: len(log.times()) == 5)
    assert log.times() == sorted(log.times())


async def test_a_broker_killed_and_started_again_is_found_again_with_what_it_had(tmp_path: Path) -> None:
    server = Mosquitto(tmp_path / "mosquitto", ("bridge",)).start()
    here, log = At(two_basins(tmp_path), place("127.0.0.1:1", tmp_path), server), Log()
    try:
        async with here.reading(log) as reader:
            log.away = True
            await here.send("bridge", minute(0))
            await reader.until(lambda: any(isinstance(fact, Received) for fact in reader.facts))
            server.stop()  # writes what waits; kill -9 would lose what came in the last 5 s, as deploy/mosquitto says
            await reader.until(lambda: not reader.up)
            log.away = False
            server.start()
            await reader.until(lambda: reader.up and len(log.times()) >= 1)
            server.kill()
            await reader.until(lambda: not reader.up)
            server.start()
            await reader.until(lambda: reader.up)
            await here.send("bridge", minute(1))
            await reader.until(lambda: len(set(log.times())) == 2)
    finally:
        server.stop()


async def test_gateways_share_what_comes(at: At) -> None:
    first, second = Log(), Log()
    async with at.reading(first, mqtt_id="first") as one, at.reading(second, mqtt_id="second"):
        await at.send("bridge", *map(minute, range(40)))
        await one.until(lambda: len(first.times()) + len(second.times()) == 40)
        assert first.times() and second.times()
        assert len({*first.times(), *second.times()}) == 40


async def test_what_is_dealt_to_a_gateway_that_is_away_waits_for_it(at: At) -> None:
    """So Mosquitto does it, and so deploy/mosquitto/README.md says it: a second gateway that is gone for good holds its share back."""
    first, second = Log(), Log()
    async with at.reading(first, mqtt_id="third") as one:
        async with at.reading(second, mqtt_id="fourth"):
            pass
        await at.send("collector", *map(minute, range(40)))
        await one.until(first.times)
    async with at.reading(second, mqtt_id="fourth") as other:
        await other.until(lambda: len({*first.times(), *second.times()}) == 40)
    assert second.times()


async def test_gateways_of_one_name_take_turns_and_lose_nothing(at: At) -> None:
    first, second = Log(), Log()
    async with at.reading(first) as one:
        async with at.reading(second) as other:
            for number in range(20):
                await at.send("bridge", minute(number))
            await other.until(lambda: len({*first.times(), *second.times()}) == 20)
            turns = sum(isinstance(fact, MqttState) and fact.up for fact in one.facts + other.facts)
            assert 2 <= turns < 20  # each loses the line to the other, and comes back ever later
        await at.send("bridge", minute(20))
        await one.until(lambda: len({*first.times(), *second.times()}) == 21)  # the other is gone: it is ours for good


@pytest.mark.parametrize("port", ["devices_port", "port"])
async def test_no_device_takes_what_waits_for_us(at: At, port: str) -> None:
    """Where devices come in, a session has its user's name. Where gateways do, ours would be taken, with what waits in it."""
    log = Log()
    async with at.reading(log):
        pass
    await at.send("bridge", minute(0))
    async with thief(at, port, clean_start=False):
        pass
    async with at.reading(log) as reader:
        await at.send("bridge", minute(1))
        await reader.until(lambda: 1_756_796_460_000 in log.times())
    assert (1_756_796_400_000 in log.times()) is (port == "devices_port")


async def test_no_device_ends_our_line(at: At) -> None:
    async with at.reading(Log()) as reader:
        before = reader.facts.count(MqttState(up=False))
        async with thief(at, "devices_port", clean_start=True):
            await at.send("bridge", minute(2))
            await reader.until(reader.log.times)
        assert reader.facts.count(MqttState(up=False)) == before


def thief(at: At, port: str, *, clean_start: bool) -> Client:
    """A device that gives itself the name of our session."""
    name = at.deployment.mqtt_session
    return at.device("weir", port=getattr(at.mosquitto, port), protocol=ProtocolVersion.V5, identifier=name, clean_start=clean_start)


async def test_a_last_will_says_that_a_device_is_silent(at: At) -> None:
    async with at.reading(Log()) as reader:
        client = at.device("bridge", will=Will("sensors/bridge/status", b"offline", qos=1))
        async with client:
            await client.publish("sensors/bridge/status", json.dumps({"battery_v": 3.5, "rssi_dbm": -71}).encode(), qos=1)
            await reader.until(reader.heard)
            client._client._sock_close()  # the line breaks
            await reader.until(lambda: len(reader.heard()) == 2)
            client._disconnected.cancel()
    alive, dead = reader.heard()
    assert (alive.device, alive.way, alive.battery_v, alive.rssi_dbm, alive.silent) == ("bridge", "mqtt", 3.5, -71, False)
    assert (dead.device, dead.silent) == ("bridge", True)


async def test_a_device_writes_under_its_own_name_only(at: At) -> None:
    """And for its own stations only; it is told, and what it sent is kept. What it writes under another's name goes nowhere."""
    log = Log()
    async with at.reading(log):
        for topic in ("sensors/bridge/readings", "application/1/device/70b3d57ba0003bb8/event/up"):
            with suppress(MqttError):  # Mosquitto breaks the line of one who may not
                async with at.device("weir") as client:
                    await client.publish(topic, text(), qos=1)
        async with at.device("weir", protocol=ProtocolVersion.V5) as client:
            await client.subscribe("sensors/+/answers", qos=1)
            await client.publish("sensors/weir/readings", text(station="A"), qos=1)
            answer = json.loads((await asyncio.wait_for(anext(client.messages), 60)).payload)
    assert answer["accepted"] == 0
    assert [one["reason"] for one in answer["refused"]] == ["station_forbidden"]
    [(kind, kept)] = log.records
    assert kind == ".rejected" and json.loads(kept)["provider"] == "weir" and json.loads(json.loads(kept)["record"])["station"] == "A"


async def test_devices_are_told_their_interval(at: At, tmp_path: Path) -> None:
    folder = Path(at.region.folder)
    (folder / "devices.csv").write_text("device,station,interval_min\nbridge,A,5\nweir,B,\n")
    settings = {f"WARNING_{name.upper()}": value for name, value in at.mosquitto.settings().items()}
    ran = await asyncio.to_thread(CliRunner(env=settings).invoke, cli.app, ["devices", "configure", "--region", str(folder)])
    assert ran.exit_code == 0, ran.output
    async with at.device("bridge") as client:
        await client.subscribe("sensors/bridge/config", qos=1)
        message = await asyncio.wait_for(anext(client.messages), 60)
    assert message.retain
    assert json.loads(message.payload).items() >= {"interval_s": 300, "stations": ["A"]}.items()


async def test_a_device_that_could_not_be_told_is_not_called_told(at: At) -> None:
    """A user who may not write there: Mosquitto says so in its PUBACK."""
    settings = at.mosquitto.settings() | {"mqtt_url": at.mosquitto.url("weir"), "mqtt_password": f"{PASSWORD}weir"}
    deployment = replace(at.deployment, **settings)  # type: ignore[arg-type]
    with pytest.raises(AccessError, match="sensors/bridge/config is refused"):
        await mqtt_config.publish(deployment, DEVICES[:1], wall_ms())


async def test_a_wrong_password_is_said_and_tried_again(at: At, caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader(Log())
    deployment = replace(at.deployment, **at.mosquitto.settings() | {"mqtt_password": "wrong"})  # type: ignore[arg-type]
    mqtt = Mqtt(deployment, Gateway(at.region, deployment, reader.log, wall_ms), DEVICES, Uplinks((), wall_ms), wall_ms)
    task = asyncio.create_task(mqtt.run(reader.stop))
    await reader.until(lambda: "refuses us: Not authorized" in caplog.text)
    reader.stop.set()
    await asyncio.wait_for(task, 60)


async def test_the_process_takes_both(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """``warning ingest`` as it is wired: a message by MQTT and an uplink by HTTP are in Kafka, and metrics say that it is subscribed."""
    folder = Path(two_basins(tmp_path).folder)
    (folder / "devices.csv").write_text(f"device,eui,station,parameter,codec,field,offset_m\nbridge,,A,,,,\nprobe,{SWL},0.5\n")
    region, stop = config.load(folder), asyncio.Event()
    with EmbeddedBroker() as broker:
        deployment = replace(place(broker.bootstrap, tmp_path), ingest_port=free_port(), **mosquitto.settings())  # type: ignore[arg-type]
        await ensure_topics(deployment, region.partitions)
        process = asyncio.create_task(wiring.ingest(region, deployment, stop))
        base = f"http://127.0.0.1:{deployment.ingest_port}"
        keys = KeyStore(deployment.database, wall_ms)
        _, key = await keys.create("network")
        await keys.close()
        async with aiohttp.ClientSession() as http, asyncio.timeout(180):
            while not await _subscribed(http, base):
                await asyncio.sleep(0.05)
            await At(region, deployment, mosquitto).send("bridge", minute(0))
            uplink = json.loads((Path(__file__).parent / "data/ways/lorawan/Milesight_EM500-SWL_ChirpStack_payload.json").read_bytes())
            uplink["deviceInfo"]["devEui"] = SWL[:16].lower()
            headers = {"Authorization": f"Bearer {key}"}
            async with http.post(f"{base}/v1/lorawan/chirpstack?event=up", json=uplink, headers=headers) as response:
                assert (response.status, (await response.json())["accepted"]) == (202, 1)
            while len(found := [json.loads(value) for _, value in await records(broker.bootstrap, deployment.readings, 0)]) < 2:
                await asyncio.sleep(0.05)
        stop.set()
        await asyncio.wait_for(process, 120)
    assert sorted((one["station"], one["value"], one["provider"]) for one in found) == [("A", 0.52, "network"), ("A", 1.5, "bridge")]


async def _subscribed(http: aiohttp.ClientSession, base: str) -> bool:
    try:
        async with http.get(f"{base}/metrics") as response:
            return "warning_mqtt_up 1.0" in await response.text()
    except aiohttp.ClientConnectionError:
        return False


async def test_what_came_with_qos_0_and_is_not_kept_is_counted(at: At) -> None:
    log = Log(away=True)
    async with at.reading(log) as reader, at.device("bridge") as client:
        await client.publish("sensors/bridge/readings", minute(0), qos=0)
        await reader.until(lambda: any(isinstance(fact, Received) for fact in reader.facts))
        await client.publish("sensors/bridge/readings", minute(1), qos=0)
        await reader.until(lambda: reader.mqtt._arrived.qsize() == 1)
    assert sum(fact.refused.get("dropped", 0) for fact in reader.facts if isinstance(fact, Received)) == 2
