"""The second half of a beat: which zones to score, their hazards, and what that does to their alerts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.alerts import cap, lifecycle
from warning.model import Alert, AlertEvent, EventKind, Hazard
from warning.pipeline import looks, telling
from warning.pipeline.beat import Hazards, noun
from warning.pipeline.downstream import with_downstream
from warning.pipeline.plan import Index, Plan
from warning.pipeline.score import Scores, observe, score
from warning.pipeline.state import NEVER, Journal, State

PUBLISH_S = 600  # every zone's hazard is published again after so long
BLOCK = 8192  # zones scored at once: each takes some 10 KB meanwhile, and a beat after an outage may touch a million
CLASSES = ("level", "confirmed", "cleared", "expected", "keep")


@dataclass(slots=True)
class Told:
    """What the zones have to tell: rows of hazards, and alerts."""

    rows: list[Any] = field(default_factory=list)
    events: list[AlertEvent] = field(default_factory=list)

    @property
    def hazards(self) -> Hazards:
        return Hazards(self.rows)

    @property
    def alerts(self) -> tuple[AlertEvent, ...]:
        return tuple(self.events)


def run(plan: Plan, state: State, journal: Journal, touched: Index, now_s: int) -> Told:
    """Score the touched zones (sorted), everything downstream of them, and those whose time has come."""
    told = Told()
    chosen = _chosen(plan, state, touched, now_s)
    if len(chosen) > BLOCK:
        _moves(plan, state, journal, chosen, now_s)
    for start in range(0, len(chosen), BLOCK):  # upstream first: what a zone needs of those before it is in the state by then
        _score_and_tell(plan, state, journal, chosen[start : start + BLOCK], now_s, told)
    return told


def _moves(plan: Plan, state: State, journal: Journal, chosen: Index, now_s: int) -> None:
    """What each gauge did, before the first block is scored: a forecast looks at gauges around it, and they may be in a later block."""
    if plan.trained is None:
        return
    for start in range(0, len(chosen), BLOCK):
        zones = chosen[start : start + BLOCK]
        trial = Journal(state)  # the scores are written when it is their turn
        seen = observe(plan, state, trial, zones, now_s)
        trial.roll_back()
        looks.remember(plan.trained, state, journal, zones, np.where(seen.silent, -1, seen.row), now_s)


def run_carefully(plan: Plan, state: State, touched: Index, now_s: int, failed: Callable[[int, Exception], None]) -> Told:
    """The same in halves, until a zone that raises is alone; ``failed`` is told of it, and it then waits for its next reading."""
    told = Told()
    todo = [(_chosen(plan, state, touched, now_s), False)]
    while todo:
        chosen, last = todo.pop()
        if not len(chosen):
            continue
        journal, part = Journal(state), Told()
        try:
            _score_and_tell(plan, state, journal, chosen, now_s, part)
            journal.close()
            told.rows += part.rows
            told.events += part.events
        except MemoryError:
            journal.roll_back()
            raise
        except Exception as error:
            journal.roll_back()
            if len(chosen) > 1:  # upstream first, as before
                todo += [(chosen[len(chosen) // 2 :], False), (chosen[: len(chosen) // 2], False)]
                continue
            failed(int(chosen[0]), error)
            if last:
                journal.put(state.z["due_t"], chosen, NEVER)
                journal.close()
            else:
                todo.append((chosen, True))
    return told


def _chosen(plan: Plan, state: State, touched: Index, now_s: int) -> Index:
    """The zones to score, the touched and those whose time has come and everything downstream of them, upstream first."""
    due = state.due.until(now_s)
    return with_downstream(plan, np.concatenate((touched, due)) if len(due) else touched)


def _score_and_tell(plan: Plan, state: State, journal: Journal, chosen: Index, now_s: int, told: Told) -> None:
    z = state.z
    old = {name: z[name][chosen].copy() for name in (*CLASSES, "arrival_t", "observed_t")}
    first = z["published_t"][chosen] == 0
    scores = score(plan, state, journal, chosen, now_s)
    changed = first.copy()
    for name in CLASSES:
        changed |= z[name][chosen] != old[name]
    moved = np.abs(z["arrival_t"][chosen].astype(np.int64) - old["arrival_t"].astype(np.int64)) >= 600
    active = (
        np.array([plan.zones[zone].id in state.alerts for zone in chosen.tolist()], np.bool_)
        if state.alerts
        else np.zeros(len(chosen), np.bool_)
    )
    warn = np.maximum(z["confirmed"][chosen], z["expected"][chosen]) >= plan.region.alert.warn_from.rank
    due = (z["alert_due_t"][chosen] > 0) & (z["alert_due_t"][chosen] <= now_s)
    ask = (active | warn) & (changed | moved | due | (active & (z["observed_t"][chosen] != old["observed_t"])))
    publish = changed | (now_s >= _publish_again(plan, state, chosen))
    wanted = np.flatnonzero(ask | publish)
    tell = publish.copy()
    rows = telling.rows(plan, state, scores, wanted, now_s)
    for place, row in zip(wanted.tolist(), rows, strict=True):
        if ask[place]:
            tell[place] |= _live(plan, state, journal, int(chosen[place]), noun(row), now_s, told) is not None
    told.rows += rows if tell[wanted].all() else itertools.compress(rows, tell[wanted].tolist())
    if tell.any():
        journal.put(z["published_t"], chosen[tell], now_s)
    _set_due(plan, state, journal, chosen, scores, now_s)


def _live(plan: Plan, state: State, journal: Journal, zone: int, hazard: Hazard, now_s: int, told: Told) -> Alert | None:
    """What the hazard does to the zone's chain of alerts."""
    noun = plan.zones[zone]
    waves = [event for up in hazard.upstream if up in state.alerts for event in state.alerts[up].event_ids]
    moved = lifecycle.transition(state.alerts.get(noun.id), hazard, noun, plan.region, now_s * 1000, tuple(dict.fromkeys(waves)))
    journal.alert(noun.id, moved.alert)
    journal.put(state.z["alert_due_t"], zone, 0 if moved.deadline_ms is None else -(-moved.deadline_ms // 1000))
    if moved.event is not None:
        document = "" if moved.event.kind is EventKind.EXPIRE else cap.document(moved.event, plan.region)
        told.events.append(AlertEvent(alert=moved.event, cap=document, config=plan.region.digest, code=plan.code))
    return moved.event


def _set_due(plan: Plan, state: State, journal: Journal, chosen: Index, scores: Scores, now_s: int) -> None:
    """When each zone must be looked at again though nothing comes: to publish, when it falls silent, when its alert wants it."""
    z = state.z
    rows = np.maximum(scores.observed.row, 0)
    speaks = ~scores.observed.silent
    silent_at = np.where(speaks, state.s["heard_t"][rows].astype(np.int64) + plan.zone_silent_s[chosen] + 1, NEVER)
    alert_at = np.where(z["alert_due_t"][chosen] > 0, z["alert_due_t"][chosen].astype(np.int64), NEVER)
    due = np.minimum(_publish_again(plan, state, chosen), np.minimum(silent_at, alert_at))
    journal.put(z["due_t"], chosen, np.maximum(due, now_s + 1))


def _publish_again(plan: Plan, state: State, zones: Index) -> NDArray[np.int64]:
    """When each zone's hazard goes out again, at most ``PUBLISH_S`` after the last time; spread evenly, so that no beat has to tell all."""
    phase = zones.astype(np.int64) * PUBLISH_S // max(len(plan.zones), 1)
    last = state.z["published_t"][zones].astype(np.int64)
    return ((last - phase) // PUBLISH_S + 1) * PUBLISH_S + phase
