"""Units of rain in grid files, in the spellings that are about, as mm."""

from __future__ import annotations

import re
from dataclasses import dataclass

from warning.errors import InputError

_WORDS = {"hr": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "sec": "s", "second": "s", "seconds": "s"}
_WORDS |= {"metre": "m", "meter": "m", "metres": "m", "meters": "m", "millimeter": "mm", "millimetre": "mm", "millimeters": "mm"}
_WORDS |= {"millimetres": "mm", "inch": "in", "inches": "in"}
# What a unit is: an amount in mm (1 kg of water on a square metre is 1 mm), a rate in mm/s.
_AMOUNTS = {"mm": 1.0, "kg m-2": 1.0, "m": 1000.0, "cm": 10.0, "in": 25.4}
_SECONDS = {"s-1": 1.0, "h-1": 3600.0, "d-1": 86_400.0}
_TOKEN = re.compile(r"(/?)\s*([a-z]+)\s*(-?\d+)?")


@dataclass(frozen=True, slots=True)
class Unit:
    """``to_mm``: mm in one, or mm/s where it is a ``rate``."""

    to_mm: float
    rate: bool


def unit(variable: str, words: str) -> Unit:
    """The unit that ``words`` name. Raises InputError with those that are known."""
    name = _normal(words)
    if name in _AMOUNTS:
        return Unit(_AMOUNTS[name], False)
    amount, _, per = name.rpartition(" ")
    if amount in _AMOUNTS and per in _SECONDS:
        return Unit(_AMOUNTS[amount] / _SECONDS[per], True)
    known = "mm, m, cm, in, kg m-2; mm/h, mm/day, m/s, kg m-2 s-1"
    raise InputError(
        f"{variable}:units: {words!r} is no unit of rain that is known",
        reason="grid",
        field=f"{variable}:units",
        fix=f"one of {known}: --units",
    )


def _normal(words: str) -> str:
    """``kg/m2/s``, ``kg m**-2 s**-1`` -> ``kg m-2 s-1``; ``mm/hr`` -> ``mm h-1``."""
    lower = words.strip().lower().replace("**", "").replace("^", "").removesuffix("of water equivalent")
    tokens = []
    place = 0
    for match in _TOKEN.finditer(lower):
        if lower[place : match.start()].strip(" .*"):
            return lower
        place = match.end()
        power = int(match[3] or 1) * (-1 if match[1] else 1)
        tokens.append(_WORDS.get(match[2], match[2]) + ("" if power == 1 else str(power)))
    return " ".join(tokens) if not lower[place:].strip() else lower
