"""What waits for a person, as operators are told of it: newer revisions come while somebody is being told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from alert_region import DRILL, REGION, T0, M, raised
from cash_world import event_of, follows

from warning.deployment import Deployment
from warning.dispatch.dispatcher import Dispatcher
from warning.dispatch.planner import People
from warning.dispatch.waiting import Waiting
from warning.facts import ApprovalsWaiting, nobody
from warning.model import AlertEvent, EventKind, Level
from warning.proof.decisions import Decisions
from warning.region import Contact

STRICT = replace(REGION, alert=replace(REGION.alert, approve_from=Level.HIGH, approve_within_s=900, unanswered="send"))
FIRST = raised(REGION)


class Desk:
    """Operators who are told; ``meanwhile`` happens while the first of them is."""

    def __init__(self, folder: Path) -> None:
        where = Deployment(bootstrap="127.0.0.1:9", directory=folder, prefix="t.")
        self.decisions = Decisions(where.database)
        self.told: list[str] = []
        self.facts: list[Any] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.waiting = Waiting(STRICT, where, People(), self.decisions, self._operators, self._tell, self.facts.append)

    async def _operators(self) -> list[Contact]:
        return [DRILL]

    async def _tell(self, contact: Contact, identifier: str, body: str) -> None:
        self.told.append(identifier.partition(":")[0])
        self.meanwhile()

    async def look(self, at_ms: int) -> None:
        standing = await self.decisions.standing(at_ms)
        self.waiting.people.asked = standing.asked
        await self.waiting.look(at_ms, standing.once)


def event(of: Any) -> AlertEvent:
    return event_of(of, STRICT)


async def test_a_chain_that_falls_while_operators_are_told_ends_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.waiting.see(event(FIRST))
    lower = event(follows(FIRST, kind=EventKind.DOWNGRADE, level=Level.LOW))
    desk.meanwhile = lambda: desk.waiting.see(lower)
    await desk.look(T0 + 900_000)  # the rule decides, operators hear so; by then the chain needs no release any more
    assert desk.told == ["approval~unanswered"]
    await desk.look(T0 + 901_000)
    assert desk.facts[-1] == ApprovalsWaiting(0, 0.0)
    await desk.decisions.close()


async def test_what_rises_while_operators_are_told_is_asked_for(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.waiting.see(event(FIRST))
    higher = event(follows(FIRST, kind=EventKind.UPGRADE, level=Level.EXCEPTIONAL, sent_ms=T0 + 900_000))
    desk.meanwhile = lambda: desk.waiting.see(higher)
    await desk.look(T0 + 900_000)
    await desk.look(T0 + 900_000 + M)
    assert desk.told == ["approval~unanswered", "approval~waiting~1"]
    assert desk.facts[-1] == ApprovalsWaiting(1, 60.0)
    await desk.decisions.close()


async def test_revisions_of_a_gauge_that_comes_and_goes_do_not_begin_the_time_anew(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for minute in range(0, 20, 5):
        alert = follows(FIRST, kind=EventKind.CERTAINTY, sent_ms=T0 + minute * M) if minute else FIRST
        desk.waiting.see(event(msgspec.structs.replace(alert, identifier=f"{FIRST.identifier[:-1]}{minute}")))
        await desk.look(T0 + minute * M)
    assert desk.told[-1] == "approval~unanswered"
    assert (await desk.decisions.acts())[0].by == "rule:unanswered=send"
    await desk.decisions.close()


def test_money_waits_no_longer_than_the_warning_does(tmp_path: Path) -> None:
    dispatcher = Dispatcher(STRICT, Deployment(bootstrap="127.0.0.1:9", directory=tmp_path, prefix="t."), nobody)
    dispatcher._people.asked = {"ews.x": ((Level.HIGH, T0),)}
    assert dispatcher._decision().asked == dispatcher._people.asked
