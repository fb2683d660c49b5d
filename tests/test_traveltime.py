"""Travel times learnt from what two gauges measured: on made-up waves whose lag is known, and on the flood of 2026 in Texas."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.regions import edit, write_region
from tests.test_config import ROOT
from warning import config, wiring_travel
from warning.cli import main
from warning.errors import InputError
from warning.science.traveltime import Times, TravelTime, Values, learn

HOUR = 3600
TEXAS = ROOT / "config" / "training" / "texas-2026"


def wave(times: Times, peaks_h: tuple[float, ...], width_h: float = 8.0, height: float = 3.0) -> Values:
    """Bell-shaped rises over a base of 1, one for each time of a peak."""
    out: Values = np.ones(len(times))
    for peak in peaks_h:
        out += height * np.exp(-0.5 * ((times / HOUR - peak) / width_h) ** 2)
    return out


def hours(first: float, last: float, step: float = 1.0) -> Times:
    return (np.arange(first, last, step) * HOUR).astype(np.int64)


# --- the methods


@pytest.mark.parametrize("lag", [0, 3, 11, 40])
def test_a_wave_that_passes_both_gauges_tells_its_lag(lag: int) -> None:
    times = hours(0, 400)
    found = learn(times, wave(times, (60.0, 220.0)), times, wave(times, (60.0 + lag, 220.0 + lag), 10.0, 2.0), 100 * HOUR)

    assert len(found.pairs) == 2
    assert found.lag_s == pytest.approx(lag * HOUR, abs=HOUR)
    assert found.low_s is not None and found.high_s is not None and found.low_s <= lag * HOUR <= found.high_s
    assert found.correlated_s == pytest.approx(lag * HOUR, abs=2 * HOUR)
    assert found.correlation > 0.8


def test_gauges_read_at_other_times_and_steps() -> None:
    up_s, down_s = hours(0.5, 300, 0.5), hours(0.25, 300, 3)
    found = learn(up_s, wave(up_s, (80.0,)), down_s, wave(down_s, (95.0,)), 60 * HOUR)

    assert found.step_s == 3 * HOUR
    assert found.lag_s == pytest.approx(15 * HOUR, abs=3 * HOUR)
    assert found.correlated_s == pytest.approx(15 * HOUR, abs=3 * HOUR)


def test_bulletins_a_day_apart_leave_the_day_open() -> None:
    """The water was highest somewhere between the readings around the highest one: no lag is known better than that."""
    times = hours(0, 480, 24)
    up, down = np.ones(20), np.ones(20)
    up[5], up[6], down[7], down[8] = 4.0, 2.0, 4.0, 2.0
    found = learn(times, up, times, down, 240 * HOUR)

    assert found.lag_s == 48 * HOUR
    assert (found.low_s, found.high_s) == (0, 96 * HOUR)


@pytest.mark.parametrize("nothing", ["short", "flat", "one sees no rise", "still rising", "apart"])
def test_what_says_nothing_is_not_answered(nothing: str) -> None:
    times = hours(0, 200)
    up, down = wave(times, (60.0,)), wave(times, (70.0,))
    up_s = down_s = times
    if nothing == "short":
        up_s, up = times[:2], up[:2]
    elif nothing == "flat":
        up = np.ones(200)
    elif nothing == "one sees no rise":
        down = np.ones(200)
    elif nothing == "still rising":
        down = np.linspace(1.0, 2.0, 200)
        up = wave(times, (190.0,))
    else:
        down_s = times + 2000 * HOUR
    found = learn(up_s, up, down_s, down, 50 * HOUR)

    assert found.pairs == ()
    assert (found.lag_s, found.low_s, found.high_s) == (None, None, None)
    assert found.correlated_s is None or nothing == "still rising"


def test_noise_has_no_travel_time() -> None:
    """No correlation worth the name between gauges that have nothing to do with each other."""
    random = np.random.default_rng(7)
    times = hours(0, 600)
    found = learn(times, random.normal(size=600), times, random.normal(size=600), 48 * HOUR)

    assert found.correlated_s is None


# --- a real flood


@cache
def _texas() -> dict[str, tuple[Times, Values]]:
    series: dict[str, dict[int, float]] = defaultdict(dict)
    with gzip.open(TEXAS / "stage_30min.tsv.gz", "rt") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            series[row["lid"]][int(datetime.fromisoformat(row["frame_utc"]).timestamp())] = float(row["stage_ft"])
    return {lid: (np.array(sorted(course), np.int64), np.array([course[at] for at in sorted(course)])) for lid, course in series.items()}


def _reaches() -> list[tuple[str, str, float]]:
    with (TEXAS / "reaches.csv").open() as file:
        return [(row["from_lid"], row["to_lid"], float(row["lag_h"])) for row in csv.DictReader(file)]


@pytest.mark.parametrize(("up", "down", "lag_h"), _reaches())
def test_the_flood_of_2026_in_texas(up: str, down: str, lag_h: float) -> None:
    """The reference is the time between the highest values. Within what the tops of both waves leave open, and a quarter of it."""
    found: TravelTime = learn(*_texas()[up], *_texas()[down], 240 * HOUR)

    assert len(found.pairs) == 1
    assert found.lag_s == pytest.approx(lag_h * HOUR, rel=0.25, abs=1.5 * HOUR)
    assert found.low_s is not None and found.high_s is not None and found.low_s <= lag_h * HOUR <= found.high_s
    assert found.correlated_s == pytest.approx(lag_h * HOUR, rel=0.4, abs=4.5 * HOUR)


# --- the command


def _history(folder: Path, lag_h: float) -> Path:
    """A wave past A and B, ``lag_h`` apart, read every hour."""
    times = hours(0, 300)
    path = folder / "history.csv"
    with path.open("w") as file:
        file.write("station,parameter,time,value,unit\n")
        for station, peak in (("A", 100.0), ("B", 100.0 + lag_h)):
            for at, value in zip(times, wave(times, (peak,)), strict=True):
                moment = datetime.fromtimestamp(1_756_684_800 + int(at)).astimezone().isoformat()
                file.write(f"{station},stage,{moment},{value:.3f},m\n")
    return path


@pytest.mark.parametrize(("lag_h", "verdict"), [(5.0, "agrees"), (30.0, "contradicts")])
def test_the_readings_stand_beside_the_table(tmp_path: Path, lag_h: float, verdict: str) -> None:
    """A to B is configured with 4 to 6 h."""
    region = config.load(write_region(tmp_path))
    found, refused = wiring_travel.travel_times(region, [_history(tmp_path, lag_h)])
    first = next(one for one in found if one.reach.upstream == "A")

    assert refused == []
    assert first.verdict == verdict
    assert {one.verdict for one in found if one.reach.upstream != "A"} == {"silent"}
    assert bool(wiring_travel.contradicted(region, [_history(tmp_path, lag_h)])) == (verdict == "contradicts")


def test_the_command_writes_the_table_and_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = write_region(tmp_path), tmp_path / "out.json"
    with pytest.raises(SystemExit) as ended:
        main(["travel-times", str(folder), "--readings", str(_history(tmp_path, 5.0)), "--json", str(out)])

    assert ended.value.code == 0
    assert "A - B" in capsys.readouterr().out
    written = json.loads(out.read_text())
    assert written["figures"]["agrees"] == 1
    assert written["reaches"][0]["peaks_median_h"] == pytest.approx(5.0, abs=1.0)


def test_a_file_that_is_no_history_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    with pytest.raises(InputError):
        wiring_travel.travel_times(config.load(write_region(tmp_path)), [wrong])


# --- check


def _checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["check", *arguments])
    return int(ended.value.code or 0), capsys.readouterr().out


def test_check_notes_a_time_that_the_replays_contradict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_region(tmp_path)
    (folder / "replays").mkdir()
    _history(folder / "replays", 30.0)
    code, said = _checked(capsys, str(folder))

    assert code == 0
    assert "note: A - B: assumed 4 to 6 h, the region's replays say 1 peaks 30 h" in said
    assert "no zone knows who and what lies in it" in said


def test_check_notes_what_is_in_no_zone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_region(tmp_path, rivers=None)
    rows = "near,bridge,Near,32.0,72.0,t\nfree,bridge,Free,32.5,73.5,t\nbeyond,bridge,Beyond,20.0,50.0,t\n"
    (folder / "assets.csv").write_text("id,kind,name_en,lat,lon,source\n" + rows, encoding="utf-8")
    _, said = _checked(capsys, str(folder))

    assert "1 assets outside the region's bounds; check their positions: beyond" in said
    assert "1 assets in no zone: no warning names them; column zones of assets.csv can: free" in said
    assert "3 zones without a town or an asset on the lists: B, C, D" in said


def test_check_against_the_folder_in_use_warns_of_what_it_drops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, now = write_region(tmp_path / "before"), write_region(tmp_path / "now")
    edit(now, "limits", "A,stage,m,2,3,4,5,6,test,2025,1\n", "")
    edit(now, "limits", "B,stage,m,2,3,4,5,6", "B,stage,m,2,3,4.5,5,6")
    edit(now, "reaches", "A,B,4,6,assumed,upper\n", "")
    code, said = _checked(capsys, str(now), "--against", str(before))

    assert code == 0
    assert "warning: 1 zones that are dropped: a warning in force for one would end unseen, without a Cancel: A" in said
    assert "note: B: other limits: HIGH 4 -> 4.5" in said
    assert _checked(capsys, str(before), "--against", str(before))[1].count("dropped") == 0
