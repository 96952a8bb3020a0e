"""Fitting the model's intervals to one zone by what it would have said there lately.

The model forecasts again from past moments of the same record, sees only what was known then, and is compared with what
came. Its bounds are moved out or in until they would have held, less so where there is little to learn from: a zone with a
day of record gets the model as it is. The middle stays where it is: taking out recent bias was tried and made errors larger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.intensity import FloatArray
from forecast.model.features import HORIZON_HOURS
from forecast.scoring import MISS_SHARE, IntArray

STRIDE_HOURS = 37
"""Between past issues; it shares no factor with 24, so that every hour of day takes its turn."""

ISSUES = 56
"""Past issues looked at, which reach back 86 days."""

LEAD_BUCKETS = ((0, 4), (4, 12), (12, 24), (24, 48), (48, HORIZON_HOURS))
WIDTH_PRIOR_ISSUES = 15
WIDTH_LIMITS = (0.5, 3.0)
TINY = 1e-9  # gCO2e/kWh; keeps an interval without width from dividing by zero


@dataclass(frozen=True, slots=True)
class Correction:
    """Factors on the distance of the lower and the upper bound from the middle, per lead."""

    lower: FloatArray
    upper: FloatArray

    def apply(self, quantiles: FloatArray) -> FloatArray:
        """Corrected (n, 3, leads) of low, middle, high; order is kept and nothing falls below zero."""
        low, middle, high = quantiles[:, 0], quantiles[:, 1], quantiles[:, 2]
        corrected = np.stack([middle - self.lower * (middle - low), middle, middle + self.upper * (high - middle)], axis=1)
        return np.maximum(corrected, 0.0)


def past_origins(origin: int, first_possible: int) -> IntArray:
    """The hours at which to forecast again before `origin`, newest first, none before `first_possible`."""
    origins = origin - STRIDE_HOURS * np.arange(1, ISSUES + 1)
    return origins[origins >= first_possible]


def learn(quantiles: FloatArray, actual: FloatArray) -> Correction:
    """The correction that past forecasts (n, 3, leads) call for; `actual` (n, leads) is NaN where not known yet."""
    lower, upper = np.ones(HORIZON_HOURS), np.ones(HORIZON_HOURS)
    for first, end in LEAD_BUCKETS:
        low, middle, high = (quantiles[:, row, first:end] for row in range(3))
        error = actual[:, first:end] - middle
        known = np.isfinite(error)
        issues = int(known.any(axis=1).sum())
        if issues:
            lower[first:end] = _width_factor(-error[known] / np.maximum(middle - low, TINY)[known], issues)
            upper[first:end] = _width_factor(error[known] / np.maximum(high - middle, TINY)[known], issues)
    return Correction(lower, upper)


def _width_factor(overshoot: FloatArray, issues: int) -> float:
    """How far a half-width must move so that a tenth of the outcomes lies beyond it, shrunk towards 1."""
    factor = float(np.clip(np.quantile(overshoot, 1 - MISS_SHARE / 2), *WIDTH_LIMITS))
    return float(factor ** (issues / (issues + WIDTH_PRIOR_ISSUES)))
