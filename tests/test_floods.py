"""Real floods through the whole decision, without a broker: what was said of each crossing, and when.

Only published readings; the definitions are those of ``warning.rehearsal.crossings``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from warning import config
from warning.alerts import lint
from warning.ingest import rows
from warning.model import EventKind, Level
from warning.rehearsal.crossings import Crossing, crossings, observations
from warning.stream.beats import Closed
from warning.stream.replay import documents, log_with_ticks, replay_file

ROOT = Path(__file__).resolve().parent.parent


@cache
def replayed(region_name: str, file: str) -> tuple[list[Closed], list[Crossing]]:
    region = config.load(ROOT / "config" / region_name)
    readings = rows.read(ROOT / "config" / region_name / "replays" / file, region).readings
    closed = list(replay_file(region, log_with_ticks(region, readings)))
    beats = sorted({beat.outputs.now_ms for beat in closed})
    applied = []
    for reading in readings:
        applied.append((reading, next(beat for beat in beats if beat >= reading.received_ms)))
    alerts = [event.alert for beat in closed for event in beat.alerts]
    return closed, crossings(region, observations(region, applied), alerts)


def crossed(region: str, file: str, level: Level) -> list[Crossing]:
    return [crossing for crossing in replayed(region, file)[1] if crossing.level >= level]


def test_the_indus_2025_is_warned_of_no_later_than_its_readings() -> None:
    found = crossed("indus", "flood-2025.csv", Level.HIGH)
    assert len(found) >= 30
    assert [one for one in found if one.warned_ms is None] == []


def test_most_barrages_that_were_seen_below_high_were_warned_before_guddu_by_days() -> None:
    ahead = [one for one in crossed("indus", "flood-2025.csv", Level.HIGH) if one.level is Level.HIGH and one.seen_below_high]
    warned = {one.zone: one.lead_h for one in ahead if one.ahead}
    assert {"CHE-KHANKI", "CHE-QADIRABAD", "CHE-TRIMMU", "IND-GUDDU", "IND-SUKKUR"} <= warned.keys()
    assert warned["IND-GUDDU"] >= 48


def test_a_wave_that_is_late_at_panjnad_is_not_called_off() -> None:
    """Its first reading, 340,000 cusec on 6 September, was below what should have come; 609,669 followed two days later."""
    said = [
        (hazard.at_ms, max(hazard.level_confirmed, hazard.level_expected, key=lambda level: Level(level).rank))
        for beat in replayed("indus", "flood-2025.csv")[0]
        for hazard in beat.hazards.rows()
        if hazard.zone == "CHE-PANJNAD"
    ]
    crossing_ms = 1_757_314_800_000  # 8 September 07:00 UTC
    before = [Level(level).rank for at_ms, level in said if crossing_ms - 144 * 3_600_000 <= at_ms < crossing_ms]
    assert min(before) >= Level.HIGH.rank


def test_kotri_stayed_below_high_and_was_not_warned_of_it() -> None:
    said = {
        event.alert.level for beat in replayed("indus", "flood-2025.csv")[0] for event in beat.alerts if event.alert.zone == "IND-KOTRI"
    }
    assert max(said, key=lambda level: level.rank) is Level.MEDIUM


def test_the_flood_travels_as_few_waves_not_as_an_alert_at_each_gauge() -> None:
    chains = {event.alert.zone: event.alert for beat in replayed("indus", "flood-2025.csv")[0] for event in beat.alerts}
    assert len(chains) >= 15
    events = {event_id for alert in chains.values() for event_id in alert.event_ids}
    assert len(events) <= 5  # Chenab, Ravi, Sutlej, and what begins on its own
    assert len(chains["IND-GUDDU"].event_ids) >= 2  # where waves join, the chain downstream lists all


def test_ditwah_every_major_crossing_is_warned_of_no_later_than_its_reading() -> None:
    found = crossed("sri-lanka", "ditwah-2025.csv", Level.HIGH)
    assert len(found) >= 23
    assert [(one.zone, one.value) for one in found if one.warned_ms is None] == []
    ahead = [one for one in found if one.seen_below_high]
    assert sum(one.ahead for one in ahead) / len(ahead) >= 0.5


@pytest.mark.parametrize(("region", "file"), [("indus", "flood-2025.csv"), ("sri-lanka", "ditwah-2025.csv")])
def test_every_document_passes_our_lint_knowing_its_predecessors(region: str, file: str) -> None:
    found = []
    noun = config.load(ROOT / "config" / region)
    for beat in replayed(region, file)[0]:
        for event in beat.alerts:
            if event.alert.kind is not EventKind.EXPIRE:
                found += [(event.alert.identifier, str(problem)) for problem in lint.lint(event.cap, noun)]
    assert found == []


@pytest.mark.parametrize(("region", "file", "first"), [("indus", "flood-2025.csv", 40), ("sri-lanka", "ditwah-2025.csv", 1500)])
def test_the_same_log_gives_the_same_bytes_however_it_is_cut(region: str, file: str, first: int) -> None:
    noun = config.load(ROOT / "config" / region)
    readings = rows.read(ROOT / "config" / region / "replays" / file, noun).readings[:first]
    whole = documents(replay_file(noun, log_with_ticks(noun, readings)))
    assert len(whole) > 20
    assert documents(replay_file(noun, log_with_ticks(noun, readings), most=3)) == whole
