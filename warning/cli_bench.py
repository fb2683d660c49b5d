"""``warning bench``: figures of this machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warning.cli_options import Json, write_json

if TYPE_CHECKING:
    from warning.wiring_bench import Bench

bench = typer.Typer(help="Measure this machine, with made-up load.", no_args_is_help=True, rich_markup_mode=None)

MAIN = 25_000  # readings a beat: what four ticks a second give at 100,000 readings a second


@bench.callback()
def _bench() -> None:
    pass


@bench.command("stream")
def stream(
    series: Annotated[int, typer.Option("--series", min=10, help="gauges, a reading a minute each")] = 1000,
    readings: Annotated[int, typer.Option("--readings", min=1000, help="measured for each row of the table")] = 2_000_000,
    per_beat: Annotated[list[int] | None, typer.Option("--readings-per-beat", min=1, help="a row of the table; again for more")] = None,
    json_file: Json = None,
) -> None:
    """Readings a second that one core carries: decode, quality, windows, forecast, hazard, life cycle, outputs, checkpoint."""
    from warning import wiring_bench, wiring_logging

    wiring_logging.configure("bench", "ERROR")
    rows = []
    for number in per_beat or [1000, MAIN, 100_000]:
        row = asyncio.run(wiring_bench.stream(series, max(readings, number), number))
        rows.append(row)
        _show(row)
    main = next((row for row in rows if row.readings_per_beat == MAIN), rows[-1])
    write_json(json_file, document(main, rows))


def _show(row: Bench) -> None:
    print(
        f"{row.readings_per_beat:>9,} readings a beat: {row.readings_per_second:>9,.0f} readings/s of one core "
        f"({row.readings:,} readings in {row.cpu_s:.1f} s of CPU, {row.wall_s:.1f} s), "
        f"{row.state_bytes / row.series / 1024:.1f} KiB a series, {row.alerts} alerts"
    )
    for stage, spent in sorted(row.stages.items(), key=lambda item: -item[1]):
        print(f"{spent:>21.3f} us a reading  {stage}", flush=True)


def document(main: Bench, rows: list[Bench]) -> dict[str, Any]:
    """The object for ``--json``."""
    figures: dict[str, float] = {
        "readings_per_second_per_core": round(main.readings_per_second),
        "readings_per_beat": main.readings_per_beat,
        "series": main.series,
        "state_bytes_per_series": round(main.state_bytes / main.series),
        **{f"{stage.replace(' ', '_')}_us_per_reading": round(spent, 4) for stage, spent in main.stages.items()},
    }
    table = [
        {
            "readings_per_beat": row.readings_per_beat,
            "readings_per_second_per_core": round(row.readings_per_second),
            "readings": row.readings,
            "cpu_s": round(row.cpu_s, 3),
            "wall_s": round(row.wall_s, 3),
            "alerts": row.alerts,
            "us_per_reading": {stage: round(spent, 4) for stage, spent in row.stages.items()},
        }
        for row in rows
    ]
    return {"figures": figures, "load": "made up", "rows": table}
