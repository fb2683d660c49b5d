"""The benches, tiny: what they measure has the names and the sizes that it should have. Their figures are no test's business."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from services import ROOT, absent

from warning import config
from warning.model import Reading, Tick
from warning.stream.replay import LogRecord, replay_file
from warning.wiring_bench_broker import installed as kafka_home
from warning.wiring_bench_log import live
from warning.wiring_bench_readings import START_MS, records
from warning.wiring_bench_region import Size, made_up, write
from warning.wiring_bench_report import Bar, ratios
from warning.wiring_bench_stream import Measured

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("WARNING_") or name == "WARNING_KAFKA_HOME"}


def bench(tmp_path: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """(the JSON, what was printed)"""
    file = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "warning", "bench", *arguments, "--json", str(file)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(file.read_text()), done.stdout


def test_stream_measures_each_load_the_backlog_and_the_latencies(tmp_path: Path) -> None:
    live = ("--seconds", "2", "--probes", "10", "--backlog-minutes", "1")
    rows = ("--series", "100", "--readings", "4000", "--readings-per-beat", "1000", "--load", "uniform", "--load", "live")
    found, printed = bench(tmp_path, "stream", *rows, *live, "--kafka", "embedded")
    figures = found["figures"]
    assert [(row["load"], row["readings_per_beat"]) for row in found["rows"]] == [("uniform", 1000), ("live", 1)]
    assert [row["readings"] // 100 for row in found["rows"]] == [40, 2]  # live: two minutes of it, to the end of a run
    assert all(row["state_bytes"] > 100 * 1000 for row in found["rows"])
    stages = found["rows"][0]["us_per_reading"]
    assert {"decode", "quality", "windows", "forecast", "hazard", "life cycle", "checkpoint", "produce, commit"} <= stages.keys()
    assert 100 < figures["readings_per_second_per_core"] < 10_000_000
    assert 1000 < figures["bytes_per_series"] < 10_000
    assert 1 < figures["idle_beat_us"] < 10_000
    assert found["backlog"]["readings"] == 1000 and found["backlog"]["ticks"] == 240  # of 1,000 gauges
    assert found["backlog"]["cpu_s"] > 0 and found["backlog"]["start_s"] <= figures["backlog_hour_s"]
    assert found["latency"]["limit"] in ("gateway", "worker") and not found["latency"]["failed"]
    assert 0 < figures["alert_latency_p50_ms"] <= figures["alert_latency_p99_ms"] < 60_000
    assert 0 < figures["alert_latency_p50_at_10_ms"] <= figures["alert_latency_p99_at_10_ms"] < 60_000
    assert found["latency"]["at_10"]["readings_per_second"] < found["latency"]["at_80"]["readings_per_second"]
    assert "embedded" in found["broker"] and "the embedded broker" in printed
    assert "cost_ratio_1e3_to_1e6" not in figures and "not measured" in printed


def test_each_ratio_of_costs_compares_the_rows_that_it_says() -> None:
    def row(series: int, load: str, per_beat: int, us: float) -> dict[str, Any]:
        return {"series": series, "load": load, "readings_per_beat": per_beat, "cpu_s": us * 1e-6 * 5000, "readings": 5000}

    small = [row(1000, "uniform", 25_000, 2.0), row(1000, "uniform", 1000, 20.0), row(1000, "live", 4, 500.0)]
    large = [row(10**6, "hot", 25_000, 99.0), row(10**6, "uniform", 25_000, 30.0), row(10**6, "live", 4166, 25.0)]
    found = {name: ratio for name, _, ratio in ratios(Measured("here", small + large))}
    assert found == pytest.approx({"cost_ratio_1e3_to_1e6": 1.5, "cost_ratio_live": 0.05, "cost_ratio_same_beat": 15.0})
    assert [ratio for _, _, ratio in ratios(Measured("here", small))] == [None, None, None]


def test_recover_starts_a_worker_from_a_checkpoint(tmp_path: Path) -> None:
    if kafka_home() is None:
        absent("Apache Kafka", "make services (Java 17 and Maven), or set WARNING_KAFKA_HOME to a folder with libs/*.jar")
    found, printed = bench(tmp_path, "recover", "--series", "200", "--generations", "5")
    (row,) = found["rows"]
    assert row["how"] == "committed" and row["generations"] == 5
    assert row["checkpoint_bytes"] > 200 * 1000 and row["topic_bytes"] > 3 * row["checkpoint_bytes"]
    assert 0 < row["region_s"] < row["joined_s"] < row["seconds"] <= row["caught_up_s"]
    assert found["figures"]["seconds_200_series"] == pytest.approx(row["seconds"], abs=0.01)
    assert "Apache Kafka" in printed


def test_scale_gives_each_worker_a_partition(tmp_path: Path) -> None:
    found, _ = bench(tmp_path, "scale", "--workers", "2", "--series", "100", "--readings", "5000", "--kafka", "embedded")
    (row,) = found["rows"]
    assert row["workers"] == 2 and row["readings"] == 10_000
    assert found["figures"]["readings_per_cpu_second_2_workers"] > 100


def test_nothing_outlives_an_interrupted_bench(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "warning", "bench", "stream", "--series", "100", "--part", "latency", "--kafka", "embedded"]
    environment = {**ENVIRONMENT, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it, and so would we
    )
    until = time.monotonic() + 180
    while len(mine := _below(running.pid)) < 3:  # broker, gateway, worker
        assert time.monotonic() < until and running.poll() is None
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    until = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in mine):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert not list(tmp_path.glob("bench-*"))


def _below(pid: int) -> list[int]:
    if not sys.platform.startswith("linux"):
        pytest.skip("processes are looked up in /proc")
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def test_a_region_in_code_is_the_one_in_files(tmp_path: Path) -> None:
    size = Size(230, partitions=2, probes=3)
    read, made = config.load(write(size, tmp_path / "region")), made_up(size)
    for name in ("stations", "zones", "reaches", "districts", "basins", "partitions", "alert", "forecast", "class_names", "bounds"):
        assert getattr(read, name) == getattr(made, name), name


@pytest.mark.parametrize("load", ["uniform", "hot"])
def test_the_load_is_good_readings_of_every_gauge(load: str) -> None:
    size = Size(200)
    log = [LogRecord(0, key, value) for key, value in islice(records(size, load, 1000), 20_020)]
    beats = list(replay_file(made_up(size), log))
    assert sum(beat.readings for beat in beats) == sum(beat.outputs.applied for beat in beats) == 20_000
    assert not any(beat.rejected for beat in beats)
    assert any(beat.alerts for beat in beats)


def test_nine_readings_in_ten_of_a_hot_basin_come_from_a_tenth_of_the_gauges() -> None:
    log = [msgspec.json.decode(value, type=Reading) for _, value in islice(records(Size(1000), "hot"), 1000, 51_000)]
    hot = sum(reading.station < "G0000100" for reading in log)
    assert hot / len(log) == pytest.approx(0.9, abs=0.01)
    assert len({reading.station for reading in log}) == 1000


def test_live_load_is_one_reading_a_minute_and_four_ticks_a_second() -> None:
    log = list(live(Size(1000), START_MS, 480))
    ticks = [msgspec.json.decode(value, type=Tick).tick_ms for key, value in log if key is None]
    readings = [msgspec.json.decode(value, type=Reading) for key, value in log if key is not None]
    assert [tick - START_MS for tick in ticks] == [250 * number for number in range(480)]
    assert len(readings) == 2000 and len({reading.station for reading in readings}) == 1000
    again = list(live(Size(1000), START_MS, 240, 240))
    assert again == log[len(log) - len(again) :]


def test_a_bar_says_whether_it_is_met() -> None:
    assert Bar("x", 60.0, most=60.0, unit="s").row == ("x", "60 s", "<= 60", "met")
    assert Bar("x", 299_999.0, least=300_000).row[-1] == "MISSED"
    assert Bar("x", None, most=2).row == ("x", "not measured", "<= 2 ", "")


def test_ingest_measures_batches_singles_and_answers(tmp_path: Path) -> None:
    found, printed = bench(tmp_path, "ingest", "--seconds", "1", "--kafka", "embedded")
    figures = found["figures"]
    assert {"readings_per_second_batched", "requests_per_second_single", "p99_ms_half_load", "p99_ms_half_load_single"} <= figures.keys()
    assert all(value > 0 for value in figures.values())
    assert all(not told["failed"] for name in ("batched", "single") for told in found["measured"][name].values())
    assert found["measured"]["batched"]["full"]["accepted"] % 100 == 0
    assert "single requests/s" in printed
