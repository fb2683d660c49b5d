"""SHEF and WaterML 2.0 sent to ``POST /v1/readings``: the same gate, the same answers; on a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest_asyncio
from ingest_house import HOST, Ingest, ingest, two_basins, wall_ms
from services import embedded

from warning.ingest import pushed
from warning.ingest.gateway import Gateway
from warning.ingest.http import PATH, create_app
from warning.ingest.serving import serve

XML = """<wml2:Collection xmlns:wml2="http://www.opengis.net/waterml/2.0" xmlns:om="http://www.opengis.net/om/2.0"
 xmlns:xlink="http://www.w3.org/1999/xlink"><wml2:observationMember><om:OM_Observation>
 <om:observedProperty xlink:href="urn:x:Stage"/><om:featureOfInterest xlink:href="https://example.org/stations/B"/>
 <om:result><wml2:MeasurementTimeseries><wml2:defaultPointMetadata><wml2:DefaultTVPMeasurementMetadata><wml2:uom code="cm"/>
 </wml2:DefaultTVPMeasurementMetadata></wml2:defaultPointMetadata><wml2:point><wml2:MeasurementTVP><wml2:time>TIME</wml2:time>
 <wml2:value>125</wml2:value></wml2:MeasurementTVP></wml2:point></wml2:MeasurementTimeseries></om:result></om:OM_Observation>
 </wml2:observationMember></wml2:Collection>"""


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[Ingest]:
    with embedded() as broker:
        async with ingest(broker.bootstrap, tmp_path, two_basins(tmp_path)) as running:
            gateway = Gateway(running.region, running.deployment, running.log, wall_ms)
            app = create_app(gateway, running.keys, running.facts.append, formats=pushed.shipped())
            server = await serve(app, HOST, 0)
            running.url = f"http://{HOST}:{server.port}{PATH}"
            yield running
            await server.stop()


async def test_shef_and_waterml_are_taken_and_refused_like_everything_else(house: Ingest) -> None:
    at = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    shef = f".A ALD {at:%Y%m%d} Z DH{at:%H%M}/HGIRG 8.2\n.A NOWHERE {at:%Y%m%d} Z DH{at:%H%M}/HGIRG 8.2\n.A ALDER x\n"
    status, answer, _ = await house.post(shef.encode(), Content_Type="text/x-shef")
    assert (status, [one["reason"] for one in answer["refused"]]) == (422, ["station_unknown", "station_unknown", "malformed"])  # type: ignore[attr-defined]
    xml = XML.replace("TIME", at.isoformat()).encode()
    status, answer, _ = await house.post(xml, Content_Type="application/waterml+xml")
    assert (status, answer["accepted"], answer["refused"]) == (202, 1, [])
    assert [(one.station, one.value, one.time_ms) for one in await house.readings()] == [("B", 1.25, int(at.timestamp() * 1000))]
    for body, kind in ((b"{}", "text/x-shef"), (b"<a/>", "application/waterml+xml")):
        status, answer, _ = await house.post(body, Content_Type=kind)
        assert (status, answer["reason"]) == (400, "format")
    assert [one.reason for one in await house.rejected()] == ["station_unknown", "station_unknown", "malformed", "format", "format"]


async def test_a_content_type_that_nobody_reads_names_those_that_are_read(house: Ingest) -> None:
    status, answer, _ = await house.post(b"x", Content_Type="application/x-hml")
    assert status == 415 and "text/x-shef" in str(answer["fix"]) and "application/waterml+xml" in str(answer["fix"])
    async with aiohttp.ClientSession() as http, http.post(house.url, data=b"x", headers={"Content-Type": "text/x-shef"}) as response:
        assert response.status == 401
