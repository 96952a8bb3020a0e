"""What the model would have said at every hour of a past period, seeing only what was known then."""

from __future__ import annotations

import numpy as np

from forecast.intensity import FloatArray
from forecast.model.calibration import ISSUES, STRIDE_HOURS, learn, past_origins
from forecast.model.features import DAY_HOURS, HORIZON_HOURS, WINDOW_HOURS
from forecast.model.forecaster import issue
from forecast.model.network import Network
from forecast.scoring import IntArray, targets


def reissue(
    network: Network, zone: str, values: FloatArray, hour_of_first: int, origins: IntArray, delay_hours: int = 0, horizon: int = 96
) -> FloatArray:
    """Forecasts at consecutive `origins`, (origins, 3, horizon) of low, middle, high, as the daemon would have issued them.

    `values` is the hourly record in gCO2e/kWh from `hour_of_first` (since the Unix epoch) on; at an origin all hours before
    it are known but for the last `delay_hours`. The zone's correction is renewed once a day. Raises ValueError if fewer than
    four weeks of record precede the first origin, or if horizon and delay exceed what the model reaches.
    """
    starts = origins - delay_hours
    if int(starts[0]) < WINDOW_HOURS or horizon + delay_hours > HORIZON_HOURS:
        raise ValueError(
            f"{zone}: scoring needs {WINDOW_HOURS + delay_hours} recorded hours before its first hour, got {int(origins[0])}, "
            f"and at most {HORIZON_HOURS - delay_hours} hours ahead, got {horizon}"
        )
    earliest = max(WINDOW_HOURS, int(starts[0]) - STRIDE_HOURS * ISSUES)
    raw = issue(network, zone, values, np.arange(earliest, int(starts[-1]) + 1), hour_of_first)
    corrected = np.empty((len(starts), 3, HORIZON_HOURS))
    for first in range(0, len(starts), DAY_HOURS):
        day = starts[first : first + DAY_HOURS]
        corrected[first : first + DAY_HOURS] = _corrected(raw, values, day, earliest)
    return corrected[:, :, delay_hours : delay_hours + horizon]


def _corrected(raw: FloatArray, values: FloatArray, day: IntArray, earliest: int) -> FloatArray:
    """One day's forecasts, corrected by those of the weeks before it; only hours before the day are known to the correction."""
    past = past_origins(int(day[0]), first_possible=earliest)
    actual = targets(values[: int(day[0])], past, HORIZON_HOURS)
    return learn(raw[past - earliest], actual).apply(raw[day - earliest])
