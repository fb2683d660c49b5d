"""Mutated frames, uplinks and MQTT messages up to the gateway: each is readings that the model allows, a refusal, or a device heard."""

from __future__ import annotations

import asyncio
import atexit
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from test_codecs import LAYOUTS, frame_of, samples
from test_codecs import _holds as frame_holds
from test_lorawan import BODIES, NOW_MS, made
from test_lorawan import _holds as event_holds

from fuzz.inside import found_by
from warning import config
from warning.config_devices import Device
from warning.deployment import Deployment
from warning.ingest.codecs import decode
from warning.ingest.gateway import Gateway
from warning.ingest.mqtt_messages import Heard, Messages
from warning.model import Reading, Rejected

FORMATS = ("lorawan_frames", "lorawan_events", "mqtt_messages")
AT_ONCE = 500  # messages in one append
GOOD = b'{"station": "A", "parameter": "stage", "time": "2023-09-02T07:00:00Z", "value": 1.5, "unit": "m", "datum": "gauge_zero"}'
MQTT = (
    ("sensors/logger/readings", GOOD),
    ("sensors/logger/readings", b"[" + GOOD + b", " + GOOD + b"]"),
    ("sensors/logger/status", b'{"state": "online", "time": "2023-09-02T07:00:00Z", "battery_v": 3.6, "battery_percent": 80}'),
)


class _Log:
    """The port ``Log``: each record is a Reading or a Rejected, or this raises."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    async def append(self, records: Any) -> None:
        for (topic, _), those in records.items():
            kind: Any = Rejected if topic.endswith(".rejected") else Reading
            for _, value in those:
                msgspec.json.decode(value, type=kind)
                self.counted[kind.__name__] += 1


class Devices:
    def __init__(self, folder: Path, seed: int) -> None:
        self._seed, self._uplinks, self._log = seed, made(folder), _Log()
        region = config.load(folder / "oak")
        self._gateway = Gateway(region, Deployment(prefix="fuzz."), self._log, lambda: NOW_MS)
        self._messages = Messages((Device("logger", frozenset({"A"})),), self._uplinks, lambda: NOW_MS)
        self._frames = [(name, *frame_of(json.loads(path.read_text()))) for name, path in samples()]

    def chunk(self, name: str, count: int, number: int) -> dict[str, Any]:
        rng = random.Random(self._seed * 1_000_003 + number)
        if name == "lorawan_frames":
            wrong = sum(self._frame(rng) for _ in range(count))
            return {"records": count, "wrong": wrong}
        self._log.counted.clear()
        for begin in range(0, count, AT_ONCE):
            heard = [self._event(rng) if name == "lorawan_events" else self._message(rng) for _ in range(min(AT_ONCE, count - begin))]
            taken = asyncio.run(self._gateway.offer_each([(one.parts, one.sender) for one in heard]))
            for one, result in zip(heard, taken, strict=True):
                assert result.accepted + len(result.refused) == len(one.parts)
                assert "internal" not in result.reasons, one
        return {"records": count, "taken": self._log.counted["Reading"], "refused": self._log.counted["Rejected"]}

    def _frame(self, rng: random.Random) -> bool:
        name, port, data = rng.choice(self._frames)
        found = decode(LAYOUTS[name], port, mutated(data, rng))
        frame_holds(name, found)
        return found.wrong is not None

    def _event(self, rng: random.Random) -> Heard:
        network, body = rng.choice(BODIES)
        body = mutated(body, rng)
        event_holds(self._uplinks.read(network, body), body)
        return self._messages.read("v3/a/devices/b/up" if network.value == "ttn" else "application/1/device/b/event/up", body)

    def _message(self, rng: random.Random) -> Heard:
        topic, body = rng.choice(MQTT)
        found = self._messages.read(topic, mutated(body, rng))
        assert found.parts or found.heard is not None, body
        return found


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four changes: a byte, bytes more, bytes less, a piece twice."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, how = rng.randrange(len(found) + 1), rng.random()
        if how < 0.4 and found:
            found[at % len(found)] = rng.randrange(256)
        elif how < 0.6:
            found[at:at] = rng.randbytes(rng.randint(1, 5))
        elif how < 0.8:
            del found[at : at + rng.randint(1, 8)]
        else:
            other = rng.randrange(len(found) + 1)
            found[at:at] = found[other : other + rng.randint(1, 30)]
    return bytes(found)


def run_devices(name: str, seed: int) -> Callable[[int, int], dict[str, Any]]:
    """(chunk, messages) -> its tally, for the command. What it finds is raised as Found."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-devices-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    fuzz = Devices(folder, seed)
    return found_by(name, lambda number, count: fuzz.chunk(name, count, number))
