"""An operator's flag: through the real codec, the real pipeline, checkpoint and replay. A stretch out of order counts nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pipeline_story import MINUTE, START_MS, Story, small
from regions import write_region

from warning.model import ManualFlag, Parameter, Reading, Tick, to_json
from warning.pipeline import Plan, State
from warning.region import Region
from warning.science import qc_manual, windows
from warning.stream.beats import Beats, Closed
from warning.stream.decisions import PIPELINE
from warning.stream.replay import LogRecord, documents, log_with_ticks, replay_file


def flag(begin: float, end: float | None, action: str = "fail", at: float = 0.0, station: str = "A") -> ManualFlag:
    return ManualFlag(
        flag_ms=START_MS + int(at * MINUTE),
        station=station,
        parameter=Parameter.STAGE,
        action=action,  # type: ignore[arg-type]
        who="Duty officer",
        because="the float hangs",
        from_ms=START_MS + int(begin * MINUTE),
        to_ms=None if end is None else START_MS + int(end * MINUTE),
    )


def reading(minute: float, value: float, station: str = "A") -> Reading:
    ms = START_MS + int(minute * MINUTE)
    return Reading(station=station, parameter=Parameter.STAGE, time_ms=ms, value=value, received_ms=ms, provider="test")


class Log:
    """One partition's log, record by record."""

    def __init__(self, region: Region) -> None:
        self.region, self.records = region, []  # type: ignore[var-annotated]

    def add(self, *nouns: Reading | ManualFlag) -> Log:
        self.records += [(b"oak", to_json(noun)) for noun in nouns]
        return self

    def tick(self, minute: float) -> Log:
        self.records.append((None, to_json(Tick(tick_ms=START_MS + int(minute * MINUTE), writer="test"))))
        return self

    def play(self, cut: int = 10_000, state: State | None = None, first: int = 0) -> tuple[list[Closed], Beats]:
        plan = Plan.of(self.region, 0)
        beats = Beats(0, PIPELINE, plan, State.empty(plan) if state is None else state, first)
        closed: list[Closed] = []
        for at in range(first, len(self.records), cut):
            part: Sequence[tuple[bytes | None, bytes]] = self.records[at : at + cut]
            closed += beats.take([key for key, _ in part], [value for _, value in part], at)
        return closed, beats


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return small(write_region(tmp_path))


def tables(beats: Beats) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in beats.state.tables.items()}


def test_readings_of_the_stretch_fail_and_say_that_a_person_said_so(region: Region) -> None:
    log = Log(region).add(flag(10, 20)).add(*(reading(minute, 1.0) for minute in (5, 10, 19.9, 20))).tick(30)
    (closed,), beats = log.play()
    assert closed.outputs.flags == {("GOOD", "none"): 2, ("FAIL", "manual"): 2}
    assert [(one.stage, one.reason) for one in closed.rejected] == [("qc", "manual")] * 2
    assert beats.state.s["w_count"][0, 0:24].sum() == 2


def test_what_counted_is_taken_back_from_windows_course_and_zone(region: Region) -> None:
    log = Log(region)
    for minute in range(0, 120, 10):
        log.add(reading(minute, 1.0 + minute / 1000)).tick(minute)
    for minute in range(120, 180, 10):
        log.add(reading(minute, 2.5)).tick(minute)
    before, beats = log.play()
    assert next(event.alert.kind.value for closed in before for event in closed.alerts) == "raise"
    log.add(flag(120, None)).tick(181)
    after, beats = log.play()
    s = beats.state.s
    assert (s["last_v"][0], s["before_v"][0]) == (pytest.approx(1.11), pytest.approx(1.10))  # newest of the buckets that are left
    assert s["last_t"][0] == START_MS // 1000 + 110 * 60
    day = windows.features(s, np.array([0]), START_MS // 1000 + 181 * 60)["24h"]
    assert (int(day["count"][0]), float(day["max"][0])) == (12, pytest.approx(1.11))
    hazard = after[-1].hazards[0]
    assert hazard.value == pytest.approx(1.11)
    assert ("out_of_service", "manual") in [(reason.code, reason.values.get("cause")) for reason in hazard.reasons]


def test_a_flag_that_is_withdrawn_lets_readings_count_again(region: Region) -> None:
    log = Log(region).add(flag(0, None)).add(reading(5, 1.0)).tick(6).add(flag(8, None, "withdraw")).add(reading(9, 1.2), reading(7, 1.1))
    closed, beats = log.tick(10).play()
    assert closed[0].outputs.flags == {("FAIL", "manual"): 1}
    assert closed[1].outputs.flags == {("GOOD", "none"): 1, ("FAIL", "manual"): 1}
    assert qc_manual.stretches(beats.state.s, 0) == [(START_MS // 1000, START_MS // 1000 + 480)]


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_the_state_does_not_depend_on_how_the_log_is_cut_and_a_checkpoint_has_it(region: Region, cut: int) -> None:
    log = Log(region)
    for minute in range(0, 200, 7):
        log.add(reading(minute, 1.0 + (minute % 13) / 100), reading(minute, 1.5, "B")).tick(minute)
        if minute == 98:
            log.add(flag(40, 70)).tick(99)
    whole, beats = log.play()
    cut_up, other = log.play(cut)
    assert tables(beats) == tables(other)
    assert documents(whole) == documents(cut_up)
    half = next(number for number, closed in enumerate(whole) if closed.offset > len(log.records) // 2)
    early = Log(region)
    early.records = log.records[: whole[half].offset + 1]
    _, middle = early.play()
    head, arrays = middle.state.freeze()
    thawed = State.thaw(Plan.of(region, 0), dict(head), {name: np.copy(array) for name, array in arrays.items()})
    _, rest = log.play(state=thawed, first=middle.next)
    assert tables(rest) == tables(beats)


def test_a_replay_of_history_knows_flags(region: Region) -> None:
    readings = [reading(minute, 2.5) for minute in range(0, 120, 10)]
    records = list(log_with_ticks(region, readings))
    assert documents(replay_file(region, records))
    said = LogRecord(0, b"oak", to_json(flag(0, None)))
    assert documents(replay_file(region, [said, *records])) == {}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (to_json(flag(0, 1, station="Z")), "unknown_series"),
        (to_json(flag(2, 1)), "bad_field"),
        (b'{"flag_ms":1,"station":"A"}', "bad_field"),
        (b'{"flag_ms":', "bad_json"),
    ],
)
def test_a_flag_that_cannot_be_read_is_kept_with_its_reason(region: Region, record: bytes, reason: str) -> None:
    log = Log(region)
    log.records.append((b"oak", record))
    (closed,), _ = log.add(reading(0, 1.0)).tick(1).play()
    assert [(one.stage, one.reason) for one in closed.rejected] == [("decode", reason)]
    assert closed.outputs.flags == {("GOOD", "none"): 1}


def test_of_too_many_stretches_the_one_that_ended_first_goes() -> None:
    said: list[tuple[int, int]] = []
    for begin in (100, 300, 500, 700, 900):
        said = qc_manual.with_stretch(said, (begin, begin + 50))
    assert said == [(300, 350), (500, 550), (700, 750), (900, 950)]
    assert qc_manual.with_stretch(said, (340, 710)) == [(300, 750), (900, 950)]
    assert qc_manual.without_stretch([(300, 750)], (400, 500)) == [(300, 400), (500, 750)]


def test_a_flag_for_a_series_that_raises_costs_only_that_series(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> list[windows.Change]:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(qc_manual, "taken_back", broken)
    log = Log(region).add(flag(0, 5)).add(reading(1, 1.0), reading(1, 1.0, "B")).tick(2)
    (closed,), _ = log.play()
    assert list(closed.outputs.out_of_service) == [("A", "stage")]
    assert closed.outputs.flags == {("FAIL", "internal"): 1, ("GOOD", "none"): 1}


def test_story_goes_on(region: Region) -> None:
    """A checkpoint made before there were flags has none."""
    assert not Story(region).state.s["manual_n"].any()
