"""How sure, in words: the calibrated terms of the IPCC; and when, with its range.

Mastrandrea et al., Guidance Note for Lead Authors of the IPCC Fifth Assessment Report on Consistent Treatment of Uncertainties (2010),
table 1 with its additional "more likely than not", each range without the one above it, as in the Fourth Assessment Report. The WMO's
Guidelines on Communicating Forecast Uncertainty (WMO/TD-No. 1422, 2008) ask for such a scale, fixed and published.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# From this probability on; the word is the key of the texts.
TERMS = (
    (0.99, "virtually_certain"),
    (0.90, "very_likely"),
    (0.66, "likely"),
    (0.50, "more_likely_than_not"),
    (0.33, "about_as_likely_as_not"),
    (0.10, "unlikely"),
    (0.01, "very_unlikely"),
    (0.0, "exceptionally_unlikely"),
)
EARLY, LATE = 0.1, 0.9  # the limit is reached between these in eight cases of ten


def term(probability: float) -> str:
    """The word for a probability in 0 .. 1."""
    return next((word for least, word in TERMS if probability >= least), TERMS[-1][1])


def span_s(chance: NDArray[Any], knot_s: NDArray[np.int64]) -> tuple[int, int]:
    """When the limit is reached with probability EARLY and with LATE, s since 1970; 0: not with that probability within the forecast.

    ``chance`` (L,): of being above the limit at the times ``knot_s`` (L,), NaN: unknown. Whoever was above it has reached it, so the
    chance of having reached it never falls.
    """
    reached = np.maximum.accumulate(np.where(np.isnan(chance), 0.0, chance)) if len(chance) else np.zeros(1)
    found = [int(knot_s[int((reached >= wanted).argmax())]) if reached[-1] >= wanted else 0 for wanted in (EARLY, LATE)]
    return found[0], found[1]
