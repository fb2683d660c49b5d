"""Writes made-up records into ``readings``, as many and as fast as a bench needs them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import cast

from warning.deployment import Deployment
from warning.stream.kafka import KafkaLog
from warning.wiring_bench_readings import Record, reading, tick, value_of
from warning.wiring_bench_region import Size

TICK_MS = 250
TICKS_A_MINUTE = 240
PART = 20_000  # records handed over before their confirmations are waited for


async def append(log: KafkaLog, deployment: Deployment, partition: int, records: Iterable[Record]) -> None:
    """Returns when the broker has them all."""
    records = iter(records)
    while part := list(itertools.islice(records, PART)):
        for one in await log.send_all(deployment.readings, partition, cast(list[tuple[bytes, bytes]], part)):
            await one


async def end(log: KafkaLog, deployment: Deployment, partition: int) -> int:
    """Offset of the newest record: everything is in the log up to here."""
    last = -1

    def each(offset: int, key: bytes | None, value: bytes | None) -> None:
        nonlocal last
        last = offset

    begin, ends = await log.bounds(deployment.readings, partition)
    await log.read(deployment.readings, partition, each, max(begin, ends - 2))
    return last


def live(size: Size, begin_ms: int, ticks: int, first: int = 0) -> Iterator[Record]:
    """What gateway and worker write while every gauge sends once a minute, evenly: so many ticks, four a second, the readings before them.

    ``first``: tick number to begin with, so that a next part continues where the last one ended.
    """
    gauges = [(name, basin.encode()) for name, _, basin in size.gauges[: size.series]]
    for number in range(first, first + ticks):
        at = begin_ms + number * TICK_MS
        for count in range(number * size.series // TICKS_A_MINUTE, (number + 1) * size.series // TICKS_A_MINUTE):
            minute, gauge = divmod(count, size.series)
            name, basin = gauges[gauge]
            yield basin, reading(name, at - 500, value_of(gauge, minute, count), at - 100)
        yield None, tick(at)
