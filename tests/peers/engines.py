"""The engines: how each is installed and started, and over how many readings it is measured."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".services" / "peers"  # git ignores it
PYTHON = CACHE / "venv" / "bin" / "python"
JARS = CACHE / "java"


@dataclass(frozen=True, slots=True)
class Engine:
    """``warm`` readings before the measured ``count``, of the same bytes for all; ``key``: its name in ``--json``."""

    key: str
    title: str
    command: Callable[[], list[str]]
    kit: str  # what it needs: "", "python" or "java"
    warm: int
    count: int


def _python(*words: str) -> Callable[[], list[str]]:
    return lambda: [str(PYTHON), *words]


def _java(project: str, main: str) -> Callable[[], list[str]]:
    """Flink's memory access needs the packages opened; the others do not mind. One core: the JVM chooses its serial collector."""
    opened = [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in ("lang", "util", "nio", "net", "time", "util.concurrent")]
    jars = f"{JARS}/{project}/{project}-1.jar:{JARS}/{project}/libs/*"
    return lambda: ["java", "-Xmx2g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", *opened, "-cp", jars, f"peers.{main}"]


def engines(readings: int) -> list[Engine]:
    """``readings``: measured for the fast ones, after as many for warming up. The slow ones have fewer, and the table says how many."""
    quix, faust = min(readings, 100_000), min(readings, 20_000)
    return [
        Engine("ours", "ours: Faust, our transport", lambda: [sys.executable, str(HERE / "ours.py")], "", readings, readings),
        Engine("flink", "Flink, process function, object reuse", _java("flink", "Flink"), "java", readings, readings),
        Engine("kafka_streams_processor", "Kafka Streams, Processor API", _java("kafka-streams", "Expert"), "java", readings, readings),
        Engine("kafka_streams_dsl", "Kafka Streams, DSL", _java("kafka-streams", "Dsl"), "java", readings, readings),
        Engine("quix", "Quix Streams", _python(str(HERE / "quix.py")), "python", quix // 2, quix),
        Engine(
            "faust",
            "Faust, hopping table",
            _python(str(HERE / "faust_plain.py"), "worker", "-l", "warn", "--without-web"),
            "python",
            faust // 4,
            faust,
        ),
    ]


def install(kit: str) -> str:
    """Makes what engines of this kit need, unless it is there. Why it could not be made, or ""."""
    if kit == "python":
        return _made(HERE / "requirements.txt", CACHE / "venv.made", _venv)
    if kit == "java":
        if shutil.which("java") is None or shutil.which("mvn") is None:
            return "Java 17 and Maven are needed (make services)"
        return _made(HERE / "java", CACHE / "java.made", _jars)
    return ""


def _venv() -> list[list[str]]:
    shutil.rmtree(PYTHON.parent.parent, ignore_errors=True)
    return [
        [sys.executable, "-m", "venv", str(PYTHON.parent.parent)],
        [str(PYTHON), "-m", "pip", "--quiet", "install", "--disable-pip-version-check", "-r", str(HERE / "requirements.txt")],
    ]


def _jars() -> list[list[str]]:
    return [["mvn", "--quiet", "--batch-mode", f"-Dpeers.build={JARS}", "-f", str(HERE / "java" / "pom.xml"), "package"]]


def _made(source: Path, stamp: Path, commands: Callable[[], list[list[str]]]) -> str:
    """``stamp`` holds the digest of what was built."""
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return ""
    CACHE.mkdir(parents=True, exist_ok=True)
    for command in commands():
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=1200, env={**os.environ, "MAVEN_OPTS": "-Xmx512m"}
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{command[0]}: {error}"
        if done.returncode:
            return f"{' '.join(command[:4])} ...: {(done.stdout + done.stderr).strip()[-600:]}"
    stamp.write_text(digest)
    return ""
