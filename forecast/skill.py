"""How good a zone's forecasts were lately, by its own archive: what was issued against what came.

Errors are scored on hours that can hardly change any more, beside 24 h persistence on the same hours; what a job planned by them would
have gained; and the share of promised savings that came true, which decides how far the next promise is believed (`forecast.regret`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from forecast.decision_scoring import DecisionScores, decision_scores, plan_once, start_costs
from forecast.grid import Grid, regrid
from forecast.intensity import FloatArray, Series, Vintage
from forecast.regret import share_kept
from forecast.scoring import IntArray, IntervalScores, PointScores, interval_scores, persistence, point_scores, targets
from forecast.shift_scores import REFERENCE_SHIFT
from forecast.timeline import HOUR, floor_to
from forecast.zone_scores import BUCKETS

HORIZON = max(bucket.stop for bucket in BUCKETS.values())
SETTLED_AFTER = timedelta(hours=72)
"""An estimated hour older than this is taken for settled: in some zones every hour is estimated for ever."""


@dataclass(frozen=True, slots=True)
class LeadSkill:
    """One bucket of leads: errors of the middle; `relative_mae` with 24 h persistence as 1, NaN where that erred nowhere; scores of the
    central 80 %, None where the forecasts state no bounds."""

    point: PointScores
    relative_mae: float
    interval: IntervalScores | None


@dataclass(frozen=True, slots=True)
class ForecastSkill:
    """One source's forecasts of one zone: by bucket of leads (those with at least one pair); what the reference shift planned once by them
    would have gained, None where no window is known; and the share of promised savings that came true, None while there is too little
    record. `issues` forecasts were looked at."""

    zone: str
    source: str
    issues: int
    leads: Mapping[str, LeadSkill]
    decisions: DecisionScores | None
    share_kept: float | None


def skill_of(vintages: Sequence[Vintage], record: Series, now: datetime) -> ForecastSkill | None:
    """The skill of one zone's archived forecasts of one source by an hourly record of it; None without any forecast.

    `record` should reach back a day before the first issue. Nothing that begins after `now` is looked at.
    """
    if not vintages:
        return None
    values, issued = settled(record, now), [floor_to(vintage.issued_at, HOUR) for vintage in vintages]
    origins = np.array([(instant - record.start) // HOUR for instant in issued])
    low, middle, high = _on_leads(vintages, issued)
    actual = _known(targets(values, np.clip(origins, 0, len(values)), HORIZON), origins)
    reference = _known(persistence(values, np.clip(origins, 0, len(values)), HORIZON), origins)
    leads = {name: _lead_skill(*(each[:, hours] for each in (actual, low, middle, high, reference))) for name, hours in BUCKETS.items()}
    told = {name: skill for name, skill in leads.items() if skill is not None}
    return ForecastSkill(vintages[0].zone, vintages[0].source, len(vintages), told, *_decided(middle, actual, issued))


def settled(record: Series, now: datetime) -> FloatArray:
    """The hours that can hardly change any more: begun by `now`, and no longer estimated or SETTLED_AFTER old; NaN elsewhere."""
    ages = (now - record.start) / HOUR - np.arange(1, len(record.values) + 1)
    is_estimated = np.zeros(len(ages), dtype=np.bool_) if record.estimated is None else record.estimated
    is_settled = (ages >= 0) & (~is_estimated | (ages >= SETTLED_AFTER / HOUR))
    return np.where(is_settled, record.values, np.nan)


def _on_leads(vintages: Sequence[Vintage], issued: Sequence[datetime]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Low, middle and high of each forecast by lead, (issues, HORIZON); NaN where it says nothing."""
    bands = []
    for vintage, instant in zip(vintages, issued, strict=True):
        grid = Grid(instant, HOUR, HORIZON)
        nothing = np.full(len(vintage.g_per_kwh), np.nan)
        stated = (nothing if each is None else each for each in (vintage.low, vintage.g_per_kwh, vintage.high))
        bands.append([regrid(each, vintage.start, vintage.step, grid) for each in stated])
    low, middle, high = np.array(bands).transpose(1, 0, 2)
    return low, middle, high


def _known(values: FloatArray, origins: IntArray) -> FloatArray:
    """Without the issues that lie before the record."""
    return np.where(origins[:, None] >= 0, values, np.nan)


def _lead_skill(actual: FloatArray, low: FloatArray, middle: FloatArray, high: FloatArray, reference: FloatArray) -> LeadSkill | None:
    known = np.isfinite(actual) & np.isfinite(middle) & np.isfinite(reference)
    if not known.any():
        return None
    truth, reference_mae = actual[known], point_scores(actual[known], reference[known]).mae
    point = point_scores(truth, middle[known])
    is_bounded = (np.isfinite(low[known]) & np.isfinite(high[known])).any()
    interval = interval_scores(truth, low[known], high[known]) if is_bounded else None
    return LeadSkill(point, point.mae / reference_mae if reference_mae > 0 else math.nan, interval)


def _decided(middle: FloatArray, actual: FloatArray, issued: Sequence[datetime]) -> tuple[DecisionScores | None, float | None]:
    """How the reference shift ended, and `share_kept` of it over the days of issue, by the issues whose windows are known."""
    expected, real = start_costs(middle, REFERENCE_SHIFT), start_costs(actual, REFERENCE_SHIFT)
    known = [int(index) for index in np.flatnonzero(np.isfinite(expected).all(axis=1) & np.isfinite(real).all(axis=1))]
    if not known:
        return None, None
    start = plan_once(middle, REFERENCE_SHIFT)[known]
    decisions = decision_scores(real[known, start], real[known, 0], real[known].min(axis=1))
    _, day = np.unique(np.array([issued[index].toordinal() for index in known], dtype=np.int64), return_inverse=True)
    promised, came = (np.asarray(np.bincount(day, costs[known, 0] - costs[known, start]), dtype=np.float64) for costs in (expected, real))
    return decisions, share_kept(promised, came)
