"""The databases of a bench: SQLite, a PostgreSQL of its own where that is installed, or the one that was named."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from warning.errors import Unavailable
from warning.stream.broker import end_with_parent, free_port

HOW = "make services (Debian: postgresql), or --database URL of an empty database"
SQLITE, POSTGRESQL = "sqlite", "postgresql"
START_S, STOP_S = 60.0, 30.0
HOST = "127.0.0.1"


def installed() -> Path | None:
    """Folder with initdb and postgres: on the PATH, else where Debian puts them."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).resolve().parent
    there = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return there[-1].parent if there else None


@asynccontextmanager
async def database(name: str) -> AsyncIterator[str]:
    """Yields the URL of an empty database, "" for SQLite in the bench's folder; ends what it started. Raises Unavailable."""
    if name in ("", SQLITE):
        yield ""
    elif name != POSTGRESQL:
        yield name
    else:
        programs = installed()
        if programs is None:
            raise Unavailable(f"PostgreSQL is not installed: {HOW}", reason="database")
        folder = Path(tempfile.mkdtemp(prefix="bench-postgres-"))
        try:
            async with _cluster(programs, folder) as url:
                yield url
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _cluster(programs: Path, folder: Path) -> AsyncIterator[str]:
    """With the settings that it comes with: each commit is on the disk."""
    user, port = pwd.getpwnam("postgres") if os.geteuid() == 0 else None, free_port()  # root may not run a server
    more: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    with (folder / "log").open("ab") as log:
        more |= {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "cwd": folder, "start_new_session": True}
        made = await asyncio.create_subprocess_exec(programs / "initdb", "-D", folder / "d", "-A", "trust", "-U", "postgres", **more)
        if await made.wait():
            raise Unavailable(f"initdb: {(folder / 'log').read_text(errors='replace')[-1000:]}", reason="database")
        options = ["-D", str(folder / "d"), "-p", str(port), "-k", str(folder), "-c", f"listen_addresses={HOST}"]
        server = await asyncio.create_subprocess_exec(programs / "postgres", *options, preexec_fn=end_with_parent(), **more)
        try:
            await _answers(server, programs, port)
            yield f"postgresql+asyncpg://postgres@{HOST}:{port}/postgres"
        finally:
            await _stop(server)


async def _answers(server: asyncio.subprocess.Process, programs: Path, port: int) -> None:
    async with asyncio.timeout(START_S):
        while server.returncode is None:
            asked = await asyncio.create_subprocess_exec(
                programs / "pg_isready", "-q", "-h", HOST, "-p", str(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            if await asked.wait() == 0:
                return
            await asyncio.sleep(0.2)
    raise Unavailable(f"PostgreSQL ended as it started, with exit code {server.returncode}", reason="database")


async def _stop(server: asyncio.subprocess.Process) -> None:
    if server.returncode is not None:
        return
    server.send_signal(signal.SIGINT)  # "fast": sessions are ended
    try:
        async with asyncio.timeout(STOP_S):
            await server.wait()
    except TimeoutError:
        server.kill()
        await server.wait()
