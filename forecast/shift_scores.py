"""What jobs that may wait gained by a forecast: planned once or hour by hour, in one piece or in hours, with the regret rule or without.

The rule is the daemon's: when a job is new, it waits only if the promised saving, cut to the share of such promises that came
true lately, exceeds `confidence` standard deviations of its error; a job that waits is re-planned freely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.decision_scoring import (
    DecisionScores,
    Shift,
    best_chunks_cost,
    cheapest_hours,
    chunks_cost,
    chunks_replanned_cost,
    cost_of_start,
    decision_scores,
    plan_once,
    replan_hourly,
    start_costs,
)
from forecast.intensity import FloatArray
from forecast.regret import WAIT_CONFIDENCE, Z80, difference_variance, shared_share, trailing_shares

BoolArray = NDArray[np.bool_]

REFERENCE_SHIFT = Shift(8, 24)
"""The job whose promises and outcomes tell what a zone's forecasts are worth, here and in the daemon."""

SHIFTS = tuple(Shift(duration, slack) for duration in (2, 8, 24) for slack in (24, 72))
CONFIDENCES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True)
class ShiftScores:
    """One kind of job: planned with one look, and re-planned every hour; `ruled_` with the regret rule."""

    shift: Shift
    in_chunks: bool
    once: DecisionScores
    replanned: DecisionScores
    ruled_once: DecisionScores
    ruled_replanned: DecisionScores


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The regret rule at one confidence, for the reference shift."""

    confidence: float
    once: DecisionScores
    replanned: DecisionScores


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """One kind of job at every submission, in gCO2e/kWh: what waiting promised and what it cost, beside run-now and hindsight."""

    promised: FloatArray
    deviation: FloatArray
    once: FloatArray
    replanned: FloatArray
    run_now: FloatArray
    hindsight: FloatArray


class ShiftScorer:
    """Scores decisions on the forecasts of one zone: `quantiles` (origins, 3, leads) against `actual` (origins, leads).

    The first `run_in` origins are not scored, the record of promises grows on them. Outcomes are known `delay_hours` late.
    """

    def __init__(self, quantiles: FloatArray, actual: FloatArray, run_in: int, delay_hours: int = 0) -> None:
        self._middle, self._actual, self._run_in = quantiles[:, 1], actual, run_in
        self._spread = (quantiles[:, 2] - quantiles[:, 0]) / (2 * Z80)
        reference = self._in_one_piece(REFERENCE_SHIFT)
        came = reference.run_now - reference.once
        self._shares = trailing_shares(reference.promised, came, REFERENCE_SHIFT.window_hours + delay_hours)
        self._reference = reference

    def scores(self, shift: Shift, *, in_chunks: bool) -> ShiftScores:
        """Raises NothingKnown if no submission has all hours of its window measured."""
        outcomes = self._chunked(shift) if in_chunks else self._in_one_piece(shift)
        waits = self._waits(outcomes, WAIT_CONFIDENCE)
        everywhere = np.ones(len(waits), dtype=np.bool_)
        by_rule = [self._scored(outcomes, cost, gate) for gate in (everywhere, waits) for cost in (outcomes.once, outcomes.replanned)]
        return ShiftScores(shift, in_chunks, *by_rule)

    def curve(self, confidences: Sequence[float] = CONFIDENCES) -> list[CurvePoint]:
        """What the reference shift keeps and risks at each confidence of the rule."""
        outcomes, points = self._reference, []
        for confidence in confidences:
            waits = self._waits(outcomes, confidence)
            once, replanned = (self._scored(outcomes, cost, waits) for cost in (outcomes.once, outcomes.replanned))
            points.append(CurvePoint(confidence, once, replanned))
        return points

    def _waits(self, outcomes: _Outcomes, confidence: float) -> BoolArray:
        """Which submissions the rule lets wait."""
        waits: BoolArray = self._shares * outcomes.promised > confidence * outcomes.deviation
        return waits

    def _scored(self, outcomes: _Outcomes, waiting: FloatArray, waits: BoolArray) -> DecisionScores:
        """Those that wait cost `waiting` (which may be shorter: later origins only serve as looks), the others run at once."""
        scored = slice(self._run_in, len(waiting))
        cost = np.where(waits[scored], waiting[scored], outcomes.run_now[scored])
        return decision_scores(cost, outcomes.run_now[scored], outcomes.hindsight[scored])

    def _in_one_piece(self, shift: Shift) -> _Outcomes:
        expected, real = start_costs(self._middle, shift), start_costs(self._actual, shift)
        start = plan_once(self._middle, shift)
        spread = start_costs(self._spread, shift)
        each = np.arange(len(start))
        return _Outcomes(
            promised=expected[:, 0] - expected[each, start],
            deviation=_deviation(spread[each, start], spread[:, 0], shift),
            once=real[each, start],
            replanned=cost_of_start(self._actual, replan_hourly(self._middle, shift), shift),
            run_now=real[:, 0],
            hindsight=real.min(axis=1),
        )

    def _chunked(self, shift: Shift) -> _Outcomes:
        picked = cheapest_hours(self._middle, shift)
        now, spread_now = (start_costs(hours, shift)[:, 0] for hours in (self._middle, self._spread))
        return _Outcomes(
            promised=now - chunks_cost(self._middle, picked),
            deviation=_deviation(chunks_cost(self._spread, picked), spread_now, shift),
            once=chunks_cost(self._actual, picked),
            replanned=chunks_replanned_cost(self._middle, self._actual, shift),
            run_now=start_costs(self._actual, shift)[:, 0],
            hindsight=best_chunks_cost(self._actual, shift),
        )


def _deviation(later: FloatArray, now: FloatArray, shift: Shift) -> FloatArray:
    """Standard deviation of the promised saving; errors far apart in one job partly cancel."""
    return np.sqrt(np.maximum(difference_variance(later, now), 0.0) * shared_share(shift.duration_hours))
