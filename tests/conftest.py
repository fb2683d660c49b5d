"""Order of the files: those that take longest begin first, so that with several processes none is waited for at the end."""

from __future__ import annotations

import pytest

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
