"""One reading as sent -> SI, UTC, metres above gauge zero; or a refusal that names the field and the fix."""

from __future__ import annotations

import dataclasses
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from regions import write_region

from warning import config
from warning.errors import InputError
from warning.ingest.body import MOST_BYTES_INFLATED, inflate, split
from warning.ingest.formats import Formats, Refusal, item
from warning.model import Cause, Parameter, Reading
from warning.region import Region, Series

NOW_MS = 1_756_800_000_000  # 2025-09-02T08:00:00Z
NOON = "2025-09-02T12:00:00+05:00"  # 07:00Z
NOON_MS = NOW_MS - 3_600_000


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Region:
    """Oak valley; Birch's gauge zero lies at 100 m above mean sea level, Cedar's at 50 m above local datum ``sob``; rain at Alder."""
    plain = config.load(write_region(tmp_path_factory.mktemp("region")))
    stations = {station.id: station for station in plain.stations}
    stations["A"] = dataclasses.replace(stations["A"], series=(*stations["A"].series, Series("A", Parameter.RAIN)))
    stations["B"] = dataclasses.replace(stations["B"], zero_elevation_m=100.0)
    stations["C"] = dataclasses.replace(stations["C"], zero_elevation_m=50.0, datum="sob")
    return dataclasses.replace(plain, stations=tuple(stations.values()))


def sent(**changes: object) -> dict[str, object]:
    """A good item, changed; a field of ``...`` is left out."""
    fields = {"station": "A", "parameter": "stage", "time": NOON, "value": 1.5, "unit": "m", "datum": "gauge_zero"} | changes
    return {name: value for name, value in fields.items() if value is not ...}


def discharge(**changes: object) -> dict[str, object]:
    return sent(**({"station": "D", "parameter": "inflow", "unit": "cusec", "datum": ...} | changes))


def read(region: Region, fields: object) -> Reading:
    text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return Formats(region).reading(item(text), provider="p", received_ms=NOW_MS)


def test_a_reading_is_stamped_in_utc_and_si(region: Region) -> None:
    assert read(region, sent()) == Reading(
        station="A", parameter=Parameter.STAGE, time_ms=NOON_MS, value=1.5, received_ms=NOW_MS, provider="p"
    )


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        (sent(value=1), 1.0),
        (sent(value=378, unit="cm"), 3.78),
        (sent(value=1234, unit="mm"), 1.234),
        (sent(value=10, unit="ft"), 3.048),
        (sent(value=-0.25), -0.25),
        (sent(value=0), 0.0),
        (sent(parameter="rain", datum=..., unit="in", value=2), 50.8),
        (sent(parameter="rain", datum=..., unit="mm", value=2), 2.0),
        (discharge(value=1_000_000), 28316.846592),
        (discharge(value=250_000, unit="cusecs"), 7079.211648),
        (discharge(value=500, unit="m3/s"), 500.0),
        (discharge(value=500, unit="cumec"), 500.0),
        (sent(station="B", value=101.5, datum="msl"), 1.5),
        (sent(station="B", value=378, unit="ft", datum="msl"), 15.2144),  # an elevation of 378 ft, once taken for a stage
        (sent(station="B", value=1.5), 1.5),
        (sent(station="C", value=51.25, datum="sob"), 1.25),
    ],
)
def test_units_and_datums(region: Region, fields: dict[str, object], value: float) -> None:
    assert read(region, fields).value == value


@pytest.mark.parametrize("value", [-999, -9999, -999999, -888, -999.0])
@pytest.mark.parametrize("unit", ["m", "cm", "ft"])
def test_a_sentinel_is_missing_whatever_its_unit(region: Region, value: float, unit: str) -> None:
    reading = read(region, sent(value=value, unit=unit))
    assert (reading.value, reading.cause) == (None, Cause.SENTINEL)


def test_a_sentinel_is_found_before_the_datum_is_subtracted(region: Region) -> None:
    assert read(region, sent(station="B", value=-999, datum="msl")).cause is Cause.SENTINEL
    assert read(region, sent(station="B", value=-899, datum="msl")).value == -999.0


def test_null_is_missing(region: Region) -> None:
    reading = read(region, sent(value=None))
    assert (reading.value, reading.cause) == (None, Cause.MISSING)


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        (sent(station="X"), Refusal.STATION_UNKNOWN, "station"),
        (sent(station=""), Refusal.STATION_UNKNOWN, "station"),
        (sent(station=7), Refusal.FIELD_TYPE, "station"),
        (sent(station=...), Refusal.FIELD_MISSING, "station"),
        (sent(parameter="level"), Refusal.PARAMETER_UNKNOWN, "parameter"),
        (sent(parameter="inflow", datum=...), Refusal.PARAMETER_NOT_AT_STATION, "parameter"),
        (sent(unit="furlong"), Refusal.UNIT_UNKNOWN, "unit"),
        (sent(unit="cusec"), Refusal.UNIT_MISMATCH, "unit"),
        (discharge(unit="ft"), Refusal.UNIT_MISMATCH, "unit"),
        (sent(unit=...), Refusal.UNIT_MISSING, "unit"),
        (sent(unit=""), Refusal.UNIT_MISSING, "unit"),
        (sent(datum=...), Refusal.DATUM_MISSING, "datum"),
        (sent(datum="msl"), Refusal.DATUM_UNKNOWN, "datum"),
        (sent(station="B", datum="sob"), Refusal.DATUM_UNKNOWN, "datum"),
        (sent(station="C", datum="msl"), Refusal.DATUM_UNKNOWN, "datum"),
        (discharge(datum="gauge_zero"), Refusal.DATUM_UNEXPECTED, "datum"),
        (sent(time="2025-09-02T12:00:00"), Refusal.TIME_FORMAT, "time"),
        (sent(time="02/09/2025 12:00"), Refusal.TIME_FORMAT, "time"),
        (sent(time=1756800000), Refusal.TIME_FORMAT, "time"),
        (sent(time="2025-02-30T12:00:00Z"), Refusal.TIME_FORMAT, "time"),
        (sent(time="0001-01-01T00:00:00+05:00"), Refusal.TIME_TOO_OLD, "time"),
        (sent(time="1899-12-31T23:59:59Z"), Refusal.TIME_TOO_OLD, "time"),
        (sent(time="2025-09-02T08:05:01Z"), Refusal.TIME_FUTURE, "time"),
        (sent(time="9999-12-31T23:59:59-14:00"), Refusal.TIME_FUTURE, "time"),
        (sent(value="1.5"), Refusal.VALUE_TYPE, "value"),
        (sent(value=True), Refusal.VALUE_TYPE, "value"),
        (sent(value=[1.5]), Refusal.VALUE_TYPE, "value"),
        (sent(value=...), Refusal.FIELD_MISSING, "value"),
        (sent(value=float("nan")), Refusal.VALUE_NOT_FINITE, "value"),
        (sent(value=float("-inf")), Refusal.VALUE_NOT_FINITE, "value"),
        (sent(parameter="rain", datum=..., unit="in", value=1.5e308), Refusal.VALUE_NOT_FINITE, "value"),
        (sent(value=10**400), Refusal.VALUE_NOT_FINITE, "value"),
        (json.dumps(sent()).replace("1.5", "1e999").encode(), Refusal.VALUE_NOT_FINITE, "value"),
        (sent(quality="good"), Refusal.FIELD_UNKNOWN, "quality"),
        ([sent()], Refusal.MALFORMED, ""),
        (3, Refusal.MALFORMED, ""),
        (b'{"station": "\xff"}', Refusal.MALFORMED, ""),
        (b'{"station": "\\ud800"}', Refusal.MALFORMED, ""),
    ],
)
def test_a_refusal_names_the_field_and_the_fix(region: Region, fields: object, reason: Refusal, field: str) -> None:
    with pytest.raises(InputError) as caught:
        read(region, fields)
    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert caught.value.fix
    assert len(str(caught.value)) < 300


def test_five_minutes_ahead_is_the_limit_and_belongs_to_it(region: Region) -> None:
    assert read(region, sent(time="2025-09-02T08:05:00Z")).time_ms == NOW_MS + 300_000


def test_a_near_miss_of_a_station_is_named(region: Region) -> None:
    with pytest.raises(InputError) as caught:
        read(region, sent(station=" a"))
    assert caught.value.fix == "write A"


def test_conversions_are_remembered_for_good_items_only(region: Region) -> None:
    formats = Formats(region)
    for number in range(100):
        with pytest.raises(InputError):
            formats.reading(item(json.dumps(sent(unit=f"u{number}")).encode()), provider="p", received_ms=NOW_MS)
    formats.reading(item(json.dumps(sent()).encode()), provider="p", received_ms=NOW_MS)
    assert len(formats._conversions) == 1


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_whatever_the_words_only_input_errors_come_out(
    region: Region, station: str, parameter: str, time: str, unit: str, datum: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(region, {"station": station, "parameter": parameter, "time": time, "value": 1, "unit": unit, "datum": datum})
    assert caught.value.reason in set(Refusal)


@given(st.binary(max_size=200))
def test_whatever_the_bytes_only_input_errors_come_out(body: bytes) -> None:
    try:
        texts = split(body)
    except InputError as error:
        assert error.reason in ("not_json", "empty", "too_many")
        return
    for text in texts:
        with pytest.raises(InputError):
            item(text)


# --- the body of a request


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (b'{"station": "A"}', 1),
        (b' \n[{"station": "A"}, {}]', 2),
        (b'{"readings": [{}, {}, 3]}', 3),
        (b'[{"value": NaN}, {"value": 1}]', 2),
        (b'{"readings": [{"value": -Infinity}]}', 1),
        (b'{"value": NaN}', 1),
        (b"17", 1),
    ],
)
def test_a_body_is_split_into_items(body: bytes, items: int) -> None:
    assert len(split(body)) == items


def test_one_nan_costs_one_item(region: Region) -> None:
    texts = split(json.dumps([sent(), sent(value=float("nan")), sent(value=2.5)]).encode())
    with pytest.raises(InputError, match="NaN"):
        item(texts[1])
    assert [item(texts[at]).value for at in (0, 2)] == [1.5, 2.5]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"[1,]", "not_json"),
        (b"station=A&value=1", "not_json"),
        (b"\xef\xbb\xbf[1]", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"readings": {}}', "not_json"),
        (b'{"readings": 3, "x": NaN}', "not_json"),
        (b'{"readings": [], "x": 1}', "not_json"),
        (b"[]", "empty"),
        (b'{"readings": []}', "empty"),
        (b"[" + b"0," * 10_000 + b"0]", "too_many"),
    ],
)
def test_a_body_that_is_no_request(body: bytes, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        split(body)
    assert caught.value.reason == reason
    assert caught.value.fix


def test_gzip_is_inflated_member_by_member() -> None:
    assert inflate(gzip.compress(b"[1,", mtime=0) + gzip.compress(b"2]")) == b"[1,2]"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (gzip.compress(bytes(MOST_BYTES_INFLATED + 1), mtime=0), "too_large"),
        (gzip.compress(bytes(MOST_BYTES_INFLATED), mtime=0) + gzip.compress(b"1"), "too_large"),
        (gzip.compress(b"[1]" * 100, mtime=0)[:-9], "not_gzip"),
        (b"\x1f\x8bnonsense", "not_gzip"),
        (gzip.compress(b"[1]", mtime=0) + b"rest", "not_gzip"),
    ],
)
def test_gzip_that_is_too_much_or_none(body: bytes, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        inflate(body)
    assert caught.value.reason == reason


def test_the_largest_body_is_what_fits() -> None:
    assert len(inflate(gzip.compress(bytes(MOST_BYTES_INFLATED), mtime=0))) == MOST_BYTES_INFLATED
