"""Uplinks of LoRaWAN networks: the real events of both become the readings that the water stood at, whatever else they say."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from regions import edit, write_region

from warning import config, config_devices
from warning.errors import InputError
from warning.ingest.formats import Item
from warning.ingest.gateway import Part
from warning.ingest.lorawan import Understood, Uplinks
from warning.ingest.uplink import Network, Status, Uplink, read

SAMPLES = Path(__file__).parent / "data" / "ways" / "lorawan"
NOW_MS = 1_700_000_000_000
DEVICES = """\
device,eui,station,parameter,codec,field,unit,scale,mount_height_m,offset_m
bridge,70B3D57BA0003BB8,A,stage,decentlab-dl-mbx,distance,,,8.5,
bridge-ttn,70B3D57BA0000BCE,B,stage,decentlab-dl-pr26,pressure,m,10.197,,-0.2
probe,1000000000000001,C,stage,milesight-em500-swl,water_level,,,,0.35
gauge,70b3d57ba0000001,R,rain,decentlab-dl-tbrg,cumulative_precipitation,,,,
"""


@pytest.fixture(scope="module")
def uplinks(tmp_path_factory: pytest.TempPathFactory) -> Uplinks:
    return made(tmp_path_factory.mktemp("region"))


def made(folder: Path) -> Uplinks:
    region = write_region(folder)
    edit(region, "stations", "D,Dogwood", "R,Rain,ر,rain,Oak,oak,30.6,72.0,published,3\nD,Dogwood")
    edit(region, "series", "A,stage", "R,rain,mm,0,200,,,,,\nA,stage")
    text = (region / "series.csv").read_text().replace("flat_within\n", "flat_within,rain_as,mm_per_tip\n")
    lines = [line if "rain_as" in line else line + (",tips,0.1" if line.startswith("R,") else ",,") for line in text.splitlines()]
    (region / "series.csv").write_text("\n".join(lines) + "\n")
    (region / "devices.csv").write_text(DEVICES)
    return Uplinks(config_devices.load(region, config.load(region)), lambda: NOW_MS)


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def items(understood: Understood) -> list[Item]:
    assert all(isinstance(part.item, Item) for part in understood.parts), understood
    return [part.item for part in understood.parts]  # type: ignore[misc]


def reasons(parts: tuple[Part, ...]) -> list[str]:
    return [part.item.reason if isinstance(part.item, InputError) else "" for part in parts]


# --- real events


def test_a_distance_below_a_bridge_is_a_stage(uplinks: Uplinks) -> None:
    found = uplinks.read(Network.CHIRPSTACK, sample("Decentlab_DL-MBX_ChirpStack_payload.json"))
    at = datetime(2024, 11, 10, 12, 51, 50, tzinfo=UTC)
    assert items(found) == [Item("A", "stage", at, 7.266, "m", "gauge_zero")]  # 8.5 m - 1234 mm
    heard = found.heard
    assert heard is not None
    assert (heard.device, heard.way, heard.battery_v, heard.rssi_dbm, heard.snr_db, heard.gateways) == (
        "bridge",
        "lorawan",
        2.993,
        -106,
        3.0,
        1,
    )
    assert heard.at_ms == NOW_MS


def test_a_level_above_the_probe_is_a_stage(uplinks: Uplinks) -> None:
    for network, name in ((Network.CHIRPSTACK, "ChirpStack"), (Network.TTN, "ThingsStackCommunity")):
        found = uplinks.read(network, sample(f"Milesight_EM500-SWL_{name}_payload.json"))
        assert [(one.station, one.value, one.unit) for one in items(found)] == [("C", 0.37, "m")]  # 0.35 m + 2 cm
        assert found.heard is not None and found.heard.battery_percent == 100


def test_a_pressure_is_scaled_to_a_level(uplinks: Uplinks) -> None:
    [one] = items(uplinks.read(Network.TTN, sample("Decentlab_DL-PR26_ThingsStackCommunity_payload.json")))
    assert one.value == round(-0.2 + 10.197 * -0.01171875, 6)
    assert one.time == datetime(2020, 2, 6, 9, 46, 5, 234173, tzinfo=UTC)  # when the network had it, not the application server


def test_a_count_of_tips_stays_a_count(uplinks: Uplinks) -> None:
    body = changed("Decentlab_DL-TBRG_ChirpStack_payload.json", devEui="70b3d57ba0000001")
    assert [(one.station, one.parameter, one.value, one.unit, one.datum) for one in items(uplinks.read(Network.CHIRPSTACK, body))] == [
        ("R", "rain", 16538.0, "tips", "")
    ]


def test_a_frame_without_a_measurement_is_no_reading_and_no_fault(uplinks: Uplinks) -> None:
    found = uplinks.read(Network.CHIRPSTACK, sample("Decentlab_DL-MBX_ChirpStack_payload_01.json"))
    assert found.parts == () and found.heard is not None and found.heard.battery_v == 2.993


def test_a_sensor_that_sees_nothing_says_missing(uplinks: Uplinks) -> None:
    body = changed("Decentlab_DL-MBX_ChirpStack_payload.json", data=bytes.fromhex("02012f000304d200000bb1"))
    assert [one.value for one in items(uplinks.read(Network.CHIRPSTACK, body))] == [None]


def test_version_3_of_chirpstack_is_refused_by_name(uplinks: Uplinks) -> None:
    for number in ("02", "03"):
        [part] = uplinks.read(Network.CHIRPSTACK, sample(f"Decentlab_DL-MBX_ChirpStack_payload_{number}.json")).parts
        assert isinstance(part.item, InputError)
        assert (part.item.reason, part.item.field) == ("field_missing", "deviceInfo") and "ChirpStack 4" in part.item.fix


def changed(name: str, **fields: Any) -> bytes:
    content = json.loads(sample(name))
    if "devEui" in fields:
        content["deviceInfo"]["devEui"] = fields.pop("devEui")
    if "data" in fields:
        fields["data"] = base64.b64encode(fields["data"]).decode()
    return json.dumps(content | fields).encode()


# --- what else comes


def test_an_unknown_device_is_refused_with_its_eui(uplinks: Uplinks) -> None:
    body = changed("Decentlab_DL-MBX_ChirpStack_payload.json", devEui="ffffffffffffffff")
    found = uplinks.read(Network.CHIRPSTACK, body)
    assert reasons(found.parts) == ["device_unknown"] and found.parts[0].source == body and found.heard is None


@pytest.mark.parametrize("event", ["join", "ack", "txack", "log", "location", "integration"])
def test_other_events_are_none_of_ours(uplinks: Uplinks, event: str) -> None:
    assert uplinks.read(Network.CHIRPSTACK, b'{"anything": 1}', event).parts == ()
    assert (
        uplinks.read(Network.TTN, b'{"end_device_ids": {"dev_eui": "x"}, "received_at": "2024-01-01T00:00:00Z", "join_accept": {}}').parts
        == ()
    )


def test_an_uplink_made_up_in_the_console_is_no_reading(uplinks: Uplinks) -> None:
    """The Things Stack marks it; whoever tries a payload there must not wake anybody."""
    body = json.dumps(json.loads(sample("Milesight_EM500-SWL_ThingsStackCommunity_payload.json")) | {"simulated": True}).encode()
    found = uplinks.read(Network.TTN, body)
    assert reasons(found.parts) == ["not_observed"] and found.heard is None and found.parts[0].source == body


def test_a_status_tells_of_the_battery(uplinks: Uplinks) -> None:
    body = b'{"deviceInfo": {"devEui": "1000000000000001"}, "margin": 12, "batteryLevel": 74.5, "batteryLevelUnavailable": false}'
    assert read(Network.CHIRPSTACK, body, "status") == Status("1000000000000001", 74.5)
    heard = uplinks.read(Network.CHIRPSTACK, body, "status").heard
    assert heard is not None and (heard.device, heard.battery_percent) == ("probe", 74.5)
    plugged = b'{"deviceInfo": {"devEui": "1000000000000001"}, "externalPowerSource": true, "batteryLevel": 0}'
    assert read(Network.CHIRPSTACK, plugged, "status") == Status("1000000000000001", None)


def test_the_best_of_several_gateways_counts() -> None:
    body = changed(
        "Decentlab_DL-MBX_ChirpStack_payload.json",
        rxInfo=[
            {"gatewayId": "a", "rssi": -110, "snr": -8.0},
            {"gatewayId": "b", "rssi": -90, "snr": 5.5},
            {"gatewayId": "a", "rssi": -111},
        ],
    )
    up = read(Network.CHIRPSTACK, body)
    assert isinstance(up, Uplink) and (up.rssi_dbm, up.snr_db, up.gateways) == (-90, 5.5, 2)


def test_frames_repeated_and_lost_are_told(tmp_path: Path) -> None:
    uplinks = made(tmp_path)

    def heard(frame: int, session: str = "one", *, done: bool = True) -> tuple[bool, int]:
        found = uplinks.read(Network.CHIRPSTACK, changed("Decentlab_DL-MBX_ChirpStack_payload.json", fCnt=frame, devAddr=session))
        assert len(found.parts) == 1 and found.heard is not None
        if done:
            uplinks.done(found.frame)
        return found.heard.repeated, found.heard.lost_frames

    assert heard(20) == (False, 0)
    assert heard(20) == (True, 0)  # two routes, or a webhook that was tried again
    assert heard(21, done=False) == (False, 0)  # the log was away
    assert heard(21) == (False, 0)  # so this is no repetition
    assert heard(25) == (False, 3)
    assert heard(23) == (False, 0)  # by a slower route
    assert heard(0, "two") == (False, 0)  # it joined again


def test_what_a_device_kept_comes_with_its_own_time(uplinks: Uplinks) -> None:
    at, kept = datetime(2023, 5, 22, 7, 47, 5, 404859, tzinfo=UTC), int(datetime(2023, 5, 22, 3, 0, tzinfo=UTC).timestamp())
    frame = bytes.fromhex("03770200") + b"\x20\xce" + kept.to_bytes(4, "little") + b"\xff\x00" + b"\x20\xce" + bytes(4) + b"\x01\x00"
    found = uplinks.read(Network.CHIRPSTACK, changed("Milesight_EM500-SWL_ChirpStack_payload.json", data=frame))
    assert reasons(found.parts) == ["", "", "time_too_old"]  # the last is of a clock that nobody set
    assert [(part.item.time, part.item.value) for part in found.parts[:2]] == [  # type: ignore[union-attr]
        (at, 0.37),
        (datetime(2023, 5, 22, 3, 0, tzinfo=UTC), 2.9),
    ]


def test_what_stands_before_bytes_that_nobody_knows_is_taken(uplinks: Uplinks) -> None:
    body = changed("Milesight_EM500-SWL_ChirpStack_payload.json", data=bytes.fromhex("037702000999"))
    found = uplinks.read(Network.CHIRPSTACK, body)
    assert reasons(found.parts) == ["", "payload"]


# --- fuzz

BODIES = [
    (Network.TTN if "Things" in path.name else Network.CHIRPSTACK, path.read_bytes()) for path in sorted(SAMPLES.glob("*_payload*.json"))
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(st.sampled_from(BODIES), st.data())
def test_any_mutation_of_a_real_event_is_taken_or_refused_with_its_bytes(
    uplinks: Uplinks, sampled: tuple[Network, bytes], data: st.DataObject
) -> None:
    network, body = sampled
    at = data.draw(st.integers(0, len(body)))
    mutated = body[:at] + data.draw(st.binary(max_size=4)) + body[at + data.draw(st.integers(0, 6)) :]
    _holds(uplinks.read(network, mutated), mutated)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3), max_leaves=4
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(st.sampled_from(BODIES), st.data())
def test_any_field_of_a_real_event_may_be_anything(uplinks: Uplinks, sampled: tuple[Network, bytes], data: st.DataObject) -> None:
    network, body = sampled
    content = json.loads(body)
    spot: Any = content
    while True:
        keys = sorted(spot) if isinstance(spot, dict) else list(range(len(spot)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(spot[key], dict | list) and spot[key] and data.draw(st.booleans()):
            spot = spot[key]
            continue
        break
    spot[key] = data.draw(_JSON)
    mutated = json.dumps(content).encode()
    _holds(uplinks.read(network, mutated), mutated)


def _holds(found: Understood, body: bytes) -> None:
    """Nothing is lost in silence: there are parts, or the device was heard, or the event is none of ours."""
    for part in found.parts:
        assert part.source == body
        if isinstance(part.item, InputError):
            assert part.item.reason and part.item.fix
        else:
            assert part.item.time.tzinfo is not None
    if not found.parts and found.heard is None:
        assert b'"uplink_message"' not in body or json.loads(body).get("uplink_message") is None
