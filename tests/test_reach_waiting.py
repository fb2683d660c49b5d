"""What waits for a person, or was declined, keeps nothing lower from people."""

from __future__ import annotations

from pathlib import Path

import channel_world as world
import pytest
from sqlalchemy import select
from test_escalation_ledger import Night
from test_planning import Phones, planned
from test_reach import ROOM, approving, reach, upgrade

from warning.alerts.rules import Approval
from warning.dispatch import tables as t
from warning.dispatch.channel import Outcome
from warning.facts import AlertHandled
from warning.model import DeliveryState as State
from warning.model import EventKind, Level


async def low(of: Night):
    event = world.event(of.told.region, "A", level=Level.LOW, sent_ms=of.start_ms)
    await of.told.enter(of.planner, event)
    await planned(of.planner)
    return event


async def states(of: Night) -> dict[tuple[int, str], tuple[str, bool]]:
    """(revision, contact) -> state, and whether it is held."""
    found = await of.told.ledger._rows(select(t.deliveries))
    return {(r["revision"], r["contact"]): (r["state"], r["state"] == "waiting" and r["next_attempt_ms"] is None) for r in found}


async def test_a_lower_revision_goes_out_while_a_higher_one_waits_for_a_person_and_after_it_was_declined(tmp_path: Path) -> None:
    async with reach(tmp_path, world.contact(1), ROOM) as of:
        approving(of)
        first = await low(of)
        high = await upgrade(of)
        assert await states(of) == {(1, "c1"): ("waiting", False), (2, "c1"): ("waiting", True)}
        assert not of.planner.overtakes(first.alert.identifier.rpartition(".")[0], first.alert.identifier)
        chain = high.alert.identifier.rpartition(".")[0]
        of.planner.people.approvals = (Approval(chain, Level.EXCEPTIONAL, "Chief", of.at_ms, granted=False),)
        of.planner.look_again()
        again = await upgrade(of, 3)  # the gauge rises on, and he has declined it
        assert again.alert.identifier in of.planner.withheld()
        assert (await states(of))[1, "c1"] == ("waiting", False)
        [item] = [item for item in await of.told.ledger.open_deliveries() if item.alert == first.alert.identifier]
        await of.sent(item)
        await of.look(6)
        assert await of.steps() == [("c1", "control_room", "c9")], "and it escalates"


async def test_a_retry_of_a_lower_revision_is_not_given_up_for_a_higher_one_that_waits(tmp_path: Path) -> None:
    from warning.dispatch.attempts import Claim, Close

    async with reach(tmp_path, world.contact(1)) as of:
        approving(of)
        await low(of)
        [item] = await of.told.ledger.open_deliveries()
        await of.told.ledger.write([Claim(item.id, of.at_ms)])
        high = await upgrade(of)
        closed = Close(item.id, Outcome(State.WAITING, "throttled"), of.at_ms, of.at_ms + 5000, high.alert.sent_ms + 5000)
        [again] = await of.told.ledger.write([closed])
        assert [one.id for one in again] == [item.id] and (await states(of))[1, "c1"] == ("waiting", False)


async def test_what_is_released_takes_the_place_of_what_is_lower_at_that_moment(tmp_path: Path) -> None:
    async with reach(tmp_path, world.contact(1), world.contact(2)) as of:
        approving(of)
        first = await low(of)
        high = await upgrade(of)
        chain = high.alert.identifier.rpartition(".")[0]
        of.planner.people.approvals = (Approval(chain, Level.HIGH, "Chief", of.at_ms),)
        of.planner.look_again()
        assert of.planner.overtakes(chain, first.alert.identifier), "before the plan is gone through"
        await planned(of.planner)
        assert {key: state for key, (state, _) in (await states(of)).items()} == {
            **{(1, f"c{n}"): "overtaken" for n in (1, 2)},
            **{(2, f"c{n}"): "waiting" for n in (1, 2)},
        }
        assert of.planner.withheld() == frozenset() and sum(isinstance(fact, AlertHandled) for fact in of.facts) == 2


async def test_released_while_no_dispatcher_ran_or_in_the_middle_of_its_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warning.dispatch.planner.SOME", 1)
    for middle in (False, True):
        async with reach(tmp_path / str(middle), *(world.contact(n) for n in range(3))) as of:
            approving(of)
            await low(of)
            if middle:
                high = world.event(of.told.region, "A", 2, EventKind.UPGRADE, Level.HIGH, sent_ms=of.start_ms + 2, raised_ms=of.start_ms)
                await of.told.enter(of.planner, high)
                await planned(of.planner, 2)
            else:
                high = await upgrade(of)
            people = (Approval(high.alert.identifier.rpartition(".")[0], Level.HIGH, "Chief", of.at_ms),)
            if not middle:
                of.planner = of.told.planner()
                of.planner.channels = (Phones(),)
                approving(of)
            of.planner.people.approvals = people
            if not middle:
                await of.planner.start()
            await planned(of.planner)
            found = {key: state for key, (state, _) in (await states(of)).items()}
            assert found == {(1, f"c{n}"): "overtaken" for n in range(3)} | {(2, f"c{n}"): "waiting" for n in range(3)}


async def test_an_end_or_a_step_down_that_needs_nobody_ends_all_that_waits(tmp_path: Path) -> None:
    async with reach(tmp_path, world.contact(1)) as of:
        approving(of)
        await low(of)
        await upgrade(of)
        await upgrade(of, 3, Level.NORMAL, EventKind.CLEAR)
        assert {state for state, _ in (await states(of)).values()} == {"overtaken"} and of.planner.withheld() == frozenset()
