"""Devices that publish by MQTT as fast as they are answered: QoS 1 with correlation data, so that an answer says "Kafka has it".

``python -m warning.rehearsal.load_mqtt JSON`` in a process of its own; prints one JSON line. Synthetic readings, for load only.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_UP_S, _DRAIN_S = 20.0, 30.0


@dataclass
class Load:
    """``devices``: user -> password. Each keeps ``window`` messages under way; ``stations``: theirs, dealt out. Times begin ``behind_s``
    before now, a second apart."""

    port: int
    devices: dict[str, str]
    stations: Sequence[str]
    seconds: float
    window: int = 50
    behind_s: int = 3600
    answered: int = 0
    refused: int = 0
    took_s: list[float] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> dict[str, Any]:
        dealt = [list(self.stations[number :: len(self.devices)]) for number in range(len(self.devices))]
        clients = [_Device(self, *one, stations) for one, stations in zip(self.devices.items(), dealt, strict=True)]
        for client in clients:
            client.connected.wait(_UP_S)
        before, began = self.answered, time.monotonic()
        for client in clients:
            client.begin()
        time.sleep(self.seconds)
        took_s, counted = time.monotonic() - began, self.answered - before
        self._stop.set()
        end = time.monotonic() + _DRAIN_S
        while any(client.under_way for client in clients) and time.monotonic() < end:
            time.sleep(0.05)
        left = sum(len(client.under_way) for client in clients)
        for client in clients:
            client.end()
        cut = sorted(self.took_s)
        return {
            "messages": counted,
            "seconds": took_s,
            "unanswered": left,
            "refused": self.refused,
            "p50_ms": cut[len(cut) // 2] * 1000 if cut else 0.0,
            "p99_ms": cut[len(cut) * 99 // 100] * 1000 if cut else 0.0,
            "done": True,
        }

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()


class _Device:
    def __init__(self, load: Load, name: str, password: str, stations: list[str]) -> None:
        self._load, self._name, self._bodies = load, name, _bodies(stations, load.behind_s)
        self.under_way: dict[bytes, float] = {}  # correlation -> when it was sent
        self.connected = threading.Event()
        self._numbers = itertools.count()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTv5)
        self._client.username_pw_set(name, password)
        self._client.max_inflight_messages_set(load.window)
        self._client.on_connect = lambda client, *_: client.subscribe(f"sensors/{name}/answers")
        self._client.on_subscribe = lambda *_: self.connected.set()
        self._client.on_message = self._answered
        self._client.connect("127.0.0.1", load.port)
        self._client.loop_start()

    def begin(self) -> None:
        for _ in range(self._load.window):
            self._publish()

    def end(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self) -> None:
        token = next(self._numbers).to_bytes(4, "big")
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = token
        self.under_way[token] = time.monotonic()
        self._client.publish(f"sensors/{self._name}/readings", next(self._bodies), qos=1, properties=properties)

    def _answered(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        sent = self.under_way.pop(getattr(message.properties, "CorrelationData", b""), None)
        if sent is None:
            return
        self._load.answered += 1
        self._load.refused += json.loads(message.payload)["refused_in_all"]
        self._load.took_s.append(time.monotonic() - sent)
        if not self._load.stopping:
            self._publish()


def _bodies(stations: list[str], behind_s: int) -> Iterator[bytes]:
    begin = int(time.time()) - behind_s
    for number in itertools.count():
        at = datetime.fromtimestamp(begin + number // len(stations), UTC).isoformat()
        reading = {"station": stations[number % len(stations)], "parameter": "discharge", "time": at, "value": 100.0, "unit": "m3/s"}
        yield json.dumps(reading).encode()


def main() -> None:
    """As a program: the fields of ``Load`` as JSON."""
    print(json.dumps(Load(**json.loads(sys.argv[1])).run()), flush=True)


if __name__ == "__main__":
    main()
