"""Two routes a channel: which one carries, when the next stands in, when the first comes back; and routes.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import channel_world as world
import pytest
from channel_centre import Centre
from channel_conformance import *  # noqa: F403 - the suite
from channel_conformance import Side
from typer.testing import CliRunner

from warning import cli, config_routes, config_routes_check
from warning.deployment import Deployment
from warning.dispatch.channel import Outcome, Part, Sending
from warning.dispatch.channels import Asks, build
from warning.dispatch.routed import Routed
from warning.dispatch.sms import text_of
from warning.errors import ConfigError, ExitCode
from warning.facts import ChannelState, Fact, RouteState
from warning.model import DeliveryState as State
from warning.proof import keys
from warning.rehearsal.telecom import Behaviour, Telecom
from warning.routes import FormRoute, KannelRoute, MailRoute, PushRoute, Routes, SmppRoute, VoiceRoute


@pytest.fixture
async def side(tmp_path: Path) -> AsyncIterator[Side]:
    """The suite over two SMS centres of which the first is dead: the second alone must do everything."""
    dead, centre, facts = Telecom(), Centre(world.region(tmp_path)), list[Fact]()
    telecom, dead_port = centre.telecom, await dead.start()
    await dead.stop()
    routes = Routes(
        sms=(SmppRoute("first", "127.0.0.1", "ews", "pw", dead_port), SmppRoute("second", "127.0.0.1", "ews", "pw", await telecom.start())),
        well_s=0.5,
    )
    asks = Asks(centre.words, centre.keep, lambda name: lambda up: facts.append(ChannelState(name, up)), facts.append)
    (channel,) = build(centre.region, Deployment(sms_sender="8080"), routes, asks).channels
    channel.look_s, channel.bind_s = 0.05, 0.0
    for way in channel.ways:
        way.link.answer_within_s = 2.0
    await channel.start()
    await asyncio.wait_for(channel.ready(), 60)
    made = centre.side(channel)
    made.first, made.second, made.facts = dead, telecom, facts
    yield made
    await channel.stop()
    await dead.stop()
    await telecom.stop()


async def test_the_first_carries_again_when_it_has_been_well_for_some_time(side: Side) -> None:
    side.channel.well_s = 60.0
    assert (await side.send()).route == "second"
    await side.first.start()
    await world.until(lambda: side.channel.ways[0].up, what="the first is bound")
    outcome = await side.send(2)
    assert outcome.route == "second", "it has not been well for long enough"
    side.channel.well_s = 0.5
    await world.until(lambda: side.channel.choose(side.channel.ways).name == "first", what="it has been well")
    outcome = await side.send(3)
    assert outcome.route == "first" and len(side.first.messages) == 1
    assert all(part.message_id.startswith("first/") for part in outcome.parts)
    told = [(fact.route, fact.up) for fact in side.facts if isinstance(fact, RouteState)]
    assert told[0] == ("first", False) and told[-1] == ("first", True)
    assert [fact.up for fact in side.facts if isinstance(fact, ChannelState)][-1] is True


async def test_while_both_bind_at_the_start_the_first_is_waited_for_and_then_carries(side: Side) -> None:
    channel = Routed("sms", side.channel.ways, lambda contact: contact.phone, lambda up: None, lambda fact: None, 60.0, look_s=0.01)
    watch = asyncio.create_task(channel._watch())
    await asyncio.sleep(0.1)
    assert channel.choose(channel.ways).name == "second", "the first is not there"
    await side.first.start()
    await world.until(lambda: channel.choose(channel.ways).name == "first", what="it was only binding")
    await side.first.stop()
    await world.until(lambda: channel.choose(channel.ways).name == "second", what="it is gone")
    await side.first.start()
    await world.until(lambda: side.channel.ways[0].up, what="it is back")
    await asyncio.sleep(0.1)
    assert channel.choose(channel.ways).name == "second", "what was lost once must stay well"
    watch.cancel()


async def test_what_was_under_way_on_a_route_that_died_is_unknown_and_goes_soon_over_the_other(side: Side) -> None:
    await side.first.start()
    await world.until(lambda: side.channel.choose(side.channel.ways).name == "first", what="both are well")
    side.first.behaviour = Behaviour(reset_after=2)  # takes the second part and breaks off before it answers
    outcome = await side.send()
    assert outcome.route == "first" and outcome.state is State.UNKNOWN and outcome.soon
    gone = tuple(part.number for part in outcome.parts if part.state is State.ACCEPTED)
    again = await side.send(2, skip=gone)
    assert again.route == "second" and again.state is State.ACCEPTED
    assert {part.number for part in again.parts} == {1, 2} - set(gone)


async def test_two_centres_that_number_alike_are_told_apart(side: Side) -> None:
    await side.first.start()
    side.first._born = side.second._born
    first = await side.send()
    await world.until(lambda: side.channel.choose(side.channel.ways).name == "first", what="both are well")
    second = await side.send(2)
    ids = [part.message_id for outcome in (first, second) for part in outcome.parts]
    await world.until(lambda: len(side.receipts) == 4, what="their receipts")
    assert {one.message_id for one in side.receipts} == set(ids) and len(set(ids)) == 4


class Scripted:
    """A route whose answers are written down; which is asked, and how often, is the test's question."""

    window = 1

    def __init__(self, name: str, *outcomes: Outcome) -> None:
        self.name, self.outcomes, self.asked, self.is_well, self.up = name, list(outcomes), 0, True, True

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def well(self) -> bool:
        return self.is_well

    async def send(self, sending: Sending) -> Outcome:
        self.asked += 1
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


GOOD = Outcome(State.ACCEPTED, parts=(Part(1, State.ACCEPTED, "1"),))


@pytest.mark.parametrize(
    ("said", "asked_second", "state"),
    [
        (Outcome(State.WAITING, "connect"), 1, State.ACCEPTED),
        (Outcome(State.WAITING, "refused_us"), 1, State.ACCEPTED),
        (Outcome(State.WAITING, "throttled"), 1, State.ACCEPTED),
        (Outcome(State.UNKNOWN, "timeout"), 0, State.UNKNOWN),
        (Outcome(State.FAILED, "rejected"), 0, State.FAILED),
        (Outcome(State.WAITING, "deferred"), 0, State.WAITING),
        (Outcome(State.WAITING, "connect", parts=(Part(1, State.ACCEPTED, "7"), Part(2, State.WAITING))), 0, State.WAITING),
    ],
)
async def test_only_what_a_route_certainly_did_not_take_goes_over_the_next_at_once(
    tmp_path: Path, said: Outcome, asked_second: int, state: State
) -> None:
    region = world.region(tmp_path)
    first, second = Scripted("a", said), Scripted("b", GOOD)
    now = [0.0]
    channel = Routed("sms", [first, second], lambda contact: contact.phone, lambda up: None, lambda fact: None, 60.0, lambda: now[0])
    event = world.event(region, "A", sent_ms=world.now_ms())
    sending = Sending(1, event, world.contact(1), "en", 1, world.HOUR_MS)
    outcome = await channel.send(sending)
    assert (outcome.state, second.asked) == (state, asked_second)
    if said.reason in ("rejected", "deferred", "throttled"):
        assert channel.choose([first, second]) is first, "the message's fault, or only its pace"
    else:
        assert channel.choose([first, second]) is second
        channel._health["a"].up = True
        now[0] = 59.9
        assert channel.choose([first, second]) is second
        now[0] = 60.0
        assert channel.choose([first, second]) is first


async def test_with_every_route_down_the_lane_waits_and_goes_on(tmp_path: Path) -> None:
    first, second = Scripted("a", Outcome(State.WAITING, "connect")), Scripted("b", Outcome(State.WAITING, "connect"))
    first.is_well = second.is_well = False
    channel = Routed("sms", [first, second], lambda contact: "x", lambda up: None, lambda fact: None, 60.0, look_s=0.01)
    event = world.event(world.region(tmp_path), "A", sent_ms=world.now_ms())
    sending = Sending(1, event, world.contact(1), "en", 1, world.HOUR_MS)
    await channel.start()
    assert (await channel.send(sending)).soon and (first.asked, second.asked) == (1, 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(channel.ready(), 0.3)
    second.is_well = True
    await asyncio.wait_for(channel.ready(), 60)
    assert channel.choose([first, second]) is second
    await channel.stop()


async def test_a_route_that_cannot_even_be_looked_at_takes_no_other_with_it(tmp_path: Path) -> None:
    first, second = Scripted("a", Outcome(State.WAITING, "connect")), Scripted("b", Outcome(State.WAITING, "connect"))
    asked = []

    async def breaks() -> bool:
        asked.append(1)
        raise UnicodeError("label too long")

    first.well, second.is_well = breaks, False
    channel = Routed("sms", [first, second], lambda contact: "x", lambda up: None, lambda fact: None, 60.0, look_s=0.01)
    event = world.event(world.region(tmp_path), "A", sent_ms=world.now_ms())
    await channel.start()
    await channel.send(Sending(1, event, world.contact(1), "en", 1, world.HOUR_MS))
    await world.until(lambda: len(asked) > 1, what="a second look")
    second.is_well = True
    await asyncio.wait_for(channel.ready(), 60)
    assert channel.choose([first, second]) is second
    await channel.stop()


async def test_what_a_gateway_repeats_of_the_address_is_not_handed_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    contact = replace(world.contact(1), email="amna@example.org")
    said = f"550 <{contact.email}>: no such user; to={contact.phone} to={contact.phone.removeprefix('+')}"
    for state in (State.FAILED, State.WAITING):
        channel = Routed(
            "email", [Scripted("a", Outcome(state, "connect", detail=said))], lambda contact: "x", lambda up: None, lambda fact: None
        )
        event = world.event(world.region(tmp_path), "A", sent_ms=world.now_ms())
        outcome = await channel.send(Sending(1, event, contact, "en", 1, world.HOUR_MS))
        assert outcome.detail == "550 <(address)>: no such user; to=(address) to=(address)"
    assert "no such user" in caplog.text and "amna" not in caplog.text and contact.phone[1:] not in caplog.text


FILE = """\
receipts: {port: 8086, url: https://ews.example.org/, token: "file:token"}
sms:
  - smpp: {name: jazz, host: smsc.example.net, user: ews, password: env:PW, sender: "8080"}
  - kannel: {name: spare, url: http://127.0.0.1:13013/cgi-bin/sendsms, user: ews, password: env:PW}
  - http: {name: twilio, gateway: twilio, sender: "+15005550006", values: {account: AC0}, secrets: {basic: env:PW}}
email:
  - smtp: {name: relay, host: mail.example.org, sender: "Flood warning <warning@example.org>"}
voice:
  - asterisk: {name: pbx, spool: /var/spool/asterisk/outgoing, dial: "PJSIP/{number}@trunk"}
broadcast:
  - cap: {name: cbe, url: https://cbe.example.net/cap, certificate_file: ews.pem, key_file: ews.pem}
card:
  - http: {name: pictures, gateway: signal, sender: "+92300", values: {host: "127.0.0.1:8090"}}
"""


def read(folder: Path, text: str, **environment: str) -> Routes:
    (folder / "ews.pem").write_text("x")
    (folder / "token").write_text("a1" * 12 + "\n")
    (folder / "routes.yaml").write_text(text.replace("file:token", f"file:{folder}/token"))
    return config_routes.load(folder / "routes.yaml", {"PW": "pw", **environment})


def test_the_file_becomes_routes_and_says_no_secret_aloud(tmp_path: Path) -> None:
    routes = read(tmp_path, FILE)
    assert [type(route) for route in routes.sms] == [SmppRoute, KannelRoute, FormRoute]
    assert isinstance(routes.email[0], MailRoute) and routes.email[0].tls == "starttls"
    assert isinstance(routes.voice[0], VoiceRoute) and routes.voice[0].done == "/var/spool/asterisk/outgoing_done"
    assert isinstance(routes.broadcast[0], PushRoute) and routes.broadcast[0].key_file == str(tmp_path / "ews.pem")
    assert routes.receipts("twilio") == "https://ews.example.org/receipts/twilio/" + "a1" * 12
    assert "'pw'" not in repr(routes) and "a1a1" not in repr(routes)
    assert config_routes.load("") == Routes()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("password: env:PW, sender", "password: pw, sender", r"routes\.yaml:3 \(sms\.0\.smpp\.password\).*must not stand in this file"),
        ("env:PW}\n  - http", "env:OTHER}\n  - http", r"sms\.spare.*env:OTHER cannot be read"),
        ("name: spare", "name: jazz", "two routes have this name"),
        ("name: spare", "name: Spare 1", "no name of a route"),
        ("gateway: twilio", "gateway: twillio", r"no gateway 'twillio'.*known: infobip, signal, twilio"),
        ("values: {account: AC0}, ", "", r"gateway twilio wants \{account\}.*give account under values"),
        ('"file:token"', "env:PW", "is no token"),
        ("PJSIP/{number}@trunk", "PJSIP/123", "no channel to dial"),
        ("certificate_file: ews.pem", "certificate_file: gone.pem", r"gone\.pem is not there"),
        ("url: https://ews.example.org/,", "url: 'https://[::1',", r"routes\.yaml:1.*receipts\.url.*is no URL"),
        ("  - smpp: {name: jazz", "  - smpp: {nam: jazz", r"routes\.yaml:3.*nam"),
        ('receipts: {port: 8086, url: https://ews.example.org/, token: "file:token"}\n', "", "its receipts have nowhere to come"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_fix(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in FILE
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, FILE.replace(old, new))


WRONG = """
receipts: {port: 8086, url: "http://ews.example.org/?a=b", token: "file:token"}
sms:
  - smpp: {name: jazz, host: "smpp://smsc.example.net:2775", user: a-system-id-of-20-octets, password: env:LONG, sender: "Flood warning !"}
  - kannel: {name: spare, url: "http://ews:pw@10.0.0.7:13013/cgi-bin/sendsms", user: ews, password: env:NONE}
email:
  - smtp: {name: relay, host: mail.example.org, sender: "Flood warning", tls: none, user: ews, password: env:LONG}
voice:
  - asterisk: {name: pbx, spool: /no/such/spool, dial: "PJSIP/{number}@trunk"}
broadcast:
  - cap: {name: cbe, url: "http://cbe.example.net/cap", certificate_file: ews.pem, key_file: ews.pem}
"""


def test_all_that_would_not_work_is_said_at_once_with_file_key_and_fix(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a1" * 12)
    (tmp_path / "ews.pem").write_text("no certificate")
    file = tmp_path / "routes.yaml"
    file.write_text(WRONG.replace('"file:token"', f'"file:{tmp_path}/token"'))
    region = world.region(tmp_path / "region", [world.contact(1, channels=("card", "sms"))])
    found = config_routes_check.check(file, region, {"LONG": "more than eight"}, keys.ends)
    said = {problem.where.rpartition(" (")[2].rstrip(")"): problem for problem in found}
    assert all(problem.fix and str(file) in problem.where for problem in found)
    assert {key for key, problem in said.items() if problem.fatal} == {
        "sms.jazz.host",
        "sms.jazz.user",
        "sms.jazz.sender",
        "sms.spare.url",
        "sms.spare",  # its secret
        "email.relay.sender",
        "email.relay.tls",
        "broadcast.cbe.certificate_file",
        "receipts.url",
    }
    warned = {key for key, problem in said.items() if not problem.fatal}
    assert warned == {"sms.jazz.password", "voice.pbx.spool", "broadcast.cbe.url", "card"}
    assert "eight" not in " ".join(map(str, found)).replace("more than", ""), "no secret is said aloud"


@pytest.mark.parametrize(("days", "said"), [(-1, "ended"), (9, "ends"), (90, "")])
def test_a_certificate_that_ends_is_said_in_time(tmp_path: Path, days: int, said: str) -> None:
    now = datetime.now(UTC)
    keys.make(tmp_path, "ews", "Flood authority", now - timedelta(days=100), now + timedelta(days=days))
    file = tmp_path / "routes.yaml"
    key = next(tmp_path.glob("ews.*key*")).name
    file.write_text(f"broadcast:\n  - cap: {{name: cbe, url: 'https://cbe.example.net/cap', certificate_file: ews.crt, key_file: {key}}}\n")
    found = config_routes_check.check(file, None, {}, keys.ends)
    assert [problem.what.split()[0] for problem in found] == [said] * bool(said)
    assert all(problem.fatal is (days < 0) for problem in found)


def test_check_says_what_is_wrong_with_the_routes(tmp_path: Path) -> None:
    world.region(tmp_path)
    (tmp_path / "routes.yaml").write_text("sms:\n  - smpp: {name: jazz, host: 'a b', user: ews, password: env:NO_SUCH_VARIABLE}\n")
    done = CliRunner().invoke(cli.app, ["check", str(tmp_path), "--routes", str(tmp_path / "routes.yaml")])
    assert done.exit_code == ExitCode.CONFIG
    assert (
        "(sms.jazz.host): 'a b' is no host (a name or address alone" in done.output and "env:NO_SUCH_VARIABLE cannot be read" in done.output
    )


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("request: {url: https://x/, json: {to: '{to}'}}", "says nowhere what to send"),
        ("request: {url: https://x/, json: {text: '{text}'}}", "says nowhere whom it is for"),
        ("request: {url: 'https://x/?t={text}&to={to}', method: GET, json: {}}", "GET has no body"),
        ("request: {url: https://x/, json: {t: '{text}{to}'}, form: {a: b}}", "more than one body"),
        ("request: {url: https://x/, json: {t: '{text}{to}'}}\nresponse: {status: a}", "without response.accepted"),
        ("request: {url: https://x/, json: {t: '{text}{to}'}}\nresponse: {message_id: 'a['}", "no JMESPath"),
        (
            "request: {url: https://x/, json: {t: '{text}{to}'}}\nreceipt: {message_id: a, status: b, delivered: [c], failed: [d]}",
            "could not be told whose it is",
        ),
    ],
)
def test_a_form_that_could_not_work_is_refused(tmp_path: Path, form: str, said: str) -> None:
    (tmp_path / "gateways").mkdir()
    (tmp_path / "gateways" / "twilio.yaml").write_text(form)
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, FILE)


async def test_without_routes_there_is_the_one_centre_of_before_and_with_them_it_is_the_first(tmp_path: Path) -> None:
    region, where = world.region(tmp_path), Deployment(smpp_user="ews", smpp_password="pw")
    asks = Asks(lambda *_: text_of("x"), None, lambda name: lambda up: None, lambda fact: None)  # type: ignore[arg-type]
    (alone,) = build(region, where, Routes(), asks).channels
    assert type(alone).__name__ == "SmsChannel" and alone.name == "sms"
    built = build(region, where, read(tmp_path, FILE), asks)
    assert {channel.name: [way.name for way in channel.ways] for channel in built.channels} == {
        "sms": ["", "jazz", "spare", "twilio"],
        "email": ["relay"],
        "voice": ["pbx"],
        "card": ["pictures"],
        "broadcast": ["cbe"],
    }
    assert built.receipts is not None and set(built.receipts.readers) == {"spare", "twilio", "relay", "pictures"}
    by_name = {channel.name: channel for channel in built.channels}
    someone = replace(world.contact(1), email="a@b.example", channels=("sms",))
    official = replace(someone, role="official", voice=True, channels=("broadcast", "card"))
    assert [name for name, channel in by_name.items() if channel.address(someone)] == ["sms", "email"]
    assert [name for name, channel in by_name.items() if channel.address(official)] == ["sms", "voice", "email", "card", "broadcast"]
    assert by_name["broadcast"].address(replace(official, role="public")) == ""
