"""Random sequences of what the log, people and clocks do, against the real planner, courier, ledger and directory; the channel is a sink.

What may not leave does not leave: Exercise and Test to a live contact or one that can be reached; Actual out of a replay, an embedded
broker or a region that is not Actual; what is not released, silenced, called off, expired; and nothing twice but what somebody had sent
again. The oracle here knows only what was done, in its own few lines, and none of ``alerts.rules``.
"""

from __future__ import annotations

import asyncio
import functools
import os
import tempfile
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import channel_world as world
from dispatch_house import H, House, M
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import Silence
from warning.deployment import Deployment
from warning.errors import InputError
from warning.model import CLASSES, AlertEvent, EventKind, Level, Status
from warning.people.imports import merge
from warning.region import Contact, Region

PHONES = ("+99955501", "+99955502", "+923001234567", "0099955501", "+999 555 03", "99955504", "+98999555", "")
EMAILS = ("", "duty@ddma.example", "duty@ndma.gov.pk")
NAMES = ("A. Khan", "a.  khan", "B. Shah", "C. Mir")
WHO = {"A. Khan": 1, "a.  khan": 1, "B. Shah": 2, "C. Mir": 3}
levels = st.sampled_from(CLASSES)


@functools.cache
def _region() -> Region:
    with tempfile.TemporaryDirectory() as folder:
        return world.region(Path(folder))


class Told(RuleBasedStateMachine):
    """Time goes on only between rules; after each rule everything that may go has gone, and is judged."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.house: House | None = None
        self.judged = 0
        self.events: list[AlertEvent] = []
        self.answers: list[tuple[int, str, Level, int, bool]] = []  # when, chain, level, person, yes
        self.silences: dict[int, Silence] = {}
        self.offs: dict[str, tuple[int, Level]] = {}  # chain -> (when, level)
        self.seen: Counter[tuple[str, str]] = Counter()
        self.again: Counter[str] = Counter()  # identifier -> how often somebody wished it again

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize(
        status=st.sampled_from((Status.ACTUAL, Status.ACTUAL, Status.EXERCISE, Status.TEST)),
        replay=st.sampled_from((False, False, False, True)),
        embedded=st.sampled_from((False, False, False, True)),
        approve=st.sampled_from((None, None, Level.LOW, Level.HIGH, Level.VERY_HIGH)),
        persons=st.sampled_from((1, 2)),
        unanswered=st.sampled_from(("hold", "send")),
        marks=st.lists(st.tuples(st.booleans(), st.sampled_from(PHONES), st.sampled_from(EMAILS), st.booleans()), max_size=3),
    )
    def begin(self, status, replay, embedded, approve, persons, unanswered, marks) -> None:
        path, every = Path(self.folder.name), [(True, "+923001234567", "", False), (False, "+99955501", "", False), *marks]
        contacts = tuple(
            replace(
                world.contact(number, level=Level.LOW), live=live, phone=phone, email=email, channels=("broadcast", "sms") if cell else ()
            )
            for number, (live, phone, email, cell) in enumerate(every)
        )
        region = replace(_region(), contacts=contacts)
        rules = replace(region.alert, approve_from=approve, approve_persons=persons, unanswered=unanswered, approve_within_s=1800)
        region = replace(region, status=status, alert=rules)
        prefix = "replay-p." if replay else "p."
        where = Deployment(prefix=prefix, directory=path, replay=replay, embedded=embedded)
        self.house = House(region, where, contacts)
        self.do(self.house.start())

    def teardown(self) -> None:
        if self.house is not None:
            self.do(self.house.stop())
        self.loop.close()
        self.folder.cleanup()

    # --- what happens

    @rule(
        zone=st.sampled_from("AB"),
        kind=st.sampled_from((EventKind.RAISE, EventKind.UPGRADE, *EventKind)),
        level=levels,
        status=st.sampled_from((None, None, None, *Status)),
        hours=st.sampled_from((1, 6)),
        old=st.sampled_from((False, False, False, True)),
    )
    def the_log_goes_on(self, zone, kind, level, status, hours, old) -> None:
        """The region's status, or any, whoever wrote it: a stranger may write to the log, too."""
        house = self.house
        status = status or house.region.status
        mine = [event for event in self.events if event.alert.zone == zone]
        last = mine[-1].alert if mine else None
        sent_ms = house.now_ms - (5 * H if old else 0)
        if last is None or kind is EventKind.RAISE or not last.active:
            raised_ms, revision, kind, before = sent_ms, 0, EventKind.RAISE, Level.NORMAL
        else:
            raised_ms, revision, before = last.raised_ms, last.revision + 1, last.level
        level = level if kind not in (EventKind.CLEAR, EventKind.EXPIRE) else Level.NORMAL
        event = world.event(
            *(house.region, zone, revision, kind, level),
            sent_ms=sent_ms,
            raised_ms=raised_ms,
            expires_ms=sent_ms + hours * H,
            previous=before,
            status=status,
        )
        if any(event.alert.identifier == one.alert.identifier for one in self.events):
            return
        self.events.append(event)
        self.do(house.read(event))
        self.settle()

    @rule(minutes=st.sampled_from((1, 20, 45, 7 * 60)))
    def time_passes(self, minutes) -> None:
        self.house.now_ms += minutes * M
        self.settle()

    @precondition(lambda self: self.events)
    @rule(which=st.integers(0, 5), name=st.sampled_from(NAMES), level=levels, yes=st.booleans())
    def somebody_answers(self, which, name, level, yes) -> None:
        house, chain = self.house, chain_of(self.events[-1 - which % len(self.events)].alert.identifier)
        self.do(house.authority.approve(f"{chain}.0", level, name, house.now_ms, granted=yes))
        self.answers.append((house.now_ms, chain, level, WHO[name], yes))
        house.now_ms += 1
        self.settle()

    @rule(
        zone=st.sampled_from("AB"),
        level=st.sampled_from((Level.LOW, Level.HIGH, Level.EXCEPTIONAL)),
        hours=st.sampled_from((1, 24)),
        contact=st.sampled_from(("", "", "c0", "c1")),
    )
    def somebody_wants_quiet(self, zone, level, hours, contact) -> None:
        house = self.house
        wish = Silence(zone, level, house.now_ms, house.now_ms + hours * H, "A. Khan", "siren test", contact)
        self.silences[self.do(house.authority.silence(wish))] = wish
        self.settle()

    @precondition(lambda self: self.silences)
    @rule(which=st.integers(0, 5))
    def a_silence_ends_early(self, which) -> None:
        number = sorted(self.silences)[which % len(self.silences)]
        try:
            self.do(self.house.authority.end_silence(number, "B. Shah", self.house.now_ms))
            del self.silences[number]
        except InputError:
            assert self.silences[number].until_ms <= self.house.now_ms
        self.settle()

    @rule(zone=st.sampled_from("AB"), level=levels, hours=st.sampled_from((1, 6)))
    def somebody_raises(self, zone, level, hours) -> None:
        house = self.house
        house.now_ms += 1000
        try:
            made = self.do(house.authority.raise_alert(zone, level, "breach", hours, "A. Khan", house.now_ms))
        except InputError as error:
            assert house.where.replay, error
            return
        self.do(house.read(made))
        self.settle()

    @precondition(lambda self: self.events)
    @rule(which=st.integers(0, 3), level=st.one_of(st.none(), levels))
    def somebody_takes_back(self, which, level) -> None:
        house, alert = self.house, self.events[-1 - which % len(self.events)].alert
        house.now_ms += 1000
        try:
            given = ("A. Khan", house.now_ms)
            if level is None:
                made = self.do(house.authority.cancel(alert.identifier, "misread", *given))
            else:
                made = self.do(house.authority.correct(alert.identifier, level, "misread", 3, *given))
        except InputError:
            return
        top = max(made.alert.level, made.alert.previous_level, key=lambda one: one.rank)
        self.offs[chain_of(alert.identifier)] = (house.now_ms, top)
        self.do(house.read(made))
        self.settle()

    @precondition(lambda self: self.events)
    @rule(which=st.integers(0, 3), contact=st.sampled_from(("", "", "c0", "c1")), undelivered=st.sampled_from((False, False, True)))
    def somebody_has_it_sent_again(self, which, contact, undelivered) -> None:
        """To everybody who heard of it and may hear it still, once more; to nobody else."""
        house, alert = self.house, self.events[-1 - which % len(self.events)].alert
        house.now_ms += M
        wanted = {"contact": contact, "undelivered": undelivered}
        try:
            wish = self.do(house.authority.resend(alert.identifier, "mast", "A. Khan", house.now_ms, **wanted))
        except InputError:
            return
        self.again[wish.alert] += 1
        self.settle()

    @rule(number=st.integers(0, 2), live=st.booleans(), phone=st.sampled_from(PHONES), email=st.sampled_from(EMAILS))
    def contacts_are_imported(self, number, live, phone, email) -> None:
        """Another's file, over the directory that is at work: wrong marks and strange spellings among it."""
        made = replace(world.contact(10 + number), live=live, phone=phone, email=email)
        self.do(merge(self.house.directory, [made], "pdma", self.house.now_ms, by="clerk"))
        self.settle()

    @rule()
    def the_dispatcher_is_started_anew(self) -> None:
        old = self.house
        self.do(old.stop())
        new = House(old.region, old.where, old.contacts)
        new.now_ms, new.sink.sent, new.offset, new.newest_ms = old.now_ms, old.sink.sent, old.offset, old.newest_ms
        self.house = new
        self.do(new.start())
        self.settle()

    # --- what may not

    def settle(self) -> None:
        self.do(self.house.settle())
        sent = self.house.sink.sent
        for at_ms, event, contact in sent[self.judged :]:
            self.judge(at_ms, event, contact)
        self.judged = len(sent)

    def judge(self, at_ms: int, event: AlertEvent, contact: Contact) -> None:
        alert, region, where = event.alert, self.house.region, self.house.where
        if where.replay:
            at_ms = alert.sent_ms  # a replay judges each revision at its own time
        if alert.status is Status.ACTUAL:
            assert contact.live and region.status is Status.ACTUAL and not where.replay and not where.embedded
            assert not contact.phone.replace("+", "").replace(" ", "").removeprefix("00").startswith("999")
        else:
            assert not contact.live
            assert contact.phone in ("", "+99955501", "+99955502")
            assert contact.email in ("", "duty@ddma.example")
            assert "broadcast" not in contact.channels
        assert alert.expires_ms > at_ms
        self.seen[alert.identifier, contact.id] += 1
        assert self.seen[alert.identifier, contact.id] <= 1 + self.again[alert.identifier]
        self.judge_people(at_ms, event, contact)

    def judge_people(self, at_ms: int, event: AlertEvent, contact: Contact) -> None:
        alert, rules = event.alert, self.house.region.alert
        chain = chain_of(alert.identifier)
        told = alert.level if alert.active else alert.previous_level
        if rules.approve_from is not None and alert.active and alert.level >= rules.approve_from:
            mine = [one for one in self.answers if one[1] == chain and alert.level <= one[2]]
            no_ms = max((one[0] for one in mine if not one[4]), default=-1)
            yes = {one[3] for one in mine if one[4] and one[0] > no_ms}
            late = rules.unanswered == "send" and no_ms < 0 and self.house.now_ms >= alert.sent_ms + rules.approve_within_s * 1000
            assert len(yes) >= rules.approve_persons or late, (yes, no_ms)
        if alert.kind is not EventKind.CLEAR and (alert.level not in rules.at_once or alert.kind is EventKind.DOWNGRADE):
            top = max(alert.level, alert.previous_level, key=lambda one: one.rank)
            for one in self.silences.values():
                held = one.zone == alert.zone and one.contact in ("", contact.id) and one.from_ms <= at_ms < one.until_ms
                assert not (held and top <= one.up_to), one
        if chain in self.offs:
            when_ms, level = self.offs[chain]
            second_ms = when_ms // 1000 * 1000
            rose = any(
                one.alert.level > level and second_ms <= one.alert.sent_ms <= alert.sent_ms and chain_of(one.alert.identifier) == chain
                for one in self.events
                if one.alert.active
            )
            assert told > level or rose or at_ms < when_ms, (told, level)


MANY = int(os.environ.get("WARNING_EXAMPLES", "12"))
Told.TestCase.settings = settings(
    max_examples=MANY, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck), derandomize=MANY == 12
)
TestTold = Told.TestCase
