"""``warning train``: the forecast model again, from the floods of the repository."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from warning.config_model import standard_path


def train(config: Path, without: Sequence[str], out: Path | None, told: Callable[[str], None]) -> Path:
    """Trains and writes the model; returns where. One thread, a fixed seed: the same machine makes the same bytes.

    Raises InputError where the floods are not there.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # before numpy is loaded
    from warning.training import train as training

    text = training.train(training.every(config, told), without, told)
    place = out or standard_path()
    place.write_text(text, encoding="ascii")
    return place
