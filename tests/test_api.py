"""The API on the embedded broker: what it answers, what it refuses, and what it does when its broker or its database fails."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from operate_records import CUSEC, NOW, SILENT, Records, alert_of, indus, records, send
from services import apache_kafka, embedded
from sqlalchemy import create_engine, text

from warning import facts
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.model import EventKind, Level
from warning.operate import api, audit
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
def broker() -> Iterator[EmbeddedBroker]:
    with embedded() as running:
        yield running


def deployment(broker: EmbeddedBroker, folder: Path, prefix: str = "replay-api.") -> Deployment:
    return Deployment(bootstrap=broker.bootstrap, prefix=prefix, directory=folder, embedded=True, replay=True)


@pytest.fixture(scope="module")
def filled(broker: EmbeddedBroker, region: Region, made: Records, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    where = deployment(broker, tmp_path_factory.mktemp("api"))

    async def fill() -> None:
        await ensure_topics(where, region.partitions)
        await send(where, region, made)

    asyncio.run(fill())
    return where


@asynccontextmanager
async def serving(region: Region, where: Deployment, listen: facts.Listener = facts.nobody) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        api.serve(api.create_app(region, where, listen), "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
    ):
        yield client


async def until(what: str, true: Callable[[], object], within_s: float = 30.0) -> None:
    for _ in range(round(within_s / 0.1)):
        result = true()
        if await result if asyncio.iscoroutine(result) else result:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"not within {within_s} s: {what}")


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


@asynccontextmanager
async def read(region: Region, where: Deployment) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(region, where) as client:
        await until("the log is read", lambda: ready(client))
        yield client


async def test_zones_say_what_is_known_and_what_is_not(region: Region, filled: Deployment, made: Records) -> None:
    async with read(region, filled) as client:
        answer = (await client.get("/v1/zones")).json()
        assert answer["type"] == "FeatureCollection"
        zones = {feature["id"]: feature for feature in answer["features"]}
        assert set(zones) == set(region.zone_by_id)
        for hazard in made.hazards:
            shown = zones[hazard.zone]["properties"]
            assert (shown["level"], shown["value"], shown["words"]) == (hazard.level.value, hazard.value, list(hazard.words))
        assert zones[SILENT]["properties"]["level"] == "UNKNOWN"
        assert zones[SILENT]["properties"]["silent_since"]
        lon, lat = zones["IND-GUDDU"]["geometry"]["coordinates"]
        assert (lat, lon) == (region.station_by_id["IND-GUDDU"].lat, region.station_by_id["IND-GUDDU"].lon)
        about = (await client.get("/v1/region")).json()
        assert (about["status"], about["replay"], about["log_time"]) == ("Exercise", True, "2025-09-03T06:00:00Z")
        assert about["units"]["discharge"]["unit"] == "cusec"
        assert about["units"]["discharge"]["per_si"] == pytest.approx(1 / CUSEC)
        areas = (await client.get("/v1/areas")).json()["features"]
        assert {area["id"] for area in areas} == {zone.id for zone in region.zones if zone.polygon}
        assert (await client.get("/v1/map/rivers")).json()["type"] == "FeatureCollection"


async def test_a_hydrograph(region: Region, filled: Deployment, made: Records) -> None:
    async with read(region, filled) as client:
        answer = (await client.get("/v1/zones/CHE-MARALA")).json()
        want = [each for each in made.readings if each.station == "CHE-MARALA" and each.parameter.value == "inflow"]
        (inflow,) = [series for series in answer["series"] if series["parameter"] == "inflow"]
        assert inflow["values"] == [each.value for each in want]
        assert answer["zone"]["limits"]["EXCEPTIONAL"] == pytest.approx(600_000 * CUSEC)
        forecast = answer["forecast"]
        assert forecast["times"][0] == "2025-09-03T07:00:00Z"
        for low, median, high in zip(forecast["low"], forecast["median"], forecast["high"], strict=True):
            assert low < median < high
        cut = (await client.get("/v1/zones/CHE-MARALA", params={"since": "2025-08-28T00:00:00+05:00"})).json()
        kept = next(series for series in cut["series"] if series["parameter"] == "inflow")
        assert len(kept["values"]) == 2
        failed = (await client.get("/v1/zones/CHE-PANJNAD")).json()["series"][0]
        assert failed["causes"][-1] == "gross_range"


async def test_alerts_are_filtered_and_paged(region: Region, filled: Deployment, made: Records) -> None:
    async with read(region, filled) as client:
        every = (await client.get("/v1/alerts", params={"limit": 500})).json()["alerts"]
        assert {each["identifier"] for each in every} == {event.alert.identifier for event in made.alerts}
        assert all(each["current"] and each["words"] and each["withheld"] is None for each in every)
        high = (await client.get("/v1/alerts", params={"level": ["HIGH", "EXCEPTIONAL"]})).json()["alerts"]
        assert {each["level"] for each in high} == {"HIGH", "EXCEPTIONAL"}
        (one,) = (await client.get("/v1/alerts", params={"zone": "RAV-SHAHDARA", "current": True})).json()["alerts"]
        assert one["texts"]["ur"]["headline"].startswith(region.zone_by_id["RAV-SHAHDARA"].names["ur"])
        seen: list[str] = []
        before = None
        while True:
            page = (await client.get("/v1/alerts", params={"limit": 4} | ({"before": before} if before else {}))).json()
            seen += [each["identifier"] for each in page["alerts"]]
            before = page["next"]
            if before is None:
                break
        assert len(seen) == len(set(seen)) == len(made.alerts)


async def test_documents_are_served_byte_for_byte(region: Region, filled: Deployment, made: Records) -> None:
    async with read(region, filled) as client:
        for event in made.alerts:
            answer = await client.get(f"/v1/alerts/{event.alert.identifier}.cap")
            assert answer.content == event.cap.encode()
            assert answer.headers["content-type"] == "application/cap+xml"
            assert "immutable" in answer.headers["cache-control"]
        again = await client.get(answer.url.path, headers={"If-None-Match": f'"other", {answer.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        atom = await client.get("/v1/alerts.atom")
        assert atom.headers["content-type"].startswith("application/atom+xml")
        assert atom.text.count("<entry>") == len(made.alerts)


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/alerts?since=1756274400", 422, "since"),
        ("/v1/alerts?since=2025-08-27", 422, "since"),
        ("/v1/alerts?since=2025-08-27T06:00:00", 422, "since"),
        ("/v1/alerts?limit=0", 422, "limit"),
        ("/v1/alerts?level=AWFUL", 422, None),
        ("/v1/alerts?before=xyz", 422, "before"),
        ("/v1/alerts.atom?before=xyz", 422, "before"),
        ("/v1/zones/NOWHERE", 404, "zone"),
        ("/v1/zones/CHE-MARALA?since=2025-09-02T00:00:00Z&until=2025-09-01T00:00:00Z", 422, "since"),
        ("/v1/alerts/nothing.cap", 404, "identifier"),
        ("/v1/map/..%2Fcontacts.csv", 404, None),
        ("/v1/map/contacts", 404, "layer"),
        ("/page/../api.py", 404, None),
        ("/page/%2e%2e/api.py", 404, None),
        ("/docs", 404, None),
        ("/nothing", 404, None),
    ],
)
async def test_problems_name_the_field(region: Region, filled: Deployment, path: str, status: int, field: str | None) -> None:
    async with serving(region, filled) as client:
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        problem = answer.json()
        assert problem["status"] == status
        assert problem["title"] and problem["detail"]
        if field:
            assert problem["field"] == field


async def test_every_answer_forbids_scripts_from_elsewhere(region: Region, filled: Deployment) -> None:
    async with serving(region, filled) as client:
        for path in ("/", "/v1/region", "/nothing", "/page/main.js"):
            answer = await client.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
        schema = (await client.get("/openapi.json")).json()
        assert {"/v1/region", "/v1/zones", "/v1/zones/{zone}", "/v1/alerts", "/v1/alerts.atom", "/v1/deliveries", "/v1/sensors"} <= set(
            schema["paths"]
        )


async def test_deliveries_and_sensors(region: Region, filled: Deployment, made: Records) -> None:
    async with read(region, filled) as client:
        answer = (await client.get("/v1/deliveries", params={"limit": 5})).json()
        assert sum(sum(states.values()) for states in answer["counts"].values()) == len(made.receipts)
        assert len(answer["deliveries"]) == 5
        assert answer["deliveries"][0]["at"] == "2025-09-03T06:00:29Z", "newest first"
        failed = (await client.get("/v1/deliveries", params={"state": "failed", "limit": 1000})).json()["deliveries"]
        assert {each["state"] for each in failed} == {"failed"}
        sensors = (await client.get("/v1/sensors")).json()
        assert {(each["stage"], each["reason"]): each["records"] for each in sensors["rejected"]} == {
            ("qc", "gross_range"): 1,
            ("decode", "malformed"): 1,
        }
        assert sensors["flagged"] == [{"station": "CHE-PANJNAD", "parameter": "inflow", "cause": "gross_range", "readings": 1}]
        never = [each for each in sensors["silent"] if each["last"] is None]
        assert {"IND-TARBELA"} <= {each["station"] for each in never}
        found = await audit.read(region, filled)
        assert found.model_dump(mode="json") == sensors
        table = audit.render(region, found)
        assert "gross_range" in table
        assert f"Silent: {len(sensors['silent'])}" in table


async def test_what_a_person_has_not_released_is_withheld(region: Region, filled: Deployment, made: Records) -> None:
    """Nobody can have answered: there is no database of answers. The rules say hold, so nothing of that class leaves."""
    strict = dataclasses.replace(region, alert=dataclasses.replace(region.alert, approve_from=Level.VERY_HIGH))
    async with read(strict, filled) as client:
        for event in made.alerts:
            answer = await client.get(f"/v1/alerts/{event.alert.identifier}.cap")
            assert answer.status_code == (403 if event.alert.level >= Level.VERY_HIGH else 200)
        held = [event for event in made.alerts if event.alert.level >= Level.VERY_HIGH]
        assert held
        assert (await client.get("/v1/alerts.atom")).text.count("<entry>") == len(made.alerts) - len(held)
        for each in (await client.get("/v1/alerts", params={"level": "EXCEPTIONAL"})).json()["alerts"]:
            assert (each["cap"], each["texts"]) == (None, {})
            assert each["withheld"]


async def test_a_person_releases_a_chain(region: Region, filled: Deployment, made: Records, tmp_path: Path) -> None:
    strict = dataclasses.replace(region, alert=dataclasses.replace(region.alert, approve_from=Level.VERY_HIGH))
    first, second = [event.alert for event in made.alerts if event.alert.level is Level.EXCEPTIONAL][:2]
    where = dataclasses.replace(filled, directory=tmp_path)
    engine = create_engine(where.database.replace("+aiosqlite", ""))
    with engine.begin() as connection:
        connection.execute(
            text('CREATE TABLE approvals (id INTEGER PRIMARY KEY, chain TEXT, level TEXT, "by" TEXT, at_ms BIGINT, granted BOOLEAN)')
        )
        row = {"chain": first.identifier.rpartition(".")[0], "level": "EXCEPTIONAL", "by": "duty officer", "at_ms": NOW}
        connection.execute(
            text('INSERT INTO approvals (chain, level, "by", at_ms, granted) VALUES (:chain, :level, :by, :at_ms, true)'), row
        )
    engine.dispose()
    async with read(strict, where) as client:
        assert (await client.get(f"/v1/alerts/{first.identifier}.cap")).status_code == 200
        assert (await client.get(f"/v1/alerts/{second.identifier}.cap")).status_code == 403


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
