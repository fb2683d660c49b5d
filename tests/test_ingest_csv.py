"""CSV uploads: each row is judged by itself and answered by its line, whatever stands in the others."""

from __future__ import annotations

import base64
import gzip
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_house import Ingest
from test_ways_http import Http, fields
from way_conformance import CannotSay, Message, WayConformance

from warning.errors import InputError
from warning.facts import DeviceHeard
from warning.ingest import csv_upload
from warning.ingest.body import MOST_ITEMS
from warning.ingest.formats import Item, Refusal
from warning.model import Cause

HEADER = "station,parameter,time,value,unit,datum\n"
GOOD = "A,stage,2025-09-02T12:00:00+05:00,2.5,m,gauge_zero\n"


class Csv(Http):
    """One row a request."""

    content_type = "text/csv"

    def body(self, message: Message) -> bytes:
        said = {name: "" if value is None else str(value) for name, value in fields(message).items()}
        if any("," in cell for cell in said.values()):
            raise CannotSay("a comma")
        return f"{','.join(said)}\n{','.join(said.values())}\n".encode()


class TestCsv(WayConformance):
    way = Csv()


async def test_every_row_is_answered_by_its_line(house: Ingest) -> None:
    body = (
        "\ufeffvalue;unit;station;parameter;time;datum\r\n"
        "1.5;m;A;stage;2025-09-02T07:00:00Z;gauge_zero\r\n"
        "\r\n"
        "1,5;m;A;stage;2025-09-02T07:01:00Z;gauge_zero\r\n"
        ";m;A;stage;2025-09-02T07:02:00Z;gauge_zero\r\n"
        "2.5;m;A;stage;2025-09-02T07:03:00;gauge_zero\r\n"
        "2.5;m;A;stage\r\n"
        '2.5;"m;A;stage;2025-09-02T07:03:00;gauge_zero\r\nthe end'
    ).encode()
    status, answer, _ = await house.post(gzip.compress(body), Content_Type="text/csv; charset=utf-8", Content_Encoding="gzip")
    assert (status, answer["accepted"]) == (202, 2)
    assert [(one["line"], one["index"], one["reason"], one["field"]) for one in answer["refused"]] == [
        (4, 1, "value_type", "value"),
        (6, 3, "time_format", "time"),
        (7, 4, "field_missing", "time"),
        (8, 5, "malformed", ""),
    ]
    assert [(reading.value, reading.cause) for reading in await house.readings()] == [(1.5, Cause.NONE), (None, Cause.MISSING)]
    assert [one.record for one in await house.rejected()] == [
        "1,5;m;A;stage;2025-09-02T07:01:00Z;gauge_zero\r\n",
        "2.5;m;A;stage;2025-09-02T07:03:00;gauge_zero\r\n",
        "2.5;m;A;stage\r\n",
        '2.5;"m;A;stage;2025-09-02T07:03:00;gauge_zero\r\nthe end',
    ]


async def test_one_row_that_is_no_utf8_is_refused_alone(house: Ingest) -> None:
    status, answer, _ = await house.post(
        HEADER.encode() + b"\xff,stage,2025-09-02T12:00:00Z,1,m,gauge_zero\n" + GOOD.encode(), Content_Type="text/csv"
    )
    assert (status, answer["accepted"], [one["line"] for one in answer["refused"]]) == (202, 1, [2])
    [kept] = await house.rejected()
    assert base64.b64decode(kept.record) == b"\xff,stage,2025-09-02T12:00:00Z,1,m,gauge_zero\n"


async def test_a_row_of_huge_cells_is_kept_in_a_record_that_a_broker_takes(house: Ingest) -> None:
    """Else it would be refused for its size, with all that others sent in the same moment, again and again."""
    wide = "\x01" * 130_000  # six bytes each in JSON
    body = f"{HEADER}{wide},stage,2025-09-02T12:00:00Z,1,m,{wide}\n{GOOD}".encode()
    status, answer, _ = await house.post(body, Content_Type="text/csv")
    assert (status, answer["accepted"]) == (202, 1)
    [(_, value)] = await house.records(house.deployment.rejected, 0)
    assert len(value) < 500_000, "Kafka takes 1 MB"
    [kept] = await house.rejected()
    assert (kept.reason, kept.item) == ("station_unknown", msgspec.UNSET)
    assert "the first 65536 of" in kept.detail


async def test_the_device_is_heard_with_its_clock(house: Ingest) -> None:
    at = datetime.now(UTC) + timedelta(seconds=200)
    body = f"{HEADER}A,stage,{at.isoformat()},2.5,m,gauge_zero\n".encode()
    _, answer, _ = await house.post(body, Content_Type="text/csv")
    [heard] = [fact for fact in house.facts if isinstance(fact, DeviceHeard)]
    assert (heard.device, heard.way, heard.clock_skew_s) == (house.key.split("_")[1], "http", answer["clock_skew_s"])
    assert answer["clock_skew_s"] is not None and 100 < answer["clock_skew_s"] <= 200  # type: ignore[operator]


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        (b"", "header", "station"),
        (b"\n", "header", "station"),
        (HEADER.encode(), "empty", ""),
        (b"station,parameter,time,value\n", "header", "unit"),
        (b"station,parameter,time,value,unit,unit\nx", "header", "unit"),
        (b"station,parameter,time,value,unit,colour\nx", "header", "colour"),
        (b'"station,parameter,time,value,unit\nx', "header", ""),
        (HEADER.encode() + GOOD.encode() * (MOST_ITEMS + 1), "too_many", ""),
    ],
)
def test_what_is_no_upload(body: bytes, reason: str, field: str) -> None:
    with pytest.raises(InputError) as raised:
        csv_upload.read(body)
    assert (raised.value.reason, raised.value.field) == (reason, field)
    assert raised.value.fix


def test_a_number_of_very_many_digits_takes_no_time() -> None:
    """Digits that end in no number were tried in every way to part them: minutes for one row."""
    began = time.process_time()
    upload = csv_upload.read((HEADER + f"A,stage,2025-09-02T12:00:00Z,{'9' * 120_000}x,m,\n" * 2).encode())
    assert [part.item.reason for part in upload.parts if isinstance(part.item, InputError)] == ["value_type"] * 2
    assert time.process_time() - began < 2


CELL = st.text(max_size=12) | st.sampled_from(
    ["A", "stage", "1.5", "-9999", "", "nan", "1e999", "2025-09-02T12:00:00Z", "m", '"', '""', "\r"]
)
ROW = st.lists(CELL, max_size=8).map(",".join) | st.just(GOOD.strip()) | st.text(max_size=60)


@settings(max_examples=400, deadline=None)
@given(rows=st.lists(ROW, max_size=6), end=st.sampled_from(["\n", "\r\n", "\r"]), noise=st.binary(max_size=3))
def test_whatever_comes_no_byte_of_a_row_is_lost(rows: list[str], end: str, noise: bytes) -> None:
    text = end.join(rows).encode("utf-8", "surrogatepass") + noise
    try:
        upload = csv_upload.read(HEADER.encode() + text)
    except InputError as error:
        assert error.reason == "empty"
        assert not text.decode("utf-8", "replace").strip()
        return
    assert len(upload.lines) == len(upload.parts)
    assert list(upload.lines) == sorted(set(upload.lines)) and upload.lines[0] >= 2
    sent = b"".join(part.source for part in upload.parts)
    assert _visible(sent) == _visible(text)
    for part in upload.parts:
        if isinstance(part.item, InputError):
            assert part.item.reason in set(Refusal)
            msgspec.json.encode([str(part.item), part.item.field, part.item.fix])  # can stand in an answer
        else:
            assert isinstance(part.item, Item)
            msgspec.json.encode(part.item.station)


def _visible(raw: bytes) -> str:
    """Without white space, which blank lines consist of."""
    return "".join(raw.decode("utf-8", "surrogateescape").split())
