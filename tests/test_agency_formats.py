"""What real messages of agencies say, to the last digit, and what is made of wrong ones. Origins: tests/data/ways/*/SOURCE.txt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from agency_said import NAMES, SHIPPED, WAYS, items, shown, understood

from warning.config_agency import Agency, AgencyModel, Meaning
from warning.config_sources import Theirs
from warning.errors import InputError
from warning.ingest.formats import Item
from warning.ingest.pushed import parsers


def generic(**keys: Any) -> Agency:
    reading = {"station": "item.s", "what": "'stage'", "time": "item.t", "value": "item.v"}
    form = {"format": "json", "items": {"item": "whole.rows"}, "readings": [reading], "parameters": {"stage": "stage"}}
    return AgencyModel.model_validate(form | keys).noun()


def rows(*given: dict[str, Any]) -> bytes:
    return json.dumps({"rows": given}).encode()


# --- the real messages


def test_usgs_instantaneous_values() -> None:
    found = understood("usgs", "usgs/waterservices_iv.txt", {"01491000": "A"})
    assert len(found.parts) == 10 and sum(found.others.values()) == 10
    assert items(found)[0] == ("A", "discharge", "2019-02-14T05:00:00+00:00", 974.0, "ft3/s", "")
    assert items(found)[5] == ("A", "stage", "2019-02-14T05:00:00+00:00", 6.48, "ft", "gauge_zero")


def test_usgs_says_missing_by_its_own_number_and_by_the_known_one() -> None:
    text = (WAYS / "usgs/waterservices_iv.txt").read_text()
    text = text.replace('"value": "974"', '"value": "-999999"', 1).replace('"value": "966"', '"value": "Ice"', 1)
    found = understood("usgs", text.encode(), {"01491000": "A"})
    assert [shown(part) for part in found.parts[:3]] == [
        ("A", "discharge", "2019-02-14T05:00:00+00:00", None, "ft3/s", ""),
        ("A", "discharge", "2019-02-14T05:15:00+00:00", 974.0, "ft3/s", ""),
        "value_type",
    ]
    assert b'"Ice"' in found.parts[2].source and b"01491000" in found.parts[2].source


def test_environment_agency_of_england() -> None:
    found = understood("uk-ea", "uk-ea/readings_stage_rain.json", {"1029TH": "A", "E7050": "B"})
    assert items(found) == [
        ("A", "stage", "2017-07-06T02:45:00+00:00", 0.076, "m", "gauge_zero"),
        ("B", "rain", "2017-07-05T05:15:00+00:00", 0.0, "mm", ""),
    ]


def test_an_elevation_above_ordnance_datum_is_no_stage() -> None:
    text = (WAYS / "uk-ea/readings_stage_rain.json").read_text().replace("mASD", "mAOD")
    assert items(understood("uk-ea", text.encode(), {"1029TH": "A"}))[0][4:] == ("m", "msl")


def test_national_water_prediction_service() -> None:
    found = understood("nwps", "nwps/gauges_bbox_2026-08-22_cut.json", {"ASRT2": "A", "DBYT2": "B"})
    assert items(found) == [
        ("A", "stage", "2026-08-22T20:30:00+00:00", 4.04, "ft", "gauge_zero"),
        ("A", "discharge", "2026-08-22T20:30:00+00:00", 0.155, "kcfs", ""),
        ("B", "stage", "2026-08-22T20:30:00+00:00", 0.05, "ft", "gauge_zero"),
        ("B", "discharge", "2026-08-22T20:30:00+00:00", -999.0, "kcfs", ""),  # the gateway knows it for a sentinel
    ]
    assert sum(found.others.values()) == 36


def test_a_gauge_of_nwps_that_reports_nothing_is_no_reading() -> None:
    content = json.loads((WAYS / "nwps/gauges_bbox_2026-08-22_cut.json").read_text())
    content["gauges"][0]["status"]["observed"] = content["gauges"][0]["status"]["forecast"]
    found = understood("nwps", json.dumps(content).encode(), {"ASRT2": "A"})
    assert (found.parts, found.no_observation) == ([], 2)


def test_bulletin_of_sri_lanka_where_a_dash_became_zero_metres() -> None:
    """In the PDF both have dashes; in the JSON made of it, 0.0: "missing", not a dry river."""
    stations = {"Hanwella": "A", "Weraganthota": "B", "Thaldena": "C"}
    assert items(understood("dmc-lk", "dmc-lk/2025-11-27-18-30-water-level.json", stations)) == [
        ("A", "stage", "2025-11-27T13:00:00+00:00", 6.27, "m", "gauge_zero"),
        ("B", "stage", "2025-11-27T13:00:00+00:00", None, "m", "gauge_zero"),
        ("C", "stage", "2025-11-27T13:00:00+00:00", None, "m", "gauge_zero"),
    ]


def test_waterml_inside_an_answer_of_a_sos() -> None:
    found = understood("waterml2", "waterml2/sos_52n_getobservation_wml2_response.xml", {"Vaisala-WXT520": "A"})
    assert len(found.parts) == 6
    assert items(found)[0] == ("A", "temperature", "2014-07-01T00:01:42+00:00", 12.2, "degC", "")
    assert items(found)[-1] == ("A", "temperature", "2014-07-01T01:16:41+00:00", 12.5, "degC", "")


def test_waterml_of_many_series() -> None:
    sea = {"sea_water_temperature": Meaning("temperature")}
    found = understood("waterml2", "waterml2/sos_52n_get_observation_ioos_wml2.xml", {"8(height-80.0m)": Theirs("A", parameters=sea)})
    assert len(found.parts) + sum(found.others.values()) == 420
    assert items(found)[0] == ("A", "temperature", "2014-07-07T03:00:00+00:00", 16.02, "degC", "")


def test_a_nil_value_of_waterml_is_missing() -> None:
    xsi = b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"'
    text = (WAYS / "waterml2/sos_52n_getobservation_wml2_response.xml").read_bytes()
    text = text.replace(b"<wml2:value>12.2</wml2:value>", b"<wml2:value " + xsi + b"/>").replace(b">12.3<", b">wet<")
    found = understood("waterml2", text, {"Vaisala-WXT520": "A"})
    assert [shown(part)[3] if isinstance(part.item, Item) else part.item.reason for part in found.parts[:3]] == [None, "value_type", 12.0]


# --- what can be wrong


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"<html><body>502 Bad Gateway</body></html>", b"\xff\xfe\x00", b"{}", b"[" * 100_000]
)
def test_what_is_not_the_agencys_format_says_so(name: str, body: bytes) -> None:
    with pytest.raises(InputError) as raised:
        understood(name, body, {})
    assert raised.value.reason == "format" and raised.value.fix


def test_an_answer_without_readings_is_not_a_changed_format() -> None:
    assert understood("uk-ea", b'{"items": []}', {}).parts == []
    assert understood("usgs", b'{"value": {"timeSeries": []}}', {}).parts == []
    sos = b'<sos:GetObservationResponse xmlns:sos="http://www.opengis.net/sos/2.0"/>'
    assert understood("waterml2", sos, {}).parts == []


def test_an_exception_of_a_sos_is_no_answer() -> None:
    report = b'<o:ExceptionReport xmlns:o="http://www.opengis.net/ows/1.1"><o:Text>no such offering</o:Text></o:ExceptionReport>'
    with pytest.raises(InputError, match="no such offering"):
        understood("waterml2", report, {})


def test_xml_cannot_read_files_nor_grow() -> None:
    text = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    with pytest.raises(InputError, match="document type"):
        understood("waterml2", text, {})


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), ("1.50", 1.5), (" -0.25 ", -0.25), ("1e2", 100.0), (None, None), ("", None)],
)
def test_numbers(value: Any, expected: float | None) -> None:
    assert items(understood(generic(), rows({"s": "X", "t": "2025-09-02T12:00:00Z", "v": value}), {"X": "A"}))[0][3] == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (True, "value_type"),
        ([1.0, 2.0], "value_type"),
        ({"a": 1}, "value_type"),
        ("1,5", "value_type"),
        ("1.5 m", "value_type"),
        ("0x10", "value_type"),
        ("1_000", "value_type"),
        ("٣", "value_type"),
        ("nan", "value_type"),
        (float("nan"), "value_not_finite"),
        (float("inf"), "value_not_finite"),
        (10**400, "value_not_finite"),
        ("9" * 700, "value_type"),
        ("1e999", "value_not_finite"),
    ],
)
def test_what_is_no_number_is_refused_with_its_text(value: Any, reason: str) -> None:
    (part,) = understood(generic(), rows({"s": "X", "t": "2025-09-02T12:00:00Z", "v": value}), {"X": "A"}).parts
    assert shown(part) == reason and json.loads(part.source)["station"] == "X"


def test_a_comma_of_the_decimals_where_the_agency_writes_it() -> None:
    assert (
        items(understood(generic(decimal_comma=True), rows({"s": "X", "t": "2025-09-02T12:00:00Z", "v": "1,5"}), {"X": "A"}))[0][3] == 1.5
    )


@pytest.mark.parametrize(
    ("form", "zone", "time", "expected"),
    [
        ("iso", None, "2025-09-02T12:00:00+05:00", datetime(2025, 9, 2, 7, tzinfo=UTC)),
        ("iso", "Asia/Karachi", "2025-09-02T12:00:00", datetime(2025, 9, 2, 7, tzinfo=UTC)),
        ("iso", "Asia/Karachi", "2025-09-02T12:00:00Z", datetime(2025, 9, 2, 12, tzinfo=UTC)),
        ("unix", None, 1756796400, datetime(2025, 9, 2, 7, tzinfo=UTC)),
        ("unix", None, "1756796400.5", datetime(2025, 9, 2, 7, 0, 0, 500_000, tzinfo=UTC)),
        ("unix_ms", None, 1756796400000, datetime(2025, 9, 2, 7, tzinfo=UTC)),
        ("%d/%m/%Y %H:%M", "Asia/Colombo", "02/09/2025 12:30", datetime(2025, 9, 2, 7, tzinfo=UTC)),
    ],
)
def test_times(form: str, zone: str | None, time: Any, expected: datetime) -> None:
    found = understood(generic(time_format=form, zone=zone), rows({"s": "X", "t": time, "v": 1}), {"X": "A"})
    assert items(found)[0][2] == expected.isoformat()


@pytest.mark.parametrize(
    ("form", "zone", "time", "reason"),
    [
        ("iso", None, "2025-09-02T12:00:00", "time_format"),  # without a zone a time is nothing
        ("iso", "Europe/London", "2025-03-30T01:30:00", "time_format"),  # the clocks leave it out
        ("iso", "Europe/London", "2025-10-26T01:30:00", "time_format"),  # it was twice
        ("iso", "Europe/London", "yesterday", "time_format"),
        ("iso", "Europe/London", 1756796400, "time_format"),
        ("iso", "Europe/London", None, "field_missing"),
        ("unix", None, 1e300, "time_format"),
        ("unix", None, True, "time_format"),
        ("unix", None, "nan", "time_format"),
    ],
)
def test_what_is_no_time_is_refused(form: str, zone: str | None, time: Any, reason: str) -> None:
    (part,) = understood(generic(time_format=form, zone=zone), rows({"s": "X", "t": time, "v": 1}), {"X": "A"}).parts
    assert shown(part) == reason


def test_two_values_for_one_time_are_not_a_revision_for_ever() -> None:
    reading = {"s": "X", "t": "2025-09-02T12:00:00Z"}
    found = understood(generic(), rows(reading | {"v": 1}, reading | {"v": 1}, reading | {"v": 2}), {"X": "A"})
    assert [shown(part) if isinstance(part.item, InputError) else part.item.value for part in found.parts] == [1.0, "ambiguous"]


def test_stations_that_are_not_mapped_are_left_out_or_refused() -> None:
    body = rows({"s": "X", "t": "2025-09-02T12:00:00Z", "v": 1}, {"s": "Y", "t": "?", "v": "?"}, {"s": None}, {"s": "\ud800", "v": 1})
    found = understood(generic(), body, {"X": "A"})
    assert (len(found.parts), [shown(part) for part in found.parts[1:]]) == (3, ["field_missing", "field_type"])
    assert found.others == {"Y stage": 1}
    refused = understood(generic(), body, {"X": "A"}, others="refuse")
    assert [shown(part) for part in refused.parts[1:]] == ["time_format", "field_missing", "field_type"]


def csv(**keys: Any) -> Agency:
    reading = {"station": "row.gauge", "what": "'stage'", "time": "row.when", "value": 'row."level (m)"', "unit": "'m'"}
    form = {"format": "csv", "readings": [reading], "parameters": {"stage": "stage"}, "zone": "UTC"}
    return AgencyModel.model_validate(form | keys).noun()


def test_csv() -> None:
    text = b"# from the ministry\ngauge;when;level (m);remark\n5s;20d;5n;1s\n"
    text += b'"X";2025-09-02 12:00;1,25;"a; b"\n\nX;2025-09-02 13:00;;\nX;2025-09-02 14:00;1,5\n'
    found = understood(csv(delimiter=";", comment="#", skip_after_header=1, decimal_comma=True), text, {"X": "A"})
    assert [shown(part) if isinstance(part.item, InputError) else part.item.value for part in found.parts] == [1.25, None, "malformed"]
    assert "14:00" in found.parts[2].source.decode()


def test_csv_without_a_header() -> None:
    found = understood(csv(columns=["gauge", "when", "level (m)"]), b"X,2025-09-02T12:00:00,1.25\n", {"X": "A"})
    assert items(found) == [("A", "stage", "2025-09-02T12:00:00+00:00", 1.25, "m", "")]


def test_a_part_of_a_text_can_be_picked() -> None:
    agency = generic(
        readings=[
            {
                "station": {"path": "item.measure", "match": "measures/([^-]+)-"},
                "what": {"path": "item.measure", "match": "-(level-stage)-"},
                "time": "item.t",
                "value": "item.v",
            }
        ],
        parameters={"level-stage": {"parameter": "stage", "unit": "m", "datum": "gauge_zero"}},
    )
    measure = "http://environment.data.gov.uk/flood-monitoring/id/measures/1029TH-level-stage-i-15_min-mASD"
    found = understood(agency, rows({"measure": measure, "t": "2025-09-02T12:00:00Z", "v": 1}), {"1029TH": "A"})
    assert items(found) == [("A", "stage", "2025-09-02T12:00:00+00:00", 1.0, "m", "gauge_zero")]


def pushed() -> Iterator[tuple[str, bytes]]:
    yield "text/x-shef", b".A OAK1 20210920 Z DH0000/HGIRG 2.20/QR 1.5/VB 12.1/HGIFF 9.9\n"
    text = (WAYS / "waterml2/sos_52n_getobservation_wml2_response.xml").read_bytes()
    yield "application/waterml+xml", text.replace(b"stations/Vaisala-WXT520", b"stations/OAK1").replace(b"AirTemperature", b"Stage")


def test_what_is_pushed_is_ours_by_the_same_station_ids_and_nothing_is_left_out() -> None:
    (kind, body), (other, xml) = pushed()
    assert [shown(part) for part in parsers(SHIPPED)[kind](body)] == [
        ("OAK1", "stage", "2021-09-20T00:00:00+00:00", 2.2, "ft", "gauge_zero"),
        ("OAK1", "discharge", "2021-09-20T00:00:00+00:00", 1.5, "kcfs", ""),
        "parameter_unknown",
        "not_observed",
    ]
    assert {shown(part)[:2] for part in parsers(SHIPPED)[other](xml)} == {("OAK1", "stage")}
