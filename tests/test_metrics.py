"""Facts in, Prometheus samples out; every label set that is known beforehand stands at zero before the first fact."""

from __future__ import annotations

import pytest
from operate_process import some_of_everything
from operate_records import indus
from prometheus_client import CollectorRegistry, generate_latest

from warning import facts
from warning.ingest import http
from warning.ingest.formats import Refusal
from warning.model import Cause, DeliveryState, EventKind, Flag, Level
from warning.operate.metrics import PROCESSES, Metrics
from warning.region import Region


@pytest.fixture(scope="module")
def region() -> Region:
    return indus()


def made(region: Region, process: str = "") -> tuple[CollectorRegistry, Metrics]:
    registry = CollectorRegistry()
    return registry, Metrics(registry, region, process, clock=lambda: 1_000.0)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"warning_{name}", labels)


def test_known_label_sets_begin_at_zero(region: Region) -> None:
    registry, _ = made(region)
    for zone in region.zones:
        for level in Level:
            assert value(registry, "zone_level", zone=zone.id, level=level.value) == 0
    for station in region.stations:
        for series in station.series:
            assert value(registry, "series_out_of_service", station=station.id, parameter=series.parameter.value) == 0
    for partition in range(region.partitions):
        assert value(registry, "readings_applied_total", partition=str(partition)) == 0
        assert value(registry, "checkpoints_refused_total", partition=str(partition)) == 0
    for cause in Cause:
        assert value(registry, "readings_rejected_total", stage="qc", reason=cause.value) == 0
        for flag in Flag:
            assert value(registry, "reading_flags_total", flag=flag.value, cause=cause.value) == 0
    for channel in ("sms", "webhook"):
        for state in DeliveryState:
            assert value(registry, "deliveries_total", channel=channel, state=state.value) == 0
        assert value(registry, "delivery_failures_total", channel=channel, reason="timeout") == 0
    for kind in EventKind:
        assert value(registry, "alerts_total", kind=kind.value) == 0
    assert value(registry, "ingest_requests_total", status="503") == 0
    assert value(registry, "ingest_readings_refused_total", reason="unit_unknown") == 0
    assert value(registry, "document_conflicts_total") == 0
    for status in http._STATUS.values():
        assert value(registry, "ingest_requests_total", status=str(status)) == 0
    assert value(registry, "ingest_requests_total", status="429") == 0
    for reason in Refusal:
        assert value(registry, "inbox_records_refused_total", reason=reason.value) == 0
        if reason not in (Refusal.EMPTY, Refusal.UNREADABLE, Refusal.INTERNAL):  # of the inbox only
            assert value(registry, "ingest_readings_refused_total", reason=reason.value) == 0


def test_what_is_not_known_is_absent_not_zero(region: Region) -> None:
    registry, _ = made(region)
    assert value(registry, "broker_up") is None
    assert value(registry, "last_checkpoint_time_seconds", partition="0") is None
    assert value(registry, "channel_up", channel="sms") is None


def test_a_beat(region: Region) -> None:
    registry, metrics = made(region)
    beat = facts.BeatClosed(
        0,
        1_756_879_200_000,
        41,
        10,
        8,
        flags={("GOOD", "none"): 8, ("FAIL", "sentinel"): 2},
        rejected={("decode", "bad_json"): 3},
        alerts={EventKind.CLEAR: 2},
        seconds=0.004,
    )
    metrics(beat)
    metrics(beat)
    assert value(registry, "beats_total", partition="0") == 2
    assert value(registry, "readings_total", partition="0") == 20
    assert value(registry, "readings_applied_total", partition="0") == 16
    assert value(registry, "readings_applied_total", partition="1") == 0
    assert value(registry, "reading_flags_total", flag="FAIL", cause="sentinel") == 4
    assert value(registry, "readings_rejected_total", stage="decode", reason="bad_json") == 6
    assert value(registry, "alerts_total", kind="clear") == 4
    assert value(registry, "log_time_seconds", partition="0") == 1_756_879_200
    assert value(registry, "log_offset", partition="0") == 41
    assert value(registry, "last_beat_time_seconds", partition="0") == 1_000
    assert value(registry, "beat_seconds_count") == 2
    assert value(registry, "beat_seconds_sum") == pytest.approx(0.008)


def test_a_zone_belongs_to_the_worker_that_owns_its_partition(region: Region) -> None:
    registry, metrics = made(region, "worker")

    def shown(level: str) -> float | None:
        return value(registry, "zone_level", zone="IND-GUDDU", level=level)

    metrics(facts.PartitionsOwned((0,)))
    assert shown("UNKNOWN") == 1, "owned and never observed"
    metrics(facts.ZoneObserved("IND-GUDDU", Level.HIGH, None, None))
    assert (shown("UNKNOWN"), shown("HIGH")) == (0, 1)
    metrics(facts.Backlog(0, 7))
    metrics(facts.PartitionsOwned((1,)))
    assert (shown("UNKNOWN"), shown("HIGH")) == (0, 0), "another worker tells of it now"
    assert value(registry, "backlog_records", partition="0") == 0, "what waits there is not ours any more"
    metrics(facts.PartitionsOwned((0, 1)))
    assert shown("HIGH") == 1, "it came back; the worker only tells of changes"
    metrics(facts.ZoneObserved("IND-GUDDU", Level.UNKNOWN, Level.HIGH, 1))
    assert (shown("UNKNOWN"), shown("HIGH")) == (1, 0)


def test_a_large_region_shows_what_is_not_ordinary(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warning.operate.shown.ALL", 3)
    monkeypatch.setattr("warning.operate.shown.MOST", 4)
    registry, metrics = made(region, "worker")
    mine = [zone.id for zone in region.zones if region.basins[zone.basin] == 0]
    assert len(mine) > 6

    def shown() -> dict[tuple[str, str], float]:
        samples = [sample for family in registry.collect() if family.name == "warning_zone_level" for sample in family.samples]
        return {(sample.labels["zone"], sample.labels["level"]): sample.value for sample in samples}

    assert shown() == {} and value(registry, "zones", level="UNKNOWN") == 0
    metrics(facts.PartitionsOwned((0,)))
    assert len(shown()) == 4 and value(registry, "zones", level="UNKNOWN") == len(mine)
    for zone in mine:
        metrics(facts.ZoneObserved(zone, Level.NORMAL, Level.UNKNOWN, None))
    assert shown() == {} and value(registry, "zones", level="NORMAL") == len(mine)
    for zone, level in zip(mine, ["LOW", "UNKNOWN", "HIGH", "MEDIUM", "EXCEPTIONAL"], strict=False):
        metrics(facts.ZoneObserved(zone, Level[level], Level.NORMAL, None))
    assert shown() == {(mine[4], "EXCEPTIONAL"): 1, (mine[2], "HIGH"): 1, (mine[1], "UNKNOWN"): 1, (mine[3], "MEDIUM"): 1}
    assert (value(registry, "zones", level="LOW"), value(registry, "zones", level="NORMAL")) == (1, len(mine) - 5)
    metrics(facts.PartitionsOwned(()))
    assert shown() == {} and value(registry, "zones", level="NORMAL") == 0
    assert value(registry, "series_out_of_service", station=mine[0], parameter="discharge") is None
    metrics(facts.SeriesOutOfService(mine[0], "discharge", "raised"))
    assert value(registry, "series_out_of_service", station=mine[0], parameter="discharge") == 1


def test_deliveries(region: Region) -> None:
    registry, metrics = made(region)
    metrics(facts.Attempted("sms", DeliveryState.ACCEPTED, "", 0.2, parts=3))
    metrics(facts.Attempted("sms", DeliveryState.WAITING, "throttled", 0.1))
    metrics(facts.Attempted("sms", DeliveryState.FAILED, "a_new_reason", 0.1))
    metrics(facts.AlertHandled(Level.HIGH, EventKind.RAISE, told=4, refused=2, without_way={"no_route": 3}))
    metrics(facts.AlertsUntold(1))
    assert value(registry, "deliveries_total", channel="sms", state="accepted") == 1
    assert value(registry, "message_parts_total", channel="sms") == 3
    assert value(registry, "delivery_failures_total", channel="sms", reason="throttled") == 1
    assert value(registry, "delivery_failures_total", channel="sms", reason="a_new_reason") == 1
    assert value(registry, "contacts_total", level="HIGH", outcome="told") == 4
    assert value(registry, "contacts_total", level="HIGH", outcome="refused") == 2
    assert value(registry, "contacts_total", level="HIGH", outcome="without_way") == 3
    assert value(registry, "contacts_without_way_total", reason="no_route") == 3
    assert value(registry, "alerts_untold") == 1 and value(registry, "escalations_total", step="nobody_left", why="no_route") == 0


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_takes_every_fact_and_shows_only_its_own(region: Region, process: str) -> None:
    registry, metrics = made(region, process)
    for turn in range(3):
        for fact in some_of_everything(region, turn):
            metrics(fact)
    text = generate_latest(registry).decode()
    assert ("warning_zone_level{" in text) == (process == "worker")
    assert ("warning_deliveries_total{" in text) == (process == "dispatch")
    assert ("warning_ingest_requests_total{" in text) == (process == "ingest")
    assert ("warning_api_requests_total{" in text) == (process == "api")
    assert "warning_build_info{" in text


def test_an_unknown_process_is_refused(region: Region) -> None:
    with pytest.raises(ValueError, match="wroker"):
        made(region, "wroker")
