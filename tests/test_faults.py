"""The failure simulator: a short fixed selection on three brokers, and that its verdict sees what it is there to see.

All faults, as often as you like: ``make faults`` (tests/faults/README.md).
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import services
from aiokafka.errors import InvalidTimestampError
from faults import results, run, verdict
from faults.cluster import Brokers
from faults.command import parser
from faults.delivery import deliveries, words
from faults.fault import Fault
from faults.feed import Feed
from faults.load import Size, Water, write_region
from faults.registry import FAULTS
from faults.verdict import Implied, Logged, Verdict, replayed
from faults.world import SESSION_TIMEOUT_S, World
from sqlalchemy.exc import OperationalError

from warning.deployment import Deployment
from warning.dispatch.dispatcher import Dispatcher
from warning.dispatch.rows import Position
from warning.dispatch.source import Batch
from warning.errors import ExitCode, StateError
from warning.facts import Ready
from warning.model import AlertEvent, DeliveryState, Parameter, Reading, Receipt, to_json
from warning.region import Region
from warning.rehearsal.reckoning import due_of
from warning.stream.beats import Beats
from warning.stream.decisions import PIPELINE
from warning.stream.kafka import KafkaLog
from warning.stream.replay import log_with_ticks
from warning.stream.state import Book, Frozen, note_of
from warning.wiring_bench_broker import installed as kafka_home

START_MS = 1_756_684_800_000


class OneOfEach(Fault):
    name = "one_of_each"
    breaks = "kill -9 of each kind of process once, and a worker that sleeps longer than the session timeout"
    must = "nothing lost, nothing twice, no document changed"
    after_s = (1.0, 1.0)
    lasts_s = (0.0, 0.0)

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        world.keeper.send("worker2", signal.SIGSTOP)
        for name in ("gateway", "dispatch", "broker3", "sms", "hooks"):
            await asyncio.sleep((SESSION_TIMEOUT_S + 2) / 5)
            assert world.kill(name)
        world.keeper.send("worker2", signal.SIGCONT)
        await asyncio.sleep(1.0)
        assert world.kill("worker1")


@pytest.mark.timeout(400)
async def test_each_kind_of_process_killed_and_a_zombie() -> None:
    home = kafka_home()
    if home is None:
        services.absent("Apache Kafka", "make services (Java 17 and Maven), or set WARNING_KAFKA_HOME to a folder with libs/*.jar")
        raise AssertionError
    async with Brokers(home) as brokers:
        result = await run.once(run.Plan(OneOfEach, 1, 8000, 700.0), OneOfEach(), brokers)
    assert result.wrong == []
    assert result.passed
    assert result.kills == 6
    assert result.figures["acknowledged"] == result.figures["readings_in_log"] == 8000
    assert result.figures["alerts"] > 5
    assert result.figures["deliveries"] > 10


# --- the verdict


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return write_region(tmp_path, Size(40, 20, 60))


def flood(region: Region) -> Logged:
    """The first partition's log of an hour of water, and the checkpoint of its last beat."""
    size = Size(40, 20, 60)
    water = Water(size, 3, START_MS)
    rounds = [item for turn in zip(*(water.rounds(which) for which in range(4)), strict=True) for one in turn for item in one]
    readings = [
        Reading(
            station=item["station"],
            parameter=Parameter.STAGE,
            time_ms=item["time"] * 1000,
            value=item["value"],
            received_ms=item["time"] * 1000,
            provider="load",
        )
        for item in rounds
    ]
    records = [record for record in log_with_ticks(region, readings) if record.partition == 0]
    return checkpointed(region, Logged([record.key for record in records], [record.value for record in records], 0, "", Book()))


def checkpointed(region: Region, part: Logged, spoil: Any = None) -> Logged:
    plan = PIPELINE.plan(region, 0)
    beats = Beats(0, PIPELINE, plan, PIPELINE.empty(plan), 0)
    list(beats.take(part.keys, part.values, 0))
    if spoil:
        spoil(beats.state)
    head, arrays = beats.state.freeze()
    frozen = Frozen.copied(head, arrays, next=beats.next, writer="w", config=region.digest, code=plan.code, tick=beats.tick)
    book = Book()
    for number, (key, value) in enumerate(frozen.records()):
        book.take(number, key, value)
    sealed = frozen.sealed()
    return replace(part, committed=sealed.next, note=note_of(sealed), book=book)


def test_a_true_checkpoint_passes(region: Region) -> None:
    one = replayed(region, 0, flood(region))
    assert one.differing == []
    assert one.counted == (0, 0)
    assert one.applied == 600
    assert len(one.alerts) > 2
    assert one.must == {event.alert.identifier for event in one.alerts}


def test_a_reading_counted_twice_and_one_not_counted_are_seen(region: Region) -> None:
    def spoil(state: Any) -> None:
        counts = state.s["w_count"][:, verdict.windows.OFFSETS[verdict.DAY_RING] :]
        row, slot = (int(found[0]) for found in counts.nonzero())
        counts[row, slot] += 1
        row, slot = (int(found[-1]) for found in counts.nonzero())
        counts[row, slot] -= 3

    one = replayed(region, 0, checkpointed(region, flood(region), spoil))
    assert one.counted == (3, 1)
    assert len(one.differing) == 1


def test_a_repeated_record_counts_once(region: Region) -> None:
    part = flood(region)
    place = next(number for number, key in enumerate(part.keys) if key)
    part = replace(part, keys=[*part.keys[:place], part.keys[place], *part.keys[place:]])
    part = checkpointed(region, replace(part, values=[*part.values[:place], part.values[place], *part.values[place:]]))
    one = replayed(region, 0, part)
    assert one.counted == (0, 0)
    assert sum(one.identities.values()) == 601
    assert one.applied == 600


def test_an_acknowledged_reading_that_is_not_in_the_log_is_lost() -> None:
    found = Verdict()
    verdict._readings(found, [Implied(identities=Counter({("g0001", 60): 2}))], {"g0001": {60, 120}})
    assert found.figures["lost"] == 1
    assert found.figures["written_twice"] == 1
    assert not found.passed


def test_alerts_that_are_missing_or_other_are_seen(region: Region) -> None:
    one, found = replayed(region, 0, flood(region)), Verdict()
    missing, *rest = one.alerts
    rest[0] = AlertEvent(alert=rest[0].alert, cap=rest[0].cap + " ", config=rest[0].config, code=rest[0].code)
    verdict._alerts(found, [one], [(event, to_json(event)) for event in rest])
    assert found.figures["lost"] == found.figures["alerts_lost"] == 1
    assert found.figures["alerts_changed"] == 1
    assert missing.alert.identifier in found.words[0]


def test_deliveries_are_held_against_what_arrived(region: Region, tmp_path: Path) -> None:
    event = replayed(region, 0, flood(region)).alerts[0]
    keys = sorted(key for key in due_of(region, event))
    assert {channel for _, _, channel in keys} == {"sms", "webhook"}
    receipts = [receipt(event, contact, channel) for _, contact, channel in keys]
    phones, hooks = tmp_path / "sms.jsonl", tmp_path / "hooks.jsonl"
    lines = sms(region, event, keys)
    write(phones, lines)
    write(hooks, [{"name": "agency", "alert": event.alert.identifier, "verified": True, "status": 204}])
    good = deliveries(region, [event], receipts, phones, hooks)
    assert (good.due, good.lost, good.doubled, good.again) == (len(keys), [], [], 0)
    write(phones, lines[1:])
    assert len(deliveries(region, [event], receipts, phones, hooks).lost) == 1
    write(phones, [*lines, lines[0]])
    assert len(deliveries(region, [event], receipts, phones, hooks).doubled) == 1
    crashed = [msgspec.structs.replace(one, state=DeliveryState.UNKNOWN) for one in receipts] + receipts
    marked = deliveries(region, [event], crashed, phones, hooks)
    assert (marked.doubled, marked.again) == ([], 1)
    assert deliveries(region, [event], receipts[1:], phones, hooks).lost == [f"{keys[0]}: due and never tried"]


def receipt(event: AlertEvent, contact: str, channel: str) -> Receipt:
    alert = event.alert
    return Receipt(
        region=alert.region,
        alert=alert.identifier,
        zone=alert.zone,
        level=alert.level,
        contact=contact,
        channel=channel,
        state=DeliveryState.DELIVERED,
        attempt=1,
        at_ms=0,
    )


def sms(region: Region, event: AlertEvent, keys: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    contacts = {contact.id: contact for contact in region.contacts}
    return [
        {"kind": "part", "destination": contacts[name].phone, "part": number, "parts": len(parts), "text": text}
        for _, name, channel in keys
        if channel == "sms"
        for parts in [words(region, event, contacts[name]).parts]
        for number, text in enumerate(parts, 1)
    ]


def write(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


# --- what the simulator found


async def test_an_output_that_the_brokers_refuse_for_its_time_ends_with_clock() -> None:
    """clock_worker, seed 2: the clock jumped by a day, and a beat's hazards were sent before the next tick looked at it."""
    taken: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    sent = KafkaLog(Deployment())._confirmation(taken, "hazards-2")
    taken.set_exception(InvalidTimestampError())
    with pytest.raises(StateError, match="hazards-2: the brokers refuse our time") as error:
        await sent
    assert error.value.exit_code is ExitCode.CLOCK


async def test_a_ledger_that_was_locked_while_alerts_were_planned_is_ready_again(region: Region) -> None:
    """database_locked, seed 1: the dispatcher went on after the lock, and its readiness said for ever that it did not."""
    tries, told = 0, []

    class Planner:
        async def take(self, batch: Any, now_ms: int) -> int:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))
            return 7

        async def start(self) -> None:
            told.append("start")

    dispatcher = Dispatcher(region, Deployment(), told.append)
    dispatcher._planner = Planner()  # type: ignore[assignment]
    assert await dispatcher._take(Batch((), Position("alerts", 0, 0, "", ""), False)) == 7
    assert told == [Ready("ledger", False, "the ledger does not answer"), "start", Ready("ledger", True)]


# --- the command


def test_what_passed_is_not_run_again_and_figures_add_up(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for seed, lost in ((1, 0), (2, 3)):
        line = run.Result("kill9", seed, 100, kills=5, lost=lost, figures={"acknowledged": 100 - lost}, passed=not lost)
        results.append(path, run.as_json(line))
    lines = results.read(path)
    assert results.done(lines, "kill9", 1, 100)
    assert not results.done(lines, "kill9", 2, 100)
    assert not results.done(lines, "kill9", 1, 200)
    found = results.figures(lines)
    assert (found["kills"], found["lost"], found["doubled"], found["alerts_changed"]) == (10, 3, 0, 0)
    assert found["acknowledged"] == 197
    kill9 = {"runs": 2, "passed": 1, "acknowledged": 197, "kills": 10, "lost": 3, "doubled": 0, "alerts_changed": 0}
    assert found["faults"]["kill9"] == kill9
    row = results.table(lines).splitlines()[1].split()
    assert row[:4] == ["kill9", "2", "1", "10"]
    assert row[-1] == "2"


def test_faults_have_words_and_the_readme_names_them() -> None:
    readme = (Path(__file__).parent / "faults" / "README.md").read_text("utf-8")
    for name, fault in FAULTS.items():
        assert fault.breaks
        assert fault.must
        assert f"`{name}`" in readme, name
    assert parser().parse_args(["--field"]).field
    assert parser().parse_args(["--kills", "200", "--readings", "1000000"]).kills == 200


def test_the_same_seed_is_the_same_water() -> None:
    size = Size(40, 20, 30)
    one, again, other = (list(Water(size, seed, START_MS).rounds(0)) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    assert sum(map(len, one)) == 10 * 30
    water = Water(size, 1, START_MS)
    last = one[-1][0]
    assert water.value(last["station"], last["time"] * 1000) == last["value"]
    assert [water.value(last["station"], last["time"] * 1000 + ms) for ms in (1, 60_000, -30 * 60_000)] == [None] * 3
