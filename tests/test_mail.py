"""E-mail against a real mail server: the conformance suite, the mail itself, bounces, TLS."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
import services
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Kept
from aiosmtpd.smtp import AuthResult
from channel_conformance import *  # noqa: F403 - the suite
from channel_conformance import Side
from channel_mail import Behaviour, MailServer, report

from warning import config
from warning.alerts import message
from warning.dispatch import bounces
from warning.dispatch.channel import PartReceipt, Sending
from warning.dispatch.letter import letter, message_id, page
from warning.dispatch.mail import MailWay
from warning.dispatch.routed import Routed, receipts_of
from warning.facts import nobody
from warning.model import DeliveryState as State
from warning.model import EventKind, Level, Status
from warning.routes import MailRoute

SENDER = "Flood warning <warning@ews.example>"


@pytest.fixture
async def side(tmp_path: Path) -> AsyncIterator[Side]:
    server, region, receipts = MailServer(), world.region(tmp_path), list[PartReceipt]()
    route = MailRoute("relay", "127.0.0.1", SENDER, await server.start(), "none", bounces="bounces@ews.example", most_per_s=1000.0)
    way = MailWay(route, lambda sending, route, address: letter(sending, region, route, address), timeout_s=3.0)

    async def keep(one: PartReceipt) -> None:
        receipts.append(one)

    named = receipts_of("email", "relay", keep)

    async def notify(mail: bytes) -> None:
        for one in await way.receive(mail):
            await named(one)

    server.notify = notify
    channel = Routed("email", [way], lambda contact: contact.email, lambda up: None, nobody, well_s=0.0, look_s=0.05)
    await channel.start()

    def behave(**fields: object) -> None:
        server.behaviour = Behaviour(**fields)

    made = Side(
        channel,
        region,
        replace(world.contact(1, language="ur"), email="person@village.example"),
        reject=lambda: behave(rcpt="550 5.1.1 no such person"),
        throttle=lambda: behave(mail="421 4.7.0 too many", times=2),
        silence=lambda: behave(silent=True),
        reset=lambda: behave(reset=True),
        heal=behave,
        go_away=server.stop,
        come_back=server.start,
        taken=lambda: len(server.mails),
        receipts=receipts,
        receipted=True,
        receipts_first=lambda: behave(report_first=True),
        receipts_twice=lambda: behave(reports=2),
        receipts_lost=lambda: behave(reports=0),
    )
    made.server, made.way = server, way
    yield made
    await channel.stop()
    await server.stop()


async def test_the_mail_has_the_words_twice_the_document_as_it_is_and_what_stops_an_answering_machine(side: Side) -> None:
    await side.send()
    (mail,) = side.server.mails
    event = world.event(side.region, "A", sent_ms=side.raised_ms)
    text, html, attached = (part for part in mail.walk() if not part.is_multipart())
    assert text.get_content_type() == "text/plain" and "دریا" in text.get_content()
    assert html.get_content_type() == "text/html" and 'dir="rtl"' in html.get_content() and 'lang="ur"' in html.get_content()
    assert attached.get_content_type() == "application/cap+xml" and attached.get_filename().endswith(".cap.xml")
    assert attached.get_content().startswith(event.cap.encode()[:60])
    assert mail["Auto-Submitted"] == "auto-generated" and mail["Importance"] == "high" and mail["Content-Language"] == "ur"
    assert mail["Subject"].startswith("مشق: ") and mail["To"] == "person@village.example"
    assert side.server.asked == ["RET=HDRS", f"ENVID={message_id(_sending(side))}", "NOTIFY=SUCCESS,FAILURE"]


async def test_every_octet_of_the_document_survives_the_way(side: Side) -> None:
    event = world.event(side.region, "A", sent_ms=side.raised_ms)
    odd = replace_cap(event, event.cap.replace("</alert>", "\n\n.\n..\r\n" + "x" * 5000 + "</alert>"))
    outcome = await side.channel.send(Sending(1, odd, side.contact, "en", 1, world.HOUR_MS))
    assert outcome.state is State.ACCEPTED
    attached = next(part for part in side.server.mails[0].walk() if part.get_content_type() == "application/cap+xml")
    assert attached.get_content() == odd.cap.encode()


async def test_the_same_delivery_has_one_message_id_however_often_it_is_tried(side: Side) -> None:
    first, second = (
        letter(_sending(side), side.region, side.way._route, "a@b"),
        letter(_sending(side, 2), side.region, side.way._route, "a@b"),
    )
    assert first["Message-ID"] == second["Message-ID"] and first["Message-ID"].endswith("@ews.example>")
    assert first["List-Unsubscribe"] is None
    route = replace(side.way._route, unsubscribe="https://ews.example/leave")
    asked = letter(_sending(side), side.region, route, "a@b")
    assert (asked["List-Unsubscribe"], asked["List-Unsubscribe-Post"]) == ("<https://ews.example/leave>", "List-Unsubscribe=One-Click")


@pytest.mark.parametrize(
    ("behaviour", "state", "reason"),
    [
        (Behaviour(rcpt="450 4.2.1 greylisted"), State.WAITING, "deferred"),
        (Behaviour(data="451 4.3.0 later"), State.WAITING, "deferred"),
        (Behaviour(mail="550 5.7.1 not you"), State.WAITING, "refused_us"),
        (Behaviour(data="554 5.7.1 spam"), State.WAITING, "refused_us"),
        (Behaviour(rcpt="550 5.1.1 nobody"), State.FAILED, "rejected"),
    ],
)
async def test_whose_fault_a_refusal_is(side: Side, behaviour: Behaviour, state: State, reason: str) -> None:
    side.server.behaviour = behaviour
    outcome = await side.send()
    assert (outcome.state, outcome.reason) == (state, reason) and side.server.mails == []
    side.server.behaviour = Behaviour()
    await asyncio.wait_for(side.channel.ready(), 60)
    assert (await side.send(2)).state is State.ACCEPTED


async def test_a_connection_is_used_again_and_one_that_died_meanwhile_costs_nothing(side: Side) -> None:
    for number in range(1, 4):
        assert (await side.send(number)).state is State.ACCEPTED
    assert side.server.connections == 1
    await side.server.stop()
    await side.server.start()
    outcome = await side.send(4)
    if outcome.state is State.WAITING:  # the end of the connection had not come through yet
        await asyncio.wait_for(side.channel.ready(), 60)
        outcome = await side.send(4)
    assert outcome.state is State.ACCEPTED and len(side.server.mails) == 4


async def test_what_comes_back_is_a_receipt_by_envelope_or_by_what_was_returned(side: Side) -> None:
    outcome = await side.send()
    (mail,) = side.server.mails
    name = outcome.parts[0].message_id.removeprefix("relay/")
    assert bounces.read(report(mail, "failed")) == [PartReceipt("email", name, State.FAILED, "undeliv")]
    assert bounces.read(report(mail, "failed", envelope_id=False)) == [PartReceipt("email", name, State.FAILED, "undeliv")]
    assert bounces.read(report(mail, "delayed")) == [] and bounces.read(report(mail, "relayed")) == []
    for stranger in (b"", b"From: x\n\nI am on holiday.", report({"Message-ID": "<1@x>", "To": "a@b"}, "failed"), os.urandom(3000)):
        with pytest.raises(ValueError):
            bounces.read(stranger)


async def test_whatever_a_stranger_writes_to_the_address_of_bounces_is_refused_in_time(side: Side) -> None:
    nested = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(5000))
    for said in (nested, b"Content-Type: message/rfc822\r\n\r\n" * 20_000, {"no": "mail"}, ["neither"]):
        with pytest.raises(ValueError):
            await side.channel.ways[0].receive(said)


async def test_an_address_that_no_mail_can_have_is_not_the_relays_fault(side: Side) -> None:
    good = side.contact
    side.contact = replace(good, email="gül@example.org")
    outcome = await side.send()
    assert (outcome.state, outcome.reason) == (State.FAILED, "malformed")
    side.contact = good
    assert (await side.send(2)).state is State.ACCEPTED and side.channel.choose(side.channel.ways).up


def test_a_name_with_a_lines_end_makes_no_header_and_stops_no_mail(tmp_path: Path) -> None:
    region = world.region(tmp_path)
    named = tuple(replace(zone, names={**zone.names, "en": "Oak\r\nBcc: all@example.org\r\n"}) for zone in region.zones)
    region = replace(region, zones=named)
    event = world.event(region, "A", sent_ms=world.now_ms())
    mail = letter(Sending(1, event, world.contact(1), "en", 1, 1), region, MailRoute("relay", "h", SENDER), "a@example.org")
    assert mail["Bcc"] is None and "Bcc: all@example.org" in mail["Subject"]


async def test_tls_is_needed_where_it_is_configured_and_the_password_goes_over_nothing_else(tmp_path: Path) -> None:
    certificates, region = services.Certificates(tmp_path / "ca"), world.region(tmp_path)
    certificate, key = certificates.issue("mail")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    kept: list = []

    class Handler(Kept):
        def handle_message(self, message) -> None:
            kept.append(message)

    def known(server, session, envelope, mechanism, data) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"ews", b"pw"), handled=False)

    async def send(port: int, **changes: object):
        route = MailRoute("relay", "127.0.0.1", SENDER, port, "starttls", "ews", "pw", str(certificates.ca_file))
        way = MailWay(replace(route, **changes), lambda sending, route, address: letter(sending, region, route, address), 3.0)
        await way.start()
        try:
            event = world.event(region, "A", sent_ms=world.now_ms())
            return await way.send(Sending(1, event, replace(world.contact(1), email="a@b.example"), "en", 1, world.HOUR_MS))
        finally:
            await way.stop()

    secured = Controller(
        Handler(), "127.0.0.1", services.free_port(), tls_context=context, require_starttls=True, authenticator=known, auth_required=True
    )
    plain = Controller(Handler(), "127.0.0.1", services.free_port())
    await asyncio.to_thread(secured.start)
    await asyncio.to_thread(plain.start)
    try:
        assert (await send(secured.port)).state is State.ACCEPTED and len(kept) == 1
        wrong = await send(secured.port, password="other")
        assert (wrong.state, wrong.reason) == (State.WAITING, "refused_us"), wrong.detail
        stranger = await send(secured.port, ca_file="")
        assert (stranger.state, stranger.reason) == (State.WAITING, "connect"), "a relay that nobody vouches for gets nothing"
        bare = await send(plain.port)
        assert bare.state is State.WAITING and len(kept) == 1, "no TLS there: not sent in the clear"
    finally:
        await asyncio.to_thread(secured.stop)
        await asyncio.to_thread(plain.stop)


def test_what_a_name_holds_is_no_html(tmp_path: Path) -> None:
    region = world.region(tmp_path)
    zone = region.zones[0]
    evil = replace(region, zones=(replace(zone, names={"en": "<script>alert(1)</script>&"}), *region.zones[1:]))
    event = world.event(evil, zone.id, sent_ms=world.now_ms())
    html = page(event.alert, evil, "en", code="ZZTOP77")
    assert "ZZTOP77" in html and message.check_code(event.alert.identifier) not in html
    assert "<script" not in page(event.alert, evil, "en") and "&lt;script&gt;" in page(event.alert, evil, "en")


@pytest.mark.parametrize("kind", [EventKind.RAISE, EventKind.CLEAR])
@pytest.mark.parametrize("status", [Status.EXERCISE, Status.ACTUAL])
def test_the_class_and_the_mark_of_an_exercise_stand_at_the_top_and_an_end_says_so(tmp_path: Path, kind: EventKind, status: Status) -> None:
    region = world.region(tmp_path)
    event = world.event(region, "A", kind=kind, level=Level.HIGH, sent_ms=world.now_ms(), status=status)
    html = page(event.alert, region, "en")
    assert ("EXERCISE" in html) is (status is Status.EXERCISE)
    assert ("#d3222a" in html) is (kind is EventKind.RAISE) and ("#1f6fa8" in html) is (kind is EventKind.CLEAR)
    assert "http" not in html.replace("http-equiv", ""), "nothing is fetched when it is read"


async def test_the_urdu_mail_in_a_real_browser_runs_from_the_right(tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        services.absent("Chromium", "make services (Debian package chromium)")
    from playwright.async_api import async_playwright

    region = config.load("indus")
    event = world.event(region, "IND-GUDDU", level=Level.EXCEPTIONAL, sent_ms=1_756_260_000_000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            view = await browser.new_page(viewport={"width": 680, "height": 400}, device_scale_factor=1.5)
            await view.set_content(page(event.alert, region, "ur"))
            assert await view.evaluate("getComputedStyle(document.documentElement).direction") == "rtl"
            box = await view.evaluate(
                "(() => { const r = document.createRange(); r.selectNodeContents(document.querySelector('p')); "
                "const first = r.getClientRects()[0], p = document.querySelector('p').getBoundingClientRect(); "
                "return [p.right - first.right, document.documentElement.scrollWidth - innerWidth]; })()"
            )
            assert box[0] < 4 and box[1] <= 0, "the first line begins at the right edge, and nothing is wider than the screen"
            if folder := os.environ.get("WARNING_PICTURES"):
                await view.screenshot(path=Path(folder) / "mail-ur.png", full_page=True)
        finally:
            await browser.close()


def replace_cap(event, cap: str):
    import msgspec

    return msgspec.structs.replace(event, cap=cap)


def _sending(side: Side, attempt: int = 1) -> Sending:
    event = world.event(side.region, "A", sent_ms=side.raised_ms)
    return Sending(1, event, side.contact, side.contact.language, attempt, world.HOUR_MS)
