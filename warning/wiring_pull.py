"""``warning pull``: every source of the region's ``sources.yaml``, each at its own pace, into the log; or one look at what they say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from warning import config_sources
from warning.config_sources import Source
from warning.deployment import Deployment
from warning.errors import ConfigError, InputError, Problem, Unavailable
from warning.facts import Listener, SourceKnown, nobody
from warning.region import Region
from warning.wiring import admitted, clock_ms, readings_log
from warning.wiring_signals import first_of

if TYPE_CHECKING:
    from warning.ingest.agency import Mapped
    from warning.ingest.pull import Puller, Round

PATIENCE_S = 30.0

log = logging.getLogger(__name__)


def sources(region: Region, only: Sequence[str] = ()) -> tuple[Source, ...]:
    """The region's sources; of those only the named ones. Raises ConfigError where there are none, or none of that name."""
    found = config_sources.load(Path(region.folder), region)
    unknown = sorted(set(only) - {source.id for source in found})
    if unknown:
        known = ", ".join(source.id for source in found) or "none"
        raise ConfigError([Problem(f"--source {unknown[0]}", "no such source", f"sources.yaml has: {known}")])
    if not found:
        words = f"{region.id} has no sources"
        raise ConfigError([Problem(str(Path(region.folder) / config_sources.FILE), words, "config/README.md shows what it holds")])
    return tuple(source for source in found if not only or source.id in only)


async def pull(region: Region, deployment: Deployment, stop: asyncio.Event, asked: Sequence[Source]) -> None:
    """Until ``stop`` is set."""
    from warning.operate import health
    from warning.operate.devices import Devices
    from warning.operate.observed import observe
    from warning.operate.registry import Registry, address

    await admitted(deployment, "pull")
    devices = Devices(Registry(address(deployment)))
    observed = observe(region, "pull", ("broker",), devices)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(devices.kept())
        await stack.enter_async_context(health.serve(observed.health, observed.registry, deployment.host, deployment.pull_metrics_port))
        pullers = await _pullers(stack, region, deployment, asked, observed)
        log.info("pulls from %s", ", ".join(source.id for source in asked))
        await first_of(stop, *(puller.run(stop) for puller in pullers))  # a request that hangs does not hold us


async def once(region: Region, deployment: Deployment, asked: Sequence[Source]) -> list[tuple[str, Round]]:
    """One round of each source. Raises Unavailable where no broker answers."""
    await admitted(deployment, "pull")
    async with AsyncExitStack() as stack:
        pullers = await _pullers(stack, region, deployment, asked, nobody, wait=True)
        rounds = await asyncio.gather(*(puller.round() for puller in pullers))
        return [(puller.source.id, done) for puller, done in zip(pullers, rounds, strict=True)]


async def _pullers(
    stack: AsyncExitStack, region: Region, deployment: Deployment, asked: Sequence[Source], listen: Listener, *, wait: bool = False
) -> list[Puller]:
    from warning.ingest.gateway import Gateway
    from warning.ingest.pull import Puller
    from warning.ingest.watermark import Watermarks

    readings = readings_log(region, deployment, "pull", listen)
    await readings.start()
    stack.push_async_callback(readings.stop)
    if wait and not await readings.until_up(PATIENCE_S):
        raise Unavailable(f"no log to write to: {readings.why}")
    marks = Watermarks(deployment.database, clock_ms)
    stack.push_async_callback(marks.close)
    gateway = Gateway(region, deployment, readings, clock_ms)
    pullers = [Puller(source, gateway, marks, clock_ms, listen) for source in asked]
    for puller in pullers:
        listen(SourceKnown(puller.source.id, puller.source.silent_after_s))
        await puller.start()
        stack.push_async_callback(puller.stop)
    return pullers


@dataclass(frozen=True, slots=True)
class Look:
    """What a source says now, without taking it: rows of (station, parameter, time, value in SI or why not), and what was left out."""

    source: str
    rows: tuple[tuple[str, str, str, str], ...]
    others: tuple[tuple[str, int], ...]
    no_observation: int
    why: str = ""


async def looks(region: Region, asked: Sequence[Source]) -> list[Look]:
    """One look at the newest window of each source; nothing is written anywhere."""
    return list(await asyncio.gather(*(_look(region, source) for source in asked)))


async def _look(region: Region, source: Source) -> Look:
    from warning.ingest.agency import mapped
    from warning.ingest.pull_fetch import Fetch, too_large
    from warning.ingest.pull_window import asks
    from warning.ingest.pushed import reader

    now_ms = clock_ms()
    recent = {(theirs.station, ""): now_ms for theirs in source.stations.values()}  # so that only the overlap is asked for
    fetch = Fetch(source)
    await fetch.start()
    try:
        answer = await fetch.get(asks(source, recent, now_ms, catch_up=False)[0])
        if answer.cut:
            raise too_large(source)
        return _told(region, source, mapped(reader(source.agency)(answer.body or b""), source), now_ms)
    except InputError as error:
        return Look(source.id, (), (), 0, f"{error} ({error.fix})")
    except Unavailable as error:
        return Look(source.id, (), (), 0, f"{error.reason}: {error}")
    finally:
        await fetch.stop()


def _told(region: Region, source: Source, found: Mapped, now_ms: int) -> Look:
    from warning.ingest.formats import Formats

    formats, rows = Formats(region), []
    for part in found.parts:
        try:
            if isinstance(part.item, InputError):
                raise part.item
            reading = formats.reading(part.item, provider=source.id, received_ms=now_ms)
        except InputError as error:
            station = "" if isinstance(part.item, InputError) else part.item.station
            rows.append((station, "", "", f"{error.reason}: {error} | {part.source.decode(errors='replace')[:120]}"))
            continue
        at = datetime.fromtimestamp(reading.time_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
        value = f"({reading.cause.value})" if reading.value is None else f"{reading.value:g} {reading.parameter.unit}"
        rows.append((reading.station, reading.parameter.value, at, value))
    return Look(source.id, tuple(rows), tuple(found.others.most_common()), found.no_observation)
