"""Order of the files: those that take longest begin first, so that with several processes none is waited for at the end; the ways in."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import channel_postgres
import pytest
import pytest_asyncio

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
