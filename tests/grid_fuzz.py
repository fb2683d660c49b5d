"""Damaged files of grids, for as long as you like: each is read or named, whatever the libraries do.

``python -m tests.grid_fuzz [seconds] [seed]`` prints what became of them. The libraries do crash and hang on some: ``ingest.grid_apart``.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from grid_files import SQUARE, Land, era5, era5_packed

from warning.errors import InputError
from warning.ingest.grid_apart import Apart
from warning.rehearsal.imerg import half_hour

DAY = 1_756_684_800
WITHIN_S = 20.0


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Some bytes are others, near the begin more often than elsewhere; sometimes the end is missing."""
    out = bytearray(content)
    for _ in range(rng.choice([1, 2, 4, 16])):
        out[rng.randrange(min(len(out), rng.choice([600, 6000, len(out)])))] = rng.randrange(256)
    return bytes(out if rng.random() < 0.8 else out[: rng.randrange(len(out))])


def main(seconds: float, seed: int) -> int:
    rng, outcomes = random.Random(seed), Counter[str]()
    lat, lon = np.arange(29.5, 33.0, 1.0), np.arange(68.5, 74.0, 1.0)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        whole = [
            half_hour(folder, DAY, lambda x, y: 1.0 + 0.0 * x * y, step=2.0),
            era5(folder / "e.nc", np.ones((2, 4, 6)), lat, lon, [1, 2]),
            era5_packed(folder / "p.nc", np.ones((2, 4, 6)), lat, lon, [1, 2]),
        ]
        apart, until = Apart(Land(SQUARE), within_s=WITHIN_S), time.monotonic() + seconds
        while time.monotonic() < until:
            path = folder / "damaged"
            path.write_bytes(damaged(rng.choice(whole).read_bytes(), rng))
            try:
                apart.read(path)
                outcomes["read"] += 1
            except InputError as error:
                died, hung = "died" in str(error), "within" in str(error)
                outcomes["the reader died" if died else "the reader hung" if hung else "named"] += 1
        apart.close()
    print(", ".join(f"{what}: {number}" for what, number in outcomes.most_common()))
    return 0


if __name__ == "__main__":
    given = [*sys.argv[1:], *("60", "1")[len(sys.argv[1:]) :]]
    sys.exit(main(float(given[0]), int(given[1])))
