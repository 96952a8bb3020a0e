"""All scores of one zone over one period: errors and intervals by lead bucket, and what decisions on the forecast were worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.decision_scoring import (
    DecisionScores,
    Shift,
    best_chunks_cost,
    chunks_once_cost,
    chunks_replanned_cost,
    cost_of_start,
    decision_scores,
    plan_once,
    price_of_waiting,
    replan_hourly,
    start_costs,
)
from forecast.intensity import FloatArray
from forecast.scoring import (
    DAY_HOURS,
    IntArray,
    IntervalScores,
    PointScores,
    interval_scores,
    persistence,
    point_scores,
    targets,
    trailing_interval,
)

BUCKETS = {"1-24": slice(0, 24), "25-96": slice(24, 96)}
CONTIGUOUS = Shift(8, 24)
CHUNKED = Shift(24, 72)
REGRET_DAYS = 28
STRICTNESS = 1.7


@dataclass(frozen=True, slots=True)
class BucketScores:
    """One bucket of leads: the forecast's errors and intervals, and those of 24 h persistence with its own trailing intervals."""

    point: PointScores
    interval: IntervalScores
    persistence_point: PointScores
    persistence_interval: IntervalScores

    @property
    def relative_mae(self) -> float:
        """Mean absolute error; 24 h persistence is 1."""
        return self.point.mae / self.persistence_point.mae

    @property
    def relative_winkler(self) -> float:
        """Winkler score; persistence with the errors of its last four weeks around it is 1."""
        return self.interval.winkler / self.persistence_interval.winkler


@dataclass(frozen=True, slots=True)
class ZoneScores:
    """Scores by lead bucket, and of decisions: an 8 h job with 24 h slack, and 24 single hours with 72 h slack."""

    zone: str
    buckets: dict[str, BucketScores]
    once: DecisionScores
    replanned: DecisionScores
    ruled: DecisionScores
    chunks_once: DecisionScores
    chunks_replanned: DecisionScores

    @property
    def coverage(self) -> float:
        """Share of all hours ahead inside the central 80 % interval."""
        counts = [bucket.interval.count for bucket in self.buckets.values()]
        return float(np.average([bucket.interval.coverage for bucket in self.buckets.values()], weights=counts))


RUN_IN_HOURS = REGRET_DAYS * DAY_HOURS + 2 * DAY_HOURS


def score_zone(
    zone: str, values: FloatArray, origins: IntArray, quantiles: FloatArray, strictness: float = STRICTNESS, delay_hours: int = 0
) -> ZoneScores:
    """Score `quantiles` (origins, 3, 96) issued at every hour of `origins`; `strictness` is that of the regret rule.

    The first RUN_IN_HOURS origins are not scored: the rule learns from them. Raises ValueError where too little record
    precedes the first origin or follows the last.
    """
    actual = targets(values, origins, quantiles.shape[2])
    price = price_of_waiting(quantiles[:, 1], actual, CONTIGUOUS, strictness, REGRET_DAYS)[RUN_IN_HOURS:]
    scored, quantiles, actual = origins[RUN_IN_HOURS:], quantiles[RUN_IN_HOURS:], actual[RUN_IN_HOURS:]
    return ZoneScores(
        zone,
        _bucket_scores(values, scored, quantiles, actual, delay_hours),
        *_contiguous(quantiles[:, 1], actual, price),
        *_chunked(quantiles[:, 1], actual),
    )


def _bucket_scores(
    values: FloatArray, origins: IntArray, quantiles: FloatArray, actual: FloatArray, delay_hours: int
) -> dict[str, BucketScores]:
    horizon = quantiles.shape[2]
    last_day = persistence(values, origins, horizon, delay_hours=delay_hours)
    everywhere = persistence(values, np.arange(len(values)), horizon, delay_hours=delay_hours)
    low, high = trailing_interval(values, origins, last_day, everywhere)
    return {
        name: BucketScores(
            point_scores(actual[:, leads], quantiles[:, 1, leads]),
            interval_scores(actual[:, leads], quantiles[:, 0, leads], quantiles[:, 2, leads]),
            point_scores(actual[:, leads], last_day[:, leads]),
            interval_scores(actual[:, leads], low[:, leads], high[:, leads]),
        )
        for name, leads in BUCKETS.items()
    }


def _contiguous(middle: FloatArray, actual: FloatArray, price: FloatArray) -> tuple[DecisionScores, DecisionScores, DecisionScores]:
    """One look, a look every hour, and one look with the regret rule."""
    costs = start_costs(actual, CONTIGUOUS)
    starts = (plan_once(middle, CONTIGUOUS), replan_hourly(middle, CONTIGUOUS), plan_once(middle, CONTIGUOUS, price))
    once, replanned, ruled = (
        decision_scores(cost_of_start(actual, start, CONTIGUOUS), costs[: len(start), 0], costs[: len(start)].min(axis=1))
        for start in starts
    )
    return once, replanned, ruled


def _chunked(middle: FloatArray, actual: FloatArray) -> tuple[DecisionScores, DecisionScores]:
    """One look, and a look every hour."""
    run_now, best = start_costs(actual, CHUNKED)[:, 0], best_chunks_cost(actual, CHUNKED)
    once = decision_scores(chunks_once_cost(middle, actual, CHUNKED), run_now, best)
    cost = chunks_replanned_cost(middle, actual, CHUNKED)
    return once, decision_scores(cost, run_now[: len(cost)], best[: len(cost)])


def rule_curve(values: FloatArray, origins: IntArray, middle: FloatArray, strictnesses: tuple[float, ...]) -> list[DecisionScores]:
    """What an 8 h job with 24 h slack keeps, and how often it ends worse, for each strictness of the regret rule.

    As in `score_zone` the first RUN_IN_HOURS origins are not scored.
    """
    actual = targets(values, origins, middle.shape[1])
    costs = start_costs(actual, CONTIGUOUS)[RUN_IN_HOURS:]
    curve = []
    for strictness in strictnesses:
        price = price_of_waiting(middle, actual, CONTIGUOUS, strictness, REGRET_DAYS)
        start = plan_once(middle, CONTIGUOUS, price)[RUN_IN_HOURS:]
        curve.append(decision_scores(cost_of_start(actual[RUN_IN_HOURS:], start, CONTIGUOUS), costs[:, 0], costs.min(axis=1)))
    return curve
