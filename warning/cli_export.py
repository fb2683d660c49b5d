"""``warning export-log``, and the part of ``warning replay`` that reads a log."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warning.cli_options import Kafka, Prefix, RegionName, deployment_of
from warning.errors import ConfigError, ExitCode, InputError, Problem

if TYPE_CHECKING:
    from warning.stream.archive import Range
    from warning.wiring_export import Replayed

Basin = Annotated[str | None, typer.Option("--basin", help="the river basin; default: the region's only one")]
Partition = Annotated[int | None, typer.Option("--partition", min=0, help="of the topic, in place of --basin")]
From = Annotated[str | None, typer.Option("--from", help="log time (2025-08-27T06:00Z) or record (@12345): begin at the checkpoint before")]
To = Annotated[str | None, typer.Option("--to", help="log time or @record (not included); default: where the log ends now")]
Also = Annotated[list[str] | None, typer.Option("--also", help="region folder of another configuration that decided in the range; repeat")]
Progress = Callable[[str, int, int], None]


def export_log(
    file: Annotated[Path, typer.Argument(help="the file to write", dir_okay=False)],
    region: RegionName,
    basin: Basin = None,
    partition: Partition = None,
    begin: From = None,
    end: To = None,
    also: Also = None,
    kafka: Kafka = None,
    prefix: Prefix = None,
) -> None:
    """Write a basin's log, with the state at its start, into one file that anyone can replay. An interrupted one goes on."""
    from warning import config, wiring_export, wiring_logging
    from warning.cli_shown import progress as shown

    wiring_logging.configure("export-log", "WARNING")
    regions = [config.load(name) for name in (region, *(also or ()))]
    number = wiring_export.partition_of(regions[0], basin, partition)
    given = {"prefix": prefix} if prefix else {}
    deployment = deployment_of(regions[0], bootstrap=kafka, **given).as_process("export")
    with shown() as progress:
        done = asyncio.run(wiring_export.export_log(regions, deployment, number, range_of(begin, end), file, progress))
    what = f"records {done.header.first} to {done.end.next - 1} of {done.header.topic}-{number}, {done.end.alerts} alerts"
    went_on = f", {done.resumed} of them from before" if done.resumed else ""
    print(f"{file}: {what}; starts from {_start(done.header.start, done.header.start_ms)}{went_on}; {done.size:,} bytes")


def replay_log(
    source: str,
    region: str | None,
    basin: str | None,
    partition: int | None,
    wanted: tuple[str | None, str | None],
    also: list[str] | None,
    given: dict[str, str | None],
    compare: bool,
    out: Path | None,
) -> None:
    """``source``: an exported file, or the topic of a deployment. Ends the process with FAILED if ``compare`` finds a difference."""
    from warning import config, wiring_export, wiring_logging
    from warning.cli_shown import progress as shown

    wiring_logging.configure("replay", "WARNING")
    with shown() as progress:
        if Path(source).is_file():
            found = wiring_export.replay_exported(Path(source), progress)
        elif not region:
            raise ConfigError([Problem(f"--from-log {source}", "is no file", "for a topic, name its --region")])
        else:
            regions = [config.load(name) for name in (region, *(also or ()))]
            number = wiring_export.partition_of(regions[0], basin, partition)
            prefix = source.removesuffix("readings")
            if prefix == source:
                raise ConfigError([Problem(f"--from-log {source}", "is neither a file nor a topic of readings", "e.g. indus.readings")])
            options = {name: value for name, value in given.items() if value}
            deployment = deployment_of(regions[0], prefix=prefix, **options).as_process("export")
            found = asyncio.run(wiring_export.replay_topic(regions, deployment, number, range_of(*wanted), progress))
    if out is not None:
        wiring_export.write_documents(found.documents, out)
    _tell(found, compare)


def _tell(found: Replayed, compare: bool) -> None:
    header, end = found.exported.header, found.exported.end
    records = f"records {header.first} to {end.next - 1}"
    print(f"region {header.region}, {header.topic}-{header.partition}, {records}, until {_time(end.end_ms)}")
    print(f"starts from {_start(header.start, header.start_ms)}; configuration {header.config[:12]}; {len(found.documents)} documents")
    others = [code for code in found.codes if code != found.code]
    if others:
        print(f"decided by other code: {', '.join(others)}; this is {found.code}")
        print("documents name their code: install that version to get the same")
    if not compare:
        return
    for each in found.differences:
        print(f"{each.identifier} differs in {each.where}: {each.here!r} here, {each.there!r} published", file=sys.stderr)
    if found.differences:
        print(f"{len(found.differences)} of {len(found.documents)} documents are not what was published")
        raise typer.Exit(ExitCode.FAILED)
    print("all are what was published, byte for byte")


def range_of(begin: str | None, end: str | None) -> Range:
    from warning.stream.archive import Range

    from_offset, from_ms = _place(begin, "--from")
    to_offset, to_ms = _place(end, "--to")
    return Range(from_offset=from_offset, to_offset=to_offset, from_ms=from_ms, to_ms=to_ms)


def _place(text: str | None, option: str) -> tuple[int | None, int | None]:
    """(record, log time in ms)"""
    if text is None:
        return None, None
    if text.startswith("@") and text[1:].isdecimal():
        return int(text[1:]), None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} {text!r} is no time", reason="time", field=option, fix="2025-08-27T06:00Z, or @12345") from None
    return None, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _start(start: str, start_ms: int) -> str:
    return f"the checkpoint at {_time(start_ms)}" if start == "checkpoint" else "the beginning of the log"


def _time(moment_ms: int) -> str:
    return f"{datetime.fromtimestamp(moment_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
