"""The API on the embedded broker: what it answers, and what it refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from api_house import filled_log, read, serving
from operate_records import CUSEC, NOW, SILENT, Records, indus, records
from sqlalchemy import create_engine, text

from warning.deployment import Deployment
from warning.model import Level
from warning.operate import audit
from warning.region import Region
from warning.stream.broker import EmbeddedBroker


@pytest.fixture(scope="module")
def region() -> Region:
    return indus()


@pytest.fixture(scope="module")
def made(region: Region) -> Records:
    return records(region)


@pytest.fixture(scope="module")
def filled(broker: EmbeddedBroker, region: Region, made: Records, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return filled_log(broker, region, made, tmp_path_factory.mktemp("api"))


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
