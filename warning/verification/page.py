"""One page of a hindcast: its tables and figures in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warning.verification.assessment import Assessment
from warning.verification.official import Official


def write(folder: Path, found: Assessment, warnings: Sequence[Official], tables: Sequence[Any]) -> list[Path]:
    raise NotImplementedError
