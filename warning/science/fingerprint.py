"""The fingerprint of the decision code: what it makes of a fixed input, bit for bit.

NumPy's results may differ between CPUs and versions. Two workers with the same fingerprint give the same documents for the same
log; with different ones a take-over goes by the rules for changed code.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

from warning.science import flashflood, forecast, hazard, heat, identity, normal, qc, routing, windows

VERSION = "4"  # raise it with every change of a decision that the fixed input below does not show


@functools.cache
def fingerprint() -> str:
    """Sixteen hex digits over the results of windows, trend, routing, probabilities, heat and flash flood on fixed numbers."""
    series, n = 7, 400
    numbers = np.array([(1_103_515_245 * (k + 1) + 12_345) % 2_147_483_648 for k in range(n)], np.int64)
    row = np.sort(numbers % series).astype(np.intp)
    time_s = 1_750_000_000 + np.arange(n, dtype=np.int64) * 307
    value = (numbers % 9973) / 7.0
    fields = {**qc.FIELDS, **identity.FIELDS, **windows.FIELDS, **routing.FIELDS}
    arrays = {name: np.zeros((series, *shape), dtype) for name, (dtype, shape) in fields.items()}
    for change in windows.fold(arrays, row, time_s, value, np.full(n, int(time_s[-1]))):
        for name, values in change.fields.items():
            arrays[name][change.row, change.slot] = values
    for name, index, values in routing.remember(arrays, row, time_s, value):
        arrays[name][index] = values
    line = forecast.trend(arrays, np.arange(series), int(time_s[-1]), 21_600, 2)
    limits = np.tile(np.array([200.0, 400.0, 800.0, 1000.0, 1300.0]), (series, 1))
    resolution = np.full(series, 0.1)
    chance = normal.exceedance(value[:, None], np.full((n, 1), 33.0), limits[:1])
    digest = hashlib.blake2b(VERSION.encode(), digest_size=8)
    features = windows.features(arrays, np.arange(series), int(time_s[-1]))
    parts = [line.slope, line.sigma, chance, hazard.rank(arrays["w_max"][:, 3].astype(np.float64), limits, resolution)]
    warm, damp = value / 30.0, value % 95.0 + 5.0
    rain = np.stack((value / 40.0, value / 20.0, value / 15.0), axis=1)
    flash = flashflood.judge(rain, value / 12.0, 40.0 + value % 55.0, rain[::-1] + 1.0)
    parts += [heat.heat_index(warm, damp), heat.wet_bulb(warm, damp), flash.ratio, flash.threshold]
    for part in parts + [values for window in features.values() for values in window.values()]:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
