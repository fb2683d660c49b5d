"""The Dockerfile: hadolint has nothing to say, and what it promises is in it. (Building it needs an engine, which tests do not.)"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "Dockerfile"


def hadolint(path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "hadolint"), "--config", str(ROOT / ".hadolint.yaml"), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_hadolint_passes() -> None:
    done = hadolint(DOCKERFILE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_would_complain(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python\nRUN cd /tmp && pip install requests\n")
    assert hadolint(bad).returncode != 0


def instructions() -> list[str]:
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_runs_as_nobody_in_particular() -> None:
    users = [line.split()[1] for line in instructions() if line.startswith("USER ")]
    assert users
    assert users[-1].split(":")[0].isdigit(), "a number, so that a cluster can see that it is not root"
    assert users[-1].split(":")[0] != "0"


def test_is_checked_for_health_and_has_no_dev_dependencies() -> None:
    lines = instructions()
    assert any(line.startswith("HEALTHCHECK ") and "healthy" in line for line in lines)
    installs = [line for line in lines if "pip install" in line]
    assert installs
    assert not any("dev" in line for line in installs)
    assert sum(line.startswith("FROM ") for line in lines) == 2


def test_copies_only_what_is_there() -> None:
    for line in instructions():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), f"{line}: {source} is not in the checkout"
                assert f"!{source}" in (ROOT / ".dockerignore").read_text(), f"{source} is ignored by .dockerignore"
