"""LoRaWAN through the suite that every way in passes: by HTTP integration, and by MQTT through a real Mosquitto. The frames are a
Decentlab DL-MBX's: distances in mm below a bridge, 10 m above gauge zero."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
from aiomqtt import Client, MqttError, ProtocolVersion
from ingest_house import HOST
from mosquitto import client_of
from test_ways_http import BAD_KEY
from test_ways_mqtt import MqttWay, no_answer
from way_conformance import Answer, At, CannotSay, Message, Way, WayConformance

from warning import config_devices
from warning.facts import Received
from warning.ingest.http import create_app
from warning.ingest.keys import KeyStore
from warning.ingest.lorawan import Uplinks
from warning.ingest.lorawan_http import PATH, routes
from warning.ingest.mqtt_config import refusals
from warning.ingest.serving import serve

EUI = {"A": "70B3D57BA0003BB8", "NOWHERE": "70B3D57BA0003BB9"}
DEVICES = f"device,eui,station,parameter,codec,field,mount_height_m\nbridge-a,{EUI['A']},A,stage,decentlab-dl-mbx,distance,10\n"


def uplink(message: Message) -> bytes:
    """ChirpStack 4's event, with what we read of it as in the real ones."""
    if message.value is None or message.value < 0:
        raise CannotSay("a distance in mm has no number for it")
    if message.unit != "m":
        raise CannotSay("the unit is the codec's")
    frame = bytes.fromhex("02012f0003") + round((10.0 - message.value) * 1000).to_bytes(2) + bytes.fromhex("00010bb1")
    event = {
        "deviceInfo": {"devEui": EUI[message.station].lower(), "deviceName": "bridge", "tags": {}},
        "time": datetime.fromtimestamp(message.at_ms / 1000, UTC).isoformat(),
        "devAddr": "017d1f70",
        "fCnt": message.at_ms // 60_000 % 65_536,
        "fPort": 1,
        "data": base64.b64encode(frame).decode(),
        "rxInfo": [{"gatewayId": "fcc23dfffe2e72ed", "rssi": -106, "snr": 3.0, "nsTime": "2024-11-12T12:51:50.819853185+00:00"}],
    }
    return json.dumps(event).encode()


class LorawanHttp(Way):
    """The network is told 202 for whatever is kept: what is wrong with one device is not the network's to mend."""

    reasons: ClassVar[dict[str, str]] = {"station_unknown": "device_unknown"}

    def prepare(self, folder: Path) -> None:
        (folder / config_devices.FILE).write_text(DEVICES)

    @asynccontextmanager
    async def serve(self, at: At) -> AsyncIterator[dict[str, Any]]:
        keys = KeyStore(at.deployment.database, at.clock)
        uplinks = Uplinks(config_devices.load(Path(at.region.folder), at.region), at.clock)
        app = create_app(at.gateway, keys, at.listen)
        app.add_routes(routes(at.gateway, keys, uplinks, at.listen))
        server = await serve(app, HOST, 0)
        try:
            yield {"url": f"http://{HOST}:{server.port}{PATH.format(network='chirpstack')}", "key": at.key}
        finally:
            await server.stop()
            await keys.close()

    async def send(self, where: dict[str, Any], message: Message, *, again: bool = False) -> Answer:
        key = BAD_KEY if message.bad_key else where["key"]
        body = uplink(message) if message.raw is None else message.raw
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        try:
            async with aiohttp.ClientSession() as http, http.post(where["url"], data=body, headers=headers) as response:
                content = json.loads(await response.read())
        except aiohttp.ClientError:
            return Answer(None, again=True)
        refused = content.get("refused") or [{"reason": content.get("reason", "")}]
        return Answer(content.get("accepted", 0) > 0, refused[0]["reason"], again=response.status == 503)


class LorawanMqtt(MqttWay):
    """A network publishes, and nobody tells it anything: that we acknowledged is seen by what our listener hears just after."""

    reasons: ClassVar[dict[str, str]] = {"station_unknown": "device_unknown"}
    tells = False

    def prepare(self, folder: Path) -> None:
        (folder / config_devices.FILE).write_text(DEVICES)

    async def open(self, folder: Path) -> None:
        await super().open(folder)
        self.ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ear.bind((HOST, 0))
        self.ear.setblocking(False)

    async def close(self) -> None:
        self.ear.close()
        await super().close()

    def where_outside(self) -> dict[str, Any]:
        return super().where_outside() | {"ear": self.ear.getsockname()[1]}

    @asynccontextmanager
    async def serve(self, at: At) -> AsyncIterator[dict[str, Any]]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:

            class Heard(list[Any]):
                def append(self, fact: Any) -> None:
                    super().append(fact)
                    if isinstance(fact, Received) and fact.status != 503:
                        mouth.sendto(str(fact.accepted).encode(), (HOST, at.outside["ear"]))

            at.facts = Heard()
            async with super().serve(at) as where:
                yield where

    async def send(self, where: dict[str, Any], message: Message, *, again: bool = False) -> Answer:
        user = "stranger" if message.bad_key else "chirpstack"
        body = uplink(message) if message.raw is None else message.raw
        while self._said():
            pass
        client = Client(**client_of(where, user, protocol=ProtocolVersion.V5))  # type: ignore[arg-type]
        refused = refusals(client)
        try:
            async with client:
                await client.publish(f"application/1/device/{EUI[message.station].lower()}/event/up", body, qos=1)
        except MqttError as error:
            return Answer(None, str(error))
        if refused:
            return Answer(None, str(refused[0]))
        silence = asyncio.create_task(no_answer(where))
        while not (said := self._said()) and not silence.done():
            await asyncio.sleep(0.02)
        silence.cancel()
        if said:
            return Answer(None if int(said) else False)
        return Answer(None, again=not message.bad_key)

    def _said(self) -> bytes:
        try:
            return self.ear.recv(100)
        except BlockingIOError:
            return b""


class TestLorawanHttp(WayConformance):
    way = LorawanHttp()


class TestLorawanMqtt(WayConformance):
    way = LorawanMqtt()
