"""What a node says of itself arrives at the gateway as facts and metrics; nonsense in the header costs no reading."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from warning.facts import DeviceHeard, EdgeReported
from warning.ingest.edge_report import facts_of
from warning.operate.edges import EdgeMetrics

NOW_MS = 1_756_800_000_000
SAID = (
    '{"node":"bridge-1","clock":"ntp","sirens":{"bridge":"on HIGH","village":"failing HIGH"},'
    f'"waiting":7,"oldest_ms":{NOW_MS - 90_000},"refused":2,"thinned":3,"undated":1,"new":true}}'
)


def test_a_report_is_two_facts() -> None:
    heard, said = facts_of(SAID, NOW_MS)
    assert heard == DeviceHeard("bridge-1", "edge", NOW_MS)
    assert said == EdgeReported("bridge-1", 7, 90.0, 2, 3, 1, True, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"node":"a b"}',
        '{"node":"a\\n"}',
        '{"node":"a","waiting":-1}',
        '{"node":"a","sirens":[]}',
        '{"node":"a","waiting":1,"oldest_ms":-1' + "0" * 400 + "}",
        '{"node":"a","more":' + "[" * 4000,
        '{"node":"' + "a" * 5000,
    ],
)
def test_nonsense_is_no_fact(text: str) -> None:
    assert facts_of(text, NOW_MS) == ()


def test_metrics_have_what_was_said_and_so_many_nodes() -> None:
    registry = CollectorRegistry()
    metrics = EdgeMetrics(registry)
    metrics.reported(EdgeReported("bridge-1", 7, None, 2, 3, 1, True, 1, 0))
    for number in range(1000):
        metrics.reported(EdgeReported(f"n{number}", 0, None, 0, 0, 0, True, 0, 0))
    assert registry.get_sample_value("warning_edge_waiting_readings", {"node": "bridge-1"}) == 7
    assert registry.get_sample_value("warning_edge_thinned_readings", {"node": "bridge-1"}) == 3
    shown = [sample for family in registry.collect() if family.name == "warning_edge_sirens_on" for sample in family.samples]
    assert len(shown) == 500
