"""People decide, on a real broker, a real dispatcher, a real SMS centre and receiver: release, call off, raise, correct, cancel."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import channel_world as world
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from test_dispatch import bootstrap, dispatching, outside, settled  # noqa: F401

from warning.alerts import cap, lint, manual
from warning.alerts.lifecycle import chain_of
from warning.alerts.parsed import parse
from warning.alerts.rules import Silence
from warning.dispatch.ledger import Ledger
from warning.errors import InputError
from warning.facts import ApprovalsWaiting
from warning.model import AlertEvent, EventKind, Level, Status
from warning.people.directory import Directory
from warning.people.imports import merge
from warning.people.tables import address
from warning.proof.authority import Authority
from warning.proof.decisions import Decisions

HOUR_MS = world.HOUR_MS


@asynccontextmanager
async def authority(region, where):
    decisions = Decisions(where.database)
    desk = Authority(region, where.database, decisions, replay=where.replay)
    try:
        yield desk
    finally:
        await desk.close()
        await decisions.close()


def texts(telecom) -> list[tuple[str, str]]:
    return [(message["destination"][-1], message["text"]) for message in telecom.messages]


async def published(where) -> list[AlertEvent]:
    consumer = AIOKafkaConsumer(bootstrap_servers=where.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition(where.alerts, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        consumer.seek(partition, 0)
        found: list[AlertEvent] = []
        while len(found) < end:
            for records in (await consumer.getmany(timeout_ms=300)).values():
                found += [msgspec.json.decode(record.value, type=AlertEvent) for record in records]
        return found
    finally:
        await consumer.stop()


async def test_an_alert_by_hand_is_raised_corrected_and_cancelled(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    """Each revision goes out once to whoever it concerns, stands on the log in CAP that lints, and in the audit with who."""
    region = world.region(tmp_path, [world.contact(1), world.contact(2, level=Level.VERY_HIGH)])
    where = await world.deployment(bootstrap, tmp_path, "by-hand")
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver), authority(region, where) as desk:
        first = await desk.raise_alert("A", Level.HIGH, "Breach at the bund", 6, "A. Khan", world.now_ms())
        await world.until(lambda: len(telecom.messages) == 1, what="the raise")
        second = await desk.correct(first.alert.identifier, Level.VERY_HIGH, "It widens", 6, "B. Shah", world.now_ms() + 1000, key="k2")
        await world.until(lambda: len(telecom.messages) == 3, what="the correction")
        third = await desk.cancel(second.alert.identifier, "Closed", "A. Khan", world.now_ms() + 2000)
        await world.until(lambda: len(telecom.messages) == 5, what="the end")
        await settled(where, region)
        with pytest.raises(InputError, match="is over"):
            await desk.correct(first.alert.identifier, Level.LOW, "again", 6, "A. Khan", world.now_ms() + 3000)
        acts = await desk.decisions.acts()
    assert Counter(number for number, _ in texts(telecom)) == {"1": 3, "2": 2}
    assert [(act.kind, act.by, act.key) for act in reversed(acts)] == [
        ("raise", "A. Khan", ""),
        ("correct", "B. Shah", "k2"),
        ("cancel", "A. Khan", ""),
    ]
    log = await published(where)
    assert [event.alert.identifier for event in log] == [one.alert.identifier for one in (first, second, third)]
    assert [(event.alert.revision, event.alert.kind) for event in log] == [
        (0, EventKind.RAISE),
        (1, EventKind.UPGRADE),
        (2, EventKind.CLEAR),
    ]
    for number, event in enumerate(log):
        assert not lint.lint(event.cap, region, [parse(before.cap) for before in log[:number]])
    assert [parse(event.cap).msg_type for event in log] == ["Alert", "Update", "Cancel"]


async def test_what_was_called_off_comes_again_when_that_runs_out_and_the_water_is_still_above(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    """Once: where nothing came since, where a revision was refused meanwhile, and where the newest is of a kind that nobody is told of."""
    region = world.region(tmp_path, [world.contact(1)])
    region = replace(region, alert=replace(region.alert, call_off_for_s=3600))
    where = await world.deployment(bootstrap, tmp_path, "again")
    start, ahead = world.now_ms() - 60_000, [0]
    clock = lambda: world.now_ms() + ahead[0]  # noqa: E731
    async with (
        outside() as (telecom, receiver),
        dispatching(region, where, telecom, receiver, clock=clock),
        authority(region, where) as desk,
    ):
        zones = [zone.id for zone in region.zones[:4]]
        autos = {zone: world.event(region, zone, 0, sent_ms=start, raised_ms=start) for zone in zones}
        await world.publish(where, list(autos.values()))
        await world.until(lambda: len(telecom.messages) == 4, what="the raises")
        ends = [await desk.cancel(auto.alert.identifier, "Misread", "A. Khan", world.now_ms()) for auto in autos.values()]
        await world.until(lambda: len(telecom.messages) == 8, what="the cancels by hand")
        then = world.now_ms()
        later = [
            world.event(region, zones[1], 1, EventKind.ARRIVAL, sent_ms=then, raised_ms=start, previous=Level.HIGH),
            world.event(region, zones[2], 1, EventKind.RENEW, sent_ms=then, raised_ms=start, previous=Level.HIGH),
            world.event(region, zones[3], 1, EventKind.CLEAR, Level.NORMAL, sent_ms=then, raised_ms=start, previous=Level.HIGH),
        ]
        await world.publish(where, later)
        for event in later:
            await world.until(lambda event=event: _known(where, region, event), what="it is read")
        ahead[0] = HOUR_MS
        await world.until(lambda: len(telecom.messages) == 11, what="three come again")
        await settled(where, region)
        await world.until(lambda: _acted(desk, "call_off_over", len(autos)), what="that each has run out is entered")
        acts = await desk.decisions.acts()
        again = await desk.cancel(autos[zones[0]].alert.identifier, "Still misread", "B. Shah", clock())
        await world.until(lambda: len(telecom.messages) == 12, what="called off once more")
    note = parse(ends[0].cap).note
    assert note is not None and "it is told again" in note and cap.time(ends[0].alert.expires_ms, region) in note
    assert ends[0].alert.expires_ms - ends[0].alert.sent_ms == HOUR_MS and again.alert.identifier != ends[0].alert.identifier
    said = [(act.kind, act.by, act.subject) for act in reversed(acts) if act.kind not in ("cancel",)]
    assert sorted(one for one in said if one[0] == "resend") == sorted(
        ("resend", "rule:call_off_over", chain_of(autos[zone].alert.identifier)) for zone in zones[:2]
    )
    assert sorted(one[2] for one in said if one[0] == "call_off_over") == sorted(chain_of(one.alert.identifier) for one in autos.values())
    assert len(said) == 6


async def test_an_automatic_alert_that_a_person_cancels_goes_nowhere_until_it_rises(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    region = world.region(tmp_path, [world.contact(1)])
    where = await world.deployment(bootstrap, tmp_path, "called-off")
    start = world.now_ms() - 60_000
    chain = {"raised_ms": start}
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver), authority(region, where) as desk:
        auto = world.event(region, "A", 0, sent_ms=start, **chain)
        await world.publish(where, [auto])
        await world.until(lambda: len(telecom.messages) == 1, what="the raise")
        cancel = await desk.cancel(auto.alert.identifier, "The gauge was hit by a log", "A. Khan", world.now_ms())
        await world.until(lambda: len(telecom.messages) == 2, what="the cancel by hand")
        with pytest.raises(InputError, match="stand in its place"):
            await desk.cancel(auto.alert.identifier, "The same", "B. Shah", world.now_ms() + 2000)
        arrival = world.event(region, "A", 1, EventKind.ARRIVAL, sent_ms=world.now_ms() + 2000, previous=Level.HIGH, **chain)
        await world.publish(where, [arrival])
        await world.until(lambda: _reason(where, region, "called_off"), what="the next revision is refused")
        higher = world.event(
            region, "A", 2, EventKind.UPGRADE, Level.VERY_HIGH, sent_ms=world.now_ms() + 4000, previous=Level.HIGH, **chain
        )
        lower = world.event(region, "A", 3, EventKind.DOWNGRADE, sent_ms=world.now_ms() + 6000, previous=Level.VERY_HIGH, **chain)
        end = world.event(region, "A", 4, EventKind.CLEAR, Level.NORMAL, sent_ms=world.now_ms() + 8000, previous=Level.HIGH, **chain)
        for number, event in enumerate((higher, lower, end), 3):
            await world.publish(where, [event])
            await world.until(lambda number=number: len(telecom.messages) == number, what=event.alert.kind.value)
        await settled(where, region)
        await world.until(lambda: _acted(desk, "resumed"), what="that it speaks again is entered within a second")
        acts = await desk.decisions.acts()
    assert manual.by_hand(cancel.alert) and parse(cancel.cap).references[0][1] == auto.alert.identifier
    assert [act.kind for act in reversed(acts)] == ["cancel", "resumed"]
    assert acts[0].by == "rule:higher_class" and acts[0].what["identifier"] == higher.alert.identifier
    assert "Closed" not in " ".join(text for _, text in texts(telecom))


async def _acted(desk, kind: str, times: int = 1) -> bool:
    return [act.kind for act in await desk.decisions.acts()].count(kind) >= times


async def _delivered(where, event: AlertEvent) -> bool:
    return (event.alert.identifier, "delivered") in [(one.alert, one.state.value) for one in await world.receipts(where)]


async def _reason(where, region, reason: str) -> bool:
    return reason in [receipt.reason for receipt in await world.receipts(where)]


async def test_what_waits_of_a_chain_does_not_go_after_its_correction(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    """The centre is away when the alert is raised; it comes back after a person lowered it: nobody gets the higher one."""
    region = world.region(tmp_path, [world.contact(number) for number in range(1, 6)])
    where = await world.deployment(bootstrap, tmp_path, "lowered")
    async with outside() as (telecom, receiver):
        await telecom.stop()
        async with dispatching(region, where, telecom, receiver), authority(region, where) as desk:
            auto = world.event(region, "A", 0, level=Level.VERY_HIGH, sent_ms=world.now_ms())
            await world.publish(where, [auto])
            await world.until(lambda: _known(where, region, auto), what="planned")
            made = await desk.correct(auto.alert.identifier, Level.LOW, "Gauge misread", 3, "A. Khan", world.now_ms())
            await world.until(lambda: _known(where, region, made), what="the correction is planned")
            await telecom.start()
            await world.until(lambda: len(telecom.messages) == 5, what="the correction goes")
            await settled(where, region)
    sent = {receipt.alert for receipt in await world.receipts(where) if receipt.state.value == "delivered"}
    assert sent == {made.alert.identifier}


async def _known(where, region, event: AlertEvent) -> bool:
    ledger = await Ledger.open(where.database, region.id)
    try:
        return event.alert.identifier in await ledger.known_digests([event.alert.identifier]) and bool(await ledger.counts())
    finally:
        await ledger.close()


async def test_operators_hear_that_an_alert_waits_and_two_persons_release_it(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    duty = world.contact(9, hook="agency", phone=False, role="operator", districts=("lower",), level=Level.EXCEPTIONAL)
    region = world.region(tmp_path, [world.contact(1), duty])
    region = replace(region, alert=replace(region.alert, approve_from=Level.HIGH, approve_within_s=3600, approve_persons=2))
    where = await world.deployment(bootstrap, tmp_path, "two")
    facts: list = []
    async with outside() as (telecom, receiver), authority(region, where) as desk:
        event = world.event(region, "A", sent_ms=world.now_ms() - 1000)
        async with dispatching(region, where, telecom, receiver, facts):
            await world.publish(where, [event])
            await world.until(lambda: receiver.records, what="the operator is told")
            await desk.approve(event.alert.identifier, Level.HIGH, "A. Khan", world.now_ms())
            await desk.approve(event.alert.identifier, Level.HIGH, " a.  khan", world.now_ms())
            await asyncio.sleep(2.5)
            assert telecom.messages == []
        async with dispatching(region, where, telecom, receiver, facts):  # a restart tells nobody again
            await world.until(lambda: facts.count(ApprovalsWaiting) or any(isinstance(one, ApprovalsWaiting) for one in facts))
            await desk.approve(event.alert.identifier, Level.HIGH, "B. Shah", world.now_ms())
            await world.until(lambda: len(telecom.messages) == 1, what="released")
            await world.until(lambda: [one for one in facts if isinstance(one, ApprovalsWaiting)][-1].chains == 0, what="nothing waits")
        acts = [act for act in await desk.decisions.acts() if act.kind == "asked"]
    assert len(receiver.records) == 1
    assert [act.what["operators"] for act in acts] == [["c9"]]
    assert any(isinstance(one, ApprovalsWaiting) and one.chains == 1 for one in facts)


@pytest.mark.parametrize("unanswered", ["hold", "send"])
async def test_when_nobody_answers_the_regions_rule_decides_and_says_so(bootstrap: str, tmp_path: Path, unanswered: str) -> None:  # noqa: F811
    region = world.region(tmp_path, [world.contact(1)])
    rules = replace(region.alert, approve_from=Level.HIGH, approve_within_s=3, unanswered=unanswered)
    region = replace(region, alert=rules)
    where = await world.deployment(bootstrap, tmp_path, f"nobody-{unanswered}")
    event = world.event(region, "A", sent_ms=world.now_ms())
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver), authority(region, where) as desk:
        await world.publish(where, [event])
        await world.until(lambda: _ruled(desk), what="the rule is entered")
        if unanswered == "send":
            await world.until(lambda: len(telecom.messages) == 1, what="it goes")
        ruled = [act for act in await desk.decisions.acts() if act.kind == "unanswered"]
        await asyncio.sleep(2.2)
    assert len(telecom.messages) == (unanswered == "send")
    assert [(act.by, act.subject) for act in ruled] == [(f"rule:unanswered={unanswered}", chain_of(event.alert.identifier))]


async def _ruled(desk: Authority) -> bool:
    return any(act.kind == "unanswered" for act in await desk.decisions.acts())


async def test_a_silence_ends_early(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    region = world.region(tmp_path, [world.contact(1)])
    region = replace(region, alert=replace(region.alert, at_once=()))
    where = await world.deployment(bootstrap, tmp_path, "quiet")
    async with outside() as (telecom, receiver), authority(region, where) as desk:
        now_ms = world.now_ms()
        number = await desk.silence(Silence("A", Level.HIGH, now_ms, now_ms + HOUR_MS, "A. Khan", "Test of the siren"))
        async with dispatching(region, where, telecom, receiver):
            await world.publish(where, [world.event(region, "A", sent_ms=now_ms)])
            await world.until(lambda: _reason(where, region, "silenced"), what="silenced")
            await desk.end_silence(number, "B. Shah", world.now_ms())
            await asyncio.sleep(1.5)
            after = world.event(region, "A", sent_ms=now_ms + 5000)
            await world.publish(where, [after])
            await world.until(lambda: _delivered(where, after), what="the next one goes")
        with pytest.raises(InputError, match="no silence"):
            await desk.end_silence(number, "B. Shah", world.now_ms())


async def test_killed_before_it_was_published_an_alert_by_hand_goes_out_once(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    """Decided while no dispatcher ran; published twice as after a crash between the send and its return: one message."""
    region = world.region(tmp_path, [world.contact(1)])
    where = await world.deployment(bootstrap, tmp_path, "once")
    async with outside() as (telecom, receiver), authority(region, where) as desk:
        made = await desk.raise_alert("A", Level.HIGH, "Breach", 6, "A. Khan", world.now_ms())
        await world.publish(where, [made])  # what the one that died had sent
        async with dispatching(region, where, telecom, receiver):
            await world.until(lambda: len(telecom.messages) == 1, what="the message")
            await asyncio.sleep(1.5)
            await settled(where, region)
    assert len(telecom.messages) == 1
    assert {event.alert.identifier for event in await published(where)} == {made.alert.identifier}


async def test_an_alert_that_expired_before_anybody_published_it_is_not_sent(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    region = world.region(tmp_path, [world.contact(1)])
    where = await world.deployment(bootstrap, tmp_path, "stale")
    async with outside() as (telecom, receiver), authority(region, where) as desk:
        await desk.raise_alert("A", Level.HIGH, "Breach", 1, "A. Khan", world.now_ms() - 2 * HOUR_MS)
        async with dispatching(region, where, telecom, receiver):
            await asyncio.sleep(2)
    assert telecom.messages == [] and await published(where) == []


async def test_what_is_refused_before_it_is_entered(tmp_path: Path) -> None:
    region = world.region(tmp_path, [world.contact(1)])
    where = world.Deployment(directory=tmp_path)
    now_ms = world.now_ms()
    async with authority(region, where) as desk:
        wrong = [
            (desk.raise_alert("Z", Level.HIGH, "x", 6, "A", now_ms), "zone"),
            (desk.raise_alert("A", Level.NORMAL, "x", 6, "A", now_ms), "level"),
            (desk.raise_alert("A", Level.HIGH, " ", 6, "A", now_ms), "reason"),
            (desk.raise_alert("A", Level.HIGH, "x", 23, "A", now_ms), "expires_h"),
            (desk.raise_alert("A", Level.HIGH, "x", 6, " ", now_ms), "by"),
            (desk.raise_alert("A", Level.HIGH, "x", 6, "A", now_ms, arrival_ms=now_ms - 1), "arrival"),
            (desk.cancel("ews.oak.A.20250101T000000Z.0", "x", "A", now_ms), "alert"),
            (desk.approve("ews.other.A.1.0", Level.HIGH, "A", now_ms), "alert"),
            (desk.silence(Silence("A", Level.LOW, now_ms, now_ms + 25 * HOUR_MS, "A", "x")), "hours"),
        ]
        for asked, field in wrong:
            with pytest.raises(InputError) as caught:
                await asked
            assert caught.value.field == field and caught.value.fix
        assert await desk.decisions.acts() == []
        first = await desk.raise_alert("A", Level.HIGH, "x", 6, "A", now_ms)
        with pytest.raises(InputError, match="somebody else"):
            await desk.raise_alert("A", Level.HIGH, "y", 6, "B", now_ms)
        assert json.loads((await desk.decisions.acts())[0].what["event"])["alert"]["identifier"] == first.alert.identifier
    async with authority(region, replace(where, replay=True)) as desk:
        with pytest.raises(InputError, match="replay"):
            await desk.raise_alert("A", Level.HIGH, "x", 6, "A", now_ms)
    assert first.alert.status is Status.EXERCISE


async def test_an_exercise_reaches_nobody_by_any_door(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    """Wrong marks in the region's own table, in somebody's import while it runs, a stranger's Actual alert on the log, alerts by hand."""
    spellings = ("+923001234567", "+92 300 1234567", "00923001234567", "+999 2000009", "9992000009", "+9992000009,+923001234567")
    wrong = [world.contact(10 + number, phone=True) for number in range(len(spellings))]
    wrong = [replace(one, phone=phone) for one, phone in zip(wrong, spellings, strict=True)]
    wrong += [
        world.contact(20, live=True),
        world.contact(21, live=True, hook="agency", phone=False),
        world.contact(22, email="duty@ndma.gov.pk", hook="agency"),
        world.contact(23, role="operator", channels=("broadcast",), hook="agency"),
        world.contact(24, live=True, role="operator", hook="agency", phone=False),
    ]
    region = world.region(tmp_path, [world.contact(1), *wrong])
    where = await world.deployment(bootstrap, tmp_path, "doors")
    async with outside() as (telecom, receiver), authority(region, where) as desk:
        async with dispatching(region, where, telecom, receiver):
            contacts = Directory(address(where), region)
            imported = [replace(one, id=f"pdma-{one.id}") for one in wrong]
            await merge(contacts, imported, "pdma", world.now_ms(), by="clerk")
            await contacts.close()
            now_ms = world.now_ms()
            auto = world.event(region, "A", 0, sent_ms=now_ms)
            stranger = world.event(region, "B", 0, sent_ms=now_ms, status=Status.ACTUAL)
            test = world.event(region, "C", 0, sent_ms=now_ms, status=Status.TEST)
            await world.publish(where, [auto, stranger, test])
            await world.until(lambda: len(telecom.messages) == 2, what="the exercise and the test")
            made = await desk.raise_alert("B", Level.EXCEPTIONAL, "Drill", 6, "A. Khan", now_ms)
            await world.until(lambda: len(telecom.messages) == 3, what="by hand")
            await desk.correct(made.alert.identifier, Level.HIGH, "Drill", 6, "A. Khan", now_ms + 1000)
            await desk.cancel(auto.alert.identifier, "Drill", "A. Khan", now_ms + 2000)
            await world.until(lambda: len(telecom.messages) == 5, what="the correction and the end")
            await settled(where, region)
        async with dispatching(
            replace(region, status=Status.ACTUAL), where, telecom, receiver
        ):  # somebody sets the region live on this ledger
            later = world.event(region, "A", 0, sent_ms=world.now_ms() + 5000)
            await world.publish(where, [later])
            await world.until(lambda: len(telecom.messages) == 6, what="its exercise")
            await settled(where, region)
    assert {message["destination"] for message in telecom.messages} == {"9992000001"}
    assert receiver.records == []
    refused = {receipt.reason for receipt in await world.receipts(where) if receipt.state.value == "refused"}
    assert refused >= {"live_contact", "dialable_number", "routable_address", "exercise_broadcast", "status_mismatch"}
