"""From the topic ``alerts`` to phones and webhooks, on a real broker, a real SMS centre and a real receiver (in process)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
import services

from warning.dispatch.dispatcher import Dispatcher
from warning.dispatch.ledger import Ledger
from warning.facts import DocumentConflict, Fact
from warning.model import DeliveryState, EventKind, Level
from warning.rehearsal.receiver import Receiver
from warning.rehearsal.telecom import Telecom


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with services.embedded() as broker:
        yield broker.bootstrap


@asynccontextmanager
async def outside(**secrets: str) -> AsyncIterator[tuple[Telecom, Receiver]]:
    telecom, receiver = Telecom(), Receiver(secrets or {"agency": world.SECRET})
    await telecom.start()
    await receiver.start()
    try:
        yield telecom, receiver
    finally:
        await telecom.stop()
        await receiver.stop()


@asynccontextmanager
async def dispatching(region, where, telecom, receiver, facts=None, **options) -> AsyncIterator[Dispatcher]:
    where = replace(where, smpp_port=telecom.port, smpp_user="ews", smpp_password="pw")
    stop, told = asyncio.Event(), facts if facts is not None else []
    endpoints = {name: receiver.url(name) for name in receiver.secrets}
    dispatcher = Dispatcher(
        region, where, told.append, endpoints=endpoints, allow_loopback=frozenset({("127.0.0.1", receiver.port)}), **options
    )
    task = asyncio.create_task(dispatcher.run(stop))
    try:
        yield dispatcher
    finally:
        stop.set()
        await task


async def settled(where, region) -> None:
    ledger = await Ledger.open(where.database, region.id)
    try:
        await world.until(lambda: _nothing_left(ledger), what="deliveries settle")
    finally:
        await ledger.close()


async def _nothing_left(ledger: Ledger) -> bool:
    return bool(await ledger.counts()) and await ledger.unsettled() == 0


async def test_a_raise_reaches_every_contact_of_its_district_and_class_in_their_language(bootstrap: str, tmp_path: Path) -> None:
    region = world.region(tmp_path)
    where = await world.deployment(bootstrap, tmp_path, "raise")
    async with outside() as (telecom, receiver):
        sent_ms = world.now_ms()
        await world.publish(where, [world.event(region, "A", sent_ms=sent_ms)])
        async with dispatching(region, where, telecom, receiver):
            await settled(where, region)
        # A lies in ``upper``: its officer, the villages (from HIGH), the duty officer by SMS, the agency by webhook; not the lower officer
        assert {message["destination"] for message in telecom.messages} == {"9991000001", "9991000003", "9991000004"}
        texts = {message["destination"]: message for message in telecom.messages}
        assert texts["9991000003"]["coding"] == "ucs2" and "الف" in texts["9991000003"]["text"]
        assert texts["9991000001"]["coding"] == "gsm7" and "Alder" in texts["9991000001"]["text"]
        assert [hook["alert"] for hook in receiver.taken] == [f"ews.oak.A.{sent_ms // 1000}.1"]
        assert receiver.taken[0]["cap_bytes"] > 1000
    told = await world.receipts(where)
    last = {(receipt.contact, receipt.channel): receipt for receipt in told}
    assert {key: receipt.state for key, receipt in last.items()} == {
        ("upper-officer", "sms"): DeliveryState.DELIVERED,
        ("village", "sms"): DeliveryState.DELIVERED,
        ("duty", "sms"): DeliveryState.DELIVERED,
        ("agency", "webhook"): DeliveryState.DELIVERED,
    }
    assert last["village", "sms"].parts == last["village", "sms"].parts_delivered == texts["9991000003"]["parts"]
    assert not any(receipt.doubled for receipt in told)


async def test_the_end_goes_to_whoever_was_told_and_to_nobody_else(bootstrap: str, tmp_path: Path) -> None:
    region = world.region(tmp_path, [world.contact(1), world.contact(2, level=Level.VERY_HIGH)])
    where = await world.deployment(bootstrap, tmp_path, "end")
    raised_ms = world.now_ms()
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver):
        await world.publish(where, [world.event(region, "A", sent_ms=raised_ms)])
        await settled(where, region)
        clear = world.event(
            region, "A", 2, EventKind.CLEAR, Level.NORMAL, sent_ms=raised_ms + 2000, raised_ms=raised_ms, previous=Level.HIGH
        )
        await world.publish(where, [clear])
        await world.until(lambda: len(telecom.messages) == 2, what="two messages")
        await settled(where, region)
    assert Counter(message["destination"] for message in telecom.messages) == {"9992000001": 2}


async def test_the_same_id_again_is_ignored_and_with_other_content_an_alarm(bootstrap: str, tmp_path: Path) -> None:
    region = world.region(tmp_path, [world.contact(1)])
    where = await world.deployment(bootstrap, tmp_path, "twice")
    facts: list[Fact] = []
    first = world.event(region, "A", sent_ms=world.now_ms())
    other = first.__class__(alert=first.alert, cap=first.cap + " ", config=first.config, code=first.code)
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver, facts):
        await world.publish(where, [first, first, other])
        await settled(where, region)
        await world.until(lambda: DocumentConflict(first.alert.identifier) in facts, what="the alarm")
    assert len(telecom.messages) == 1
    assert facts.count(DocumentConflict(first.alert.identifier)) == 1


async def test_a_late_dispatcher_reads_to_the_end_and_sends_only_the_newest(bootstrap: str, tmp_path: Path) -> None:
    region = world.region(tmp_path, [world.contact(1)])
    where = await world.deployment(bootstrap, tmp_path, "late")
    start = world.now_ms() - world.HOUR_MS
    await world.publish(where, chain(region, start))
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver):
        await settled(where, region)
    states = Counter(receipt.state for receipt in await world.receipts(where))
    assert len(telecom.messages) == 1 and states[DeliveryState.OVERTAKEN] == 2
    newest = world.event(
        region, "A", 3, EventKind.DOWNGRADE, Level.MEDIUM, sent_ms=start + 20_000, raised_ms=start, previous=Level.VERY_HIGH
    )
    assert {receipt.alert for receipt in await world.receipts(where) if receipt.state is DeliveryState.DELIVERED} == {
        newest.alert.identifier
    }


async def test_a_replay_sends_every_revision_at_its_own_time(bootstrap: str, tmp_path: Path) -> None:
    region = world.region(tmp_path, [world.contact(1), world.contact(2, hook="agency", phone=False)])
    where = await world.deployment(bootstrap, tmp_path, "replay-all", replay=True)
    await world.publish(where, chain(region, 1_755_000_000_000))  # August 2025: all long expired by the wall clock
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver):
        await settled(where, region)
    assert len(telecom.messages) == 3 and len(receiver.taken) == 3
    assert [hook["alert"].rpartition(".")[2] for hook in receiver.taken] == ["1", "2", "3"], "in their order"
    assert Counter(receipt.state for receipt in await world.receipts(where))[DeliveryState.OVERTAKEN] == 0


def chain(region, start_ms: int):
    """Raised, up, down."""
    return [
        world.event(region, "A", 1, EventKind.RAISE, Level.HIGH, sent_ms=start_ms),
        world.event(region, "A", 2, EventKind.UPGRADE, Level.VERY_HIGH, sent_ms=start_ms + 10_000, raised_ms=start_ms, previous=Level.HIGH),
        world.event(
            region, "A", 3, EventKind.DOWNGRADE, Level.MEDIUM, sent_ms=start_ms + 20_000, raised_ms=start_ms, previous=Level.VERY_HIGH
        ),
    ]
