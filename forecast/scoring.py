"""How good a forecast was: errors, interval scores and the simple forecasts every other one stands beside.

All functions work on many issues at once. `values` is one zone's hourly record in gCO2e/kWh (NaN where missing);
an *origin* is the index of the first hour forecast, so the last hour known at the origin is `origin - 1 - delay_hours`.
Forecast arrays are shaped (origins, leads); lead 1 is the hour of the origin itself. Pairs with a missing side are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from forecast.intensity import FloatArray

IntArray = NDArray[np.int64]

MISS_SHARE = 0.2  # a central 80 % interval is missed one time in five
DAY_HOURS = 24


class NothingKnown(ValueError):
    """Scores were asked for where the record has no value, or too few in a row."""


@dataclass(frozen=True, slots=True)
class PointScores:
    """Errors of a point forecast: `mae` and `bias` (forecast minus actual) in gCO2e/kWh, `mape` as a share, over `count` pairs."""

    mae: float
    mape: float
    bias: float
    count: int


@dataclass(frozen=True, slots=True)
class IntervalScores:
    """How good central 80 % intervals were: `coverage` as a share; `pinball` (mean of both bounds) and `winkler` in gCO2e/kWh."""

    coverage: float
    pinball: float
    winkler: float
    count: int


def targets(values: FloatArray, origins: IntArray, horizon: int) -> FloatArray:
    """What really came: (origins, horizon). Hours past the end of the record are NaN."""
    padded = np.concatenate([values, np.full(horizon, np.nan)])
    windows: FloatArray = sliding_window_view(padded, horizon)[origins]
    return windows


def persistence(values: FloatArray, origins: IntArray, horizon: int, period_hours: int = DAY_HOURS, delay_hours: int = 0) -> FloatArray:
    """The newest known value at the same phase of the period: the same hour yesterday (24), or a week ago (168)."""
    leads = np.arange(1, horizon + 1)
    periods_back = -(-(leads + delay_hours) // period_hours)
    return _take(values, origins[:, None] + leads - 1 - period_hours * periods_back)


def same_hour_mean(values: FloatArray, origins: IntArray, horizon: int, days: int = 7, delay_hours: int = 0) -> FloatArray:
    """The mean of the same hour of day over the newest `days` known days."""
    leads = np.arange(1, horizon + 1)
    newest = origins[:, None] + leads - 1 - DAY_HOURS * -(-(leads + delay_hours) // DAY_HOURS)
    return np.asarray(np.mean([_take(values, newest - DAY_HOURS * day) for day in range(days)], axis=0))


def _take(values: FloatArray, indices: IntArray) -> FloatArray:
    """`values` at `indices`, NaN before its beginning."""
    return np.where(indices >= 0, values[np.maximum(indices, 0)], np.nan)


def trailing_interval(
    values: FloatArray, origins: IntArray, forecast: FloatArray, all_forecasts: FloatArray, days: int = 28
) -> tuple[FloatArray, FloatArray]:
    """Central 80 % bounds for `forecast` from the errors the same method made on the `days` before each origin.

    `all_forecasts` is the method's forecast issued at every hour of `values`. An error enters only once its hour is past;
    the quantiles are renewed once a day. Raises ValueError if less than `days` plus the horizon lie before an origin's day.
    """
    horizon, hours = forecast.shape[1], days * DAY_HOURS
    dawns, day_of_origin = np.unique(origins // DAY_HOURS * DAY_HOURS, return_inverse=True)
    if origins.size and int(dawns[0]) < hours + horizon:
        raise ValueError(f"trailing intervals need {hours + horizon} hours before the first origin's day, got {int(dawns[0])}")
    errors = targets(values, np.arange(len(values)), horizon) - all_forecasts
    low, high = np.empty_like(forecast), np.empty_like(forecast)
    for lead in range(1, horizon + 1):
        past = sliding_window_view(errors[:, lead - 1], hours)[dawns - lead - hours + 1]
        bounds = _central(past)
        low[:, lead - 1], high[:, lead - 1] = forecast[:, lead - 1] + bounds[:, day_of_origin]
    return low, high


def _central(errors: FloatArray) -> FloatArray:
    """Both ends of the central 80 % of each row; NaN for a row without any known error."""
    ends = [MISS_SHARE / 2, 1 - MISS_SHARE / 2]
    missing = np.isnan(errors)
    if not missing.any():
        return np.quantile(errors, ends, axis=1)
    known = ~missing.all(axis=1)
    bounds = np.full((len(ends), len(errors)), np.nan)
    # nanquantile walks row by row; it is only worth its time where an hour is missing.
    bounds[:, known] = np.nanquantile(errors[known], ends, axis=1)
    return bounds


def point_scores(actual: FloatArray, forecast: FloatArray) -> PointScores:
    """MAE, MAPE and bias over all pairs where both sides are known. Raises NothingKnown if there is none."""
    known = np.isfinite(actual) & np.isfinite(forecast)
    if not known.any():
        raise NothingKnown("no hour has both a forecast and a measured value")
    error = (forecast - actual)[known]
    truth = actual[known]
    positive = truth > 0
    mape = float(np.mean(np.abs(error[positive]) / truth[positive])) if positive.any() else float("nan")
    return PointScores(float(np.abs(error).mean()), mape, float(error.mean()), int(known.sum()))


def interval_scores(actual: FloatArray, low: FloatArray, high: FloatArray) -> IntervalScores:
    """Coverage, pinball loss of both bounds and Winkler score (Winkler 1972) of central 80 % intervals.

    Raises NothingKnown if no hour has both bounds and a measured value.
    """
    known = np.isfinite(actual) & np.isfinite(low) & np.isfinite(high)
    if not known.any():
        raise NothingKnown("no hour has both an interval and a measured value")
    truth, bottom, top = actual[known], low[known], high[known]
    outside = np.maximum(bottom - truth, 0) + np.maximum(truth - top, 0)
    winkler = float(np.mean(top - bottom + 2 / MISS_SHARE * outside))
    pinball = (pinball_loss(truth, bottom, MISS_SHARE / 2) + pinball_loss(truth, top, 1 - MISS_SHARE / 2)) / 2
    return IntervalScores(float(np.mean((truth >= bottom) & (truth <= top))), pinball, winkler, int(known.sum()))


def pinball_loss(actual: FloatArray, quantile_forecast: FloatArray, quantile: float) -> float:
    """The mean loss that the true `quantile` minimises, in gCO2e/kWh."""
    error = actual - quantile_forecast
    return float(np.mean(np.maximum(quantile * error, (quantile - 1) * error)))
