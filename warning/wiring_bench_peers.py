"""``warning bench peers``: the bench of ``tests/peers``, in a process of its own. It and the other engines are no part of the package."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from warning.errors import ConfigError, Problem
from warning.stream.broker import end_with_parent

TESTS = Path(__file__).parent.parent / "tests"


def peers(readings: int, only: Sequence[str], json_file: Path | None, tests: Path = TESTS) -> int:
    """Its exit code: 0 all engines ran and said the same, 1 one did not, 2 nothing could be run.

    Raises ``ConfigError`` outside a checkout.
    """
    bench = tests / "peers" / "bench.py"
    where = "warning bench peers"
    if not bench.is_file():
        fix = "clone the project, run `make setup-dev` in it, then `.venv/bin/python -m warning bench peers`"
        raise ConfigError([Problem(where, f"the other engines are in a checkout of the project, not in the package (no {bench})", fix)])
    if importlib.util.find_spec("pytest") is None:
        raise ConfigError([Problem(where, "the tools of the tests are not installed", "run `make setup-dev`")])
    command = [sys.executable, str(bench), "--readings", str(readings)]
    for name in only:
        command += ["--only", name]
    if json_file is not None:
        command += ["--json", str(json_file.absolute())]
    paths = [str(tests.parent), str(tests), str(bench.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(command, env=environment, check=False, preexec_fn=end_with_parent())  # noqa: S603 - our own program
    return done.returncode
