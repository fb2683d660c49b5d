"""Order of the files: those that take longest begin first, so that with several processes none is waited for at the end; the ways in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {f"test_{name}.py": number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def way_house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """The broker and the server half that all cases of a ``WayConformance`` share."""
    from way_conformance import house_of

    async with house_of(request.cls.way, tmp_path_factory.mktemp("way")) as running:  # type: ignore[union-attr]
        yield running
