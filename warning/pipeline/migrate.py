"""Checkpoints of the version before this one, as this one has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.pipeline.layout import TABLES, table

Arrays = dict[str, NDArray[Any]]


def from_1(arrays: Arrays) -> Arrays:
    """Version 1 had an array for each field, a bucket's sum in double precision and its number beside its last reading's time."""
    old = dict(arrays)
    empty = old["s.w_count"] == 0
    old["s.w_last_t"] = np.where(empty, 0, old["s.w_last_t"])
    old["s.w_over"] = np.where(empty, 0.0, old["s.w_sum"] - old["s.w_count"] * old["s.w_min"].astype(np.float64))
    new: Arrays = {}
    for name, fields in TABLES.items():
        first = old[f"{name[0]}.{fields[0]}"]
        new[name] = table(name, len(first), first.shape[1] if name == "h.past" else None)
        for field in fields:
            (new[name] if len(fields) == 1 else new[name][field])[:] = old[f"{name[0]}.{field}"]
    return new
