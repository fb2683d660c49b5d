"""When zones must be looked at again though nothing came: the earliest of all, and those whose time has come, without asking each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 256
NEVER = 0xFFFFFFFF


class Due:
    """``times``: the table ``due_t`` (Z,), s since 1970, that others write. The least of each block of zones is kept beside it."""

    def __init__(self, times: NDArray[Any]) -> None:
        self._times = times
        self._starts = np.arange(0, len(times), BLOCK)
        self._least = np.zeros(0, times.dtype)
        self.first = NEVER
        self.refresh()

    def refresh(self, changed: NDArray[np.intp] | None = None) -> None:
        """After the times of the zones ``changed`` were written (None: of all)."""
        if not len(self._starts):
            return
        blocks = None if changed is None else np.unique(changed // BLOCK)
        if blocks is None or 4 * len(blocks) > len(self._starts):
            self._least = np.minimum.reduceat(self._times, self._starts)
        elif len(blocks):
            rows = np.minimum(blocks[:, None] * BLOCK + np.arange(BLOCK), len(self._times) - 1)
            self._least[blocks] = self._times[rows].min(axis=1)
        self.first = int(self._least.min())

    def until(self, now_s: int) -> NDArray[np.intp]:
        """The zones whose time has come, by number."""
        if now_s < self.first:
            return np.zeros(0, np.intp)
        blocks = np.flatnonzero(self._least <= now_s)
        rows = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
        if rows[-1] >= len(self._times):
            rows = rows[rows < len(self._times)]
        return np.asarray(rows[self._times[rows] <= now_s])
