"""The sensors' broker and a disk that takes nothing: the limits hear all that comes, nothing is acknowledged, all of it comes again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from edge_house import MINUTE_MS, ROOT, START_MS, Inside, Time, inside, until
from mosquitto import PASSWORD, Mosquitto
from test_edge_process import _publish

from warning.ingest.edge import mqtt
from warning.ingest.edge.limits import Judged
from warning.model import Level

TOPIC = "sensors/logger/level"
GAUGE = {
    "station": "A",
    "parameter": "stage",
    "unit": "m",
    "datum": "gauge_zero",
    "every": "5 min",
    "limits": {"LOW": 2, "HIGH": 4},
    "topic": TOPIC,
}


@asynccontextmanager
async def listening(folder: Path, time: Time) -> AsyncIterator[tuple[Inside, Mosquitto]]:
    """A node that hears its gauge at a real broker; its outbox cannot be opened."""
    broker = Mosquitto(folder / "mosquitto", ("node", "logger"))
    (broker.folder / "acl").write_text((ROOT / "deploy" / "edge" / "acl").read_text())
    broker.start()
    state = folder / "edge" / "state"
    (state / "outbox.db").mkdir(parents=True)
    (folder / "edge" / "password").write_text(f"{PASSWORD}node")
    where: dict[str, Any] = {"host": "localhost", "port": broker.port, "user": "node", "password_file": "password"}
    try:
        async with inside(folder / "edge", time, sensors=[GAUGE], mqtt=where | {"ca_file": str(broker.ca_file)}) as node:
            assert node.site.mqtt is not None
            local = mqtt.LocalBroker(node.site, node.site.mqtt)
            task = asyncio.create_task(local.run(node.node))
            try:
                await until(lambda: not local.why)
                yield node, broker
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
    finally:
        broker.stop()


def judged(node: Inside) -> int:
    return node.node.seeing.judged[Judged.COUNTED]


async def test_the_siren_hears_what_the_disk_does_not_take_and_all_of_it_is_there_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "_AGAIN_S", 0.2)
    monkeypatch.setattr(mqtt, "_UNKEPT_S", 1.0)
    time = Time()
    async with listening(tmp_path, time) as (node, broker):
        await _publish(broker, [b"4.2"], TOPIC)
        await until(lambda: judged(node) == 1)
        time.pass_ms(5 * MINUTE_MS)
        await _publish(broker, [b"4.3"], TOPIC)
        await until(lambda: judged(node) == 2)
        assert node.node.levels["A stage"] is Level.HIGH, "the second reading is heard though the first is not acknowledged"
        time.pass_ms(30 * MINUTE_MS)
        (tmp_path / "edge" / "state" / "outbox.db").rmdir()
        node.store._again_s = 0.0
        await until(lambda: node.node.seeing.taken == 2)
        assert sorted(await node.waiting()) == [("A", START_MS, 4.2), ("A", START_MS + 5 * MINUTE_MS, 4.3)], "of when they were heard"


async def test_one_that_comes_again_for_want_of_a_disk_does_not_confirm_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "_AGAIN_S", 0.1)
    monkeypatch.setattr(mqtt, "_UNKEPT_S", 0.1)
    time = Time()
    async with listening(tmp_path, time) as (node, broker):
        await _publish(broker, [b"4.2"], TOPIC)
        await until(lambda: judged(node) == 1)
        time.pass_ms(10 * MINUTE_MS)
        (tmp_path / "edge" / "state" / "outbox.db").rmdir()
        node.store._again_s = 0.0
        await until(lambda: node.node.seeing.taken == 1)
        assert judged(node) == 1 and node.node.levels["A stage"] is Level.NORMAL
        assert await node.waiting() == [("A", START_MS, 4.2)]
