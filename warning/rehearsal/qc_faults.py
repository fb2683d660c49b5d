"""Faults of sensors, put into real series: what quality control is measured with. Seeded: the same seed, the same faults.

Sizes are in m and even in the logarithm (as many small ones as large ones). A spike, a burst of noise and a rate are no smaller than
three standard deviations of the series' changes in the 25 h before (N_DEV and TIM_DEV as in QARTOD's rate of change test), for below that
they are what the series does anyway. Where a fault would change nothing that anybody could see, it is not drawn: ``qc_observable`` says
which, from the clean record alone, and how many were left out is part of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from warning.model import Cause
from warning.science.qc import SENTINELS

HOUR = 3600
FEWEST_BEFORE = 24  # readings
LEAST = 1e-9
FT = 0.3048
N_DEV, TIM_DEV_S = 3.0, 25 * HOUR

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Readings of one series in the order in which they come. ``received``: the gateway's clock. ``wrong``: of the fault; ``show``: by
    one of these readings it must be found (the first after a gap is right, and shows it). ``size``: greatest departure in m. ``at``: time
    of the first wrong reading."""

    series: int
    time: Ints
    value: Floats
    received: Ints
    wrong: NDArray[np.bool_]
    show: NDArray[np.bool_]
    at: int = 0
    size: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What is plausible for a series: m, m/h."""

    least: float
    greatest: float
    rise: float
    fall: float


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: how it is made, how many hours of the record before it and of it are used, the causes that name it rightly."""

    draw: Callable[[Random, Excerpt, int, Limits], Excerpt | None]  # random, clean excerpt, place of the first wrong reading, limits
    before_h: int
    span_h: int
    causes: tuple[Cause, ...]
    neighbours: bool = False  # it is found by them


def right(one: Excerpt) -> NDArray[np.bool_]:
    """The readings before the fault and after it: inside of it one may be right by chance."""
    bad = np.flatnonzero(one.wrong | one.show)
    outside = np.ones(len(one.time), np.bool_)
    outside[bad[0] : bad[-1] + 1] = False
    return outside


def _changed(one: Excerpt, value: Floats) -> Excerpt | None:
    by = np.abs(value - one.value)
    wrong = by > 0.02
    return replace(one, value=value, wrong=wrong, show=wrong, size=float(by.max())) if wrong.any() else None


def _sign(random: Random) -> float:
    return float(random.choice((-1.0, 1.0)))


def _size(random: Random, least: float, greatest: float) -> float:
    """As many small ones as large ones: even in the logarithm."""
    return float(least * (greatest / least) ** random.random())


def _usual(one: Excerpt, at: int) -> float:
    """Three standard deviations of the changes from reading to reading in the 25 h before."""
    begin = int(np.searchsorted(one.time, one.time[at] - TIM_DEV_S))
    return float(N_DEV * np.std(np.diff(one.value[begin:at]))) if at - begin > 2 else 0.0


def _from(one: Excerpt, at: int, seconds: float) -> slice:
    return slice(at, int(np.searchsorted(one.time, one.time[at] + seconds)))


def _as_read(one: Excerpt, value: Floats) -> Floats:
    """Rounded to the least change that the series shows: the sensor's resolution."""
    changes = np.abs(np.diff(one.value))
    step = max(float(changes[changes > LEAST].min(initial=0.01)), 0.001)
    return np.asarray(np.round(np.round(value / step) * step, 4))


def _spike(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """One reading departs by 0.5 to 5 m from the mean of the two beside it."""
    value = one.value.copy()
    beside = value[at - 1] + (value[at + 1] - value[at - 1]) / 2.0
    value[at] = round(float(beside) + _sign(random) * _size(random, 1.0, 10.0) * max(0.5, _usual(one, at)), 3)
    return _changed(one, value)


def _step(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """The zero shifts by 0.5 to 3 m and stays there."""
    value = one.value.copy()
    value[at:] += _sign(random) * _size(random, 0.5, 3.0)
    return _changed(one, value)


def _flat(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """The sensor hangs for 12 to 36 h while the water moves by 5 cm at least."""
    value, part = one.value.copy(), _from(one, at, float(random.uniform(12, 36)) * HOUR)
    value[part] = value[at - 1]
    return _changed(one, value) if np.ptp(one.value[part]) >= 0.05 else None


def _attenuation(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """The well is choked: at most a tenth of what the water moves gets through, for 36 h in which it moves by 0.3 m at least."""
    value, part = one.value.copy(), _from(one, at, 36 * HOUR)
    value[part] = _as_read(one, value[at - 1] + (value[part] - value[at - 1]) * random.uniform(0.0, 0.1))
    return _changed(one, value) if np.ptp(one.value[part]) >= 0.3 else None


def _drift(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """Creeps away by 1 to 3 m in 36 h."""
    return _creep(random, one, at, 1.0)


def _creep(random: Random, one: Excerpt, at: int, least: float) -> Excerpt | None:
    value, part = one.value.copy(), _from(one, at, 36 * HOUR)
    value[part] += _sign(random) * _size(random, least, 3.0) * (one.time[part] - one.time[at]) / (36.0 * HOUR)
    return _changed(one, _as_read(one, value))


def _drift_twin(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """Creeps away by 0.3 to 3 m in 36 h, beside a second sensor that does not."""
    return _creep(random, one, at, 0.3)


def _noise(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """A burst of 6 to 24 readings with a standard deviation of 0.3 to 1 m."""
    value, many = one.value.copy(), int(random.integers(6, 25))
    deviation = _size(random, 1.0, 1.0 / 0.3) * max(0.3, _usual(one, at))
    value[at : at + many] += random.normal(0.0, deviation, len(value[at : at + many]))
    return _changed(one, _as_read(one, value))


def _gross(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """Beyond what is plausible by 0.1 to 100 m."""
    value = one.value.copy()
    beyond = _size(random, 0.1, 100.0)
    value[at] = limits.greatest + beyond if random.random() < 0.5 else limits.least - beyond
    return _changed(one, value)


def _sentinel(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """A number that means "nothing"."""
    value = one.value.copy()
    value[at] = random.choice(np.array(SENTINELS))
    return _changed(one, value)


def _gap(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """Nothing for 3 to 12 h."""
    end = int(np.searchsorted(one.time, one.time[at - 1] + random.uniform(3, 12) * HOUR))
    if end >= len(one.time):
        return None
    keep = np.ones(len(one.time), np.bool_)
    keep[at:end] = False
    show = np.zeros(len(one.time), np.bool_)
    show[end] = True
    return replace(one, time=one.time[keep], value=one.value[keep], received=one.received[keep], wrong=one.wrong[keep], show=show[keep])


def _rate(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """1.2 to 3 times as fast as the limit from one reading to the next, for two to four readings, and back."""
    value, many = one.value.copy(), int(random.integers(2, 5))
    hours = float(one.time[at] - one.time[at - 1]) / HOUR
    by = (limits.rise if random.random() < 0.5 else -limits.fall) * hours * _size(random, 1.2, 3.0)
    value[at : at + many] += by - (one.value[at] - one.value[at - 1])
    return _changed(one, value)


def _duplicates(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """One reading comes two to four times."""
    again = np.repeat(np.arange(len(one.time)), np.where(np.arange(len(one.time)) == at, int(random.integers(2, 5)), 1))
    wrong = np.append(False, again[1:] == again[:-1])
    return replace(one, time=one.time[again], value=one.value[again], received=one.received[again], wrong=wrong, show=wrong)


def _unit(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """From here on feet are written for metres, metres for feet, centimetres or millimetres for metres."""
    value = one.value.copy()
    value[at:] = np.round(value[at:] * random.choice((1 / FT, FT, 100.0, 1000.0), p=(0.35, 0.35, 0.2, 0.1)), 3)
    found = _changed(one, value)
    return found and replace(found, size=float(abs(value[at] - one.value[at])))


def _future(random: Random, one: Excerpt, at: int, limits: Limits) -> Excerpt | None:
    """The sensor's clock is 6 minutes to a day ahead for one reading."""
    time, wrong = one.time.copy(), np.zeros(len(one.time), np.bool_)
    time[at] += int(_size(random, 360.0, 86_400.0))
    wrong[at] = True
    return replace(one, time=time, wrong=wrong, show=wrong)


_RATES = (Cause.RATE_OF_RISE, Cause.RATE_OF_FALL)
_BEYOND = (Cause.GROSS_RANGE,)
KINDS: dict[str, Kind] = {
    "spike": Kind(_spike, 36, 6, (Cause.SPIKE, Cause.WRONG_UNIT, *_RATES, *_BEYOND)),
    "step": Kind(_step, 36, 12, (Cause.DATUM_SHIFT, Cause.WRONG_UNIT, *_BEYOND), True),
    "flat_line": Kind(_flat, 36, 36, (Cause.FLAT_LINE, Cause.ATTENUATED)),
    "attenuation": Kind(_attenuation, 72, 36, (Cause.ATTENUATED, Cause.FLAT_LINE), True),
    "drift": Kind(_drift, 72, 36, (Cause.NEIGHBOUR, *_BEYOND), True),
    "drift_twin": Kind(_drift_twin, 36, 36, (Cause.NEIGHBOUR, *_BEYOND)),
    "noise": Kind(_noise, 36, 24, (Cause.SPIKE, *_RATES, *_BEYOND)),
    "gross_range": Kind(_gross, 36, 6, _BEYOND),
    "sentinel": Kind(_sentinel, 36, 6, (Cause.SENTINEL,)),
    "gap": Kind(_gap, 36, 18, (Cause.GAP,)),
    "rate": Kind(_rate, 36, 6, (*_RATES, Cause.SPIKE, *_BEYOND)),
    "duplicates": Kind(_duplicates, 36, 6, (Cause.DUPLICATE,)),
    "wrong_unit": Kind(_unit, 36, 12, (Cause.WRONG_UNIT, Cause.DATUM_SHIFT, *_BEYOND), True),
    "future_clock": Kind(_future, 36, 6, (Cause.FUTURE,)),
}
