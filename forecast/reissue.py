"""What each forecaster would have said at every hour of a past period, seeing only what was known then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from forecast.intensity import FloatArray
from forecast.model.backtest import HORIZON
from forecast.model.backtest import reissue as reissue_model
from forecast.model.network import Network
from forecast.scoring import IntArray, persistence, same_hour_mean, trailing_interval

NEEDED_HOURS = 33 * 24
"""Record before the first origin: four weeks and the horizon, from the beginning of a day. No forecaster here needs more."""


@dataclass(frozen=True, slots=True)
class Past:
    """One zone's hourly record in gCO2e/kWh from `hour_of_first` (since the Unix epoch) on, and when to forecast again.

    `origins` are consecutive indices of the first hour forecast; the newest value known there lies `delay_hours` + 1 before.
    `neighbours` are the records of other zones over the same hours, nearest first, known as late.
    """

    zone: str
    values: FloatArray
    hour_of_first: int
    origins: IntArray
    delay_hours: int = 0
    neighbours: tuple[FloatArray, ...] = ()


Reissue = Callable[[Past], FloatArray]
"""(origins, 3, HORIZON) of low, middle, high, the central 80 %. Raises ValueError on a record that is too short, NothingKnown on
one without any value in the weeks before an origin."""


def own(past: Past) -> FloatArray:
    """The bundled model."""
    network, where = Network.bundled(), (past.zone, past.values, past.hour_of_first)
    return reissue_model(network, *where, past.origins, past.delay_hours, neighbours=past.neighbours)


def _simple(middles: Callable[..., FloatArray], past: Past) -> FloatArray:
    """A forecast that copies the record, with the errors it made in the last four weeks around it."""
    middle = middles(past.values, past.origins, HORIZON, delay_hours=past.delay_hours)
    everywhere = middles(past.values, np.arange(len(past.values)), HORIZON, delay_hours=past.delay_hours)
    low, high = trailing_interval(past.values, past.origins, middle, everywhere)
    return np.stack([low, middle, high], axis=1)


REFERENCE = "persistence"
FORECASTERS: Mapping[str, Reissue] = MappingProxyType(
    {
        "own": own,
        REFERENCE: partial(_simple, persistence),
        "last-week": partial(_simple, partial(persistence, period_hours=168)),
        "seven-day-mean": partial(_simple, same_hour_mean),
    }
)
"""By name: our model; the same hour yesterday (24 h persistence, which errors are measured by); a week ago (168 h); the mean of
the same hour on the last seven days."""
