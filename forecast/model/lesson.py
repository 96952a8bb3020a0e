"""What a record teaches about forecasting one zone: the zone's own map, and a correction by what was said there lately.

Learnt once a day from all that is recorded; a forecast then only applies it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from forecast.intensity import FloatArray
from forecast.model.calibration import ISSUES, LIGHT_ISSUES, LIGHT_STRIDE_HOURS, STRIDE_HOURS, Correction, learn, past_origins
from forecast.model.features import DAY_HOURS, HORIZON_HOURS, WINDOW_HOURS, SingleArray
from forecast.model.local_map import Maps, added_by, learn_maps
from forecast.model.network import WARM_HOURS, Network
from forecast.model.record import Record
from forecast.scoring import IntArray, targets

_LEADS = np.arange(HORIZON_HOURS)
MEAN_WEIGHTS = np.interp(_LEADS, (0, 8, 32, 36), (0.0, 0.2, 0.2, 0.0))
"""What the 10 % and the 90 % quantile each count, beside the median, in the value published for each hour ahead. Zero makes it the
median, which errs least; 0.3 Swanson's estimate of the mean, which picks the better hours for jobs that wait a day (second half of
2022)."""

WAITS = np.interp(_LEADS, (4, 8, 32, 36), (0.0, 1.0, 1.0, 0.0))
"""The hours that a job of a day has to wait for."""

CAUTION, CAUTION_SHARE = 0.025, 0.02
"""How far the published value of these hours is raised besides: in units of the spread of the four weeks before, but no further than this
share of the distance between these quantiles. Of many hours the one that looks cheapest mostly looks too cheap. With it, 8 h jobs that may
wait a day end above run-now in 14.1 instead of 14.8 % of cases and keep the same saving (planned once, second half of 2022). A share alone
costs most where least is known: where wind decides, 0.4 % of the saving (IE)."""

NO_MAPS: Maps = {}


@dataclass(frozen=True, slots=True)
class Lesson:
    """The zone's maps of the weeks in which it was to be used (none: the model as shipped), and the correction."""

    correction: Correction
    maps: Maps = field(default_factory=dict)

    def apply(self, network: Network, record: Record, origins: IntArray) -> FloatArray:
        """Forecasts (origins, 3, HORIZON_HOURS) of low, middle, high. In weeks after those of the maps the newest map goes on."""
        weeks = record.weeks(origins).tolist()
        maps = {week: self.maps[min(week, max(self.maps))] for week in weeks} if self.maps else NO_MAPS
        return self.correction.apply(opinions(network, record, origins, maps))


def learn_lesson(network: Network, record: Record, *, with_map: bool) -> Lesson:
    """The lesson of a `record`, for forecasts from its end on; its maps are those of the day that follows."""
    now = len(record.values)
    looks = (STRIDE_HOURS, ISSUES) if with_map else (LIGHT_STRIDE_HOURS, LIGHT_ISSUES)
    past = past_origins(now, WINDOW_HOURS, *looks)
    past = past[record.known[past] >= WARM_HOURS]
    maps = NO_MAPS
    if with_map:
        used = np.concatenate([past, [now, now + DAY_HOURS]])
        maps = learn_maps(network.second.linear, network.row(record.zone), record, set(record.weeks(used).tolist()))
    said = opinions(network, record, past, maps)
    ahead = {week: maps[week] for week in record.weeks(np.array([now, now + DAY_HOURS])).tolist() if week in maps}
    return Lesson(learn(said, targets(record.values, past, HORIZON_HOURS)), ahead)


def opinions(network: Network, record: Record, origins: IntArray, maps: Maps, known_hours: int = WINDOW_HOURS) -> FloatArray:
    """The model before correction: (origins, 2, 3, HORIZON_HOURS) in gCO2e/kWh at each origin, the index of the first hour forecast.

    Low, middle and high of the networks and of the second opinion. No more than `known_hours` are seen.
    `maps` hold the zone's map of every origin's week, or nothing at all.
    """
    if not len(origins):
        return np.zeros((0, 2, 3, HORIZON_HOURS))
    features = record.features(origins, known_hours)
    known = np.minimum(record.known[origins], known_hours)
    scaled = network.opinions(features.inputs, known, record.zone, _added(record, origins, features.inputs, maps))
    low, middle, high = (scaled[:, :, row] for row in range(3))
    scaled[:, :, 1] += MEAN_WEIGHTS * (low - 2 * middle + high) + _caution(high - low)
    said = scaled * features.spread[:, None, None, None] + features.level[:, None, None, None]
    return np.asarray(said, dtype=np.float64)


def _caution(width: SingleArray) -> SingleArray:
    """By how much hours are raised whose quantiles lie `width` (..., HORIZON_HOURS) apart, in scaled units."""
    raised: SingleArray = WAITS * np.minimum(CAUTION, CAUTION_SHARE * width)
    return raised


def _added(record: Record, origins: IntArray, inputs: SingleArray, maps: Maps) -> SingleArray:
    return added_by(maps, record, origins, inputs) if maps else np.zeros((len(origins), HORIZON_HOURS), dtype=np.float32)
