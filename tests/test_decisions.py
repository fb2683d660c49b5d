"""What people decided, as it is read back from SQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from alert_region import DRILL, REGION, T0, H, M, raised
from cash_world import follows
from channel_postgres import postgres
from test_codes import tell, where_of

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import Decision, Silence, may_leave
from warning.errors import InputError
from warning.model import AlertEvent, EventKind, Level
from warning.operate.release import Gate
from warning.operate.view import View
from warning.proof.authority import Authority
from warning.proof.decisions import Decisions, approval

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


async def test_what_holds_is_the_automatic_alert_until_its_correction_is_released(tmp_path: Path) -> None:
    """On the page and in /v1/zones; and what waits for a release is in the list of what waits, also beside a higher one."""
    where = where_of(tmp_path)
    await tell(where, MEDIUM, region=STRICT)
    decisions, gate, view = Decisions(where.database), Gate(STRICT, where), View()
    desk = Authority(STRICT, where.database, decisions)
    at_ms = MEDIUM.sent_ms + M
    made = await desk.correct(MEDIUM.identifier, Level.HIGH, "The bund is breached", 2, "A. Khan", at_ms)
    for event in (AlertEvent(alert=MEDIUM, cap="", config="", code=""), made):
        view.alert(event)

    async def holds(now_ms: int) -> str:
        found = await gate.active(view, now_ms)
        assert len(gate.holding(view, await gate.decision(), now_ms)) == (2 if found[MEDIUM.zone].alert is MEDIUM else 1)
        return found[MEDIUM.zone].alert.identifier

    assert await holds(at_ms + M) == MEDIUM.identifier
    await desk.approve(made.alert.identifier, Level.HIGH, "B. Shah", at_ms + M)
    assert await holds(at_ms + 2 * M) == made.alert.identifier
    await desk.approve(made.alert.identifier, Level.HIGH, "C. Mir", at_ms + 3 * M, granted=False)
    assert await holds(at_ms + 4 * M) == MEDIUM.identifier
    await gate.close()
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


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("off_ms", [-30 * M, 30 * M], ids=["behind", "ahead"])
async def test_of_two_answers_by_two_clocks_the_later_counts(tmp_path: Path, off_ms: int, released: bool) -> None:
    high, decisions = raised(STRICT), Decisions(where_of(tmp_path).database)
    now_ms = high.sent_ms + 40 * M
    for number, granted in enumerate((not released, released)):
        kind, subject, what = approval(high.identifier, Level.HIGH, granted=granted)
        wrong = (off_ms < 0) is bool(number)
        await decisions.decide(kind, "A. Khan", now_ms + number * M + (off_ms if wrong else 0), subject, what)
    again = Decisions(where_of(tmp_path).database)  # reads both at once, as after a restart
    for known in (decisions, again):
        held = await known.standing(now_ms + 2 * M)
        assert may_leave(high, DRILL, STRICT, Decision(held.approvals), now_ms + 3 * M).reason == ("approved" if released else "declined")
        await known.close()


@pytest.mark.parametrize("released", [False, True])
async def test_of_two_answers_by_one_clock_that_is_ahead_the_later_counts(tmp_path: Path, released: bool) -> None:
    """Both were of the moment in which a process that had just started saw them, and then the refusal counted."""
    high, decisions = raised(STRICT), Decisions(where_of(tmp_path).database)
    now_ms = high.sent_ms + 5 * M
    for number, granted in enumerate((not released, released)):
        kind, subject, what = approval(high.identifier, Level.HIGH, granted=granted)
        await decisions.decide(kind, "A. Khan", now_ms + (30 + number) * M, subject, what)
    held = await decisions.standing(now_ms)
    assert may_leave(high, DRILL, STRICT, Decision(held.approvals), now_ms + 1000).reason == ("approved" if released else "declined")
    await decisions.close()


async def test_a_silence_from_a_clock_that_is_ahead_begins_when_it_is_seen_and_lasts_no_longer(tmp_path: Path) -> None:
    where = where_of(tmp_path)
    await tell(where, MEDIUM, region=REGION)
    decisions = Decisions(where.database)
    desk, at_ms = Authority(REGION, where.database, decisions), MEDIUM.sent_ms + M
    ahead_ms = at_ms + 20 * M
    await desk.silence(Silence(MEDIUM.zone, Level.MEDIUM, ahead_ms, ahead_ms + H, "A. Khan", "a test of the gauge"))
    silences = tuple((await decisions.standing(at_ms)).silences.values())
    for minute, reason in ((0, "silenced"), (59, "silenced"), (60, "allowed")):
        assert may_leave(MEDIUM, DRILL, REGION, Decision(silences=silences), at_ms + minute * M).reason == reason
    await desk.close()
    await decisions.close()


async def test_what_had_risen_before_it_was_cancelled_by_a_clock_that_is_behind_speaks_no_more(tmp_path: Path) -> None:
    where = where_of(tmp_path)
    high = raised(REGION)
    fallen = follows(high, kind=EventKind.DOWNGRADE, level=Level.MEDIUM, sent_ms=high.sent_ms + 5000)
    await tell(where, high, fallen, region=REGION)
    decisions = Decisions(where.database)
    desk = Authority(REGION, where.database, decisions)
    await desk.cancel(fallen.identifier, "a stone on the gauge", "A. Khan", high.sent_ms - 4000)
    [off] = (await decisions.standing(fallen.sent_ms + M)).call_offs
    assert (off.up_to, off.at_ms) == (Level.MEDIUM, fallen.sent_ms), "the class before it is none above that since"
    await desk.close()
    await decisions.close()


@pytest.mark.parametrize("replay", [False, True])
async def test_a_refusal_from_a_clock_that_is_ahead_counts_when_it_is_seen(tmp_path: Path, replay: bool) -> None:
    """Else the rule for no answer would send what a person refused. In a replay, whose now is long ago, it counts for nothing."""
    region = replace(STRICT, alert=replace(STRICT.alert, unanswered="send"))
    high, decisions = raised(region), Decisions(where_of(tmp_path).database, replay=replay)
    ahead_ms = high.sent_ms + 60 * M
    kind, subject, what = approval(high.identifier, Level.HIGH, granted=False)
    await decisions.decide(kind, "A. Khan", ahead_ms, subject, what)
    for minute in (5, 20):
        now_ms = high.sent_ms + minute * M
        held = await decisions.standing(now_ms)
        reason = may_leave(high, DRILL, region, Decision(held.approvals), now_ms).reason
        assert reason == ({5: "approval_pending", 20: "unanswered_sent"}[minute] if replay else "declined")
    assert (await decisions.acts())[0].at_ms == ahead_ms, "what was entered stays as it was"
    await decisions.close()


async def test_only_the_newest_rows_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever clock its writer had: a row is settled by how long we know it."""
    decisions = Decisions(where_of(tmp_path).database)
    clock = iter((0.0, 30.0, 61.0, 62.0))
    monkeypatch.setattr("warning.proof.decisions.time", SimpleNamespace(monotonic=lambda: next(clock)))
    after = []
    for _ in range(2):
        await decisions.decide("approve", "A. Khan", T0 - 24 * H, "ews.y", {"level": "HIGH", "identifier": "ews.y.0"})
        assert (await decisions.standing(T0)).approvals
        after.append(decisions._after)
    for _ in range(2):
        assert len((await decisions.standing(T0)).approvals) == 2
        after.append(decisions._after)
    assert after == [0, 0, 1, 1]
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


async def test_a_raise_and_the_end_of_an_automatic_chain_in_one_second_are_two_alerts(tmp_path: Path) -> None:
    """Chains by hand are named by zone and second: of two that had one name only the first would go out."""
    where = where_of(tmp_path)
    await tell(where, MEDIUM)
    decisions = Decisions(where.database)
    desk = Authority(REGION, where.database, decisions)
    at_ms = MEDIUM.sent_ms + M
    breach = await desk.raise_alert(MEDIUM.zone, Level.HIGH, "Breach", 6, "A. Khan", at_ms)
    ended = await desk.cancel(MEDIUM.identifier, "Misread", "B. Shah", at_ms + 400)
    with pytest.raises(InputError, match="just decided"):
        await desk.raise_alert(MEDIUM.zone, Level.HIGH, "Breach, pressed twice", 6, "A. Khan", at_ms + 500)
    third = await desk.raise_alert(MEDIUM.zone, Level.LOW, "Rain", 6, "C. Mir", at_ms + 1200)
    made = (breach, ended, third)
    assert [(one.alert.sent_ms - at_ms) // 1000 for one in made] == [0, 1, 2]
    assert set((await decisions.standing(at_ms + 2000)).manual) == {one.alert.identifier for one in made}
    assert [off.chain for off in (await decisions.standing(at_ms + 2000)).call_offs] == [chain_of(MEDIUM.identifier)]
    await desk.close()
    await decisions.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/a.db"
        return
    with postgres() as url:
        yield url


async def test_of_two_who_decide_about_a_zone_at_once_one_has_to_look_again(database: str) -> None:
    """Each has looked before the other has decided, about different revisions of the chain: two corrections would speak."""
    both = [Decisions(database) for _ in range(2)]
    seen = [await one.by_hand("A") for one in both]
    assert not any(seen)
    said = ("cancel", "A. Khan", T0, "ews.A.0")
    for zone in ("A", "B"):
        what = {"zone": zone, "identifier": f"ews.manual.{zone}.0"}
        made = [one.decide(*said, what, once=f"{zone} {number}", seen=(zone, seen[0])) for number, one in enumerate(both)]
        numbers = await asyncio.gather(*made)
        assert numbers.count(None) == 1, "of another zone it is no matter"
        (number,) = {*numbers} - {None}
        assert await both[0].by_hand(zone) == {number}
        assert await both[1].decide(*said, what, once=f"{zone} again", seen=(zone, {number}))
    assert len(await both[0].acts()) == 4
    for one in both:
        await one.close()
