"""Fitting the model to one zone by what it would have said there lately.

The model forecasts again from past moments of the same record, sees only what was known then, and is compared with what
came. The second opinion gets the share with which the middle would have erred least; then the bounds are moved out or in until they
would have held. Both less so where there is little to learn from: a zone with a day of record gets the model as it is. Apart from the
share the middle stays where it is: taking out recent bias was tried and made errors larger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.intensity import FloatArray
from forecast.model.features import HORIZON_HOURS
from forecast.scoring import MISS_SHARE, IntArray

STRIDE_HOURS = 37
"""Between past issues; it shares no factor with 24, so that every hour of day takes its turn."""

LIGHT_STRIDE_HOURS = 73
"""The same where the record is short and is looked at anew for every forecast."""

ISSUES = 112
"""Past issues looked at, which reach back 172 days. Half as many leave the Winkler score of the later days 0.7 % worse (second half
of 2022)."""

LEAD_BUCKETS = ((0, 4), (4, 12), (12, 24), (24, 48), (48, HORIZON_HOURS))
SHARES = np.linspace(0.0, 1.0, 11)
USUAL_SHARE = 0.6
"""Of the second opinion, where nothing is known of it in the zone."""

SHARE_PRIOR_ISSUES = 30
WIDTH_PRIOR_ISSUES = 30
WIDTH_LIMITS = (0.5, 3.0)
TINY = 1e-9  # gCO2e/kWh; keeps an interval without width from dividing by zero


@dataclass(frozen=True, slots=True)
class Correction:
    """Per lead: the share of the second opinion, and factors on the distance of the lower and the upper bound from the middle."""

    share: FloatArray
    lower: FloatArray
    upper: FloatArray

    def apply(self, opinions: FloatArray) -> FloatArray:
        """(n, 3, leads) of low, middle, high from `opinions` (n, 4, leads), whose fourth row is what the second opinion would move
        the others by. Order is kept and nothing falls below zero."""
        low, middle, high = (opinions[:, row] for row in range(3))
        moved = middle + self.share * opinions[:, 3]
        corrected = np.stack([moved - self.lower * (middle - low), moved, moved + self.upper * (high - middle)], axis=1)
        return np.maximum(corrected, 0.0)


UNCORRECTED = Correction(np.full(HORIZON_HOURS, USUAL_SHARE), np.ones(HORIZON_HOURS), np.ones(HORIZON_HOURS))


def past_origins(origin: int, first_possible: int, stride_hours: int = STRIDE_HOURS) -> IntArray:
    """The hours at which to forecast again before `origin`, newest first, none before `first_possible`."""
    origins = origin - stride_hours * np.arange(1, ISSUES + 1)
    return origins[origins >= first_possible]


def learn(opinions: FloatArray, actual: FloatArray) -> Correction:
    """The correction that past `opinions` (n, 4, leads) call for; `actual` (n, leads) is NaN where not known yet."""
    share, lower, upper = UNCORRECTED.share.copy(), UNCORRECTED.lower.copy(), UNCORRECTED.upper.copy()
    for first, end in LEAD_BUCKETS:
        low, middle, high, move = (opinions[:, row, first:end] for row in range(4))
        error = actual[:, first:end] - middle
        known = np.isfinite(error)
        issues = int(known.any(axis=1).sum())
        if issues:
            share[first:end] = best = _best_share(error[known], move[known], issues)
            left = (error - best * move)[known]
            lower[first:end] = _width_factor(-left / np.maximum(middle - low, TINY)[known], issues)
            upper[first:end] = _width_factor(left / np.maximum(high - middle, TINY)[known], issues)
    return Correction(share, lower, upper)


def _best_share(error: FloatArray, move: FloatArray, issues: int) -> float:
    """The share of `move` with which `error` would have been least, drawn to the usual one.

    SHARE_PRIOR_ISSUES weigh as much as so many issues that miss by the move times the squared distance from the usual share.
    """
    misses = np.array([np.abs(error - share * move).mean() for share in SHARES])
    prior = SHARE_PRIOR_ISSUES / issues * np.abs(move).mean() * np.square(SHARES - USUAL_SHARE)
    return float(SHARES[np.argmin(misses + prior)])


def _width_factor(overshoot: FloatArray, issues: int) -> float:
    """How far a half-width must move so that a tenth of the outcomes lies beyond it, shrunk towards 1."""
    factor = float(np.clip(np.quantile(overshoot, 1 - MISS_SHARE / 2), *WIDTH_LIMITS))
    return float(factor ** (issues / (issues + WIDTH_PRIOR_ISSUES)))
