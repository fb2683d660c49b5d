"""MQTT without a broker: what messages say, who we are to it, and devices.csv."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiomqtt import Message
from ingest_house import deployment as place
from ingest_house import two_basins, wall_ms
from regions import write_region
from services import ROOT
from test_mqtt import DEVICES, SWL, Log, text
from typer.testing import CliRunner

from warning import cli, config, config_devices
from warning.config_devices import Device
from warning.deployment import Deployment
from warning.errors import ConfigError
from warning.facts import DeviceHeard
from warning.ingest.gateway import Gateway
from warning.ingest.lorawan import Uplinks
from warning.ingest.mqtt import Arrived, Mqtt, _next
from warning.ingest.mqtt_link import arguments
from warning.ingest.mqtt_messages import MOST_BYTES, Messages

# --- messages, without a broker


@pytest.fixture
def messages() -> Messages:
    return Messages(DEVICES, Uplinks((), wall_ms), lambda: 1_756_796_400_000)


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("sensors/bridge/readings", b"{", "not_json"),
        ("sensors/bridge/readings", b"[]", "empty"),
        ("sensors/bridge/readings", b"x" * (MOST_BYTES + 1), "too_large"),
        ("sensors/bridge/readings", b'{"station": "A"}', "field_missing"),
        ("sensors/nobody/readings", text(), "device_unknown"),
        ("sensors/bridge/status", b'{"battery_v": "full"}', "malformed"),
        ("sensors/nobody/status", b"offline", "device_unknown"),
        ("application/1/device/70b3d57ba0003bb8/event/up", b"{}", "field_missing"),
        ("v3/app@ttn/devices/eui-1/up", b"\xff", "malformed"),
        ("something/else", text(), "device_unknown"),
    ],
)
def test_what_cannot_be_taken_is_one_part_to_be_refused(messages: Messages, topic: str, payload: bytes, reason: str) -> None:
    heard = messages.read(topic, payload)
    [part] = heard.parts
    assert part.item.reason == reason and part.source in (payload, payload.strip())  # type: ignore[union-attr]
    assert heard.sender.provider


def test_items_of_an_array_are_judged_one_by_one(messages: Messages) -> None:
    parts = messages.read("sensors/bridge/readings", b"[" + text() + b', {"station": 3}, ' + text(value=None) + b"]").parts
    assert [getattr(part.item, "reason", "") for part in parts] == ["", "field_type", ""]


def test_what_a_device_says_of_itself(messages: Messages) -> None:
    heard = messages.read(
        "sensors/bridge/status", b'{"state": "online", "time": "2025-09-02T07:00:30Z", "battery_percent": 80, "fw": 3}'
    ).heard
    assert heard == DeviceHeard("bridge", "mqtt", 1_756_796_400_000, battery_percent=80, clock_skew_s=30.0)


async def test_one_message_that_nobody_foresaw_holds_up_no_other(tmp_path: Path) -> None:
    region, log, acked = two_basins(tmp_path), Log(), []
    gateway = Gateway(region, place("x:1", tmp_path), log, wall_ms)
    judged = gateway.offer_each

    async def failing(those: Any) -> Any:
        if any(b'"B"' in part.source and not hasattr(part.item, "reason") for parts, _ in those for part in parts):
            raise ZeroDivisionError("a bug of ours")
        return await judged(those)

    gateway.offer_each = failing  # type: ignore[method-assign]
    mqtt = Mqtt(place("x:1", tmp_path), gateway, DEVICES, Uplinks((), wall_ms), wall_ms)
    bodies = [("bridge", text()), ("weir", text(station="B")), ("bridge", text())]
    batch = [Message(f"sensors/{name}/readings", body, 1, False, number, None) for number, (name, body) in enumerate(bodies)]
    told: list[str] = []

    async def publish(topic: str, *_: Any, **__: Any) -> None:
        told.append(topic)

    paho = SimpleNamespace(ack=lambda mid, qos: acked.append(mid), is_connected=lambda: True)
    client: Any = SimpleNamespace(_client=paho, publish=publish)
    await mqtt._settle(client, batch, asyncio.Event())
    assert acked == [0, 1, 2]
    assert [json.loads(value).get("reason") for _, value in log.records] == [None, "internal", None]


async def test_what_raises_every_time_leaves_the_others_their_turn(tmp_path: Path) -> None:
    """Even our refusal of it is not taken: it is offered again after a pause, or HTTP would have no turn any more."""
    gateway = Gateway(two_basins(tmp_path), place("x:1", tmp_path), Log(), wall_ms)
    judged, turns, acked = gateway.offer_each, list[int](), list[int]()
    seen: list[int] = []

    async def failing(those: Any) -> Any:
        turns.append(len(seen))
        asyncio.get_running_loop().call_soon(seen.append, 1)
        if len(turns) < 4:
            raise ZeroDivisionError("a bug of ours")
        return await judged(those)

    gateway.offer_each = failing  # type: ignore[method-assign]
    mqtt = Mqtt(place("x:1", tmp_path), gateway, DEVICES, Uplinks((), wall_ms), wall_ms)
    client: Any = SimpleNamespace(_client=SimpleNamespace(ack=lambda mid, qos: acked.append(mid), is_connected=lambda: True))
    await mqtt._settle(client, [Message("something/else", b"online", 1, False, 7, None)], asyncio.Event())
    assert turns[2:] == [2, 3] and acked == [7]


def test_messages_without_acknowledgement_are_bounded() -> None:
    arrived = Arrived()
    for _ in range(5):
        arrived.put_nowait(Message("t", b"x" * (10 << 20), 0, False, 0, None))
    arrived.put_nowait(Message("t", b"x", 1, False, 1, None))
    assert (arrived.qsize(), arrived.dropped) == (5, 1)  # 40 MB are over the bound once they are there; QoS 1 always comes in


def test_messages_without_acknowledgement_are_bounded_even_if_they_are_empty() -> None:
    arrived, empty = Arrived(), Message("t", b"", 0, False, 0, None)
    for _ in range(40_000):
        arrived.put_nowait(empty)
    assert 30_000 < arrived.qsize() < 36_000 and arrived.qsize() + arrived.dropped == 40_000
    while not arrived.empty():
        arrived.get_nowait()
    arrived.put_nowait(empty)
    assert arrived.qsize() == 1


async def test_long_messages_are_not_all_appended_at_once() -> None:
    """A log that is slow has a megabyte within its time; of eight, never acknowledged, none would ever get in."""
    arrived = Arrived()
    for number in range(40):
        arrived.put_nowait(Message("t", b"x" * MOST_BYTES, 1, False, number, None))
    client: Any = SimpleNamespace()
    sizes = []
    while not arrived.empty():
        sizes.append(len(await _next(client, arrived, asyncio.Event())))
    assert sum(sizes) == 40 and max(sizes) * MOST_BYTES < 2 << 20


# --- who we are to the broker


@pytest.mark.parametrize(
    ("fields", "where", "what"),
    [
        ({"mqtt_url": "http://x"}, "WARNING_MQTT_URL", "no address"),
        ({"mqtt_url": "mqtts://h:99999"}, "WARNING_MQTT_URL", "no address"),
        ({"mqtt_url": "mqtts://u:secret@[::1"}, "WARNING_MQTT_URL", "no address"),
        ({"mqtt_url": "mqtts://u:secret@h"}, "WARNING_MQTT_URL", "a password in the address"),
        ({"mqtt_url": "mqtt://u@example.org"}, "WARNING_MQTT_URL", "without TLS"),
        ({"mqtt_password_file": "/nowhere"}, "WARNING_MQTT_PASSWORD_FILE", "cannot be read"),
        ({"mqtt_ca_file": "/nowhere"}, "WARNING_MQTT_CA_FILE", "/nowhere"),
        ({"mqtt_certificate_file": "/nowhere"}, "WARNING_MQTT_KEY_FILE", "needs its key"),
    ],
)
def test_what_is_wrong_with_the_broker_is_said(fields: dict[str, str], where: str, what: str) -> None:
    with pytest.raises(ConfigError) as raised:
        arguments(replace(Deployment(mqtt_url="mqtts://gateway@localhost"), **fields))  # type: ignore[arg-type]
    assert any(problem.where == where and what in problem.what and "secret" not in str(problem) for problem in raised.value.problems)


def test_a_session_is_kept_and_bounded(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from the file\n")
    made = arguments(Deployment(mqtt_url="mqtts://gateway@h", mqtt_password_file=str(tmp_path / "password"), prefix="indus."))
    assert (made["hostname"], made["port"], made["username"], made["password"]) == ("h", 8883, "gateway", "from the file")
    assert (made["identifier"], made["clean_start"], made["properties"].ReceiveMaximum) == ("indus.gateway", False, 500)


# --- devices.csv

HEAD = "device,eui,station,parameter,codec,field,unit,scale,mount_height_m,offset_m,interval_min\n"


def devices_of(tmp_path: Path, rows: str) -> tuple[Device, ...]:
    folder = write_region(tmp_path)
    (folder / "devices.csv").write_text(HEAD + rows)
    return config_devices.load(folder, config.load(folder))


def test_devices(tmp_path: Path) -> None:
    rows = f"probe,{SWL},,,,-0.35,10\nprobe,{SWL.replace('A,stage', 'B,stage')},,,,0,10\n"
    rows += "logger,,A,,,,,,,,\nlogger,,B,,,,,,,,\nall,,*,,,,,,,,\n"
    everything, logger, probe = devices_of(tmp_path, rows)
    assert (everything.id, everything.stations) == ("all", frozenset())
    assert (logger.id, logger.stations, logger.layout) == ("logger", {"A", "B"}, None)
    assert (probe.eui, probe.interval_s, [one.offset_m for one in probe.measures]) == ("70B3D57BA0003BB8", 600, [-0.35, 0.0])


@pytest.mark.parametrize(
    ("row", "column", "what"),
    [
        ("x,,Z,,,,,,,,", "station", "no station 'Z'"),
        ("x,,A,rain,,,,,,,", "parameter", "A has no rain"),
        ("x,,A,,milesight-em500-swl,,,,,,", "codec", "without EUI"),
        (f"x,123,{SWL[17:]},,,,0,", "eui", "is not an EUI"),
        ("x,70B3D57BA0003BB8,A,,,,,,,,", "codec", "codec is missing"),
        ("x,70B3D57BA0003BB8,*,stage,milesight-em500-swl,water_level,,,,0,", "station", "* for a LoRaWAN device"),
        ("x,70B3D57BA0003BB8,A,stage,milesight-em500-swx,water_level,,,,0,", "codec", "no codec"),
        ("x,70B3D57BA0003BB8,A,stage,milesight-em500-swl,distance,,,,0,", "field", "no measurement 'distance'"),
        (f"x,{SWL},,,,,", "mount_height_m", "neither mount_height_m nor offset_m"),
        (f"x,{SWL},,,5,0,", "mount_height_m", "both mount_height_m and offset_m"),
        ("x,70B3D57BA0003BB8,A,stage,decentlab-dl-pr26,pressure,,,,0,", "unit", "unknown unit 'bar'"),
        ("x,70B3D57BA0003BB8,D,outflow,milesight-em500-swl,water_level,m3/s,,,0,", "offset_m", "is of a stage"),
        (f"x,{SWL},,,,0,\nx,,A,,,,,,,,", "eui", "differs from line 2"),
        (f"x,{SWL},,,,0,\ny,{SWL.replace('A,stage', 'B,stage')},,,,0,", "eui", "the EUI of x"),
        (f"x,{SWL},,,,0,\nx,{SWL},,,,0,", "field", "twice (line 2)"),
        (f"x,{SWL},m,,,0,", "unit", "water_level is in cm"),
        (f"x,{SWL},,0,,0,", "scale", "0 makes every value the same"),
        ("x,,A,stage,,,,,,,", "parameter", "without EUI"),
        ("x,,A,,,,,2,,,", "scale", "without EUI"),
        ("x,,A,,,,,,,,0.005", "interval_min", "greater than or equal to 0.1"),
    ],
)
def test_what_is_wrong_in_devices_csv_is_said(tmp_path: Path, row: str, column: str, what: str) -> None:
    with pytest.raises(ConfigError) as raised:
        devices_of(tmp_path, row + "\n")
    found = [str(problem) for problem in raised.value.problems]
    assert any(f"({column})" in problem and what in problem for problem in found), found


def test_the_example_in_the_page_is_right(tmp_path: Path) -> None:
    page = (ROOT / "deploy" / "mosquitto" / "README.md").read_text()
    (tmp_path / "devices.csv").write_text(page.split("```\n")[1])
    found = config_devices.load(tmp_path, config.load(ROOT / "config" / "sri-lanka"))
    assert {device.id: len(device.stations) for device in found} == {"bridge-1": 1, "logger-7": 2, "probe-4": 1}


def test_check_reads_devices_too(tmp_path: Path) -> None:
    folder = write_region(tmp_path)
    (folder / "devices.csv").write_text("device,station\nx,NOWHERE\n")
    ran = CliRunner().invoke(cli.app, ["check", str(folder)])
    assert ran.exit_code == 78 and "devices.csv:2 (station)" in ran.output


def test_a_frame_is_decoded_on_the_command_line() -> None:
    ran = CliRunner().invoke(cli.app, ["devices", "decode", "milesight-em500-swl", "01756403770200"])
    assert ran.exit_code == 0 and "water_level: 2.0" in ran.output
