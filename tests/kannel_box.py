"""A real Kannel for tests, with the configuration that is shipped but for ports, places and passwords."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services import ROOT, absent, listening

from warning.stream.broker import end_with_parent, free_port

SHIPPED = ROOT / "deploy" / "channels" / "kannel.conf"


@dataclass
class Kannel:
    """``send``: the port of its sendsms. Its two processes may be killed and started again."""

    folder: Path
    send: int
    box: int  # where smsbox comes to bearerbox
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def ports(self) -> dict[str, int]:
        return {"bearerbox": self.box, "smsbox": self.send}

    async def start(self, name: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        command = [name, "-v", "1", "k.conf"]
        process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, preexec_fn=end_with_parent())
        self.running[name] = process
        log.close()
        for _ in range(2400):
            assert process.poll() is None, (self.folder / f"{name}.log").read_text()[-2000:]
            if listening(self.ports[name]):
                return
            await asyncio.sleep(0.05)
        raise TimeoutError((self.folder / f"{name}.log").read_text()[-2000:])

    async def kill(self, name: str) -> None:
        """kill -9."""
        process = self.running.pop(name)
        process.kill()
        await asyncio.to_thread(process.wait)


@asynccontextmanager
async def kannel(folder: Path, smsc: int, url: str, key: str) -> AsyncIterator[Kannel]:
    if shutil.which("bearerbox") is None or shutil.which("smsbox") is None:
        absent("Kannel", "make services (Debian packages kannel and kannel-extras)")
    (folder / "spool").mkdir()
    made = Kannel(folder, free_port(), free_port())
    changes = {
        "admin-port = 13000": f"admin-port = {free_port()}",
        "port = 13001": f"port = {made.box}",
        "store-location = /var/spool/kannel": f"store-location = {folder / 'spool'}",
        "SMSC_HOST": "127.0.0.1",
        "port = 2775": f"port = {smsc}",
        "SMSC_USER": "ews",
        "SMSC_PASSWORD": "pw",
        "ADMIN_PASSWORD": "pw",
        "SENDSMS_PASSWORD": "pw",
        "reconnect-delay = 10": "reconnect-delay = 1",
        "sendsms-port = 13013": f"sendsms-port = {made.send}",
        "http-queue-delay = 10": "http-queue-delay = 1",
        "http://127.0.0.1:8080/v1/sms/kannel": url,
        "INGEST_KEY": key,
    }
    text = SHIPPED.read_text("utf-8")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / "k.conf").write_text(text, "utf-8")
    try:
        for name in ("bearerbox", "smsbox"):
            await made.start(name)
        yield made
    finally:
        for process in reversed(made.running.values()):
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
