"""What goes wrong around the dispatcher: the SMS centre, endpoints, people's answers, the log, the database; and the operators' notice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
import services
from aiokafka.admin import AIOKafkaAdminClient
from test_dispatch import bootstrap, dispatching, outside, settled  # noqa: F401 - a fixture among them

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import Approval
from warning.deployment import Deployment
from warning.dispatch.clock import Clock
from warning.dispatch.dispatcher import Dispatcher
from warning.dispatch.ledger import Ledger
from warning.errors import ExitCode, StateError, Unavailable
from warning.facts import Fact, OperatorNotice, Ready, nobody
from warning.model import DeliveryState, Level, to_json
from warning.rehearsal.receiver import Behaviour


async def counts(where, region) -> dict[tuple[str, str], int]:
    ledger = await Ledger.open(where.database, region.id)
    try:
        return dict(await ledger.counts())
    finally:
        await ledger.close()


async def test_an_sms_centre_that_is_away_delays_nothing_else_and_loses_nothing(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    region = world.region(tmp_path, [world.contact(1), world.contact(2, hook="agency", phone=False)])
    where = await world.deployment(bootstrap, tmp_path, "away")
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver):
        await asyncio.sleep(1.0)
        await telecom.stop()
        await world.publish(where, [world.event(region, "A", sent_ms=world.now_ms())])
        await world.until(lambda: len(receiver.taken) == 1, what="the webhook does not wait for the SMS centre")
        assert telecom.messages == []
        await telecom.start()
        await settled(where, region)
    assert len(telecom.messages) == 1
    assert not any(receipt.doubled for receipt in await world.receipts(where))


async def test_a_centre_that_breaks_off_under_way_gets_the_message_again_and_the_ledger_says_so(
    bootstrap: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    region = world.region(tmp_path, [world.contact(1)])
    where = await world.deployment(bootstrap, tmp_path, "break")
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver):
        telecom.behaviour.reset_after = 1
        await world.publish(where, [world.event(region, "A", sent_ms=world.now_ms())])
        await settled(where, region)
    assert len(telecom.messages) == 2
    told = await world.receipts(where)
    assert [(one.state, one.doubled) for one in told] == [
        (DeliveryState.UNKNOWN, False),
        (DeliveryState.ACCEPTED, True),
        (DeliveryState.DELIVERED, True),
    ]


async def test_a_dead_endpoint_delays_no_other_and_gets_its_webhook_when_it_lives(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    contacts = [world.contact(number, hook="dead" if number < 9 else "good", phone=False) for number in range(10)]
    region = world.region(tmp_path, contacts)
    where = await world.deployment(bootstrap, tmp_path, "dead")
    async with outside(dead=world.SECRET, good=world.SECRET) as (telecom, receiver), dispatching(region, where, telecom, receiver):
        receiver.behaviours["dead"] = Behaviour(status=500, after_s=4.0)  # nine of them, one after the other: 36 s
        await world.publish(where, [world.event(region, "A", sent_ms=world.now_ms())])
        await world.until(lambda: [hook["name"] for hook in receiver.taken] == ["good"], 30, "the good one first")
        receiver.behaviours["dead"] = Behaviour()
        await settled(where, region)
    assert sorted(hook["webhook_id"].rpartition(":")[2] for hook in receiver.taken) == sorted(contact.id for contact in contacts)


async def test_410_ends_it_for_that_endpoint_and_later_alerts_are_refused(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    region = world.region(tmp_path, [world.contact(1, hook="agency", phone=False)])
    where = await world.deployment(bootstrap, tmp_path, "gone")
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver):
        receiver.behaviours["agency"] = Behaviour(status=410)
        await world.publish(where, [world.event(region, "A", sent_ms=world.now_ms())])
        await settled(where, region)
        receiver.behaviours["agency"] = Behaviour()
        await world.publish(where, [world.event(region, "B", sent_ms=world.now_ms())])
        await world.until(lambda: _has(where, region, ("webhook", "refused")), what="the second is refused")
        await settled(where, region)
    assert len(receiver.records) == 1
    assert [(receipt.channel, receipt.reason) for receipt in await world.receipts(where)] == [
        ("webhook", "gone"),
        ("webhook", "endpoint_off"),
        ("none", "endpoint_off"),  # nothing reaches that contact any more
    ]


async def _has(where, region, key: tuple[str, str]) -> bool:
    return key in await counts(where, region)


async def test_a_held_alert_goes_when_a_person_releases_it(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    region = world.region(tmp_path, [world.contact(1)])
    region = replace(region, alert=replace(region.alert, approve_from=Level.HIGH))
    where = await world.deployment(bootstrap, tmp_path, "held")
    event = world.event(region, "A", sent_ms=world.now_ms())
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver):
        await world.publish(where, [event])
        await world.until(lambda: _has(where, region, ("sms", "waiting")), what="it is held")
        await asyncio.sleep(2.5)
        assert telecom.messages == []
        ledger = await Ledger.open(where.database, region.id)
        await ledger.approve(Approval(chain_of(event.alert.identifier), Level.HIGH, "A. Khan", world.now_ms()))
        await ledger.close()
        await world.until(lambda: len(telecom.messages) == 1, what="released")
        await settled(where, region)


async def test_another_log_under_the_same_ledger_stops_the_dispatcher(tmp_path: Path) -> None:
    region = world.region(tmp_path, [world.contact(1)])
    async with outside() as (telecom, receiver):
        for number, start in enumerate((world.now_ms(), world.now_ms() + 60_000)):
            with services.embedded() as broker:  # in memory: each one is another log
                where = await world.deployment(broker.bootstrap, tmp_path, "log")
                await world.publish(where, [world.event(region, "A", sent_ms=start)])
                if number == 0:
                    async with dispatching(region, where, telecom, receiver):
                        await settled(where, region)
                else:
                    with pytest.raises(StateError, match="is not the log that the ledger knows") as caught:
                        await asyncio.wait_for(Dispatcher(region, where, nobody).run(asyncio.Event()), 120)
                    assert caught.value.exit_code is ExitCode.LOG_OTHER
    assert len(telecom.messages) == 1


async def test_a_second_dispatcher_stands_by_and_sends_nothing_until_the_first_is_gone(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    region = world.region(tmp_path, [world.contact(1)])
    where = await world.deployment(bootstrap, tmp_path, "second")
    facts: list[Fact] = []
    async with outside() as (telecom, receiver):
        async with dispatching(region, where, telecom, receiver):
            await world.publish(where, [world.event(region, "A", sent_ms=world.now_ms())])
            await settled(where, region)
            stop = asyncio.Event()
            second = asyncio.create_task(
                Dispatcher(region, replace(where, smpp_port=telecom.port, smpp_user="ews", smpp_password="pw"), facts.append).run(stop)
            )
            await world.until(lambda: [fact for fact in facts if isinstance(fact, Ready) and fact.why.startswith("stands by")])
            await world.publish(where, [world.event(region, "B", sent_ms=world.now_ms())])
            await settled(where, region)
        await world.until(lambda: Ready("dispatch", True) in facts, what="it takes over")
        await world.publish(where, [world.event(region, "C", sent_ms=world.now_ms())])
        await world.until(lambda: len(telecom.messages) == 3, what="the second one sends")
        stop.set()
        await second
    assert not any(receipt.doubled for receipt in await world.receipts(where))


async def test_operators_hear_once_of_all_zones_that_fell_silent_and_of_their_return(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    operator = world.contact(1, hook="agency", phone=False, role="operator")
    live = world.contact(2, hook="agency", phone=False, role="operator", live=True)
    region = world.region(tmp_path, [operator, live])
    where = await world.deployment(bootstrap, tmp_path, "replay-silent", replay=True)
    start = 1_755_000_000_000
    facts: list[Fact] = []

    def hazards(level: Level, hour: int):
        for number, zone in enumerate("ABC"):
            one = world.hazard(region, zone, level, start + hour * world.HOUR_MS)
            yield zone, to_json(replace_hazard(one, n=10 * hour + number))

    await world.write(where.bootstrap, where.hazards, [*hazards(Level.UNKNOWN, 0), *hazards(Level.LOW, 5)])
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver, facts):
        await world.until(lambda: len(receiver.taken) == sum(isinstance(fact, OperatorNotice) for fact in facts) > 0 and _both(facts))
    silent = sorted(zone for fact in facts if isinstance(fact, OperatorNotice) for zone in fact.silent)
    back = sorted(zone for fact in facts if isinstance(fact, OperatorNotice) for zone in fact.back)
    assert (silent, back) == (["A", "B", "C"], ["A", "B", "C"])
    assert {hook["type"] for hook in receiver.taken} == {"zones.observed"}
    assert all(hook["webhook_id"].endswith(":c1") for hook in receiver.records), "an exercise does not wake a live operator"


def _both(facts: list[Fact]) -> bool:
    notices = [fact for fact in facts if isinstance(fact, OperatorNotice)]
    return sum(len(fact.silent) for fact in notices) == 3 == sum(len(fact.back) for fact in notices)


def replace_hazard(hazard, **changes):
    import msgspec

    return msgspec.structs.replace(hazard, **changes)


DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """A broker that tells its time."""
    with services.apache_kafka() as running:
        yield running.bootstrap


class Hands:
    """Two clocks that a test moves."""

    def __init__(self) -> None:
        self.wall, self.monotonic = world.now_ms(), 1_000_000

    def pass_ms(self, ms: int) -> None:
        self.wall += ms
        self.monotonic += ms


async def test_the_time_of_a_dispatcher_is_the_brokers_whatever_its_wall_clock_does(kafka: str, tmp_path: Path) -> None:
    region, offsets = world.region(tmp_path), []
    where = await world.deployment(kafka, tmp_path, "time", embedded=False)
    hands = Hands()
    clock = Clock(where, offsets.append, lambda: hands.wall, lambda: hands.monotonic)
    await clock.start()
    assert abs(clock.now_ms() - world.now_ms()) < 5_000
    before = clock.now_ms()
    hands.wall += DAY_MS  # a jump that no broker confirms
    hands.pass_ms(2_000)
    await clock.look()
    assert clock.now_ms() == before + 2_000
    hands.wall -= DAY_MS - 300  # back, and three tenths of a second that NTP took
    await clock.look()
    assert clock.now_ms() == before + 2_300
    hands.monotonic -= 60_000  # as after a machine slept: time went on without the monotonic clock
    await clock.look()
    assert clock.now_ms() == before + 2_300
    assert abs(offsets[-1].seconds) < 5 < abs(offsets[1].seconds)
    hands.wall += DAY_MS
    with pytest.raises(StateError, match="clock is") as raised:
        await Dispatcher(region, where, nobody, clock=lambda: hands.wall).run(asyncio.Event())
    assert raised.value.exit_code is ExitCode.CLOCK


async def test_a_wall_clock_that_jumps_while_the_broker_is_away_is_not_followed(tmp_path: Path) -> None:
    where = replace(Deployment(), bootstrap=f"127.0.0.1:{services.free_port()}")
    hands = Hands()
    clock = Clock(where, nobody, lambda: hands.wall, lambda: hands.monotonic)
    before = clock.now_ms()
    hands.wall += DAY_MS
    await clock.look()
    assert clock.now_ms() == before
    with pytest.raises(Unavailable):
        await clock.start()


async def test_a_dispatcher_that_is_first_makes_no_topic(kafka: str, tmp_path: Path) -> None:
    """By the brokers' defaults it would have one copy, and their time would not come back."""
    where = Deployment(bootstrap=kafka, prefix="bare.", directory=tmp_path)
    with pytest.raises(Unavailable, match=r"bare\.\w+ is not there"):
        await Dispatcher(world.region(tmp_path), where, nobody).run(asyncio.Event())
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        assert not [name for name in await admin.list_topics() if name.startswith("bare.")]
    finally:
        await admin.close()
