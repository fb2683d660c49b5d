"""Real floods through the whole decision, without a broker: what was said of each crossing, and when.

Only published readings; the definitions are those of ``warning.rehearsal.crossings``.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from warning import config, wiring_hindcast
from warning.alerts import lint
from warning.ingest import rows
from warning.model import CLASSES, EventKind, Level
from warning.rehearsal.crossings import Crossing, crossings, observations
from warning.science import verify
from warning.stream.beats import Closed
from warning.stream.replay import documents, log_with_ticks, replay_file
from warning.verification.observed import tracks

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


@pytest.mark.parametrize(
    "called",  # who is silent; the class that it reached, and for how many hours before its reading that or the one below was called
    [
        {"CHE-PANJNAD": (Level.VERY_HIGH, 144), "IND-SUKKUR": (Level.HIGH, 144)},
        {"IND-GUDDU": (Level.HIGH, 48), "IND-KOTRI": (Level.MEDIUM, 96)},
    ],
)
def test_the_lower_barrages_are_called_days_ahead_from_what_was_read_upstream_alone(called: dict[str, tuple[Level, int]]) -> None:
    """They say nothing for the whole flood; what was called stood until the water was there."""
    region = config.load(ROOT / "config" / "indus")
    readings = rows.read(ROOT / "config" / "indus" / "replays" / "flood-2025.csv", region).readings
    upstream = tuple(reading for reading in readings if reading.station not in called)
    assert called.keys() <= {reading.station for reading in readings}
    said = wiring_hindcast.listen(region, upstream, lambda *_: None, len(upstream), tick_s=6 * 3600).zones
    for zone, (reached, least_h) in called.items():
        own, limits = tracks(region, readings)[zone], region.zone_by_id[zone].limits.values
        assert [level for level in CLASSES if level in limits and own.value.max() >= limits[level]][-1] is reached
        first_s = int(own.time_s[verify.reached(own.value, limits[reached], 0.1).argmax()])
        below = next(lower for lower, upper in pairwise(CLASSES) if upper is reached)
        alerts = said[zone].alerts(below)
        standing_s = alerts.start[alerts.end >= first_s]
        assert len(standing_s) > 0, zone
        assert first_s - standing_s[0] >= least_h * 3600, zone


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
