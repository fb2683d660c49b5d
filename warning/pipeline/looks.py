"""The trained model in the beat: what a zone's gauge did goes into the state, for the forecasts of those around it; then it is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.pipeline.state import Journal, State
from warning.pipeline.trained import Trained
from warning.science import features, outlook


def look(
    of: Trained | None,
    state: State,
    journal: Journal,
    zones: NDArray[np.intp],
    row: NDArray[np.intp],
    base: NDArray[np.float64],
    now_s: int,
    knot_s: NDArray[np.int64],
) -> outlook.Outlook | None:
    """What the model says of ``zones``; ``row``: their deciding series, -1 where none speaks. None: nothing, for there is no model."""
    if of is None:
        return None
    scale, z = of.scale.take(zones), state.z
    past = remember(of, state, journal, zones, row, now_s)
    # Not from a reading that waits for its second: it starts where the last confirmed one stands.
    told = past.enough & ~np.isnan(base)
    if not told.any():
        return None
    table = features.table(past, of.around.take(zones), z["moves"], z["moved_t"].astype(np.int64), now_s)
    return outlook.Outlook.of(of.model, past, scale.span, table, told, base, knot_s)


def remember(of: Trained, state: State, journal: Journal, zones: NDArray[np.intp], row: NDArray[np.intp], now_s: int) -> features.Past:
    """What the gauges of ``zones`` did, into the state."""
    past = features.past(state.s, np.where(of.river[zones], row, -1), now_s, of.scale.take(zones))
    z: dict[str, NDArray[Any]] = state.z
    spoke = past.time_s > 0
    journal.put(z["moves"], zones[spoke], past.moves[spoke].astype(np.float32))
    journal.put(z["moved_t"], zones[spoke], past.time_s[spoke].astype(np.uint32))
    return past
