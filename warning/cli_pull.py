"""``warning pull``: asks the agencies of ``sources.yaml``; with ``--once`` a single time, with ``--dry-run`` only to show what they say."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from warning.cli_options import Database, Directory, Kafka, Port, Prefix, deployment_of
from warning.errors import ExitCode

if TYPE_CHECKING:
    from warning.ingest.pull import Round
    from warning.rehearsal.summary import Table
    from warning.wiring_pull import Look

_MOST_ROWS = 40


def pull(
    region: Annotated[str, typer.Argument(help="name of a region, or the path of its folder")],
    only: Annotated[list[str] | None, typer.Option("--source", help="only this source; again for more")] = None,
    once: Annotated[bool, typer.Option("--once", help="ask each source a single time, and end")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what each says now; write nothing")] = False,
    kafka: Kafka = None,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
    port: Port = None,
) -> None:
    """Take readings from the web services of agencies (sources.yaml), again and again."""
    from warning import config, wiring, wiring_logging, wiring_pull
    from warning.cli_shown import show

    found = config.load(region)
    asked = wiring_pull.sources(found, only or ())
    if dry_run:
        wiring_logging.configure("pull", "WARNING")
        looks = asyncio.run(wiring_pull.looks(found, asked))
        show([table for look in looks for table in _looked(look)])
        if any(look.why for look in looks):
            raise typer.Exit(ExitCode.FAILED)
        return
    deployment = deployment_of(
        found, bootstrap=kafka, prefix=prefix, directory=directory, database_url=database, pull_metrics_port=port
    ).as_process("pull")
    wiring.allowed(found, deployment)
    if once:
        wiring_logging.configure("pull", "WARNING")
        rounds = asyncio.run(wiring_pull.once(found, deployment, asked))
        show([_rounds(rounds)])
        if not all(done.well for _, done in rounds):
            raise typer.Exit(ExitCode.FAILED)
        return
    code = wiring.run("pull", lambda region, deployment, stop: wiring_pull.pull(region, deployment, stop, asked), found, deployment)
    if code:
        raise typer.Exit(code)


def _looked(look: Look) -> list[Table]:
    from warning.rehearsal.summary import Table

    shown = look.rows[-_MOST_ROWS:]
    title = f"{look.source}: {len(look.rows)} readings" + (f", the last {len(shown)}" if len(shown) < len(look.rows) else "")
    title += f"; {look.no_observation} without an observation" if look.no_observation else ""
    tables = [Table(f"{look.source}: {look.why}" if look.why else title, ("station", "parameter", "time", "value, or why not"), shown)]
    if look.others:
        rows = tuple((words, str(count)) for words, count in look.others[:_MOST_ROWS])
        tables.append(Table(f"{look.source}: not mapped, and not taken: {len(look.others)}", ("theirs", "times"), rows))
    return tables


def _rounds(rounds: list[tuple[str, Round]]) -> Table:
    from warning.rehearsal.summary import Table

    rows = []
    for source, done in rounds:
        refused = ", ".join(f"{reason} {count}" for reason, count in sorted(done.refused.items()))
        rows.append((source, done.outcome, str(done.accepted), refused, str(sum(done.others.values())), done.why))
    return Table("", ("source", "outcome", "taken", "refused", "not mapped", "why"), tuple(rows))
