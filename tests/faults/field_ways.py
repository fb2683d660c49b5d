"""What stands around a gateway in the field: which gauge sends by which way, and the tables that each way needs."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from edge_house import KEY as EDGE_KEY
from edge_house import Process
from pull_agency import AgencyServer

from warning import config_datastreams, config_devices, config_readers, config_sources
from warning.rehearsal.badlink import BadLink
from warning.rehearsal.telecom import Telecom
from warning.stream.broker import free_port

from .keeper import Program
from .load import Size, station
from .world import World

HOST = "127.0.0.1"
COLLECTOR = "collector"  # the MQTT device that sends for many gauges
EDGE, PULL = "edge", "pull"
READS = 5  # gauges of one reader of gauges, in one SMS
LINK_LOSS = 0.1
# Of each forty gauges. An SMS and a frame of LoRaWAN carry few readings, so there are few of them: 25,000 each in a million.
WAYS = {"http": 8, "csv": 6, "inbox": 6, "mqtt": 6, "sensorthings": 5, "pull": 4, "edge": 3, "lorawan": 1, "sms": 1}
_TURN = tuple(name for name, count in WAYS.items() for _ in range(count))

SOURCE = """
sources:
  agency:
    url: {url}/readings
    reach: loopback
    every: 1 s
    timeout: 5 s
    others: refuse
    stations: {stations}
    parameters: {{stage: stage}}
    own_format:
      format: json
      items: {{item: whole.items}}
      readings:
        - {{station: item.station, what: item.parameter, time: item.time, value: item.value, unit: item.unit, datum: item.datum}}
"""


def gauges(way: str, size: Size) -> list[int]:
    """The numbers of the gauges that send by this way: at least one for each forty."""
    return [number for number in range(size.series) if _TURN[number % len(_TURN)] == way]


def eui(name: str) -> str:
    return f"70B3D57BA00{int(name[1:]):05X}"


def phone_of(reader: int) -> str:
    return f"+99930{reader:06d}"


@dataclass
class Around:
    """The outside: an SMS centre for readers, an agency's web service, the link of an edge node. They are not what is killed."""

    telecom: Telecom
    agency: AgencyServer
    link: BadLink
    edge_url: str
    edge: Process  # only to be asked

    async def stop(self) -> None:
        await self.telecom.stop()
        await self.agency.stop()
        await self.link.stop()


async def set_up(world: World, chance: random.Random) -> Around:
    """Opens the outside, writes the tables, and adds ``warning edge`` and ``warning pull``; the gateway reads them at its next start."""
    folder = Path(world.region.folder)
    telecom = Telecom("readers", "pw")
    agency = await AgencyServer().start()
    link = BadLink(HOST, world.deployment.ingest_port, loss=LINK_LOSS, chance=chance, hang_s=1.0)
    await link.start()
    port = free_port()
    file = _edge_file(world, link.port, port)
    around = Around(telecom, agency, link, f"http://{HOST}:{port}/v1/readings", Process(file))
    _tables(folder, world.size, agency.url)
    world.deployment = replace(
        world.deployment,
        readers_smpp_host=HOST,
        readers_smpp_port=await telecom.start(),
        readers_smpp_user="readers",
        readers_smpp_password="pw",
    )
    log = world.folder / "edge.log"
    world.keeper.add(Program(EDGE, (sys.executable, "-m", "warning", "edge", str(file)), log, ready=lambda: _edge_ready(around.edge)))
    world.add_pull()
    return around


def _tables(folder: Path, size: Size, agency_url: str) -> None:
    devices = ["device,eui,station,parameter,codec,field,offset_m", f"{COLLECTOR},,*,,,,"]
    for name in map(station, gauges("lorawan", size)):
        devices.append(f"lora-{name},{eui(name)},{name},stage,milesight-em500-swl,water_level,0")
    (folder / config_devices.FILE).write_text("\n".join(devices) + "\n", encoding="utf-8")
    readers = ["id,name,phone,language,stations,parameter,unit"]
    for number, names in enumerate(readers_of(size)):
        readers.append(f"reader-{number},Reader {number},{phone_of(number)},{'ur' if number % 2 else 'en'},{'|'.join(names)},stage,m")
    (folder / config_readers.FILE).write_text("\n".join(readers) + "\n", encoding="utf-8")
    streams = ["id,station,parameter,unit,datum", *(f"{n},{station(n)},stage,m,gauge_zero" for n in gauges("sensorthings", size))]
    (folder / config_datastreams.FILE).write_text("\n".join(streams) + "\n", encoding="utf-8")
    theirs = json.dumps({f"id-{station(n)}": station(n) for n in gauges("pull", size)})
    (folder / config_sources.FILE).write_text(SOURCE.format(url=agency_url, stations=theirs), encoding="utf-8")


def readers_of(size: Size) -> Sequence[Sequence[str]]:
    names = [station(number) for number in gauges("sms", size)]
    return [names[first : first + READS] for first in range(0, len(names), READS)]


def _edge_file(world: World, link_port: int, port: int) -> Path:
    folder = world.folder / EDGE
    folder.mkdir()
    (folder / "gateway.key").write_text(world.key)
    sensor = {"parameter": "stage", "unit": "m", "datum": "gauge_zero", "every": "1 min"}
    content = {
        "node": "bridge-1",
        "directory": "state",
        "gateway": {"url": f"http://{HOST}:{link_port}/v1/readings", "key_file": "gateway.key", "timeout": "3 s"},
        "listen": {"host": HOST, "port": port},
        "keys": [{"name": "logger", "sha256": hashlib.sha256(EDGE_KEY.encode()).hexdigest()}],
        "sensors": [{"station": station(number)} | sensor for number in gauges(EDGE, world.size)],
    }
    file = folder / "edge.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


async def edge_waits(edge: Process) -> int | None:
    """How many readings are in the node's outbox; None where it does not answer."""

    try:
        return int((await asyncio.to_thread(edge.ask, "GET", "/status"))["outbox"]["waiting"])
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return None


async def _edge_ready(edge: Process) -> bool:
    return await edge_waits(edge) is not None
