"""Readings over every way in that a gateway has, each basin's by one: JSON and CSV over HTTP, ``readings.inbox``, MQTT."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import random
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import mosquitto
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiomqtt import Client, MqttError, ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from .feed import ANSWER_WITHIN_S, Feed, as_sent
from .load import Item, Water, basin
from .world import World

DEVICE = "collector"
WAYS = ("http", "csv", "inbox", "mqtt")
MQTT_BATCH = 50  # readings in one message

_Post = Callable[[aiohttp.ClientSession, list[Item]], Coroutine[Any, Any, list[Item]]]
_COLUMNS = ("station", "parameter", "time", "value", "unit", "datum")


class FieldFeed(Feed):
    """What was not acknowledged is sent again by the same way."""

    def __init__(
        self, world: World, water: Water, readings_per_s: float, record: Path, chance: random.Random, broker: mosquitto.Mosquitto
    ) -> None:
        super().__init__(world.gateway_url, world.key, water, readings_per_s, record, chance)
        self._bootstrap, self._inbox, self._broker = world.cluster.bootstrap, world.deployment.inbox, broker
        self._producer: AIOKafkaProducer | None = None

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            await self._forget()

    async def _post(self, session: aiohttp.ClientSession, batch: list[Item]) -> list[Item]:
        ways: tuple[_Post, ...] = (super()._post, self._csv, self._to_inbox, self._mqtt)
        which = basin(int(batch[0]["station"][1:])) % len(ways)
        rest = await ways[which](session, batch)
        self.answers[f"readings by {WAYS[which]}"] += len(batch) - len(rest)
        return rest

    async def _csv(self, session: aiohttp.ClientSession, batch: list[Item]) -> list[Item]:
        text = io.StringIO()
        rows = csv.DictWriter(text, _COLUMNS)
        rows.writeheader()
        rows.writerows(as_sent(item) for item in batch)
        headers = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}
        return await self._posted(session, batch, data=gzip.compress(text.getvalue().encode()), headers=headers)

    async def _to_inbox(self, _: aiohttp.ClientSession, batch: list[Item]) -> list[Item]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                if self._producer is None:
                    self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", request_timeout_ms=5000)
                    await self._producer.start()
                texts = [json.dumps(as_sent(item)).encode() for item in batch]
                sent = [await self._producer.send(self._inbox, text) for text in texts]
                done = await asyncio.gather(*sent, return_exceptions=True)
        except (KafkaError, TimeoutError, OSError) as error:
            self.answers[f"inbox {type(error).__name__}"] += 1
            await self._forget()
            return batch
        self._acknowledge([item for item, one in zip(batch, done, strict=True) if not isinstance(one, BaseException)])
        return [item for item, one in zip(batch, done, strict=True) if isinstance(one, BaseException)]

    async def _forget(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                async with asyncio.timeout(2):
                    await producer.stop()
            except (KafkaError, TimeoutError, OSError) as error:
                self.answers[f"inbox {type(error).__name__}"] += 1

    async def _mqtt(self, _: aiohttp.ClientSession, batch: list[Item]) -> list[Item]:
        where = {"mqtt": self._broker.port, "ca": self._broker.ca_file}
        rest = batch
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                async with Client(**mosquitto.client_of(where, DEVICE, protocol=ProtocolVersion.V5)) as client:  # type: ignore[arg-type]
                    await client.subscribe(f"sensors/{DEVICE}/answers", qos=1)
                    while rest:
                        rest = await self._asked(client, rest[:MQTT_BATCH]) + rest[MQTT_BATCH:]
        except (MqttError, TimeoutError, OSError) as error:
            self.answers[f"mqtt {type(error).__name__}"] += 1
        return rest

    async def _asked(self, client: Client, batch: list[Item]) -> list[Item]:
        """What was refused of one message, once its answer is there."""
        properties = Properties(PacketTypes.PUBLISH)
        properties.CorrelationData = token = secrets.token_bytes(8)
        body = json.dumps([as_sent(item) for item in batch]).encode()
        await client.publish(f"sensors/{DEVICE}/readings", body, qos=1, properties=properties)
        async for answer in client.messages:
            if getattr(answer.properties, "CorrelationData", None) == token:
                self.answers["mqtt answer"] += 1
                refused = {one["index"] for one in json.loads(bytes(answer.payload))["refused"]}
                self._acknowledge([item for index, item in enumerate(batch) if index not in refused])
                return [item for index, item in enumerate(batch) if index in refused]
        raise MqttError("no answer")
