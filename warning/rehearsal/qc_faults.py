"""Faults of sensors, put into real series: what quality control is measured with. Seeded: the same seed, the same faults.

Sizes are those of the field and owe nothing to the thresholds of the tests, but for two kinds that are defined by a limit (rate, gross
range). A fault that would change nothing (a standstill while the water stands still) is no fault and is not drawn. Stages in m.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from warning.science.qc import SENTINELS

BEFORE_S, FAULT_S, AFTER_S = 36 * 3600, 36 * 3600, 6 * 3600
FEWEST_BEFORE, FEWEST = 24, 60  # readings
LEAST = 1e-9
FT = 0.3048

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Readings of one series in the order in which they come. ``received``: the gateway's clock. ``wrong``: of the fault; ``show``: by
    one of these readings it must be found (the first after a gap is right, and shows it)."""

    series: int
    time: Ints
    value: Floats
    received: Ints
    wrong: NDArray[np.bool_]
    show: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is plausible for a series: m, m/h."""

    least: float
    greatest: float
    rise: float
    fall: float


Draw = Callable[[Random, Excerpt, int, Limits], Excerpt | None]  # random, clean excerpt, place of the first wrong reading, limits


def excerpt(series: int, time: Ints, value: Floats, begin: int) -> Excerpt | None:
    """The readings around number ``begin``; None where there are too few of them or the series has a great gap there."""
    first, last = np.searchsorted(time, [time[begin] - BEFORE_S, time[begin] + FAULT_S + AFTER_S])
    if begin - first < FEWEST_BEFORE or last - first < FEWEST or np.diff(time[first:last]).max() > 10_800:
        return None
    none = np.zeros(last - first, np.bool_)
    return Excerpt(series, time[first:last], value[first:last], time[first:last], none, none)


def right(one: Excerpt) -> NDArray[np.bool_]:
    """The readings before the fault and after it: inside of it one may be right by chance."""
    bad = np.flatnonzero(one.wrong | one.show)
    outside = np.ones(len(one.time), np.bool_)
    outside[bad[0] : bad[-1] + 1] = False
    return outside


def _changed(one: Excerpt, value: Floats) -> Excerpt | None:
    wrong = np.abs(value - one.value) > 0.02
    return replace(one, value=value, wrong=wrong, show=wrong) if wrong.any() else None


def _sign(random: Random) -> float:
    return float(random.choice((-1.0, 1.0)))


def _size(random: Random, least: float, greatest: float) -> float:
    """As many small ones as large ones: even in the logarithm."""
    return float(least * (greatest / least) ** random.random())


def _from(one: Excerpt, at: int, seconds: float = FAULT_S) -> slice:
    return slice(at, int(np.searchsorted(one.time, one.time[at] + seconds)))


def spike(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    value = one.value.copy()
    value[at] += _sign(random) * _size(random, 0.5, 5.0)
    return _changed(one, value)


def step(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """The zero shifts by 0.5 to 3 m and stays there."""
    value = one.value.copy()
    value[at:] += _sign(random) * _size(random, 0.5, 3.0)
    return _changed(one, value)


def flat(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """The sensor hangs for 12 to 36 h while the water moves by 5 cm at least."""
    value, part = one.value.copy(), _from(one, at, float(random.uniform(12, 36)) * 3600)
    value[part] = value[at - 1]
    return _changed(one, value) if np.ptp(one.value[part]) >= 0.05 else None


def attenuation(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """The well is choked: at most a tenth of what the water moves gets through, for 36 h in which it moves by 0.3 m at least."""
    value, part = one.value.copy(), _from(one, at)
    value[part] = np.round(value[at - 1] + (value[part] - value[at - 1]) * random.uniform(0.0, 0.1), 3)
    return _changed(one, value) if np.ptp(one.value[part]) >= 0.3 else None


def drift(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """Creeps away by 1 to 3 m in 36 h."""
    value, part = one.value.copy(), _from(one, at)
    value[part] += _sign(random) * _size(random, 1.0, 3.0) * (one.time[part] - one.time[at]) / FAULT_S
    return _changed(one, value)


def noise(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """A burst of 6 to 24 readings with a standard deviation of 0.3 to 1 m."""
    value, many = one.value.copy(), int(random.integers(6, 25))
    value[at : at + many] += random.normal(0.0, _size(random, 0.3, 1.0), len(value[at : at + many]))
    return _changed(one, value)


def gross(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    value = one.value.copy()
    beyond = _size(random, 0.1, 100.0)
    value[at] = limits.greatest + beyond if random.random() < 0.5 else limits.least - beyond
    return _changed(one, value)


def sentinel(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    value = one.value.copy()
    value[at] = random.choice(np.array(SENTINELS))
    return _changed(one, value)


def gap(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """Nothing for 3 to 12 h."""
    end = int(np.searchsorted(one.time, one.time[at - 1] + random.uniform(3, 12) * 3600))
    if end >= len(one.time):
        return None
    keep = np.ones(len(one.time), np.bool_)
    keep[at:end] = False
    show = np.zeros(len(one.time), np.bool_)
    show[end] = True
    return Excerpt(one.series, one.time[keep], one.value[keep], one.received[keep], one.wrong[keep], show[keep])


def rate(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """1.2 to 3 times as fast as the limit from one reading to the next, for two to four readings, and back."""
    value, many = one.value.copy(), int(random.integers(2, 5))
    hours = float(one.time[at] - one.time[at - 1]) / 3600.0
    by = (limits.rise if random.random() < 0.5 else -limits.fall) * hours * _size(random, 1.2, 3.0)
    value[at : at + many] += by - (one.value[at] - one.value[at - 1])
    return _changed(one, value)


def duplicates(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """One reading comes two to four times."""
    again = np.repeat(np.arange(len(one.time)), np.where(np.arange(len(one.time)) == at, int(random.integers(2, 5)), 1))
    wrong = np.append(False, again[1:] == again[:-1])
    return Excerpt(one.series, one.time[again], one.value[again], one.received[again], wrong, wrong)


def unit(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """From here on in feet, or taken for feet, where that makes 0.1 m at least."""
    value = one.value.copy()
    value[at:] = value[at:] / FT if random.random() < 0.5 else value[at:] * FT
    return _changed(one, value) if abs(value[at] - one.value[at]) >= 0.1 else None


def future(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """The sensor's clock is 6 minutes to a day ahead for one reading."""
    time, wrong = one.time.copy(), np.zeros(len(one.time), np.bool_)
    time[at] += int(_size(random, 360.0, 86_400.0))
    wrong[at] = True
    return replace(one, time=time, wrong=wrong, show=wrong)


KINDS: dict[str, Draw] = {
    "spike": spike,
    "step": step,
    "flat_line": flat,
    "attenuation": attenuation,
    "drift": drift,
    "noise": noise,
    "gross_range": gross,
    "sentinel": sentinel,
    "gap": gap,
    "rate": rate,
    "duplicates": duplicates,
    "wrong_unit": unit,
    "future_clock": future,
}


def draw(kind: str, many: int, seed: int, series: Sequence[tuple[Ints, Floats]], limits: Sequence[Limits]) -> list[Excerpt]:
    """``many`` faults of a kind, series drawn evenly, then the moment; fewer where the series do not have so many places."""
    random = np.random.default_rng([seed, list(KINDS).index(kind)])
    found: list[Excerpt] = []
    for _ in range(40 * many):
        if len(found) == many:
            break
        number = int(random.integers(len(series)))
        time, value = series[number]
        if len(time) < FEWEST + 2:
            continue
        begin = int(random.integers(1, len(time) - 1))
        clean = excerpt(number, time, value, begin)
        if clean is None:
            continue
        at = int(np.searchsorted(clean.time, time[begin]))
        faulty = KINDS[kind](random, clean, at, limits[number])
        if faulty is not None and faulty.show.any():
            found.append(faulty)
    return found
