"""Codes of messages: they fit, cannot be guessed, are confirmed by page, API and register; forged and stale ones are called so."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml
from alert_region import DRILL, REGION, T0, H, M, raised
from cash_world import ACTUAL, event_of, follows
from sqlalchemy import insert
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from warning import facts
from warning.alerts import manual, message
from warning.deployment import Deployment
from warning.dispatch import tables
from warning.dispatch.audience import Planned
from warning.dispatch.ledger import Ledger
from warning.dispatch.rows import Record, alert_row, delivery_row
from warning.errors import ConfigError, InputError, Unavailable
from warning.model import Alert, DeliveryState, EventKind, Level, to_json
from warning.operate import api
from warning.proof import codes
from warning.proof.guesses import MOST, Guesses
from warning.proof.register import Register
from warning.region import Region

FIRST = raised(REGION)
NOW = T0 + M


def where_of(folder: Path, **more: Any) -> Deployment:
    return Deployment(bootstrap="127.0.0.1:9", directory=folder, prefix="t.", **more)


async def tell(where: Deployment, *told: Alert, attempts: int = 1, region: Region = REGION) -> None:
    """Alerts in the ledger; ``attempts`` 0: nobody was told yet."""
    ledger = await Ledger.open(where.database, region.id)
    try:
        async with ledger._engine.begin() as connection:
            for one in told:
                event = event_of(one, region)
                await connection.execute(insert(tables.alerts).values(alert_row(Record(event, to_json(event), (), ()))))
                row = delivery_row(event, Planned(DRILL, "sms", DeliveryState.WAITING, "", False), NOW, NOW)
                await connection.execute(insert(tables.deliveries).values(row | {"attempts": attempts}))
    finally:
        await ledger.close()


@asynccontextmanager
async def register(where: Deployment, region: Region = REGION) -> AsyncIterator[Register]:
    made = Register(region, where, clock_s=iter(range(0, 10_000, 2)).__next__)  # what is in the ledger is seen at once
    try:
        yield made
    finally:
        await made.close()


async def code(of: Alert, where: Deployment, region: Region = REGION) -> str:
    async with register(where, region) as book:
        return codes.code_of(await book.secret(), of.identifier)


# --- what a code is


def test_a_code_is_an_hmac_that_stays_the_same_and_is_read_as_people_write_it() -> None:
    made = codes.code_of(b"a secret of thirty-two bytes....", FIRST.identifier)
    assert re.fullmatch("[A-Z2-7]{7}", made) and made == codes.code_of(b"a secret of thirty-two bytes....", FIRST.identifier)
    assert made != codes.code_of(b"another secret..................", FIRST.identifier)
    assert codes.normal(" ab-cd 2o7") == "ABCD2O7" == codes.normal("ABCD207") == codes.normal("ａｂｃｄ۲۰۷")
    assert codes.normal("1lab8cd") == "ILABBCD"
    for wrong in ("", "ABCDEF", "ABCDEFGH", "ABCDE9F", "ABC'DEF", "پانیپان", "A" * 5000):
        with pytest.raises(InputError) as error:
            codes.normal(wrong)
        assert error.value.field == "code"


def test_the_secret_stands_in_the_deployment_or_follows_from_the_exercise(tmp_path: Path) -> None:
    live = where_of(tmp_path)
    assert codes.secrets_of(REGION, live) == codes.secrets_of(REGION, replace(live, prefix="x.", replay=True)) != ()
    assert codes.secrets_of(ACTUAL, live) == ()
    given = replace(live, code_secret="a" * 20 + " " + "b" * 20)
    assert codes.secrets_of(ACTUAL, given) == (b"a" * 20, b"b" * 20)
    assert "aaaa" not in repr(given)
    (tmp_path / "secret").write_text("c" * 16 + "\n")
    assert codes.secrets_of(ACTUAL, replace(given, code_secret_file=str(tmp_path / "secret"))) == (b"c" * 16,)
    for wrong in (replace(live, code_secret="short"), replace(live, code_secret_file=str(tmp_path / "none"))):
        with pytest.raises(ConfigError):
            codes.secrets_of(ACTUAL, wrong)


async def test_without_a_secret_a_live_deployment_makes_one_that_all_its_processes_share(tmp_path: Path) -> None:
    async with register(where_of(tmp_path), ACTUAL) as one, register(where_of(tmp_path), ACTUAL) as two:
        assert await one.secret() == await two.secret() and len(await one.secret()) == 64
    (tmp_path / "b").mkdir()
    async with register(where_of(tmp_path / "b"), ACTUAL) as other:
        assert await other.secret() != await one._known()


@pytest.mark.parametrize("language", ["en", "ur", "si"])
def test_a_code_stands_at_the_end_of_the_message(language: str) -> None:
    text = message.sms(FIRST, REGION, language, "", "ABCDEFG")
    assert text.text.endswith("ABCDEFG") and text.parts <= 2 and text.complete


# --- what the register says


async def test_in_force_then_replaced_then_ended(tmp_path: Path) -> None:
    where = where_of(tmp_path)
    await tell(where, FIRST)
    async with register(where) as book:
        first = codes.code_of(await book.secret(), FIRST.identifier)
        answer = await book.verify(first.lower(), NOW)
        assert (answer.state, answer.event and answer.event.alert) == ("in_force", FIRST)
        assert answer.until_ms == FIRST.expires_ms
        second = follows(FIRST, kind=EventKind.UPGRADE, level=Level.VERY_HIGH, expires_ms=FIRST.expires_ms + H)
        await tell(where, second)
        replaced = await book.verify(first, NOW)
        assert (replaced.state, replaced.by and replaced.by.alert.identifier) == ("replaced", second.identifier)
        newest = codes.code_of(await book.secret(), second.identifier)
        assert (await book.verify(newest, NOW)).state == "in_force"
        assert (await book.verify(newest, second.expires_ms)).state == "expired"
        await tell(where, follows(second, kind=EventKind.CLEAR, level=Level.NORMAL))
        assert [(await book.verify(one, NOW)).state for one in (first, newest)] == ["ended", "ended"]


async def test_a_renewal_that_phones_do_not_hear_of_keeps_the_message_in_force(tmp_path: Path) -> None:
    where = where_of(tmp_path)
    await tell(where, FIRST)
    await tell(where, follows(FIRST, kind=EventKind.RENEW, expires_ms=FIRST.expires_ms + 10 * H), attempts=0)
    async with register(where) as book:
        answer = await book.verify(await code(FIRST, where), FIRST.expires_ms + H)
        assert (answer.state, answer.until_ms) == ("in_force", FIRST.expires_ms + 10 * H)


async def test_what_a_person_cancelled_or_corrected_is_in_force_no_more(tmp_path: Path) -> None:
    where = where_of(tmp_path)
    await tell(where, FIRST)
    later = follows(FIRST, kind=EventKind.RENEW, sent_ms=FIRST.sent_ms + 20 * M, expires_ms=FIRST.expires_ms + 10 * H)
    lower = manual.corrected(FIRST, REGION, Level.LOW, "A log at the gauge", FIRST.sent_ms + 10 * M, 2).alert
    end = manual.cancelled(lower, REGION, "Nothing was there", FIRST.sent_ms + 30 * M).alert
    async with register(where) as book:
        first = codes.code_of(await book.secret(), FIRST.identifier)
        await tell(where, lower, attempts=0)  # waits for a person
        assert (await book.verify(first, NOW)).state == "in_force"
    (tmp_path / "told").mkdir()
    where = where_of(tmp_path / "told")
    async with register(where) as book:
        await tell(where, FIRST, lower)
        await tell(where, later, attempts=0)  # called off
        found = await book.verify(first, lower.sent_ms + M)
        assert (found.state, found.by and found.by.alert.identifier) == ("replaced", lower.identifier)
        assert (await book.verify(first, lower.expires_ms)).state == "expired"
        await tell(where, end)
        assert (await book.verify(first, end.sent_ms)).state == "ended"
        higher = follows(later, kind=EventKind.UPGRADE, level=Level.VERY_HIGH, sent_ms=FIRST.sent_ms + 40 * M)
        await tell(where, higher)  # it speaks for itself again
        found = await book.verify(first, higher.sent_ms)
        assert (found.state, found.by and found.by.alert.identifier) == ("replaced", higher.identifier)


async def test_what_waits_for_a_person_is_as_unknown_as_what_never_was(tmp_path: Path) -> None:
    where = where_of(tmp_path)
    await tell(where, FIRST, attempts=0)
    async with register(where) as book:
        held = await book.verify(await code(FIRST, where), NOW)
        assert held == await book.verify("ABCDEFG", NOW) and held.state == "unknown"


async def test_two_secrets_during_a_rotation(tmp_path: Path) -> None:
    old, new = "o" * 20, "n" * 20
    await tell(where_of(tmp_path), FIRST)
    before = await code(FIRST, where_of(tmp_path, code_secret=old))
    async with register(where_of(tmp_path, code_secret=f"{new} {old}")) as book:
        assert (await book.verify(before, NOW)).state == "in_force"
        assert (await book.verify(codes.code_of(new.encode(), FIRST.identifier), NOW)).state == "in_force"
        assert await book.secret() == new.encode()


async def test_without_a_ledger_it_says_that_it_does_not_know_and_makes_no_file(tmp_path: Path) -> None:
    async with register(where_of(tmp_path, database_url="postgresql+asyncpg://x@127.0.0.1:9/none")) as book:
        with pytest.raises(Unavailable):
            await book.verify("ABCDEFG", NOW)


# --- guessing


async def test_a_million_guesses_find_no_code_in_force(tmp_path: Path) -> None:
    """A hundred floods at once, and nobody to limit the guesser: the chance of one hit is 0.3 %, and the guesses are the same each time."""
    where = where_of(tmp_path, code_secret="the-secret-of-this-test")
    heads = [f"ews.chenab.CHE-MARALA.20250827T{number:06d}Z" for number in range(100)]
    await tell(where, *(msgspec.structs.replace(FIRST, identifier=f"{head}.0") for head in heads))
    async with register(where) as book:
        assert (await book.verify(codes.code_of(await book.secret(), f"{heads[42]}.0"), NOW)).state == "in_force"
        chance = random.Random(7)
        alphabet = sorted(codes.ALPHABET)
        known = book._by_code
        assert len(known) == 100
        assert not sum("".join(chance.choices(alphabet, k=codes.LETTERS)) in known for _ in range(1_000_000))


def test_an_address_gets_ten_a_minute_all_together_fifty_a_second_and_memory_is_bounded() -> None:
    now = [0.0]
    guesses = Guesses(lambda: now[0])

    def taken(address: str, times: int) -> int:
        count = 0
        for _ in range(times):
            try:
                guesses.take(address)
                count += 1
            except Unavailable as error:
                assert error.reason == "rate_limited" and error.retry_after_s and error.retry_after_s > 0
        return count

    assert taken("192.0.2.1", 100) == 20
    now[0] += 60
    assert taken("192.0.2.1", 100) == 10
    assert taken("2001:db8::1", 15) + taken("2001:db8::ffff", 15) == 20  # one network of IPv6 is one asker
    assert taken("::ffff:192.0.2.1", 5) == 0  # and the same address another way
    assert sum(taken(f"198.51.{number // 250}.{number % 250}", 1) for number in range(3000)) == 1_000 - 30  # the common bucket
    now[0] += 10
    assert sum(taken(f"203.0.{number // 250}.{number % 250}", 1) for number in range(3000)) == 500
    for number in range(MOST + 500):
        taken(f"phone {number}", 1)
    assert len(guesses._each) == MOST


# --- the page and the API


@asynccontextmanager
async def serving(where: Deployment, region: Region = REGION, listen: facts.Listener = facts.nobody) -> AsyncIterator[httpx.AsyncClient]:
    app = api.create_app(region, where, listen, clock=lambda: NOW / 1000)
    async with api.serve(app, "127.0.0.1", 0) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client


async def test_the_api_and_the_page_confirm_and_call_a_forgery_one(tmp_path: Path) -> None:
    where, told = where_of(tmp_path), []
    await tell(where, FIRST)
    good = await code(FIRST, where)
    async with serving(where, listen=told.append) as client:
        found = (await client.get(f"/v1/check/{good}")).json()
        assert found["state"] == "in_force" and found["status"] == "Exercise" and found["zone"] == "CHE-MARALA"
        assert found["messages"]["en"] == message.sms(FIRST, REGION, "en", "", good).text
        forged = (await client.get("/v1/check/ABCDEFG")).json()
        assert (forged["state"], forged["messages"], forged["zone"]) == ("unknown", {}, None)
        wrong = await client.get("/v1/check/ABC")
        assert (wrong.status_code, wrong.json()["field"]) == (422, "code")
        page = await client.get("/check", params={"code": good})
        assert "this warning is ours, and it is in force" in page.text and "EXERCISE" in page.text
        assert "script" not in page.text and "form-action 'self'" in page.headers["content-security-policy"]
        assert "we did not send" in (await client.get("/check", params={"code": "ABCDEFG"})).text
        urdu = (await client.get("/check", params={"code": good}, headers={"Accept-Language": "ur-PK,en;q=0.5"})).text
        assert 'dir="rtl"' in urdu and "جی ہاں" in urdu
        evil = (await client.get("/check", params={"code": '"><img src=evil>'})).text
        assert "<img" not in evil and "no code of ours" in evil
        marks = [message.check_code(FIRST.identifier), "AAAAA"]  # of a document that there is, and of none: the answers are the same
        said = [(await client.get(f"/v1/check/{one}")) for one in marks]
        assert {one.status_code for one in said} == {422} and len({one.text for one in said}) == 1
        assert "mark of a CAP document" in said[0].json()["detail"] and "signature" in said[0].json()["fix"]
        assert "anybody can make it" in (await client.get("/check", params={"code": marks[0].lower()})).text
    asked = [fact.answer for fact in told if isinstance(fact, facts.CodeAsked)]
    assert asked == ["in_force", "unknown", "malformed", "in_force", "unknown", "in_force", "malformed"] + ["document_mark"] * 3


async def test_a_stale_code_says_so_and_shows_what_holds(tmp_path: Path) -> None:
    where = where_of(tmp_path)
    newer = follows(FIRST, kind=EventKind.UPGRADE, level=Level.VERY_HIGH)
    await tell(where, FIRST, newer)
    async with serving(where) as client:
        found = (await client.get(f"/v1/check/{await code(FIRST, where)}")).json()
        assert found["state"] == "replaced" and found["newest"]["en"] == message.headline(newer, REGION, "en")
        page = (await client.get("/check", params={"code": await code(FIRST, where)})).text
        assert "A newer one has replaced it" in page and message.headline(newer, REGION, "en") in page


async def test_the_route_s_limits_say_nothing_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storm of guesses against the real route while its clock stands: twenty are looked at, then right and wrong ones hear the same."""
    monkeypatch.setattr(api, "Guesses", lambda _: Guesses(lambda: 0.0))
    where = where_of(tmp_path)
    await tell(where, FIRST)
    good = await code(FIRST, where)
    chance, alphabet = random.Random(1), sorted(codes.ALPHABET)
    async with serving(where) as client:
        seen = [(await client.get(f"/v1/check/{''.join(chance.choices(alphabet, k=7))}")).status_code for _ in range(150)]
        assert seen == [200] * 20 + [429] * 130
        limited = [await client.get(f"/v1/check/{one}") for one in (good, "ABCDEFG", "nonsense")]
        assert {one.status_code for one in limited} == {429} and len({one.text for one in limited}) == 1
        assert all(int(one.headers["retry-after"]) > 0 for one in limited)
        assert (await client.get("/check", params={"code": good})).status_code == 429
        other = await client.get(f"/v1/check/{good}", headers={"X-Forwarded-For": "192.0.2.9"})  # as a proxy on this machine says it
        assert other.json()["state"] == "in_force"


async def test_without_its_database_the_page_does_not_call_a_true_warning_forged(tmp_path: Path) -> None:
    async with serving(where_of(tmp_path)) as client:
        (tmp_path / "t.warning.db").write_bytes(b"no database, but so long that nobody takes it for an empty one" * 50)
        answer = await client.get("/v1/check/ABCDEFG")
        assert answer.status_code == 503 and "nothing about yours" in answer.json()["detail"]
        page = await client.get("/check", params={"code": "ABCDEFG"})
        assert page.status_code == 503 and "did not send" not in page.text and "do what the warning says" in page.text


@pytest.mark.parametrize(("place", "proxy"), [("compose", "172.18.0.1"), ("kubernetes", "10.42.3.7")])
async def test_behind_a_proxy_each_who_asks_has_a_limit_of_his_own(place: str, proxy: str) -> None:
    """And none by an address that he writes himself: what the proxy saw is the last one."""
    deploy = Path(__file__).parents[1] / "deploy"
    if place == "compose":
        hosts = yaml.safe_load((deploy / "compose/compose.yaml").read_text("utf-8"))["services"]["api"]["environment"][
            "FORWARDED_ALLOW_IPS"
        ]
    else:
        every = yaml.safe_load_all((deploy / "kubernetes/warning.yaml").read_text("utf-8"))
        api_of = next(one for one in every if one["kind"] == "Deployment" and one["metadata"]["name"] == "api")
        [container] = api_of["spec"]["template"]["spec"]["containers"]
        hosts = next(one["value"] for one in container["env"] if one["name"] == "FORWARDED_ALLOW_IPS")
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"][0])

    behind = ProxyHeadersMiddleware(app, trusted_hosts=hosts)
    for peer in (proxy, "203.0.113.77"):
        scope: Any = {"type": "http", "scheme": "http", "client": (peer, 1), "headers": [(b"x-forwarded-for", b"6.6.6.6, 203.0.113.5")]}
        await behind(scope, None, None)  # type: ignore[arg-type]
    assert seen == ["203.0.113.5", "203.0.113.77"]
