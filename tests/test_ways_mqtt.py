"""MQTT through the suite that every way in passes: a real Mosquitto with TLS and the ACL that is shipped."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from aiomqtt import Client, MqttError, ProtocolVersion
from mosquitto import Mosquitto, client_of
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from test_ways_http import fields
from way_conformance import Answer, At, Message, Way, WayConformance

from warning import config_devices
from warning.ingest.lorawan import Uplinks
from warning.ingest.mqtt import Mqtt
from warning.ingest.mqtt_config import refusals
from warning.ingest.mqtt_messages import MOST_BYTES

DEVICES = "device,station\ncollector,*\n"
ANSWER_S = 2.5
GONE_S = 0.3  # by then what a gateway said before it died is here


class MqttWay(Way):
    """A device that asks for an answer by correlation data, as one does that must know."""

    most_bytes = MOST_BYTES
    users: ClassVar[tuple[str, ...]] = ("collector", "stranger")

    def prepare(self, folder: Path) -> None:
        (folder / config_devices.FILE).write_text(DEVICES)

    async def open(self, folder: Path) -> None:
        self.mosquitto = Mosquitto(folder, self.users).start()

    async def close(self) -> None:
        self.mosquitto.stop()

    def where_outside(self) -> dict[str, Any]:
        return {"mqtt": self.mosquitto.port, "ca": str(self.mosquitto.ca_file), **self.mosquitto.settings()}

    @asynccontextmanager
    async def serve(self, at: At) -> AsyncIterator[dict[str, Any]]:
        deployment = replace(at.deployment, **{key: value for key, value in at.outside.items() if key.startswith("mqtt_")})
        devices = config_devices.load(Path(at.region.folder), at.region)
        stop, up = asyncio.Event(), asyncio.Event()

        def listen(fact: Any) -> None:
            at.listen(fact)
            if getattr(fact, "up", False):
                up.set()

        reader = Mqtt(deployment, at.gateway, devices, Uplinks(devices, at.clock), at.clock, listen)
        task = asyncio.create_task(reader.run(stop))
        await asyncio.wait_for(up.wait(), 120)
        try:
            yield {"mqtt": at.outside["mqtt"], "ca": at.outside["ca"], "pid": os.getpid()}
        finally:
            stop.set()
            await asyncio.wait_for(task, 120)

    async def send(self, where: dict[str, Any], message: Message, *, again: bool = False) -> Answer:
        user = "stranger" if message.bad_key else "collector"
        body = json.dumps(fields(message)).encode() if message.raw is None else message.raw
        try:
            return await told(where, user, "collector", body)
        except MqttError as error:
            return Answer(False if message.bad_key else None, str(error), again=not message.bad_key and message.raw is None)


async def told(where: dict[str, Any], user: str, device: str, body: bytes) -> Answer:
    """Publishes with QoS 1 and correlation data; what the answer says, or that there was none."""
    client = Client(**client_of(where, user, protocol=ProtocolVersion.V5))  # type: ignore[arg-type]
    refused = refusals(client)
    async with client:
        await client.subscribe(f"sensors/{user}/answers", qos=1)
        properties = Properties(PacketTypes.PUBLISH)
        properties.CorrelationData = token = secrets.token_bytes(8)
        await client.publish(f"sensors/{device}/readings", body, qos=1, properties=properties)
        if refused:
            return Answer(False, str(refused[0]))
        answer, silence = asyncio.create_task(_answer(client, token)), asyncio.create_task(no_answer(where))
        try:
            await asyncio.wait((answer, silence), return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                content = answer.result()
                return Answer(content["accepted"] > 0, content["refused"][0]["reason"] if content["refused"] else "")
        finally:
            answer.cancel()
            silence.cancel()
            await asyncio.gather(answer, silence, return_exceptions=True)
    return Answer(None, again=user == device)


async def _answer(client: Client, token: bytes) -> dict[str, Any]:
    async for message in client.messages:
        if getattr(message.properties, "CorrelationData", None) == token:
            content: dict[str, Any] = json.loads(message.payload)
            return content
    raise MqttError("no more messages")


async def no_answer(where: dict[str, Any]) -> None:
    """Until an answer is not to be expected any more: its time is over, or its gateway is dead."""
    end = asyncio.get_running_loop().time() + ANSWER_S
    while asyncio.get_running_loop().time() < end:
        try:
            os.kill(where["pid"], 0)
        except ProcessLookupError:
            await asyncio.sleep(GONE_S)
            return
        await asyncio.sleep(0.02)


class TestMqtt(WayConformance):
    way = MqttWay()
