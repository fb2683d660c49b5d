"""A database that does not say whether it has written, and a start that takes long: nobody is forgotten, and nobody else takes over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
from sqlalchemy.exc import DBAPIError
from test_dispatch import bootstrap, dispatching, outside  # noqa: F401 - a fixture among them

from warning.dispatch import dispatcher as dispatching_module
from warning.dispatch.ledger import Ledger
from warning.facts import Ready
from warning.model import Level


def unanswered(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """That method of the ledger commits, once, and the answer goes astray."""
    true, lost = getattr(Ledger, name), list[str]()

    async def writes(self, *args, **kwargs):
        answer = await true(self, *args, **kwargs)
        if not lost:
            lost.append(name)
            raise DBAPIError("COMMIT", {}, OSError("the connection went with the answer"))
        return answer

    monkeypatch.setattr(Ledger, name, writes)
    return lost


@pytest.mark.parametrize("name", ["begin", "plan_some", "finish", "write", "escalate"])
async def test_what_was_committed_without_an_answer_is_sent_all_the_same(
    bootstrap: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """By the planner, by claims and receipts, by escalation: the first message, and the next one of the ladder."""
    chief, room = world.contact(1), world.contact(9, control_room=True, level=Level.EXCEPTIONAL)
    region = world.region(tmp_path, [chief, room])
    region = replace(region, alert=replace(region.alert, escalate_after_s=1))
    where = await world.deployment(bootstrap, tmp_path, f"lost-{name.replace('_', '-')}")
    lost = unanswered(monkeypatch, name)
    async with outside() as (telecom, receiver):
        telecom.behaviour.receipts = 0
        async with dispatching(region, where, telecom, receiver):
            await world.publish(where, [world.event(region, "A", sent_ms=world.now_ms())])
            await world.until(
                lambda: {one["destination"] for one in telecom.messages} == {"9992000001", "9992000009"}, what="both are told"
            )
    assert lost == [name]


async def test_a_dispatcher_that_takes_long_to_start_is_not_taken_for_one_that_hangs(
    bootstrap: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    region = world.region(tmp_path, [world.contact(1)])
    where = await world.deployment(bootstrap, tmp_path, "slow-start")
    true, begun, facts = dispatching_module.merge, asyncio.Event(), []

    async def merge(*args, **kwargs):
        begun.set()
        await asyncio.sleep(4.5)  # ninety thousand contacts of contacts.csv
        return await true(*args, **kwargs)

    monkeypatch.setattr(dispatching_module, "merge", merge)
    other, stop = await Ledger.open(where.database, region.id), asyncio.Event()
    other.lease.hung_s = 3.0
    try:
        async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver, facts):
            await asyncio.wait_for(begun.wait(), 120)
            taking = asyncio.create_task(other.lease.take(stop))
            await world.until(lambda: Ready("dispatch", True) in facts, what="it works")
            assert not taking.done(), "the other one stands by"
            stop.set()
            assert await taking is False
    finally:
        await other.close()
