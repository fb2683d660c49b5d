"""A real Mosquitto for tests: TLS, a password per user, the ACL that is shipped. ``kill`` and ``start`` again keep what it holds."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from services import HOST, ROOT, Certificates, absent, free_port, listening

from warning.stream.broker import end_with_parent

PASSWORD = "secret-of-"  # and the user's name


class Mosquitto:
    """``users``: names beside ``gateway`` and ``chirpstack``. The settings are those of deploy/mosquitto, but for paths and ports.

    ``port``: of gateways, where tests connect; ``devices_port``: of devices, where a session has its user's name."""

    def __init__(self, folder: Path, users: tuple[str, ...] = ()) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            absent("Mosquitto", "make services (apt-get install mosquitto)")
        assert program is not None
        self.program, self.folder = program, folder
        self.port, self.devices_port = free_port(), free_port()
        folder.mkdir(parents=True, exist_ok=True)
        certificates = Certificates(folder / "certificates")
        certificate, key = certificates.issue("mosquitto")
        self.ca_file = certificates.ca_file
        passwords = folder / "passwords"
        passwords.write_text("".join(f"{user}:{PASSWORD}{user}\n" for user in ("gateway", "chirpstack", *users)))
        subprocess.run([shutil.which("mosquitto_passwd") or "mosquitto_passwd", "-U", str(passwords)], check=True)
        shipped = ROOT / "deploy" / "mosquitto"
        shutil.copy(shipped / "acl", folder / "acl")
        ours = {
            "listener 8884": f"listener {self.port} {HOST}",
            "listener 8883": f"listener {self.devices_port} {HOST}",
            "certfile": f"certfile {certificate}",
            "keyfile": f"keyfile {key}",
            "password_file": f"password_file {passwords}",
            "acl_file": f"acl_file {folder / 'acl'}",
            "persistence_location": f"persistence_location {folder}/",
        }
        lines = [f"user {pwd.getpwuid(os.geteuid()).pw_name}", f"log_dest file {folder / 'mosquitto.log'}"]
        for line in (shipped / "mosquitto.conf").read_text().splitlines():
            lines.append(next((own for begin, own in ours.items() if line.startswith(begin)), line))
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, user: str = "gateway") -> str:
        return f"mqtts://{user}@localhost:{self.port}"

    def settings(self) -> dict[str, str]:
        """Fields of a Deployment."""
        return {"mqtt_url": self.url(), "mqtt_password": f"{PASSWORD}gateway", "mqtt_ca_file": str(self.ca_file)}

    def start(self) -> Mosquitto:
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self.program, "-c", str(self.folder / "mosquitto.conf")], stdout=output, stderr=output, preexec_fn=end_with_parent()
            )
        until = time.monotonic() + 120
        while not listening(self.port):
            assert self._process.poll() is None, (self.folder / "output").read_text() + (self.folder / "mosquitto.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(60)


def client_of(where: Mapping[str, object], user: str, **options: object) -> dict[str, object]:
    """Keyword arguments of ``aiomqtt.Client`` for a device; ``where``: {"mqtt": port, "ca": file}."""
    return {
        "hostname": "localhost",
        "port": where["mqtt"],
        "username": user,
        "password": f"{PASSWORD}{user}",
        "tls_context": ssl.create_default_context(cafile=str(where["ca"])),
        "timeout": 3.0,
        **options,
    }
