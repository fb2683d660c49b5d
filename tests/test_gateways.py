"""Gateways over HTTP: the conformance suite for each dialect, and what is their own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import channel_world as world
import httpx
import pytest
from aiohttp import web
from channel_conformance import *  # noqa: F403 - the suite
from channel_conformance import Side
from channel_gateway import DIALECTS, Behaviour, Dialect, Gateway

from warning import config_gateways
from warning.alerts import message
from warning.dispatch.channel import Outcome, PartReceipt
from warning.dispatch.form import FormWay, fill, filled
from warning.dispatch.kannel import KannelWay
from warning.dispatch.posted import MOST_OCTETS, Poster
from warning.dispatch.receipts_in import ReceiptsIn
from warning.dispatch.routed import Routed, receipts_of
from warning.dispatch.sms import text_of
from warning.errors import Unavailable
from warning.facts import nobody
from warning.model import DeliveryState as State
from warning.region import Region
from warning.routes import Form, FormRoute, KannelRoute, Routes

TOKEN = "t" * 24
VALUES = {
    "twilio": {"account": "AC1", "basic": "c2VjcmV0"},
    "infobip": {"host": "127.0.0.1", "key": "secret"},
    "signal": {"host": "127.0.0.1"},
}


def form_route(name: str, port: int) -> FormRoute:
    """The shipped form, with nothing changed but the host."""
    problems: list = []
    form = config_gateways.load(name, Path("/nowhere"), "test", problems)
    assert form is not None and problems == []
    here = f"http://127.0.0.1:{port}"
    url = form.url.replace("https://api.twilio.com", here).replace("https://{host}", here).replace("http://{host}", here)
    return FormRoute("gate", replace(form, url=url), VALUES[name], "8080", most_per_s=1000.0)


def way_to(dialect: str, port: int, region: Region, named: Any, tell: str) -> FormWay | KannelWay:
    def words(event, language, role):
        return text_of(message.sms(event.alert, region, language, role).text)

    if dialect == "kannel":
        url = f"http://127.0.0.1:{port}/cgi-bin/sendsms"
        return KannelWay(KannelRoute("gate", url, "ews", "pw", "8080"), words, named, tell)
    return FormWay("sms", form_route(dialect, port), words, named, tell)


def in_a_hurry(way: FormWay | KannelWay) -> None:
    """It waits a second for an answer, not twenty: where fifty are asked at once on a busy machine, twenty are needed."""
    poster = way._poster
    assert poster._client is not None
    poster.timeout_s, poster._client.timeout = 1.0, httpx.Timeout(1.0)


@pytest.fixture(params=["twilio", "infobip", "kannel"])
async def side(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Side]:
    gateway, region, receipts = Gateway(DIALECTS[request.param]), world.region(tmp_path), list[PartReceipt]()
    port = await gateway.start()
    readers: dict = {}
    listener = ReceiptsIn("127.0.0.1", 0, TOKEN, readers)
    tell = Routes(receipts_token=TOKEN, receipts_url=f"http://127.0.0.1:{await listener.start()}").receipts("gate")

    async def keep(one: PartReceipt) -> None:
        receipts.append(one)

    named = receipts_of("sms", "gate", keep)
    way = way_to(request.param, port, region, named, tell)
    readers["gate"] = way.receive, named
    channel = Routed("sms", [way], lambda contact: contact.phone, lambda up: None, nobody, well_s=0.0, look_s=0.05)
    await channel.start()

    def behave(**fields: object) -> None:
        gateway.behaviour = Behaviour(**fields)

    made = Side(
        channel,
        region,
        world.contact(1) if request.param == "kannel" else world.contact(1, language="ur"),
        reject=lambda: behave(status=400, body="400 wrong number"),
        throttle=lambda: behave(status=429, retry_after="1", times=2),
        silence=lambda: (in_a_hurry(way), behave(after_s=3.0)),
        reset=lambda: behave(reset=True),
        heal=behave,
        go_away=gateway.stop,
        come_back=gateway.start,
        taken=lambda: len(gateway.taken),
        receipts=receipts,
        receipted=True,
        receipts_first=lambda: behave(receipt_first=True),
        receipts_twice=lambda: behave(receipts=2),
        receipts_lost=lambda: behave(receipts=0),
        parts=1 if request.param == "kannel" else 2,
    )
    made.gateway, made.listener, made.tell, made.way, made.dialect = gateway, listener, tell, way, request.param
    yield made
    await channel.stop()
    await listener.stop()
    await gateway.stop()


async def test_the_words_arrive_whole_and_the_id_is_the_gateways_under_the_routes_name(side: Side) -> None:
    outcome = await side.send()
    event = world.event(side.region, "A", sent_ms=side.raised_ms)
    code = side.gateway.taken[0]["text"][-5:]
    expected = message.sms(event.alert, side.region, side.contact.language).text
    assert side.gateway.taken[0]["text"] == expected.replace(message.check_code(event.alert.identifier), code)
    assert side.gateway.taken[0]["to"].lstrip("+") == "9992000001"
    assert outcome.route == "gate" and all(part.message_id.startswith("gate/") for part in outcome.parts)


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        (401, State.WAITING, "refused_us"),
        (402, State.WAITING, "refused_us"),
        (503, State.WAITING, "gateway_error"),
        (307, State.WAITING, "refused_us"),
    ],
)
async def test_what_is_the_gateways_or_our_own_fault_is_not_held_against_the_phone(
    side: Side, status: int, state: State, reason: str
) -> None:
    side.gateway.behaviour = Behaviour(status=status, body="no")
    outcome = await side.send()
    assert (outcome.state, outcome.reason) == (state, reason)


async def test_a_gateway_that_fell_over_may_have_taken_it(side: Side) -> None:
    side.gateway.behaviour = Behaviour(status=502)
    outcome = await side.send()
    assert outcome.state is (State.WAITING if side.dialect == "kannel" else State.UNKNOWN), "Kannel's 5xx say that it has not"


async def test_a_receipt_is_answered_200_only_when_it_is_durable_and_a_stranger_finds_no_page(side: Side) -> None:
    broken = [True]

    async def keep(one: PartReceipt) -> None:
        if broken[0]:
            raise OSError("the ledger is away")
        side.receipts.append(one)

    reader, _ = side.listener.readers["gate"]
    side.listener.readers["gate"] = reader, receipts_of("sms", "gate", keep)
    await side.send()
    await world.until(lambda: side.gateway.answers == [503], what="told to come again")
    assert side.receipts == []
    broken[0] = False
    await side.gateway.tell(side.gateway.taken[0])
    assert side.gateway.answers[-1] == 200 and len(side.receipts) == side.parts
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(side.tell.replace(TOKEN, "x" * 24))).status_code == 404
        assert (await client.get(side.tell.replace("gate", "other"))).status_code == 404
        assert (await client.post(side.tell, json=[1, 2])).status_code == 400
        assert (await client.post(side.tell, content=b"[" * 100_000, headers={"content-type": "application/json"})).status_code == 400
        assert (await client.post(side.tell, content=b"x" * (2 << 20), headers={"content-type": "application/json"})).status_code == 413
    assert len(side.receipts) == side.parts


async def test_a_bad_receipt_fails_its_parts(side: Side) -> None:
    side.gateway.behaviour = Behaviour(good=False)
    outcome = await side.send()
    await world.until(lambda: len(side.receipts) == side.parts, what="its receipts")
    assert {(one.message_id, one.state) for one in side.receipts} == {(part.message_id, State.FAILED) for part in outcome.parts}


async def test_after_a_restart_a_receipt_still_settles_both_parts(side: Side) -> None:
    if side.dialect == "kannel":
        pytest.skip("a receipt a part")
    side.gateway.behaviour = Behaviour(receipts=0)
    outcome = await side.send()
    side.way._parts.clear()
    side.gateway.behaviour = Behaviour()
    await side.gateway.tell(side.gateway.taken[0])
    assert {one.message_id for one in side.receipts} == {part.message_id for part in outcome.parts}


async def test_where_the_response_was_lost_the_receipt_by_our_own_name_still_finds_the_message(side: Side) -> None:
    if side.dialect != "kannel":
        pytest.skip("the gateway gives the name")
    side.silence()
    outcome = await side.send()
    assert outcome.state is State.UNKNOWN
    await world.until(lambda: len(side.receipts) == side.parts, what="its receipts")
    assert {receipt.message_id for receipt in side.receipts} == {part.message_id for part in outcome.parts}


@pytest.mark.parametrize("lost", [False, True])
async def test_a_gateway_that_tells_receipts_by_our_own_number(tmp_path: Path, lost: bool) -> None:
    dialect = Dialect(
        "/send",
        lambda request, body: {**json.loads(body)},
        lambda said: web.json_response({}),
        lambda said, good: httpx.Request("POST", said["callback"], json={"reference": said["id"], "status": "ok"}),
    )
    gateway, region, receipts = Gateway(dialect), world.region(tmp_path), list[PartReceipt]()
    body = {"to": "{to}", "text": "{text}", "callback": "{receipts}", "id": "{id}"}
    form = Form("own", "POST", f"http://127.0.0.1:{await gateway.start()}/send", {}, json=body)
    form = replace(form, receipt_id="reference", receipt_status="status", delivered=("ok",), failed=("no",))
    readers: dict = {}
    listener = ReceiptsIn("127.0.0.1", 0, TOKEN, readers)
    tell = Routes(receipts_token=TOKEN, receipts_url=f"http://127.0.0.1:{await listener.start()}").receipts("gate")

    async def keep(one: PartReceipt) -> None:
        receipts.append(one)

    named = receipts_of("sms", "gate", keep)
    way = FormWay("sms", FormRoute("gate", form, {}), lambda *_: text_of("ä" * 5 + "x" * 100), named, tell, timeout_s=1.0)
    readers["gate"] = way.receive, named
    channel = Routed("sms", [way], lambda contact: contact.phone, lambda up: None, nobody)
    await channel.start()
    gateway.behaviour = Behaviour(after_s=2.0 if lost else 0.0)
    try:
        outcome = await Side(channel, region, world.contact(1), *(lambda: None,) * 8).send()
        await world.until(lambda: len(receipts) == len(outcome.parts), what="its receipts")
        assert outcome.state is (State.UNKNOWN if lost else State.ACCEPTED)
        assert [one.message_id for one in receipts] == [part.message_id for part in outcome.parts] and all(receipts)
    finally:
        await channel.stop()
        await listener.stop()
        await gateway.stop()


async def test_an_answer_that_is_not_the_forms_leaves_it_unknown(side: Side) -> None:
    if side.dialect == "kannel":
        side.gateway.behaviour = Behaviour(status=200, body="what?")
    else:
        side.gateway.behaviour = Behaviour(status=200, body="<html>proxy error</html>")
    outcome = await side.send()
    assert (outcome.state, outcome.reason) == (State.UNKNOWN, "gateway_error")


async def test_a_status_of_the_gateway_that_refuses_is_a_refusal(side: Side) -> None:
    answers = {"twilio": {"sid": "1", "status": "failed"}, "infobip": {"messages": [{"status": {"groupName": "REJECTED"}}]}}
    if side.dialect not in answers:
        pytest.skip("its answer has no status")
    side.gateway.behaviour = Behaviour(status=200, body=json.dumps(answers[side.dialect]))
    outcome = await side.send()
    assert (outcome.state, outcome.reason) == (State.FAILED, "rejected")


async def test_the_picture_goes_by_signal_with_the_words(tmp_path: Path) -> None:
    gateway, region = Gateway(DIALECTS["signal"]), world.region(tmp_path)
    port = await gateway.start()

    async def picture(sending) -> bytes:
        return b"\x89PNG" + sending.language.encode()

    def words(event, language, role):
        return text_of(message.sms(event.alert, region, language, role).text)

    way = FormWay("card", form_route("signal", port), words, None, "", picture)  # type: ignore[arg-type]
    channel = Routed("card", [way], lambda contact: contact.phone, lambda up: None, nobody)
    await channel.start()
    try:
        side = Side(channel, region, world.contact(1, language="ur"), *(lambda: None,) * 8)
        outcome = await side.send()
        assert (outcome.state, outcome.parts[0].message_id, len(outcome.parts)) == (State.ACCEPTED, "gate/17", 1)
        head, _, picture64 = gateway.taken[0]["picture"].rpartition(",")
        assert head.startswith("data:image/png") and base64.b64decode(picture64) == b"\x89PNGur"
    finally:
        await channel.stop()
        await gateway.stop()


async def test_a_picture_that_cannot_be_drawn_is_a_failure_that_was_not_sent(tmp_path: Path) -> None:
    async def picture(sending) -> bytes:
        raise Unavailable("no font: install fonts-noto", reason="unavailable")

    way = FormWay("card", form_route("signal", 9), lambda *_: text_of("x"), None, "", picture)  # type: ignore[arg-type]
    channel = Routed("card", [way], lambda contact: contact.phone, lambda up: None, nobody)
    outcome = await Side(channel, world.region(tmp_path), world.contact(1), *(lambda: None,) * 8).send()
    assert (outcome.state, outcome.reason) == (State.FAILED, "no_picture") and "fonts-noto" in outcome.detail


@pytest.mark.parametrize("length", [10**9, 3 << 20])
async def test_a_gateway_that_answers_without_end_is_left(length: int) -> None:
    """Byte by byte: after twice the timeout. A flood: after what an answer may have."""
    gone = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            while not gone.is_set():
                writer.write(b"x" if length == 10**9 else b"x" * 65536)
                await writer.drain()
                await asyncio.sleep(0.05 if length == 10**9 else 0)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    poster = Poster(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", 0.3)
    await poster.start()
    try:
        async with asyncio.timeout(10):
            found = await poster.ask("GET", poster.url)
        if length == 10**9:
            assert isinstance(found, Outcome) and (found.state, found.reason) == (State.UNKNOWN, "timeout")
        else:
            assert isinstance(found, httpx.Response) and found.status_code == 200 and len(found.content) == MOST_OCTETS
    finally:
        gone.set()
        await poster.stop()
        server.close()


def test_what_a_value_holds_is_no_placeholder_and_numbers_stay_numbers() -> None:
    values = {"text": '{key} " }', "key": "secret", "validity_min": 60, "to": "+92 3/?"}
    assert fill("a {text} b {nothing}", values) == 'a {key} " } b {nothing}'
    assert fill("https://x/{to}?t={text}", values, quoted=True) == "https://x/%2B92%203%2F%3F?t=%7Bkey%7D%20%22%20%7D"
    assert filled({"a": ["{validity_min}", "v {validity_min}", 3, None]}, values) == {"a": [60, "v 60", 3, None]}


async def test_as_many_at_once_as_the_route_allows_keep_their_receipts_apart(side: Side) -> None:
    window = side.channel.width("sms")
    outcomes = [one for start in range(1, 50, window) for one in await asyncio.gather(*map(side.send, range(start, start + window)))]
    assert {outcome.state for outcome in outcomes} == {State.ACCEPTED} and side.taken() == len(outcomes)
    await world.until(lambda: len(side.receipts) == len(outcomes) * side.parts, what="all receipts")
    assert len({receipt.message_id for receipt in side.receipts}) == len(side.receipts)
