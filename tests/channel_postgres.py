"""A PostgreSQL cluster of one test run: as user postgres, on a free port of 127.0.0.1, in a folder that goes away.

The files of one pytest process share a cluster, each with an empty database of its own: a start and a stop take seconds.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import services

from warning.stream.broker import free_port


def programs() -> Path | None:
    """Folder with initdb and pg_ctl: on the PATH, else where Debian puts them."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    return (
        max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=Path(), key=str).parent
        if Path("/usr/lib/postgresql").exists()
        else None
    )


@dataclass(frozen=True)
class Cluster:
    """One that runs. ``url``: of its empty database."""

    programs: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c shared_buffers=16MB"
        _run(self.programs / "pg_ctl", "-D", self.folder / "d", "-l", self.folder / "log", "-o", options, "-w", "start", user=_user())

    def stop(self) -> None:
        """As a crash ends it: every session is cut, what was committed stays."""
        _run(self.programs / "pg_ctl", "-D", self.folder / "d", "-m", "immediate", "-w", "stop", user=_user())


kept: ExitStack | None = None  # what the whole run shares, while conftest keeps it
_shared: list[Cluster] = []


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database. Skips (or fails) where PostgreSQL is not installed."""
    if kept is None:
        with cluster() as running:
            yield running.url
        return
    if not _shared:
        _shared.append(kept.enter_context(cluster()))
    running, name = _shared[0], f"f{uuid.uuid4().hex[:12]}"
    createdb = (running.programs / "initdb").resolve().parent / "createdb"
    _run(createdb, "-h", "127.0.0.1", "-p", running.port, "-U", "postgres", name, user=_user())
    yield f"{running.url.rpartition('/')[0]}/{name}"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """The same, for tests that restart it."""
    where = programs()
    if where is None or not (where / "initdb").exists():
        services.absent("PostgreSQL", "make services (Debian: postgresql)")
        raise AssertionError  # absent() does not return
    folder, user = Path(tempfile.mkdtemp(prefix="postgres-")), _user()
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        _run(where / "initdb", "-D", folder / "d", "-A", "trust", "-U", "postgres", "-N", user=user)
        running = Cluster(where, folder, free_port())
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> pwd.struct_passwd | None:
    """root may not run a server; then it is user postgres."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def _run(*command: object, user: pwd.struct_passwd | None) -> None:
    more = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
        check=False,
        timeout=240,
        **more,
    )
    assert done.returncode == 0, done.stdout
