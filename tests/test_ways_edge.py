"""From an edge node's outbox to Kafka through the suite that every way in passes; the node is the sender, the gateway the way in."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from edge_house import Inside, Time, site_file
from ingest_house import HOST, wall_ms
from test_ways_http import BAD_KEY
from way_conformance import Answer, At, CannotSay, Message, Way, WayConformance

from warning import config_edge
from warning.ingest import edge_report
from warning.ingest.edge.outbox import Entry
from warning.ingest.http import PATH, create_app
from warning.ingest.keys import KeyStore
from warning.ingest.serving import serve


class EdgeUplink(Way):
    """A reading is put into the outbox as if the node's own judgement had passed it, and one request is made."""

    @asynccontextmanager
    async def serve(self, at: At) -> AsyncIterator[dict[str, Any]]:
        keys = KeyStore(at.deployment.database, at.clock)
        app = create_app(at.gateway, keys, at.listen)
        app.middlewares.append(edge_report.middleware(at.listen))
        server = await serve(app, HOST, 0)
        try:
            yield {"url": f"http://{HOST}:{server.port}{PATH}", "key": at.key}
        finally:
            await server.stop()
            await keys.close()

    async def send(self, where: dict[str, Any], message: Message, *, again: bool = False) -> Answer:
        if message.raw is not None:
            raise CannotSay("the node writes its requests itself")
        with tempfile.TemporaryDirectory() as folder:
            file = site_file(Path(folder), where["url"], BAD_KEY if message.bad_key else where["key"])
            node = Inside(config_edge.load(file), Time(wall_ms()))
            try:
                return await _sent(node, message)
            finally:
                await node.close()


async def _sent(node: Inside, message: Message) -> Answer:
    entry = Entry(message.station, message.parameter, message.at_ms, message.value, message.unit, message.datum)
    await node.store.run(lambda outbox: outbox.put([entry], (), message.at_ms))
    await node.uplink.attempt()
    refused = await node.store.run(lambda outbox: outbox.newest_refused(1))
    if refused:
        return Answer(False, refused[0][3])
    waits = bool(await node.waiting())
    return Answer(None if waits else True, again=waits)


class TestEdgeUplink(WayConformance):
    way = EdgeUplink()


def test_a_time_goes_out_to_the_millisecond() -> None:
    from warning.ingest.edge.outbox import Waiting
    from warning.ingest.edge.uplink import item_of

    sent = msgspec.json.decode(item_of(Waiting(1, "A", "stage", 1_756_800_000_001, None, "m", "gauge_zero")))
    assert datetime.fromisoformat(sent["time"]) == datetime(2025, 9, 2, 8, 0, 0, 1000, tzinfo=UTC)
    assert sent["value"] is None and sent["datum"] == "gauge_zero"
