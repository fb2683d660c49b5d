"""A replay's CSV file -> readings by time, and every row that is wrong with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from regions import write_region

from warning import config
from warning.config_units import CUSEC
from warning.errors import InputError
from warning.ingest import rows
from warning.model import Cause, Parameter, Reading
from warning.region import Region

ROOT = Path(__file__).parent.parent
HEADER = "station,parameter,time,value,unit"


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Region:
    return config.load(write_region(tmp_path_factory.mktemp("region")))


def read(tmp_path: Path, region: Region, text: str, encoding: str = "utf-8") -> rows.Rows:
    path = tmp_path / "flood.csv"
    path.write_bytes(text.encode(encoding))
    return rows.read(path, region)


def test_rows_come_by_time_and_history_has_no_clock(tmp_path: Path, region: Region) -> None:
    text = f"{HEADER},source\nA,stage,2025-09-02T02:00:00Z,2.5,m,\nD,inflow,2025-09-01T12:00:00+05:00,1000,cusec,https://news.example/1\n"
    found = read(tmp_path, region, text)
    assert found.refused == ()
    assert found.readings == (
        Reading(
            station="D",
            parameter=Parameter.INFLOW,
            time_ms=1_756_710_000_000,
            value=28.316847,
            received_ms=1_756_710_000_000,
            provider="https://news.example/1",
        ),
        Reading(
            station="A", parameter=Parameter.STAGE, time_ms=1_756_778_400_000, value=2.5, received_ms=1_756_778_400_000, provider="replay"
        ),
    )


def test_rows_of_one_time_keep_their_order(tmp_path: Path, region: Region) -> None:
    text = "".join(f"A,stage,2025-09-02T02:00:00Z,{number},m\n" for number in range(50))
    assert [reading.value for reading in read(tmp_path, region, f"{HEADER}\n{text}").readings] == list(range(50))


def test_blank_and_sentinel_are_missing(tmp_path: Path, region: Region) -> None:
    text = f"{HEADER},datum\nA,stage,2025-09-02T02:00:00Z,,m,\nA,stage,2025-09-02T03:00:00Z,-999,ft,gauge_zero\n\n"
    found = read(tmp_path, region, text, "utf-8-sig").readings
    assert [(reading.value, reading.cause) for reading in found] == [(None, Cause.MISSING), (None, Cause.SENTINEL)]


@pytest.mark.parametrize(
    ("row", "reason", "field"),
    [
        ("X,stage,2025-09-02T02:00:00Z,1,m", "station_unknown", "station"),
        ("A,level,2025-09-02T02:00:00Z,1,m", "parameter_unknown", "parameter"),
        ("A,stage,2025-09-02T02:00:00,1,m", "time_format", "time"),
        ("A,stage,2025-09-02 02:00,1,m", "time_format", "time"),
        ("A,stage,0001-01-01T00:00:00Z,1,m", "time_too_old", "time"),
        ("A,stage,2025-09-02T02:00:00Z,nan,m", "value_not_finite", "value"),
        ("A,stage,2025-09-02T02:00:00Z,1e999,m", "value_not_finite", "value"),
        ("A,stage,2025-09-02T02:00:00Z,1_000,m", "value_type", "value"),
        ("A,stage,2025-09-02T02:00:00Z,high,m", "value_type", "value"),
        ('A,stage,2025-09-02T02:00:00Z,"1,5",m', "value_type", "value"),
        ("A,stage,2025-09-02T02:00:00Z,1,", "unit_missing", "unit"),
        ("A,stage,2025-09-02T02:00:00Z,1,cusec", "unit_mismatch", "unit"),
        ("A,stage,2025-09-02T02:00:00Z,1", "field_missing", "unit"),
        ("A,stage,2025-09-02T02:00:00Z,1,m,2", "field_unknown", ""),
    ],
)
def test_a_row_that_is_wrong_costs_only_itself(tmp_path: Path, region: Region, row: str, reason: str, field: str) -> None:
    good = "A,stage,2025-09-02T01:00:00Z,1,m"
    found = read(tmp_path, region, f"{HEADER}\n{good}\n{row}\n{good.replace('T01', 'T03')}\n")
    assert (len(found.readings), found.sent) == (2, 3)
    [refused] = found.refused
    assert (refused.line, refused.error.reason, refused.error.field) == (3, reason, field)
    assert refused.error.fix
    assert "flood.csv line 3" in refused.rejected.detail
    assert refused.rejected.reason == reason
    assert json.loads(refused.rejected.record)["station"] == row[0]


@pytest.mark.parametrize(
    "text",
    ["", "a,b,c\n", "station,parameter,time,value\n", HEADER + ",colour\n", HEADER + ",unit\n", HEADER + '\nA,stage,"2025\n', "\0\n"],
)
def test_a_file_that_is_none(tmp_path: Path, region: Region, text: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, region, text)
    assert "station, parameter, time, value, unit" in caught.value.fix


def test_a_file_that_is_not_there_or_not_utf_8(tmp_path: Path, region: Region) -> None:
    with pytest.raises(InputError, match="cannot read"):
        rows.read(tmp_path / "none.csv", region)
    with pytest.raises(InputError, match="utf-8"):
        read(tmp_path, region, f"{HEADER}\nA,stage,é,1,m\n", "latin-1")


@pytest.mark.parametrize(
    ("name", "file", "count", "highest"),
    [
        ("indus", "flood-2025.csv", 117, 855_000 * CUSEC),
        ("indus", "floods-2010-2023.csv", 39, 1_149_000 * CUSEC),  # Guddu, 9 August 2010
        ("sri-lanka", "ditwah-2025.csv", 6760, None),
    ],
)
def test_the_real_floods(name: str, file: str, count: int, highest: float | None) -> None:
    found = rows.read(ROOT / "config" / name / "replays" / file, config.load(ROOT / "config" / name))
    assert (len(found.readings), found.refused) == (count, ())
    times = [reading.time_ms for reading in found.readings]
    assert times == sorted(times)
    if highest is not None:
        assert max(reading.value for reading in found.readings if reading.value is not None) == pytest.approx(highest, abs=1e-6)
