"""``warning bench qc``: what is drawn could be seen, what is counted is counted rightly; and its figures on the flood of Ditwah, small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from warning import config
from warning.model import Cause
from warning.rehearsal import qc_bench, qc_faults, qc_observable, qc_records, qc_trial
from warning.rehearsal.qc_faults import KINDS, Limits
from warning.rehearsal.qc_records import Records

HOUR = 3600
CONFIG = Path(__file__).parent.parent / "config"
LIMITS = {"A": Limits(-5.0, 20.0, 5.0, 5.0), "B": Limits(-5.0, 20.0, 5.0, 5.0)}


def records(a: float = 0.02, b: float = 0.02, **more: tuple[tuple[int, int], ...]) -> Records:
    """Two gauges, hourly for ten days, that swing by ``a`` and ``b`` m twice a day."""
    time = np.arange(240, dtype=np.int64) * HOUR + 1_760_000_400
    swing = np.sin(np.arange(240) / 6.0 * np.pi)
    series = {"A": (time, np.round(2 + a / 2 * swing, 3)), "B": (time, np.round(3 + b / 2 * swing, 3))}
    return Records("made", series, {"A": ("B",), "B": ("A",)}, dict(more))


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_fault_departs_from_the_record_where_it_says_and_nowhere_else(kind: str) -> None:
    known = records(0.8, 0.8)
    for one in qc_observable.draw(kind, 20, 1, known, LIMITS).faults:
        time, value = known.series[list(known.series)[one.series]]
        clean = dict(zip(time.tolist(), value.tolist(), strict=True))
        apart = np.array([abs(clean[came] - each) > 0.02 for came, each in zip(one.received.tolist(), one.value.tolist(), strict=True)])
        others = ~(one.wrong | one.show)
        assert not apart[others].any()
        assert one.show.any()
        assert (one.received >= one.at).any() and (one.received < one.at).sum() >= qc_faults.FEWEST_BEFORE


def test_what_nobody_could_see_is_left_out_and_counted() -> None:
    calm, wild, alone = records(), records(a=4.0), Records("made", records().series, {})
    assert qc_observable.draw("step", 50, 1, calm, LIMITS).left_out == 0
    assert qc_observable.draw("step", 50, 1, wild, LIMITS).faults == []  # the water, or the neighbour's, moves by more than half of any
    assert qc_observable.draw("drift", 50, 1, alone, LIMITS).faults == []  # no neighbour
    assert len(qc_observable.draw("drift", 50, 1, calm, LIMITS).faults) == 50
    assert qc_observable.draw("attenuation", 5, 1, records(b=4.0), LIMITS).faults == []  # A is calm, and B's neighbour is
    assert len(qc_observable.draw("attenuation", 5, 1, records(2.0, 2.0), LIMITS).faults) == 5


def test_no_fault_is_put_where_one_was_seen() -> None:
    time = records().series["A"][0]
    seen = records(A=((int(time[0]), int(time[-1])),))
    assert {one.series for one in qc_observable.draw("spike", 30, 1, seen, LIMITS).faults} == {1}


def test_a_cause_that_does_not_fit_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    known = records()
    clean = qc_trial.as_received(known, LIMITS)
    drawn = qc_observable.draw("gross_range", 20, 1, known, LIMITS).faults
    found = qc_trial.find("gross_range", drawn, known, LIMITS, clean, 1)
    assert (found.found, found.on_arrival, found.causes) == (20, 20, {"gross_range": 20})
    monkeypatch.setitem(KINDS, "gross_range", qc_faults.Kind(KINDS["gross_range"].draw, 36, 6, (Cause.FLAT_LINE,)))
    assert qc_trial.find("gross_range", drawn, known, LIMITS, clean, 1).causes == {"not found": 20}


def test_the_flood_of_ditwah_as_received_and_with_faults_in_it() -> None:
    known = qc_records.ditwah(CONFIG)
    assert sum(qc_trial.listed(known, name).sum() for name in known.series) > 100  # the list of faults seen is read
    region, kinds = config.load(str(CONFIG / "sri-lanka")), ("step", "drift_twin", "wrong_unit")
    document = qc_bench.measure(CONFIG, 60, 2, region, lambda line: None, ("ditwah-2025",), kinds, (6.0,))
    received, step, twin, unit = document["rows"]
    assert received["rises_failed"] == 0
    assert received["good_flagged"] <= 0.005
    for rises in (received["rises_waited"], received["behind"][0]["waited"]):  # a step too fast to be believed before the next reading
        assert rises.keys() == {"rate_of_rise"} and rises["rate_of_rise"] <= 0.01 * received["rise_readings"]
    assert step["left_out"] > 0 and step["detection"] >= 0.85
    assert (twin["detection"], twin["left_out"]) == (1.0, 0)
    assert unit["detection"] >= 0.9
    assert document["figures"]["detection_drift_twin"] == 1.0
