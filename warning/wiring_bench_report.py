"""What the benches found, as tables with every bar beside its figure, and as the object for ``--json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from warning.rehearsal.summary import Table
from warning.wiring_bench_child import Told
from warning.wiring_bench_stages import NAMES
from warning.wiring_bench_stream import BASE, MAIN, SIZES, Measured

LARGE = 100_000  # series of the bars for checkpoints and recovery


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure and what it has to be. ``value`` None: not measured in this run."""

    name: str
    value: float | None
    most: float | None = None
    least: float | None = None
    unit: str = ""

    @property
    def met(self) -> bool:
        value = 0.0 if self.value is None else self.value
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    @property
    def row(self) -> tuple[str, ...]:
        bar = f"<= {self.most:,g}" if self.most is not None else f">= {self.least:,g}"
        if self.value is None:
            return self.name, "not measured", f"{bar} {self.unit}", ""
        return (
            self.name,
            f"{self.value:,.4g} {self.unit}" if self.value < 1e4 else f"{self.value:,.0f} {self.unit}",
            bar,
            ("met" if self.met else "MISSED"),
        )


def bars(title: str, found: Sequence[Bar]) -> Table:
    return Table(title, ("bar", "figure", "wanted", ""), tuple(bar.row for bar in found))


# --- bench stream


def us(row: Told) -> float:
    return float(row["cpu_s"] / row["readings"] * 1e6)


def sentence(row: Told) -> str:
    """A row as soon as it is measured."""
    where = f"{row['series']:,} series, {row['load']}, {row['readings_per_beat']:,} a beat"
    return f"{where}: {row['readings'] / row['cpu_s']:,.0f} readings/s of one core, {us(row):.2f} us each"


def line(row: Told) -> tuple[str, ...]:
    return (
        f"{row['series']:,}",
        row["load"],
        f"{row['readings_per_beat']:,}",
        f"{row['readings'] / row['cpu_s']:,.0f}",
        f"{us(row):.2f}",
        f"{row['state_bytes'] / row['series']:,.0f}",
        f"{row['rss_bytes'] / row['series']:,.0f}",
        f"{row['checkpoint_pause_ms']:,.0f}",
        f"{row['idle_beat_us']:.1f}",
        f"{row['alerts']:,}",
    )


COLUMNS = (
    "series", "load", "readings a beat", "readings/s of a core", "us", "state B a series", "process B a series", "pause ms", "idle beat us",
    "alerts",
)  # fmt: skip


def tables(done: Measured) -> list[Table]:
    """Rows, stages, latencies, bars, what was left out."""
    found = []
    if done.rows:
        found.append(Table("whole work, CPU of one core (live: every gauge once a minute, four ticks a second)", COLUMNS, _lines(done)))
        head = tuple(f"{row['series']:,} {row['load']} {row['readings_per_beat']:,}" for row in done.rows)
        stages = tuple((name, *(f"{row['us_per_reading'].get(name, 0.0):.3f}" for row in done.rows)) for name in NAMES)
        found.append(Table("us per reading by stage (with the clocks on: a few percent more)", ("stage", *head), stages))
    if done.latency:
        found.append(_latencies(done.latency))
    found.append(bars(f"bars; on {done.where}", stream_bars(done)))
    if done.skipped:
        found.append(Table("left out", ("",), tuple((words,) for words in done.skipped)))
    return found


def _lines(done: Measured) -> tuple[tuple[str, ...], ...]:
    return tuple(line(row) for row in done.rows)


def _latencies(found: dict[str, Any]) -> Table:
    limit = f"{found['readings_per_second']:,.0f} readings/s, limited by the {found['limit']}"
    rows = tuple(
        (
            f"{share} %",
            f"{found[f'at_{share}']['readings_per_second']:,.0f}",
            *(f"{found[f'at_{share}'][name]:,.0f}" for name in ("p50_ms", "p99_ms", "most_ms")),
            f"{found[f'at_{share}']['worker_cpu_share']:.0%}",
        )
        for share in (10, 80)
    )
    return Table(f"POST to alert; 100 % is {limit}", ("load", "readings/s", "p50 ms", "p99 ms", "most ms", "worker's core"), rows)


def _find(done: Measured, series: int, load: str = "uniform", per_beat: int | None = MAIN) -> Told | None:
    fits = [row for row in done.rows if row["series"] == series and row["load"] == load]
    return next((row for row in fits if per_beat is None or row["readings_per_beat"] == per_beat), None)


def main_row(done: Measured) -> Told | None:
    """1,000 series at 25,000 readings a beat; where that was not asked for, the first row."""
    return _find(done, BASE) or next(iter(done.rows), None)


def ratios(done: Measured) -> list[tuple[str, str, float | None]]:
    """(name, in words, cost of a reading of 10^6 series over that of 10^3), for three meanings of "the same".

    A reading of another gauge means another zone scored with all below it. So the first is the bar: one reading of each gauge that is
    touched, in both. Live: as much time to a beat in both, so the small one has four readings to share what a beat costs. And as many
    readings to a beat: 25 of each gauge of the small one share one scoring, in the large one each has its own.
    """
    most, large, live = SIZES[-1], _find(done, SIZES[-1]), "live"
    pairs = (
        ("cost_ratio_1e3_to_1e6", "each reading of another gauge", large, _find(done, BASE, per_beat=BASE)),
        ("cost_ratio_live", "250 ms a beat", _find(done, most, live, None), _find(done, BASE, live, None)),
        ("cost_ratio_same_beat", f"{MAIN:,} a beat", large, _find(done, BASE)),
    )
    return [(name, words, us(over) / us(under) if over and under else None) for name, words, over, under in pairs]


def stream_bars(done: Measured) -> list[Bar]:
    main, half, largest = main_row(done), _find(done, LARGE), _find(done, SIZES[-1])
    ten = _find(done, BASE, per_beat=10_000)
    state = max((row["state_bytes"] / row["series"] for row in done.rows), default=None)
    at_80 = done.latency.get("at_80", {})
    name = f"readings/s of one core, {main['series']:,} series, {main['readings_per_beat']:,} a beat" if main else "readings/s of one core"
    return [
        Bar(name, _a_second(main), least=300_000),
        Bar("readings/s of one core, 1,000 series, 10,000 a beat", _a_second(ten), least=300_000),
        *(Bar(f"cost of a reading, 10^6 series over 10^3, {words}", ratio, most=2) for _, words, ratio in ratios(done)),
        Bar("state of a series", state, most=4096, unit="B"),
        Bar("process of 10^6 series, at its largest", largest["rss_most_bytes"] / 1e9 if largest else None, most=5, unit="GB"),
        Bar("checkpoint of 10^5 series, decisions pause", half["checkpoint_pause_ms"] if half else None, most=250, unit="ms"),
        Bar("an idle beat", main["idle_beat_us"] if main else None, most=20, unit="us"),
        Bar("an hour of backlog", done.backlog.get("seconds"), most=60, unit="s"),
        Bar("POST to alert, p99 at 80 % load", at_80.get("p99_ms"), most=1000, unit="ms"),
    ]


def _a_second(row: Told | None) -> float | None:
    return row["readings"] / row["cpu_s"] if row else None


def stream_document(done: Measured) -> dict[str, Any]:
    """The object for ``--json``. A figure that was not measured is absent."""
    main, half, largest = main_row(done), _find(done, LARGE), _find(done, SIZES[-1])
    figures: dict[str, float] = {}
    if main:
        figures |= {
            "readings_per_second_per_core": round(main["readings"] / main["cpu_s"]),
            "readings_per_beat": main["readings_per_beat"],
            "series": main["series"],
            "bytes_per_series": round(main["state_bytes"] / main["series"]),
            "process_bytes_per_series": round(main["rss_bytes"] / main["series"]),
            "process_most_bytes_per_series": round(main["rss_most_bytes"] / main["series"]),
            "idle_beat_us": round(main["idle_beat_us"], 2),
            **{f"{_key(name)}_us_per_reading": round(spent, 4) for name, spent in main["us_per_reading"].items()},
        }
    if half:
        figures["checkpoint_pause_ms"] = round(half["checkpoint_pause_ms"], 1)
        figures["checkpoint_pause_cpu_ms"] = round(half["checkpoint_pause_cpu_ms"], 1)
    figures |= {name: round(ratio, 3) for name, _, ratio in ratios(done) if ratio is not None}
    if largest:
        figures["process_gb_1e6"] = round(largest["rss_most_bytes"] / 1e9, 2)
    if done.backlog:
        figures["backlog_hour_s"] = round(done.backlog["seconds"], 2)
    for share, name in ((80, ""), (10, "_at_10")):
        if found := done.latency.get(f"at_{share}"):
            figures[f"alert_latency_p50{name}_ms"] = round(found["p50_ms"], 1)
            figures[f"alert_latency_p99{name}_ms"] = round(found["p99_ms"], 1)
    found = {bar.name: {"value": bar.value, "met": bar.met} for bar in stream_bars(done) if bar.value is not None}
    rest = {"rows": done.rows, "latency": done.latency, "backlog": done.backlog, "skipped": done.skipped}
    return {"figures": figures, "load": "made up", "broker": done.where, "bars": found, **rest}


def _key(stage: str) -> str:
    return stage.replace(", ", "_").replace(" ", "_")


# --- bench recover, bench scale


def recover_tables(rows: Sequence[Told], where: str, skipped: Sequence[str]) -> list[Table]:
    columns = (
        "series", "generations", "of a day", "topic MB", "checkpoint MB", "region s", "joined s", "state s", "first beat s", "log done s",
        "CPU s", "process MB",
    )  # fmt: skip
    lines = tuple(
        (
            f"{row['series']:,}",
            str(row["generations"]),
            f"{row['of_a_day']:.2%}",
            "?" if row["topic_bytes"] is None else f"{row['topic_bytes'] / 1e6:,.0f}",
            f"{row['checkpoint_bytes'] / 1e6:,.0f}",
            *(f"{row[name]:.1f}" for name in ("region_s", "joined_s", "load_s", "seconds", "caught_up_s", "cpu_s")),
            f"{row['rss_bytes'] / 1e6:,.0f}",
        )
        for row in rows
    )
    half = next((row for row in rows if row["series"] == LARGE), None)
    wanted = [Bar("10^5 series: from the start of the process to its first beat", half["seconds"] if half else None, most=15, unit="s")]
    found = [
        Table("from the start of the process (state s: of these, reading the checkpoint)", columns, lines),
        bars(f"on {where}", wanted),
    ]
    return found + ([Table("left out", ("",), tuple((words,) for words in skipped))] if skipped else [])


def recover_document(rows: Sequence[Told], where: str, skipped: Sequence[str]) -> dict[str, Any]:
    names = {LARGE: "seconds_100k_series", 1_000_000: "seconds_1m_series"}
    figures: dict[str, float] = {}
    for row in rows:
        name = names.get(row["series"], f"seconds_{row['series']}_series")
        figures[name] = round(row["seconds"], 2)
        figures[f"{name}_state"] = round(row["load_s"], 2)
        figures[f"{name}_log"] = round(row["replay_s"], 2)
    return {"figures": figures, "load": "made up", "broker": where, "rows": list(rows), "skipped": list(skipped)}


def scale_tables(rows: Sequence[Told], where: str) -> list[Table]:
    columns = ("workers, partitions", "series", "readings", "readings/s in all", "readings/s of a worker's core", "process MB")
    lines = tuple(
        (
            str(row["workers"]),
            f"{row['series']:,}",
            f"{row['readings']:,}",
            f"{row['readings_per_second']:,.0f}",
            f"{row['readings_per_cpu_second']:,.0f}",
            f"{row['rss_bytes'] / 1e6:,.0f}",
        )
        for row in rows
    )
    cores = rows[0]["cores"] if rows else 0
    title = (
        f"{cores} cores for broker, feeder and workers together: beyond that many, only the CPU a reading costs says anything; on {where}"
    )
    return [Table(title, columns, lines)]


def scale_document(rows: Sequence[Told], where: str) -> dict[str, Any]:
    figures = {f"readings_per_second_{row['workers']}_workers": round(row["readings_per_second"]) for row in rows}
    figures |= {f"readings_per_cpu_second_{row['workers']}_workers": round(row["readings_per_cpu_second"]) for row in rows}
    return {"figures": figures, "load": "made up", "broker": where, "rows": list(rows)}
