"""A half hour of rain in a file becomes a warning: ``warning grids`` -> Kafka -> worker -> CAP; killed in the middle, nothing is lost.

Real processes on the embedded broker. The rain is made up, in files with the structure of GPM IMERG's; so are the limits.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import services
from hazard_regions import write_hazards
from ingest_house import records

from warning import config
from warning.alerts.lint import lint
from warning.alerts.parsed import parse
from warning.deployment import Deployment
from warning.model import AlertEvent, Level, Parameter, Reading
from warning.region import Region
from warning.rehearsal.imerg import half_hour
from warning.stream.broker import free_port
from warning.stream.feed import read_alerts
from warning.stream.topics import ensure_topics
from warning.wiring_supervisor import Supervisor
from warning.wiring_up import commands

HALF_HOUR_S = 1800
RATES = (0.0, 60.0, 80.0, 90.0, 90.0)  # mm/h
# The land of R1, a small stream: seven tenths of the western of two cells and all of the eastern one.
CATCHMENT = """{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"id": "R1"}, "geometry":
{"type": "Polygon", "coordinates": [[[72.3, 32.0], [74.0, 32.0], [74.0, 33.0], [72.3, 33.0], [72.3, 32.0]]]}}]}"""


def region_of(tmp_path: Path) -> Path:
    folder = write_hazards(tmp_path)
    table = (folder / "series.csv").read_text("utf-8").splitlines()
    rows = [f"{row},grid" if row.startswith("R1,") else f"{row}," for row in table]
    rows[0] = f"{table[0]},rain_as"
    (folder / "series.csv").write_text("\n".join(rows) + "\n", "utf-8")
    (folder / "catchments.geojson").write_text(CATCHMENT, "utf-8")
    return folder


@dataclass
class House:
    folder: Path
    region: Region
    deployment: Deployment
    files: Path

    def grids(self, *arguments: str) -> subprocess.Popen[str]:
        deployment = self.deployment
        where = ["--kafka", deployment.bootstrap, "--prefix", deployment.prefix, "--directory", str(deployment.directory)]
        command = [sys.executable, "-m", "warning", "grids", str(self.folder), *arguments, *where]
        environment = {**os.environ, "WARNING_EMBEDDED": "1"}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.grids(*arguments)
        out, error = process.communicate(timeout=240)
        return process.returncode, out, error

    def file(self, ends_s: int, rate: float, suffix: str = "HDF5") -> Path:
        """Rain in the eastern cell only, so that the share of each counts."""
        path = half_hour(self.files, ends_s - HALF_HOUR_S, lambda lon, lat: rate * (lon > 73.0) + 0.0 * lat, step=1.0, suffix=suffix)
        os.utime(path, (ends_s, ends_s))
        return path

    async def readings(self) -> list[Reading]:
        found = await records(self.deployment.bootstrap, self.deployment.readings, 0)
        return [msgspec.json.decode(value, type=Reading) for key, value in found if key is not None]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    folder = region_of(tmp_path)
    files = tmp_path / "imerg"
    files.mkdir()
    with services.embedded() as broker:
        deployment = Deployment(
            bootstrap=broker.bootstrap,
            prefix="rain.",
            directory=tmp_path,
            embedded=True,
            session_timeout_s=6.0,
            checkpoint_every_s=2.0,
            worker_metrics_port=free_port(),
        )
        yield House(folder, config.load(folder), deployment, files)


def half_hours(count: int) -> list[int]:
    """Ends of the last full half hours, the newest last."""
    newest = int(time.time()) // HALF_HOUR_S * HALF_HOUR_S
    return [newest - HALF_HOUR_S * ago for ago in range(count - 1, -1, -1)]


async def test_rain_in_files_becomes_a_flash_flood_warning(house: House) -> None:
    await ensure_topics(house.deployment, house.region.partitions)
    async with Supervisor() as supervisor:
        own = [one for one in commands(house.region, house.deployment, house.deployment.directory) if one.name == "worker"]
        await supervisor.start(*own, within_s=120)
        ends = half_hours(5)
        files = [house.file(end, rate) for end, rate in zip(ends, RATES, strict=True)]
        bad = house.files / "bad.nc"
        bad.write_bytes(b"no grid")
        os.utime(bad, (1, 1))
        code, out, error = await asyncio.to_thread(house.run, *map(str, [*files, bad]))
        assert (code, "5 files, 5 readings; 1 rejected" in out) == (1, True), out + error
        assert "rejected: bad.nc: bad.nc: it is neither NetCDF nor HDF5 (NetCDF or HDF5; if it is packed, unpack it)" in error
        assert bad.exists()
        readings = await house.readings()
        share = 1.0 / 1.7  # the catchment lies seven tenths in the dry cell
        assert [(one.station, one.parameter, one.time_ms // 1000, one.provider) for one in readings] == [
            ("R1", Parameter.RAIN, end, "grid") for end in ends
        ]
        assert [one.value for one in readings] == [pytest.approx(rate / 2 * share, abs=1e-3) for rate in RATES]
        event = await alert(house, "FLASH-UPPER", Level.LOW)
    fallen = sum(one.value or 0.0 for one in readings)
    why = next(reason.values for reason in event.alert.hazard.reasons if reason.code == "flash_flood")
    assert float(why["rain_mm"] or 0) <= round(fallen, 1) and fallen > 75.0
    document = parse(event.cap)
    assert lint(event.cap, house.region) == []
    assert document.infos[0].event == "Flash flood" and document.status == "Exercise"
    assert f"{why['rain_mm']:.0f} mm of rain in {why['duration_h']} h" in document.infos[0].description


async def alert(house: House, zone: str, least: Level, within_s: float = 120.0) -> AlertEvent:
    until = time.monotonic() + within_s
    while True:
        events = [msgspec.json.decode(value, type=AlertEvent) for value in (await read_alerts(house.deployment)).values()]
        mine = [one for one in events if one.alert.zone == zone and one.alert.level >= least]
        if mine:
            return max(mine, key=lambda one: one.alert.revision)
        assert time.monotonic() < until, f"no warning of {zone}; there is: {[(one.alert.zone, one.alert.level) for one in events]}"
        await asyncio.sleep(0.3)


async def test_killed_in_the_middle_a_watch_goes_on_where_it_was(house: House) -> None:
    await ensure_topics(house.deployment, house.region.partitions)
    ends = half_hours(12)
    for number, end in enumerate(ends):
        house.file(end, 1.0 + number)
    process = house.grids("--watch", str(house.files))
    try:
        await some(house, 3)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.communicate()
    before = await house.readings()
    process = house.grids("--watch", str(house.files))
    try:
        await some(house, 12)
        late = house.file(ends[0] - HALF_HOUR_S, 99.0)
        await some(house, 13)
    finally:
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=240)
    assert (process.returncode, late.exists()) == (0, True), out + error
    after = await house.readings()
    found = {(one.time_ms // 1000, one.value) for one in after}
    expected = {end: (1.0 + number) / 3.4 for number, end in enumerate(ends)} | {ends[0] - HALF_HOUR_S: 99.0 / 3.4}
    assert dict(found) == {end: pytest.approx(mm, abs=1e-3) for end, mm in expected.items()}
    assert len(found) == 13  # one value of each half hour, whatever came twice
    assert len(after) - 13 <= 1 and len(before) >= 3  # at most the file that was under way came twice


async def some(house: House, readings: int, within_s: float = 240.0) -> None:
    until = time.monotonic() + within_s
    while len({one.time_ms for one in await house.readings()}) < readings:
        assert time.monotonic() < until, f"{len(await house.readings())} of {readings} readings"
        await asyncio.sleep(0.1)
