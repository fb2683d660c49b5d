"""Many excerpts of series through the quality control of the pipeline, ten minutes a beat, and what became of each reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from warning.model import Cause
from warning.pipeline.beat import Readings
from warning.pipeline.plan import Plan
from warning.pipeline.state import Journal, State
from warning.pipeline.step import take_in
from warning.region import Region
from warning.science import qc

BEAT_S = 600
HARD = [qc.CODE[cause] for cause in (Cause.RATE_OF_RISE, Cause.RATE_OF_FALL, Cause.SPIKE)]  # the next reading can show it to be real

Ints = NDArray[np.int64]


@dataclass(slots=True)
class Course:
    """What comes from one series: the readings of an excerpt, or of a whole record."""

    row: int
    time: Ints
    value: NDArray[np.float64]
    received: Ints


@dataclass(slots=True)
class Judged:
    """Per reading, in the order of ``courses`` laid end to end: code of flag and cause on arrival, and flagged once all was known; the
    times (s) of the beats in which it came and, 0 for never, first counted."""

    flag: NDArray[np.int8]
    cause: NDArray[np.int8]
    flagged: NDArray[np.bool_]
    came: Ints
    counted: Ints
    beats: int = 0
    _waiting: dict[tuple[int, int], int] = field(default_factory=dict)


def judge(region: Region, courses: Sequence[Course]) -> Judged:
    """Feeds all courses by the time at which they were received. ``row``: of the region's only partition."""
    row = np.concatenate([np.full(len(one.time), one.row, np.int64) for one in courses])
    time, received = (np.concatenate([getattr(one, name) for one in courses]) for name in ("time", "received"))
    value = np.concatenate([one.value for one in courses])
    order = np.lexsort((np.arange(len(row)), received))
    n = len(row)
    flags, times = (np.zeros(n, np.int8), np.zeros(n, np.int8), np.zeros(n, np.bool_)), (np.zeros(n, np.int64), np.zeros(n, np.int64))
    out = Judged(*flags, *times)
    by_key = np.lexsort((time, row))
    keys = row[by_key] << 34 | time[by_key]
    plan = Plan.of(region, 0)
    state = State.empty(plan)
    for part in _beats(received[order]):
        index = order[part]
        now_s = int(received[index[-1]]) + 60
        readings = Readings(
            row[index].astype(np.int32), time[index] * 1000, value[index], received[index] * 1000, np.zeros(len(index), np.bool_)
        )
        journal = Journal(state)
        found = take_in(plan, state, journal, readings, now_s)
        journal.close()
        state.now_ms = now_s * 1000
        _note(out, found, index, keys, by_key, row, time)
        out.came[index] = now_s
        counts = by_key[np.searchsorted(keys, found.row << 34 | found.time_s)]
        out.counted[counts] = np.where(out.counted[counts] > 0, out.counted[counts], now_s)
    return out


def _beats(received: Ints) -> Iterator[slice]:
    begins = np.flatnonzero(np.diff(received // BEAT_S, prepend=-1))
    for begin, end in zip(begins, np.append(begins[1:], len(received)), strict=True):
        yield slice(int(begin), int(end))


def _note(out: Judged, found: qc.Examined, index: NDArray[np.intp], keys: Ints, by_key: NDArray[np.intp], row: Ints, time: Ints) -> None:
    out.beats += 1
    out.flag[index], out.cause[index] = found.flag, found.cause
    out.flagged[index] = (found.flag >= qc.SUSPECT) | (found.cause == qc.CODE[Cause.DUPLICATE])
    for at, old, _ in found.retracted:
        place = np.searchsorted(keys, at << 34 | old)
        out.flagged[by_key[place]] = True
    counted = set(zip(found.row.tolist(), found.time_s.tolist(), strict=True)) if out._waiting else set()
    for key in [key for key in out._waiting if key in counted]:
        out.flagged[out._waiting.pop(key)] = False
    for at in index[np.isin(found.cause, HARD) & (found.flag == qc.SUSPECT)].tolist():
        out._waiting[int(row[at]), int(time[at])] = at
