"""``warning pull``: what can be wrong with the agency, with the database, and with us."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import channel_postgres
import pytest
from aiohttp import web
from pull_agency import AgencyServer
from pull_world import KEY, NOW_MS, World, at, item

from warning.facts import SourcePolled
from warning.ingest.pull_fetch import retry_after
from warning.ingest.watermark import Watermarks


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
    puller = await world.puller(timeout_s=1.0 if outcome == "timeout" else 30.0)
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
    puller = await world.puller(url=world.server.url + "/r?appid={key}", timeout_s=4.0, **places)
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
        async with asyncio.timeout(120):
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

    async with asyncio.timeout(120):
        while len(outcomes()) < 2:
            await asyncio.sleep(0.02)
    assert outcomes() == ["internal", "internal"]
    monkeypatch.undo()
    world.server.items(item(-15))
    async with asyncio.timeout(120):
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
