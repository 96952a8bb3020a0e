"""What the model would have said at every hour of a past period, seeing only what was known then."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecast.intensity import FloatArray
from forecast.model.calibration import ISSUES, STRIDE_HOURS, UNCORRECTED, learn, past_origins
from forecast.model.features import DAY_HOURS, HORIZON_HOURS, WINDOW_HOURS
from forecast.model.lesson import NO_MAPS, opinions
from forecast.model.local_map import learn_maps
from forecast.model.network import WARM_HOURS, Network
from forecast.model.record import Record
from forecast.scoring import IntArray, targets

HORIZON = 96


def reissue(
    network: Network,
    zone: str,
    values: FloatArray,
    hour_of_first: int,
    origins: IntArray,
    delay_hours: int = 0,
    known_hours: int = WINDOW_HOURS,
    neighbours: Sequence[FloatArray] = (),
) -> FloatArray:
    """Forecasts at consecutive `origins`, (origins, 3, HORIZON) of low, middle, high, as the daemon would have issued them.

    `values` is the hourly record in gCO2e/kWh from `hour_of_first` (since the Unix epoch) on. At an origin all hours before it are known
    but for the last `delay_hours`. The zone's map is learnt anew once a week, its correction once a day. `neighbours` are the records of
    other zones over the same hours, nearest first, known as late. `known_hours` below WINDOW_HOURS stand for a zone whose record has just
    begun: nothing older is seen, and nothing is learnt.

    Raises ValueError if fewer than four weeks of record precede the first origin, or on a delay the model cannot bridge, NothingKnown if
    none of the four weeks before an origin is known.
    """
    starts = origins - delay_hours
    if int(starts[0]) < WINDOW_HOURS or delay_hours > HORIZON_HOURS - HORIZON:
        raise ValueError(
            f"{zone}: scoring needs {WINDOW_HOURS + delay_hours} recorded hours before its first hour, got {int(origins[0])}, "
            f"and a delay of at most {HORIZON_HOURS - HORIZON} hours, got {delay_hours}"
        )
    leads = slice(delay_hours, delay_hours + HORIZON)
    record = Record.of(zone, values, hour_of_first, neighbours)
    if known_hours < WINDOW_HOURS:
        return UNCORRECTED.apply(opinions(network, record, starts, NO_MAPS, known_hours))[:, :, leads]
    earliest = max(WINDOW_HOURS, int(starts[0]) - STRIDE_HOURS * ISSUES)
    everywhere = np.arange(earliest, int(starts[-1]) + 1)
    where = everywhere[(record.known[everywhere] > 0) | (everywhere >= starts[0])]  # in a gap of weeks no correction learns anything
    maps = learn_maps(network.second.linear, network.row(zone), record, set(record.weeks(where).tolist()))
    said = opinions(network, record, where, maps)
    days = (starts[first : first + DAY_HOURS] for first in range(0, len(starts), DAY_HOURS))
    return np.concatenate([_corrected(said, where, record, day)[:, :, leads] for day in days])


def _corrected(said: FloatArray, where: IntArray, record: Record, day: IntArray) -> FloatArray:
    """One day's forecasts, corrected by those of the weeks before it; only hours before the day are known to the correction.

    `said` holds the opinions at the origins `where`, in order.
    """
    past = past_origins(int(day[0]), first_possible=int(where[0]))
    past = past[record.known[past] >= WARM_HOURS]
    actual = targets(record.values[: int(day[0])], past, HORIZON_HOURS)
    return learn(said[np.searchsorted(where, past)], actual).apply(said[np.searchsorted(where, day)])
