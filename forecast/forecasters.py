"""Forecasters: recorded history in, a forecast out. The first of them is the mean of the same hour on the last seven days.

It works from one recorded day and is a mark to beat: on 26 of 27 zones in 2023 its mean absolute error lies within a third
of that of the value 24 h ago.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from forecast.grid import Grid, regrid
from forecast.intensity import FloatArray, Rung, Series, Vintage
from forecast.timeline import HOUR, as_utc, floor_to

DAY_HOURS = 24
DAYS = 7
MINIMUM_HOURS = 24

COLD_LOW, COLD_HIGH = 0.6, 1.6
"""Bounds relative to the mean while there are no residuals to learn from: 10 % and 90 % quantiles of the ratio between an hour
and the same hour three days before are 0.61 and 1.62 on the more volatile quarter of 27 zones, 2021-2023."""

_MINIMUM_RESIDUALS = 48
_SMALLEST_G_PER_KWH = 0.01  # the resolution of our sources; a ratio to less says nothing


class InsufficientHistory(ValueError):
    """There are not enough recent values to forecast from. `hours` says how many of the last `days` there are."""

    def __init__(self, zone: str, hours: int, days: int) -> None:
        super().__init__(f"{zone}: {hours} recorded hours in the last {days} days, at least {MINIMUM_HOURS} are needed to forecast")
        self.hours = hours


class Archive(Protocol):
    """Where a forecaster may look further back, and at other zones."""

    @property
    def zones(self) -> Collection[str]:
        """The zones that are recorded."""

    def history(self, zone: str, start: datetime, end: datetime) -> Series | None:
        """The sound recorded hours that touch [start, end), None where there are none at all."""


class Forecaster(Protocol):
    """Anything that turns recorded history into a forecast."""

    def forecast(self, history: Series, now: datetime, horizon: timedelta, archive: Archive | None = None) -> Vintage:
        """A forecast issued at `now` that covers at least [the hour of now, now + horizon).

        `history` is the zone's own recent record. Uses nothing that starts after `now`, whatever is recorded. Raises InsufficientHistory.
        It never waits for `learn`.
        """
        ...

    def learn(self, history: Series, now: datetime, archive: Archive) -> bool:
        """Learn what takes long, where that is due for the zone of `history`; later forecasts go by it. Any thread may call it meanwhile.

        True where forecasts lacked it until now. Raises InsufficientHistory.
        """
        ...


@dataclass(frozen=True, slots=True)
class SevenDayMean:
    """The mean of the same UTC hour on the days recorded within the last seven, with 80 % bounds from its own past residuals.

    Starts at the first hour after the newest recorded value (at most seven days back), so that the publication lag is covered too.
    """

    def forecast(self, history: Series, now: datetime, horizon: timedelta, archive: Archive | None = None) -> Vintage:
        """Seven days of `history` are all that counts here."""
        now = as_utc(now)
        this_hour = floor_to(now, HOUR)
        known_until = this_hour + HOUR
        past = _hours_before(history, known_until)
        window = past[-DAYS * DAY_HOURS :]
        recorded = np.flatnonzero(~np.isnan(window))
        if len(recorded) < MINIMUM_HOURS:
            raise InsufficientHistory(history.zone, len(recorded), DAYS)
        window_start = known_until - DAYS * DAY_HOURS * HOUR
        start = min(this_hour, window_start + (int(recorded[-1]) + 1) * HOUR)
        hours = (start - window_start) // HOUR + np.arange(-((start - now - horizon) // HOUR))
        values = _fill_hours(_hourly_pattern(window))[hours % DAY_HOURS]
        lead_days = np.maximum(0, hours - len(window)) // DAY_HOURS + 1
        low, high = _bounds(past, values, lead_days)
        return Vintage(history.zone, history.kind, "seven-day mean", Rung.OWN_FORECAST, now, now, start, HOUR, values, low, high)

    def learn(self, history: Series, now: datetime, archive: Archive) -> bool:
        """There is nothing to learn."""
        return False


def _hours_before(history: Series, end: datetime, days: int = 5 * DAYS) -> FloatArray:
    """Hourly values of the `days` days before `end`, NaN where unknown. Five weeks are enough to learn residuals from."""
    return regrid(history.values, history.start, history.step, Grid(end - timedelta(days=days), HOUR, days * DAY_HOURS))


def _hourly_pattern(window: FloatArray) -> FloatArray:
    """Mean over the days of each hour of the day, counted from the window's first hour; NaN where no day has it."""
    days = window.reshape(-1, DAY_HOURS)
    counts = (~np.isnan(days)).sum(axis=0)
    pattern: FloatArray = np.divide(np.nansum(days, axis=0), counts, out=np.full(DAY_HOURS, np.nan), where=counts > 0)
    return pattern


def _fill_hours(pattern: FloatArray) -> FloatArray:
    """The daily pattern with unknown hours drawn as a straight line (around midnight) between the known ones."""
    known = np.flatnonzero(~np.isnan(pattern))
    return np.interp(np.arange(DAY_HOURS), known, pattern[known], period=DAY_HOURS)


def _bounds(past: FloatArray, values: FloatArray, lead_days: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Central 80 % bounds: quantiles of (outcome / forecast) at each lead in days, never narrower at a longer lead."""
    low_ratio, high_ratio = np.ones(DAYS), np.ones(DAYS)
    for day in range(1, DAYS + 1):
        ratios = _past_ratios(past, day)
        quantiles = np.quantile(ratios, (0.1, 0.9)) if len(ratios) >= _MINIMUM_RESIDUALS else (COLD_LOW, COLD_HIGH)
        low_ratio[day - 1], high_ratio[day - 1] = min(quantiles[0], 1.0), max(quantiles[1], 1.0)
    low_ratio, high_ratio = np.minimum.accumulate(low_ratio), np.maximum.accumulate(high_ratio)
    index = np.minimum(lead_days, DAYS) - 1
    return values * low_ratio[index], values * high_ratio[index]


def _past_ratios(past: FloatArray, lead_days: int) -> FloatArray:
    """Outcome / forecast of this forecaster in the past at a lead of `lead_days`, where both are known and the forecast is no zero."""
    days = past.reshape(-1, DAY_HOURS)
    outcomes = np.arange(lead_days, len(days))
    newest = outcomes - lead_days + 1
    oldest = np.maximum(0, newest - DAYS)
    sums, counts = _cumulated(np.nan_to_num(days)), _cumulated(~np.isnan(days))
    forecast_sums, known = sums[newest] - sums[oldest], counts[newest] - counts[oldest]
    forecasts = np.divide(forecast_sums, known, out=np.full(known.shape, np.nan), where=known > 0)
    ratios: FloatArray = np.divide(days[outcomes], forecasts, out=np.full(known.shape, np.nan), where=forecasts >= _SMALLEST_G_PER_KWH)
    return np.asarray(ratios[~np.isnan(ratios)], dtype=np.float64)


def _cumulated(days: NDArray[np.float64] | NDArray[np.bool_]) -> FloatArray:
    """Sums over the first 0, 1, 2, ... days, for each hour of the day."""
    sums = np.zeros((len(days) + 1, DAY_HOURS))
    np.cumsum(days, axis=0, out=sums[1:])
    return sums
