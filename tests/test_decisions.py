"""What people decided, as it is read back from SQL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from alert_region import DRILL, REGION, T0, H, M, raised
from cash_world import follows
from test_codes import tell, where_of

from warning.alerts.rules import Decision, may_leave
from warning.errors import InputError
from warning.model import EventKind, Level
from warning.proof.authority import Authority
from warning.proof.decisions import Decisions

STRICT = replace(REGION, alert=replace(REGION.alert, approve_from=Level.HIGH, approve_within_s=900))
MEDIUM = raised(REGION, observed=Level.MEDIUM)


async def test_an_automatic_chain_speaks_until_its_correction_is_released(tmp_path: Path) -> None:
    where = where_of(tmp_path)
    await tell(where, MEDIUM, region=STRICT)
    decisions = Decisions(where.database)
    desk = Authority(STRICT, where.database, decisions)
    at_ms = MEDIUM.sent_ms + M
    made = (await desk.correct(MEDIUM.identifier, Level.HIGH, "The bund is breached", 2, "A. Khan", at_ms)).alert
    news = follows(MEDIUM, kind=EventKind.ARRIVAL, sent_ms=at_ms + M)

    async def says(now_ms: int) -> str:
        held = await decisions.standing(now_ms)
        return may_leave(news, DRILL, STRICT, Decision(held.approvals, call_offs=held.call_offs), now_ms).reason

    assert await says(at_ms + M) == "allowed"
    await desk.approve(made.identifier, Level.HIGH, "B. Shah", at_ms + M)
    assert await says(at_ms + 2 * M) == "called_off"
    assert await says(at_ms + 2 * H) == "allowed", "the correction ran out"
    await desk.close()
    await decisions.close()


async def test_a_chain_in_whose_place_a_person_spoke_is_not_corrected_a_second_time(tmp_path: Path) -> None:
    """The gauge's chain is renewed meanwhile: its newest revision is none that anybody has decided about."""
    where = where_of(tmp_path)
    await tell(where, MEDIUM)
    decisions = Decisions(where.database)
    desk = Authority(REGION, where.database, decisions)
    at_ms = MEDIUM.sent_ms + M
    made = (await desk.correct(MEDIUM.identifier, Level.LOW, "A log at the gauge", 2, "A. Khan", at_ms)).alert
    await tell(where, follows(MEDIUM, kind=EventKind.RENEW, sent_ms=at_ms + M), attempts=0)
    for decide in (
        desk.correct(MEDIUM.identifier, Level.HIGH, "No, it is higher", 2, "B. Shah", at_ms + 2 * M),
        desk.cancel(MEDIUM.identifier, "Nothing there", "B. Shah", at_ms + 2 * M),
    ):
        with pytest.raises(InputError, match="stand in its place") as refused:
            await decide
        assert made.identifier in refused.value.fix and refused.value.reason == "decided"
    again = (await desk.correct(made.identifier, Level.HIGH, "No, it is higher", 2, "B. Shah", at_ms + 2 * M)).alert
    assert (again.revision, again.kind) == (1, EventKind.UPGRADE)
    await desk.close()
    await decisions.close()


async def test_a_row_that_cannot_be_understood_takes_nothing_else_with_it(tmp_path: Path) -> None:
    where = where_of(tmp_path)
    decisions = Decisions(where.database)
    for number, event in enumerate(("{", '{"alert": 1}', "")):
        await decisions.decide("raise", "A. Khan", T0, f"ews.x.{number}", {"identifier": f"ews.x.{number}.0", "event": event})
    await decisions.decide("approve", "A. Khan", T0, "ews.y", {"level": "HIGH", "identifier": "ews.y.0"})
    held = await decisions.standing(T0)
    assert (len(held.approvals), held.manual) == (1, {})
    await decisions.close()
