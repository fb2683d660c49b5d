"""The units that senders use, as factors to SI (m, m3/s, mm). One table: an unknown spelling is an error, never a guess."""

from __future__ import annotations

from collections.abc import Mapping

# 1 ft = 0.3048 m exactly (international foot, 1959); hence 1 cusec = 0.3048 ** 3 m3/s = 0.028316846592 m3/s.
_CUBIC_FOOT = 0.028316846592

STAGE: Mapping[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001, "ft": 0.3048, "in": 0.0254}
DISCHARGE: Mapping[str, float] = {
    "m3/s": 1.0,
    "m³/s": 1.0,
    "m^3/s": 1.0,
    "cumec": 1.0,
    "cumecs": 1.0,
    "l/s": 0.001,
    "cusec": _CUBIC_FOOT,
    "cusecs": _CUBIC_FOOT,
    "ft3/s": _CUBIC_FOOT,
    "cfs": _CUBIC_FOOT,
}
RAIN: Mapping[str, float] = {"mm": 1.0, "cm": 10.0, "in": 25.4}

BY_QUANTITY: Mapping[str, Mapping[str, float]] = {"stage": STAGE, "discharge": DISCHARGE, "rain": RAIN}
ALL = frozenset(STAGE) | frozenset(DISCHARGE) | frozenset(RAIN)
