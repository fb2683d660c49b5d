"""Live verification: what became of each warning, counted once."""

from __future__ import annotations

import msgspec
from alert_region import REGION, T0, ZONE, hazard
from prometheus_client import CollectorRegistry

from warning import facts
from warning.alerts import lifecycle
from warning.model import Alert, AlertEvent, Level
from warning.operate.metrics import Metrics
from warning.operate.verified import Verified

H = 3_600_000


def chain(*steps: tuple[float, Level, Level]) -> list[AlertEvent]:
    """Revisions of one zone's chain by the real lifecycle: at each hour the (confirmed, expected) class."""
    alert: Alert | None = None
    events = []
    for hour, confirmed, expected in steps:
        now_ms = T0 + round(hour * H)
        told = hazard(
            now_ms,
            level=confirmed,
            level_confirmed=confirmed,
            level_cleared=confirmed,
            level_expected=expected,
            level_expected_cleared=expected,
            observed_ms=now_ms,
            arrival_ms=now_ms + 6 * H if expected > confirmed else None,
        )
        moved = lifecycle.transition(alert, told, ZONE, REGION, now_ms)
        alert = moved.alert
        if moved.event is not None:
            events.append(AlertEvent(alert=moved.event, cap="", config="c", code="d"))
    return events


N, L, M, HI = Level.NORMAL, Level.LOW, Level.MEDIUM, Level.HIGH
HIT = chain((0, N, HI), (3, M, HI), (5, HI, N), (20, N, N), (22, N, N))
MISS = chain((100, HI, N), (110, N, N), (112, N, N))
FALSE = chain((200, N, M), (203, N, N), (206, N, N))


def verified(events: list[AlertEvent]) -> list[tuple[str, str, float | None]]:
    told: list[facts.Fact] = []
    judge = Verified(told.append)
    for event in events:
        judge.alert(event)
    return [(fact.level.value, fact.outcome, fact.lead_s) for fact in told if isinstance(fact, facts.WarningVerified)]


def test_hits_misses_and_false_alarms() -> None:
    assert [event.alert.active for event in HIT][-1] is False
    assert verified(HIT) == [("HIGH", "hit", 5 * 3600.0)]
    assert verified(MISS) == [("HIGH", "miss", 0.0)]
    assert verified(FALSE) == [("MEDIUM", "false_alarm", None)]


def test_an_upgrade_is_judged_for_both_its_classes() -> None:
    events = chain((0, N, L), (2, L, N), (4, L, HI), (30, N, N), (32, N, N))
    assert verified(events) == [("LOW", "hit", 7200.0), ("HIGH", "false_alarm", None)]


def test_what_comes_again_counts_once() -> None:
    events = [*HIT, *MISS]
    assert verified([*HIT, *HIT, *MISS, *HIT, *MISS]) == verified(events)
    assert verified([each for event in events for each in (event, event)]) == verified(events)


def test_a_chain_without_an_end_is_closed_by_the_next() -> None:
    cut = FALSE[:1]
    later = [msgspec.structs.replace(event, alert=msgspec.structs.replace(event.alert, raised_ms=T0 + 300 * H)) for event in MISS]
    assert verified([*cut, *later])[0] == ("MEDIUM", "false_alarm", None)


def counted(registry: CollectorRegistry, level: str, outcome: str) -> float | None:
    return registry.get_sample_value("warning_verified_total", {"level": level, "outcome": outcome})


def test_a_restart_counts_nothing_twice() -> None:
    for _ in range(2):  # each start reads the log from its beginning
        registry = CollectorRegistry()
        metrics = Metrics(registry, REGION, "api")
        judge = Verified(metrics)
        metrics(facts.Ready("log", False, "not read to its end"))
        for event in (*HIT, *MISS):
            judge.alert(event)
        assert counted(registry, "HIGH", "hit") is None  # nothing is shown on the way, or Prometheus would see a counter begin at 0
        metrics(facts.Ready("log", True))
        assert (counted(registry, "HIGH", "hit"), counted(registry, "HIGH", "miss"), counted(registry, "LOW", "hit")) == (1, 1, 0)
        leads = {
            le: registry.get_sample_value("warning_verified_lead_seconds_bucket", {"level": "HIGH", "le": le})
            for le in ("0.0", "21600.0", "+Inf")
        }
        assert leads == {"0.0": 1, "21600.0": 2, "+Inf": 2}
        assert registry.get_sample_value("warning_verified_lead_seconds_sum", {"level": "HIGH"}) == 5 * 3600
        judge.clear()
        assert counted(registry, "HIGH", "hit") is None
        metrics(facts.Ready("log", True))
        assert counted(registry, "HIGH", "hit") == 0
