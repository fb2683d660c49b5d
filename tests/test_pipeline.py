"""The pipeline as stories: gauges A -> B -> C (stage; classes from 2, 3, 4, 5, 6 m) and the barrage D (inflow, outflow) below."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pipeline_story import HOUR, MINUTE, START_MS, Story, small
from regions import edit, write_region

from warning import config, pipeline
from warning.model import AlertEvent, Level, to_json
from warning.pipeline import Plan, Readings, State, step, zones
from warning.science import qc

CUSEC = 0.028316846592


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(small(write_region(tmp_path)))


def frozen(story: Story) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in story.state.freeze()[1].items()}


def test_two_good_readings_raise_and_sixty_minutes_below_clear(story: Story) -> None:
    assert story.course("A", [(0, 2.2)]) == []
    assert story.hazards["A"].level is Level.LOW
    assert story.hazards["A"].level_confirmed is Level.NORMAL
    assert story.course("A", [(30, 2.25)]) == ["raise LOW"]
    assert story.course("A", [(120, 1.95)]) == []  # below the limit, but within the margin of 0.10 m
    assert story.course("A", [(150, 1.5), (180, 1.4)]) == []
    assert story.course("A", [(211, 1.4)]) == ["clear NORMAL"]


def test_a_line_is_not_carried_on_for_longer_than_it_was_followed(story: Story) -> None:
    story.course("A", [(0, 1.0), (15, 1.3), (30, 1.6)])  # 1.2 m/h for half an hour: 0.6 m more at most, whatever the horizon of 3 h
    assert story.hazards["A"].peak_value == pytest.approx(2.2, abs=0.02)
    assert story.told() == ["raise LOW"]


def test_the_two_top_classes_need_one_reading(story: Story) -> None:
    assert story.course("A", [(0, 5.5)]) == ["raise VERY_HIGH"]


def test_an_alert_does_not_flap_around_a_limit(story: Story) -> None:
    story.course("A", [(0, 2.05), (15, 2.05)])
    before = len(story.alerts)
    for minute in range(30, 12 * 60, 15):
        story.push("A", minute, 2.0 + (0.05 if minute % 30 else -0.05)).tick(minute)
    assert story.told(before) == []


def test_a_silent_gauge_is_unknown_and_clears_nothing(story: Story) -> None:
    story.course("A", [(0, 4.5), (15, 4.5)])
    for minute in range(20, 3 * 24 * 60, 10):
        story.tick(minute)
    assert story.hazards["A"].level is Level.UNKNOWN
    assert story.hazards["A"].silent_since_ms == START_MS + 15 * MINUTE
    told = story.told(zone="A")
    assert told[:2] == ["raise HIGH", "certainty HIGH"]
    assert set(told[2:]) == {"renew HIGH"}
    assert len(told) >= 5
    last = story.alerts[-1].alert
    assert (last.certainty.value, last.active) == ("Possible", True)
    assert "silent_since" in [reason.code for reason in last.hazard.reasons]


def test_a_gauge_that_never_spoke_is_unknown_and_says_so(story: Story) -> None:
    story.push("A", 0, 1.0).tick(0)
    story.tick(10)
    assert story.hazards["B"].level is Level.UNKNOWN
    assert [reason.code for reason in story.hazards["B"].reasons] == ["never_spoke"]


def test_an_upstream_neighbour_confirms_a_single_reading(story: Story) -> None:
    story.course("A", [(0, 4.2), (15, 4.3)])
    assert story.course("B", [(20, 4.1)]) == ["raise HIGH"]
    event = story.alerts[-1].alert
    assert event.event_ids == story.alerts[0].alert.event_ids  # the same wave
    assert "neighbour_confirms" in [reason.code for reason in event.hazard.reasons]


def test_a_suspect_rise_that_a_neighbour_confirms_warns_before_the_next_reading(story: Story) -> None:
    story.course("B", [(0, 1.0)])
    story.course("A", [(0, 4.2), (15, 4.3)])
    assert story.course("B", [(30, 4.4)]) == ["raise HIGH"]
    assert story.series("last_v", "B") == 1.0


def test_a_suspect_reading_that_nothing_followed_is_not_confirmed_days_later(story: Story) -> None:
    story.course("B", [(0, 1.0), (30, 4.4)])
    for minute in range(40, 26 * 60, 20):
        story.tick(minute)
    story.course("A", [(26 * 60, 4.2), (26 * 60 + 15, 4.3)])
    assert story.told(zone="A") == ["raise HIGH"]
    assert story.told(zone="B") == []


def test_a_barrage_is_judged_by_the_larger_of_inflow_and_outflow(story: Story) -> None:
    story.push("D", 0, 510_000 * CUSEC, "inflow").push("D", 0, 480_000 * CUSEC, "outflow").tick(0)
    assert story.hazards["D"].level is Level.HIGH
    assert story.hazards["D"].level_confirmed is Level.MEDIUM  # the twin confirms what it shows itself
    assert story.hazards["D"].value == pytest.approx(510_000 * CUSEC)
    story.push("D", 120, 300_000 * CUSEC, "outflow").tick(120)
    assert story.hazards["D"].value == pytest.approx(300_000 * CUSEC)  # the inflow is two hours older: the newest decides


def test_a_trend_warns_before_the_limit_and_says_why(story: Story) -> None:
    told = story.course("A", [(minute, 1.0 + minute / 60 * 0.4) for minute in range(0, 106, 15)])
    assert told[0] == "raise LOW"
    first = story.alerts[0].alert
    assert first.hazard.level is Level.NORMAL
    codes = [reason.code for reason in first.hazard.reasons]
    assert {"observed_below", "expected", "trend"} <= set(codes)
    crossing_ms = START_MS + int(150 * MINUTE)
    assert first.sent_ms < crossing_ms
    assert abs((first.arrival_ms or 0) - crossing_ms) <= 20 * MINUTE


def test_a_wave_travels_down_as_one_event(tmp_path: Path) -> None:
    folder = write_region(tmp_path)
    for station in "ABC":
        edit(folder, "series", f"{station},stage,m,-0.5,20,3,3,1.5,48,0", f"{station},discharge,m3/s,0,60000,,,,,")
        edit(
            folder, "limits", f"{station},stage,m,2,3,4,5,6,test,2025,1", f"{station},discharge,m3/s,2000,4000,6000,8000,10000,test,2025,1"
        )
    story = Story(config.load(folder))
    for station in "ABC":
        story.push(station, 0, 1000.0, "discharge")
    story.tick(0)
    for minute in range(60, 361, 60):
        story.push("A", minute, 1000.0 + (minute - 60) * 30, "discharge").tick(minute)
    chains = {event.alert.zone: event.alert for event in story.alerts}
    assert {"A", "B", "C"} <= set(chains)
    assert {chain.event_ids for chain in chains.values()} == {chains["A"].event_ids}
    first_b = next(event.alert for event in story.alerts if event.alert.zone == "B")
    assert first_b.hazard.level is Level.NORMAL  # its own gauge shows nothing yet
    assert first_b.hazard.upstream == ("A",)
    assert "wave" in [reason.code for reason in first_b.hazard.reasons]
    assert story.hazards["B"].arrival_ms is not None
    assert story.hazards["C"].arrival_ms > story.hazards["B"].arrival_ms


def test_late_data_for_what_is_over_raise_nothing(story: Story) -> None:
    story.course("A", [(0, 1.0), (600, 1.1)])
    assert story.course("A", []) == []
    for minute in range(200, 400, 15):
        story.push("A", minute, 5.5)
    out = story.tick(610)
    assert (out.applied, out.alerts) == (14, ())
    assert story.hazards["A"].level is Level.NORMAL


def test_an_upload_of_old_readings_decides_where_nothing_newer_is_known_and_says_its_age(story: Story) -> None:
    for minute in range(0, 60, 15):
        story.push("A", minute, 5.5)
    out = story.tick(12 * 60)
    assert [event.alert.level for event in out.alerts] == [Level.VERY_HIGH]
    assert "stale_reading" in [reason.code for reason in out.alerts[0].alert.hazard.reasons]


def test_time_never_runs_backwards_and_a_tick_that_is_not_later_closes_its_beat_all_the_same(story: Story) -> None:
    story.tick(60)
    out = story.push("A", 50, 5.5).tick(10)
    assert out.now_ms == START_MS + HOUR
    assert out.applied == 1
    assert [event.alert.sent_ms for event in out.alerts] == [START_MS + HOUR]


def test_an_idle_beat_does_nothing(story: Story) -> None:
    story.course("A", [(0, 1.0)])
    story.tick(1)
    before = frozen(story)
    out = story.tick(2)
    assert (out.hazards, out.alerts, out.flags) == ((), (), {})
    assert frozen(story) == before


def test_every_zone_is_published_again_after_ten_minutes(story: Story) -> None:
    story.course("A", [(0, 1.0)])
    story.tick(1)
    told = [hazard.zone for minute in range(2, 12) for hazard in story.tick(minute).hazards]
    assert sorted(told) == ["A", "B", "C", "D"]


def test_the_zones_take_turns_so_that_no_beat_has_to_tell_all(story: Story) -> None:
    story.course("A", [(0, 1.0)])
    assert max(len(story.tick(minute).hazards) for minute in range(1, 60)) == 1


# --- a pure function of the log


def random_log(seed: int, beats: int = 120) -> list[tuple[float, list[tuple[str, float, float | None, str]]]]:
    """Synthetic load: waves, gaps, spikes, duplicates, late readings; for comparing runs with each other, never for claims about floods."""
    chance = random.Random(seed)
    log, level = [], dict.fromkeys("ABCD", 1.0)
    for beat in range(beats):
        minute = beat * chance.choice([1.0, 7.5, 15.0, 15.0])
        readings = []
        for station in "ABCD":
            level[station] = min(max(level[station] + chance.gauss(0.05, 0.4), -1.0), 8.0)
            for _ in range(chance.choice([0, 0, 1, 1, 2])):
                late = minute - chance.choice([0, 0, 0, 1, 30, 400])
                value = chance.choice([level[station]] * 12 + [level[station] + 9, -999.0, None, 77.0])
                if station == "D":
                    readings.append((station, late, None if value is None else value * 6000, chance.choice(["inflow", "outflow"])))
                else:
                    readings.append((station, late, value, "stage"))
        log.append((minute, readings))
    return log


def play(story: Story, log: list[tuple[float, list[tuple[str, float, float | None, str]]]]) -> list[bytes]:
    out = []
    for minute, readings in log:
        for station, when, value, parameter in readings:
            story.push(station, when, value, parameter, received=minute)
        outputs = story.tick(minute)
        out += [to_json(noun) for noun in (*outputs.hazards, *outputs.alerts, *outputs.rejected)]
    return out


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_stops_anywhere_and_goes_on_from_its_checkpoint_decides_the_same(tmp_path: Path, seed: int) -> None:
    region = small(write_region(tmp_path))
    log = random_log(seed)
    whole = play(Story(region), log)
    assert len(whole) > 200
    for stop in range(1, len(log), 29):
        first, second = Story(region), Story(region)
        begun = play(first, log[:stop])
        head, arrays = first.state.freeze()
        head = msgspec.json.decode(msgspec.json.encode(head))
        second.state = State.thaw(second.plan, head, {name: array.copy() for name, array in arrays.items()})
        assert second.state.deadline_ms == first.state.deadline_ms
        assert begun + play(second, log[stop:]) == whole


def test_a_beat_that_raises_leaves_the_state_as_it_was(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    story.course("A", [(0, 5.5), (15, 5.6)])
    before = frozen(story)
    alerts = dict(story.state.alerts)

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(zones, "_set_due", full)
    with pytest.raises(MemoryError):
        story.push("A", 30, 6.6).tick(30)
    assert frozen(story) == before
    assert (story.state.alerts, story.state.now_ms) == (alerts, START_MS + 15 * MINUTE)


def test_a_poison_reading_costs_one_series_not_the_basin(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    real = qc.examine

    def brittle(arrays: object, limits: object, row: np.ndarray, *rest: np.ndarray) -> object:
        if (row == 0).any() and (rest[1] == 3.3).any():
            raise ZeroDivisionError("poison")
        return real(arrays, limits, row, *rest)

    story.course("A", [(0, 2.5)])
    monkeypatch.setattr(qc, "examine", brittle)
    story.push("A", 15, 3.3).push("B", 15, 5.5)
    out = story.tick(15)
    assert out.out_of_service == {("A", "stage"): "ZeroDivisionError: poison"}
    assert [(one.reason, one.stage) for one in out.rejected] == [("internal", "qc")]
    assert [event.alert.zone for event in out.alerts] == ["B"]
    assert story.hazards["A"].level is Level.UNKNOWN
    assert "out_of_service" in [reason.code for reason in story.hazards["A"].reasons]
    monkeypatch.undo()
    assert story.push("A", 30, 2.6).tick(30).flags == {("FAIL", "internal"): 1}  # until other code takes over
    head, arrays = story.state.freeze()
    assert State.thaw(story.plan, {**head, "code": "other"}, arrays).s["out"].any() == np.False_


def test_a_zone_whose_words_raise_does_not_silence_the_others(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    real = zones.cap.document

    def brittle(alert: object, region: object) -> str:
        if alert.zone == "A":  # type: ignore[attr-defined]
            raise ValueError("no words")
        return real(alert, region)

    monkeypatch.setattr(zones.cap, "document", brittle)
    story.push("A", 0, 5.5).push("B", 0, 5.5)
    out = story.tick(0)
    assert [event.alert.zone for event in out.alerts] == ["B"]
    assert out.out_of_service == {("A", "stage"): "ValueError: no words"}


def test_a_changed_configuration_keeps_what_has_the_same_name(tmp_path: Path) -> None:
    old = Story(small(write_region(tmp_path / "old")))
    old.course("B", [(0, 4.5), (15, 4.5)])
    folder = write_region(tmp_path / "new")
    edit(folder, "stations", "A,Alder,الف,gauge,Oak,oak,32.0,72.0,published,3\n", "")
    edit(folder, "series", "A,stage,m,-0.5,20,3,3,1.5,48,0\n", "")
    edit(folder, "limits", "A,stage,m,2,3,4,5,6,test,2025,1\n", "")
    edit(folder, "reaches", "A,B,4,6,assumed,upper\n", "")
    plan = Plan.of(config.load(folder), 0)
    state = State.thaw(plan, *old.state.freeze())
    assert state.s["last_v"].tolist()[0] == 4.5
    assert state.alerts.keys() == {"B"}
    assert step(plan, state, Readings.none(), START_MS + HOUR).out_of_service == {}


def test_an_unknown_checkpoint_version_is_refused(story: Story) -> None:
    head, arrays = story.state.freeze()
    with pytest.raises(pipeline.state.StateError, match="version 99"):
        State.thaw(story.plan, {**head, "version": 99}, arrays)


def test_a_partition_without_basins_has_nothing_to_do(tmp_path: Path) -> None:
    empty = Story(small(write_region(tmp_path)), partition=1)
    out = empty.tick(0)
    assert (out.hazards, out.alerts) == ((), ())
    assert empty.tick(10).hazards == ()
    state = State.thaw(empty.plan, *empty.state.freeze())
    assert state.deadline_ms > START_MS


def test_ids_come_from_meaning(story: Story) -> None:
    story.course("A", [(0, 5.5)])
    event = story.alerts[0]
    assert isinstance(event, AlertEvent)
    assert event.alert.identifier == "ews.oak.A.20250801T000000Z.0"
    assert event.alert.event_ids == ("ews.oak.A.20250801T000000Z",)
    assert f"<identifier>{event.alert.identifier}</identifier>" in event.cap
    assert (event.config, event.code) == (story.plan.region.digest, story.plan.code)
