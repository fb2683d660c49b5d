"""Readings over every way in, each gauge's by one: HTTP, CSV, ``readings.inbox``, MQTT, SensorThings, LoRaWAN, SMS, pull, an edge node."""

from __future__ import annotations

import asyncio
import base64
import csv
import gzip
import hashlib
import io
import itertools
import json
import random
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import mosquitto
import smpp34
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiomqtt import Client, MqttError, ProtocolVersion
from edge_house import KEY as EDGE_KEY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from warning.ingest.smpp_session import OK

from .feed import ANSWER_WITHIN_S, BATCH, Feed, Lane, Post, as_sent
from .field_ways import COLLECTOR, WAYS, Around, eui, gauges, phone_of, readers_of
from .load import Item, Water
from .world import World

MQTT_BATCH = 50  # readings in one message
PULL_BATCH = 4000  # readings in one answer of the agency, which is asked each second
_COLUMNS = ("station", "parameter", "time", "value", "unit", "datum")
_One = Callable[[Item], Awaitable[bool]]


class FieldFeed(Feed):
    """What was not acknowledged is sent again by the same way."""

    def __init__(
        self,
        world: World,
        water: Water,
        readings_per_s: float,
        record: Path,
        chance: random.Random,
        broker: mosquitto.Mosquitto,
        around: Around,
    ) -> None:
        super().__init__(world.gateway_url, world.key, water, readings_per_s, record, chance)
        self._bootstrap, self._inbox, self._broker, self._around = world.cluster.bootstrap, world.deployment.inbox, broker, around
        self._producer: AIOKafkaProducer | None = None
        readers = readers_of(world.size)
        self._reader = {name: number for number, names in enumerate(readers) for name in names}

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            await self._forget()

    def lanes(self) -> list[Lane]:
        posts: dict[str, Post] = {
            "http": self._post,
            "csv": self._csv,
            "inbox": self._to_inbox,
            "mqtt": self._mqtt,
            "sensorthings": self._sensorthings,
            "pull": self._pulled,
            "edge": self._by_edge,
            "lorawan": self._lorawan,
            "sms": self._sms,
        }
        return [self._lane(name, posts[name]) for name in WAYS]

    def _lane(self, name: str, post: Post) -> Lane:
        mine = gauges(name, self._water.size)

        async def counted(session: aiohttp.ClientSession, batch: list[Item]) -> list[Item]:
            rest = await post(session, batch)
            self.answers[f"readings by {name}"] += len(batch) - len(rest)
            return rest

        most = PULL_BATCH if name == "pull" else BATCH
        return Lane(len(mine) / self._water.size.series, self._water.rounds_of(mine), counted, most)

    # --- HTTP

    async def _csv(self, session: aiohttp.ClientSession, batch: list[Item]) -> list[Item]:
        text = io.StringIO()
        rows = csv.DictWriter(text, _COLUMNS)
        rows.writeheader()
        rows.writerows(as_sent(item) for item in batch)
        headers = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}
        return await self._posted(session, batch, data=gzip.compress(text.getvalue().encode()), headers=headers)

    async def _by_edge(self, session: aiohttp.ClientSession, batch: list[Item]) -> list[Item]:
        """The node says 202 when its outbox has them."""
        headers = {"Authorization": f"Bearer {EDGE_KEY}"}
        return await self._posted(session, batch, self._around.edge_url, json=[as_sent(item) for item in batch], headers=headers)

    async def _sensorthings(self, session: aiohttp.ClientSession, batch: list[Item]) -> list[Item]:
        """The data array extension, a Datastream for each gauge."""
        by_gauge = [list(some) for _, some in itertools.groupby(sorted(batch, key=_station), _station)]
        arrays = [
            {
                "Datastream": {"@iot.id": int(some[0]["station"][1:])},
                "components": ["phenomenonTime", "result"],
                "dataArray": [[as_sent(item)["time"], item["value"]] for item in some],
            }
            for some in by_gauge
        ]
        url = self.url.removesuffix("readings") + "sta/v1.1/CreateObservations"
        content = await self._replied(session, "sensorthings", url, 201, json=arrays)
        if content is None:
            return batch
        items = [item for some in by_gauge for item in some]
        return self._those(items, [link != "error" for link in content])

    async def _lorawan(self, session: aiohttp.ClientSession, batch: list[Item]) -> list[Item]:
        """ChirpStack's webhook: a frame a reading, each device's in their order."""
        url = self.url.removesuffix("readings") + "lorawan/chirpstack"

        async def one(item: Item) -> bool:
            content = await self._replied(session, "lorawan", url, 202, json=_uplink(item))
            return content is not None and content["accepted"] == 1

        return await self._one_by_one(batch, _station, one)

    async def _replied(self, session: aiohttp.ClientSession, name: str, url: str, well: int, **request: object) -> object:
        try:
            async with session.post(url, **request) as response:  # type: ignore[arg-type]
                self.answers[f"{name} {response.status}"] += 1
                return json.loads(await response.read()) if response.status == well else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self.answers[f"{name} {type(error).__name__}"] += 1
            return None

    async def _one_by_one(self, batch: list[Item], whose: Callable[[Item], object], one: _One) -> list[Item]:
        """Senders at once, each of them its items in order; of each the rest from the first that was not taken."""

        async def all_of(items: list[Item]) -> list[Item]:
            for number, item in enumerate(items):
                if not await one(item):
                    return items[number:]
            return []

        senders: dict[object, list[Item]] = {}
        for item in batch:
            senders.setdefault(whose(item), []).append(item)
        rests = await asyncio.gather(*(all_of(items) for items in senders.values()))
        rest = [item for some in rests for item in some]
        self._those(batch, [item not in rest for item in batch])
        return rest

    def _those(self, items: list[Item], taken: list[bool]) -> list[Item]:
        """Acknowledges what was taken; the others."""
        self._acknowledge([item for item, well in zip(items, taken, strict=True) if well])
        return [item for item, well in zip(items, taken, strict=True) if not well]

    # --- a telephone, an agency

    async def _sms(self, _: aiohttp.ClientSession, batch: list[Item]) -> list[Item]:
        """What a reader sees at one time is one message; the centre hears OK when the log has it."""
        rounds: dict[tuple[int, int], list[Item]] = {}
        for item in batch:
            rounds.setdefault((item["time"], self._reader[item["station"]]), []).append(item)
        messages: list[Item] = [
            {"time": at, "reader": reader, "items": items} for (at, reader), items in sorted(rounds.items(), key=_first)
        ]
        rest: list[Item] = []

        async def one(message: Item) -> bool:
            try:
                status = await self._around.telecom.say(_said(phone_of(message["reader"]), message["items"]), ANSWER_WITHIN_S)
            except (ConnectionError, TimeoutError) as error:
                self.answers[f"sms {type(error).__name__}"] += 1
                return False
            self.answers[f"sms 0x{status:02x}"] += 1
            if status == OK:
                self._acknowledge(message["items"])
            return status == OK

        async def all_of(some: list[Item]) -> None:
            for number, message in enumerate(some):
                if not await one(message):
                    rest.extend(item for later in some[number:] for item in later["items"])
                    return

        readers = {message["reader"] for message in messages}
        await asyncio.gather(*(all_of([message for message in messages if message["reader"] == reader]) for reader in readers))
        return rest

    async def _pulled(self, _: aiohttp.ClientSession, batch: list[Item]) -> list[Item]:
        """The agency publishes it, and hears its entity tag back once all that it stands for is in the log."""
        items = [as_sent(item) | {"station": f"id-{item['station']}"} for item in batch]
        tag = hashlib.sha256(repr(items).encode()).hexdigest()[:16]
        self._around.agency.items(*items, etag=f'"{tag}"')
        if not await self._around.agency.until_acknowledged(f'"{tag}"', ANSWER_WITHIN_S):
            self.answers["pull not yet"] += 1
            return batch
        self._acknowledge(batch)
        return []

    # --- Kafka and MQTT

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
        return self._those(batch, [not isinstance(one, BaseException) for one in done])

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
                async with Client(**mosquitto.client_of(where, COLLECTOR, protocol=ProtocolVersion.V5)) as client:  # type: ignore[arg-type]
                    await client.subscribe(f"sensors/{COLLECTOR}/answers", qos=1)
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
        await client.publish(f"sensors/{COLLECTOR}/readings", body, qos=1, properties=properties)
        async for answer in client.messages:
            if getattr(answer.properties, "CorrelationData", None) == token:
                self.answers["mqtt answer"] += 1
                refused = {one["index"] for one in json.loads(bytes(answer.payload))["refused"]}
                return self._those(batch, [index not in refused for index in range(len(batch))])
        raise MqttError("no answer")


def _station(item: Item) -> str:
    return str(item["station"])


def _first(pair: tuple[tuple[int, int], list[Item]]) -> tuple[int, int]:
    return pair[0]


def _uplink(item: Item) -> Item:
    """ChirpStack 4's event of a Milesight EM500-SWL: the water's level in cm."""
    frame = bytes.fromhex("0377") + round(item["value"] * 100).to_bytes(2, "little", signed=True)
    return {
        "deviceInfo": {"devEui": eui(item["station"]).lower(), "deviceName": item["station"], "tags": {}},
        "time": as_sent(item)["time"],
        "devAddr": "017d1f70",
        "fCnt": item["time"] // 60 % 65_536,
        "fPort": 85,
        "data": base64.b64encode(frame).decode(),
        "rxInfo": [{"gatewayId": "fcc23dfffe2e72ed", "rssi": -106, "snr": 3.0}],
    }


def _said(phone: str, items: list[Item]) -> smpp34.DeliverSm:
    """As a reader writes it, in the region's time (UTC+5)."""
    at = datetime.fromtimestamp(items[0]["time"] + 5 * 3600, UTC)
    words = ", ".join(f"{item['station']} stage {item['value']:.2f} m" for item in items) + f" {at:%Y-%m-%d %H:%M}"
    return smpp34.DeliverSm(phone[1:], "8333", words.encode("ascii"), source_addr_ton=1, source_addr_npi=1, data_coding=0)
