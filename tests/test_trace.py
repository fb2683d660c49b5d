"""One id from the reading to the receipt, and the commands that tell of deliveries: on a real broker, a real SMS centre, a real ledger."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import channel_world as world
import pytest
from aiokafka import AIOKafkaProducer
from test_dispatch import bootstrap, dispatching, outside, settled  # noqa: F401 - a fixture among them
from typer.testing import CliRunner

from warning import wiring_trace
from warning.cli import app
from warning.errors import ConfigError
from warning.model import Parameter, Reading, to_json

RUN = CliRunner()


async def written(where, region, readings: list[Reading]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=where.bootstrap, acks="all")
    await producer.start()
    try:
        for each in readings:
            basin = region.station_by_id[each.station].basin
            await producer.send_and_wait(where.readings, to_json(each), key=basin.encode(), partition=region.basins[basin])
    finally:
        await producer.stop()


async def test_every_id_leads_from_the_reading_to_the_receipt(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    region = world.region(tmp_path, [world.contact(1), world.contact(2, language="ur")])
    where = replace(await world.deployment(bootstrap, tmp_path, "trace"), embedded=True)
    now_ms = world.now_ms() // 1000 * 1000
    event = world.event(region, "A", sent_ms=now_ms)
    reading = Reading(station="A", parameter=Parameter.STAGE, time_ms=now_ms, value=4.2, received_ms=now_ms + 300, provider="key:x")
    await written(where, region, [reading, replace_value(reading, now_ms - 60_000)])
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver):
        await world.publish(where, [event])
        await settled(where, region)
    identifier = event.alert.identifier
    told = await wiring_trace.trace(region, where, identifier)
    assert Counter(step.stage for step in told.steps) == {"reading": 1, "score": 1, "decision": 1, "cap": 1, "delivery": 2}
    first = told.steps[0]
    assert (first.data["value"], first.data["station"], first.data["provider"]) == (4.2, "A", "key:x")
    one = next(step.data for step in told.steps if step.stage == "delivery" and step.data["contact"] == "c1")
    assert [each["became"] for each in one["transitions"] if not each["part"]] == ["waiting", "sending", "accepted", "delivered"]
    assert json.dumps(wiring_trace.as_json(told))
    message_id = one["messages"][0]["message_id"]
    by_message = await wiring_trace.trace(region, where, message_id)
    assert [step.data["contact"] for step in by_message.steps if step.stage == "delivery"] == ["c1"]
    at = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat()
    by_reading = await wiring_trace.trace(region, where, f"A/stage/{at}")
    assert [step.stage for step in by_reading.steps] == ["reading", "score", "decision", "cap", "delivery", "delivery"]
    assert (await wiring_trace.trace(region, where, identifier.rpartition(".")[0])).steps, "a chain"
    with pytest.raises(ConfigError, match="nothing here has that id"):
        await wiring_trace.trace(region, where, "nobody.knows.this")
    await asyncio.to_thread(_commands, region, where, identifier, message_id)


def replace_value(reading: Reading, time_ms: int) -> Reading:
    return Reading(
        station=reading.station, parameter=reading.parameter, time_ms=time_ms, value=1.0, received_ms=time_ms, provider=reading.provider
    )  # fmt: skip


def _commands(region, where, identifier: str, message_id: str) -> None:
    """The same ledger by the commands of the terminal."""
    given = ["--directory", str(where.directory), "--prefix", where.prefix]

    def run(*words: str, code: int = 0) -> str:
        done = RUN.invoke(app, [*words], catch_exceptions=True)
        assert done.exit_code == code, (words, done.output, done.exception)
        return done.output

    lines = run("deliveries", region.folder, "list", "--alert", identifier, "--json", *given).splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["delivered", "delivered"]
    assert run("deliveries", region.folder, "counts", *given).split() == ["2", "sms", "delivered"]
    assert "sending > accepted" in run("deliveries", "show", region.folder, message_id, *given)
    report = where.directory / "report.csv"
    report.write_text(f"msgid,status\n{message_id},UNDELIV\nother,DELIVRD\n")
    assert "2 lines, 0 same, 0 pending, 1 corrected, 1 unknown" in run("deliveries", "reconcile", region.folder, str(report), *given)
    assert "2 lines, 1 same, 0 pending, 0 corrected, 1 unknown" in run("deliveries", "reconcile", region.folder, str(report), *given)
    file = where.directory / "audit.jsonl"
    run("audit", "export", region.folder, str(file), *given)
    assert "whole" in run("audit", "verify", str(file)) and "+999" not in file.read_text()
    assert '"contact":"c1"' not in file.read_text(), "nobody can be told from it"
    file.write_text(file.read_text().replace('"became":"failed"', '"became":"delivered"'))
    assert "changed" in run("audit", "verify", str(file), code=1)
    run("audit", "export", region.folder, str(file), "--with-contacts", *given)
    assert "whole" in run("audit", "verify", str(file)) and '"id":"c1"' in file.read_text()
