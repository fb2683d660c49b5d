"""As ``test_engine_holes``, the rest: a run is no gap, comes through once, and starves nobody; an outage does not flood the log."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from typing import Any

import pytest
from faust.types import TP
from stream_fake import FakeBroker
from test_engine_holes import WHERE, life
from test_transport import HERE, Gate, passed, run

from warning.stream import quiet, transport
from warning.stream.transport import Consumer


@pytest.fixture(autouse=True)
def installed() -> None:
    transport.install({HERE.topic})


async def test_no_partition_starves() -> None:
    """Stock: back-pressure left two partitions standing for 14 s. Here two runs are open at the most, and only of the one that is busy."""
    gate, other = Gate(), TP(HERE.topic, 1)
    gate.begin(HERE, 0)
    gate.begin(other, 0)
    assert await passed(gate, run(0, 5), run(5, 5)) == [(0, 5), (5, 5)]
    asked: list[set[Any]] = []

    async def getmany(self: Any, active: set[Any], timeout: float) -> dict[Any, list[Any]]:
        asked.append(active)
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport.base.Consumer, "_getmany", getmany)
        await gate._getmany({HERE, other}, 1.0)
        gate.on_buffer_full(HERE)  # Faust would pause it, and forget to go on
        gate.finished(HERE)
        await gate._getmany({HERE, other}, 1.0)
    assert asked == [{other}, {HERE, other}]


async def test_a_run_is_no_gap() -> None:
    """Stock: a run of 100,000 records with the offset of its last one is a gap of 99,999, kept in a tree for ever."""
    gate = Gate()
    gate._gap, gate._committed_offset = defaultdict(list), {HERE: None}  # type: ignore[assignment]
    await Consumer._add_gap(gate, HERE, 0, 99_999)
    assert not gate._gap


async def test_a_run_that_comes_twice_around_a_rebalance_passes_once() -> None:
    gate = Gate()
    gate.begin(HERE, 0)
    assert await passed(gate, run(0, 6)) == [(0, 6)]
    gate.finished(HERE)
    gate.end(HERE)
    assert await passed(gate, run(0, 6)) == [], "revoked"
    gate.begin(HERE, 4)  # the state that was loaded stands at 4
    assert await passed(gate, run(0, 6), run(0, 6), run(6, 2)) == [(4, 2), (6, 2)]


async def test_a_run_that_comes_twice_is_applied_once() -> None:
    """And if it did pass, it would be refused rather than counted."""
    broker = FakeBroker()
    one = life(broker, beats=2)
    owned = await one.start()
    log = broker.topics[WHERE.readings, 0][:6]
    keys, values = [key for key, _ in log], [value for _, value in log]
    await owned.take(keys, values, 0)
    with pytest.raises(ValueError, match="starts at record 0, not at 6"):
        await owned.take(keys, values, 0)


def test_an_outage_does_not_flood_the_log() -> None:
    """Stock: thousands of lines a minute and worker."""
    lines: list[str] = []
    sink = logging.Handler()
    sink.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("warning.kafka").addHandler(sink)
    before = {name: logging.getLogger(name).handlers[:] for name in quiet.LOUD}
    try:
        quiet.hush()
        for number in range(5_000):
            logging.getLogger("aiokafka.client").error("Unable connect to node with id %s", number)
            logging.getLogger("aiokafka.consumer.fetcher").error("Failed fetch messages from %s", number)
            logging.getLogger("faust.transport.drivers.aiokafka").info("fetched")
    finally:
        logging.getLogger("warning.kafka").removeHandler(sink)
        for name, handlers in before.items():
            logging.getLogger(name).handlers[:] = handlers
    assert Counter(line.split()[0] for line in lines) == {"Unable": 1, "Failed": 1}
