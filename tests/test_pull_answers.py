"""``warning pull``: what can be wrong with an answer; each is kept, told, and asked for again."""

from __future__ import annotations

import gzip
import json

import pytest
from aiohttp import web
from pull_world import HOUR_MS, MINUTE_MS, NOW_MS, WINDOWED, World, agency, at, history, item


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
