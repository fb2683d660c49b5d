"""Payload codecs: the vendors' own frames give the vendors' own numbers; whatever the bytes are, nothing is lost and nothing crashes."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warning import config_codecs
from warning.config_codecs import Layout, read_layout, units_of
from warning.errors import Problem
from warning.ingest.codecs import Decoded, decode

CODECS = Path(__file__).parent.parent / "config" / "codecs"
SAMPLES = Path(__file__).parent / "data" / "ways" / "lorawan"
NAMES = sorted(path.stem for path in CODECS.glob("*.yaml"))


def layout_of(name: str) -> Layout:
    problems: list[Problem] = []
    layout = read_layout(CODECS / f"{name}.yaml", problems)
    assert layout is not None and not problems, problems
    return layout


LAYOUTS = {name: layout_of(name) for name in NAMES}

# Ours -> the vendor converter's, and what ours has to be multiplied by to be the same.
THEIRS = {
    "battery_percent": ("battery", 1),
    "battery_v": ("battery_voltage", 1),
    "distance": ("distance", 1),
    "water_level": ("water_level", 1),
    "temperature": ("temperature", 1),
    "pressure": ("pressure", 1),
    "position": ("position", 1),
    "valid_samples": ("number_of_valid_samples", 1),
    "precipitation": ("precipitation", 0.1),  # tips of the sample's gauge, in mm
    "cumulative_precipitation": ("cumulative_precipitation", 0.1),
    "precipitation_interval_s": ("precipitation_interval", 1),
}


def samples() -> list[tuple[str, Path]]:
    found = []
    for path in sorted(SAMPLES.glob("*_payload*.json")):
        maker, device, _ = path.name.split("_", 2)
        found.append((f"{maker}-{device}".lower(), path))
    return found


def frame_of(content: dict[str, Any]) -> tuple[int, bytes]:
    uplink = content.get("uplink_message")
    if uplink:
        return uplink["f_port"], base64.b64decode(uplink["frm_payload"])
    return content["fPort"], base64.b64decode(content["data"])


def test_there_are_samples_of_every_layout_but_dragino() -> None:
    assert len(samples()) == 30
    assert {name for name, _ in samples()} == {name for name in NAMES if not name.startswith("dragino")}


@pytest.mark.parametrize(("name", "path"), samples(), ids=lambda one: one.stem if isinstance(one, Path) else one)
def test_the_vendors_frames_give_the_vendors_numbers(name: str, path: Path) -> None:
    port, data = frame_of(json.loads(path.read_text()))
    theirs = json.loads(path.with_name(path.name.replace("_payload", "_result")).read_text())["telemetry"][0]["values"]
    found = decode(LAYOUTS[name], port, data)
    assert found.wrong is None
    [record] = found.records
    assert record.time_s is None
    ours = {THEIRS[key]: value for key, value in record.values.items() if key in THEIRS}
    assert {name for name, _ in ours} == {key for key in theirs if not key.startswith("lora_") and key not in ALARMS}
    for (theirs_name, factor), value in ours.items():
        expected = theirs[theirs_name]
        assert value == expected if isinstance(expected, str) else value * factor == pytest.approx(expected, abs=1e-9)


ALARMS = {"temperature_abnormal", "distance_alarming"}


@pytest.mark.parametrize(
    ("data", "distance", "battery", "temperature"),
    [
        ("0B450B0500010500" + "", 2821.0, 2.885, None),  # the manual's numbers: 0x0B45 is 2885 mV, 0x0B05 is 2821 mm
        ("0B490B05000105" + "01", 2821.0, 2.889, 26.1),  # 0x0105 is 26.1 degC
        ("0B490B0500FF3F01", 2821.0, 2.889, -19.3),  # 0xFF3F is -19.3 degC
        ("4B45001400000000", None, 2.885, 0.0),  # an echo that is none; the two highest bits are flags
        ("0B45000000000000", None, 2.885, 0.0),  # no sensor answers
        ("0B450B0500", 2821.0, 2.885, None),  # firmware before 1.1.4
    ],
)
def test_dragino(data: str, distance: float | None, battery: float, temperature: float | None) -> None:
    """Frames of the values that Dragino's LDDS75 manual explains byte by byte."""
    found = decode(LAYOUTS["dragino-ldds75"], 2, bytes.fromhex(data))
    assert found.wrong is None
    values = found.records[0].values
    assert (values["distance"], values["battery_v"]) == (distance, battery)
    if temperature is not None:
        assert values["temperature"] == temperature


def test_an_exception_of_a_radar_is_a_missing_distance() -> None:
    found = decode(LAYOUTS["milesight-em410-rdl"], 85, bytes.fromhex("01755CB482D00702"))
    assert found.records[0].values == {"battery_percent": 92.0, "distance": None, "distance_exception": "no target"}


def test_a_frame_without_valid_samples_is_a_missing_distance() -> None:
    found = decode(LAYOUTS["decentlab-dl-mbx"], 1, bytes.fromhex("02012f000304d200000bb1"))
    assert found.records[0].values["distance"] is None


def test_a_submerged_probe_that_measured_nothing_or_is_out_of_range_says_missing() -> None:
    """Milesight's decoder: 0xFFFF is a collection that failed, 0xFFFD a level beyond the range."""
    found = decode(LAYOUTS["milesight-em500-swl"], 85, bytes.fromhex("0377FFFF" + "20CE80F1FA68FDFF" + "20CE80F1FA68FEFF"))
    assert [record.values["water_level"] for record in found.records] == [None, None, -2.0]


def test_an_alarm_whose_unit_nobody_wrote_down_is_refused_and_no_distance() -> None:
    found = decode(LAYOUTS["milesight-em500-udl"], 85, bytes.fromhex("03821E00" + "83E9E8030A0002"))
    assert found.records[0].values == {"distance": 30.0}
    assert found.wrong is not None and "83E9" in str(found.wrong)


def test_what_follows_the_signal_strength_of_a_radar_is_read() -> None:
    found = decode(LAYOUTS["milesight-em410-rdl"], 85, bytes.fromhex("04824408" + "06C718FC" + "84823E0801"))
    assert found.wrong is None
    assert (found.records[0].values["radar_signal_rssi"], found.records[0].values["distance"]) == (-10.0, 2110.0)


def test_what_a_device_kept_has_its_own_time() -> None:
    found = decode(
        LAYOUTS["milesight-em500-swl"], 85, bytes.fromhex("017564037702002 0CE80F1FA68FF00".replace(" ", "") + "20CE58F5FA680301")
    )
    live, first, second = found.records
    assert (live.time_s, live.values["water_level"]) == (None, 2.0)
    assert (first.time_s, first.values) == (0x68FAF180, {"water_level": 255.0})
    assert (second.time_s, second.values) == (0x68FAF558, {"water_level": 259.0})


def test_what_stands_before_unknown_bytes_counts_and_they_are_named() -> None:
    found = decode(LAYOUTS["milesight-em500-swl"], 85, bytes.fromhex("017564037702000999AA"))
    assert found.records[0].values["water_level"] == 2.0
    assert found.wrong is not None and "0999" in str(found.wrong) and found.wrong.reason == "payload"


@pytest.mark.parametrize(
    ("name", "port", "data", "words"),
    [
        ("milesight-em500-swl", 85, "03770", "ends within"),
        ("decentlab-dl-mbx", 1, "03012f00020bb1", "version is 3 instead of 2"),
        ("decentlab-dl-mbx", 1, "02012f00060bb1", "flags"),
        ("decentlab-dl-mbx", 1, "02012f00020bb1ff", "1 bytes more"),
        ("decentlab-dl-mbx", 1, "0201", "ends within the header"),
        ("dragino-ldds75", 2, "0B45", "2 bytes on port 2"),
        ("dragino-ldds75", 9, "0B45", "port 9"),
    ],
)
def test_what_is_no_frame_of_the_device_is_said(name: str, port: int, data: str, words: str) -> None:
    found = decode(LAYOUTS[name], port, bytes.fromhex(data.ljust(len(data) + len(data) % 2, "0")))
    assert found.wrong is not None and words in str(found.wrong)


@given(st.sampled_from(NAMES), st.integers(0, 255), st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(name: str, port: int, data: bytes) -> None:
    _holds(name, decode(LAYOUTS[name], port, data))


@given(st.sampled_from(samples()), st.data())
def test_any_mutation_of_a_real_frame_is_read_or_refused(sample: tuple[str, Path], data: st.DataObject) -> None:
    name, path = sample
    port, frame = frame_of(json.loads(path.read_text()))
    at = data.draw(st.integers(0, len(frame)))
    mutated = frame[:at] + data.draw(st.binary(max_size=3)) + frame[at + data.draw(st.integers(0, 3)) :]
    _holds(name, decode(LAYOUTS[name], port, mutated))


def _holds(name: str, found: Decoded) -> None:
    """Numbers are finite, and every one has a name of the layout; a frame without anything in it was refused or is one to ignore."""
    known = {one.name for block in LAYOUTS[name].blocks() for one in block.fields}
    for record in found.records:
        assert record.values.keys() <= known
        assert all(math.isfinite(value) for value in record.values.values() if isinstance(value, float | int))
        assert record.time_s is None or 0 <= record.time_s < 2**32
    if found.wrong is not None:
        assert found.wrong.reason == "payload" and found.wrong.fix


def test_measurements_are_what_has_a_unit() -> None:
    assert units_of(LAYOUTS["decentlab-dl-pr26"]) == {"pressure": "bar", "temperature": "degC"}


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("layout: channels", "layout: javascript", ":3 (layout)", "layout 'javascript'"),
        ("type: u8, unit", "type: u9, unit", ":5 (channels.0175.fields.0.type)", "'u9' is not right here"),
        ("size: 2, fields", "size: 1, fields", ":6 (channels.0377)", "ends at byte 2 of 1"),
        ('"0377"', '"377"', ":6 (channels.377", "'377' is not right"),
        ("name: water_level", "name: Water", "fields.0.name", "'Water' is not right"),
        ("layout: channels", "layout: channels\neval: 1", ":4 (eval)", "unknown key 'eval'"),
        (", missing: [-3, -1]}]}\n  #", "}, {name: battery_percent, type: i8, at: 0}]}\n  #", ":1", "is in % and no unit"),
        ("{name: time, type: u32le}", "{name: time, type: f32le}", "fields.0", "the time is read as it is"),
        ("{name: time, type: u32le}", "{name: time, type: u32le, divide: 1000}", "fields.0", "the time is read as it is"),
    ],
)
def test_a_broken_layout_is_explained(tmp_path: Path, old: str, new: str, where: str, what: str) -> None:
    text = (CODECS / "milesight-em500-swl.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace(old, new, 1))
    problems: list[Problem] = []
    assert read_layout(tmp_path / "mine.yaml", problems) is None
    assert any(where in problem.where and what in problem.what for problem in problems), [str(problem) for problem in problems]


def test_flags_that_are_no_bits_are_explained(tmp_path: Path) -> None:
    text = (CODECS / "decentlab-dl-mbx.yaml").read_text()
    text = text.replace("{name: flags, type: u16be}", "{name: flags, type: f32be}").replace("size: 5", "size: 7")
    (tmp_path / "mine.yaml").write_text(text)
    problems: list[Problem] = []
    assert read_layout(tmp_path / "mine.yaml", problems) is None
    assert ["no unsigned field 'flags'" in problem.what for problem in problems] == [True]


def test_a_regions_own_codec_goes_first(tmp_path: Path) -> None:
    assert config_codecs.find("decentlab-dl-pr26", tmp_path) == CODECS / "decentlab-dl-pr26.yaml" or config_codecs.find(
        "decentlab-dl-pr26", tmp_path
    ) == Path("config/codecs/decentlab-dl-pr26.yaml")
    (tmp_path / "codecs").mkdir()
    mine = tmp_path / "codecs" / "decentlab-dl-pr26.yaml"
    mine.write_text((CODECS / "decentlab-dl-pr26.yaml").read_text())
    assert config_codecs.find("decentlab-dl-pr26", tmp_path) == mine
    assert config_codecs.find("nobody", tmp_path) is None


def test_what_is_found_is_known_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "codecs").mkdir()
    (tmp_path / "codecs" / "mine.yaml").write_text("")
    monkeypatch.setenv("WARNING_CONFIG", str(tmp_path))
    assert config_codecs.find("mine", None) is not None and "mine" in config_codecs.known(None)
