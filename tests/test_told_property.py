"""Random sequences of revisions, answers, call-offs, silences and restarts: after each, everybody knows what holds.

The other side of ``test_authority_property``, which says what may not leave. The model is the issue's text, and uses none of the rules:
the gauge's newest revision that people let out holds, unless a person speaks in its place, until that runs out or the gauge rises above it.
Who is told from that class on has it as the last word he got; nobody believes more than holds.
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import channel_postgres
import channel_world as world
import pytest
from dispatch_house import TAKEN, H, House
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import Silence
from warning.deployment import Deployment
from warning.dispatch.channel import Outcome
from warning.dispatch.returned import Returned
from warning.errors import InputError
from warning.model import Alert, AlertEvent, DeliveryState, EventKind, Level
from warning.region import Region

NAMES = ("A. Khan", "B. Shah")
FIRST = int(os.environ.get("WARNING_SEED", "1"))
HOLDS_H = 6  # so long an alert of the gauge holds; it is renewed an hour before
LEVELS = (Level.LOW, Level.HIGH, Level.VERY_HIGH)
WAITING, UNKNOWN = DeliveryState.WAITING, DeliveryState.UNKNOWN
SILENT = (EventKind.CERTAINTY, EventKind.RENEW, EventKind.CLEAR)


@functools.cache
def _region() -> Region:
    with tempfile.TemporaryDirectory() as folder:
        return world.region(Path(folder))


class Story:
    """One sequence; ``seed`` makes it again."""

    def __init__(self, seed: int, folder: Path, url: str = "") -> None:
        self.random, self.loop, self.folder, self.url = random.Random(seed), asyncio.new_event_loop(), folder, url
        self.done: list[str] = []
        self.judged = 0
        self.gauge: list[Alert] = []  # revisions of all its chains
        self.hand: list[Alert] = []
        self.answers: list[tuple[int, str, Level, str, bool]] = []  # when, chain, level, who, yes
        self.off: dict[str, list[tuple[int, Level, str]]] = {}  # chain -> (when, up to, the chain in its place), each time
        self.places: dict[str, set[str]] = {}  # chain -> all that ever spoke in its place
        self.quiet_ms = 0  # a silence lasts until then
        self.silences: list[int] = []
        self.ruled: set[str] = set()  # what the rule for no answer let out, while a dispatcher looked
        self.unread: list[AlertEvent] = []  # while no dispatcher runs

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def begin(self) -> None:
        approve, persons = self.random.choice((None, Level.HIGH, Level.VERY_HIGH)), self.random.choice((1, 2))
        contacts = tuple(world.contact(number, level=level) for number, level in enumerate((Level.LOW, Level.VERY_HIGH, Level.HIGH)))
        rules = replace(_region().alert, approve_from=approve, approve_persons=persons, approve_within_s=1800, call_off_for_s=4 * 3600)
        region = replace(_region(), contacts=contacts, alert=replace(rules, unanswered=self.random.choice(("hold", "hold", "send"))))
        self.house = House(region, Deployment(prefix="p.", directory=self.folder, database_url=self.url), contacts)
        self.start()

    def start(self) -> None:
        house = self.house
        self.do(house.start())
        self.returned = Returned(house.region, house.people, house.decisions, house.ledger, house.courier)

    def end(self) -> None:
        self.do(self.house.stop())
        self.loop.close()

    def go_on(self) -> None:
        """One thing happens."""
        any_of, up = self.random.choice, bool(self.house.loops)
        happens: list[tuple[int, Callable[..., None], tuple[Any, ...]]] = [
            (5, self.the_water_rises_or_falls, (any_of(LEVELS), self.random.random() < 0.2)),
            (4, self.time_passes, (any_of((0.1, 0.6, 2, 4, 7, 23)),)),
            (2 if self.newest else 0, self.the_gauge_says_what_hardly_anybody_hears, (any_of(SILENT),)),
            (
                4 if up and self.gauge else 0,
                self.somebody_answers,
                (any_of(NAMES), any_of(LEVELS), any_of((True, True, False)), any_of((0, 1))),
            ),
            (2 if up and self.gauge else 0, self.somebody_takes_back, (any_of((None, *LEVELS)), any_of((0, 1)))),
            (1 if up else 0, self.somebody_wants_quiet, (any_of(LEVELS), any_of((0.5, 3)), any_of(("", "", "c1")))),
            (2 if up and self.silences else 0, self.somebody_ends_the_quiet, ()),
            (1 if up else 0, self.somebody_raises, (any_of(LEVELS), any_of((1, 20)))),
            (1 if up else 8, self.the_dispatcher_is_killed_or_comes_back, (any_of((0, 10)),)),
            (0 if not up else 1 if self.house.courier.gate.is_set() else 5, self.the_way_is_closed_or_opens, ()),
            (0 if not up else 1 if self.well else 6, self.the_gateway_falters_or_is_well, (any_of((WAITING, WAITING, UNKNOWN)),)),
        ]
        _, what, given = self.random.choices(happens, [weight for weight, _, _ in happens])[0]
        self.done.append(f"{what.__name__}{given}")
        what(*given)

    @property
    def well(self) -> bool:
        return self.house.sink.outcome is TAKEN

    @property
    def newest(self) -> Alert | None:
        """Of the gauge, while it holds."""
        last = self.gauge[-1] if self.gauge else None
        return last if last is not None and last.active and last.expires_ms > self.house.now_ms else None

    def says(self, kind: EventKind, level: Level) -> None:
        house, last = self.house, self.newest
        house.now_ms += 1000
        raised_ms, revision = (last.raised_ms, last.revision + 1) if last else (house.now_ms, 0)
        event = world.event(
            *(house.region, "A", revision, kind, level),
            sent_ms=house.now_ms,
            raised_ms=raised_ms,
            expires_ms=house.now_ms + HOLDS_H * H,
            previous=last.level if last else Level.NORMAL,
        )
        self.gauge.append(event.alert)
        self.hears(event)

    def hears(self, event: AlertEvent) -> None:
        self.unread.append(event)
        self.read()

    def read(self) -> None:
        if self.house.loops:
            for event in self.unread:
                self.do(self.house.read(event))
            self.unread = []

    # --- what happens

    def the_water_rises_or_falls(self, level, killed) -> None:
        """``killed``: the dispatcher, as it has planned that and noticed nothing else yet."""
        last = self.newest
        if last is None:
            kind = EventKind.RAISE
        elif level is last.level:
            kind = EventKind.ARRIVAL
        else:
            kind = EventKind.UPGRADE if level > last.level else EventKind.DOWNGRADE
        self.says(kind, level)
        if killed and self.house.loops:
            self.do(self.house.planned())
            self.the_dispatcher_is_killed_or_comes_back(0)
        self.judge()

    def the_gauge_says_what_hardly_anybody_hears(self, kind) -> None:
        self.says(kind, Level.NORMAL if kind is EventKind.CLEAR else self.newest.level)
        self.judge()

    def time_passes(self, hours) -> None:
        if hours > 0.6 and self.house.region.alert.unanswered == "send":  # what the rule lets out is looked at when it does
            self.time_passes(0.6)
        until_ms = self.house.now_ms + round(hours * H)
        while (last := self.newest) is not None and last.expires_ms - H < until_ms:
            self.house.now_ms = max(self.house.now_ms, last.expires_ms - H)
            self.says(EventKind.RENEW, last.level)
            if hours < 23:  # in a long time not everything settles between
                self.judge()
        self.house.now_ms = max(until_ms, self.house.now_ms)
        self.judge()

    def somebody_answers(self, name, level, yes, hand) -> None:
        house, alert = self.house, (self.hand if hand and self.hand else self.gauge)[-1]
        house.now_ms += 1
        if house.loops:
            self.do(house.authority.approve(alert.identifier, level, name, house.now_ms, granted=yes))
            self.answers.append((house.now_ms, chain_of(alert.identifier), level, name, yes))
            self.judge()

    def somebody_takes_back(self, level, hand) -> None:
        house, alert = self.house, (self.hand if hand and self.hand else self.gauge)[-1]
        house.now_ms += 1000
        self.do(house.decided.refresh())  # as it is each second
        given = ("A. Khan", house.now_ms)
        try:
            if level is None:
                made = self.do(house.authority.cancel(alert.identifier, "misread", *given))
            else:
                made = self.do(house.authority.correct(alert.identifier, level, "misread", 3, *given))
        except InputError:
            return
        chain = chain_of(alert.identifier)
        if any(chain_of(one.identifier) == chain for one in self.gauge):
            top = max((made.alert.level, alert.level), key=lambda one: one.rank)
            self.off.setdefault(chain, []).append((house.now_ms, top, chain_of(made.alert.identifier)))
            self.places.setdefault(chain, set()).add(chain_of(made.alert.identifier))
        self.hand.append(made.alert)
        self.hears(made)
        self.judge()

    def somebody_raises(self, level, hours) -> None:
        house = self.house
        house.now_ms += 1000
        made = self.do(house.authority.raise_alert("A", level, "dam", hours, "A. Khan", house.now_ms))
        self.hand.append(made.alert)
        self.hears(made)
        self.judge()

    def somebody_wants_quiet(self, level, hours, contact) -> None:
        house = self.house
        until_ms = house.now_ms + round(hours * H)
        wish = Silence("A", level, house.now_ms, until_ms, "A. Khan", "siren test", contact)
        self.silences.append(self.do(house.authority.silence(wish)))
        self.quiet_ms = max(self.quiet_ms, until_ms)
        self.judge()

    def somebody_ends_the_quiet(self) -> None:
        for number in self.silences:
            with suppress(InputError):  # it has ended
                self.do(self.house.authority.end_silence(number, "B. Shah", self.house.now_ms))
        self.silences, self.quiet_ms = [], 0
        self.judge()

    def the_dispatcher_is_killed_or_comes_back(self, minutes) -> None:
        old = self.house
        if old.loops:
            self.do(old.stop())
            old.loops = []
            if minutes:
                return
        new = House(old.region, old.where, old.contacts)
        new.sink.outcome = old.sink.outcome
        new.now_ms, new.sink.sent, new.offset, new.newest_ms = old.now_ms, old.sink.sent, old.offset, old.newest_ms
        self.house = new
        self.start()
        self.read()
        self.judge()

    def the_way_is_closed_or_opens(self) -> None:
        gate = self.house.courier.gate
        gate.clear() if gate.is_set() else gate.set()
        self.judge()

    def the_gateway_falters_or_is_well(self, state) -> None:
        """It takes nothing, or does not say that it did."""
        self.house.sink.outcome = Outcome(state, "throttled", retry_after_s=30) if self.well else TAKEN
        self.judge()

    def all_is_well_again(self) -> None:
        """Who waited for a next attempt was left out of the reckoning meanwhile: by now he has had it."""
        if not self.house.loops:
            self.the_dispatcher_is_killed_or_comes_back(0)
        self.house.courier.gate.set()
        self.house.sink.outcome = TAKEN
        self.time_passes(2)
        self.time_passes(2)
        waits = [item for item in self.do(self.house.ledger.open_deliveries()) if item.next_attempt_ms]
        assert not waits, ("for its next attempt, four hours after all is well", waits)

    # --- what must be

    async def looks(self) -> None:
        """What ``Dispatcher`` does each second, for some seconds."""
        house = self.house
        for _ in range(4):
            if house.courier.gate.is_set():
                await house.settle()
                await self.returned.look(house.decided.standing, house.now_ms)
            else:
                await house.decided.refresh()
                house.planner.look_again()
                await house.courier.recheck()
                await house.planned()

    def let_out(self, alert: Alert) -> bool:
        rules, chain = self.house.region.alert, chain_of(alert.identifier)
        if rules.approve_from is None or not alert.active or alert.level < rules.approve_from:
            return True
        mine = [one for one in self.answers if one[1] == chain and alert.level <= one[2]]
        no_ms = max((one[0] for one in mine if not one[4]), default=-1)
        if (
            no_ms < 0
            and rules.unanswered == "send"
            and alert.sent_ms + rules.approve_within_s * 1000 <= self.house.now_ms < alert.expires_ms
        ):
            self.ruled.add(alert.identifier)
        return (no_ms < 0 and alert.identifier in self.ruled) or len(
            {one[3] for one in mine if one[4] and one[0] > no_ms}
        ) >= rules.approve_persons

    def raised(self, chain: str) -> Alert | None:
        """The same of a chain by hand."""
        free = [one for one in self.hand if chain_of(one.identifier) == chain and self.let_out(one)]
        return free[-1] if free and free[-1].expires_ms > self.house.now_ms else None

    def holds(self, chain: str) -> Alert | None:
        """What people are to believe of a chain of the gauge; None: nothing that anybody let out holds."""
        now_ms = self.house.now_ms
        own = [one for one in self.gauge if chain_of(one.identifier) == chain]
        free = [one for one in own if self.let_out(one) and one.expires_ms > now_ms]
        for when_ms, top, place in reversed(self.off.get(chain, ())):
            said = [one for one in self.hand if chain_of(one.identifier) == place and self.let_out(one)]
            if not said:
                continue  # a correction that nobody let out: as it was before
            rose_ms = min(
                (one.sent_ms for one in own if one.active and one.level > top and one.sent_ms >= when_ms // 1000 * 1000), default=None
            )
            spoken = [one for one in free if rose_ms is not None and one.sent_ms >= rose_ms]
            if spoken and said[-1].active and said[-1].expires_ms > now_ms:
                return None  # both speak, each for itself: whoever spoke last was heard last
            if spoken or said[-1].expires_ms > now_ms:
                return spoken[-1] if spoken else said[-1]
            break
        return free[-1] if free else None

    def beside(self, chain: str, told: Alert) -> bool:
        if chain not in self.off or told not in self.hand or not told.active or told.expires_ms > self.house.now_ms:
            return False
        when_ms, top, _ = next(one for one in self.off[chain] if one[2] == chain_of(told.identifier))
        own = (one for one in self.gauge if chain_of(one.identifier) == chain and one.sent_ms >= when_ms // 1000 * 1000)
        return any(one.level > top for one in own)

    def judge(self) -> None:
        if not self.house.loops:
            return
        self.do(self.looks())
        if self.house.now_ms < self.quiet_ms or not self.house.courier.gate.is_set() or not self.well:
            return  # what is kept quiet, or cannot go, is known when that is over
        waits = {item.contact for item in self.do(self.house.ledger.open_deliveries()) if item.next_attempt_ms}  # for its next attempt
        chains, places = dict.fromkeys(chain_of(one.identifier) for one in self.gauge), set().union(*self.places.values())
        by_hand = dict.fromkeys(chain for one in self.hand if (chain := chain_of(one.identifier)) not in places)
        for chain in (*chains, *by_hand):
            truth = self.holds(chain) if chain in chains else self.raised(chain)
            if truth is None:
                continue
            self.judged += 1
            about = {chain, *self.places.get(chain, ())}
            for contact in (one for one in self.house.contacts if one.id not in waits):
                told = [
                    event.alert
                    for _, event, who in self.house.sink.sent
                    if who.id == contact.id and chain_of(event.alert.identifier) in about
                ]
                if chain in chains and truth in self.gauge:  # what a person said beside a chain that has risen since, and ran out, is over
                    told = [one for one in told if not self.beside(chain, one)]
                last = (told[-1].level if told[-1].active else Level.NORMAL) if told else None
                must = truth.level if truth.active else Level.NORMAL
                if truth.active and truth.level >= contact.level:
                    assert last is must, (contact.id, "was not told", truth.identifier, must, last)
                if told and told[-1].expires_ms <= self.house.now_ms and told[-1] in self.hand:
                    continue  # nothing renews what a person said: that has run out for him, as he was told
                if contact.level is not Level.LOW and told and told[0].previous_level < contact.level:  # else: that it fell from there
                    assert told[0].level >= contact.level, (
                        contact.id,
                        "was told of less than he asked for",
                        told[0].identifier,
                    )
                assert last is None or last <= must, (contact.id, "believes more than", truth.identifier, must, last)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """WARNING_LEDGER=postgresql: the same stories there; each is a few seconds."""
    if os.environ.get("WARNING_LEDGER") != "postgresql":
        yield ""
        return
    with channel_postgres.postgres() as url:
        yield url


async def _made(server: str, seed: int) -> str:
    """A database of its own."""
    engine = create_async_engine(server, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE told_{seed}"))
    await engine.dispose()
    return f"{server.rpartition('/')[0]}/told_{seed}"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + int(os.environ.get("WARNING_EXAMPLES", "2"))))
def test_everybody_knows_what_holds(tmp_path: Path, server: str, seed: int) -> None:
    story = Story(seed, tmp_path, asyncio.run(_made(server, seed)) if server else "")
    story.begin()
    try:
        for _ in range(25):
            story.go_on()
        story.all_is_well_again()
    except AssertionError as error:
        raise AssertionError(f"{error} after {' '.join(story.done)}") from error
    finally:
        story.end()
    assert story.judged or seed > 2, "there was nothing to judge"
