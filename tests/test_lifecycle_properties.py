"""Whatever the hazards: what must hold for every chain of alerts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import msgspec
from alert_region import REGION, T0, ZONE, H, M, S, hazard, with_rules
from hypothesis import given, settings
from hypothesis import strategies as st

from warning.alerts.lifecycle import WHYS, Transition, chain_of, standing, transition
from warning.model import Alert, EventKind, Hazard, Level
from warning.region import Region

LEVELS = st.sampled_from([Level.NORMAL, *list(Level)[2:]])
ENDS = (EventKind.CLEAR, EventKind.EXPIRE)


@dataclass(frozen=True)
class Beat:
    wait_ms: int
    hazard: Hazard  # its times are set when it is played
    age_ms: int
    lead_ms: int | None
    waves: tuple[str, ...]


@st.composite
def beats(draw: st.DrawFn) -> Beat:
    unknown = draw(st.integers(0, 4)) == 0
    level = Level.UNKNOWN if unknown else draw(LEVELS)
    confirmed = draw(st.sampled_from([level, Level.UNKNOWN if unknown else Level.NORMAL]))
    cleared = level if unknown else max(level, draw(st.sampled_from([level, draw(LEVELS)])), key=lambda one: one.rank)
    expected = draw(st.one_of(st.just(Level.NORMAL), LEVELS))
    keep = max(expected, draw(st.sampled_from([expected, draw(LEVELS)])), key=lambda one: one.rank)
    return Beat(
        wait_ms=draw(st.one_of(st.integers(0, 3 * S), st.sampled_from([10 * M, H]), st.integers(0, 30 * H))),
        hazard=hazard(
            level=level,
            level_confirmed=confirmed,
            level_cleared=cleared,
            level_expected=expected,
            level_expected_cleared=keep,
            probability=draw(st.floats(0, 1)),
        ),
        age_ms=draw(st.one_of(st.just(0), st.integers(0, 5 * H))),
        lead_ms=draw(st.one_of(st.none(), st.integers(-H, 100 * H))),
        waves=tuple(draw(st.lists(st.sampled_from(["wave.a", "wave.b", "wave.c"]), max_size=3))),
    )


@dataclass(frozen=True)
class Played:
    now_ms: int
    before: Alert | None
    hazard: Hazard
    moved: Transition


def play(story: list[Beat], region: Region) -> list[Played]:
    alert, now_ms, played = None, T0, []
    for beat in story:
        now_ms += beat.wait_ms
        seen = msgspec.structs.replace(
            beat.hazard,
            at_ms=now_ms,
            observed_ms=now_ms - beat.age_ms,
            silent_since_ms=now_ms - beat.age_ms if beat.hazard.level is Level.UNKNOWN else None,
            arrival_ms=None if beat.lead_ms is None else now_ms + beat.lead_ms,
        )
        moved = transition(alert, seen, ZONE, region, now_ms, beat.waves)
        played.append(Played(now_ms, alert, seen, moved))
        alert = moved.alert
    return played


def chains(played: list[Played]) -> dict[str, list[Alert]]:
    out: dict[str, list[Alert]] = {}
    for one in played:
        if one.moved.event is not None:
            out.setdefault(chain_of(one.moved.event.identifier), []).append(one.moved.event)
    return out


RULES = st.builds(
    lambda clear, expires, renew, start: with_rules(
        REGION, clear_after_s=clear, expires_after_s=expires, renew_before_s=renew, warn_from=start
    ),
    st.sampled_from([0, 60, 3600, 7200]),
    st.sampled_from([600, 7200, 81_000]),
    st.sampled_from([0, 60, 3600]),
    st.sampled_from([Level.LOW, Level.HIGH]),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(beats(), min_size=1, max_size=40), RULES)
def test_every_story(story: list[Beat], region: Region):
    played = play(story, region)
    assert [one.moved for one in play(story, region)] == [one.moved for one in played]  # deterministic

    events = [one.moved.event for one in played if one.moved.event is not None]
    assert len({event.identifier for event in events}) == len(events)
    for name, chain in chains(played).items():
        _one_chain(name, chain)
    for one in played:
        _one_step(one, region)


def _one_chain(name: str, chain: list[Alert]) -> None:
    assert chain[0].kind is EventKind.RAISE and all(event.kind is not EventKind.RAISE for event in chain[1:])
    for number, event in enumerate(chain):
        assert event.identifier == f"{name}.{number}" and event.revision == number
        assert event.sent_ms % 1000 == 0 and event.sent_ms < event.expires_ms
        assert [one.identifier for one in event.references] == [
            one.identifier for one in chain[:number] if one.expires_ms > event.sent_ms
        ]  # all unexpired predecessors and nothing else
        assert event.raised_ms == chain[0].raised_ms
    for earlier, later in pairwise(chain):
        assert later.sent_ms > earlier.sent_ms
        assert later.event_ids[: len(earlier.event_ids)] == earlier.event_ids
        assert later.previous_level is earlier.level
        assert earlier.active


def _one_step(one: Played, region: Region) -> None:
    before, after, event = one.before, one.moved.alert, one.moved.event
    assert one.moved.why in WHYS
    if event is not None:
        assert (after is None) == (event.kind in ENDS)
    elif before is not None:
        assert after is not None and after.identifier == before.identifier
    if after is None:
        assert one.moved.deadline_ms is None
    else:  # somebody looks again before it runs out
        assert one.moved.deadline_ms is not None
        assert one.now_ms < one.moved.deadline_ms <= after.expires_ms
        assert after.level >= one.hazard.warn_level  # never below what is known now
        assert after.level >= region.alert.warn_from
    lowered = event is not None and before is not None and event.level < before.level
    if lowered and event.kind is not EventKind.EXPIRE:
        assert one.hazard.level is not Level.UNKNOWN
        assert before.below_since_ms is not None
        assert one.now_ms - before.below_since_ms >= region.alert.clear_after_s * S
        assert standing(one.hazard) <= event.level or event.kind is EventKind.CLEAR
    if event is not None and event.kind is EventKind.CLEAR:
        assert standing(one.hazard) < region.alert.warn_from and event.references
    if event is not None and event.kind is EventKind.EXPIRE:
        assert before is not None and one.now_ms >= before.expires_ms and one.hazard.level is not Level.UNKNOWN


@settings(max_examples=100, deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=400), st.sampled_from([M, 5 * M, 15 * M]))
def test_a_gauge_that_sways_around_a_limit_makes_one_alert(sways: list[bool], step_ms: int):
    """However the reading flips, each class down needs an hour of quiet."""
    alert, told, now_ms = None, [], T0
    for above in sways:
        moved = transition(alert, hazard(now_ms, observed=Level.HIGH if above else Level.MEDIUM), ZONE, REGION, now_ms)
        if moved.event is not None and moved.event.kind.told:
            told.append((now_ms, moved.event.kind))
        alert, now_ms = moved.alert, now_ms + step_ms
    downs = [at for at, kind in told if kind is EventKind.DOWNGRADE]
    assert all(later - earlier >= H for earlier, later in pairwise(downs))
    ups = [kind for _, kind in told if kind is EventKind.UPGRADE]
    assert len(ups) <= len(downs) + 1
    assert len(told) <= 2 + 2 * ((now_ms - T0) // H)


def test_sixty_flips_in_an_hour_are_one_raise():
    alert, events = None, []
    for minute in range(60):
        now_ms = T0 + minute * M
        moved = transition(alert, hazard(now_ms, observed=Level.LOW if minute % 2 == 0 else Level.NORMAL), ZONE, REGION, now_ms)
        events += [moved.event.kind] if moved.event else []
        alert = moved.alert
    assert events == [EventKind.RAISE]
