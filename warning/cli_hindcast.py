"""``warning hindcast``: what the system would have said over a history of readings, and how good that was."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from warning.cli_options import Json, write_json
from warning.cli_shown import progress, show
from warning.errors import ExitCode

Readings = Annotated[
    Path,
    typer.Option("--readings", help="CSV: station, parameter, time, value, unit; any step, gaps and faults as they are", dir_okay=False),
]
LimitsFile = Annotated[
    Path | None,
    typer.Option("--limits", help="a table of limits in place of the region's (action/minor/moderate/major, ...)", dir_okay=False),
]


class LeftOut(StrEnum):
    """What the model must not have seen when it is judged."""

    RIVER = "river"
    BASIN = "basin"


def hindcast(
    region: Annotated[str, typer.Argument(help="name of a region, the path of its folder, or of a folder with limits.csv alone")],
    readings: Readings,
    limits: LimitsFile = None,
    model: Annotated[Path | None, typer.Option("--model", help="a trained model in place of the built-in one", dir_okay=False)] = None,
    leave_one_out: Annotated[
        LeftOut | None, typer.Option("--leave-one-out", help="judge each river (or basin) with a model trained without it")
    ] = None,
    official: Annotated[
        Path | None, typer.Option("--official", help="the authorities' warnings, CSV: river or station, time, level", dir_okay=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="write figures (PNG) and a page (HTML) into this folder", file_okay=False)
    ] = None,
    within: Annotated[float, typer.Option("--within", min=1, max=240, help="hours before an event in which an alert counts for it")] = 24,
    pool: Annotated[list[Path] | None, typer.Option("--pool", help="JSON of another hindcast to pool the differences with; repeat")] = None,
    silent: Annotated[
        list[str] | None, typer.Option("--silent", help="a station that nobody hears: judge what is said of it from around it; repeat")
    ] = None,
    json_file: Json = None,
) -> None:
    """Run the real pipeline over a history, in event order and without looking ahead, and judge its warnings and forecasts."""
    from warning import wiring_hindcast, wiring_logging

    wiring_logging.configure("hindcast", "ERROR")
    left_out = leave_one_out.value if leave_one_out else None
    asked = wiring_hindcast.Asked(
        region, readings, limits, model, left_out, official, round(within * 3600), tuple(pool or ()), tuple(silent or ())
    )
    with progress() as told:
        done = wiring_hindcast.hindcast(asked, told)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    show(done.tables)
    if out is not None:
        for path in wiring_hindcast.report(done, out):
            print(path)
    write_json(json_file, done.document)
    if not done.sound:
        raise typer.Exit(ExitCode.INVARIANT)
