"""Tells the harness, at the numbers of readings that it asked for, what time it is and how much CPU this process has used."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path


class Marks:
    def __init__(self) -> None:
        self._at = [int(number) for number in os.environ["PEER_MARKS_AT"].split(",")]
        self._file = Path(os.environ["PEER_MARKS"])
        self._readings = 0

    def add(self, readings: int = 1) -> None:
        """So many readings more were taken."""
        self._readings += readings
        if self._at and self._readings >= self._at[0]:
            self._at = [number for number in self._at if number > self._readings]
            used = os.times()
            mark = {"readings": self._readings, "at_s": time.time(), "cpu_s": used.user + used.system}
            with self._file.open("a") as file:
                file.write(json.dumps(mark) + "\n")
