"""``warning replay`` and ``warning demo``: what they take, how they show progress, how they end."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from warning.cli_options import Json, Kafka, Prefix, RegionName, deployment_of, write_json
from warning.errors import ConfigError, ExitCode, Problem

if TYPE_CHECKING:
    from warning.rehearsal.summary import Table

T = TypeVar("T")
Speed = Annotated[float | None, typer.Option("--speed", min=0.001, help="seconds of log time per second; default: as fast as it goes")]
File = Annotated[Path | None, typer.Option("--file", help="replay this file, not the region's first", exists=True, dir_okay=False)]
PLAIN_EVERY_S = 5.0


def replay(
    file: Annotated[Path, typer.Argument(help="CSV: station, parameter, time, value, unit", exists=True, dir_okay=False)],
    region: RegionName,
    kafka: Kafka = None,
    prefix: Prefix = None,
    speed: Speed = None,
) -> None:
    """Feed a file of readings and its ticks into a log of its own (prefix replay-...)."""
    from dataclasses import replace

    from warning import config, wiring_logging, wiring_replay

    wiring_logging.configure("replay", "WARNING")
    found = config.load(region)
    deployment = deployment_of(found, bootstrap=kafka, replay=True)
    deployment = replace(deployment, prefix=prefix or f"replay-{found.id}-{file.stem}.")
    read, records, _ = wiring_replay.history(found, file)
    with _progress() as progress:
        fed = asyncio.run(wiring_replay.play(found, deployment, read, records, speed, progress))
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
    with _progress() as progress:
        reckoning = _run(wiring_replay.demo(plan, progress, _say, keep_open=keep_open))
    _show(summary.tables(found, reckoning))
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


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Its result; SIGTERM ends it as Ctrl-C does: everything is stopped in order, and exit code 143 says so."""

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None


def _say(words: str) -> None:
    print(words, flush=True)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar per thing that grows, on a terminal; a line now and then elsewhere."""
    if not sys.stdout.isatty():
        yield _Lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as bars:
        tasks = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show


class _Lines:
    """A line when something is done, and every few seconds until then."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._done: set[str] = set()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        finished = done >= total
        if what in self._done or (not finished and now - self._told.get(what, now - PLAIN_EVERY_S) < PLAIN_EVERY_S):
            return
        self._told[what] = now
        if finished and total:
            self._done.add(what)
        print(f"{what}: {done:,} of {total:,}", flush=True)


def _show(tables: list[Table]) -> None:
    from warning.rehearsal.summary import plain

    if not sys.stdout.isatty():
        print()
        for table in tables:
            print("\n".join(plain(table)))
        return
    from rich.console import Console
    from rich.table import Table as Drawn

    console = Console()
    for table in tables:
        drawn = Drawn(*table.columns, title=table.title, title_justify="left", show_header=any(table.columns))
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)
