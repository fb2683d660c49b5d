"""In which order messages go: least time left first, no district starved, at the pace that the gateway takes."""

from __future__ import annotations

import asyncio
import doctest
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warning.dispatch import deadlines
from warning.dispatch.deadlines import CREDIT_MS, deadline_ms, travel_ms
from warning.dispatch.lane import BAND_MS, Queue
from warning.dispatch.pace import Pace
from warning.dispatch.rows import Open
from warning.dispatch.slots import Slots
from warning.model import Level

NOW = 1_756_260_000_000
MINUTE_MS = 60_000


def item(number: int, deadline_ms: int | None, level: Level = Level.HIGH, *, chain: str = "x", at: int = 0) -> Open:
    return Open(number, f"{chain}.1", chain, level, f"c{number}", "sms", "en", "", 0, at, NOW, NOW + 10**8, deadline_ms)


def drained(queue: Queue, now_ms: int = NOW) -> list[Open]:
    out = []
    while (one := queue.take(now_ms)) is not None:
        out.append(one)
        queue.done(one.key)
    return out


# --- deadlines


def test_class_counts_as_time() -> None:
    assert doctest.testmod(deadlines).failed == 0


def test_a_village_below_the_gauge_has_the_way_of_the_water_and_one_above_has_none(tmp_path: Path) -> None:
    region = world.region(tmp_path)
    reach = next(reach for zone in region.zones for reach in region.reaches_into.get(zone.id, ()) if reach.travel_low_s)
    above, below = (region.station_by_id[region.zone_by_id[zone].station] for zone in (reach.upstream, reach.downstream))
    assert above.lat is not None and above.lon is not None and below.lat is not None and below.lon is not None

    def at(part: float) -> int:
        lat, lon = above.lat + part * (below.lat - above.lat), above.lon + part * (below.lon - above.lon)
        return travel_ms(replace(world.contact(1), lat=lat, lon=lon), reach.upstream, region)

    whole = 1000 * reach.travel_low_s
    assert (at(0.0), at(-0.5)) == (0, 0)
    assert at(0.5) == pytest.approx(whole / 2, rel=0.01)
    assert at(1.0) == pytest.approx(whole, rel=0.01)
    assert travel_ms(world.contact(1), reach.upstream, region) == 0, "an unknown place is as near as can be"
    event = world.event(region, reach.upstream, sent_ms=NOW).alert
    there = replace(world.contact(1), lat=below.lat, lon=below.lon)
    assert deadline_ms(event, there, region) == pytest.approx(event.sent_ms + whole, rel=1e-9)
    later = type(event)(**{**{name: getattr(event, name) for name in event.__struct_fields__}, "arrival_ms": NOW + 7 * MINUTE_MS})
    assert deadline_ms(later, world.contact(1), region) == NOW + 7 * MINUTE_MS


# --- the queue


@given(st.lists(st.tuples(st.integers(0, 120_000), st.integers(0, 4), st.sampled_from(list(Level)[2:])), max_size=60))
def test_two_deadlines_of_one_class_are_never_out_of_order_by_more_than_a_band(entries: list[tuple[int, int, Level]]) -> None:
    queue = Queue()
    for number, (after_ms, district, level) in enumerate(entries):
        queue.add(item(number, NOW + after_ms, level), f"d{district}")
    out = drained(queue)
    assert sorted(one.id for one in out) == list(range(len(entries)))
    urgencies = [(one.deadline_ms or 0) - CREDIT_MS * one.level.rank for one in out]
    latest = 0
    for urgency in urgencies:
        assert latest - urgency < BAND_MS or latest == 0
        latest = urgency if latest == 0 else max(latest, urgency)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=200), st.integers(1, 12), st.integers(0, 150))
def test_of_a_small_district_the_kth_message_waits_for_k_of_each_other_one_only(large: list[int], small: int, late: int) -> None:
    """However many wait in the others, and also when the small one comes while they are at work."""
    queue = Queue()
    for number, district in enumerate(large):
        queue.add(item(number, NOW), f"large{district}")
    before = []
    for _ in range(min(late, len(large))):
        one = queue.take(NOW)
        assert one is not None
        queue.done(one.key)
        before.append(one)
    for number in range(small):
        queue.add(item(1000 + number, NOW), "small")
    waited: dict[str, int] = defaultdict(int)
    served = 0
    for one in drained(queue):
        if one.id >= 1000:
            served += 1
            assert all(count <= served for count in waited.values()), (served, dict(waited))
        else:
            waited[f"large{large[one.id]}"] += 1
    assert served == small


def test_what_is_overdue_holds_up_nobody_whose_water_comes_now() -> None:
    queue = Queue()
    queue.add(item(1, NOW - 86_400_000, chain="old"))
    queue.add(item(2, NOW - 60_000, chain="new"))
    queue.add(item(3, NOW + 10 * MINUTE_MS))
    queue.add(item(4, NOW + 10 * MINUTE_MS, Level.EXCEPTIONAL))
    assert [one.id for one in drained(queue)] == [4, 1, 2, 3]


def test_a_newer_revision_moves_up_at_once_when_the_older_one_that_waits_for_its_retry_is_dropped() -> None:
    queue = Queue()
    queue.add(item(1, NOW, at=NOW + 1_800_000))
    newer = replace(item(2, NOW), contact="c1")
    queue.dropped.add(1)
    queue.add(newer)
    assert [one.id for one in drained(queue)] == [2]
    assert len(queue) == 0 and queue.dropped == set()


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 4), st.booleans(), st.booleans()), min_size=1, max_size=40
    )
)
def test_nothing_is_lost_nor_sent_after_it_was_dropped(entries: list[tuple[str, str, int, bool, bool]]) -> None:
    queue, gone, alive = Queue(), set(), set()
    for number, (contact, chain, at, first, drop) in enumerate(entries):
        queue.add(replace(item(number, NOW + at, chain=chain, at=at), contact=contact), "d", first=first)
        alive.add(number)
        if drop:
            gone.add(number // 2)
            queue.dropped.update({number // 2} & alive)
            queue.add(replace(item(1000 + number, NOW, chain=chain), contact=contact), "d")
            alive.add(1000 + number)
    out = [one.id for now in range(6) for one in drained(queue, now)]
    assert sorted(out) == sorted(alive - gone)


# --- pace


class Centre:
    """Takes ``allows`` submits in each second of its own, as real ones count; time is the test's."""

    def __init__(self, allows: float) -> None:
        self.allows, self.now, self.taken, self.refused = allows, 0.0, 0, 0
        self._second, self._in_second = 0, 0

    def submit(self) -> bool:
        if int(self.now) != self._second:
            self._second, self._in_second = int(self.now), 0
        self._in_second += 1
        good = self._in_second <= self.allows
        self.taken, self.refused = self.taken + good, self.refused + (not good)
        return good


def ran(pace: Pace, centre: Centre, seconds: float) -> None:
    until = centre.now + seconds
    while centre.now < until:
        centre.now += 1.0 / pace.rate
        if centre.submit():
            pace.accepted()
        else:
            pace.throttled()


@pytest.mark.parametrize("allows", [20, 120, 500, 1000])
def test_of_what_the_centre_takes_95_percent_are_used_and_few_submits_are_wasted(allows: int) -> None:
    centre = Centre(allows)
    pace = Pace(1000.0, clock=lambda: centre.now)
    ran(pace, centre, 30)
    centre.taken = centre.refused = 0
    ran(pace, centre, 60)
    assert centre.taken >= 0.95 * 60 * allows
    assert centre.refused <= 0.03 * centre.taken


def test_a_centre_that_takes_nothing_is_asked_once_a_second_and_one_that_is_well_again_gets_the_full_rate() -> None:
    centre = Centre(0)
    pace = Pace(500.0, clock=lambda: centre.now)
    ran(pace, centre, 12)
    assert pace.rate == 1.0
    centre.allows = 500
    ran(pace, centre, 120)
    assert pace.rate >= 0.95 * 500


async def test_turns_are_spaced_and_a_stall_is_made_good_for_a_tenth_of_a_second_only() -> None:
    now = [100.0]
    pace = Pace(100.0, clock=lambda: now[0])
    delays: list[float] = []
    sleep, asyncio.sleep = asyncio.sleep, lambda delay: _noted(delays, delay)  # type: ignore[assignment]
    try:
        for _ in range(30):
            await pace.turn()
    finally:
        asyncio.sleep = sleep  # type: ignore[assignment]
    late = [delay for delay in delays if delay > 1e-6]
    assert len(late) == 20 and late[-1] == pytest.approx(0.2), "ten at once, then one each 10 ms"


async def _noted(delays: list[float], delay: float) -> None:
    delays.append(delay)


# --- places of requests


async def test_what_hangs_gives_its_place_back_and_never_twice() -> None:
    slots, done, never = Slots(most=4, quick_s=0.05), [], asyncio.Event()

    async def ask(number: int) -> None:
        async with slots.one():
            if number % 2:
                await never.wait()
            done.append(number)

    asked = [asyncio.create_task(ask(number)) for number in range(40)]
    await world.until(lambda: len(done) == 20, 10, "the live ones do not wait for the dead")
    never.set()
    await asyncio.gather(*asked)
    under_way, most = 0, 0

    async def count() -> None:
        nonlocal under_way, most
        async with slots.one():
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    await asyncio.gather(*(count() for _ in range(40)))
    assert most == 4
