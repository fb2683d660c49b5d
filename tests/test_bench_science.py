"""``warning bench science``, tiny: what it measures has the names and the sizes that it should have. Its figures are no test's business."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from warning import wiring_bench_science
from warning.cli import main
from warning.wiring_bench_science import LEAST_BEATS, SCIENCE


def test_the_science_is_measured_by_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring_bench_science, "BATCH", 40)
    monkeypatch.setattr(wiring_bench_science, "grid_seconds", lambda told: 0.25)
    out = tmp_path / "figures.json"
    with pytest.raises(SystemExit) as ended:
        main(["bench", "science", "--series", "40", "--series", "80", "--readings", "1000", "--json", str(out)])

    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "science in all" in printed
    found = json.loads(out.read_text())
    figures, rows = found["figures"], found["rows"]
    assert [(row["series"], row["readings"]) for row in rows] == [(40, 1000), (80, 960)]  # whole beats, of which there are 8 at least
    assert LEAST_BEATS <= 960 // 80
    assert all(0 < rows[0]["stages"][stage] < 100_000 for stage in SCIENCE)
    assert figures["us_per_reading"] == pytest.approx(sum(rows[0]["stages"][stage] for stage in SCIENCE), abs=0.001)
    assert figures["forecast_us_per_series"] == pytest.approx(rows[0]["stages"]["forecast"], abs=0.001)
    assert figures["us_per_reading_80_series"] > 0
    assert figures["grid_seconds"] == 0.25
    assert [bar["met"] for bar in found["bars"].values()][1] is True


def test_flooding_rivers_are_among_the_load() -> None:
    """Every twentieth river: what is measured judges and warns, and is not all quiet."""
    row = wiring_bench_science.row(400, 400 * 30, lambda what, done, total: None)

    assert row["alerts"] > 0
    assert row["step_us_per_reading"] > 0
