"""A synthetic vendor forecast for replays: what came, drifting towards the usual day, with an error that grows with the lead.

Not a recording: the provider keeps no historical forecasts. Value at lead h (hours):
`(w * truth + (1 - w) * seven_day_mean) * exp(e)`, w = exp(-h / 60), e an AR(1) series (0.9 an hour) of standard deviation
0.04 + 0.10 * (1 - exp(-h / 36)). With these numbers the mean absolute error over 72 h is 10 to 20 %, as published 96 h forecasts have.
Deterministic in (zone, hour of issue, seed).
"""

from __future__ import annotations

import math
import zlib
from datetime import datetime, timedelta

import numpy as np

from forecast.forecasters import InsufficientHistory, SevenDayMean
from forecast.grid import Grid, regrid
from forecast.intensity import FloatArray, Series
from forecast.ladder import known_at
from forecast.timeline import HOUR, floor_to

_PULL_HOURS = 60.0
_PERSISTENCE = 0.9


def synthetic_forecast(truth: Series, now: datetime, horizon_hours: int, seed: int = 0) -> FloatArray:
    """`horizon_hours` + 1 hourly values in gCO2e/kWh from the running hour on; NaN where neither truth nor the usual day is known."""
    this_hour = floor_to(now, HOUR)
    grid = Grid(this_hour, HOUR, horizon_hours + 1)
    actual = regrid(truth.values, truth.start, truth.step, grid)
    usual = _usual_day(truth, this_hour, grid)
    leads = np.arange(grid.steps, dtype=np.float64)
    weight = np.exp(-leads / _PULL_HOURS)
    blended = np.where(np.isnan(usual), actual, np.where(np.isnan(actual), usual, weight * actual + (1 - weight) * usual))
    dice = np.random.default_rng(zlib.crc32(f"{truth.zone}|{this_hour.isoformat()}|{seed}".encode()))
    return np.asarray(blended * np.exp(_growing_error(leads, dice)), dtype=np.float64)


def _usual_day(truth: Series, this_hour: datetime, grid: Grid) -> FloatArray:
    try:
        usual = SevenDayMean().forecast(known_at(truth, this_hour), this_hour, timedelta(hours=grid.steps))
    except InsufficientHistory:
        return np.full(grid.steps, np.nan)
    return regrid(usual.g_per_kwh, usual.start, usual.step, grid)


def _growing_error(leads: FloatArray, dice: np.random.Generator) -> FloatArray:
    shocks = dice.standard_normal(len(leads)) * math.sqrt(1 - _PERSISTENCE**2)
    state, series = dice.standard_normal(), np.empty(len(leads))
    for index, shock in enumerate(shocks):
        series[index] = state
        state = _PERSISTENCE * state + shock
    return series * (0.04 + 0.10 * (1 - np.exp(-leads / 36)))
