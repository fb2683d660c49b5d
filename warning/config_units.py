"""Units that people write, and what they are in SI. Configuration time and the edges only: nothing inside the system converts."""

from __future__ import annotations

import difflib
import re

CUSEC = 0.028316846592  # m3/s in a cubic foot a second: 0.3048 ** 3, exactly
FOOT = 0.3048

_LENGTH = {"m": 1.0, "cm": 0.01, "mm": 0.001, "km": 1000.0, "ft": FOOT, "in": 0.0254}
_DISCHARGE = {"m3/s": 1.0, "cumec": 1.0, "cusec": CUSEC, "cfs": CUSEC, "ft3/s": CUSEC, "kcfs": 1000 * CUSEC, "l/s": 0.001}
_RAIN = {"mm": 1.0, "cm": 10.0, "in": 25.4}
_TEMPERATURE = {"degC": 1.0, "degF": 5.0 / 9.0, "K": 1.0}
_HUMIDITY = {"%": 1.0}
_RATIO = {"1": 1.0, "%": 0.01}
_TIME = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BY_QUANTITY = {"stage": _LENGTH, "discharge": _DISCHARGE, "rain": _RAIN, "temperature": _TEMPERATURE, "humidity": _HUMIDITY}
_BY_QUANTITY |= {"ratio": _RATIO, "length": _LENGTH, "time": _TIME}
_ZERO = {"degF": -32.0 * 5.0 / 9.0, "K": -273.15}  # what 0 of the unit is in degC
_SPELLINGS = {"m³/s": "m3/s", "m^3/s": "m3/s", "cumecs": "cumec", "cusecs": "cusec", "feet": "ft", "foot": "ft", "hour": "h", "hours": "h"}
_SPELLINGS |= {"day": "d", "days": "d", "minute": "min", "minutes": "min", "metre": "m", "metres": "m", "inch": "in"}
_SPELLINGS |= {"C": "degC", "°C": "degC", "celsius": "degC", "F": "degF", "°F": "degF", "fahrenheit": "degF", "kelvin": "K", "percent": "%"}

_AMOUNT = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*(\S+)\s*")


def units_of(quantity: str) -> tuple[str, ...]:
    """The unit names that are known for stage, discharge, rain, temperature, humidity, ratio, length or time."""
    return tuple(_BY_QUANTITY[quantity])


def factor(unit: str, quantity: str) -> float:
    """What one ``unit`` is in the quantity's unit inside the system (m, m3/s, mm of rain, degC, %, s).

    Of a temperature this is a difference; ``zero`` says where its scale begins. Raises ValueError that names the units which are known.
    """
    table = _BY_QUANTITY[quantity]
    name = _SPELLINGS.get(unit, unit)
    if name in table:
        return table[name]
    guess = difflib.get_close_matches(unit.lower(), table, n=1)
    hint = f"did you mean {guess[0]}? " if guess else ""
    raise ValueError(f"unknown unit {unit!r} for {quantity}; {hint}known: {', '.join(table)}")


def zero(unit: str) -> float:
    """What 0 of the unit is inside the system: not 0 for degrees Fahrenheit and Kelvin only."""
    return _ZERO.get(_SPELLINGS.get(unit, unit), 0.0)


def to_si(value: float, unit: str, quantity: str) -> float:
    """``value`` in the quantity's unit inside the system (m, m3/s, mm of rain, degC, %, s). Raises ValueError for an unknown unit."""
    return value * factor(unit, quantity) + zero(unit)


def amount(text: object, quantity: str) -> float:
    """A number with its unit, such as ``60 min`` or ``12 km``, in SI. Raises ValueError for anything else."""
    match = _AMOUNT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a number with its unit ({', '.join(_BY_QUANTITY[quantity])}), such as {_EXAMPLE[quantity]}")
    return float(match[1]) * factor(match[2], quantity)  # of a temperature a difference, such as a margin


_EXAMPLE = {"time": "60 min", "length": "12 km", "stage": "0.10 m", "discharge": "500000 cusec", "rain": "20 mm", "temperature": "1 degC"}
