"""What heat does to people: heat index and wet-bulb temperature from air temperature and relative humidity.

Temperatures in degC, relative humidity in %; arrays of equal shape; NaN in, NaN out. Results are rounded to 0.1 by whoever compares them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.science.normal import arctan

Values = NDArray[np.float64]

WET_BULB_COLDEST, WET_BULB_HOTTEST = -20.0, 55.0
WET_BULB_DRIEST, WET_BULB_DAMPEST = 5.0, 99.0


def heat_index(temperature: NDArray[Any], humidity: NDArray[Any]) -> Values:
    """Heat index in degC, as the U.S. National Weather Service computes it.

    The regression of Rothfusz (NWS Technical Attachment SR 90-23, 1990) on the tables of Steadman (J. Appl. Meteorol. 18, 1979), with
    the Weather Prediction Center's two adjustments: less below 13 % humidity (80 to 112 degF), more above 85 % (80 to 87 degF). Where
    Steadman's simple formula, averaged with the temperature, stays below 80 degF, that average is the index. Shade and a light wind are
    assumed; full sun adds up to 8 degC. Beyond Steadman's tables (an index above some 55 degC) the number is too high and means no more
    than "beyond".
    """
    t, rh = np.asarray(temperature, np.float64) * 1.8 + 32.0, np.asarray(humidity, np.float64)
    simple = 0.5 * (t + 0.5 * (t + 61.0 + (t - 68.0) * 1.2 + rh * 0.094))
    full = (
        -42.379
        + 2.04901523 * t
        + 10.14333127 * rh
        - 0.22475541 * t * rh
        - 0.00683783 * t * t
        - 0.05481717 * rh * rh
        + 0.00122874 * t * t * rh
        + 0.00085282 * t * rh * rh
        - 0.00000199 * t * t * rh * rh
    )
    dry = (rh < 13.0) & (t >= 80.0) & (t <= 112.0)
    less = (13.0 - rh) / 4.0 * np.sqrt(np.maximum(17.0 - np.abs(t - 95.0), 0.0) / 17.0)
    damp = (rh > 85.0) & (t >= 80.0) & (t <= 87.0)
    more = (rh - 85.0) / 10.0 * (87.0 - t) / 5.0
    full = full - np.where(dry, less, 0.0) + np.where(damp, more, 0.0)
    return np.asarray((np.where(simple < 80.0, simple, full) - 32.0) / 1.8)


def wet_bulb(temperature: NDArray[Any], humidity: NDArray[Any]) -> Values:
    """Wet-bulb temperature in degC at sea level: Stull, J. Appl. Meteorol. Climatol. 50, 2011, eq. 1.

    Published for 5 to 99 % and -20 to 50 degC, with errors of -1 to +0.65 degC. Humidity beyond counts as 5 or 99 %. It is used up to
    55 degC, for the corridor has seen 53: there it is within 0.9 degC of the psychrometric equation. Colder and hotter: NaN, which is
    UNKNOWN and no "normal".
    """
    t = np.asarray(temperature, np.float64)
    rh = np.clip(np.asarray(humidity, np.float64), WET_BULB_DRIEST, WET_BULB_DAMPEST)
    found = (
        t * arctan(0.151977 * np.sqrt(rh + 8.313659))
        + arctan(t + rh)
        - arctan(rh - 1.676331)
        + 0.00391838 * rh * np.sqrt(rh) * arctan(0.023101 * rh)
        - 4.686035
    )
    return np.where((t >= WET_BULB_COLDEST) & (t <= WET_BULB_HOTTEST), found, np.nan)
