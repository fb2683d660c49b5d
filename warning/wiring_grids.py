"""``warning grids``: files of gridded rain in, readings of the stations of grids out, through the gate that every reading passes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from warning.deployment import Deployment
from warning.errors import InputError, Unavailable
from warning.region import Region
from warning.wiring import admitted, clock_ms, readings_log

if TYPE_CHECKING:
    from warning.ingest.grid_feed import Fed
    from warning.science.rain_grid import Asked

PATIENCE_S = 30.0


async def grids(
    region: Region,
    deployment: Deployment,
    stop: asyncio.Event,
    files: Sequence[Path],
    watch: Path | None,
    asked: Asked,
    told: Callable[[str, int, int], None],
    still_s: float | None = None,
) -> Fed:
    """Takes the ``files``, then what comes into the folder ``watch`` until ``stop`` is set. ``asked``: what the files do not say.

    Raises ConfigError where the region has no catchments or the libraries are not there, Unavailable where no broker answers at the start.
    """
    from warning.ingest.gateway import Gateway
    from warning.ingest.grid_apart import Apart
    from warning.ingest.grid_feed import STILL_S, Feed
    from warning.ingest.grid_journal import Journal

    reader = Apart(region, asked)
    await admitted(deployment, "grids")
    async with AsyncExitStack() as stack:
        stack.callback(reader.close)
        log = readings_log(region, deployment, "grids")
        await log.start()
        stack.push_async_callback(log.stop)
        if not await log.until_up(PATIENCE_S) and watch is None:
            raise Unavailable(f"no log to write to: {log.why}")
        journal = Journal(deployment.database, clock_ms)
        stack.push_async_callback(journal.close)
        gateway = Gateway(region, deployment, log, clock_ms)
        feed = Feed(reader, gateway, journal, time.time, stop, STILL_S if still_s is None else still_s)
        with suppress(Unavailable):  # once stop is set; what was not acknowledged is not entered as done
            await feed.files(files, told)
            if watch is not None and not stop.is_set():
                await feed.watch(watch, told)
        return feed.fed


def to_csv(
    region: Region, files: Sequence[Path], asked: Asked, out: Path, told: Callable[[str, int, int], None]
) -> tuple[int, list[tuple[str, str]]]:
    """(readings in the file ``out``, (name, reason) of each file that is rejected). Of a time that stands in several files the last counts.

    Columns as ``warning replay`` reads them. Raises ConfigError as ``grids``, InputError where it cannot be written.
    """
    from warning.ingest.grid_apart import Apart
    from warning.ingest.grids import Mean

    reader, rejected = Apart(region, asked), []
    found: dict[tuple[int, str], Mean] = {}
    try:
        for number, path in enumerate(files):
            told("files of grids", number, len(files))
            try:
                found |= {(mean.end_s, mean.station): mean for mean in reader.read(path).means}
            except InputError as error:
                rejected.append((path.name, f"{error} ({error.fix})"))
        told("files of grids", len(files), len(files))
    finally:
        reader.close()
    lines = ["station,parameter,time,value,unit\n", *(mean.row() for _, mean in sorted(found.items()))]
    try:
        out.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}", reason="file", field="--csv", fix="name a file in a folder") from error
    return len(found), rejected
