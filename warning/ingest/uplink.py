"""What a LoRaWAN network says of one frame that it heard: ChirpStack v4's and The Things Stack v3's JSON, as far as we need it.

Both networks add fields with every version: what is not known here is left alone. What is needed and missing is refused by name.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec

from warning.errors import InputError
from warning.ingest.formats import Refusal, refusal

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_EUI = re.compile(r"[0-9A-F]{16}")


class Network(enum.StrEnum):
    CHIRPSTACK = "chirpstack"
    TTN = "ttn"


@dataclass(frozen=True, slots=True)
class Uplink:
    """One frame. ``at``: when the network received it. ``session``: what the frame counter counts in; a rejoin begins another."""

    eui: str
    session: str
    frame: int
    port: int
    data: bytes
    at: datetime
    rssi_dbm: float | None = None  # of the gateway that heard it best
    snr_db: float | None = None
    gateways: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """A device's answer to its network's question after its battery."""

    eui: str
    battery_percent: float | None


class _CsDevice(msgspec.Struct):
    dev_eui: str = msgspec.field(name="devEui")


class _CsReception(msgspec.Struct):
    gateway: str = msgspec.field(name="gatewayId", default="")
    rssi: float | None = None
    snr: float = 0.0  # protobuf leaves 0 out


class _CsUp(msgspec.Struct):
    device: _CsDevice = msgspec.field(name="deviceInfo")
    time: Moment
    address: str = msgspec.field(name="devAddr", default="")
    frame: int = msgspec.field(name="fCnt", default=0)
    port: int = msgspec.field(name="fPort", default=0)
    data: bytes = b""
    receptions: list[_CsReception] = msgspec.field(name="rxInfo", default_factory=list)


class _CsStatus(msgspec.Struct):
    device: _CsDevice = msgspec.field(name="deviceInfo")
    battery: float | None = msgspec.field(name="batteryLevel", default=None)
    unknown: bool = msgspec.field(name="batteryLevelUnavailable", default=False)
    external: bool = msgspec.field(name="externalPowerSource", default=False)


class _TtnIds(msgspec.Struct):
    dev_eui: str
    dev_addr: str = ""


class _TtnGateway(msgspec.Struct):
    gateway_id: str = ""


class _TtnReception(msgspec.Struct):
    gateway: _TtnGateway = msgspec.field(name="gateway_ids", default_factory=_TtnGateway)
    rssi: float | None = None
    snr: float = 0.0


class _TtnMessage(msgspec.Struct):
    received_at: Moment | None = None
    session: str = msgspec.field(name="session_key_id", default="")
    frame: int = msgspec.field(name="f_cnt", default=0)
    port: int = msgspec.field(name="f_port", default=0)
    data: bytes = msgspec.field(name="frm_payload", default=b"")
    receptions: list[_TtnReception] = msgspec.field(name="rx_metadata", default_factory=list)


class _TtnUp(msgspec.Struct):
    ids: _TtnIds = msgspec.field(name="end_device_ids")
    received_at: Moment
    message: _TtnMessage | None = msgspec.field(name="uplink_message", default=None)
    simulated: bool = False


_CS_UP, _CS_STATUS, _TTN_UP = msgspec.json.Decoder(_CsUp), msgspec.json.Decoder(_CsStatus), msgspec.json.Decoder(_TtnUp)
_NAMED = re.compile(r"required field `(.{1,80}?)`", re.DOTALL)
_AT = re.compile(r"at `\$\.?([^`]{0,80})")
_V4 = "ChirpStack 4 with its event as JSON has it; version 3 is not read"


def read(network: Network, body: bytes, event: str = "up") -> Uplink | Status | None:
    """What a network sent. None: an event that says nothing of water (a join, a log line). Raises InputError."""
    if network is Network.TTN:
        up = _decoded(_TTN_UP, body, "a message of The Things Stack 3 has it")
        if up.simulated and up.message is not None:
            what, fix = "an uplink that was made up in the console", "try a payload with: warning devices decode"
            raise refusal(Refusal.NOT_OBSERVED, "simulated", what, fix)
        return None if up.message is None else _ttn(up, up.message)
    if event == "status":
        status = _decoded(_CS_STATUS, body, _V4)
        return Status(_eui(status.device.dev_eui, "deviceInfo.devEui"), None if status.unknown or status.external else status.battery)
    if event != "up":
        return None
    return _chirpstack(_decoded(_CS_UP, body, _V4))


def _chirpstack(up: _CsUp) -> Uplink:
    eui = _eui(up.device.dev_eui, "deviceInfo.devEui")
    heard = {one.gateway or str(number) for number, one in enumerate(up.receptions)}
    rssi, snr = _best([(one.rssi, one.snr) for one in up.receptions])
    return Uplink(eui, up.address, up.frame, up.port, up.data, up.time, rssi, snr, len(heard))


def _ttn(up: _TtnUp, message: _TtnMessage) -> Uplink:
    eui = _eui(up.ids.dev_eui, "end_device_ids.dev_eui")
    heard = {one.gateway.gateway_id or str(number) for number, one in enumerate(message.receptions)}
    rssi, snr = _best([(one.rssi, one.snr) for one in message.receptions])
    at = message.received_at or up.received_at
    session = message.session or up.ids.dev_addr
    return Uplink(eui, session, message.frame, message.port, message.data, at, rssi, snr, len(heard))


def _best(receptions: Sequence[tuple[float | None, float]]) -> tuple[float | None, float | None]:
    """RSSI and SNR where it was heard best; by SNR, for below 0 dB the RSSI is that of the noise."""
    return max(receptions, key=lambda one: one[1], default=(None, None))


def _eui(text: str, field: str) -> str:
    eui = text.upper()
    if not _EUI.fullmatch(eui):
        raise refusal(Refusal.FIELD_TYPE, field, f"{text[:40]!r} is no EUI", "16 hexadecimal digits")
    return eui


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes, fix: str) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        words = str(error)
        named, at = _NAMED.search(words), _AT.search(words)
        within = at[1] if at else ""
        if named:
            field = f"{within}.{named[1]}".lstrip(".")
            raise refusal(Refusal.FIELD_MISSING, field, f"{field} is missing", fix) from None
        raise refusal(Refusal.FIELD_TYPE, within, words, fix) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"not JSON: {error}", reason=Refusal.MALFORMED.value, field="", fix="send the event as JSON, not protobuf"
        ) from None
