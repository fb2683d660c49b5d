"""Heat, heavy rain and flash flood the whole way: HTTP, Kafka, worker, to a CAP document on ``alerts``; then made again from the log.

The processes are the real ones, on the embedded broker. All limits are those of ``hazard_regions``, made up for tests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import services
from hazard_regions import write_hazards

from warning import config
from warning.alerts.lint import lint
from warning.alerts.parsed import ParsedAlert, parse
from warning.deployment import Deployment
from warning.ingest.keys import KeyStore
from warning.model import AlertEvent, Level
from warning.region import Region
from warning.stream.broker import free_port
from warning.stream.feed import read_alerts, read_log
from warning.stream.replay import documents, replay_file
from warning.stream.topics import ensure_topics
from warning.wiring_supervisor import Supervisor
from warning.wiring_up import commands


@dataclass
class House:
    """A gateway and a worker that run, and a sensor's key to the gateway."""

    region: Region
    deployment: Deployment
    key: str

    async def post(self, *readings: dict[str, object]) -> None:
        """Sends them in one request each; all must be taken."""
        url = f"http://{self.deployment.host}:{self.deployment.ingest_port}/v1/readings"
        async with httpx.AsyncClient(timeout=60) as client:
            for one in readings:
                answer = await client.post(url, json=one, headers={"Authorization": f"Bearer {self.key}"})
                assert answer.status_code == 202, answer.text

    async def alert(self, zone: str, level: Level, within_s: float = 180.0) -> tuple[AlertEvent, ParsedAlert]:
        """The newest revision of a zone's chain, once it stands at ``level``."""
        until = time.monotonic() + within_s
        while True:
            events = [msgspec.json.decode(value, type=AlertEvent) for value in (await read_alerts(self.deployment)).values()]
            mine = sorted((one for one in events if one.alert.zone == zone), key=lambda one: one.alert.revision)
            if mine and mine[-1].alert.level is level:
                assert lint(mine[-1].cap, self.region) == []
                return mine[-1], parse(mine[-1].cap)
            found = [(one.alert.zone, one.alert.level.value) for one in events]
            assert time.monotonic() < until, f"no {level.value} at {zone}; there is: {found}"
            await asyncio.sleep(0.3)


@asynccontextmanager
async def house(folder: Path, directory: Path) -> AsyncIterator[House]:
    region = config.load(folder)
    with services.embedded() as broker:
        deployment = Deployment(
            bootstrap=broker.bootstrap,
            prefix="hazards.",
            directory=directory,
            embedded=True,
            session_timeout_s=6.0,
            checkpoint_every_s=2.0,
            ingest_port=free_port(),
            api_port=free_port(),
            worker_metrics_port=free_port(),
            dispatch_metrics_port=free_port(),
        )
        await ensure_topics(deployment, region.partitions)
        store = KeyStore(deployment.database, lambda: 0)
        try:
            _, key = await store.create("weather-station")
        finally:
            await store.close()
        async with AsyncExitStack() as stack:
            supervisor = await stack.enter_async_context(Supervisor())
            own = [command for command in commands(region, deployment, directory) if command.name in ("worker", "ingest")]
            await supervisor.start(*own, within_s=120)
            yield House(region, deployment, key)


def reading(station: str, parameter: str, ago_min: float, value: float, unit: str) -> dict[str, object]:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=ago_min)
    return {"station": station, "parameter": parameter, "time": at.isoformat(), "value": value, "unit": unit}


async def test_heat_and_rain_become_documents(tmp_path: Path) -> None:
    async with house(write_hazards(tmp_path), tmp_path) as running:
        await heat(running)
        await flash_flood_and_rain(running)
        await the_log_says_it_all(running)


async def heat(running: House) -> None:
    """A hot noon in degrees Fahrenheit and Celsius: 105.8 degF are 41 degC, with 30 % an index of 45.1 degC."""
    await running.post(
        reading("W1", "temperature", 40, 105.8, "degF"),
        reading("W1", "humidity", 40, 30, "%"),
        reading("W1", "temperature", 10, 41, "degC"),
        reading("W1", "humidity", 9, 30, "%"),
    )
    event, document = await running.alert("HEAT-UPPER", Level.HIGH)
    english, urdu = document.infos
    assert (english.event, english.categories, english.event_codes[0]) == ("Heat", ("Met",), ("OET:v1.2", "OET-098"))
    assert urdu.event == "شدید گرمی" and urdu.instruction.startswith("مشق: دن 11 سے 17 بجے تک دھوپ میں نہ نکلیں۔")
    assert english.headline.startswith("EXERCISE. High heat risk at Upper Oak (")
    assert "Heat index 45.1 C" in english.description and "air temperature of 41.0 C" in english.description
    assert (document.status, english.severity, english.certainty) == ("Exercise", "Severe", "Observed")
    assert event.alert.hazard.value == 45.132
    # 314.15 K at a second place, where the air is damper: 41 degC and 45 % are an index of 54.3 degC, whose class needs no second reading.
    await running.post(reading("W2", "temperature", 2, 314.15, "K"), reading("W2", "humidity", 2, 45, "%"))
    event, document = await running.alert("HEAT-UPPER", Level.EXCEPTIONAL)
    assert event.alert.hazard.value == 54.327
    assert document.infos[0].response_types == ("Shelter",)
    assert "Raised: Exceptional heat risk at Upper Oak" in document.infos[0].headline


async def flash_flood_and_rain(running: House) -> None:
    """91 mm of rain in three hours, a fifth of an inch of it first; what is judged was confirmed by the reading before."""
    await running.post(
        reading("R1", "rain", 170, 0.2, "in"),
        reading("R1", "rain", 110, 35, "mm"),
        reading("R1", "rain", 50, 45, "mm"),
        reading("R1", "rain", 5, 6, "mm"),
    )
    event, document = await running.alert("FLASH-UPPER", Level.MEDIUM)
    english = document.infos[0]
    assert (english.event, english.event_codes) == ("Flash flood", (("OET:v1.2", "OET-079"), ("ews:hazard", "flash_flood")))
    why = next(reason for reason in event.alert.hazard.reasons if reason.code == "flash_flood").values
    assert event.alert.hazard.value is not None
    assert abs(event.alert.hazard.value - float(why["rain_mm"] or 0) / float(why["threshold_mm"] or 1)) < 0.01
    assert f"{why['rain_mm']:.0f} mm of rain in {why['duration_h']} h" in english.description
    assert "the water is on its way" in english.description
    event, document = await running.alert("RAIN-UPPER", Level.MEDIUM)
    assert (document.infos[0].event, document.infos[1].event) == ("Heavy rain", "شدید بارش")
    assert document.infos[0].event_codes == (("ews:hazard", "heavy_rain"),)
    assert "Rain in 24 h 91 mm" in document.infos[0].description


async def the_log_says_it_all(running: House) -> None:
    """A replay of what stands in ``readings`` makes the same documents, byte for byte."""
    told = await read_alerts(running.deployment)
    log = await read_log(running.deployment, 0)
    made = documents(replay_file(running.region, [(0, key, value) for _, key, value in log]))
    assert {name: made[name] for name in told} == told
    assert {msgspec.json.decode(value, type=AlertEvent).alert.zone for value in told.values()} >= {
        "HEAT-UPPER",
        "FLASH-UPPER",
        "RAIN-UPPER",
    }
