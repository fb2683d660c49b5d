"""``warning grids``: what it takes, how it shows what became of the files, how it ends."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warning.cli_options import Database, Directory, Kafka, Prefix, deployment_of
from warning.cli_shown import progress
from warning.errors import ConfigError, ExitCode, Problem

if TYPE_CHECKING:
    from warning.ingest.grid_feed import Fed
    from warning.science.rain_grid import Asked

_SECONDS = {"min": 60, "h": 3600, "d": 86_400}


def grids(
    region: Annotated[str, typer.Argument(help="name of a region, or the path of its folder")],
    files: Annotated[list[Path] | None, typer.Argument(help="NetCDF or HDF5: GPM IMERG, ERA5, CF", show_default=False)] = None,
    watch: Annotated[
        Path | None, typer.Option("--watch", help="then read what comes into this folder, until Ctrl-C", file_okay=False)
    ] = None,
    variable: Annotated[str, typer.Option("--variable", help="the variable that is rain, where the file does not say")] = "",
    units: Annotated[str, typer.Option("--units", help="its unit, where the file does not say: mm/h, mm, m, kg m-2 s-1 ...")] = "",
    interval: Annotated[str, typer.Option("--interval", help="in which time before each step it fell: 30min, 1h, since-midnight")] = "",
    csv: Annotated[Path | None, typer.Option("--csv", help="write a file for replay and hindcast, no log", dir_okay=False)] = None,
    kafka: Kafka = None,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Average grids of rain over catchments, and write them to the log as readings of the stations whose rain is of grids."""
    from warning import config, wiring, wiring_grids, wiring_logging
    from warning.wiring_signals import on_signals

    _can_begin(files, watch)
    asked = _asked(variable, units, interval)
    wiring_logging.configure("grids", "INFO" if watch else "WARNING")
    found = config.load(region)
    if csv is not None:
        with progress() as told:
            rows, rejected = wiring_grids.to_csv(found, files or [], asked, csv, told)
        for name, reason in rejected:
            print(f"rejected: {name}: {reason}", file=sys.stderr)
        print(f"{rows} readings in {csv}")
        if rejected:
            raise typer.Exit(ExitCode.FAILED)
        return
    deployment = deployment_of(found, bootstrap=kafka, prefix=prefix, directory=directory, database_url=database).as_process("grids")
    wiring.allowed(found, deployment)

    async def main() -> Fed:
        with progress() as told:
            return await wiring_grids.grids(found, deployment, on_signals(), files or [], watch, asked, told)

    fed = asyncio.run(main())
    for name, reason in fed.rejected:
        print(f"rejected: {name}: {reason}", file=sys.stderr)
    print(_sentence(fed))
    if fed.rejected and watch is None:
        raise typer.Exit(ExitCode.FAILED)


def _can_begin(files: list[Path] | None, watch: Path | None) -> None:
    if not files and watch is None:
        raise ConfigError([Problem("warning grids", "no file and no folder to watch", "warning grids REGION FILE ... or --watch FOLDER")])
    if watch is not None and not watch.is_dir():
        raise ConfigError([Problem(f"--watch {watch}", "is no folder", "name the folder that the files come into")])


def _asked(variable: str, units: str, interval: str) -> Asked:
    from warning.science.rain_grid import Asked

    if interval in ("", "since-midnight"):
        return Asked(variable, units, None, bool(interval))
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(min|h|d)", interval)
    if match is None or not float(match[1]):
        raise ConfigError([Problem(f"--interval {interval}", "is no interval", "write 30min, 1h, 1d, or since-midnight")])
    return Asked(variable, units, round(float(match[1]) * _SECONDS[match[2]]))


def _sentence(fed: Fed) -> str:
    parts = [f"{fed.files} files, {fed.readings} readings"]
    parts += [f"{fed.missing} of them missing: too little of the catchment is known"] if fed.missing else []
    parts += [f"{fed.refused} refused, kept in readings.rejected"] if fed.refused else []
    parts += [f"{fed.left_out} steps that tell nothing by themselves left out"] if fed.left_out else []
    parts += [f"{fed.known} files were done before"] if fed.known else []
    parts += [f"{len(fed.rejected)} rejected"] if fed.rejected else []
    parts += [f"not in the files: {', '.join(sorted(fed.outside))}"] if fed.outside else []
    return "; ".join(parts)
