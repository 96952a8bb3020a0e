"""Our own forecaster: the bundled model on one zone's record, fitted to that zone by its recent past.

It starts from what is settled: doubtful values are set aside before anything is computed (`forecast.anomalies`), and hours
between the newest settled value and now are forecast like those after. It needs a day of record, and is at its best with
four months. Nothing that starts after `now` is used.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from forecast.anomalies import believed
from forecast.forecasters import MINIMUM_HOURS, InsufficientHistory
from forecast.grid import Grid, regrid
from forecast.intensity import FloatArray, Rung, Series, Vintage
from forecast.model.calibration import ISSUES, STRIDE_HOURS, learn, past_origins
from forecast.model.features import DAY_HOURS, HORIZON_HOURS, WINDOW_HOURS, build
from forecast.model.network import WARM_HOURS, Network
from forecast.model.places import place_of
from forecast.scoring import IntArray, targets
from forecast.timeline import HOUR, as_utc, floor_to

SOURCE = "lowtide model"
RECORD_HOURS = WINDOW_HOURS + STRIDE_HOURS * ISSUES
"""How much record a forecast looks at."""

MAXIMUM_DELAY_HOURS = 8
"""The oldest newest value the model can start from; a longer outage is bridged by the zone's daily shape up to there."""

MIDDLE_WEIGHTS = (0.15, 0.7, 0.15)
"""The value published, from the 10 %, 50 % and 90 % quantiles: half way between the median and Swanson's estimate of the mean
(0.3, 0.4, 0.3). The median errs least, the mean picks the better hours; half way gives each up little (second half of 2022)."""


class TrainedForecaster:
    """Forecasts with central 80 % bounds, hourly, or finer where the record is.

    The bundled model is read at the first forecast, so that a daemon starts without waiting for it.
    """

    def forecast(self, history: Series, now: datetime, horizon: timedelta) -> Vintage:
        """A forecast issued at `now` covering [the hour of now, now + horizon), or more.

        It starts right after the newest settled value, at most MAXIMUM_DELAY_HOURS before the hour of now.
        Raises InsufficientHistory where less than a day of the last four weeks is recorded and sound.
        """
        now = as_utc(now)
        this_hour = floor_to(now, HOUR)
        values = recorded_hours(history, this_hour)
        known = np.flatnonzero(np.isfinite(values[-WINDOW_HOURS:]))
        if len(known) < MINIMUM_HOURS:
            raise InsufficientHistory(history.zone, len(known))
        delay = min(WINDOW_HOURS - 1 - int(known[-1]), MAXIMUM_DELAY_HOURS)
        start = this_hour - delay * HOUR
        values = values[: len(values) - delay]
        quantiles = forecast_hours(Network.bundled(), history.zone, values, epoch_hours(start))
        quantiles = _extended(quantiles, -((start - now - horizon) // HOUR))
        pieces = HOUR // history.step if history.step < HOUR and not HOUR % history.step else 1
        low, middle, high = _refined(quantiles, pieces)
        return Vintage(history.zone, history.kind, SOURCE, Rung.OWN_FORECAST, now, now, start, HOUR / pieces, middle, low, high)


def recorded_hours(history: Series, end: datetime) -> FloatArray:
    """The sound hourly means of the RECORD_HOURS before `end`, NaN where there is none."""
    grid = Grid(end - RECORD_HOURS * HOUR, HOUR, RECORD_HOURS)
    values = regrid(history.values, history.start, history.step, grid)
    if history.estimated is None:
        return believed(values)
    estimated = regrid(history.estimated.astype(np.float64), history.start, history.step, grid)
    return believed(values, estimated > 0)


def epoch_hours(instant: datetime) -> int:
    """Whole hours since the Unix epoch."""
    return int((as_utc(instant) - datetime.fromtimestamp(0, UTC)) // HOUR)


def forecast_hours(network: Network, zone: str, values: FloatArray, first_hour: int) -> FloatArray:
    """Corrected (3, HORIZON_HOURS) low, middle, high from `first_hour` (since the epoch), which follows the last of `values`."""
    origins = past_origins(len(values), first_possible=int(np.flatnonzero(np.isfinite(values))[0]) + WINDOW_HOURS)
    raw = issue(network, zone, values, np.concatenate([[len(values)], origins]), first_hour - len(values))
    corrected: FloatArray = learn(raw[1:], targets(values, origins, HORIZON_HOURS)).apply(raw[:1])[0]
    return corrected


def issue(
    network: Network, zone: str, values: FloatArray, origins: IntArray, hour_of_first: int, known_hours: int = WINDOW_HOURS
) -> FloatArray:
    """The model as it is: (origins, 3, HORIZON_HOURS) at each origin, the index in `values` of the first hour forecast.

    `hour_of_first` is the hour since the epoch of `values[0]`. A window that reaches before the record, or further back than
    `known_hours`, is unknown there.
    """
    padded = np.concatenate([np.full(WINDOW_HOURS, np.nan), values])
    windows = padded[origins[:, None] + np.arange(WINDOW_HOURS)]
    windows[:, : WINDOW_HOURS - known_hours] = np.nan
    features = build(windows, origins + hour_of_first, place_of(zone))
    short = np.isfinite(windows).sum(axis=1) < WARM_HOURS
    scaled = network.quantiles(features.inputs, short, zone)
    scaled[:, 1] = np.tensordot(MIDDLE_WEIGHTS, scaled, axes=(0, 1))
    return np.maximum(scaled * features.spread[:, None, None] + features.level[:, None, None], 0.0)


def _extended(quantiles: FloatArray, hours: int) -> FloatArray:
    """(3, hours): beyond the model's horizon its last day repeats, as a daily shape that knows no weather."""
    index = np.arange(hours)
    beyond = index >= HORIZON_HOURS
    index[beyond] = HORIZON_HOURS - DAY_HOURS + (index[beyond] - HORIZON_HOURS) % DAY_HOURS
    return quantiles[:, index]


def _refined(quantiles: FloatArray, pieces: int) -> FloatArray:
    """(3, hours * pieces): each hour drawn as a line with the slope between its neighbours; the hour's mean stays what it is."""
    low, middle, high = np.repeat(quantiles, pieces, axis=1)
    if pieces > 1:
        slope = np.gradient(quantiles[1])
        slope = np.clip(slope, -2 * quantiles[1], 2 * quantiles[1])  # so that the line stays above zero
        offset = np.outer(slope, (np.arange(pieces) + 0.5) / pieces - 0.5).reshape(-1)
        low, middle, high = low + offset, middle + offset, high + offset
    return np.stack([np.maximum(low, 0.0), middle, high])
