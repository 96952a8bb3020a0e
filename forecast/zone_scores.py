"""All scores of one zone over one period: errors and intervals by lead-time bucket, and what decisions on the forecasts were worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from forecast.intensity import FloatArray, Series
from forecast.model.backtest import HORIZON
from forecast.model.record import aligned, nearest
from forecast.regret import RECORD_DAYS
from forecast.reissue import NEEDED_HOURS, REFERENCE, Past, Reissue
from forecast.scoring import IntervalScores, PointScores, interval_scores, point_scores, targets
from forecast.shift_scores import SHIFTS, CurvePoint, ShiftScorer, ShiftScores
from forecast.soundness import sound
from forecast.timeline import HOUR

BUCKETS: Mapping[str, slice] = {"1-24": slice(0, 24), "25-96": slice(24, HORIZON)}
"""Lead times in hours; lead 1 is the hour of the origin itself."""

RUN_IN_HOURS = (RECORD_DAYS + 2) * 24
"""Origins before the first one scored: the regret rule's record grows on them."""

MINIMUM_HOURS = HORIZON + 24
"""A period must hold a day of submissions of the longest job with the longest slack."""

HISTORY = timedelta(hours=NEEDED_HOURS + RUN_IN_HOURS)
"""Record that must lie before a period."""


@dataclass(frozen=True, slots=True)
class LeadScores:
    """One bucket of leads: errors of the middle, and how good the central 80 % intervals were."""

    point: PointScores
    interval: IntervalScores


@dataclass(frozen=True, slots=True)
class ForecastScores:
    """One forecaster in one zone: by lead bucket, by kind of job, and the trade-off curve of the regret rule."""

    leads: Mapping[str, LeadScores]
    shifts: Sequence[ShiftScores]
    curve: Sequence[CurvePoint]

    @property
    def coverage(self) -> float:
        """Share of all hours ahead inside the central 80 % interval."""
        counts = [bucket.interval.count for bucket in self.leads.values()]
        return float(np.average([bucket.interval.coverage for bucket in self.leads.values()], weights=counts))


@dataclass(frozen=True, slots=True)
class ZoneScores:
    """All forecasters of one zone, on the same hours: [start, end), the newest value `delay_hours` + 1 old at each of them.

    `missing_hours` of the period have no value or one that is not believed; nothing is scored there.
    """

    zone: str
    start: datetime
    end: datetime
    delay_hours: int
    missing_hours: int
    forecasts: Mapping[str, ForecastScores]

    def relative_mae(self, forecaster: str, bucket: str) -> float:
        """Mean absolute error; that of 24 h persistence is 1."""
        mine, reference = (self.forecasts[name].leads[bucket].point.mae for name in (forecaster, REFERENCE))
        return _ratio(mine, reference)

    def relative_winkler(self, forecaster: str, bucket: str) -> float:
        """Winkler score; that of persistence with the errors of its last four weeks around it is 1."""
        mine, reference = (self.forecasts[name].leads[bucket].interval.winkler for name in (forecaster, REFERENCE))
        return _ratio(mine, reference)


def _ratio(value: float, reference: float) -> float:
    """NaN where the reference makes no error at all: a zone that never changes compares no forecasts."""
    return value / reference if reference > 0 else math.nan


class UnscorablePeriod(ValueError):
    """The record does not hold what the period needs."""


def period_of(record: Series, start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """The part of [start, end) that can be scored; without them all of it. Raises UnscorablePeriod where there is none, or where
    the record before an explicit `start` is too short."""
    first, last = record.start + HISTORY, min(record.end, end or record.end)
    if start is not None and start < first:
        raise UnscorablePeriod(
            f"{record.zone}: scores from {start:%Y-%m-%d} need record since {start - HISTORY:%Y-%m-%d} ({HISTORY.days} days before), "
            f"this one begins at {record.start:%Y-%m-%d}: give earlier files, or --from {first:%Y-%m-%d}"
        )
    begin = max(first, start or first)
    if last - begin < timedelta(hours=MINIMUM_HOURS):
        raise UnscorablePeriod(
            f"{record.zone}: the record from {record.start:%Y-%m-%d} to {record.end:%Y-%m-%d} and the dates asked for leave less than the "
            f"{MINIMUM_HOURS} hours that scores need: its first {HISTORY.days} days only serve as history"
        )
    return begin, last


def score_zone(
    record: Series,
    start: datetime,
    end: datetime,
    forecasters: Mapping[str, Reissue],
    delay_hours: int = 0,
    others: Mapping[str, Series] | None = None,
) -> ZoneScores:
    """Score `forecasters` (the reference among them) on the hours of [start, end) of an hourly record.

    `others` are sound records by zone: what is recorded elsewhere is known to the forecasters, too.
    Hours from `end` on are not known to the scores. Raises ValueError where the record is too short, NothingKnown where too little of it
    has a value.
    """
    values = sound(record)[0].values[: int((end - record.start) // HOUR)]
    first = int((start - record.start) // HOUR)
    origins = np.arange(first - RUN_IN_HOURS, len(values))
    hour_of_first = int((record.start - datetime.fromtimestamp(0, UTC)) // HOUR)
    around = [aligned(others[zone], record.start, len(values)) for zone in nearest(record.zone, others)] if others else []
    past = Past(record.zone, values, hour_of_first, origins, delay_hours, tuple(around))
    issued = {name: reissue(past) for name, reissue in forecasters.items()}
    actual = targets(values, origins, HORIZON)
    # Errors are compared on the hours that every forecaster has; decisions must be made, whatever is missing.
    comparable = np.where(np.all([np.isfinite(each[:, 1]) for each in issued.values()], axis=0), actual, np.nan)
    scores = {name: _scored(quantiles, actual, comparable, delay_hours) for name, quantiles in issued.items()}
    return ZoneScores(record.zone, start, end, delay_hours, int(np.isnan(values[first:]).sum()), scores)


def _scored(quantiles: FloatArray, actual: FloatArray, comparable: FloatArray, delay_hours: int) -> ForecastScores:
    decisions = ShiftScorer(quantiles, actual, RUN_IN_HOURS, delay_hours)
    quantiles, comparable = quantiles[RUN_IN_HOURS:], comparable[RUN_IN_HOURS:]
    leads = {
        name: LeadScores(
            point_scores(comparable[:, bucket], quantiles[:, 1, bucket]),
            interval_scores(comparable[:, bucket], quantiles[:, 0, bucket], quantiles[:, 2, bucket]),
        )
        for name, bucket in BUCKETS.items()
    }
    shifts = [decisions.scores(shift, in_chunks=in_chunks) for shift in SHIFTS for in_chunks in (False, True)]
    return ForecastScores(leads, shifts, decisions.curve())
