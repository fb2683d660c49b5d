"""``warning pull``, round by round: readings and the watermark, and what is asked for of a gap."""

from __future__ import annotations

import json

import pytest
from aiohttp import web
from pull_world import HOUR_MS, MINUTE_MS, NOW_MS, WINDOWED, World, agency, at, history, item

from warning.facts import DeviceHeard, SourcePolled


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
