"""A frame of a LoRaWAN sensor -> readings of its station, by ``devices.csv`` and its codec; and how the device is.

The time of a reading is the network's receive time, or the device's own for what it had kept. A frame that comes twice (the same
device, session and frame counter: two routes, a webhook that was tried again) is offered twice and counted: a reading's identity
makes it harmless, and whoever forgets what he has seen at a restart loses nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from warning import config_units
from warning.config_codecs import BATTERY_PERCENT, BATTERY_V
from warning.config_devices import Device, Measured
from warning.errors import InputError
from warning.facts import DeviceHeard
from warning.ingest.codecs import Decoded, Record, Value, decode
from warning.ingest.formats import GAUGE_ZERO, SENTINELS, Item, Refusal, refusal
from warning.ingest.gateway import Clock, Part
from warning.ingest.uplink import Network, Status, Uplink, read
from warning.model import Parameter

KEPT_S = 400 * 86_400  # older than this before the network heard it: a clock that nobody ever set
_REMEMBERED = 64  # frames of a device


@dataclass(frozen=True, slots=True)
class Understood:
    """One event of a network. ``device``: its id, or its EUI where nobody knows it. ``frame``: which one it was, to be remembered."""

    device: str
    parts: tuple[Part, ...] = ()
    heard: DeviceHeard | None = None
    frame: tuple[str, str, int] | None = None
    stations: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Frames:
    session: str
    last: int
    seen: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))


class Uplinks:
    """Reads events of LoRaWAN networks. ``clock``: ms since 1970 UTC. A frame counts as seen from ``done`` on, when the log has it."""

    def __init__(self, devices: Sequence[Device], clock: Clock) -> None:
        self._devices = {device.eui: device for device in devices if device.eui}
        self._clock = clock
        self._frames: dict[str, _Frames] = {}

    def __bool__(self) -> bool:
        return bool(self._devices)

    def read(self, network: Network, body: bytes, event: str = "up") -> Understood:
        """What is to be offered to the gateway. Never raises for what the body holds: what is wrong is a part to be refused."""
        try:
            said = read(network, body, event)
        except InputError as error:
            return Understood(network.value, (Part(body, error),))
        if said is None:
            return Understood(network.value)
        device = self._devices.get(said.eui)
        if device is None or device.layout is None:
            fix = f"add its EUI to devices.csv, or take it out of the {network.value} application"
            return Understood(said.eui, (Part(body, refusal(Refusal.DEVICE_UNKNOWN, "devEui", f"no device {said.eui}", fix)),))
        if isinstance(said, Status):
            heard = DeviceHeard(device.id, "lorawan", self._clock(), battery_percent=said.battery_percent)
            return Understood(device.id, heard=heard, stations=device.stations)
        found = decode(device.layout, said.port, said.data) if said.data else Decoded((Record(),))
        parts = tuple(Part(body, one) for one in _items(device, said, found))
        frame = (said.eui, said.session, said.frame)
        return Understood(device.id, parts, self._heard(device, said, found), frame, device.stations)

    def done(self, frame: tuple[str, str, int] | None) -> None:
        """The log has what came of this frame: from now on the same is a repetition."""
        if frame is None:
            return
        eui, session, number = frame
        known = self._frames.get(eui)
        if known is None or known.session != session or number < known.last - 1000:  # a counter that began again
            known = self._frames[eui] = _Frames(session, number)
        known.seen.append(number)
        known.last = max(known.last, number)

    def _heard(self, device: Device, said: Uplink, found: Decoded) -> DeviceHeard:
        values = found.records[0].values if found.records else {}
        known = self._frames.get(said.eui)
        same = known is not None and known.session == said.session
        return DeviceHeard(
            device.id,
            "lorawan",
            self._clock(),
            battery_v=_number(values.get(BATTERY_V)),
            battery_percent=_number(values.get(BATTERY_PERCENT)),
            rssi_dbm=said.rssi_dbm,
            snr_db=said.snr_db,
            gateways=said.gateways,
            repeated=same and known is not None and said.frame in known.seen,
            lost_frames=max(0, said.frame - known.last - 1) if same and known is not None else 0,
        )


def _number(value: Value) -> float | None:
    return value if isinstance(value, float | int) else None


def _items(device: Device, said: Uplink, found: Decoded) -> Iterator[Item | InputError]:
    """What the frame says of each series of the device; then what of it could not be read."""
    for record in found.records:
        at = said.at if record.time_s is None else datetime.fromtimestamp(record.time_s, UTC)
        old = (said.at - at).total_seconds() > KEPT_S
        for measured in device.measures:
            if measured.field not in record.values:
                continue
            if old:
                what = f"the device says {at.isoformat()}, the network heard it at {said.at.isoformat()}"
                yield refusal(Refusal.TIME_TOO_OLD, "time", what, "set the device's clock: its network does (DeviceTimeReq)")
            else:
                yield item(measured, record.values[measured.field], at)
    if found.wrong is not None:
        yield found.wrong


def item(measured: Measured, value: Value, at: datetime) -> Item | InputError:
    """One field of a payload as a reading; what a sensor writes where it has no value stays as it is, for the gateway to know it."""
    stage = measured.parameter is Parameter.STAGE
    unit, datum = ("m", GAUGE_ZERO) if stage else (measured.unit, "")
    number = _number(value)
    if isinstance(value, str):
        return refusal(Refusal.VALUE_TYPE, measured.field, f"{value!r} is no number", "map a field with a number in devices.csv")
    if number is not None and number not in SENTINELS:
        number *= measured.scale
        if stage:
            metres = config_units.to_si(number, measured.unit, "stage")
            number = round(
                measured.mount_height_m - metres if measured.mount_height_m is not None else (measured.offset_m or 0.0) + metres, 6
            )
    return Item(measured.station, measured.parameter.value, at, number, unit, datum)
