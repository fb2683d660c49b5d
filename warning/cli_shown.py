"""How a command that takes a while runs, shows its progress, and prints its tables."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from warning.rehearsal.summary import Table

T = TypeVar("T")
PLAIN_EVERY_S = 5.0


def run(work: Coroutine[Any, Any, T]) -> T:
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


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
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


def show(tables: list[Table]) -> None:
    """Drawn on a terminal, aligned text elsewhere."""
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
