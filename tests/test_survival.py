"""What must not stop warnings: one tick far ahead of the others, and an error of our own that every reading raises."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pipeline_story import HOUR, START_MS, Story, small
from regions import write_region
from stream_fake import FakeBroker, Life
from takeover_story import NEVER, OFTEN, OTHER_CODE, chains, published

from warning.facts import Ready, SeriesOutOfService
from warning.model import Parameter, Reading, Tick, to_json
from warning.region import Region
from warning.stream.beats import LEAP_MS, Beats, Closed
from warning.stream.decisions import PIPELINE
from warning.stream.watch import Watch

step_module: Any = importlib.import_module("warning.pipeline.step")  # the package has a function of that name
_take = step_module.take_in
Records = list[tuple[bytes | None, bytes]]
DAY = 24 * HOUR


@pytest.fixture
def oak(tmp_path: Path) -> Region:
    return small(write_region(tmp_path))


def tick(moment_ms: int, writer: str = "w") -> tuple[None, bytes]:
    return None, to_json(Tick(tick_ms=START_MS + moment_ms, writer=writer))


def reading(moment_ms: int, value: float, station: str = "A") -> tuple[bytes, bytes]:
    at_ms = START_MS + moment_ms
    one = Reading(station=station, parameter=Parameter.STAGE, time_ms=at_ms, value=value, received_ms=at_ms, provider="t")
    return b"oak", to_json(one)


def beats_of(region: Region) -> Beats:
    plan = PIPELINE.plan(region, 0)
    return Beats(0, PIPELINE, plan, PIPELINE.empty(plan), 0)


def decide(region: Region, records: Records, cut: int = 1) -> list[Closed]:
    beats, closed = beats_of(region), []
    for at in range(0, len(records), cut):
        part = records[at : at + cut]
        closed += list(beats.take([key for key, _ in part], [value for _, value in part], at))
    return closed


def times(closed: list[Closed]) -> list[int]:
    return [one.outputs.now_ms - START_MS for one in closed]


# --- a tick that leaps


def test_one_tick_far_ahead_does_not_hold_the_clock(oak: Region) -> None:
    flood = [reading(600_000, 2.3), tick(600_250), reading(900_000, 2.4)]
    records = [tick(1000), *flood, tick(3 * DAY), tick(900_250), reading(950_000, 2.5), tick(960_000)]
    for cut in (1, 3, 99):
        closed = decide(oak, records, cut)
        assert times(closed) == [1000, 600_250, 900_250, 960_000]
        assert [event.alert.kind.value for one in closed for event in one.alerts] == ["raise"]
        rejected = [each for one in closed for each in one.rejected]
        assert [(each.reason, each.offset) for each in rejected] == [("leap", 4)] and "258599 s ahead" in rejected[0].detail
    without = [each for each in records if each != tick(3 * DAY)]
    same = [(one.outputs.alerts, one.outputs.applied) for one in decide(oak, without)]
    assert [(one.outputs.alerts, one.outputs.applied) for one in decide(oak, records)] == same


def test_after_an_outage_of_days_the_second_tick_counts(oak: Region) -> None:
    records = [reading(0, 1.0), tick(0), tick(3 * DAY), tick(3 * DAY + 250), tick(3 * DAY + 500)]
    closed = decide(oak, records)
    assert times(closed) == [0, 3 * DAY + 250, 3 * DAY + 500] and not any(one.rejected for one in closed)


def test_readings_that_came_in_an_outage_support_the_first_tick(oak: Region) -> None:
    records = [reading(0, 1.0), tick(0), reading(3 * DAY - 1000, 5.5), tick(3 * DAY)]
    closed = decide(oak, records)
    assert times(closed) == [0, 3 * DAY] and [event.alert.kind.value for event in closed[1].alerts] == ["raise"]


def test_two_leaps_that_disagree(oak: Region) -> None:
    records = [tick(0), tick(9 * DAY), tick(3 * DAY), tick(3 * DAY + 250), tick(2 * DAY), tick(3 * DAY + 500)]
    closed = decide(oak, records)
    assert times(closed) == [0, 3 * DAY + 250, 3 * DAY + 250, 3 * DAY + 500]
    assert [each.offset for one in closed for each in one.rejected] == [1]
    assert times(decide(oak, [tick(0), tick(LEAP_MS), tick(2 * LEAP_MS)])) == [0, LEAP_MS, 2 * LEAP_MS]


async def test_killed_at_every_record_around_a_leap(oak: Region) -> None:
    """The doubt is in the log: whoever goes on judges the same."""
    log: Records = [reading(0, 2.3), tick(0), reading(600_000, 2.4), tick(5 * DAY)]
    log += [reading(900_000, 5.5), tick(900_250), tick(4 * DAY), tick(4 * DAY + 250)]
    want = [event for one in decide(oak, log) for event in one.alerts]
    assert len(want) >= 2
    for until in range(1, len(log)):
        broker = FakeBroker()
        broker.topics[OFTEN.readings, 0] = list(log)
        await Life(broker, oak, PIPELINE, OFTEN, "w0").run(1, until)
        await Life(broker, oak, PIPELINE, OFTEN, "w1").run(2)
        assert list({event.alert.identifier: event for event in published(broker)}.values()) == want


# --- an error of our own


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """While it holds True, every reading raises."""
    on = [True]

    def take(*arguments: Any) -> Any:
        if on[0]:
            raise TypeError("a bug of ours")
        return _take(*arguments)

    monkeypatch.setattr(step_module, "take_in", take)
    yield on


def test_an_error_of_ours_puts_no_series_out_for_good(oak: Region, broken: list[bool]) -> None:
    story = Story(oak)
    broken[0] = False
    story.course("A", [(0, 2.5), (15, 2.6)])
    for station in "BC":
        story.push(station, 15, 1.0)
    story.tick(16)
    broken[0] = True
    seen = {}
    for minute in range(30, 90, 5):
        for station in "ABC":
            story.push(station, minute, 2.7)
        out = story.tick(minute)
        assert not out.applied and all(each.reason == "internal" for each in out.rejected) and len(out.rejected) == 3
        seen |= out.out_of_service
    assert "most series raise" in seen["", ""]
    for hour in range(3, 40):  # nothing goes through for a day: the alert stands, and is renewed
        story.push("A", hour * 60, 2.7).tick(hour * 60)
    assert "A" in story.state.alerts and "renew LOW" in story.told(zone="A")
    broken[0] = False  # it was the data of that time, or memory: the next good reading counts
    story.course("A", [(41 * 60, 3.5), (41 * 60 + 15, 3.5)])
    assert story.hazards["A"].level.value == "MEDIUM" and story.told(zone="A")[-1] == "upgrade MEDIUM"
    assert not story.state.s["out"].any()


def test_one_poison_reading_costs_one_series_an_hour(oak: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    def take(plan: Any, state: Any, journal: Any, readings: Any, now_s: int) -> Any:
        if (readings.value == 6.66).any():
            raise ZeroDivisionError("poison")
        return _take(plan, state, journal, readings, now_s)

    monkeypatch.setattr(step_module, "take_in", take)
    story = Story(oak)
    for station in "ABC":
        story.push(station, 0, 1.0)
    story.tick(0)
    for station, value in (("A", 6.66), ("B", 1.1), ("C", 1.1)):
        story.push(station, 10, value)
    assert story.tick(10).out_of_service == {("A", "stage"): "ZeroDivisionError: poison"}
    assert story.state.s["out"].sum() == 1 and story.push("A", 20, 1.0).tick(20).applied == 0
    assert story.push("A", 59, 1.0).tick(59).applied == 0
    assert story.push("A", 61, 1.0).tick(61).applied == 1 and not story.state.s["out"].any()  # an hour later it has another try


async def test_a_mended_version_decides_it_all_again(oak: Region, broken: list[bool], tmp_path: Path) -> None:
    """While every reading raises no checkpoint is made of it, so nothing that came in that time is lost."""
    log: Records = [reading(0, 1.0), tick(0)]
    for minute in range(10, 200, 10):
        log += [reading(minute * 60_000, 1.0 + minute / 60), tick(minute * 60_000 + 1)]
    broker = FakeBroker()
    broker.topics[OFTEN.readings, 0] = log[:2]
    broken[0] = False
    await Life(broker, oak, PIPELINE, OFTEN, "w0").run(1)
    broken[0] = True
    broker.topics[OFTEN.readings, 0] = list(log)
    life = Life(broker, oak, PIPELINE, OFTEN, "w1")
    await life.run(1)
    assert any(isinstance(fact, SeriesOutOfService) for fact in life.facts) and not life.errors
    assert broker.commits[0][0] == 2 and published(broker) == []
    broken[0] = False
    again = Life(broker, oak, OTHER_CODE, OFTEN, "w2")  # the mended version is other code
    await again.run(1)
    wanted = FakeBroker()
    wanted.topics[OFTEN.readings, 0] = list(log)
    await Life(wanted, oak, OTHER_CODE, OFTEN, "w0").run(1)
    assert published(broker) == published(wanted) and len(chains(published(broker))) == 1
    assert broker.commits[0][0] == len(log)


async def test_it_is_alive_not_ready_and_says_so(oak: Region, broken: list[bool]) -> None:
    broker = FakeBroker()
    broker.topics[NEVER.readings, 0] = [reading(0, 1.0), tick(0)]
    life = Life(broker, oak, PIPELINE, NEVER, "w0")
    await life.run(2, last_save=False)
    facts: list[Any] = []
    assert life.owned is not None and life.owned.failing_since is not None
    worker: Any = SimpleNamespace(owned={0: life.owned}, listen=facts.append)
    watch = Watch(worker, broker)
    watch._failing()
    assert facts == []  # one reading of one series is no pattern yet
    life.owned.failing_since -= 60
    watch._failing()
    watch._failing()
    broken[0] = False
    broker.topics[NEVER.readings, 0] += [reading(1000, 1.0), tick(2000)]
    await life.run(2, last_save=False)
    watch._failing()
    assert [(fact.part, fact.ready) for fact in facts if isinstance(fact, Ready)] == [("decisions", False), ("decisions", True)]
    assert "every reading raises in partition 0" in facts[0].why
    await asyncio.sleep(0)
