"""Taking over after a crash from another configuration or code: what it told people is fact, and its chains go on.

The one that died had decided beats after its last checkpoint, at N, and published what it decided. Decided again with other rules the
same beats would give other alerts under identifiers that people already have. So they are not: up to the last moment that was
published the readings are applied and the decisions left alone; then the chains stand as they were told, and every zone is looked
at anew. What the dead one had decided and not told comes out of that look, under an identifier of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from warning.alerts.manual import by_hand
from warning.model import Alert, AlertEvent
from warning.pipeline.plan import Plan
from warning.pipeline.state import State

_SECOND_MS = 1000  # alerts are sent at full seconds: one that was decided after N may carry N's second


class Adoption(msgspec.Struct, frozen=True):
    """What was published after a checkpoint. ``until_ms``: log time up to which nothing is decided again.

    ``told``: identifiers, in the order of publication; ``alerts``: of each zone its newest revision, which may have ended.
    """

    until_ms: int
    told: tuple[str, ...]
    alerts: tuple[Alert, ...]


class TakeOver:
    """An adoption under way: from the state at N until the first beat that the dead one has not told of."""

    def __init__(self, state: State, adoption: Adoption) -> None:
        self._at_checkpoint: Mapping[str, Alert] = dict(state.alerts)
        self._adoption = adoption

    def settled(self, now_ms: int) -> bool:
        """What a beat at this time decides was told already, or is decided at the end of the take-over."""
        return now_ms <= self._adoption.until_ms

    def finish(self, state: State) -> None:
        """The chains as they were told; all zones are due at the next beat. Works in place, between two beats."""
        chains = {**self._at_checkpoint, **{alert.zone: alert for alert in self._adoption.alerts}}
        state.alerts.clear()
        state.alerts.update({zone: alert for zone, alert in chains.items() if alert.active})
        state.wake()


def published_after(plan: Plan, state: State, events: Iterable[AlertEvent]) -> list[AlertEvent]:
    """Those of ``events`` that the state at N does not know, of this partition's zones, each identifier once, in the order of time.

    Alerts that people made are theirs: no chain of ours, and decided by no log."""
    zones = {zone.id for zone in plan.zones}
    since_ms = state.now_ms // _SECOND_MS * _SECOND_MS
    found: dict[str, AlertEvent] = {}
    for event in events:
        if event.alert.zone in zones and not by_hand(event.alert) and event.alert.sent_ms >= since_ms and not _known(state, event.alert):
            found.setdefault(event.alert.identifier, event)
    return sorted(found.values(), key=lambda event: _age(event.alert))


def adoption(after: list[AlertEvent]) -> Adoption:
    """``after``: from ``published_after``. The empty one settles nothing and changes nothing."""
    newest: dict[str, Alert] = {}
    for event in after:  # the newest of a zone is the last: they are sorted
        newest[event.alert.zone] = event.alert
    until_ms = max((alert.sent_ms for alert in newest.values()), default=-_SECOND_MS) + _SECOND_MS - 1
    return Adoption(until_ms, tuple(event.alert.identifier for event in after), tuple(newest.values()))


def _age(alert: Alert) -> tuple[int, int, int, str]:
    return alert.sent_ms, alert.raised_ms, alert.revision, alert.zone


def _known(state: State, alert: Alert) -> bool:
    mine = state.alerts.get(alert.zone)
    if mine is None:
        return not alert.active
    return (mine.raised_ms, mine.revision) >= (alert.raised_ms, alert.revision)
