"""Fitting the model to one zone by what it would have said there lately.

The model forecasts again from past moments of the same record, seeing only what was known then, and is compared with what came. Three
things are learnt from that, in this order: the share of the second opinion with which the middle would have erred least; how much of the
forecasts' way back to the zone's usual level to take back; and how far the bounds must move until a tenth of the outcomes lies beyond each.

All of it is shrunk where there is little to learn from: a zone with a day of record gets the model as it is. Recent bias is not taken out,
because that made errors larger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.intensity import FloatArray
from forecast.model.features import DAY_HOURS, HORIZON_HOURS
from forecast.scoring import MISS_SHARE, IntArray

STRIDE_HOURS = 37
"""Between past issues; it shares no factor with 24, so that every hour of day takes its turn."""

LIGHT_STRIDE_HOURS = 145
"""The same where the record is looked at anew for every forecast."""

ISSUES = 112
"""Past issues looked at, which reach back 172 days. With half as many, intervals score 0.7 % worse on the later days (second half of
2022)."""

NEWEST_ISSUES = 56
"""Of these, how many tell of the middle: what a share is worth and how long a level lasts change with the year. The worst zone then errs
0.5 % less in the first day than by all of them (second half of 2022)."""

LIGHT_ISSUES = 14
"""Past issues looked at where every forecast does so, at 14 of the 24 hours of day. With 21 in the same 85 days errors are 0.1 % less
and intervals score 0.1 % better (nine zones, all of 2022)."""

LEADS = (slice(0, 4), slice(4, 12), slice(12, 24), slice(24, 48), slice(48, HORIZON_HOURS))
"""Hours ahead that are corrected alike, and whose maps are weighed alike: together all of them, in order."""

SHARES = np.linspace(0.0, 1.0, 11)
USUAL_SHARE = 0.6
"""Of the second opinion, where nothing is known of it in the zone."""

HOLDS = np.linspace(-0.3, 0.9, 25)
USUAL_HOLD = 0.1
"""A grid that runs cleaner or dirtier than it used to returns to its former level later than years of record say, if at all. Judged by
the hours after the first day, where it shows, and applied to all: 21 of 27 zones err less for it, there by 0.6 %, in the first day by 0.3 %
(second half of 2022)."""

PRIOR_ISSUES = 40
"""As much as so many past issues weigh the usual share and the usual hold. With half as many, 17 of 27 zones err more on the later days,
and jobs planned once keep 0.1 % less of the saving (second half of 2022)."""

WIDTH_PRIOR_ISSUES = 15
"""The same of the widths. Twice as many score 0.1 % better, but where bounds hold most often, they hold 87 instead of 86 % (second half of
2022)."""

WIDTH_LIMITS = (0.5, 3.0)
TINY = 1e-9  # gCO2e/kWh; keeps an interval without width from dividing by zero, and equal shares from being told by their digits


@dataclass(frozen=True, slots=True)
class Correction:
    """Per lead: the share of the second opinion, and factors on the distance of the lower and the upper bound from the middle.
    `hold` is the share of the way that all hours go back to the level with which the forecast begins."""

    share: FloatArray
    hold: float
    lower: FloatArray
    upper: FloatArray

    def apply(self, opinions: FloatArray) -> FloatArray:
        """(n, 3, leads) of low, middle, high from `opinions` (n, 2, 3, leads), the same of the networks and of the second opinion.
        Order is kept and nothing falls below zero."""
        low, middle, high = _shared(opinions, self.share)
        held = middle + self.hold * _way_back(middle)
        corrected: FloatArray = np.stack([held - self.lower * (middle - low), held, held + self.upper * (high - middle)], axis=1)
        corrected.sort(axis=1)  # bounds without any width may pass the middle by their last digit
        return np.maximum(corrected, 0.0)


UNCORRECTED = Correction(np.full(HORIZON_HOURS, USUAL_SHARE), 0.0, np.ones(HORIZON_HOURS), np.ones(HORIZON_HOURS))


def past_origins(origin: int, first_possible: int, stride_hours: int = STRIDE_HOURS, issues: int = ISSUES) -> IntArray:
    """The `issues` hours at which to forecast again before `origin`, newest first, none before `first_possible`."""
    origins = origin - stride_hours * np.arange(1, issues + 1)
    return origins[origins >= first_possible]


def learn(opinions: FloatArray, actual: FloatArray) -> Correction:
    """The correction that past `opinions` (n, 2, 3, leads), newest first, call for; `actual` (n, leads) is NaN where not known yet."""
    if not np.isfinite(actual).any():
        return UNCORRECTED
    first, second = opinions[:, 0, 1], opinions[:, 1, 1]
    share, lower, upper = UNCORRECTED.share.copy(), UNCORRECTED.lower.copy(), UNCORRECTED.upper.copy()
    newest = slice(NEWEST_ISSUES)
    for leads in LEADS:
        share[leads] = _best_share((actual - first)[newest, leads], (second - first)[newest, leads], SHARES, USUAL_SHARE)
    low, middle, high = _shared(opinions, share)
    way, later = _way_back(middle), slice(DAY_HOURS, None)
    hold = _best_share((actual - middle)[newest, later], way[newest, later], HOLDS, USUAL_HOLD)
    left = actual - middle - hold * way
    for leads in LEADS:
        lower[leads] = _width_factor(-left[:, leads], (middle - low)[:, leads])
        upper[leads] = _width_factor(left[:, leads], (high - middle)[:, leads])
    return Correction(share, hold, lower, upper)


def _shared(opinions: FloatArray, share: FloatArray) -> FloatArray:
    """(3, n, leads): low, middle, high where the second of `opinions` (n, 2, 3, leads) counts `share` (leads)."""
    first, second = opinions[:, 0], opinions[:, 1]
    shared: FloatArray = first + share * (second - first)
    return shared.transpose(1, 0, 2)


def _way_back(middle: FloatArray) -> FloatArray:
    """(n, leads): how far the level with which a forecast begins lies above that around each hour. A level is the mean of the day
    around; the one of the first hours continues the way from the first day ahead to the second."""
    sums = np.cumsum(np.pad(middle, ((0, 0), (1, 0))), axis=1)
    means = (sums[:, DAY_HOURS:] - sums[:, :-DAY_HOURS]) / DAY_HOURS
    since_noon = np.arange(middle.shape[1]) - DAY_HOURS // 2
    level = means[:, np.clip(since_noon, 0, means.shape[1] - 1)]
    level += np.minimum(since_noon, 0) / DAY_HOURS * (means[:, DAY_HOURS : DAY_HOURS + 1] - means[:, :1])
    way: FloatArray = level[:, :1] - level
    return way


def _best_share(error: FloatArray, move: FloatArray, shares: FloatArray, usual: float) -> float:
    """The one of `shares` of `move` (issues, leads) with which `error` would have been least, drawn to the `usual` one.

    PRIOR_ISSUES weigh as much as so many issues that miss by the move times the squared distance from the usual share.
    """
    known = np.isfinite(error)
    issues = int(known.any(axis=1).sum())
    if not issues:
        return usual
    error, move = error[known], move[known]
    misses = np.array([np.abs(error - share * move).mean() for share in shares])
    prior = PRIOR_ISSUES / issues * max(np.abs(move).mean(), TINY) * np.square(shares - usual)
    return float(shares[np.argmin(misses + prior)])


def _width_factor(beyond: FloatArray, width: FloatArray) -> float:
    """How far a half-`width` must move so that a tenth of the outcomes (issues, leads) lies `beyond` it, shrunk towards 1."""
    known = np.isfinite(beyond)
    issues = int(known.any(axis=1).sum())
    if not issues:
        return 1.0
    overshoot = beyond[known] / np.maximum(width[known], TINY)
    factor = float(np.clip(np.quantile(overshoot, 1 - MISS_SHARE / 2), *WIDTH_LIMITS))
    return float(factor ** (issues / (issues + WIDTH_PRIOR_ISSUES)))
