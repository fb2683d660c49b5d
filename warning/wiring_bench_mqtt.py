"""What a gateway takes by MQTT: a Mosquitto of its own, devices that wait for the answer which says that Kafka has their message.

Without TLS, on this machine only. None where Mosquitto is not installed (``make services``).
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from warning.errors import Unavailable
from warning.stream.broker import end_with_parent, free_port
from warning.wiring_bench_broker import HOST, Broker
from warning.wiring_bench_child import child
from warning.wiring_bench_region import Size, write
from warning.wiring_environment import to_environment
from warning.wiring_supervisor import Command, Supervisor

SERIES, PARTITIONS, DEVICES = 1000, 4, 4
START_S = 60.0
_PASSWORD = "bench-only"  # noqa: S105 - of a broker that lives for a minute, on 127.0.0.1


async def measure(on: Broker, folder: Path, seconds: float) -> float | None:
    """Messages a second of one reading each, from the device and back to it, over ``seconds``. Raises Unavailable if any got lost."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    passwords = shutil.which("mosquitto_passwd")
    if program is None or passwords is None:
        return None
    folder = folder / "mqtt"
    region = await asyncio.to_thread(write, Size(SERIES, PARTITIONS), folder / "region")
    devices = [f"device-{number}" for number in range(DEVICES)]
    (region / "devices.csv").write_text("device,station\n" + "".join(f"{name},*\n" for name in devices), encoding="utf-8")
    async with _mosquitto(program, passwords, folder, devices) as port, Supervisor() as supervisor:
        deployment = await on.deployment(folder, PARTITIONS, "mqtt")
        deployment = replace(deployment, mqtt_url=f"mqtt://gateway@{HOST}:{port}", mqtt_password=_PASSWORD)
        ready = f"http://{deployment.host}:{deployment.ingest_port}"
        arguments = ("warning", "ingest", "--region", str(region))
        environment = to_environment(deployment)
        await supervisor.start(Command("ingest", arguments, environment, ready=f"{ready}/readyz", log=folder / "ingest.log"))
        stations = [name for name, _, _ in Size(SERIES).gauges]
        settings = {"port": port, "devices": dict.fromkeys(devices, _PASSWORD), "stations": stations, "seconds": seconds}
        async with child("warning.rehearsal.load_mqtt", settings, folder) as load:
            told = await load.until(lambda one: "done" in one, seconds + START_S)
    if told["unanswered"] or told["refused"]:
        raise Unavailable(f"by MQTT {told['unanswered']} messages were not answered and {told['refused']} refused", reason="lost")
    return float(told["messages"] / told["seconds"])


@asynccontextmanager
async def _mosquitto(program: str, passwords: str, folder: Path, devices: list[str]) -> AsyncIterator[int]:
    """Yields its port. The broker's own settings are those of deploy/mosquitto that count for speed."""
    port, users = free_port(), folder / "passwords"
    users.write_text("".join(f"{name}:{_PASSWORD}\n" for name in ("gateway", *devices)), encoding="utf-8")
    await asyncio.to_thread(subprocess.run, [passwords, "-U", str(users)], check=True)
    lines = [f"user {pwd.getpwuid(os.geteuid()).pw_name}", f"listener {port} {HOST}", f"password_file {users}"]
    lines += ["allow_anonymous false", "persistence true", f"persistence_location {folder}/", "autosave_interval 5"]
    lines += ["max_queued_messages 0", "max_inflight_messages 500", "set_tcp_nodelay true"]
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (folder / "mosquitto.log").open("ab") as log:
        server = await asyncio.create_subprocess_exec(
            *(program, "-c", str(folder / "mosquitto.conf")), stdout=log, stderr=log, start_new_session=True, preexec_fn=end_with_parent()
        )
    try:
        await _answers(port)
        yield port
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()


async def _answers(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise Unavailable("Mosquitto does not answer", reason="mosquitto")
