"""``warning bench science``: CPU of the science for each reading, stage by stage, without broker, codec and documents' delivery."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from warning.config_model import model_text
from warning.errors import ConfigError
from warning.pipeline import Plan, Readings, State, step
from warning.region import Region
from warning.rehearsal.summary import Table
from warning.wiring_bench_child import Told
from warning.wiring_bench_readings import START_MS, value_of
from warning.wiring_bench_region import Size, made_up
from warning.wiring_bench_report import Bar, bars
from warning.wiring_bench_stages import Stopwatch

SIZES = (1_000, 10_000)
BATCH = 1_000  # zones of the bar for a forecast
EVERY_MINUTES = 15
WARM_BEATS = 32  # eight hours: all trends and windows have what they need
LEAST_BEATS = 8
SCIENCE = ("quality", "identity", "windows", "forecast", "hazard")  # of ``wiring_bench_stages``
Progress = Callable[[str, int, int], None]


def science(sizes: Sequence[int], readings: int, told: Progress) -> list[Told]:
    """A row for each number of gauges: ``readings`` measured without clocks, and as many again by stage."""
    return [row(series, readings, told) for series in sizes]


def row(series: int, readings: int, told: Progress) -> Told:
    """Every gauge sends each quarter of an hour, and every zone is forecast and judged in each beat; CPU time of this process."""
    plan = Plan.of(_region(series), 0)
    state, beats = State.empty(plan), max(readings // series, LEAST_BEATS)
    what, total = f"{series:,} series", WARM_BEATS + 2 * beats
    for beat in range(WARM_BEATS):
        step(plan, state, _sent(series, beat), _closed_ms(beat))
        told(what, beat + 1, total)
    whole_s = alerts = 0.0
    for beat in range(WARM_BEATS, WARM_BEATS + beats):
        sent = _sent(series, beat)
        began = time.process_time()
        alerts += len(step(plan, state, sent, _closed_ms(beat)).alerts)
        whole_s += time.process_time() - began
        told(what, beat + 1, total)
    watch = Stopwatch()
    with watch.patched():
        for beat in range(WARM_BEATS + beats, WARM_BEATS + 2 * beats):
            sent = _sent(series, beat)
            with watch.time("rest of the beat"):
                step(plan, state, sent, _closed_ms(beat))
            told(what, beat + 1, total)
    counted = beats * series
    stages = {stage: spent / counted * 1e6 for stage, spent in watch.spent.items()}
    return {
        "series": series,
        "readings": counted,
        "alerts": int(alerts),
        "step_us_per_reading": whole_s / counted * 1e6,
        "us_per_reading": sum(stages.get(stage, 0.0) for stage in SCIENCE),
        "stages": stages,
    }


def _region(series: int) -> Region:
    """Made up, with the trained model that a region has unless it says otherwise."""
    region = made_up(Size(series))
    return replace(region, forecast=replace(region.forecast, model=model_text(None, Path())))


def _sent(series: int, beat: int) -> Readings:
    """One reading of each gauge."""
    minute = beat * EVERY_MINUTES
    at_ms = START_MS + minute * 60_000
    values = [value_of(gauge, minute, beat * series + gauge) for gauge in range(series)]
    return Readings.of(range(series), [at_ms] * series, values, [at_ms + 900] * series)


def _closed_ms(beat: int) -> int:
    return START_MS + beat * EVERY_MINUTES * 60_000 + 1_000


def grid_seconds(told: Progress) -> float | None:
    """A half hour of IMERG to the rain of basins; None where the libraries of grids are not installed."""
    from warning import wiring_bench_grids

    try:
        return wiring_bench_grids.grid_seconds(told)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return None


# --- what is shown


def forecast_us(rows: Sequence[Told]) -> float | None:
    """CPU of one series' forecast at one issue time, in a batch of ``BATCH``."""
    found = next((row for row in rows if row["series"] == BATCH), None)
    return None if found is None else float(found["stages"].get("forecast", 0.0))


def science_bars(rows: Sequence[Told], grid_seconds: float | None) -> list[Bar]:
    """The bars of the issue."""
    return [
        Bar("forecast of one series at one issue time, in batches of 1,000", forecast_us(rows), most=50, unit="us"),
        Bar("a half hour of IMERG over the region to the rain of its basins", grid_seconds, most=1, unit="s"),
    ]


def tables(rows: Sequence[Told], grid_seconds: float | None) -> list[Table]:
    """Stages in a column for each number of gauges, and the bars."""
    names = (*SCIENCE, *(name for name in dict.fromkeys(stage for row in rows for stage in row["stages"]) if name not in SCIENCE))
    lines = [(name, *(f"{row['stages'].get(name, 0.0):.2f}" for row in rows)) for name in names]
    lines.append(("science in all", *(f"{row['us_per_reading']:.2f}" for row in rows)))
    lines.append(("the whole step, without the clocks", *(f"{row['step_us_per_reading']:.2f}" for row in rows)))
    title = "us of CPU per series and reading; every gauge read, forecast and judged each quarter of an hour"
    columns = ("stage", *(f"{row['series']:,} series" for row in rows))
    return [Table(title, columns, tuple(lines)), bars("bars", science_bars(rows, grid_seconds))]


def document(rows: Sequence[Told], grid_seconds: float | None) -> dict[str, Any]:
    """The object for ``--json``. A figure that was not measured is absent."""
    figures: dict[str, float] = {}
    for number, row in enumerate(rows):
        name = "" if number == 0 else f"_{row['series']}_series"
        figures[f"us_per_reading{name}"] = round(row["us_per_reading"], 3)
        figures[f"step_us_per_reading{name}"] = round(row["step_us_per_reading"], 3)
        figures |= {f"{stage}_us_per_reading{name}": round(row["stages"].get(stage, 0.0), 3) for stage in SCIENCE}
    if (forecast := forecast_us(rows)) is not None:
        figures["forecast_us_per_series"] = round(forecast, 3)
    if grid_seconds is not None:
        figures["grid_seconds"] = round(grid_seconds, 3)
    found = {bar.name: {"value": bar.value, "met": bar.met} for bar in science_bars(rows, grid_seconds) if bar.value is not None}
    return {"figures": figures, "load": "made up", "bars": found, "rows": list(rows)}
