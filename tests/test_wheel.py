"""What people install: the wheel, built here, installed without dev dependencies in a folder that knows nothing of the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.timeout(900)


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("WARNING_", "PYTHON"))}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, check=False, timeout=800
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fresh environment's commands."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    commands = folder / "venv" / "bin"
    lock = ROOT / "requirements.lock"
    run(commands / "python", "-m", "pip", "install", "--quiet", "--prefer-binary", "--constraint", lock, wheel, cwd=folder)
    return commands


def test_the_wheel_carries_the_regions_the_page_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for region in ("indus", "sri-lanka"):
        for path in (ROOT / "config" / region).rglob("*"):
            if path.is_file():
                assert f"warning/regions/{region}/{path.relative_to(ROOT / 'config' / region)}" in names
    assert "warning/operate/page/index.html" in names
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]


def test_no_dev_dependencies(installed: Path, tmp_path: Path) -> None:
    there = json.loads(run(installed / "python", "-m", "pip", "list", "--format", "json", cwd=tmp_path).stdout)
    names = {package["name"].lower() for package in there}
    assert "flood-warning" in names
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "playwright", "build"}


def test_check_of_a_carried_region(installed: Path, tmp_path: Path) -> None:
    assert "0 errors" in run(installed / "warning", "check", "sri-lanka", cwd=tmp_path).stdout


def test_demo_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """All of Cyclone Ditwah, from an empty folder."""
    figures_file = tmp_path / "figures.json"
    done = run(installed / "warning", "demo", "--region", "sri-lanka", "--json", figures_file, cwd=tmp_path)
    assert "Passed" in done.stdout
    figures = json.loads(figures_file.read_text())["figures"]
    assert figures["readings_sent"] == 6760
    assert figures["lost"] == figures["doubled"] == figures["differing"] == 0
    assert figures["crossings_high_warned"] == figures["crossings_high"] > 20
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"], "the demo cleans up after itself"
