"""Another configuration or code goes on after a crash: what people were told is continued, never told again with other content."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from stream_fake import FakeBroker, Killed, Life, code_of
from takeover_story import (
    NEVER,
    OFTEN,
    OTHER_CODE,
    Records,
    base_of,
    before_the_flood,
    chains,
    copy_of,
    crash,
    dead,
    log_of,
    lowered,
    old,
    published,
)  # fmt: skip

from warning.errors import ExitCode, StateError
from warning.model import Switch, to_json
from warning.region import Region
from warning.stream.decisions import PIPELINE
from warning.stream.takeover import PART_BYTES, Switches, parts


@pytest.fixture(scope="module")
def oak(tmp_path_factory: pytest.TempPathFactory) -> Region:
    return old(tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def lower(tmp_path_factory: pytest.TempPathFactory) -> Region:
    return lowered(tmp_path_factory.mktemp("new"))


@pytest.fixture(scope="module")
def log(oak: Region) -> Records:
    return log_of(oak)


@pytest.fixture(scope="module")
def base(oak: Region, log: Records) -> FakeBroker:
    return asyncio.run(before_the_flood(oak, log))


@pytest.mark.parametrize("change", ["limits", "code"])
async def test_what_was_told_goes_on(oak: Region, lower: Region, log: Records, base: FakeBroker, change: str) -> None:
    region, pipeline = (lower, PIPELINE) if change == "limits" else (oak, OTHER_CODE)
    went_on = 0
    for number, until in enumerate(range(base.commits[0][0] + 3, len(log), 97)):
        broker = await crash(base, oak, until, arrives=number % 2 == 0)
        told = published(broker)
        life = Life(broker, region, pipeline, OFTEN, "w2")
        await life.run(31)
        events = published(broker)
        assert events[: len(told)] == told  # nothing again, nothing in between
        found = chains(events)
        for name, revisions in chains(told).items():
            assert found[name][: len(revisions)] == revisions
            went_on += len(found[name]) > len(revisions)
        assert life.loaded.switch is not None and life.loaded.switch.next == base.commits[0][0]
        assert set(life.loaded.switch.told) == {event.alert.identifier for event in told} - known(base)
        assert all((event.config, event.code) == (life.who.config, life.who.code) for event in events[len(told) :])
        assert broker.commits[0][0] > base.commits[0][0]
    assert went_on > 3


def known(base: FakeBroker) -> set[str]:
    return {event.alert.identifier for event in published(base)}


async def test_killed_again_at_every_step_of_the_adoption(oak: Region, lower: Region, log: Records, base: FakeBroker) -> None:
    """The one that takes over dies at each of its operations; the next one, with the new configuration or the old one, takes over."""
    until = base.commits[0][0] + 60
    short = log[: until + 8]
    deaths, at = 0, 0
    crashed = await crash(base, oak, until)
    del crashed.topics[OFTEN.readings, 0][len(short) :]
    told = published(crashed)
    for at in range(1, 30):
        broker = copy_of(crashed)
        assert len(told) > len(known(base)) + 2
        broker.new_life(at, lost=at % 2 == 0)
        try:
            await Life(broker, lower, PIPELINE, OFTEN, "w2").run(5)
        except Killed:
            deaths += 1
        await dead()
        broker.new_life()
        again, pipeline = [(lower, PIPELINE), (oak, PIPELINE), (oak, OTHER_CODE)][at % 3]
        await Life(broker, again, pipeline, OFTEN, "w3").run(9)
        assert chains(published(broker)).keys() >= chains(told).keys()
    assert deaths == at


async def test_back_to_the_old_configuration_adopts_too(oak: Region, lower: Region, log: Records, base: FakeBroker) -> None:
    """The checkpoint is the old one's, so nothing but what was published says that another was here."""
    broker = await crash(base, oak, base.commits[0][0] + 30)
    await Life(broker, lower, PIPELINE, NEVER, "w2").run(9, len(log) - 60, last_save=False)
    await dead()
    broker.new_life()
    life = Life(broker, oak, PIPELINE, OFTEN, "w3")
    await life.run(9)
    chains(published(broker))
    assert life.loaded.switch is not None and life.loaded.switch.config == oak.digest and len(life.loaded.switch.told) > 5


async def test_no_switch_where_nothing_changed(oak: Region, log: Records, base: FakeBroker) -> None:
    broker = await crash(base, oak, base.commits[0][0] + 60)
    life = Life(broker, oak, PIPELINE, OFTEN, "w2")
    await life.run(40)
    assert life.loaded.switch is None and broker.topics[OFTEN.readings, 0] == log


async def test_after_a_clean_stop_nothing_is_adopted(oak: Region, lower: Region, log: Records) -> None:
    broker = await base_of(oak, log, len(log) - 80)
    told = published(broker)
    life = Life(broker, lower, PIPELINE, OFTEN, "w1")
    await life.run(20)
    switch = life.loaded.switch
    assert switch is not None and switch.told == () and switch.until_ms == -1 and life.loaded.how == "committed"
    assert published(broker)[: len(told)] == told and len(chains(published(broker))) >= 2


async def test_no_checkpoint_in_the_middle_of_a_take_over(oak: Region, lower: Region, log: Records, base: FakeBroker) -> None:
    """It would lack what was told, and nobody after it would look."""
    broker = await crash(base, oak, len(log))
    life = Life(broker, lower, PIPELINE, OFTEN, "w2")
    owned = await life.start()
    assert owned.beats.taking is not None
    await life.run(5, base.commits[0][0] + 30, last_save=False)
    assert owned.beats.taking is not None and broker.commits == base.commits
    assert await owned.last_save(5.0) == "in the middle of a take-over"
    again = Life(broker, lower, PIPELINE, OFTEN, "w2")
    assert await again.start(owned) is not owned  # nor is the memory of it any good


async def test_one_that_wakes_up_after_a_take_over_ends(oak: Region, lower: Region, log: Records, base: FakeBroker) -> None:
    """Stopped for minutes in the middle of its beats: nothing that it decides after the switch goes out."""
    broker = await crash(base, oak, base.commits[0][0] + 30)
    middle = len(log) - 60
    del broker.topics[OFTEN.readings, 0][middle:]
    zombie = Life(broker, oak, PIPELINE, OFTEN, "zombie")
    await zombie.run(9, last_save=False)
    await asyncio.sleep(0.05)
    await Life(broker, lower, PIPELINE, OFTEN, "w2").run(9)
    broker.topics[OFTEN.readings, 0] += log[middle:]
    told = len(published(broker))
    broker.refuse = True
    with pytest.raises(StateError, match="decide from here on") as stopped:
        await zombie.run(9)
    assert code_of(stopped.value) is ExitCode.TAKEN_OVER
    await asyncio.sleep(0.05)
    assert len(published(broker)) == told
    broker.refuse = False
    await Life(broker, lower, PIPELINE, OFTEN, "w3").run(9)
    assert len(chains(published(broker))) >= 2


async def test_one_that_took_over_and_did_nothing_is_answered(oak: Region, lower: Region, log: Records, base: FakeBroker) -> None:
    """It wrote its switch and lost the partition: the log must say who decided after all."""
    broker = copy_of(base)
    lost = Life(broker, lower, PIPELINE, OFTEN, "lost")
    await lost.start()
    end = len(broker.topics[OFTEN.readings, 0])
    life = Life(broker, oak, PIPELINE, OFTEN, "w2")
    await life.run(9)
    assert life.loaded.switch is None
    added = [msgspec.json.decode(value, type=Switch) for _, value in broker.topics[OFTEN.readings, 0][end:] if value]
    assert [(one.writer, one.config, one.next) for one in added] == [("w2", oak.digest, base.commits[0][0])]


def test_a_long_switch_is_several_records(oak: Region, log: Records, base: FakeBroker) -> None:
    alerts = tuple(event.alert for event in published(base))
    many = tuple(msgspec.structs.replace(alert, zone=f"{alert.zone}{number}") for number in range(400) for alert in alerts[-2:])
    names = tuple(f"id{number}" for number in range(1001))
    switch = Switch(switch_ms=1, writer="w", config="c", code="k", next=7, until_ms=5, told=names, adopted=many)
    records = parts(switch)
    assert len(records) > 2 and max(len(to_json(record)) for record in records) < PART_BYTES + 50_000
    whole = Switches()
    assert [whole.take(record) for record in records][-1] == switch
    assert [whole.take(record) for record in records[:-1]] == [None] * (len(records) - 1)  # died before the last
    other = Switches()
    assert [other.take(record) for record in (*records[:1], *records)][-1] == switch  # began again
    assert other.take(records[-1]) is None
    assert next(other.take(record) for record in parts(Switch(switch_ms=1, writer="x", config="c", code="k"))) is not None
