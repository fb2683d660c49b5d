"""Order of the files (those that take longest begin first, so that with several processes none is waited for); what files share."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import channel_postgres
import pytest
import pytest_asyncio
import services
from hypothesis import HealthCheck, settings

from warning.region import Region
from warning.stream.broker import EmbeddedBroker

LONGEST_FIRST = (
    "stream_worker",
    "acceptance",
    "wheel",
    "floods",
    "inbox",
    "bench",
    "secured",
    "dispatch_kill",
    "faults",
    "exit_codes",
    "api",
)

ROOT_LEVEL = logging.getLogger().level


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {f"test_{name}.py": number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


def pytest_configure() -> None:
    channel_postgres.kept = ExitStack()
    settings.register_profile("however slow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("however slow")  # what a machine had to do meanwhile is not ours; the rest is as CI's own profile says


def pytest_unconfigure() -> None:
    if channel_postgres.kept is not None:
        channel_postgres.kept.close()


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command that runs in this process sets the root logger as a program does, a library switches others off; the tests after it, and
    after a fixture of a whole file, must hear what they wait for."""
    root, handlers = logging.getLogger(), logging.getLogger().handlers[:]
    root.setLevel(ROOT_LEVEL)
    for name, each in root.manager.loggerDict.items():
        if isinstance(each, logging.Logger):
            each.disabled = False
            if name.startswith("warning"):
                each.setLevel(logging.NOTSET)  # a fuzzer's run makes ours silent
    yield
    root.setLevel(ROOT_LEVEL)
    root.handlers[:] = handlers


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def way_house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """The broker and the server half that all cases of a ``WayConformance`` share."""
    from way_conformance import house_of

    async with house_of(request.cls.way, tmp_path_factory.mktemp("way")) as running:  # type: ignore[union-attr]
        yield running


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """The broker of the wheel, one for a file."""
    with services.embedded() as running:
        yield running


@pytest.fixture
async def house(broker: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[Any]:
    """A whole ingest on it, of ``two_basins``: an ``ingest_house.Ingest``."""
    from ingest_house import ingest, two_basins

    async with ingest(broker.bootstrap, tmp_path, two_basins(tmp_path)) as running:
        yield running


@pytest.fixture(scope="session")
def oak(tmp_path_factory: pytest.TempPathFactory) -> Region:
    from ingest_house import two_basins

    return two_basins(tmp_path_factory.mktemp("oak"))


@pytest.fixture
async def world(tmp_path: Path, oak: Region) -> AsyncIterator[Any]:
    """An agency and its puller: a ``pull_world.World``."""
    from pull_world import opened

    async with opened(tmp_path, oak) as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def registry_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('registry')}"
    else:
        with channel_postgres.postgres() as url:
            yield url


@pytest.fixture
async def registry(registry_server: str, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """An empty registry of devices and sensors, on each of the two databases: a ``warning.operate.registry.Registry``."""
    from warning.operate.registry import _METADATA, Registry

    found = Registry(f"{registry_server}/{request.node.name[:20]}.db" if registry_server.startswith("sqlite") else registry_server)
    yield found
    async with found._tables._engine.begin() as connection:
        await connection.run_sync(_METADATA.drop_all)
    await found.close()
