"""Rain sent as a running count (a total since a reset, tips of a bucket) -> mm since the reading before.

The last readings of a counter are kept as they were sent, in order of time; the increments are a function of them alone. A late reading
splits the increment that it lies in, a revised one changes its own and the next, and what changed goes on as a revision of the readings
that were made: what comes out does not depend on how the log was cut into beats, and no mm is counted twice.

Rules, for a reading v at t after the last believed one u at s:

- v >= u: v - u fell.
- The reset hour lies between s and t: v fell since then (what fell between s and the reset is lost). Within an hour after the reset
  a count that has not become less was not set back yet: v - u.
- v < u otherwise: a counter that rolls over and was in its last quarter, and is now in its first: the way over the top. Less than half
  of u: it began again at 0, v fell. Not less than half: somebody corrected it, nothing fell.
- More than ``greatest`` in an hour: not believed, and the next one is compared with u. When the next agrees with it, the counter was set to
  another value: nothing is known to have fallen in that step.
- The first reading: with a reset hour v fell since the reset, else nothing is known to have fallen.

What fell in more than an hour is shared out evenly over its full hours (the last 60): a gauge that was silent for a day has not brought a
day's rain in its last hour. R series of rain, K readings kept, n readings of a beat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

KEPT = 24
HOUR_S = 3600
DAY_S = 86_400
MOST_HOURS = 60  # fewer than the readings that ``identity`` knows by value: each may be revised

FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "c_t": ("u4", (KEPT,)),  # the last readings of a counter, newest last; 0: none
    "c_v": ("f8", (KEPT,)),  # as sent, mm
    "c_odd": ("u4", ()),  # bit i: reading i is not believed
    "base_t": ("u4", ()),  # the last believed one before them; 0: none
    "base_v": ("f8", ()),
}

Arrays = dict[str, NDArray[Any]]
Index = NDArray[np.intp]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rules:
    """Per rain series (R). ``reset_s``: seconds of the UTC day when the total begins again, -1: never by the clock. NaN: no such rule."""

    counts: NDArray[np.bool_]  # a running count; else increments, and nothing here concerns it
    reset_s: Ints
    roll_over: NDArray[np.float64]  # mm at which the counter begins again
    greatest: NDArray[np.float64]  # mm in an hour


class Rule(NamedTuple):
    """Of one series; None: no such rule."""

    reset_s: int | None
    roll_over: float | None
    greatest: float | None


class Sent(NamedTuple):
    """A reading as it was sent."""

    time_s: int
    mm: float


@dataclass(frozen=True, slots=True)
class Converted:
    """``mm`` (n): the increment of each reading; NaN where it is older than what is kept (its rain is in a later one).

    ``row``, ``time_s``, ``more``: readings that were made besides: shares of long intervals, and earlier ones that changed.
    ``fields``: what to assign, (field, rows, values).
    """

    mm: NDArray[np.float64]
    row: Index
    time_s: Ints
    more: NDArray[np.float64]
    fields: list[tuple[str, Index, NDArray[Any]]]


def convert(arrays: Arrays, rules: Rules, row: Index, time_s: Ints, sent: NDArray[np.float64]) -> Converted:
    """n readings of counters (finite, not below 0, of a time that is believed) in the order of the log."""
    mm = np.full(len(row), np.nan)
    easy = _easy(arrays, rules, row, time_s, sent)
    mm[easy], fields = _in_order(arrays, row[easy], time_s[easy], sent[easy])
    hard = np.flatnonzero(~easy)
    hard = hard[np.argsort(row[hard], kind="stable")]
    begins = np.flatnonzero(np.append(True, row[hard][1:] != row[hard][:-1])) if len(hard) else hard
    more: list[tuple[int, int, float]] = []
    chains = []
    for start, end in pairwise([*begins.tolist(), len(hard)]):
        mine = hard[start:end]
        number = int(row[mine[0]])
        chain = _Chain.of(arrays, rules, number)
        came = [Sent(int(t), float(v)) for t, v in zip(time_s[mine], sent[mine], strict=True)]
        # Where all are new and nothing waits for them, what there was stays as it is.
        known = len(chain.kept) if not chain.odd and chain.newest_s < min(came).time_s else 0
        before = chain.increments(known)[0]
        chain.add(came)
        after, odd = chain.increments(known)
        mm[mine] = [after.get(t, np.nan) for t in time_s[mine].tolist()]
        here = set(time_s[mine].tolist())
        changed = {t: after.get(t, 0.0) for t in (before | after) if before.get(t) != after.get(t) and t not in here}
        more += [(number, t, changed[t]) for t in sorted(changed)]
        chains.append(chain.fields(number, odd))
    if chains:
        rows = np.array([number for number, _ in chains], np.intp)
        fields += [(name, rows, np.array([values[name] for _, values in chains], FIELDS[name][0])) for name in FIELDS]
    return Converted(
        mm,
        np.array([one[0] for one in more], np.intp),
        np.array([one[1] for one in more], np.int64),
        np.array([one[2] for one in more], np.float64),
        fields,
    )


# --- most readings: the next one of a counter that goes on


def _easy(arrays: Arrays, rules: Rules, row: Index, time_s: Ints, sent: NDArray[np.float64]) -> NDArray[np.bool_]:
    """One reading of its series in this beat, within an hour after the newest, no less and not too much more, in the same day."""
    _, back, count = np.unique(row, return_inverse=True, return_counts=True)
    last_t, last = arrays["c_t"][row, -1].astype(np.int64), arrays["c_v"][row, -1]
    reset_s = rules.reset_s[row]
    days = [(each - 1 - reset_s) // DAY_S for each in (time_s, last_t)]
    easy = (count[back] == 1) & (last_t > 0) & (arrays["c_odd"][row] == 0) & (time_s > last_t) & (time_s - last_t <= HOUR_S)
    easy &= (sent >= last) & ((reset_s < 0) | (days[0] == days[1]))
    return np.asarray(easy & ~(_rounded(sent - last) > rules.greatest[row]))


def _in_order(
    arrays: Arrays, row: Index, time_s: Ints, sent: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[tuple[str, Index, NDArray[Any]]]]:
    times, values = arrays["c_t"][row], arrays["c_v"][row]
    mm = _rounded(sent - values[:, -1])
    full = times[:, 0] > 0
    fields = [
        ("c_t", row, np.concatenate((times[:, 1:], time_s[:, None].astype(np.uint32)), axis=1)),
        ("c_v", row, np.concatenate((values[:, 1:], sent[:, None]), axis=1)),
        ("base_t", row[full], times[full, 0]),
        ("base_v", row[full], values[full, 0]),
    ]
    return mm, fields if len(row) else []


def _rounded(mm: Any) -> Any:
    """To 0.001 mm: what two counts differ by is not more exact than the counts."""
    return np.floor(mm * 1000.0 + 0.5) / 1000.0


# --- one series, where something is in doubt


@dataclass(slots=True)
class _Chain:
    """The readings kept of one counter."""

    rule: Rule
    base: Sent | None
    kept: list[Sent]  # in order of time
    odd: int

    @classmethod
    def of(cls, arrays: Arrays, rules: Rules, row: int) -> _Chain:
        reset_s, roll_over, greatest = int(rules.reset_s[row]), float(rules.roll_over[row]), float(rules.greatest[row])
        rule = Rule(
            None if reset_s < 0 else reset_s, None if math.isnan(roll_over) else roll_over, None if math.isnan(greatest) else greatest
        )
        base = Sent(int(arrays["base_t"][row]), float(arrays["base_v"][row])) if arrays["base_t"][row] else None
        times, values = arrays["c_t"][row].tolist(), arrays["c_v"][row].tolist()
        return cls(rule, base, [Sent(t, v) for t, v in zip(times, values, strict=True) if t], int(arrays["c_odd"][row]))

    def add(self, readings: list[Sent]) -> None:
        """In the order in which they came: the last of a time counts. What is older than the base is nobody's any more."""
        known = dict(self.kept)
        known.update(one for one in readings if self.base is None or one.time_s > self.base.time_s)
        self.kept = [Sent(*one) for one in sorted(known.items())]

    @property
    def newest_s(self) -> int:
        return self.kept[-1].time_s if self.kept else self.base.time_s if self.base else 0

    def increments(self, known: int = 0) -> tuple[dict[int, float], int]:
        """(time -> mm, which are not believed) of all that is kept but the first ``known``, which then all are believed."""
        made: dict[int, float] = {}
        odd = 0
        last, waits = self.kept[known - 1] if known else self.base, -1
        for place in range(known, len(self.kept)):
            reading = self.kept[place]
            mm, since_s = _increment(self.rule, last, reading)
            if _too_much(self.rule, mm, reading.time_s - since_s):
                again = _increment(self.rule, self.kept[waits], reading) if waits >= 0 else None
                if again is None or _too_much(self.rule, again[0], reading.time_s - again[1]):
                    made[reading.time_s], waits = mm, place
                    odd |= 1 << place
                    continue
                made[self.kept[waits].time_s] = 0.0
                odd &= ~(1 << waits)
                mm, since_s = again
            last, waits = reading, -1
            made.update(_shared_out(mm, since_s, reading.time_s))
        return made, odd

    def fields(self, row: int, odd: int) -> tuple[int, dict[str, Any]]:
        """(row, field -> its values): the newest that there is room for, and the last believed one of those that go."""
        gone = max(0, len(self.kept) - KEPT)
        for place, reading in enumerate(self.kept[:gone]):
            if not odd >> place & 1:
                self.base = reading
        kept = self.kept[gone:]
        empty = KEPT - len(kept)
        base = self.base or Sent(0, 0.0)
        return row, {
            "c_t": [0] * empty + [one.time_s for one in kept],
            "c_v": [0.0] * empty + [one.mm for one in kept],
            "c_odd": odd >> gone << empty,
            "base_t": base.time_s,
            "base_v": base.mm,
        }


def _increment(rule: Rule, last: Sent | None, reading: Sent) -> tuple[float, int]:
    """(mm that fell, since when) at ``reading`` after the last believed one."""
    reset = None if rule.reset_s is None else (reading.time_s - 1 - rule.reset_s) // DAY_S * DAY_S + rule.reset_s
    if last is None:
        return (0.0, reading.time_s) if reset is None else (reading.mm, reset)
    more = float(_rounded(reading.mm - last.mm))
    if reset is not None and last.time_s <= reset and (more < 0.0 or reading.time_s - reset > HOUR_S):
        return reading.mm, reset
    if more >= 0.0:
        return more, last.time_s
    if rule.roll_over is not None and last.mm >= 0.75 * rule.roll_over and reading.mm < 0.25 * rule.roll_over:
        return float(_rounded(rule.roll_over - last.mm + reading.mm)), last.time_s
    return (reading.mm if reading.mm < 0.5 * last.mm else 0.0), last.time_s


def _too_much(rule: Rule, mm: float, seconds: int) -> bool:
    return rule.greatest is not None and mm * min(1.0, HOUR_S / max(seconds, 1)) > rule.greatest


def _shared_out(mm: float, since_s: int, until_s: int) -> dict[int, float]:
    """End of each part -> its mm: the full hours of the clock in between, and the end."""
    if until_s - since_s <= HOUR_S:
        return {until_s: mm}
    first = max(since_s // HOUR_S + 1, (until_s - 1) // HOUR_S - MOST_HOURS + 1)
    ends = [*range(first * HOUR_S, until_s, HOUR_S), until_s]
    begin = max(since_s, ends[0] - HOUR_S)
    shares = [float(_rounded(mm * (end - since_s) / (until_s - since_s))) for end in (begin, *ends)]
    return {end: float(_rounded(share - before)) for end, (before, share) in zip(ends, pairwise(shares), strict=True)}
