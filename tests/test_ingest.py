"""POST /v1/readings on a real broker: what is accepted stands in its basin's partition, what is refused stands in readings.rejected."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import aiohttp
import pytest
from ingest_house import HOST, Ingest, ingest, two_basins, wall_ms

from warning.errors import InputError
from warning.facts import DeviceHeard, Received
from warning.ingest.body import MOST_BYTES, MOST_ITEMS, inflate
from warning.ingest.formats import SENTINELS
from warning.ingest.gateway import Taken, rejected
from warning.ingest.http import clock_skew_s
from warning.ingest.keys import Key
from warning.model import Cause, Parameter
from warning.stream.broker import EmbeddedBroker


def stage(value: object = 1.5, station: str = "A", ago_s: float = 60.0, **changes: object) -> dict[str, object]:
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    return {"station": station, "parameter": "stage", "time": at.isoformat(), "value": value, "unit": "m", "datum": "gauge_zero"} | changes


def inflow(value: object = 1000, **changes: object) -> dict[str, object]:
    item = stage(value, "D", parameter="inflow", unit="cusec") | changes
    return {name: content for name, content in item.items() if name != "datum"}


async def test_one_reading_is_in_its_partition_when_202_comes(house: Ingest) -> None:
    before = wall_ms()
    status, answer, _ = await house.post(stage(2.5, unit="ft"))
    assert (status, answer["accepted"], answer["refused"]) == (202, 1, [])
    [reading] = await house.readings(0)
    assert (reading.station, reading.parameter, reading.value, reading.provider) == ("A", Parameter.STAGE, 0.762, "agency")
    assert before <= reading.received_ms <= wall_ms()
    assert reading.received_ms == answer["received_ms"]
    assert await house.readings(1) == []


async def test_each_basin_has_its_partition_and_key(house: Ingest) -> None:
    status, answer, _ = await house.post({"readings": [stage(1.0), inflow(1000), stage(2.0, "B"), inflow(2000)]})
    assert (status, answer["accepted"]) == (202, 4)
    assert [key for key, _ in await house.records(house.deployment.readings, 0)] == [b"oak", b"oak"]
    assert [(reading.station, reading.value) for reading in await house.readings(0)] == [("A", 1.0), ("B", 2.0)]
    assert [key for key, _ in await house.records(house.deployment.readings, 1)] == [b"pine", b"pine"]
    assert [reading.value for reading in await house.readings(1)] == [28.316847, 56.633693]


async def test_what_is_refused_is_named_and_kept(house: Ingest) -> None:
    bad = stage("7")
    status, answer, _ = await house.post([stage(1.0), bad, stage(-9999), stage(None), stage(3.0, "X")])
    assert (status, answer["accepted"]) == (202, 3)
    assert [(one["index"], one["reason"], one["field"]) for one in answer["refused"]] == [
        (1, "value_type", "value"),
        (4, "station_unknown", "station"),
    ]
    assert all(one["detail"] and one["fix"] for one in answer["refused"])
    assert [(reading.value, reading.cause) for reading in await house.readings()] == [
        (1.0, Cause.NONE),
        (None, Cause.SENTINEL),
        (None, Cause.MISSING),
    ]
    first, second = await house.rejected()
    assert (first.reason, first.stage, first.provider, json.loads(first.record)) == ("value_type", "ingest", "agency", bad)
    assert (second.reason, second.at_ms) == ("station_unknown", answer["received_ms"])
    assert house.facts[-1] == Received(3, {"value_type": 1, "station_unknown": 1}, 202, house.facts[-1].seconds)


async def test_all_refused_is_422(house: Ingest) -> None:
    status, answer, response = await house.post([stage(unit="cusec"), stage(datum="")])
    assert (status, response.content_type) == (422, "application/problem+json")
    assert (answer["status"], answer["accepted"], answer["field"], answer["reason"]) == (422, 0, "unit", "unit_mismatch")
    assert [one["reason"] for one in answer["refused"]] == ["unit_mismatch", "datum_missing"]
    assert len(await house.rejected()) == 2


async def test_one_nan_refuses_one_reading(house: Ingest) -> None:
    status, answer, _ = await house.post(json.dumps([stage(1.0), stage(float("nan")), stage(2.0)]).encode())
    assert (status, answer["accepted"], answer["refused"][0]["reason"]) == (202, 2, "value_not_finite")
    assert [reading.value for reading in await house.readings()] == [1.0, 2.0]


async def test_the_largest_batch(house: Ingest) -> None:
    items = [stage(number / 1000, ago_s=number) for number in range(MOST_ITEMS)]
    status, answer, _ = await house.post(gzip.compress(json.dumps(items).encode()), Content_Encoding="gzip")
    assert (status, answer["accepted"]) == (202, MOST_ITEMS)
    assert [reading.value for reading in await house.readings()] == [number / 1000 for number in range(MOST_ITEMS)]
    status, answer, _ = await house.post(b"[" + b"1," * MOST_ITEMS + b"1]")
    assert (status, answer["reason"]) == (413, "too_many")


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason", "field"),
    [
        (b"{", {}, 400, "not_json", None),
        (b"[]", {}, 400, "empty", "readings"),
        (b'{"readings": [], "more": 1}', {}, 400, "not_json", "more"),
        (b"[" + b" " * MOST_BYTES + b"]", {}, 413, "too_large", None),
        (gzip.compress(bytes(50 << 20)), {"Content_Encoding": "gzip"}, 413, "too_large", None),
        (b"[1]", {"Content_Encoding": "gzip"}, 422, "malformed", None),
        (b"\x1f\x8bxxx", {"Content_Encoding": "gzip"}, 400, "not_gzip", None),
        (b"[1]", {"Content_Encoding": "br"}, 415, "content_encoding", "Content-Encoding"),
        (b"[1]", {"Content_Type": "text/csv"}, 400, "header", "station"),
        (b"[1]", {"Content_Type": "text/plain"}, 415, "media_type", "Content-Type"),
        (b"[1]", {"Content_Type": "application/json; charset=latin-1"}, 415, "media_type", "Content-Type"),
        (b"[1]", {"Authorization": ""}, 401, "unauthenticated", "Authorization"),
        (b"[1]", {"Authorization": "Basic YTpi"}, 401, "unauthenticated", "Authorization"),
        (b"[1]", {"Authorization": "Bearer fw_123456789abc_" + "x" * 43}, 401, "unauthenticated", "Authorization"),
        (b"[1]", {"Authorization": "Bearer secret"}, 401, "unauthenticated", "Authorization"),
    ],
)
async def test_a_request_that_cannot_be_taken_is_a_problem(
    house: Ingest, body: bytes, headers: dict[str, str], status: int, reason: str, field: str | None
) -> None:
    got, answer, response = await house.post(body, **headers)
    assert (got, answer["status"], answer["reason"], answer.get("field")) == (status, status, reason, field)
    assert response.content_type == "application/problem+json"
    assert {"type", "title", "detail"} <= answer.keys()
    assert await house.readings() == []
    assert house.facts[-1].accepted == 0
    assert house.facts[-1].status == status


async def test_a_body_that_is_no_json_is_kept(house: Ingest) -> None:
    await house.post(b'{"station": "A", ')
    await house.post(b"\xff\xfe")
    assert [(one.record, one.encoding, one.reason) for one in await house.rejected()] == [
        ('{"station": "A", ', "utf-8", "not_json"),
        ("//4=", "base64", "not_json"),
    ]


async def test_of_a_huge_item_the_beginning_is_kept_and_says_so(house: Ingest) -> None:
    status, _, _ = await house.post(stage(note="\x00" * 100_000))
    assert status == 422
    [kept] = await house.rejected()
    assert len(kept.record) == 65_536
    assert "the first 65536 of " in kept.detail


async def test_of_a_huge_name_only_the_beginning_is_repeated(house: Ingest) -> None:
    """In the answer, and in the record: one that the broker refuses for its size would be sent again and again."""
    status, answer, _ = await house.post(stage() | {"n" * 900_000: 1})
    assert (status, answer["reason"], answer["field"], answer["detail"]) == (422, "field_unknown", "n" * 60, "unknown field")
    [(_, value)] = await house.records(house.deployment.rejected, 0)
    assert len(value) < 100_000
    wordy = rejected(b"x", InputError("w" * 900_000, reason="payload", field="", fix=""), "p", 0)
    assert len(wordy.detail) == 2000


async def test_a_key_for_some_stations(house: Ingest) -> None:
    _, text = await house.keys.create("device", stations=["B"])
    as_device = {"Authorization": f"Bearer {text}"}
    status, answer, _ = await house.post([stage(1.0), stage(2.0, "B")], **as_device)
    assert (status, answer["accepted"], answer["refused"][0]["reason"]) == (202, 1, "station_forbidden")
    status, answer, _ = await house.post(stage(1.0), **as_device)
    assert (status, answer["reason"], answer["field"]) == (403, "station_forbidden", "station")
    assert [(reading.station, reading.provider) for reading in await house.readings()] == [("B", "device")]
    assert {fact.station for fact in house.facts if isinstance(fact, DeviceHeard)} == {"B"}, "the device is the one of that station"


async def test_a_key_for_some_stations_is_told_so_whatever_else_is_wrong(house: Ingest) -> None:
    """What is kept for its unit alone would come in when somebody mends the unit."""
    _, text = await house.keys.create("device", stations=["B"])
    as_device = {"Authorization": f"Bearer {text}"}
    for wrong in ({"unit": "furlong"}, {"datum": ""}, {"parameter": "inflow"}):
        status, answer, _ = await house.post(stage(1.0, **wrong), **as_device)
        assert (status, answer["reason"]) == (403, "station_forbidden"), wrong
    status, answer, _ = await house.post(stage(1.0, "NOWHERE"), **as_device)
    assert (status, answer["reason"]) == (422, "station_unknown")


async def test_unknown_path_and_method_are_problems(house: Ingest) -> None:
    async with house.http.get(house.url) as response:
        assert (response.status, response.content_type, response.headers["Allow"]) == (405, "application/problem+json", "POST")
    async with house.http.post(house.url + "x") as response:
        assert (response.status, response.content_type) == (404, "application/problem+json")


async def test_clock_skew(house: Ingest) -> None:
    _, answer, _ = await house.post(stage())
    assert answer["clock_skew_s"] is None
    _, answer, _ = await house.post(stage(ago_s=-200))
    assert 195 < answer["clock_skew_s"] <= 200
    _, answer, _ = await house.post(stage(), Date=format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True))
    assert -3610 < answer["clock_skew_s"] <= -3599
    _, answer, _ = await house.post(stage(), Date="yesterday")
    assert answer["clock_skew_s"] is None


def test_a_date_without_a_zone_is_never_taken_for_the_gateways_own(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = Taken(1, (), 1_756_814_400_000, 0)  # received at 2025-09-02T12:00:00Z
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Karachi")
        time.tzset()
        for zone in (" GMT", " -0000", ""):
            assert clock_skew_s(f"Tue, 02 Sep 2025 12:00:10{zone}", taken) == 10.0, zone
    time.tzset()


def test_a_body_of_a_great_many_gzip_members_is_not_worked_through() -> None:
    """Each is copied with all that follows it: 50,000 empty ones held the gateway up for seconds."""
    assert inflate(gzip.compress(b"x") * 1000) == b"x" * 1000
    with pytest.raises(InputError, match="1000 gzip members") as refused:
        inflate(gzip.compress(b"") * 1001)
    assert refused.value.reason == "not_gzip"


async def test_a_sender_that_hangs_up_before_it_is_known_is_no_fault_of_ours(
    house: Ingest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked, verify = asyncio.Event(), house.keys.verify

    async def slow(text: str) -> Key:
        asked.set()
        await asyncio.sleep(0.5)  # meanwhile it is gone
        return await verify(text)

    monkeypatch.setattr(house.keys, "verify", slow)
    body = json.dumps(stage())
    _, writer = await asyncio.open_connection(HOST, int(house.url.split(":")[2].split("/")[0]))
    head = f"POST /v1/readings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.key}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    await asyncio.wait_for(asked.wait(), 120)
    writer.close()
    async with asyncio.timeout(120):
        while not (told := [fact for fact in house.facts if isinstance(fact, Received)]):
            await asyncio.sleep(0.05)
            assert "failed" not in caplog.text
    assert [(fact.accepted, fact.refused, fact.status) for fact in told] == [(0, {"body_broken": 1}, 400)]


async def test_many_senders_at_once(house: Ingest) -> None:
    """Singles are grouped on their way to the broker; each gets its own answer and none is lost or doubled."""
    answers = await asyncio.gather(*(house.post(stage(number / 1000)) for number in range(300)))
    assert {status for status, _, _ in answers} == {202}
    assert sorted(reading.value for reading in await house.readings()) == [number / 1000 for number in range(300)]


async def _trickle(port: int, words: list[bytes], pause_s: float) -> bytes:
    """Sends the words one by one, and reads until the server closes."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        for word in words:
            writer.write(word)
            await writer.drain()
            await asyncio.sleep(pause_s)
    except ConnectionError:
        pass
    try:
        return await asyncio.wait_for(reader.read(), 120)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.fixture
async def impatient(broker: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingest(broker.bootstrap, tmp_path, two_basins(tmp_path), silent_s=2.0) as running:
        yield running


async def test_slow_and_silent_clients_are_closed(impatient: Ingest) -> None:
    """This house closes what says nothing for 2 s (30 in earnest) and takes a body for 2 s (20 in earnest)."""
    port = int(impatient.url.split(":")[2].split("/")[0])
    head = f"POST /v1/readings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {impatient.key}\r\nContent-Type: application/json\r\n".encode()
    silent, headers, body, broken = await asyncio.gather(
        _trickle(port, [b""], 0.1),
        _trickle(port, [head[at : at + 20] for at in range(0, len(head), 20)], 0.7),
        _trickle(port, [head + b"Content-Length: 100\r\n\r\n", b"[", b" ", b" "], 0.2),
        _trickle(port, [head + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n"], 0.1),
    )
    assert (silent, headers) == (b"", b"")
    assert body.startswith(b"HTTP/1.1 408 ")
    assert broken[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 408")  # whether or not the parser sees it before the time is over
    status, _, _ = await impatient.post(stage())
    assert status == 202


async def test_a_kept_connection_that_is_used_stays_open(impatient: Ingest) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as one:
        headers = {"Authorization": f"Bearer {impatient.key}"}
        for _ in range(20):
            async with one.post(impatient.url, json=stage(), headers=headers) as response:
                assert response.status == 202
            await asyncio.sleep(0.15)  # 3 s in all; this house closes what says nothing for 2 s


def test_sentinels_are_those_of_the_field() -> None:
    assert {-999.0, -9999.0, -999999.0, -888.0} == SENTINELS


async def test_ten_thousand_refused_items_are_taken_apart_once(house: Ingest) -> None:
    """They can all be read, so they are read at once; each is kept as it was sent all the same."""
    items = [stage(number / 1000, "NOWHERE") for number in range(MOST_ITEMS)]
    status, answer, _ = await house.post(gzip.compress(json.dumps(items).encode()), Content_Encoding="gzip")
    assert (status, len(answer["refused"])) == (422, MOST_ITEMS)
    kept = await house.rejected()
    assert [json.loads(one.record) for one in kept] == items
