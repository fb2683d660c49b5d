"""Where a state's fields are in memory: tables of records, so that what is needed together lies together.

A row of a table is one series, zone, history or series of rain. A reading touches a handful of cache lines of its series, however many
series there are; a field is a view of its table. A checkpoint is the tables' bytes, in this order: what every beat writes comes first,
and is soon out of its way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.science import features, identity, qc, qc_activity, qc_manual, rain_counters, rainfall, routing, windows
from warning.science.forecast import KNOTS

Field = tuple[str, tuple[int, ...]]  # dtype, shape of a row
Arrays = dict[str, NDArray[Any]]

SERIES = {**qc.FIELDS, **qc_activity.FIELDS, **qc_manual.FIELDS, **identity.FIELDS, **windows.FIELDS}
ZONES: dict[str, Field] = {
    "median": ("f4", (KNOTS,)),  # forecast, for the zones downstream
    "issued_t": ("u4", ()),  # of the forecast
    "level": ("i1", ()),  # the last scoring: class of the newest good reading, -1 UNKNOWN
    "confirmed": ("i1", ()),
    "cleared": ("i1", ()),
    "expected": ("i1", ()),
    "keep": ("i1", ()),
    "arrival_t": ("u4", ()),
    "source": ("i4", ()),  # upstream zone that brings the most water, + 1; 0: none
    "value": ("f8", ()),
    "observed_t": ("u4", ()),
    "published_t": ("u4", ()),  # log time when the zone's hazard was last published; 0: never
    "alert_due_t": ("u4", ()),  # when the life cycle wants to look again; 0: not
    "due_t": ("u4", ()),  # when the zone must be scored again though nothing came
    "moves": ("f4", (len(features.MOVES),)),  # what its gauge did, for the forecasts of those around it
    "moved_t": ("u4", ()),  # the reading that they are of; 0: none
}
FIELDS: dict[str, dict[str, Field]] = {"z": ZONES, "s": SERIES, "h": routing.FIELDS, "r": {**rain_counters.FIELDS, **rainfall.FIELDS}}

# Records without a gap: a gap's bytes would be anything, and a checkpoint is a function of the log.
TABLES: dict[str, tuple[str, ...]] = {
    "z.due": ("due_t",),
    "z.median": ("median",),
    "z.classes": ("level", "confirmed", "cleared", "expected", "keep"),
    "z.zone": ("value", "issued_t", "arrival_t", "source", "observed_t", "published_t", "alert_due_t"),
    "z.moves": ("moves",),
    "z.moved": ("moved_t",),
    "s.marks": ("pending_cause", "out", "manual_n", "usual_n", "shift_n", "shift_said"),
    "s.activity": ("usual", "still_s", "shift_t", "shift_from", "shift_by", "soft_t"),
    "s.manual": ("manual_from", "manual_to"),
    "s.course": (
        *("last_v", "before_v", "pending_v", "seen_v"),
        *("last_t", "before_t", "pending_t", "seen_t", "heard_t", "flat_t", "raw_n", "word"),
    ),
    "s.minutes": ("minutes",),
    "s.raw": ("raw_t", "raw_v"),
    "h.past": ("h_t", "h_v", "e_t", "e_v"),
    "r.counter": ("base_v", "base_t", "c_odd", "d_day"),
    "r.times": ("c_t",),
    "r.values": ("c_v",),
    "r.days": ("d_mm",),
    "s.counts": ("w_count",),
    "s.buckets": ("w_min", "w_max", "w_over", "w_last", "w_last_t"),
}


def table(name: str, rows: int, slots: int | None = None) -> NDArray[Any]:
    """An empty table of so many rows; ``slots``: how many records a row has, if not as many as the fields say."""
    fields, names = FIELDS[name[0]], TABLES[name]
    shape = fields[names[0]][1] if slots is None else (slots,)
    dtype = np.dtype(fields[names[0]][0]) if len(names) == 1 else np.dtype([(each, fields[each][0]) for each in names])
    return np.zeros((rows, *shape), dtype)


def views(tables: Arrays, letter: str) -> Arrays:
    """field -> view, of the tables of series (``s``), zones (``z``), histories (``h``) or series of rain (``r``)."""
    out = {}
    for name, names in TABLES.items():
        if name[0] == letter:
            out.update({each: tables[name] if len(names) == 1 else tables[name][each] for each in names})
    return out
