"""Agencies that subscribe: what the API takes and refuses, and the whole way: challenged, warned, rotated, away, caught up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import channel_world as world
import httpx
import pytest

from warning import config
from warning.deployment import Deployment
from warning.dispatch.dispatcher import Dispatcher
from warning.dispatch.errands import returned
from warning.model import AlertEvent, EventKind, Level
from warning.operate import api
from warning.operate.endpoints import refused
from warning.operate.subscribed import Wish
from warning.people.directory import Directory
from warning.people.imports import merge
from warning.people.keys import ApiKeys
from warning.people.tables import address
from warning.region import Region
from warning.rehearsal.receiver import Behaviour, Receiver
from warning.stream.broker import EmbeddedBroker

SQUARE = [[71.0, 30.0], [72.0, 30.0], [72.0, 31.0], [71.0, 31.0], [71.0, 30.0]]


@dataclass
class Agency:
    """One key, as its owner uses it."""

    client: httpx.AsyncClient
    key: str

    async def ask(self, method: str, path: str = "", status: int = 200, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = await self.client.request(method, f"/v1/subscriptions{path}", headers=headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def subscribe(self, **wish: Any) -> dict[str, Any]:
        return await self.ask("POST", "", 201, json={"name": "Agency", **wish})

    async def state(self, id: str) -> str:
        return str((await self.ask("GET", f"/{id}"))["state"])


@dataclass
class Office:
    """The API of one deployment, and keys for it."""

    where: Deployment
    region: Region
    client: httpx.AsyncClient

    async def agency(self, name: str, *roles: str) -> Agency:
        keys = ApiKeys(self.where.database, world.now_ms)
        try:
            return Agency(self.client, (await keys.create(name, roles or ("agency",)))[1])
        finally:
            await keys.close()


@asynccontextmanager
async def serving(region: Region, where: Deployment) -> AsyncIterator[Office]:
    async with (
        api.serve(api.create_app(region, where), "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        yield Office(where, region, client)


@asynccontextmanager
async def dispatching(region: Region, where: Deployment, receiver: Receiver) -> AsyncIterator[None]:
    stop = asyncio.Event()
    endpoints = {name: receiver.url(name) for name in ("one", "two", "witness")}
    loopback = frozenset({("127.0.0.1", receiver.port)})
    task = asyncio.create_task(Dispatcher(region, where, lambda _: None, endpoints=endpoints, allow_loopback=loopback).run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


@pytest.fixture
async def office(broker: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[Office]:
    """With nobody else to warn, and a receiver of the demo: its addresses are ``rehearsal:NAME``."""
    region = world.region(tmp_path, [])
    where = await world.deployment(broker.bootstrap, tmp_path, f"subscribed-{tmp_path.name}", rehearsal_url="http://127.0.0.1:1/hook")
    async with serving(region, where) as made:
        yield made


async def test_subscribed_challenged_warned_rotated_away_and_caught_up(office: Office) -> None:
    agency, receiver = await office.agency("PDMA"), Receiver({})
    await receiver.start()
    try:
        async with dispatching(office.region, office.where, receiver):
            made = await _challenged(agency, receiver)
            warned = await _warned(office, agency, receiver, made)
            await _rotated(agency, receiver, made)
            later, over = await _away_and_caught_up(office, agency, receiver, made, warned)
            await _gone_and_back(office, agency, receiver, made, warned.alert.raised_ms)
        # The cursor holds over a restart of the API.
        async with serving(office.region, office.where) as restarted:
            found = Agency(restarted.client, agency.key)
            page = await found.ask("GET", f"/{made['id']}/events", params={"cursor": warned.alert.identifier})
            assert [each["id"] for each in page["events"]][:2] == [later.alert.identifier, over.alert.identifier]
    finally:
        await receiver.stop()


async def _challenged(agency: Agency, receiver: Receiver) -> dict[str, Any]:
    made = await agency.subscribe(url="rehearsal:one", zones=["A"], level="MEDIUM")
    assert (made["state"], made["matches"], made["live"]) == ("pending", ["A"], False)
    receiver.secrets = {"one": made["secret"]}
    await world.until(lambda: _is(agency, made["id"], "active"), what="the endpoint is verified")
    assert [hook["type"] for hook in receiver.taken] == ["subscription.challenge"]
    assert "secret" not in {key for key, value in (await agency.ask("GET", f"/{made['id']}")).items() if value}
    return made


async def _warned(office: Office, agency: Agency, receiver: Receiver, made: dict[str, Any]) -> AlertEvent:
    first = world.now_ms()
    warned = world.event(office.region, "A", 1, sent_ms=first, raised_ms=first)
    low = world.event(office.region, "A", level=Level.LOW, sent_ms=first + 9_000)
    await world.publish(office.where, [low, world.event(office.region, "B", sent_ms=first), warned])
    await world.until(lambda: _alerts(receiver), what="the warning")
    await agency.ask("POST", f"/{made['id']}/test", 202)
    await world.until(lambda: receiver.taken[-1]["type"] == "subscription.test", what="the test event")
    assert _alerts(receiver) == [warned.alert.identifier], "of its zone and from its class on alone"
    return warned


async def _rotated(agency: Agency, receiver: Receiver, made: dict[str, Any]) -> None:
    """The agency still knows the old secret, then the new one; a third never worked."""
    rotated = await agency.ask("POST", f"/{made['id']}/secret", json={"overlap_h": 1})
    assert rotated["secret"] != made["secret"] and rotated["former_secret_until"]
    for secret in (made["secret"], rotated["secret"]):
        receiver.secrets = {"one": secret}
        count = len(receiver.taken)
        await agency.ask("POST", f"/{made['id']}/test", 202)
        await world.until(lambda count=count: len(receiver.taken) > count, what="a test signed with both")


async def _away_and_caught_up(
    office: Office, agency: Agency, receiver: Receiver, made: dict[str, Any], warned: AlertEvent
) -> tuple[AlertEvent, AlertEvent]:
    """500 to everything. What comes meanwhile is caught up from the cursor."""
    receiver.behaviours["one"] = Behaviour(status=500)
    first, last, high, higher = warned.alert.raised_ms, warned.alert.identifier, Level.HIGH, Level.VERY_HIGH
    later = world.event(office.region, "A", 2, EventKind.UPGRADE, higher, sent_ms=first + 2_000, raised_ms=first, previous=high)
    over = world.event(office.region, "A", 3, EventKind.CLEAR, Level.NORMAL, sent_ms=first + 4_000, raised_ms=first, previous=higher)
    await world.publish(office.where, [later, over])
    await world.until(lambda: _caught_up(agency, made["id"], last, 2), what="the API has let them out")
    page = await agency.ask("GET", f"/{made['id']}/events", params={"cursor": last})
    assert [each["id"] for each in page["events"]] == [later.alert.identifier, over.alert.identifier]
    assert page["events"][0]["type"] == "alert.upgrade" and page["events"][0]["data"]["cap"] == later.cap
    assert (page["next"], page["more"]) == (over.alert.identifier, False)
    one = await agency.ask("GET", f"/{made['id']}/events", params={"cursor": last, "limit": 1})
    assert one["more"] and [each["id"] for each in one["events"]] == [one["next"]] == [later.alert.identifier]
    sent = await agency.ask("GET", f"/{made['id']}/deliveries")
    await world.until(lambda: _delivered(agency, made["id"], last), what="the delivery log")
    assert {line["what"] for line in sent["tests"]} == {"challenge", "test"}
    return later, over


async def _gone_and_back(office: Office, agency: Agency, receiver: Receiver, made: dict[str, Any], first: int) -> None:
    """410 pauses it, a new challenge brings it back."""
    receiver.behaviours["one"] = Behaviour(status=410)
    await world.publish(office.where, [world.event(office.region, "A", 1, sent_ms=first + 60_000)])
    await world.until(lambda: _is(agency, made["id"], "paused"), what="410 pauses it")
    receiver.behaviours["one"] = Behaviour()
    await agency.ask("POST", f"/{made['id']}/challenge", 202)
    await world.until(lambda: _is(agency, made["id"], "active"), what="it is back")
    again = world.event(office.region, "A", 1, sent_ms=first + 120_000)
    await world.publish(office.where, [again])
    await world.until(lambda: again.alert.identifier in _alerts(receiver), what="it hears again")


async def _is(agency: Agency, id: str, state: str) -> bool:
    await asyncio.sleep(0.5)  # as a polite client asks: there is a limit
    return await agency.state(id) == state


def _alerts(receiver: Receiver) -> list[str]:
    return [hook["alert"] for hook in receiver.taken if hook["alert"]]


async def _caught_up(agency: Agency, id: str, cursor: str, count: int) -> bool:
    await asyncio.sleep(0.5)
    return len((await agency.ask("GET", f"/{id}/events", params={"cursor": cursor}))["events"]) == count


async def _delivered(agency: Agency, id: str, alert: str) -> bool:
    await asyncio.sleep(0.5)
    log = await agency.ask("GET", f"/{id}/deliveries")
    return any((line["what"], line["state"]) == (alert, "delivered") for line in log["alerts"])


async def test_an_endpoint_that_does_not_give_the_challenge_back_is_never_used(office: Office) -> None:
    receiver = Receiver({}, challenges=False)
    await receiver.start()
    agency = await office.agency("PDMA")
    try:
        async with dispatching(office.region, office.where, receiver):
            made = await agency.subscribe(url="rehearsal:two")
            receiver.secrets = {"two": made["secret"], "witness": world.SECRET}
            await world.until(lambda: any(hook["verified"] for hook in receiver.records), what="it was challenged")
            await world.until(lambda: _tried(agency, made["id"]), what="the log says why")
            assert await agency.state(made["id"]) == "pending"
            directory = await Directory.open(address(office.where))  # who is entered while the dispatcher runs is told, too
            await merge(directory, [world.contact(1, hook="witness", phone=False)], "test", world.now_ms(), by="test")
            await directory.close()
            warned = world.event(office.region, "A", sent_ms=world.now_ms())
            await world.publish(office.where, [warned])
            await world.until(lambda: _alerts(receiver), what="the witness has heard")
            gone = await agency.subscribe(url="rehearsal:nobody")  # no such endpoint: refused at once
            await world.until(lambda: _is(agency, gone["id"], "refused"), what="refused")
            await agency.ask("POST", f"/{made['id']}/test", 409, json={})
        assert [(hook["name"], hook["alert"]) for hook in receiver.records if hook["alert"]] == [("witness", warned.alert.identifier)]
    finally:
        await receiver.stop()


async def _tried(agency: Agency, id: str) -> bool:
    return any(line["state"] == "not_returned" for line in (await agency.ask("GET", f"/{id}/deliveries"))["tests"])


async def test_what_is_asked_for_is_judged_with_field_and_fix(office: Office) -> None:
    agency = await office.agency("PDMA")
    for wrong, field in [
        ({"url": "rehearsal:one", "zones": ["Z"]}, "zones"),
        ({"url": "rehearsal:one", "districts": ["uper"]}, "districts"),
        ({"url": "rehearsal:one", "rivers": ["Styx"]}, "rivers"),
        ({"url": "rehearsal:one", "hazards": ["tsunami"]}, "hazards"),
        ({"url": "rehearsal:one", "language": "fr"}, "language"),
        ({"url": "rehearsal:one", "level": "WORST"}, "level"),
        ({"url": "rehearsal:one", "live": True}, "url"),
        ({"url": "http://93.184.216.34/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "rehearsal:one", "email": "a@example.org"}, "url"),
        ({}, "url"),
        ({"email": "nobody"}, "email"),
        ({"email": "duty@pdma.gov.pk"}, "email"),
        ({"url": "rehearsal:one", "colour": "red"}, "colour"),
        ({"url": "rehearsal:one", "area": {"type": "Polygon", "coordinates": [SQUARE[:-1]]}}, "area"),
        ({"url": "rehearsal:one", "area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}}, "area"),
        ({"url": "rehearsal:one", "area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}}, "area"),
    ]:
        told = await agency.ask("POST", "", 422, json={"name": "Agency", **wrong})
        assert told["field"] == field and told["detail"], (wrong, told)
    assert (await agency.ask("GET"))["subscriptions"] == []


async def test_an_area_has_the_zones_that_it_touches(office: Office) -> None:
    region, agency = office.region, await office.agency("PDMA")
    here = region.station_by_id["A"]
    assert here.lat is not None and here.lon is not None
    box = [[here.lon + dx, here.lat + dy] for dx, dy in ((-0.01, -0.01), (0.01, -0.01), (0.01, 0.01), (-0.01, 0.01), (-0.01, -0.01))]
    made = await agency.subscribe(url="rehearsal:one", area={"type": "Polygon", "coordinates": [box]})
    assert "A" in made["matches"] and made["area"]["coordinates"] == [box]
    changed = await agency.ask("PATCH", f"/{made['id']}", json={"level": "HIGH", "area": None, "districts": ["lower"]})
    assert (changed["level"], changed["area"], changed["districts"], changed["url"]) == ("HIGH", None, ["lower"], "rehearsal:one")
    assert changed["matches"] == [zone.id for zone in region.zones if "lower" in zone.districts]


async def test_nobody_sees_or_touches_what_is_anothers(office: Office) -> None:
    mine, other, viewer = await office.agency("PDMA"), await office.agency("NDMA"), await office.agency("desk", "viewer")
    same, nobody = await office.agency("PDMA"), Agency(office.client, "wk_000000000000_" + "x" * 43)
    made = await mine.subscribe(url="rehearsal:one")
    id = made["id"]
    for method, path in [
        *(("GET", ""), ("GET", "/events"), ("GET", "/deliveries"), ("PATCH", ""), ("DELETE", ""), ("POST", "/test")),
        *(("POST", "/secret"), ("POST", "/challenge"), ("POST", "/pause")),
    ]:
        await other.ask(method, f"/{id}{path}", 404, json={})
        await nobody.ask(method, f"/{id}{path}", 401, json={})
        if method != "GET":
            await viewer.ask(method, f"/{id}{path}", 403, json={})
    assert [one["id"] for one in (await viewer.ask("GET"))["subscriptions"]] == [id]
    assert (await other.ask("GET"))["subscriptions"] == []
    assert [one["id"] for one in (await same.ask("GET"))["subscriptions"]] == [id], "a new key of the same agency"
    await mine.ask("DELETE", f"/{id}", 204)
    await mine.ask("GET", f"/{id}", 404)


async def test_an_email_address_waits_for_a_person(office: Office) -> None:
    agency, operator = await office.agency("PDMA"), await office.agency("desk", "operator")
    made = await agency.subscribe(email="duty@example.org")
    assert made["state"] == "pending"
    sure = {"params": {"email": "duty@example.org"}}
    await agency.ask("POST", f"/{made['id']}/confirm", 403, **sure)
    await operator.ask("POST", f"/{made['id']}/confirm", 422)
    await operator.ask("POST", f"/{made['id']}/confirm", 409, params={"email": "before@example.org"})
    assert (await operator.ask("POST", f"/{made['id']}/confirm", **sure))["state"] == "active"
    await operator.ask("POST", f"/{made['id']}/confirm", 409, **sure)
    changed = await agency.ask("PATCH", f"/{made['id']}", json={"email": "other@example.org"})
    assert changed["state"] == "pending", "another address is another one's"


async def test_one_agency_cannot_keep_the_api_busy(office: Office) -> None:
    agency, other = await office.agency("PDMA"), await office.agency("NDMA")
    headers = {"Authorization": f"Bearer {agency.key}"}
    asked = [await office.client.get("/v1/subscriptions", headers=headers) for _ in range(90)]
    statuses = [answer.status_code for answer in asked]
    assert statuses[:60] == [200] * 60 and 429 in statuses, statuses
    assert asked[statuses.index(429)].json()["fix"].startswith("wait")
    await other.ask("GET")


@pytest.mark.parametrize(
    "url",
    [
        *("https://127.0.0.1/", "https://127.1/", "https://0x7f000001/", "https://2130706433/", "https://017700000001/", "https://0/"),
        *("https://localhost/", "https://10.0.0.1/", "https://192.168.1.1/", "https://172.16.0.1/", "https://169.254.169.254/latest"),
        *("https://[::1]/", "https://[fe80::1]/", "https://[fc00::1]/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/"),
        *(
            "https://[::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://[::]/",
            "https://100.64.0.1/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
        ),
        *("http://93.184.216.34/", "https://user:pw@93.184.216.34/", "ftp://93.184.216.34/", "https:///x", "https://[/", "x" * 2000),
        *("https://93.184.216.34:99999/", "https://no-such-host.invalid/", "https://a..b/", "https://" + "a" * 300 + ".org/"),
    ],
)
async def test_no_webhook_leads_into_the_house(url: str) -> None:
    assert await refused(url)


async def test_a_public_address_may_be_one() -> None:
    assert await refused("https://93.184.216.34/hook") == ""

    async def two(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    assert "10.0.0.1" in await refused("https://rebound.example/hook", two), "one inside is one too many"


async def test_the_example_of_the_guide_is_taken(office: Office) -> None:
    guide = (Path(__file__).parent.parent / "deploy" / "agencies" / "README.md").read_text(encoding="utf-8")
    wish = json.loads(guide.split("-d '")[1].split("'")[0])
    assert set(Wish.model_validate(wish).model_dump(exclude_unset=True)) == {"name", "url", "districts", "rivers", "level"}
    indus = config.load("indus")
    assert set(wish["districts"]) <= indus.district_by_id.keys() and set(wish["rivers"]) <= {zone.river for zone in indus.zones}
    described = (await office.client.get("/openapi.json")).json()["paths"]
    for path in ("challenge", "test", "secret", "deliveries", "events"):
        assert f"/v1/subscriptions/{{id}}/{path}" in described and f".../ID/{path}" in guide
    for kind in EventKind:
        assert (f"`alert.{kind.value}`" in guide) is kind.told


def test_only_the_token_itself_gives_a_challenge_back() -> None:
    assert returned(b'{"challenge": "abc"}', "abc") and returned(b" abc\n", "abc") and returned(b'"abc"', "abc")
    for other in (b"", b"{}", b'{"challenge": "abcd"}', b"xabc", b"[]", b"null", b"\xff\xfe", json.dumps({"challenge": ["abc"]}).encode()):
        assert not returned(other, "abc"), other
    for hostile in (b"[" * 60_000, b'"\\ud800"', b'{"challenge": "\\udfff"}', b'{"challenge": ' * 10_000, b"9" * 60_000):
        assert not returned(hostile, "abc"), hostile[:20]
