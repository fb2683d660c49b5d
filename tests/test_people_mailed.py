"""An address gets warnings once a code that was mailed to it came back: a real relay, the dispatcher's errands, the API's pages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import channel_world as world
import httpx
import pytest
from channel_mail import Behaviour, MailServer
from channel_postgres import postgres

from warning.deployment import Deployment
from warning.dispatch.codes_out import CodesOut, letter
from warning.dispatch.errands import Errands
from warning.dispatch.webhook import WebhookChannel
from warning.model import Level
from warning.operate.api import create_app
from warning.people import consent
from warning.people.directory import Directory
from warning.people.imports import merge
from warning.people.interest import Interest
from warning.people.keys import ApiKeys
from warning.people.mailed import GOOD_MS, MOST_OF_OWNER, MOST_TO_ADDRESS, Mailed
from warning.people.subscriptions import METADATA, Subscription, Wanted
from warning.people.tables import address
from warning.proof import chain
from warning.region import Region
from warning.routes import MailRoute

ADDRESS = "Duty@village.example"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


class Nobody:
    """No endpoint answered 410."""

    async def endpoints_off(self) -> set[tuple[str, str]]:
        return set()

    async def endpoint_on(self, contact: str) -> None: ...


@dataclass
class House:
    where: Deployment
    region: Region
    directory: Directory
    mails: MailServer
    errands: Errands
    now_ms: int

    async def subscribe(self, to: str = ADDRESS, owner: str = "PDMA", language: str = "en") -> Subscription:
        wanted = Wanted("Duty desk", "email", to, language, Level.LOW, False, Interest())
        return await self.directory.subscriptions.create(owner, wanted)

    async def round(self) -> None:
        """One look of the dispatcher, to its end."""
        await self.errands._look(gone=False)
        await asyncio.gather(*self.errands._under_way.values())

    async def now(self, one: Subscription) -> Subscription:
        found = await self.directory.subscriptions.get(one.id)
        assert found is not None
        return found

    def link(self) -> str:
        """Of the newest mail, without its host."""
        words = self.mails.mails[-1].get_body().get_content()  # type: ignore[attr-defined]
        return str(re.search(r"https://ews\.example(/confirm/\S+)", words)[1])  # type: ignore[index]


@pytest.fixture(params=["sqlite", "postgresql"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    url = "" if request.param == "sqlite" else request.getfixturevalue("server")
    where = Deployment(bootstrap="127.0.0.1:1", directory=tmp_path, database_url=url)
    region = replace(world.region(tmp_path), urls={"confirm": "https://ews.example/confirm/"})
    made: House
    directory = Directory(address(where), region, lambda: made.now_ms)
    async with directory.subscriptions._tables.together() as connection:
        for table in METADATA.sorted_tables:
            await connection.execute(table.delete())
    mails = MailServer()
    route = MailRoute("relay", "127.0.0.1", "Flood warning <warning@ews.example>", await mails.start(), "none", most_per_s=1000.0)
    codes = CodesOut(region, Mailed(directory), [route])
    await codes.start()
    errands = Errands(directory.subscriptions, WebhookChannel({}, frozenset()), Nobody(), lambda: made.now_ms, codes)
    made = House(where, region, directory, mails, errands, world.now_ms())
    yield made
    await codes.stop()
    await mails.stop()
    await directory.close()


@asynccontextmanager
async def api(at: House) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(at.region, at.where, lambda _: None, clock=lambda: at.now_ms / 1000)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        yield client


async def test_the_link_shows_a_button_and_only_the_button_confirms(house: House) -> None:
    one = await house.subscribe(language="ur")
    await house.round()
    mail = house.mails.mails[-1]
    assert (mail["To"], mail["Auto-Submitted"]) == (ADDRESS, "auto-generated") and "تصدیق" in str(mail["Subject"])
    assert (await house.now(one)).reason == "waits for the code that was mailed" and len(house.mails.mails) == 1
    await house.round()
    assert len(house.mails.mails) == 1, "once"
    async with api(house) as client:
        for _ in range(2):  # programs look at every link of a mail
            shown = await client.get(house.link())
            assert shown.status_code == 200 and '<form method="post">' in shown.text and ADDRESS in shown.text
        assert (await house.now(one)).state == "pending" and await house.directory.subscriptions.contacts([f"agency-{one.id}"]) == []
        assert (await client.post(house.link())).status_code == 200
        assert (await house.now(one)).state == "active"
        assert [each.email for each in await house.directory.subscriptions.contacts([f"agency-{one.id}"])] == [ADDRESS]
        again = [await client.post(house.link()), await client.get(house.link())]
        assert [each.status_code for each in again] == [200, 200] and "<form" not in again[1].text
    [said] = await consent.history(house.directory, [ADDRESS])
    assert (said.given, said.how, said.by) == (True, "link", f"subscription {one.id} of PDMA")
    async with house.directory.tables.together() as connection:
        [line] = [each for each in await connection.execute(chain.acts.select()) if each.at_ms == house.now_ms]
    assert line.kind == "consent" and "village.example" not in line.body.lower()


async def test_who_said_stop_by_phone_stays_stopped_though_his_address_wants_an_agencys_warnings(house: House) -> None:
    phone, id = "+9991000777", f"officer-{house.directory.tables.dialect}"
    officer = replace(world.contact(7), id=id, phone=phone, email=ADDRESS)
    await merge(house.directory, [officer], f"list-{id}", 1, by="a")
    await consent.say(house.directory, phone, given=False, at_ms=2, by=phone, how="sms")
    one = await house.subscribe()
    await house.round()
    async with api(house) as client:
        assert (await client.post(house.link())).status_code == 200
    assert (await house.now(one)).state == "active"
    house.directory.forget()
    found = await house.directory.contact(id)
    assert found is not None and not found.consent, "he hears nothing by SMS"
    assert [each.given for each in await consent.history(house.directory, [phone])] == [False]


async def test_no_other_code_an_old_one_or_one_of_before_confirms(house: House) -> None:
    one = await house.subscribe()
    await house.round()
    link = house.link()
    async with api(house) as client:
        for wrong in (link[:-1], link + "A", f"/confirm/{one.id}/%D8%A8", link.replace(one.id, "0" * 12)):
            assert [(await client.get(wrong)).status_code, (await client.post(wrong)).status_code] == [404, 404]
        await house.directory.subscriptions.challenge(one.id)
        assert (await client.post(link)).status_code == 404, "a newer one was asked for"
        await house.round()
        house.now_ms += GOOD_MS + 1
        assert (await client.post(house.link())).status_code == 404, "too old"
        await house.directory.subscriptions.challenge(one.id)
        await house.round()
        await house.directory.subscriptions.pause(one.id, "by PDMA")
        assert (await client.post(house.link())).status_code == 404
        statuses = [(await client.post(f"/confirm/{one.id}/guess{number}")).status_code for number in range(40)]
        assert set(statuses) == {404, 429} and statuses[-1] == 429
    assert (await house.now(one)).state == "paused"


async def test_the_agency_gives_the_code_back_by_its_key(house: House) -> None:
    one = await house.subscribe()
    await house.round()
    keys = ApiKeys(house.where.database, lambda: house.now_ms)
    keyed = [{"Authorization": f"Bearer {(await keys.create(name, ('agency',)))[1]}"} for name in ("PDMA", "NDMA")]
    code = house.link().rpartition("/")[2]
    async with api(house) as client:
        path = f"/v1/subscriptions/{one.id}/code"
        asked = [await client.post(path, json={"code": each}, headers=keyed[who]) for each, who in ((code, 1), ("x", 0), (code, 0))]
    assert [each.status_code for each in asked] == [404, 422, 200] and asked[2].json()["state"] == "active"
    await keys.close()


async def test_nobodys_mailbox_is_filled(house: House) -> None:
    for number in range(MOST_TO_ADDRESS + 2):
        await house.subscribe(ADDRESS.upper() if number % 2 else ADDRESS, owner=f"agency {number}")
        await house.round()
    assert len(house.mails.mails) == MOST_TO_ADDRESS
    states = sorted((each.state, each.reason) for each in await house.directory.subscriptions.of())
    assert [state for state, _ in states] == ["pending"] * MOST_TO_ADDRESS + ["refused"] * 2 and "again tomorrow" in states[-1][1]
    for number in range(MOST_OF_OWNER + 2):
        await house.subscribe(f"person{number}@village.example", owner="noisy")
        await house.round()
    assert len(house.mails.mails) == MOST_TO_ADDRESS + MOST_OF_OWNER
    await consent.say(house.directory, "quiet@village.example", given=False, at_ms=1, by="a", how="person")
    quiet = await house.subscribe("Quiet@village.example")
    await house.round()
    assert (await house.now(quiet)).state == "refused" and "said stop" in (await house.now(quiet)).reason
    assert len(house.mails.mails) == MOST_TO_ADDRESS + MOST_OF_OWNER


async def test_nor_by_those_that_are_mailed_at_once(house: House) -> None:
    for number in range(MOST_TO_ADDRESS + 5):
        await house.subscribe(owner=f"agency {number}")
    await house.round()
    assert len(house.mails.mails) == MOST_TO_ADDRESS
    assert [each.state for each in await house.directory.subscriptions.of()].count("refused") == 5


async def test_a_relay_that_is_away_is_asked_again_and_one_that_refuses_ends_it(house: House) -> None:
    one = await house.subscribe()
    house.mails.behaviour = Behaviour(rcpt="451 later", times=1)
    await house.round()
    assert (await house.now(one)).errand == "challenge" and house.mails.mails == []
    house.now_ms += 3000
    await house.round()
    assert len(house.mails.mails) == 1 and (await house.now(one)).state == "pending"
    house.mails.behaviour = Behaviour(rcpt="550 5.1.1 nobody", times=1)
    other = await house.subscribe("nobody@village.example")
    await house.round()
    assert (await house.now(other)).state == "refused"


async def test_a_kill_between_mail_and_its_row_costs_a_second_mail_and_no_link(house: House) -> None:
    one = await house.subscribe()
    await house.errands.codes.send(one)  # type: ignore[union-attr]
    async with api(house) as client:
        assert (await client.post(house.link())).status_code == 200
    await house.round()
    assert (await house.now(one)).state == "active" and len(house.mails.mails) == 1, "confirmed already: not mailed again"


async def test_without_a_relay_it_waits_for_a_person(house: House) -> None:
    house.errands.codes = None
    one = await house.subscribe()
    await house.round()
    assert (await house.now(one)).state == "pending" and house.mails.mails == []
    assert (await house.directory.subscriptions.confirm(one.id, ADDRESS, "Ayesha")).state == "active"
    async with house.directory.tables.together() as connection:
        lines = [each for each in await connection.execute(chain.acts.select()) if one.id in each.body]
    assert [(line.kind, "Ayesha" in line.body, "village.example" in line.body.lower()) for line in lines] == [("confirmed", True, False)]


def test_what_a_stranger_calls_himself_makes_no_header_and_no_link(tmp_path: Path) -> None:
    region = replace(world.region(tmp_path), urls={})
    wanted = {"id": "0a", "owner": "Bank\r\nBcc: x@y", "name": "see https://evil.example www.evil.example " * 9, "token": "t0ken"}
    fields = dict.fromkeys(Subscription.__slots__, 0) | {"address": ADDRESS, "language": "en"} | wanted
    mail = letter(Subscription(**fields), region, MailRoute("r", "h", "Flood <w@ews.example>"))
    words = mail.get_body().get_content()
    assert mail["Bcc"] is None and "://evil" not in words and "www.evil" not in words
    assert "t0ken" in words and "/v1/subscriptions/0a/code" in words, "no page: by key"
