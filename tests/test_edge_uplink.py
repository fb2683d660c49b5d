"""From the sensor to Kafka over a link that breaks: all arrive, the newest first; nothing is believed that is not the gateway's."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from edge_house import MINUTE_MS, Time, inside, reading
from ingest_house import HOST, ingest, two_basins, wall_ms

from warning.ingest.edge.node import Local
from warning.rehearsal.badlink import FAULTS, BadLink
from warning.stream.broker import EmbeddedBroker

LOGGER = Local("logger")


@pytest.mark.parametrize("loss", [0.0, 0.4])
async def test_all_arrive_once_by_identity_the_newest_first(tmp_path: Path, loss: float) -> None:
    newest_ms = wall_ms() // MINUTE_MS * MINUTE_MS
    sent = {("A", newest_ms - n * 5 * MINUTE_MS, 1.0 + n / 1000) for n in range(300)} | {
        ("B", newest_ms - n * MINUTE_MS, 0.5) for n in range(50)
    }
    with EmbeddedBroker() as broker:
        async with ingest(broker.bootstrap, tmp_path, two_basins(tmp_path / "r")) as gateway:
            link = BadLink(HOST, int(gateway.url.split(":")[2].split("/")[0]), loss=loss, chance=random.Random(7), hang_s=0.3)
            await link.start()
            url = f"http://{HOST}:{link.port}/v1/readings"
            async with inside(tmp_path / "edge", Time(wall_ms()), url=url, key=gateway.key, most_items=10) as node:
                texts = [reading(at, value, station) for station, at, value in sorted(sent)]
                taken = await node.node.take(texts, LOGGER)
                assert taken.accepted == len(sent) and taken.refused == ()
                while await node.waiting():
                    await node.uplink.attempt()
                if loss:
                    assert all(link.passed[fault] for fault in FAULTS), link.passed
                    assert node.uplink.failed
            await link.stop()
            readings = await gateway.readings()
    assert {(one.station, one.time_ms, one.value) for one in readings} == sent
    assert {one.time_ms for one in readings[:2]} == {newest_ms}, "the newest of each series came first"
    for station in ("A", "B"):
        arrived = list(dict.fromkeys(one.time_ms for one in readings if one.station == station))
        assert arrived == sorted(arrived, reverse=True), "then its history, newest first"
    if not loss:
        assert len(readings) == len(sent)
