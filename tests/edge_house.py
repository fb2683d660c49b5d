"""An edge node for tests: its site, its outbox and uplink in this process, or the real process with its memory and its signals."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import yaml

from warning import config_edge
from warning.ingest.edge.clock import Clock
from warning.ingest.edge.link import Link
from warning.ingest.edge.node import Node
from warning.ingest.edge.siren import Sounder
from warning.ingest.edge.store import Store
from warning.ingest.edge.uplink import Uplink
from warning.model import Level
from warning.site import Site
from warning.wiring_edge import SITE

ROOT = Path(__file__).parent.parent
KEY = "fe_" + "k" * 43
MINUTE_MS = 60_000
START_MS = 1_756_800_000_000  # 2025-09-02T08:00Z


def site_file(
    folder: Path, url: str = "http://127.0.0.1:9/v1/readings", key: str = "fw_none", most_items: int = 2000, **changes: Any
) -> Path:
    """edge.yaml of gauge A with five limits, B without, and the key's file. ``changes`` replace its keys; None removes one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gateway.key").write_text(key)
    content: dict[str, Any] = {
        "node": "bridge-1",
        "directory": "state",
        "gateway": {"url": url, "key_file": "gateway.key", "timeout": "1 s", "most_items": most_items},
        "listen": {"host": "127.0.0.1", "port": 0},
        "keys": [{"name": "logger", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}],
        "sensors": [
            {
                "station": "A",
                "parameter": "stage",
                "unit": "m",
                "datum": "gauge_zero",
                "every": "5 min",
                "plausible_min": -0.5,
                "plausible_max": 20,
                "limits": {"LOW": 2, "MEDIUM": 3, "HIGH": 4, "VERY_HIGH": 5, "EXCEPTIONAL": 6},
            },
            {"station": "B", "parameter": "stage", "unit": "m", "datum": "gauge_zero", "every": "5 min"},
            {"station": "D", "parameter": "inflow", "unit": "cusec", "every": "1 h"},
        ],
    }
    content = {name: value for name, value in (content | changes).items() if value is not None}
    path = folder / "edge.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


class Time:
    """The time of a node in this process: nothing but what a test says."""

    def __init__(self, now_ms: int = START_MS, even_ms: int = 100_000, synchronised: bool = True) -> None:
        self.now_ms, self.boot_ms, self.synchronised = now_ms, even_ms, synchronised

    def pass_ms(self, ms: int) -> None:
        self.now_ms, self.boot_ms = self.now_ms + ms, self.boot_ms + ms

    def clock(self, *, battery: bool = False, least_ms: int = 0) -> Clock:
        return Clock(
            battery=battery,
            least_ms=least_ms,
            system=lambda: self.now_ms,
            even=lambda: self.boot_ms,
            synchronised=lambda: self.synchronised,
        )


class Inside:
    """A node without its process: store, limits and uplink, each to be asked by itself."""

    def __init__(self, site: Site, time: Time, boot: str = "boot-1", least_ms: int = 0, seed: int = 1) -> None:
        self.site, self.time, self.clock = site, time, time.clock(battery=site.battery_clock, least_ms=least_ms)
        self.store = Store(Path(site.directory) / "outbox.db", boot, site.most_bytes, lambda: time.now_ms)
        self.told: list[tuple[str, str, Level]] = []  # (siren, state, level)
        self.sounders = [Sounder(siren, self._tell(siren.name), lambda: time.boot_ms / 1000) for siren in site.sirens]
        self.link = Link(site.gateway)

        async def settle() -> None:
            await self.node.settle()

        self.uplink = Uplink(
            site.gateway,
            self.link,
            self.store,
            self.clock,
            report=lambda: b'{"node": "bridge-1"}',
            settle=settle,
            chance=random.Random(seed),
        )
        self.node = Node(site, self.store, self.clock, self.sounders, self.uplink.news)

    def _tell(self, name: str) -> Any:
        async def tell(state: str, level: Level) -> None:
            self.told.append((name, state, level))

        return tell

    async def close(self) -> None:
        await self.link.close()
        await self.store.close()

    async def waiting(self) -> list[tuple[str, int, float | None]]:
        """(station, time_ms, value) in the order in which they would be sent."""
        return [(one.station, one.time_ms, one.value) for one in await self.store.run(lambda outbox: outbox.next(1_000_000))]


@asynccontextmanager
async def inside(folder: Path, time: Time | None = None, boot: str = "boot-1", least_ms: int = 0, **changes: Any) -> AsyncIterator[Inside]:
    path = site_file(folder, **changes)
    node = Inside(config_edge.load(path), time or Time(), boot, least_ms)
    try:
        yield node
    finally:
        await node.close()


def reading(at_ms: int | None, value: float | None = 1.5, station: str = "A", **more: Any) -> bytes:
    content: dict[str, Any] = {"station": station, "parameter": "stage", "value": value, "unit": "m", "datum": "gauge_zero"}
    if at_ms is not None:
        content["time"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ms / 1000)) + f".{at_ms % 1000:03d}Z"
    return json.dumps(content | more).encode()


class Process:
    """The node's process; its log in ``folder/edge.log``. ``as_people_do``: by ``warning edge FILE``, twice as long to start."""

    def __init__(self, file: Path, as_people_do: bool = False, **environment: str) -> None:
        self.file, self._environment, self._as_people_do = file, environment, as_people_do
        self.socket = file.parent / "state" / "edge.sock"
        self._log = file.parent / "edge.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def begin(self) -> None:
        """Started, and not waited for."""
        told = {**os.environ, **self._environment}
        command = [sys.executable, "-m", "warning", "edge", str(self.file)]
        if not self._as_people_do:
            command = [sys.executable, "-m", "warning.wiring_edge"]
            told |= {SITE: msgspec.json.encode(config_edge.load(self.file)).decode(), "MALLOC_ARENA_MAX": "1"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=told)

    def start(self, within_s: float = 180.0, *, key: str = "port") -> None:
        """Until its status has ``key``: ``port``, where it takes readings over HTTP."""
        self.begin()
        end = time.monotonic() + within_s
        while True:
            assert self._process is not None and self._process.poll() is None, self.words()
            assert time.monotonic() < end, self.words()
            try:
                found = self.ask("GET", "/status")
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            if found.get(key):
                self.port = found["port"] or 0
                return
            time.sleep(0.05)

    def words(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]

    def ask(self, method: str, path: str) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(60)
            sock.connect(str(self.socket))
            connection = http.client.HTTPConnection("localhost")
            connection.sock = sock
            connection.request(method, path)
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found

    def post(self, body: bytes, key: str = KEY, **headers: str) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(
                "POST", "/v1/readings", body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"} | headers
            )
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def peak_mb(self) -> float:
        """VmHWM: the most memory that the process ever had."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(text.split("VmHWM:")[1].split()[0]) / 1024

    def ended(self) -> int:
        """Its exit code, when it ends by itself."""
        assert self._process is not None
        return self._process.wait(120)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(how)
        return process.wait(20)  # then systemd kills it: deploy/edge


async def until(true: Any, within_s: float = 120.0) -> None:
    end = time.monotonic() + within_s
    while not (await true() if asyncio.iscoroutinefunction(true) else true()):
        assert time.monotonic() < end, "it does not come true"
        await asyncio.sleep(0.05)
