"""``warning pull``, round by round: a server plays the agency, the log is a fake that can be away, the watermark is real SQL."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import channel_postgres
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from ingest_house import two_basins
from pull_agency import AgencyServer

from warning.config_agency import Agency, AgencyModel
from warning.config_sources import Source, Theirs
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.facts import DeviceHeard, Fact, SourcePolled
from warning.ingest.gateway import Gateway
from warning.ingest.pull import Puller
from warning.ingest.pull_fetch import retry_after
from warning.ingest.watermark import Watermarks
from warning.model import Reading, Rejected
from warning.region import Region

NOW_MS = 1_756_800_000_000  # 2025-09-02T08:00:00Z
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
KEY = "secret-of-the-agency"


@dataclass
class FakeLog:
    """The port Log. ``away``: raises, and takes nothing."""

    away: bool = False
    records: list[tuple[str, bytes]] = field(default_factory=list)

    async def append(self, records: Mapping[tuple[str, int], Sequence[tuple[bytes | None, bytes]]]) -> None:
        if self.away:
            raise Unavailable("the broker is away", retry_after_s=5.0)
        self.records += [(topic, value) for (topic, _), some in records.items() for _, value in some]

    @property
    def readings(self) -> list[tuple[str, int, float | None]]:
        found = [msgspec.json.decode(value, type=Reading) for topic, value in self.records if topic == "readings"]
        return [(one.station, (one.time_ms - NOW_MS) // MINUTE_MS, one.value) for one in found]

    @property
    def rejected(self) -> list[Rejected]:
        return [msgspec.json.decode(value, type=Rejected) for topic, value in self.records if topic == "readings.rejected"]


def agency(**keys: Any) -> Agency:
    reading = {"station": "item.s", "what": "'stage'", "time": "item.t", "value": "item.v"}
    stage = {"parameter": "stage", "unit": "m", "datum": "gauge_zero"}
    form = {"format": "json", "items": {"item": "whole.items"}, "readings": [reading], "parameters": {"stage": stage}}
    return AgencyModel.model_validate(form | {"time_format": "unix_ms"} | keys).noun()


def item(minutes: int, value: float | None = 1.0, station: str = "X") -> dict[str, Any]:
    """A reading so many minutes after now."""
    return {"s": station, "t": NOW_MS + minutes * MINUTE_MS, "v": value}


def at(minutes: float) -> str:
    return datetime.fromtimestamp(NOW_MS / 1000 + minutes * 60, UTC).isoformat().replace("+00:00", "Z")


@dataclass
class World:
    server: AgencyServer
    folder: Path
    region: Region
    log: FakeLog = field(default_factory=FakeLog)
    facts: list[Fact] = field(default_factory=list)
    now_ms: int = NOW_MS
    _opened: list[Puller] = field(default_factory=list)
    _marks: list[Watermarks] = field(default_factory=list)

    def source(self, **changes: Any) -> Source:
        source = Source("agency", agency(), self.server.url + "/r", {"X": Theirs("A"), "Y": Theirs("B")}, reach="loopback", timeout_s=2.0)
        return replace(source, **changes)

    def marks(self) -> Watermarks:
        self._marks.append(Watermarks(f"sqlite+aiosqlite:///{self.folder / 'w.db'}", lambda: self.now_ms, within_s=2.0))
        return self._marks[-1]

    async def puller(self, **changes: Any) -> Puller:
        gateway = Gateway(self.region, Deployment(), self.log, lambda: self.now_ms)  # type: ignore[arg-type]
        puller = Puller(self.source(**changes), gateway, self.marks(), lambda: self.now_ms, self.facts.append)
        await puller.start()
        self._opened.append(puller)
        return puller

    async def stored(self) -> dict[tuple[str, str], int]:
        found = await self.marks().load("agency")
        return {place: (time_ms - NOW_MS) // MINUTE_MS for place, time_ms in found.items()}

    @property
    def queries(self) -> list[dict[str, str]]:
        return [query for _, query, _ in self.server.asked]

    async def close(self) -> None:
        for puller in self._opened:
            await puller.stop()
        for marks in self._marks:
            await marks.close()


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Region:
    return two_basins(tmp_path_factory.mktemp("region"))


@pytest_asyncio.fixture
async def world(tmp_path: Path, region: Region) -> AsyncIterator[World]:
    async with AgencyServer() as server:
        made = World(server, tmp_path, region)
        yield made
        await made.close()


async def test_a_round_brings_readings_and_then_moves_the_watermark(world: World) -> None:
    puller = await world.puller()
    world.server.items(item(-30), item(-15, 1.5), item(-15, None, "Y"), item(-15, 9.0, "ELSEWHERE"), etag='"1"')
    done = await puller.round()
    assert (done.outcome, done.accepted, done.refused, done.others) == ("taken", 3, {}, {"ELSEWHERE stage": 1})
    assert world.log.readings == [("A", -30, 1.0), ("A", -15, 1.5), ("B", -15, None)]
    assert await world.stored() == {("A", "stage"): -15, ("B", "stage"): -15}
    polled = [fact for fact in world.facts if isinstance(fact, SourcePolled)]
    assert [(one.source, one.outcome, one.accepted, one.newest_ms) for one in polled] == [("agency", "taken", 3, NOW_MS - 15 * MINUTE_MS)]
    heard = [fact for fact in world.facts if isinstance(fact, DeviceHeard)]
    assert (heard[0].device, heard[0].way) == ("agency", "pull") and heard[0].clock_skew_s is not None


async def test_what_the_log_has_is_not_written_again_but_a_revision_is_and_back_again(world: World) -> None:
    puller = await world.puller()
    for value in (1.0, 1.0, 1.2, 1.0):
        world.server.items(item(-15, value), item(-30))
        assert (await puller.round()).outcome == "taken"
    assert world.log.readings == [("A", -15, 1.0), ("A", -30, 1.0), ("A", -15, 1.2), ("A", -15, 1.0)]


async def test_while_the_log_is_away_nothing_moves_and_nothing_is_lost(world: World) -> None:
    puller = await world.puller()
    world.server.items(item(-15), etag='"1"')
    world.log.away = True
    done = await puller.round()
    assert (done.outcome, done.accepted, done.retry_after_s) == ("log", 0, 5.0)
    assert await world.stored() == {} and world.log.records == []
    world.log.away = False
    assert (await puller.round()).outcome == "taken"
    assert "If-None-Match" not in world.server.asked[1][2], "the tag of what is not in the log was sent back"
    assert (await puller.round()).outcome == "unchanged"
    assert world.server.asked[2][2]["If-None-Match"] == '"1"'
    assert world.log.readings == [("A", -15, 1.0)] and await world.stored() == {("A", "stage"): -15}


async def test_last_modified_where_there_is_no_tag(world: World) -> None:
    date = "Tue, 02 Sep 2025 07:00:00 GMT"

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("If-Modified-Since") == date:
            return web.Response(status=304)
        return web.Response(body=json.dumps({"items": [item(-60)]}), headers={"Last-Modified": date})

    world.server.answer = answer
    puller = await world.puller()
    assert [(await puller.round()).outcome for _ in range(2)] == ["taken", "unchanged"]


# --- the window


def history(world: World, minutes: range, most: int = 10**9, **others: int) -> None:
    """The agency has a reading of X at each of these minutes, and answers what is asked for."""

    async def answer(request: web.Request) -> web.Response:
        since, until = (
            (datetime.fromisoformat(request.query[name]).timestamp() * 1000 - NOW_MS) / MINUTE_MS for name in ("since", "until")
        )
        found = [item(minute) for minute in minutes if since <= minute < until]
        return web.json_response({"items": found[:most]})

    world.server.answer = answer


WINDOWED = "/r?since={since}&until={until}"


async def test_a_gap_after_an_outage_of_ours_is_filled_newest_first_and_the_watermark_never_passes_it(world: World) -> None:
    await world.marks().move("agency", {("A", "stage"): NOW_MS - 60 * HOUR_MS, ("B", "stage"): NOW_MS - 60 * HOUR_MS})
    history(world, range(-4320, 1, 60))
    puller = await world.puller(url=world.server.url + WINDOWED, overlap_s=3600.0, chunk_s=86_400.0)
    assert (await puller.round()).outcome == "taken"
    windows = [(query["since"], query["until"]) for query in world.queries]
    assert windows[0] == windows[3] == (windows[2][1], at(1)), "the newest at once, and again when the rest is there"
    assert (windows[1][0], windows[1][1]) == (at(-61 * 60), windows[2][0]), "the others oldest first, without a gap"
    assert sorted(minute for _, minute, _ in world.log.readings) == list(range(-3660, 1, 60)), "each once, none missing"
    assert await world.stored() == {("A", "stage"): 0, ("B", "stage"): -3600}


async def test_a_gap_that_is_longer_than_back_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.marks().move("agency", {("A", "stage"): NOW_MS - 72 * HOUR_MS, ("B", "stage"): NOW_MS - 90 * HOUR_MS})
    history(world, range(-60, 1, 60))
    puller = await world.puller(url=world.server.url + WINDOWED, overlap_s=3600.0, back_s=86_400.0)
    for _ in range(2):
        assert (await puller.round()).outcome == "taken"
    (told,) = [record.getMessage() for record in caplog.records if "is not asked for" in record.getMessage()]
    assert "2025-08-30T08:00:00+00:00" in told and "2025-09-01T08:00:00+00:00" in told


async def test_a_chunk_that_fails_holds_the_watermark_back(world: World) -> None:
    await world.marks().move("agency", {("A", "stage"): NOW_MS - 60 * HOUR_MS, ("B", "stage"): NOW_MS - 60 * HOUR_MS})
    history(world, range(-4320, 1, 60))
    whole, asked = world.server.answer, 0
    assert whole is not None

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.Response(status=500) if asked == 3 else await whole(request)

    world.server.answer = answer
    puller = await world.puller(url=world.server.url + WINDOWED, overlap_s=3600.0)
    assert (await puller.round()).outcome == "server_error"
    assert world.log.readings[0][1] == -1200 and ("A", 0, 1.0) in world.log.readings, "the newest is there at once"
    assert await world.stored() == {("A", "stage"): -2460, ("B", "stage"): -3600}
    assert (await puller.round()).outcome == "taken"
    assert {minute for _, minute, _ in world.log.readings} == set(range(-3660, 1, 60))
    assert await world.stored() == {("A", "stage"): 0, ("B", "stage"): -3600}


async def test_an_answer_that_was_cut_off_at_its_most_items_is_asked_for_in_halves(world: World) -> None:
    await world.marks().move("agency", {("A", "stage"): NOW_MS - 10 * HOUR_MS, ("B", "stage"): NOW_MS})
    history(world, range(-1440, 1, 10), most=20)
    puller = await world.puller(url=world.server.url + WINDOWED, overlap_s=3600.0, agency=agency(most_items=20))
    assert (await puller.round()).outcome == "taken"
    assert sorted({minute for _, minute, _ in world.log.readings}) == list(range(-660, 1, 10))
    assert len(world.log.readings) == 67, "none twice"
    assert await world.stored() == {("A", "stage"): 0, ("B", "stage"): 0}


async def test_later_rounds_ask_only_for_the_overlap_and_once_an_hour_for_who_is_behind(world: World) -> None:
    await world.marks().move("agency", {("A", "stage"): NOW_MS, ("B", "stage"): NOW_MS - 30 * HOUR_MS})
    world.server.items()
    puller = await world.puller(url=world.server.url + "/r?since={since}", overlap_s=3600.0)
    for _ in range(2):
        await puller.round()
    world.now_ms += 61 * MINUTE_MS
    await puller.round()
    assert [query["since"] for query in world.queries] == [at(-31 * 60), at(-60), at(-31 * 60)]


async def test_no_further_back_than_the_source_says_and_times_as_the_agency_writes_them(world: World) -> None:
    puller = await world.puller(
        url=world.server.url + "/r?from={since}&to={until}&sites={stations}",
        back_s=86_400.0,
        agency=agency(url_times="%Y-%m-%d %H:%M", url_zone="Asia/Karachi"),
    )
    await puller.round()
    assert world.queries == [{"from": "2025-09-01 13:00", "to": "2025-09-02 13:01", "sites": "X,Y"}, *world.queries[1:]]


async def test_one_station_that_the_agency_does_not_know_stops_no_other(world: World) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/X"):
            return web.Response(status=404)
        return web.json_response({"items": [item(-15, 2.0, request.path[-1])]})

    world.server.answer = answer
    puller = await world.puller(url=world.server.url + "/gauge/{station}")
    done = await puller.round()
    assert (done.outcome, done.accepted) == ("client_error", 1)
    await puller.round()
    assert [path for path, _, _ in world.server.asked] == ["/gauge/X", "/gauge/Y", "/gauge/Y", "/gauge/X"], "who failed comes last"


# --- what can be wrong with an answer


async def test_an_answer_of_another_format_is_kept_once_and_told(world: World) -> None:
    puller = await world.puller()
    world.server.body = b"<html>under maintenance</html>"
    for _ in range(3):
        done = await puller.round()
        assert done.outcome == "format" and "no JSON" in done.why
    assert [(one.reason, one.record, one.provider) for one in world.log.rejected] == [
        ("format", "<html>under maintenance</html>", "agency")
    ]
    world.server.items(item(-15))
    assert (await puller.round()).outcome == "taken"


@pytest.mark.parametrize("body", [b"<html>under maintenance</html>", json.dumps({"items": [item(-15, "n/a")]}).encode()])  # type: ignore[arg-type]
async def test_what_is_wrong_stays_wrong_until_it_changes(world: World, body: bytes) -> None:
    puller = await world.puller()
    world.server.body, world.server.etag = body, '"1"'
    first, second = await puller.round(), await puller.round()
    assert not first.well and (second.outcome, second.why) == (first.outcome, first.why)
    assert world.server.asked[-1][2]["If-None-Match"] == '"1"' and len(world.log.rejected) == 1
    world.server.items(item(-15), etag='"2"')
    assert [(await puller.round()).outcome for _ in range(2)] == ["taken", "unchanged"]


async def test_a_page_of_maintenance_holds_the_watermark_back_too(world: World) -> None:
    await world.marks().move("agency", {("A", "stage"): NOW_MS - 60 * HOUR_MS, ("B", "stage"): NOW_MS - 60 * HOUR_MS})
    history(world, range(-4320, 1, 60))
    whole, asked = world.server.answer, 0
    assert whole is not None

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.Response(body=b"<html>back soon</html>") if asked == 2 else await whole(request)

    world.server.answer = answer
    puller = await world.puller(url=world.server.url + WINDOWED, overlap_s=3600.0)
    assert (await puller.round()).outcome == "format"
    assert await world.stored() == {("A", "stage"): -3600, ("B", "stage"): -3600}
    assert (await puller.round()).outcome == "taken"
    assert {minute for _, minute, _ in world.log.readings} == set(range(-3660, 1, 60))


async def test_a_station_that_was_never_heard_is_asked_for_from_the_beginning_once(world: World) -> None:
    await world.marks().move("agency", {("A", "stage"): NOW_MS})
    world.server.items()
    puller = await world.puller(url=world.server.url + "/r?since={since}", overlap_s=3600.0, back_s=86_400.0)
    await puller.round()
    world.now_ms += 61 * MINUTE_MS
    await puller.round()
    assert [query["since"] for query in world.queries] == [at(-1440), at(-60)]


async def test_a_renamed_field_is_told_and_each_item_kept_once(world: World) -> None:
    puller = await world.puller()
    world.server.items({"s": "X", "t": NOW_MS, "value": 1.0}, {"s": "X", "when": NOW_MS, "v": 1.0})
    world.server.body = world.server.body.replace(b'"value"', b'"v": "n/a", "value"')
    for _ in range(2):
        assert (await puller.round()).outcome == "refused"
    assert [one.reason for one in world.log.rejected] == ["value_type", "field_missing"]


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_that_is_too_large_is_kept_as_far_as_it_goes(world: World, packed: bool) -> None:
    body = b'{"items": [' + b" " * (8 << 20) + b"]}"

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(body) if packed else body, headers={"Content-Encoding": "gzip"} if packed else {})

    world.server.answer = answer
    puller = await world.puller(most_bytes=1 << 20)
    done = await puller.round()
    assert (done.outcome, done.accepted) == ("too_large", 0)
    (kept,) = world.log.rejected
    assert kept.reason == "too_large" and kept.record.startswith('{"items": [')


async def test_gzip_is_read_members_and_all(world: World) -> None:
    async def answer(request: web.Request) -> web.Response:
        body = json.dumps({"items": [item(-15)]}).encode()
        return web.Response(body=gzip.compress(body[:10]) + gzip.compress(body[10:]), headers={"Content-Encoding": "gzip"})

    world.server.answer = answer
    assert (await (await world.puller()).round()).accepted == 1


async def test_a_packed_answer_that_ends_in_the_middle_is_none(world: World) -> None:
    """Of a CSV its last number would be another one."""
    packed = gzip.compress(b"s,t,v\n" + b"\n".join(b"X,%d,12.34" % (NOW_MS - n * MINUTE_MS) for n in range(60)))

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=packed[: len(packed) // 2 if len(world.server.asked) == 1 else None], headers={"Content-Encoding": "gzip"})

    world.server.answer = answer
    form = {"format": "csv", "items": {}, "readings": [{"station": "row.s", "what": "'stage'", "time": "row.t", "value": "row.v"}]}
    puller = await world.puller(agency=agency(**form))
    assert (await puller.round()).outcome == "connect" and world.log.records == []
    assert (await puller.round()).accepted == 60


async def test_a_reading_ahead_of_our_clock_is_asked_for_again_when_its_time_has_come(world: World) -> None:
    puller = await world.puller()
    world.server.items(item(0), item(10, 2.0), etag='"1"')
    assert (await puller.round()).refused == {"time_future": 1}
    assert (await puller.round()).outcome == "unchanged"
    world.now_ms += 6 * MINUTE_MS
    assert (await puller.round()).outcome == "taken"
    assert world.log.readings == [("A", 0, 1.0), ("A", 10, 2.0)]
    assert [one.reason for one in world.log.rejected] == ["time_future"]
    assert await world.stored() == {("A", "stage"): 10}


# --- what can be wrong with the agency


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    raise AssertionError


async def trickle(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(100):
        await response.write(b" ")
        await asyncio.sleep(0.1)
    return response


def status(code: int, **headers: str) -> Any:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers={name.replace("_", "-"): text for name, text in headers.items()})

    return answer


def redirect(to: str) -> Any:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/there":
            return web.json_response({"items": [item(-15)]})
        return web.Response(status=302, headers={"Location": to.replace("PORT", str(request.url.port))})

    return answer


@pytest.mark.parametrize(
    ("answer", "outcome", "retry_after_s"),
    [
        (hang, "timeout", None),
        (trickle, "timeout", None),
        (status(500), "server_error", None),
        (status(503, Retry_After="120"), "server_error", 120.0),
        (status(429, Retry_After="7200"), "throttled", 3600.0),
        (status(404), "client_error", None),
        (status(401), "unauthenticated", None),
        (status(200, Content_Encoding="br"), "encoding", None),
        (redirect("/there"), "taken", None),
        (redirect("/again"), "redirect", None),
        (redirect(""), "redirect", None),
        (redirect("file:///etc/passwd"), "redirect", None),
        (redirect("http://localhost:PORT/there"), "taken", None),
        (redirect("http://169.254.169.254/latest/meta-data"), "forbidden_address", None),
    ],
)
async def test_an_agency_that_does_not_answer_well(world: World, answer: Any, outcome: str, retry_after_s: float | None) -> None:
    world.server.answer = answer
    puller = await world.puller(timeout_s=0.5 if outcome == "timeout" else 5.0)
    done = await puller.round()
    assert (done.outcome, done.retry_after_s) == (outcome, retry_after_s)
    assert done.well == (outcome == "taken") and bool(done.why) != done.well
    world.server.answer = None
    world.server.items(item(-15, 2.0))
    assert (await puller.round()).outcome == "taken"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "2130706433", "0.0.0.0", "0x7f.1"])
@pytest.mark.parametrize("reach", ["public", "private"])
async def test_addresses_inside_are_refused_unless_they_are_allowed(world: World, host: str, reach: str) -> None:
    world.server.items(item(-15))
    puller = await world.puller(reach=reach, url=f"http://{host}:{world.server.port}/r")
    assert (await puller.round()).outcome in ("forbidden_address", "connect")
    assert world.server.asked == [] and world.log.records == []


async def test_the_key_goes_along_is_read_anew_and_is_told_to_nobody_else(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = world.folder / "key"
    key.write_text(KEY + "\n")
    monkeypatch.setenv("AGENCY_KEY", KEY)
    places = {"headers": {"X-Api-Key": "env:AGENCY_KEY", "Accept": "application/json"}, "secrets": {"key": f"file:{key}"}}
    puller = await world.puller(url=world.server.url + "/r?appid={key}", **places)
    world.server.items(item(-15))
    assert (await puller.round()).outcome == "taken"
    _, query, headers = world.server.asked[-1]
    assert (query["appid"], headers["X-Api-Key"], headers["Accept"]) == (KEY, KEY, "application/json")
    key.write_text("rotated")
    await puller.round()
    assert world.server.asked[-1][1]["appid"] == "rotated"
    for answer in (redirect("http://localhost:PORT/there"), status(401), hang):
        world.server.answer = answer
        done = await puller.round()
        assert not done.well and KEY not in done.why and "rotated" not in done.why
    key.unlink()
    done = await puller.round()
    assert done.outcome == "secret" and str(key) in done.why
    await world.server.stop()
    key.write_text(KEY)
    assert (await puller.round()).outcome == "connect"
    assert KEY not in caplog.text and "rotated" not in caplog.text


async def test_one_source_that_hangs_delays_no_other(world: World) -> None:
    world.server.answer = hang
    hanging = await world.puller(timeout_s=30.0, every_s=0.05)
    async with AgencyServer() as well:
        well.items(item(-15))
        other = await world.puller(id="other", url=well.url, every_s=0.05)
        stop = asyncio.Event()
        running = [asyncio.create_task(each.run(stop)) for each in (hanging, other)]
        async with asyncio.timeout(20):
            while len(well.asked) < 5:
                await asyncio.sleep(0.02)
        assert world.log.readings == [("A", -15, 1.0)] and len(world.server.asked) == 1
        stop.set()
        running[0].cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_what_nobody_foresaw_ends_the_round_and_not_the_process(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    puller = await world.puller(every_s=0.05)
    monkeypatch.setattr(puller, "_read", lambda body: 1 / 0)
    stop = asyncio.Event()
    running = asyncio.create_task(puller.run(stop))

    def outcomes() -> list[str]:
        return [fact.outcome for fact in world.facts if isinstance(fact, SourcePolled)]

    async with asyncio.timeout(20):
        while len(outcomes()) < 2:
            await asyncio.sleep(0.02)
    assert outcomes() == ["internal", "internal"]
    monkeypatch.undo()
    world.server.items(item(-15))
    async with asyncio.timeout(20):
        while not world.log.readings:
            await asyncio.sleep(0.02)
    stop.set()
    await running
    assert "taken" in outcomes()


# --- the database


async def test_a_flood_does_not_wait_for_the_database(world: World, caplog: pytest.LogCaptureFixture) -> None:
    database = world.folder / "w.db"
    database.mkdir()  # nobody can open it
    puller = await world.puller(url=world.server.url + "/r?since={since}", overlap_s=3600.0)
    world.server.items(item(-15))
    with caplog.at_level(logging.WARNING):
        assert (await puller.round()).outcome == "taken"
    assert "the database of watermarks is away" in caplog.text and world.log.readings == [("A", -15, 1.0)]
    await puller.round()
    assert world.queries[-1]["since"] == at(-75), "not the whole week again"
    database.rmdir()
    world.server.items(item(-15), item(-5))
    assert (await puller.round()).outcome == "taken"
    assert await world.stored() == {("A", "stage"): -5}


async def never_back(first: Watermarks, second: Watermarks) -> None:
    """Two processes, one table, which neither has made yet."""
    place, other = ("A", "stage"), ("B", "stage")
    await asyncio.gather(first.move("agency", {place: 5, other: 5}), second.move("agency", {other: 5}), second.move("other", {place: 1}))
    await second.move("agency", {place: 4, other: 6})
    await second.move("agency", {})
    assert await first.load("agency") == {place: 5, other: 6} and await first.load("other") == {place: 1}
    await first.close()
    await second.close()


async def test_the_watermark_never_goes_back(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'w.db'}"
    await never_back(Watermarks(url, lambda: NOW_MS), Watermarks(url, lambda: NOW_MS))


async def test_nor_on_postgresql() -> None:
    with channel_postgres.postgres() as url:
        await never_back(Watermarks(url, lambda: NOW_MS), Watermarks(url, lambda: NOW_MS))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("0", 0.0), ("17", 17.0), ("9" * 400, 3600.0), ("soon", None), ("-5", None), ("²", None)],
)
def test_retry_after(text: str, expected: float | None) -> None:
    assert retry_after(text, datetime(2025, 9, 2, 8, tzinfo=UTC)) == expected


def test_retry_after_as_a_date() -> None:
    now = datetime(2025, 9, 2, 8, tzinfo=UTC)
    assert retry_after("Tue, 02 Sep 2025 08:02:00 GMT", now) == 120.0
    assert retry_after("Tue, 02 Sep 2025 07:00:00 GMT", now) == 0.0
