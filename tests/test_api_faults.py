"""The API when its broker, its topics or its database fail, and when records are damaged or stand twice."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from api_house import deployment, filled_log, read, ready, serving, until
from operate_records import NOW, Records, alert_of, indus, records, send
from services import apache_kafka, embedded
from sqlalchemy import create_engine, text

from warning import facts
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.model import EventKind, Level
from warning.operate import audit
from warning.operate.reader import Reader
from warning.operate.store import Store, address
from warning.operate.view import View
from warning.region import Region
from warning.stream.broker import EmbeddedBroker
from warning.stream.topics import ensure_topics


@pytest.fixture(scope="module")
def region() -> Region:
    return indus()


@pytest.fixture(scope="module")
def made(region: Region) -> Records:
    return records(region)


@pytest.fixture(scope="module")
def filled(broker: EmbeddedBroker, region: Region, made: Records, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return filled_log(broker, region, made, tmp_path_factory.mktemp("api"))


async def test_the_first_document_stays_the_second_is_an_alarm(
    region: Region, broker: EmbeddedBroker, made: Records, tmp_path: Path
) -> None:
    where = deployment(broker, tmp_path, "replay-conflict.")
    await ensure_topics(where, region.partitions)
    first = made.alerts[0]
    same = msgspec.structs.replace(first, code="another build")
    other = msgspec.structs.replace(first, cap=first.cap.replace("high ground", "low ground"))
    told: list[facts.Fact] = []
    await send(where, region, Records(alerts=[first, same, other, made.alerts[1]]))
    async with serving(region, where, told.append) as client:
        path = f"/v1/alerts/{first.alert.identifier}.cap"
        await until("both are there", lambda: facts.DocumentConflict(first.alert.identifier) in told)
        assert (await client.get(path)).content == first.cap.encode()
        assert [fact for fact in told if isinstance(fact, facts.DocumentConflict)] == [facts.DocumentConflict(first.alert.identifier)]
        assert len((await client.get("/v1/alerts")).json()["alerts"]) == 2


async def test_unreadable_records_cost_only_themselves(region: Region, broker: EmbeddedBroker, made: Records, tmp_path: Path) -> None:
    where = deployment(broker, tmp_path, "replay-broken.")
    await ensure_topics(where, region.partitions)
    producer = AIOKafkaProducer(bootstrap_servers=where.bootstrap)
    await producer.start()
    for topic in (where.readings, where.hazards, where.alerts, where.receipts, where.rejected):
        for record in (b"", b"{", b"\xff\xfe", b'{"zone": 3}', b"[" * 5000, None):
            await producer.send_and_wait(topic, record, key=b"k", partition=0)
            if record is not None:
                await producer.send_and_wait(topic, record, partition=0)
    await producer.stop()
    await send(where, region, made)
    async with read(region, where) as client:
        zones = (await client.get("/v1/zones")).json()["features"]
        assert sum(feature["properties"]["at"] is not None for feature in zones) == len(made.hazards)
        assert len((await client.get("/v1/alerts", params={"limit": 500})).json()["alerts"]) == len(made.alerts)


async def test_without_a_broker_it_serves_what_it_has(region: Region, made: Records, tmp_path: Path) -> None:
    """Killed, come back empty, come back full: the documents stay, the picture follows the log, readiness tells the truth."""
    with embedded() as first:
        where = deployment(first, tmp_path)
        await ensure_topics(where, region.partitions)
        await send(where, region, made)
        async with serving(region, where) as client:
            await until("the log is read", lambda: ready(client))
            first.stop()

            async def says_so() -> bool:
                parts = (await client.get("/readyz")).json()["parts"]
                return not parts["broker"]["ready"] and "why" in parts["log"]

            await until("readyz tells of it", says_so)
            assert (await client.get("/livez")).status_code == 200
            assert len((await client.get("/v1/zones")).json()["features"]) == len(region.zones)
            assert (await client.get("/v1/region")).json()["reading"]
            path = f"/v1/alerts/{made.alerts[0].alert.identifier}.cap"
            assert (await client.get(path)).content == made.alerts[0].cap.encode()
            with EmbeddedBroker(first.port):  # it has forgotten everything
                await ensure_topics(where, region.partitions)
                later = msgspec.structs.replace(made.hazards[0], n=0, level=Level.MEDIUM, words=("another log",))
                await send(where, region, Records(hazards=[later]))

                async def follows() -> bool:
                    zones = {each["id"]: each["properties"] for each in (await client.get("/v1/zones")).json()["features"]}
                    return zones[later.zone]["words"] == ["another log"]

                await until("the new log is read", follows, 60)
                assert (await client.get(path)).content == made.alerts[0].cap.encode()
    # Started again with no broker at all: the stored documents are served, and it says that it is not ready.
    async with serving(region, where) as client:
        assert (await client.get(path)).content == made.alerts[0].cap.encode()
        assert (await client.get("/readyz")).status_code == 503
    with pytest.raises(Unavailable, match="broker"):
        await audit.read(region, where)


async def test_topics_that_are_not_there_yet(region: Region, broker: EmbeddedBroker, made: Records, tmp_path: Path) -> None:
    where = deployment(broker, tmp_path, "replay-later.")
    async with serving(region, where) as client:

        async def waits() -> bool:
            return "not there yet" in (await client.get("/readyz")).json()["parts"]["log"].get("why", "")

        await until("it waits for the topics", waits)
        await ensure_topics(where, region.partitions)
        await send(where, region, made)
        await until("the log is read", lambda: ready(client))
        assert len((await client.get("/v1/alerts", params={"current": True})).json()["alerts"]) == len(made.alerts)


async def test_a_database_that_fails_loses_no_alert(region: Region, filled: Deployment, made: Records, tmp_path: Path) -> None:
    """The table is away while the alerts are read; when it is back, every one of them is stored."""
    where = dataclasses.replace(filled, directory=tmp_path)
    store, told = Store(address(where)), list[facts.Fact]()
    await store.open()
    engine = create_engine(address(where).replace("+aiosqlite", ""))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE documents RENAME TO hidden"))
    reading = asyncio.create_task(Reader(where, View(), store, told.append).run())
    try:
        await until(
            "the failure is told",
            lambda: any(isinstance(each, facts.Ready) and each.part == "documents" and not each.ready for each in told),
        )
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE hidden RENAME TO documents"))
        await until("all is stored", lambda: facts.Ready("documents", True) in told)
        assert {each.event.alert.identifier for each in await store.page(limit=500)} == {event.alert.identifier for event in made.alerts}
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        engine.dispose()
        await store.close()


async def test_the_newest_revision_of_the_newest_chain_is_what_holds(region: Region, made: Records, tmp_path: Path) -> None:
    store = Store(f"sqlite+aiosqlite:///{tmp_path / 'documents.db'}")
    await store.open()
    hazard = made.alerts[0].alert.hazard
    raised, cleared = alert_of(region, hazard, revision=0), alert_of(region, hazard, kind=EventKind.CLEAR, revision=1, sent_ms=NOW + 1)
    assert await store.add([cleared, raised, raised]) == []
    assert [each.alert.revision for each in await store.newest()] == [1]
    view = View()
    for event in (raised, cleared, raised):
        view.alert(event)
    assert view.active(NOW + 2) == {}
    view.newest.clear()
    view.alert(raised)
    assert set(view.active(NOW + 2)) == {hazard.zone}
    assert view.active(raised.alert.expires_ms) == {}, "what ran out holds no more"
    await store.close()


async def test_on_apache_kafka_killed_and_come_back(region: Region, made: Records, tmp_path: Path) -> None:
    """A live deployment (readings are looked up by time): nothing is read twice, nothing is missed, nothing is forgotten."""
    with apache_kafka() as kafka:
        where = Deployment(bootstrap=kafka.bootstrap, prefix="api.", directory=tmp_path)
        await ensure_topics(where, region.partitions)
        await send(where, region, made)
        view, told = View(), list[facts.Fact]()
        reading = asyncio.create_task(Reader(where, view, None, told.append).run())
        try:
            await until("the log is read", lambda: told and told[-1] == facts.Ready("log", True))
            assert (len(view.hazards), len(view.receipts), view.log_ms) == (len(made.hazards), len(made.receipts), NOW)
            assert sum(len(track) for track in view.tracks.values()) == len(made.readings)
            kafka.kill()
            await until("it is told", lambda: facts.BrokerState(False) in told)
            kafka.start()
            await send(where, region, Records(rejected=made.rejected[:1], hazards=[msgspec.structs.replace(made.hazards[0], n=99)]))
            await until("it reads on", lambda: view.hazards[made.hazards[0].zone].n == 99 and sum(view.rejected.values()) == 3, 60)
            assert view.rejected == {("qc", "gross_range"): 2, ("decode", "malformed"): 1}, "counted once each"
            assert told[-1] == facts.Ready("log", True)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
