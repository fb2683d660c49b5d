"""One MQTT message -> what is to be offered to the gateway, and what it says of its device. Never raises for what a message holds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from warning.config_devices import Device
from warning.errors import InputError
from warning.facts import DeviceHeard
from warning.ingest.body import split
from warning.ingest.formats import Item, Refusal, item, refusal
from warning.ingest.gateway import Clock, Part, Sender
from warning.ingest.lorawan import Uplinks
from warning.ingest.mqtt_topics import Origin, origin
from warning.ingest.sensorthings import Things
from warning.ingest.uplink import Network

MOST_BYTES = 256 << 10  # of one message: over a thousand readings
_MOST_NAME = 100  # of a device that nobody knows, in readings.rejected

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as understood. ``device``: who is to be answered; empty: nobody. ``frame``: of LoRaWAN, to be remembered."""

    parts: tuple[Part, ...]
    sender: Sender
    device: str = ""
    heard: DeviceHeard | None = None
    frame: tuple[str, str, int] | None = None


class _Status(msgspec.Struct):
    """What a device says of itself; everything may be left out, and what else it says is left alone."""

    state: Literal["online", "offline"] = "online"
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    battery_v: float | None = None
    battery_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    rssi_dbm: float | None = None
    snr_db: float | None = None


_STATUS = msgspec.json.Decoder(_Status)
_WORDS = {b"online": _Status(), b"offline": _Status("offline")}


class Messages:
    """Reads messages of the devices of one region."""

    def __init__(self, devices: Sequence[Device], uplinks: Uplinks, clock: Clock, things: Things | None = None) -> None:
        self._devices = {device.id: device for device in devices if device.layout is None}
        self._uplinks, self._clock, self._things = uplinks, clock, things

    def read(self, topic: str, payload: bytes) -> Heard:
        try:
            return self._read(origin(topic), topic, payload)
        except Exception as error:  # it would come for ever, and all behind it would wait
            _log.exception("a message on %s was not read", topic[:_MOST_NAME])
            return internal(payload, topic, error)

    def _read(self, whose: Origin, topic: str, payload: bytes) -> Heard:
        if len(payload) > MOST_BYTES:
            error = InputError(f"a message of {len(payload)} bytes", reason="too_large", field="", fix=f"at most {MOST_BYTES} bytes")
            return Heard((Part(payload, error),), Sender(whose.device[:_MOST_NAME] or "mqtt"), whose.device)
        if whose.kind == "uplink" and whose.network is not None:
            return self._uplink(whose, whose.network, payload)
        if whose.kind == "other":
            fix = "publish on sensors/DEVICE/readings"
            return Heard((Part(payload, refusal(Refusal.DEVICE_UNKNOWN, "topic", f"topic {topic[:_MOST_NAME]!r}", fix)),), Sender("mqtt"))
        device = self._devices.get(whose.device)
        if device is None:
            name = whose.device[:_MOST_NAME]
            unknown = refusal(Refusal.DEVICE_UNKNOWN, "device", f"no device {name!r}", "add it and its stations to devices.csv")
            return Heard((Part(payload, unknown),), Sender(name or "mqtt"), whose.device)
        if whose.kind == "observation" and self._things is not None:
            parts = self._things.message(topic, payload)
            return Heard(tuple(parts), Sender(device.id, device.stations), device.id, DeviceHeard(device.id, "mqtt", self._clock()))
        return self._status(device, payload) if whose.kind == "status" else self._readings(device, payload)

    def _uplink(self, whose: Origin, network: Network, payload: bytes) -> Heard:
        found = self._uplinks.read(network, payload, whose.event)
        return Heard(found.parts, Sender(found.device, found.stations), heard=found.heard, frame=found.frame)

    def _readings(self, device: Device, payload: bytes) -> Heard:
        sender, heard = Sender(device.id, device.stations), DeviceHeard(device.id, "mqtt", self._clock())
        try:
            texts = split(payload)
        except InputError as error:
            return Heard((Part(payload, error),), sender, device.id, heard)
        return Heard(tuple(Part(bytes(text), _item(text)) for text in texts), sender, device.id, heard)

    def _status(self, device: Device, payload: bytes) -> Heard:
        sender = Sender(device.id, device.stations)
        try:
            said = _WORDS.get(payload.strip().lower()) or _STATUS.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            fix = 'online, offline, or JSON such as {"state": "online", "battery_v": 3.6}'
            wrong = refusal(Refusal.MALFORMED, "status", f"no status: {error}", fix)
            return Heard((Part(payload, wrong),), sender, device.id)
        now_ms = self._clock()
        heard = DeviceHeard(
            device.id,
            "mqtt",
            now_ms,
            battery_v=said.battery_v,
            battery_percent=said.battery_percent,
            rssi_dbm=said.rssi_dbm,
            snr_db=said.snr_db,
            clock_skew_s=None if said.time is None else round(said.time.timestamp() - now_ms / 1000, 1),
            silent=said.state == "offline",
        )
        return Heard((), sender, heard=heard)


def internal(payload: bytes, topic: str, error: Exception) -> Heard:
    """A message that we failed at, as one to be refused."""
    fault = refusal(Refusal.INTERNAL, "", f"{type(error).__name__}: {error}", "this is our fault; it is logged")
    return Heard((Part(payload, fault),), Sender(topic[:_MOST_NAME]))


def _item(text: bytes | msgspec.Raw) -> Item | InputError:
    try:
        return item(text)
    except InputError as error:
        return error
