"""The server half of a way in (``way_conformance.Way``) as a process that kills itself at its first append: before it, or after it.

Processes come from a fork server that has imported everything once, for that takes longer than all cases together.
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warning.deployment import Deployment

if TYPE_CHECKING:
    from way_conformance import At, Way

MOMENTS = ("before", "after")
START_S = 60.0
END_S = 20.0

_PRELOADED = [  # found without tests/ on the path, which a fork server of Python 3.11 does not take over
    "pytest",
    "pytest_asyncio",
    "aiohttp",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "warning.config_build",
    "warning.ingest.http",
    "warning.ingest.keys",
    "warning.ingest.serving",
    "warning.stream.broker",
    "warning.stream.topics",
]


class DeadlyLog:
    """The port ``Log``; the first append ends the process as kill -9 does, at the ``moment``; "" never."""

    def __init__(self, log: Any, moment: str) -> None:
        self._log, self._moment = log, moment

    async def append(self, records: Mapping[Any, Sequence[Any]]) -> None:
        if self._moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        await self._log.append(records)
        if self._moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Order:
    """What the process is to serve; it can be pickled."""

    file: str  # the test file of the way
    way: str  # the name of its class
    region: str
    deployment: Deployment
    key: str
    outside: dict[str, Any]
    moment: str
    errors: str  # file for its standard error


@asynccontextmanager
async def running(way: Way, at: At, folder: Path, moment: str) -> AsyncIterator[tuple[BaseProcess, dict[str, Any]]]:
    """(process, where it serves). It has ended when the block is left."""
    file = sys.modules[type(way).__module__].__file__
    errors = folder / f"way-{moment or 'alive'}.log"
    order = Order(str(file), type(way).__qualname__, at.region.folder, at.deployment, at.key, at.outside, moment, str(errors))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    ours, theirs = context.Pipe()
    process = context.Process(target=_served, args=(order, theirs), daemon=True)
    await asyncio.to_thread(process.start)
    try:
        theirs.close()
        assert await asyncio.to_thread(ours.poll, START_S), "it does not come up"
        try:
            where = ours.recv()
        except EOFError:
            raise AssertionError(errors.read_text()[-3000:]) from None
        yield process, where
    finally:
        process.terminate()
        if await ended(process) is None:
            process.kill()
            await ended(process)
        ours.close()


async def ended(process: BaseProcess) -> int | None:
    """Its exit code, as soon as it has one; None if it goes on."""
    await asyncio.to_thread(process.join, END_S)
    return process.exitcode


def _served(order: Order, where: Connection) -> None:
    descriptor = os.open(order.errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 2)
    asyncio.run(_serve(order, where))


async def _serve(order: Order, where: Connection) -> None:
    sys.path.insert(0, str(Path(order.file).parent))
    way: Way = getattr(importlib.import_module(Path(order.file).stem), order.way)()
    from ingest_house import wall_ms
    from way_conformance import At

    from warning import config
    from warning.ingest.gateway import Gateway
    from warning.ingest.log import KafkaLog

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    region, place = config.load(order.region), order.deployment
    log = KafkaLog(place.bootstrap, Gateway.topics(region, place), idempotent=False, within_s=5.0)
    await log.start()
    assert await log.until_up(START_S), log.why
    gateway = Gateway(region, place, DeadlyLog(log, order.moment), wall_ms)
    async with way.serve(At(region, place, gateway, order.key, order.outside)) as served:
        where.send(served)
        await stop.wait()
    await log.stop()
