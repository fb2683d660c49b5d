"""What lasts is told to operators again, and its end, by every way that they have: mail and webhooks, and SMS within bounds."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import channel_world as world
import pytest
from alert_region import T0
from sqlalchemy.exc import DBAPIError
from test_dispatch import bootstrap, dispatching, outside  # noqa: F401 - a fixture among them
from test_ledger import ledger, server, url  # noqa: F401 - fixtures: SQLite and PostgreSQL
from test_waiting import FIRST
from test_waiting import Desk as Waits
from test_waiting import event as waits

from warning import config_routes
from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import Approval
from warning.deployment import Deployment
from warning.dispatch import lasting as lasting_module
from warning.dispatch.channel import Outcome, Part, Sending
from warning.dispatch.lasting import Lasting, State
from warning.dispatch.ledger import Ledger
from warning.dispatch.notice import Notices, Observed
from warning.dispatch.operator_sms import OperatorTexts, text_of
from warning.dispatch.operators import OperatorPosts, told
from warning.dispatch.sms import reference
from warning.errors import ConfigError
from warning.facts import nobody
from warning.model import DeliveryState, Level, Status
from warning.people.told import OperatorTexted
from warning.region import Contact
from warning.routes import Routes

M = 60_000
DUTY = world.contact(1, role="operator", hook="agency")


class Desk:
    """Operators, what they are told, and the clock."""

    def __init__(self, of: Ledger, *operators: Contact) -> None:
        self.at_ms, self.people, self.told = 1_756_260_000_000, [DUTY, *operators], list[tuple[str, str, dict[str, Any]]]()
        self.lasting = Lasting(of, self.operators, self.tell, lambda: self.at_ms, 30 * M)

    async def operators(self) -> list[Contact]:
        return self.people

    async def tell(self, contact: Contact, identifier: str, body: str) -> None:
        said = json.loads(body)
        self.told.append((contact.id, said["type"], said["data"]))

    async def look(self, minute: int, *names: str, **how: Any) -> list[tuple[str, str, int]]:
        """(operator, type, times) of what is told then."""
        self.told.clear()
        self.at_ms += (minute - getattr(self, "minute", 0)) * M
        self.minute = minute
        states = {name: State({"zone": name}, lambda contact: contact.live is False) for name in names}
        await self.lasting.look("alert.untold", states, **how)
        return [(who, kind, data["times"]) for who, kind, data in self.told]


async def test_it_is_told_at_once_and_every_half_hour_and_its_end_also_over_a_restart(ledger: Ledger) -> None:  # noqa: F811
    live = world.contact(2, role="operator", live=True)
    desk = Desk(ledger, live)
    assert await desk.look(0, "A") == [("c1", "alert.untold", 1)], "the gate lets no live one hear of it"
    assert await desk.look(29, "A") == []
    assert await desk.look(30, "A") == [("c1", "alert.untold", 2)]
    again = Desk(ledger, world.contact(3, role="operator"))
    assert await again.look(45, "A") == [] and await again.look(59, "A") == []
    assert await again.look(60, "A") == [("c1", "alert.untold", 3), ("c3", "alert.untold", 3)], "whoever is there by then"
    assert again.told[0][2]["since"] == "2025-08-27T02:00:00Z"
    last = Desk(ledger, world.contact(3, role="operator"), world.contact(4, role="operator"))
    assert await last.look(70) == [] and await last.look(70) == [], "it may come back"
    assert await last.look(72) == [("c1", "alert.untold.ended", 3), ("c3", "alert.untold.ended", 3)], "who heard of it hears of its end"
    assert last.told[0][2]["lasted_s"] == 70 * 60
    assert await Desk(ledger).look(200) == []
    assert await last.look(300, "A") == [("c1", "alert.untold", 1), ("c3", "alert.untold", 1), ("c4", "alert.untold", 1)]


async def test_what_comes_and_goes_is_one_state_and_what_a_next_stage_follows_has_not_ended(ledger: Ledger) -> None:  # noqa: F811
    desk = Desk(ledger)
    first, second = "ews.oak.A.1.1", "ews.oak.A.1.2"
    assert len(await desk.look(0, first, of=chain_of)) == 1
    assert await desk.look(1, of=chain_of) == [] and await desk.look(1, first, of=chain_of) == []
    assert await desk.look(2, second, of=chain_of) == [("c1", "alert.untold", 1)], "a new one, and no word of an end"
    assert await desk.look(3, of=chain_of) == []
    assert await desk.look(5, of=chain_of) == [("c1", "alert.untold.ended", 1)]


async def test_whoever_told_the_begin_and_tells_the_end_is_heard_only_in_between(ledger: Ledger) -> None:  # noqa: F811
    desk = Desk(ledger)
    assert await desk.look(0, "oak", begun=True, ends=False) == []
    assert await desk.look(30, "oak", begun=True, ends=False) == [("c1", "alert.untold", 2)]
    assert await desk.look(31, ends=False) == [] and await desk.look(40, ends=False) == []


async def test_a_ledger_that_is_away_lets_nobody_hear_it_twice_and_loses_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    desk = Desk(ledger)
    await desk.look(0)
    with monkeypatch.context() as away:
        away.setattr(ledger, "writing", lambda: (_ for _ in ()).throw(DBAPIError("INSERT", {}, OSError("gone"))))
        for _ in range(2):
            with pytest.raises(DBAPIError):
                await desk.look(1, "A")
    assert [kind for _, kind, _ in desk.told] == [], "told at the first look, and not at the second"
    assert await desk.look(2, "A") == []
    assert await Desk(ledger).look(3, "A") == [], "it stands there now"


async def test_what_waits_for_a_release_or_is_held_for_want_of_an_answer_is_told_again_until_it_is_over(
    ledger: Ledger,  # noqa: F811
    tmp_path: Path,
) -> None:
    desk, at = Waits(tmp_path), [T0 + 1000]
    desk.waiting.region = replace(desk.waiting.region, alert=replace(desk.waiting.region.alert, unanswered="hold"))
    desk.waiting.lasting = Lasting(ledger, desk._operators, desk._tell, lambda: at[0], 20 * M)
    desk.waiting.see(waits(FIRST))
    for minute in range(1, 61):
        at[0] = T0 + minute * M
        await desk.look(at[0])
    reminders, ruled = ["approval~waiting~1", "approval~waiting~2", "approval~waiting~3"], ["approval~unanswered"]
    assert desk.told == [*reminders, *ruled, "approval~waiting", "approval~waiting"], "of a quarter of an hour, then every twenty minutes"
    desk.waiting.people.approvals = (Approval(chain_of(FIRST.identifier), Level.EXCEPTIONAL, "A. Khan", at[0], True),)
    for minute in range(61, 70):
        at[0] = T0 + minute * M
        await desk.look(at[0])
    assert desk.told[6:] == ["approval~waiting~ended"]
    await desk.decisions.close()


async def test_silent_zones_are_told_of_again_and_not_when_they_speak(
    ledger: Ledger,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("warning.dispatch.notice.QUIET_S", 0.0)
    desk = Desk(ledger)
    made = Notices(world.region(tmp_path), Deployment(directory=tmp_path), ledger, Quiet(), nobody, desk.operators, desk.lasting)
    await made._tell([Observed("A", desk.at_ms, Level.UNKNOWN, desk.at_ms, 7), Observed("B", desk.at_ms, Level.UNKNOWN, None, 8)])
    for minute, silent in ((0, 0), (29, 0), (30, 2), (60, 0), (89, 0), (90, 2), (209, 0), (210, 2)):  # a gauge may be broken for weeks
        desk.told.clear()
        desk.at_ms = 1_756_260_000_000 + minute * M
        await made._remind()
        assert [data["silent"] for _, _, data in desk.told] == [silent] * bool(silent)
    assert [desk.lasting._pause_ms("zones.observed", times) // M for times in (1, 2, 6, 7, 999)] == [30, 60, 960, 1440, 1440]
    assert [zone["zone"] for zone in desk.told[0][2]["zones"]] == ["A", "B"] and desk.told[0][1] == "zones.observed"
    await made._tell([Observed("A", desk.at_ms, Level.LOW, None, 9), Observed("B", desk.at_ms, Level.LOW, None, 9)])
    desk.told.clear()
    desk.at_ms += 60 * M
    await made._remind()
    await asyncio.gather(*made._under_way)
    assert desk.told == [] and made._silent == {}


async def test_one_that_falls_silent_beside_a_gauge_that_is_broken_for_weeks_is_told_of_again_soon(
    ledger: Ledger,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or a webhook that is away for a minute loses it for a day."""
    monkeypatch.setattr("warning.dispatch.notice.QUIET_S", 0.0)
    desk = Desk(ledger)
    made = Notices(world.region(tmp_path), Deployment(directory=tmp_path), ledger, Quiet(), nobody, desk.operators, desk.lasting)
    await made._tell([Observed("A", desk.at_ms, Level.UNKNOWN, desk.at_ms, 7)])
    for day in range(10):
        desk.at_ms = 1_756_260_000_000 + day * 1440 * M
        await made._remind()
    await made._tell([Observed("B", desk.at_ms, Level.UNKNOWN, desk.at_ms, 8)])
    desk.told.clear()
    seen = list[tuple[int, int]]()
    for minute in range(0, 100, 10):
        desk.at_ms = 1_756_260_000_000 + (9 * 1440 + minute) * M
        await made._remind()
        seen += [(minute, data["silent"]) for _, _, data in desk.told]
        desk.told.clear()
    await asyncio.gather(*made._under_way)
    assert seen == [(30, 2), (90, 2)]


async def test_that_a_payment_waits_no_more_is_told_and_how_often_is_not_our_affair(ledger: Ledger) -> None:  # noqa: F811
    desk = Desk(ledger)

    async def waits(minute: int, *cases: str) -> list[str]:
        desk.told.clear()
        desk.at_ms = 1_756_260_000_000 + minute * M
        await desk.lasting.look("cash.waiting", {case: State({"case": case}, lambda contact: True) for case in cases}, begun=True)
        return [kind for _, kind, _ in desk.told]

    assert [await waits(minute, "oak:1") for minute in (0, 31, 600)] == [[], [], []]
    assert [await waits(minute) for minute in (601, 603)] == [[], ["cash.waiting.ended"]]


class Quiet:
    async def post(self, contact: Contact, identifier: str, body: str) -> Outcome:
        return Outcome(DeliveryState.DELIVERED)


# --- by SMS


class Centre:
    """A channel of SMS. ``open``: would it take one?"""

    name, open = "sms", True

    def __init__(self, state: DeliveryState = DeliveryState.ACCEPTED) -> None:
        self.state, self.sent = state, list[Sending]()

    async def ready(self) -> None:
        if not self.open:
            await asyncio.Event().wait()

    async def send(self, sending: Sending) -> Outcome:
        self.sent.append(sending)
        return Outcome(self.state, "", parts=(Part(1, self.state, "x"),))


def texts(tmp_path: Path, centre: Centre, per_hour: int = 4) -> tuple[OperatorTexts, list[Any], list[float]]:
    facts, now = list[Any](), [0.0]
    made = OperatorTexts(centre, world.region(tmp_path), per_hour, facts.append, lambda: 1_756_260_000_000, lambda: now[0])  # type: ignore[arg-type]
    made._pace.rate = made._pace.most = 1000.0
    return made, facts, now


def body(kind: str = "alert.untold", **data: Any) -> str:
    return json.dumps({"type": kind, "timestamp": "x", "data": {"zone": "A", "level": "HIGH", "identifier": "ews.oak.A.1.1", **data}})


async def test_a_storm_fills_no_night_and_leaves_room_for_what_wakes_rightly(tmp_path: Path) -> None:
    centre = Centre()
    made, facts, now = texts(tmp_path, centre)
    silent = body("zones.observed", zones=[{"zone": "A", "level": "UNKNOWN"}])
    states = [(await made.post(DUTY, f"n{number}", silent)).state for number in range(5)]
    assert states == [DeliveryState.DELIVERED] * 2 + [DeliveryState.FAILED] * 3, "half of them"
    states = [(await made.post(DUTY, f"u{number}", body())).state for number in range(5)]
    assert states == [DeliveryState.DELIVERED] * 2 + [DeliveryState.FAILED] * 3
    assert "(+3 notices by mail or log)" in centre.sent[2].text and "(+" not in centre.sent[3].text
    assert (await made.post(world.contact(2, role="operator"), "other", body())).state is DeliveryState.DELIVERED, "each has his own"
    now[0] = 3601.0
    assert (await made.post(DUTY, "later", body())).state is DeliveryState.DELIVERED
    assert [facts.count(OperatorTexted(what)) for what in ("sent", "kept_back", "failed")] == [6, 6, 0]
    assert len({sending.delivery for sending in centre.sent}) == 6 and all(sending.delivery < 0 for sending in centre.sent)
    assert len({reference(sending) for sending in centre.sent}) > 1, "parts of two messages are not put together on the phone"


async def test_what_waited_for_a_closed_way_is_bounded_too_when_it_opens(tmp_path: Path) -> None:
    centre, opens = Centre(), asyncio.Event()
    centre.ready = opens.wait  # type: ignore[method-assign,assignment]
    made, facts, _ = texts(tmp_path, centre)
    posts = [asyncio.create_task(made.post(DUTY, f"n{number}", body())) for number in range(50)]
    await asyncio.sleep(0.05)
    opens.set()
    states = [outcome.state for outcome in await asyncio.gather(*posts)]
    assert len(centre.sent) == states.count(DeliveryState.DELIVERED) == 4 and facts.count(OperatorTexted("kept_back")) == 46


async def test_nobody_but_an_operator_of_this_kind_of_deployment_gets_one(tmp_path: Path) -> None:
    centre = Centre()
    made, _, _ = texts(tmp_path, centre)
    others = (world.contact(1), world.contact(2, role="official"), world.contact(3, role="operator", live=True))
    for contact in (*others, world.contact(4, role="operator", phone=False)):
        assert not made.reaches(contact) and (await made.post(contact, "n", body())).state is DeliveryState.FAILED
    assert centre.sent == []
    actual = OperatorTexts(centre, replace(made.region, status=Status.ACTUAL), 4, nobody, lambda: 0)  # type: ignore[arg-type]
    assert actual.reaches(others[2]) and not actual.reaches(DUTY)


async def test_a_closed_way_holds_no_mail_up_and_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warning.dispatch.operator_sms.OPEN_S", 0.05)
    centre, hooks = Centre(), list[str]()
    made, _, _ = texts(tmp_path, centre, per_hour=1)
    centre.open = False

    class Hooks:
        async def post(self, contact: Contact, identifier: str, body: str) -> Outcome:
            hooks.append(identifier)
            return Outcome(DeliveryState.DELIVERED)

    posts = OperatorPosts(Hooks(), (), made.region, made)
    assert posts.by_phone and (await posts.post(DUTY, "n1", body())).state is DeliveryState.WAITING
    centre.open = True
    monkeypatch.setattr("warning.dispatch.operators.RETRIES_S", (0.0, 0.0))
    await told(posts, DUTY, "n1", body())
    assert hooks == ["n1"] and len(centre.sent) == 1, "each way once"
    await told(posts, DUTY, "n2", body("report.differs"))
    assert hooks == ["n1", "n2"] and len(centre.sent) == 1, "nobody is woken for a report"
    await told(posts, DUTY, "n4", body("zones.observed", zones=[{"zone": "A", "level": "UNKNOWN"}], times=2))
    assert hooks.pop() == "n4" and len(centre.sent) == 1 and not made._kept_back, "nor, at night, for what was said before"
    for _ in range(3):  # as for another way that is closed
        assert (await posts.post(DUTY, "n3", body())).state is DeliveryState.DELIVERED
    assert hooks[2:] == ["n3"] and made._kept_back == {"c1": 1}, "what was kept back once is not kept back again"
    await posts.close()


def test_an_sms_says_what_where_and_since_when_in_two_parts(tmp_path: Path) -> None:
    region = world.region(tmp_path)
    said = json.loads(body(since="2025-08-27T02:00:00Z", times=3))
    text = text_of(region, said, 2)
    assert text.startswith("OPERATOR ") and "still, since 27 Aug 07:00: NOBODY is told of this warning, HIGH Alder" in text
    assert text.endswith("ews.oak.A.1.1 (+2 notices by mail or log)")
    waits_for = text_of(region, json.loads(body("approval.waiting", left_s=720, unanswered="send")))
    assert "waits for your release, HIGH Alder, 12 min left, then: send" in waits_for
    ended = {"lasted_s": 4200, "times": 3, "since": "2025-08-27T02:00:00Z", "ended": "x", "left_s": 720, "unanswered": "send"}
    over = text_of(region, json.loads(body("approval.waiting.ended", **ended)))
    assert "over after 70 min: waits for your release, HIGH Alder, ews.oak" in over
    zones = [{"zone": f"zone-{number:03}" * 9, "level": "UNKNOWN"} for number in range(40)] + [{"zone": "A", "level": "LOW"}]
    many = text_of(region, json.loads(body("zones.observed", zones=zones)), 12)
    assert len(many) <= 300 and "gauges, 40 silent: zone-000" in many and many.endswith("(+12 notices by mail or log)")


async def test_an_operators_phone_hears_that_nobody_is_told_and_that_it_is_over(
    bootstrap: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through the dispatcher and SMPP; by default of a deployment with routes alone."""
    monkeypatch.setattr(lasting_module, "QUIET_MS", 100)
    duty, far = world.contact(9, role="operator", districts=("lower",)), world.contact(1, districts=("lower",))
    region = world.region(tmp_path, [duty, far])
    region = replace(region, alert=replace(region.alert, escalate_after_s=1))  # looked at twice a second
    where = await world.deployment(bootstrap, tmp_path, "texted")
    routes = Routes(operator_sms_per_hour=6, repeat_s=0.6)
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver, routes=routes):
        event = world.event(region, "A", sent_ms=world.now_ms())
        await world.publish(where, [event])
        await world.until(lambda: len(telecom.messages) >= 2, what="and again")
        cancel = world.event(region, "A", 2, world.EventKind.CLEAR, sent_ms=world.now_ms(), raised_ms=event.alert.raised_ms)
        await world.publish(where, [cancel])
        await world.until(lambda: "over after" in telecom.messages[-1]["text"], what="its end")
        assert {message["destination"] for message in telecom.messages} == {"9992000009"}
        first, second = (message["text"] for message in telecom.messages[:2])
        assert "NOBODY is told of this warning, HIGH Alder" in first and "still, since" in second


def test_routes_say_how_often_and_how_many(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text("well_s: 60\n")
    assert (config_routes.load(file).repeat_s, config_routes.load(file).operator_sms_per_hour) == (1800.0, 6)
    file.write_text("operators: {repeat_minutes: 5, sms_per_hour: 0}\n")
    assert (config_routes.load(file).repeat_s, config_routes.load(file).operator_sms_per_hour) == (300.0, 0)
    file.write_text("operators: {repeat_minutes: 0}\n")
    with pytest.raises(ConfigError, match="repeat_minutes"):
        config_routes.load(file)
