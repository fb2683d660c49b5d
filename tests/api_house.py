"""The API of a deployment on the embedded broker, served in this process, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from operate_records import Records, send

from warning import facts
from warning.deployment import Deployment
from warning.operate import api
from warning.region import Region
from warning.stream.broker import EmbeddedBroker
from warning.stream.topics import ensure_topics


def deployment(broker: EmbeddedBroker, folder: Path, prefix: str = "replay-api.") -> Deployment:
    return Deployment(bootstrap=broker.bootstrap, prefix=prefix, directory=folder, embedded=True, replay=True)


def filled_log(broker: EmbeddedBroker, region: Region, made: Records, folder: Path) -> Deployment:
    """A deployment whose topics hold these records."""
    where = deployment(broker, folder)

    async def fill() -> None:
        await ensure_topics(where, region.partitions)
        await send(where, region, made)

    asyncio.run(fill())
    return where


@asynccontextmanager
async def serving(region: Region, where: Deployment, listen: facts.Listener = facts.nobody) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        api.serve(api.create_app(region, where, listen), "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        yield client


async def until(what: str, true: Callable[[], object], within_s: float = 120.0) -> None:
    for _ in range(round(within_s / 0.1)):
        result = true()
        if await result if asyncio.iscoroutine(result) else result:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"not within {within_s} s: {what}")


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


@asynccontextmanager
async def read(region: Region, where: Deployment) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(region, where) as client:
        await until("the log is read", lambda: ready(client))
        yield client
