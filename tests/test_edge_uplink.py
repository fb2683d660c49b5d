"""From the sensor to Kafka over a link that breaks: all arrive, the newest first; nothing is believed that is not the gateway's."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from edge_house import MINUTE_MS, START_MS, Inside, Time, inside, reading, until
from ingest_house import HOST, ingest, two_basins, wall_ms

from warning.ingest.edge.node import Local
from warning.ingest.serving import serve
from warning.rehearsal.badlink import FAULTS, BadLink
from warning.stream.broker import EmbeddedBroker

LOGGER = Local("logger")


@pytest.mark.parametrize("loss", [0.0, 0.4])
async def test_all_arrive_once_by_identity_the_newest_first(tmp_path: Path, loss: float) -> None:
    newest_ms = wall_ms() // MINUTE_MS * MINUTE_MS
    sent = {("A", newest_ms - n * 5 * MINUTE_MS, 1.0 + n / 1000) for n in range(300)} | {
        ("B", newest_ms - n * MINUTE_MS, 0.5) for n in range(50)
    }
    with EmbeddedBroker() as broker:
        async with ingest(broker.bootstrap, tmp_path, two_basins(tmp_path / "r")) as gateway:
            link = BadLink(HOST, int(gateway.url.split(":")[2].split("/")[0]), loss=loss, chance=random.Random(7), hang_s=0.3)
            await link.start()
            url = f"http://{HOST}:{link.port}/v1/readings"
            async with inside(tmp_path / "edge", Time(wall_ms()), url=url, key=gateway.key, most_items=10) as node:
                texts = [reading(at, value, station) for station, at, value in sorted(sent)]
                taken = await node.node.take(texts, LOGGER)
                assert taken.accepted == len(sent) and taken.refused == ()
                while await node.waiting():
                    await node.uplink.attempt()
                if loss:
                    assert all(link.passed[fault] for fault in FAULTS), link.passed
                    assert node.uplink.failed
            await link.stop()
            readings = await gateway.readings()
    assert {(one.station, one.time_ms, one.value) for one in readings} == sent
    assert {one.time_ms for one in readings[:2]} == {newest_ms}, "the newest of each series came first"
    for station in ("A", "B"):
        arrived = list(dict.fromkeys(one.time_ms for one in readings if one.station == station))
        assert arrived == sorted(arrived, reverse=True), "then its history, newest first"
    if not loss:
        assert len(readings) == len(sent)


# --- what a gateway, a portal or a proxy may answer


@asynccontextmanager
async def answering(answer: Callable[[web.Request, list[Any]], web.Response]) -> AsyncIterator[str]:
    """A server whose answer is made from the request and its readings."""

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        return answer(request, json.loads(gzip.decompress(body)) if body else [])

    app = web.Application(client_max_size=10_000_000)
    app.router.add_route("*", "/v1/readings", handle)
    server = await serve(app, HOST, 0)
    try:
        yield f"http://{HOST}:{server.port}/v1/readings"
    finally:
        await server.stop()


def problem(status: int, reason: str, **more: Any) -> web.Response:
    content = json.dumps({"reason": reason, "detail": reason, "status": status} | more)
    return web.Response(status=status, text=content, content_type="application/problem+json")


async def filled(node: Inside, count: int = 40) -> None:
    await node.node.take([reading(START_MS - n * MINUTE_MS, 1.0) for n in range(count)], LOGGER)


NOT_THE_GATEWAYS = {
    "a portal says that all is well": lambda request, items: web.Response(text="<html>Welcome</html>", content_type="text/html"),
    "a portal sends elsewhere": lambda request, items: web.Response(status=302, headers={"Location": "http://portal.example/"}),
    "JSON of somebody else": lambda request, items: web.json_response({"ok": True}, status=202),
    "an answer for other readings": lambda request, items: web.json_response({"accepted": 1, "refused": []}, status=202),
    "a refusal of a reading that was not sent": lambda request, items: web.json_response(
        {"accepted": len(items) - 1, "refused": [{"index": len(items), "reason": "x"}]}, status=202
    ),
    "the same one refused twice": lambda request, items: web.json_response(
        {"accepted": len(items) - 2, "refused": [{"index": 0, "reason": "x"}, {"index": 0, "reason": "x"}]}, status=202
    ),
    "a proxy forbids": lambda request, items: web.Response(status=403, text="Forbidden"),
    "the gateway's own fault": lambda request, items: problem(500, "internal"),
    "too many requests": lambda request, items: problem(429, "rate"),
    "the key is none": lambda request, items: problem(401, "unauthenticated"),
}


@pytest.mark.parametrize("name", NOT_THE_GATEWAYS)
async def test_nothing_is_called_sent_that_the_gateway_has_not_taken(tmp_path: Path, name: str) -> None:
    async with answering(NOT_THE_GATEWAYS[name]) as url, inside(tmp_path, Time(), url=url) as node:
        await filled(node)
        assert await node.uplink.attempt() > 0, "it does not try again at once"
        assert len(await node.waiting()) == 40 and node.uplink.why and node.uplink.sent == 0
        counts = await node.store.run(lambda outbox: outbox.counts())
        assert counts.refused == 0


async def test_retry_after_is_obeyed_within_reason_and_a_bad_key_waits(tmp_path: Path) -> None:
    said = {"Retry-After": "90"}

    def answer(request: web.Request, items: list[Any]) -> web.Response:
        response = problem(503, "unavailable")
        response.headers.update(said)
        return response

    async with answering(answer) as url, inside(tmp_path, Time(), url=url) as node:
        await filled(node)
        assert await node.uplink.attempt() == 90
        said["Retry-After"] = "999999"
        assert await node.uplink.attempt() == 300
    async with answering(NOT_THE_GATEWAYS["the key is none"]) as url, inside(tmp_path / "2", Time(), url=url) as node:
        await filled(node)
        assert await node.uplink.attempt() >= 60


async def test_what_is_refused_is_kept_apart_and_the_rest_goes_on(tmp_path: Path) -> None:
    def answer(request: web.Request, items: list[Any]) -> web.Response:
        bad = [
            {"index": n, "reason": "station_unknown", "detail": "no", "fix": "mend"} for n, one in enumerate(items) if one["station"] == "B"
        ]
        return web.json_response(
            {"accepted": len(items) - len(bad), "refused": bad, "received_ms": START_MS}, status=202 if len(bad) < len(items) else 422
        )

    async with answering(answer) as url, inside(tmp_path, Time(), url=url) as node:
        await filled(node, 5)
        await node.node.take([reading(START_MS, 1.0, "B")], LOGGER)
        await node.uplink.attempt()
        assert await node.waiting() == []
        [row] = await node.store.run(lambda outbox: outbox.newest_refused(9))
        assert row[3] == "station_unknown" and json.loads(row[7])["station"] == "B"
        assert node.uplink.sent == 5


async def test_a_request_that_is_too_large_becomes_smaller_until_one_alone_is_to_blame(tmp_path: Path) -> None:
    def answer(request: web.Request, items: list[Any]) -> web.Response:
        if any(one["value"] == 13.0 for one in items):
            return problem(413, "too_large")
        return web.json_response({"accepted": len(items), "refused": [], "received_ms": START_MS}, status=202)

    async with answering(answer) as url, inside(tmp_path, Time(), url=url) as node:
        await node.node.take([reading(START_MS - n * MINUTE_MS, float(n)) for n in range(32)], LOGGER)
        for _ in range(60):
            await node.uplink.attempt()
        assert await node.waiting() == []
        [row] = await node.store.run(lambda outbox: outbox.newest_refused(9))
        assert row[3] == "too_large" and json.loads(row[7])["value"] == 13.0
        assert node.uplink.sent == 31


async def test_requests_grow_with_success_and_shrink_to_a_packet_with_failure(tmp_path: Path) -> None:
    sizes: list[int] = []
    up = [True]

    def answer(request: web.Request, items: list[Any]) -> web.Response:
        sizes.append(len(items))
        return web.json_response({"accepted": len(items), "refused": []}, status=202) if up[0] else problem(503, "unavailable")

    async with answering(answer) as url, inside(tmp_path, Time(), url=url) as node:
        await filled(node, 2000)
        for _ in range(4):
            await node.uplink.attempt()
        up[0] = False
        waits = [await node.uplink.attempt() for _ in range(10)]
    assert sizes[:4] == [32, 64, 128, 256] and sizes[-1] == 16
    assert all(0.5 * min(30, 2**n) <= wait <= min(30, 2**n) for n, wait in enumerate(waits)), waits


async def test_the_gateway_tells_the_time_and_what_waited_for_it_is_dated(tmp_path: Path) -> None:
    """No battery, no NTP: the board came up in the year of its last shutdown. Nothing without a time is sent before it is known."""
    real = Time(START_MS)
    node_time = Time(START_MS - 400 * 86_400_000, even_ms=50_000, synchronised=False)
    seen: list[Any] = []

    def answer(request: web.Request, items: list[Any]) -> web.Response:
        seen.extend(items)
        if request.method == "GET":
            response = problem(405, "method_not_allowed")
            response.headers["Date"] = format_datetime(datetime.fromtimestamp(real.now_ms // 1000, UTC), usegmt=True)
            return response
        return web.json_response({"accepted": len(items), "refused": [], "received_ms": real.now_ms}, status=202)

    async with answering(answer) as url, inside(tmp_path, node_time, url=url) as node:
        await node.node.take([reading(None, 1.25)], LOGGER)
        node_time.pass_ms(60_000), real.pass_ms(60_000)
        await node.node.take([reading(None, 1.5)], LOGGER)
        assert await node.waiting() == [] and not node.clock.now().sure
        assert await node.uplink.attempt() == 0.0 and node.clock.how == "gateway"
        await node.uplink.attempt()
        times = [round(datetime.fromisoformat(one["time"]).timestamp() * 1000) for one in seen]
        assert [one["value"] for one in seen] == [1.5, 1.25]
        assert times[0] == pytest.approx(START_MS + 60_000, abs=2000) and times[0] - times[1] == 60_000


@pytest.mark.parametrize("reason", ["not_json", "not_gzip", "media_type", "content_encoding", "empty"])
async def test_what_is_the_fault_of_the_way_moves_no_reading(tmp_path: Path, reason: str) -> None:
    """A proxy that changes bodies or headers: each reading by itself would be refused, and the outbox emptied into what was refused."""
    async with answering(lambda request, items: problem(415, reason)) as url, inside(tmp_path, Time(), url=url) as node:
        await filled(node, 3)
        waits = [await node.uplink.attempt() for _ in range(5)]
        assert len(await node.waiting()) == 3 and all(waits) and reason in node.uplink.why
        assert (await node.store.run(lambda outbox: outbox.counts())).refused == 0


async def test_a_reading_that_a_dying_card_has_made_unreadable_stops_none_behind_it(tmp_path: Path) -> None:
    def answer(request: web.Request, items: list[Any]) -> web.Response:
        return web.json_response({"accepted": len(items), "refused": [], "received_ms": START_MS}, status=202)

    async with answering(answer) as url, inside(tmp_path, Time(), url=url) as node:
        await filled(node, 3)
        with sqlite3.connect(tmp_path / "state" / "outbox.db") as card:
            card.execute("UPDATE readings SET time_ms = 9e17 WHERE id = 1")
        await node.uplink.attempt()
        assert await node.waiting() == [] and node.uplink.sent == 2
        rows = await node.store.run(lambda outbox: outbox.newest_refused(9))
        assert [row[3] for row in rows] == ["unreadable"]


async def test_a_stop_at_the_moment_of_news_is_a_stop(tmp_path: Path) -> None:
    async with inside(tmp_path, Time()) as node:
        task = asyncio.create_task(node.uplink.run())
        await until(lambda: node.uplink._idle)
        node.uplink.news(urgent=True)
        task.cancel()
        await asyncio.wait([task], timeout=10)
        assert task.cancelled()
