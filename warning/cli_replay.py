"""``warning replay`` and ``warning demo``: what they take, how they show progress, how they end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from warning import cli_export
from warning.cli_export import Also, Basin, From, Partition, To
from warning.cli_options import Json, Kafka, Prefix, RegionName, deployment_of, write_json
from warning.cli_shown import progress, run, show
from warning.errors import ConfigError, ExitCode, Problem

Speed = Annotated[float | None, typer.Option("--speed", min=0.001, help="seconds of log time per second; default: as fast as it goes")]
File = Annotated[Path | None, typer.Option("--file", help="replay this file, not the region's first", exists=True, dir_okay=False)]


def replay(
    file: Annotated[
        Path | None, typer.Argument(help="CSV: station, parameter, time, value, unit", exists=True, dir_okay=False, show_default=False)
    ] = None,
    region: RegionName = "",
    kafka: Kafka = None,
    prefix: Prefix = None,
    speed: Speed = None,
    from_log: Annotated[str | None, typer.Option("--from-log", help="an exported file, or a topic: decide here what it decides")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="with --from-log: say which documents differ from what was published")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="with --from-log: write the documents into this folder", file_okay=False)
    ] = None,
    basin: Basin = None,
    partition: Partition = None,
    begin: From = None,
    end: To = None,
    also: Also = None,
) -> None:
    """Feed a file of readings and its ticks into a log of its own (prefix replay-...); with --from-log: decide again what a log decided."""
    from dataclasses import replace

    from warning import config, wiring_logging, wiring_replay

    if from_log is not None:
        cli_export.replay_log(from_log, region, basin, partition, (begin, end), also, {"bootstrap": kafka}, compare, out)
        return
    if file is None or not region:
        raise ConfigError([Problem("warning replay", "wants a file of readings and its --region, or --from-log", "warning replay --help")])
    wiring_logging.configure("replay", "WARNING")
    found = config.load(region)
    deployment = deployment_of(found, bootstrap=kafka, replay=True).as_process("replay")
    deployment = replace(deployment, prefix=prefix or f"replay-{found.id}-{file.stem}.")
    read, records, _ = wiring_replay.history(found, file)
    with progress() as told:
        fed = asyncio.run(wiring_replay.play(found, deployment, read, records, speed, told))
    for row in read.refused:
        print(f"{file} line {row.line}: {row.error} ({row.error.fix})", file=sys.stderr)
    what = f"{fed.readings} readings and {fed.ticks} ticks in {fed.seconds:.1f} s; {len(read.refused)} rows refused"
    print(f"{what}; prefix {deployment.prefix}")


def demo(
    region: RegionName = "indus",
    file: Annotated[
        Path | None, typer.Option("--file", help="replay this file instead of the region's first", exists=True, dir_okay=False)
    ] = None,
    kafka: Kafka = None,
    speed: Speed = None,
    directory: Annotated[Path | None, typer.Option("--directory", help="keep logs, databases and records in this empty folder")] = None,
    keep_open: Annotated[bool, typer.Option("--keep-open", help="leave the page open at the end, until Ctrl-C")] = False,
    json_file: Json = None,
) -> None:
    """Replay a flood of the past through everything: gauges, worker, alerts, SMS centre, webhooks, page; and reckon."""
    from warning import config, wiring_logging, wiring_replay
    from warning.rehearsal import summary

    wiring_logging.configure("demo", "ERROR")
    found = config.load(region)
    plan = wiring_replay.Demo(found, file or wiring_replay.first_replay(found), speed, kafka or "", _empty(directory))
    print(
        f"{found.names['en']}: {plan.file.name}, status {found.status.value}; everything is on this machine, nobody is warned", flush=True
    )
    with progress() as told:
        reckoning = run(wiring_replay.demo(plan, told, _say, keep_open=keep_open))
    show(summary.tables(found, reckoning))
    write_json(json_file, summary.document(found, reckoning))
    if not reckoning.passed:
        raise typer.Exit(ExitCode.FAILED)


def _empty(directory: Path | None) -> Path | None:
    if directory is None:
        return None
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError([Problem(f"--directory {directory}", "is not empty", "name a folder that is not there yet")])
    directory.mkdir(parents=True, exist_ok=True)
    return directory.resolve()


def _say(words: str) -> None:
    print(words, flush=True)
