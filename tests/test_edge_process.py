"""The node as people run it: a process with its signals, its memory, its sirens; the uplink is down in most of it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from edge_house import ROOT, Process, reading, site_file, until
from ingest_house import HOST, ingest, two_basins, wall_ms
from mosquitto import PASSWORD, Mosquitto
from services import Certificates

from warning.rehearsal.badlink import BadLink
from warning.stream.broker import EmbeddedBroker

MOST_MB = 60.0
SIRENS = [
    {"name": "bridge", "at": "HIGH", "series": ["A stage"], "command": ["{hook}", "{state}", "{level}"], "again": "1 s", "test": "1 s"}
]


def hook(folder: Path, *, fails: int = 0) -> tuple[list[dict[str, Any]], Path]:
    """A siren whose command writes what it is told into a file; the first ``fails`` times it fails, the time before those it hangs."""
    told = folder / "told.txt"
    program = folder / "siren.sh"
    folder.mkdir(parents=True, exist_ok=True)
    program.write_text(
        f'#!/bin/sh\necho x >> {told}.tries\nif [ "$(wc -l < {told}.tries)" -le {fails} ]; then exit 3; fi\necho "$1 $2" >> {told}\n'
    )
    program.chmod(0o755)
    command = [str(program), "{state}", "{level}"]
    return [SIRENS[0] | {"command": command}], told


@contextmanager
def running(file: Path, **environment: str) -> Iterator[Process]:
    process = Process(file, **environment)
    process.start()
    try:
        yield process
    finally:
        process.kill()


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def wait_for(true: Any, within_s: float = 120.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_siren_sounds_with_the_uplink_down_and_goes_on_after_a_power_cut(tmp_path: Path) -> None:
    sirens, told = hook(tmp_path / "hook")
    file = site_file(tmp_path / "edge", sirens=sirens)
    with running(file) as process:
        wait_for(lambda: lines(told) == ["off NORMAL"])
        now = wall_ms()
        assert process.post(reading(now - 60_000, 4.2))[0] == 202
        assert process.post(reading(now - 30_000, 4.2))[0] == 202
        wait_for(lambda: "on HIGH" in lines(told))
        wait_for(lambda: lines(told).count("on HIGH") >= 3)  # told again, each second here
        found = process.ask("GET", "/status")
        assert found["sensors"]["A stage"]["level"] == "HIGH" and found["gateway"]["why"]
        process.kill()
        told.unlink()
        process.start()
        wait_for(lambda: lines(told)[:1] == ["on HIGH"])
        assert process.ask("POST", "/sirens/bridge/mute")["wanted"] == "off"
        wait_for(lambda: lines(told)[-1] == "off HIGH")
        assert process.post(reading(wall_ms(), 5.3))[0] == 202
        wait_for(lambda: lines(told)[-1] == "on VERY_HIGH")  # a higher class sounds through the mute
        assert process.stop() == 0


def test_a_hook_that_fails_is_called_again_and_said(tmp_path: Path) -> None:
    sirens, told = hook(tmp_path / "hook", fails=3)
    with running(site_file(tmp_path / "edge", sirens=sirens)) as process:
        process.post(reading(wall_ms(), 6.5))
        wait_for(lambda: lines(told)[-1:] == ["on EXCEPTIONAL"])
        assert "exit code 3" in process.words()
        assert process.ask("GET", "/status")["sirens"][0]["why"] == ""


def test_as_people_start_it_and_test_their_siren(tmp_path: Path) -> None:
    sirens, told = hook(tmp_path / "hook")
    process = Process(site_file(tmp_path / "edge", sirens=sirens), as_people_do=True)
    process.start()
    try:
        wait_for(lambda: lines(told) == ["off NORMAL"])
        command = [sys.executable, "-m", "warning", "edge", "test-siren", str(process.file), "bridge"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True)
        assert done.returncode == 0, done.stderr
        wait_for(lambda: lines(told)[:3] == ["off NORMAL", "test NORMAL", "off NORMAL"])
        assert process.peak_mb() < MOST_MB, "what has checked the file is gone from memory"
        assert process.stop() == 0
    finally:
        process.kill()


def test_what_was_acknowledged_is_there_after_kill_9_at_any_moment(tmp_path: Path) -> None:
    """Killed while a sender posts as fast as it can. Each 202 is in the outbox, nothing is there twice."""
    file, chance = site_file(tmp_path / "edge"), random.Random(3)
    begin, acknowledged, number = wall_ms() - 86_400_000, set(), 0
    process = Process(file)
    try:
        for _ in range(3):
            process.start()
            threading.Timer(chance.uniform(0.05, 0.8), lambda: os.kill(process.pid, 9)).start()
            with pytest.raises((OSError, http.client.HTTPException)):
                while True:
                    times = [begin + (number + n) * 1000 for n in range(3)]
                    status, answer = process.post(b"[" + b",".join(reading(at, 1.0) for at in times) + b"]")
                    assert (status, answer["accepted"]) == (202, 3)
                    acknowledged |= set(times)
                    number += 3
            process.kill()
        process.start()
        found = process.ask("GET", "/status")
        assert found["outbox"]["waiting"] >= len(acknowledged) > 10
        process.stop()
    finally:
        process.kill()
    import sqlite3

    with sqlite3.connect(tmp_path / "edge" / "state" / "outbox.db") as database:
        rows = [at for (at,) in database.execute("SELECT time_ms FROM readings")]
    assert acknowledged <= set(rows) and len(rows) == len(set(rows))


async def test_all_of_it_arrives_though_the_link_loses_and_the_node_is_killed(tmp_path: Path) -> None:
    """A real node, a real gateway on a real broker, 40 % of the requests lost, an outage, kill -9 in between: each 202 is in Kafka."""
    begin, acknowledged = wall_ms() // 1000 * 1000 - 86_400_000, set()
    with EmbeddedBroker() as broker:
        async with ingest(broker.bootstrap, tmp_path, two_basins(tmp_path / "r")) as gateway:
            link = BadLink(HOST, int(gateway.url.split(":")[2].split("/")[0]), loss=0.4, chance=random.Random(5), hang_s=0.5)
            await link.start()
            file = site_file(tmp_path / "edge", f"http://{HOST}:{link.port}/v1/readings", gateway.key, most_items=50)
            process = Process(file)
            try:
                for round in range(3):
                    await asyncio.to_thread(process.start)
                    for number in range(10):
                        times = [begin + (round * 1000 + number * 20 + n) * 1000 for n in range(20)]
                        body = b"[" + b",".join(reading(at, 1.0, "AB"[at // 1000 % 2]) for at in times) + b"]"
                        assert (await asyncio.to_thread(process.post, body))[0] == 202
                        acknowledged |= {("AB"[at // 1000 % 2], at) for at in times}
                    link.away() if round == 1 else link.back()
                    await asyncio.sleep(0.3)
                    if round < 2:
                        await asyncio.to_thread(process.kill)

                async def sent() -> bool:
                    await asyncio.to_thread(process.ask, "POST", "/again")  # it need not wait for its own next try
                    found = await asyncio.to_thread(process.ask, "GET", "/status")
                    return bool(found["outbox"]["waiting"] == 0)

                await until(sent, 90)
            finally:
                process.kill()
                await link.stop()
            readings = await gateway.readings()
    assert {(one.station, one.time_ms) for one in readings} == acknowledged and len(acknowledged) == 600


def test_it_takes_less_than_60_mb_under_load(tmp_path: Path) -> None:
    """HTTP and MQTT with TLS, a gateway by HTTPS that is away, the largest messages that it takes, 20,000 waiting readings."""
    mosquitto = Mosquitto(tmp_path / "mosquitto", ("node", "logger"))
    (mosquitto.folder / "acl").write_text((ROOT / "deploy" / "edge" / "acl").read_text())
    mosquitto.start()
    certificates = Certificates(tmp_path / "certificates")
    sirens, _ = hook(tmp_path / "hook")
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / "password").write_text(f"{PASSWORD}node")
    file = site_file(
        tmp_path / "edge",
        url="https://127.0.0.1:9/v1/readings",
        sirens=sirens,
        mqtt={
            "host": "localhost",
            "port": mosquitto.port,
            "user": "node",
            "password_file": "password",
            "ca_file": str(mosquitto.ca_file),
            "topics": ["sensors/+/readings"],
        },
    )
    content = file.read_text().replace("key_file: gateway.key", f"ca_file: {certificates.ca_file}\n  key_file: gateway.key")
    file.write_text(content)
    try:
        with running(file) as process:
            asyncio.run(until(lambda: process.ask("GET", "/status")["broker"] == "connected"))
            begin = wall_ms() - 40 * 86_400_000
            for number in range(10):
                first = begin + number * 2000 * 10_000
                body = b"[" + b",".join(reading(first + n * 10_000, 1.0 + n / 1e4, "AB"[n % 2]) for n in range(2000)) + b"]"
                status, answer = process.post(__import__("gzip").compress(body), **{"Content-Encoding": "gzip"})
                assert (status, answer.get("accepted")) == (202, 2000), answer
            asyncio.run(_publish(mosquitto, [reading(wall_ms() - n * 1000, 2.5) for n in range(200)]))
            wait_for(lambda: process.ask("GET", "/status")["outbox"]["waiting"] == 20_200, 240)
            peak = process.peak_mb()
            print(f"VmHWM {peak:.1f} MB")
            assert peak <= MOST_MB
            assert process.stop() == 0
    finally:
        mosquitto.stop()


async def _publish(mosquitto: Mosquitto, bodies: list[bytes], topic: str = "sensors/logger/readings") -> None:
    tls = ssl.create_default_context(cafile=str(mosquitto.ca_file))
    async with aiomqtt.Client("localhost", mosquitto.port, username="logger", password=f"{PASSWORD}logger", tls_context=tls) as client:
        for body in bodies:
            await client.publish(topic, body, qos=1)


def test_it_loads_neither_kafka_nor_sql_nor_numbers() -> None:
    code = (
        "import sys, asyncio, warning.wiring_edge, warning.ingest.edge.local, warning.ingest.edge.mqtt, warning.ingest.edge.control,"
        "warning.ingest.edge.uplink, warning.ingest.serving;"
        "heavy = ('faust', 'aiokafka', 'sqlalchemy', 'numpy', 'pydantic', 'yaml', 'httpx', 'typer');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_systemd_hears_that_it_is_ready_and_that_it_goes_on(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        file = site_file(tmp_path / "edge")
        with running(file, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="600000"):
            assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_a_second_node_in_the_same_folder_ends_and_leaves_the_first_alone(tmp_path: Path) -> None:
    sirens, told = hook(tmp_path / "hook")
    with running(site_file(tmp_path / "edge", sirens=sirens)) as process:
        wait_for(lambda: lines(told) == ["off NORMAL"])
        second = Process(process.file)
        second.begin()
        assert second.ended() == 78 and "another node" in second.words()
        assert process.ask("GET", "/status")["node"] == "bridge-1" and lines(told) == ["off NORMAL"]
        process.kill()
        process.start()


def test_a_port_that_is_taken_keeps_no_siren_from_sounding(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        sirens, told = hook(tmp_path / "hook")
        file = site_file(tmp_path / "edge", sirens=sirens, listen={"host": "127.0.0.1", "port": taken.getsockname()[1]})
        process = Process(file)
        process.begin()
        try:
            wait_for(lambda: lines(told) == ["off NORMAL"])
            assert process.ask("POST", "/sirens/bridge/test")["name"] == "bridge"
            wait_for(lambda: "test NORMAL" in lines(told))
            assert "cannot be listened to" in process.words()
        finally:
            process.kill()


def test_answers_over_http_are_the_gateways(tmp_path: Path) -> None:
    with running(site_file(tmp_path / "edge")) as process:
        now = wall_ms()
        status, answer = process.post(reading(now), key="fe_nobody")
        assert (status, answer["reason"]) == (401, "unauthenticated")
        status, answer = process.post(b"[" + reading(now) + b"," + reading(now, station="X") + b"," + reading(now, unit="cusec") + b"]")
        assert status == 202 and answer["accepted"] == 1
        assert [(one["index"], one["reason"]) for one in answer["refused"]] == [(1, "station_unknown"), (2, "unit_mismatch")]
        status, answer = process.post(b'{"station": ')
        assert (status, answer["reason"]) == (400, "not_json")
        status, answer = process.post(b"[" + b" " * 300_000 + b"]")
        assert (status, answer["reason"]) == (413, "too_large")
        status, answer = process.post(reading(now, float("nan")).replace(b"NaN", b"NaN"))
        assert (status, answer["reason"]) == (422, "value_not_finite")
        found = process.ask("GET", "/status")
        assert [one["reason"] for one in found["refused"]] == ["value_not_finite", "not_json", "unit_mismatch", "station_unknown"]


@asynccontextmanager
async def _siren_client(mosquitto: Mosquitto) -> AsyncIterator[aiomqtt.Client]:
    tls = ssl.create_default_context(cafile=str(mosquitto.ca_file))
    async with aiomqtt.Client("localhost", mosquitto.port, username="village", password=f"{PASSWORD}village", tls_context=tls) as client:
        await client.subscribe("sirens/village", qos=1)
        yield client


async def _next(client: aiomqtt.Client) -> dict[str, Any]:
    async with asyncio.timeout(120):
        told: dict[str, Any] = json.loads((await anext(client.messages)).payload)
    return told


async def test_sensors_and_sirens_by_mqtt_through_a_broker_that_is_restarted(tmp_path: Path) -> None:
    """A bare number is the value of now; the siren's message is retained; what came while the node was down is taken when it is back."""
    mosquitto = Mosquitto(tmp_path / "mosquitto", ("node", "logger", "village"))
    (mosquitto.folder / "acl").write_text((ROOT / "deploy" / "edge" / "acl").read_text())
    mosquitto.start()
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / "password").write_text(f"{PASSWORD}node")
    mqtt = {"host": "localhost", "port": mosquitto.port, "user": "node", "password_file": "password", "ca_file": str(mosquitto.ca_file)}
    file = site_file(
        tmp_path / "edge", listen=None, keys=None, mqtt=mqtt, sirens=[{"name": "village", "at": "VERY_HIGH", "topic": "sirens/village"}]
    )
    file.write_text(
        file.read_text().replace(
            "- datum: gauge_zero\n  every: 5 min\n  limits",
            "- datum: gauge_zero\n  topic: sensors/logger/level\n  every: 5 min\n  limits",
        )
    )
    process = Process(file)
    try:
        await asyncio.to_thread(process.start, key="sensors")
        async with _siren_client(mosquitto) as client:
            told = await _next(client)
            assert (told["state"], told["valid_s"]) == ("off", 1800), "off is said again every ten minutes"
            await _publish(mosquitto, [b"5.25"], "sensors/logger/level")
            heard = await _next(client)
            assert (heard["state"], heard["level"], heard["node"]) == ("on", "VERY_HIGH", "bridge-1") and heard["valid_s"] == 180
        await until(lambda: process.ask("GET", "/status")["outbox"]["waiting"] == 1)
        await asyncio.to_thread(process.stop)
        await _publish(mosquitto, [reading(wall_ms() - 5000, 5.5), b"not a number", b'{"station": "A"'], "sensors/logger/level")
        mosquitto.stop()
        mosquitto.start()
        await asyncio.to_thread(process.start, key="sensors")
        await until(lambda: process.ask("GET", "/status")["outbox"]["refused"] >= 2)
        found = process.ask("GET", "/status")
        assert found["outbox"]["waiting"] == 2
        assert {one["reason"] for one in found["refused"]} == {"value_type", "not_json"}
        async with _siren_client(mosquitto) as client:
            assert (await _next(client))["state"] == "on", "what stood before the power cut stands"
    finally:
        process.kill()
        mosquitto.stop()
