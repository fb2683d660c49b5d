"""Rain through ``pipeline.step``: totals of a gauge and increments, late and repeated, to accumulations and the antecedent index."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from regions import SERIES, STATIONS, write_region

from warning import config
from warning.errors import ConfigError, InputError
from warning.ingest.formats import Formats, Item
from warning.model import ManualFlag, Parameter
from warning.pipeline import Outputs, Plan, State, rain, step
from warning.pipeline.beat import Readings
from warning.science import rainfall

DAY = 1_756_684_800
HOUR = 3600
GAUGES = (
    STATIONS
    + """\
R,Rowan,ر,rain,Oak,oak,30.6,72.0,published,12
T,Thorn,ت,rain,Oak,oak,30.7,72.0,published,12
U,Ulex,ع,rain,Oak,oak,30.8,72.0,published,12
"""
)
HEAD, _, ROWS = SERIES.partition("\n")
COUNTED = f"{HEAD},rain_as,mm_per_tip,reset_hour,roll_over\n" + "".join(f"{row},,,,\n" for row in ROWS.splitlines())
COUNTED += "R,rain,mm,,150,,,,,,increment,,,\nT,rain,mm,,150,,,,,,total,,8.5,\nU,rain,mm,,150,,,,,,tips,0.2,,65536\n"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return Plan.of(config.load(write_region(tmp_path_factory.mktemp("rain"), stations=GAUGES, series=COUNTED)), 0)


class Story:
    def __init__(self, plan: Plan, state: State | None = None) -> None:
        self.plan, self.state = plan, state or State.empty(plan)

    def beat(self, now_s: int, *readings: tuple[str, int, float]) -> Outputs:
        """(station, time in s, value) each."""
        rows = np.array([self.plan.row[station, Parameter.RAIN] for station, _, _ in readings], np.int32)
        times = np.array([time for _, time, _ in readings], np.int64) * 1000
        values = np.array([value for _, _, value in readings], float)
        received, none = np.full(len(rows), now_s * 1000), np.zeros(len(rows), np.bool_)
        return step(self.plan, self.state, Readings(rows, times, values, received, none), now_s * 1000)

    def fell(self, station: str, now_s: int) -> dict[int, float]:
        row = np.array([self.plan.row[station, Parameter.RAIN]])
        return {hours: round(float(mm[0]), 3) for hours, mm in rainfall.accumulations(self.state.s, row, now_s).items()}

    def index(self, station: str, now_s: int) -> float:
        rows = np.array([self.plan.row[station, Parameter.RAIN]])
        return round(float(rain.antecedent(self.plan.rain, self.state.r, rows, now_s)[0]), 3)


def test_a_total_and_increments_of_the_same_rain_are_the_same(plan: Plan) -> None:
    story, total = Story(plan), 0.0
    begin = DAY + 3 * HOUR + HOUR // 2  # 08:30 at +05:00
    for quarter in range(1, 41):
        mm = 0.2 * (quarter % 5)
        total = round(total + mm, 1)
        now = begin + quarter * 900
        story.beat(now, ("R", now, mm), ("T", now, total), ("U", now, total + 100.0))
    increments, counted, tips = (story.fell(station, now) for station in "RTU")
    assert increments == counted == {1: 1.8, 3: 4.8, 6: 9.8, 24: 16.0, 72: 16.0}
    assert tips[6] == 9.8 and tips[72] == 15.8  # of its first count nobody knows since when
    assert story.index("R", now) == story.index("T", now) == 16.0


def test_tips_are_a_unit_where_the_region_says_what_one_is(plan: Plan) -> None:
    formats = Formats(plan.region)

    def sent(station: str, unit: str) -> float | None:
        one = Item(station=station, parameter="rain", time=datetime.fromtimestamp(DAY, UTC), value=1234, unit=unit)
        return formats.reading(one, provider="p", received_ms=DAY * 1000).value

    assert (sent("U", "tips"), sent("U", "mm"), sent("R", "in")) == (246.8, 1234, 31343.6)
    with pytest.raises(InputError, match="no unit 'tips'") as caught:
        sent("R", "tips")
    assert "one of mm" in caught.value.fix
    [series] = plan.region.station_by_id["U"].series
    assert series.roll_over_mm == pytest.approx(65_536 * 0.2)


def test_flags_and_rejects_are_of_what_was_sent(plan: Plan) -> None:
    story = Story(plan)
    story.beat(DAY + 4 * HOUR, ("T", DAY + 4 * HOUR, 1.0))
    after = DAY + 4 * HOUR + 900
    outputs = story.beat(after, ("T", after, 999.0), ("T", after - 60, float("nan")), ("T", after - 120, 1.4))
    assert sum(outputs.flags.values()) == 3
    [rejected] = outputs.rejected
    assert (rejected.reason, '"value":999.0' in rejected.record) == ("gross_range", True)
    assert story.fell("T", after)[1] == 1.4  # the first has what fell since the reset


def test_a_late_a_revised_and_a_repeated_total_leave_the_rain_as_it_was(plan: Plan) -> None:
    story, begin = Story(plan), DAY + 5 * HOUR
    for quarter, total in enumerate((0.0, 4.0, 20.0)):
        story.beat(begin + quarter * 900, ("T", begin + quarter * 900, total))
    now = begin + 3 * 900
    before = story.fell("T", now)
    story.beat(now, ("T", begin + 1200, 8.0))  # late: between the second and the third
    story.beat(now + 1, ("T", begin + 1200, 8.0), ("T", begin + 1800, 20.0))
    assert story.fell("T", now) == before
    story.beat(now + 2, ("T", begin + 1800, 26.0))  # revised
    assert story.fell("T", now)[1] == 26.0
    assert story.index("T", now) == 26.0


def test_a_day_of_silence_is_shared_out_over_its_hours(plan: Plan) -> None:
    story = Story(plan)
    story.beat(DAY, ("U", DAY, 10.0))
    now = DAY + 24 * HOUR
    story.beat(now, ("U", now, 130.0))
    assert story.fell("U", now) == {1: 5.0, 3: 15.0, 6: 30.0, 24: 120.0, 72: 120.0}


def test_the_state_goes_on_after_a_checkpoint_and_other_regions_find_their_rows(plan: Plan) -> None:
    story = Story(plan)
    for quarter in range(8):
        story.beat(DAY + 4 * HOUR + quarter * 900, ("T", DAY + 4 * HOUR + quarter * 900, 3.0 * quarter))
    now = DAY + 6 * HOUR
    head, arrays = story.state.freeze()
    copies = {name: array.copy() for name, array in arrays.items()}
    fewer = replace(plan.region, stations=tuple(one for one in plan.region.stations if one.id != "R"), digest="other")
    for other in (plan, Plan.of(fewer, 0)):
        again = Story(other, State.thaw(other, head, copies))
        again.beat(now, ("T", now, 30.0))
        assert again.fell("T", now)[6] == 30.0
        assert again.index("T", now) == 30.0


def test_increments_are_not_touched_and_a_region_without_rain_has_no_tables(plan: Plan, tmp_path: Path) -> None:
    story = Story(plan)
    story.beat(DAY + 900, ("R", DAY + 900, 5.0))
    story.beat(DAY + 1800, ("R", DAY + 1800, 1.0))
    assert story.fell("R", DAY + 1800)[1] == 6.0
    assert story.beat(DAY + 2700, ("R", DAY + 2700, -1.0)).rejected[0].reason == "gross_range"  # rain is never below zero
    none = Plan.of(config.load(write_region(tmp_path)), 0)
    assert none.rain is None
    assert all(len(array) == 0 for name, array in State.empty(none).tables.items() if name.startswith("r."))


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("R,rain,mm,,150,,,,,,tips,,,", "tips without mm_per_tip"),
        ("R,rain,mm,,150,,,,,,increment,,9,", "increment has no reset"),
        ("R,rain,mm,,150,,,,,,increment,,,100", "increment does not roll over"),
        ("R,rain,mm,,150,,,,,,grid,,,", "nobody knows the land of R"),
    ],
)
def test_wrong_columns_are_named(row: str, what: str, tmp_path: Path) -> None:
    stations = STATIONS + "R,Rowan,ر,rain,Oak,oak,30.6,72.0,published,12\n"
    table = "\n".join(COUNTED.splitlines()[:-3]) + f"\n{row}\n"
    with pytest.raises(ConfigError, match=what):
        config.load(write_region(tmp_path, stations=stations, series=table))


def test_what_an_operator_takes_back_has_not_rained(plan: Plan) -> None:
    story = Story(plan)
    for quarter, (mm, count) in enumerate(((2.0, 12.0), (50.0, 62.0), (60.0, 122.0), (1.0, 123.0))):
        now = DAY + 4 * HOUR + quarter * 900
        story.beat(now, ("R", now, mm), ("U", now, count))
    assert story.index("R", now) == 113.0
    begin, end = DAY + 4 * HOUR + 600, DAY + 4 * HOUR + 2000  # the second and the third
    said = {"flag_ms": now * 1000, "from_ms": begin * 1000, "to_ms": end * 1000, "who": "duty", "because": "a blocked funnel"}
    flags = [ManualFlag(station=name, parameter=Parameter.RAIN, action="fail", **said) for name in "RU"]
    step(plan, story.state, Readings.none(), now * 1000 + 1, flags)
    assert (story.index("R", now), story.fell("R", now)[1], story.index("U", now)) == (3.0, 3.0, 1.0)
    late = story.beat(now + 900, ("U", now + 900, 125.0), ("U", begin + 100, 500.0))
    assert [one.reason for one in late.rejected] == ["manual"]
    assert story.fell("U", now + 900)[1] == 3.0  # 1 mm, and 2 mm more than the last count, which is believed
