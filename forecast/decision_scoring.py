"""What a forecast was worth: the emissions of jobs that were shifted by it, beside running at once and beside hindsight.

One job is submitted at every origin, at constant power, so its cost is the mean intensity over its hours in gCO2e/kWh.
`values` and origins are as in `forecast.scoring`; forecasts are issued at consecutive hours and shaped (origins, leads).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from forecast.intensity import FloatArray
from forecast.scoring import IntArray, NothingKnown

TIE_SHARE = 1e-9  # costs closer than this share are equal


@dataclass(frozen=True, slots=True)
class Shift:
    """A job that may wait: `duration_hours` of work that must end within `duration_hours + slack_hours` of submission."""

    duration_hours: int
    slack_hours: int

    @property
    def window_hours(self) -> int:
        return self.duration_hours + self.slack_hours


@dataclass(frozen=True, slots=True)
class DecisionScores:
    """`kept` is the saving as a share of the hindsight saving, `worse` the share of all submissions that end above run-now.

    `saved` is the saving as a share of the run-now emissions, `regret` in gCO2e/kWh how far submissions end above hindsight on average; all
    over `count` submissions.
    """

    kept: float
    worse: float
    saved: float
    regret: float
    count: int


def decision_scores(cost: FloatArray, run_now: FloatArray, hindsight: FloatArray) -> DecisionScores:
    """Scores of realised costs per submission; submissions with a missing hour are left out. Raises NothingKnown if none is left."""
    known = np.isfinite(cost) & np.isfinite(run_now) & np.isfinite(hindsight)
    if not known.any():
        raise NothingKnown("no submission has all hours of its window measured")
    saving = (run_now - cost)[known]
    possible = float((run_now - hindsight)[known].sum())
    total = float(run_now[known].sum())
    kept = float(saving.sum()) / possible if possible > TIE_SHARE * total else math.nan  # a grid that never changes has no saving to keep
    worse = float(np.mean(saving < -TIE_SHARE * run_now[known]))
    regret = float(np.mean((cost - hindsight)[known]))
    return DecisionScores(kept, worse, float(saving.sum()) / total if total > 0 else math.nan, regret, int(known.sum()))


def start_costs(hours: FloatArray, shift: Shift) -> FloatArray:
    """The mean over the job for each possible start: (origins, slack + 1), from hourly means (origins, >= window)."""
    sums = np.cumsum(np.pad(hours[:, : shift.window_hours], ((0, 0), (1, 0))), axis=1)
    means: FloatArray = (sums[:, shift.duration_hours :] - sums[:, : -shift.duration_hours]) / shift.duration_hours
    return means


def plan_once(forecast: FloatArray, shift: Shift) -> IntArray:
    """The start (hours after submission) a single look at the forecast picks."""
    expected = start_costs(forecast, shift)
    # Sums of the same hours in another order differ in the last bits; a tie must go to the earliest start.
    starts: IntArray = (expected <= expected.min(axis=1, keepdims=True) + TIE_SHARE * np.abs(expected[:, :1])).argmax(axis=1)
    return starts


def replan_hourly(forecast: FloatArray, shift: Shift) -> IntArray:
    """The start when the plan is made anew every hour from the newest forecast until the job has started.

    The last `slack_hours` origins only serve as later looks, so the result is that much shorter.
    """
    expected = start_costs(forecast, shift)
    cheapest_within = np.minimum.accumulate(expected, axis=1)  # by the slack that is left
    count = len(forecast) - shift.slack_hours
    start = np.full(count, shift.slack_hours)
    waiting = np.arange(count)
    for hour in range(shift.slack_hours):
        looks = waiting + hour
        now = expected[looks, 0]
        goes = ~(now > cheapest_within[looks, shift.slack_hours - hour] + TIE_SHARE * np.abs(now))
        start[waiting[goes]] = hour
        waiting = waiting[~goes]
    return start


def cost_of_start(actual: FloatArray, start: IntArray, shift: Shift) -> FloatArray:
    """What the job really cost, in gCO2e/kWh; `actual` is (origins, >= window)."""
    return start_costs(actual[: len(start)], shift)[np.arange(len(start)), start]


def best_chunks_cost(actual: FloatArray, shift: Shift) -> FloatArray:
    """The cost in hindsight of a job that may be cut into hours: the mean of its cheapest hours in the window."""
    window = actual[:, : shift.window_hours]
    cheapest = np.partition(window, shift.duration_hours - 1, axis=1)[:, : shift.duration_hours]
    return np.where(np.isfinite(window).all(axis=1), cheapest.mean(axis=1), np.nan)


def cheapest_hours(forecast: FloatArray, shift: Shift) -> IntArray:
    """The hours of the window that one look at the forecast takes for the cheapest: (origins, duration), in any order."""
    window = forecast[:, : shift.window_hours]
    picked: IntArray = np.argpartition(window, shift.duration_hours - 1, axis=1)[:, : shift.duration_hours]
    return picked


def chunks_cost(actual: FloatArray, picked: IntArray) -> FloatArray:
    """The mean over the picked hours."""
    return np.asarray(np.take_along_axis(actual, picked, axis=1).mean(axis=1))


def chunks_replanned_cost(forecast: FloatArray, actual: FloatArray, shift: Shift) -> FloatArray:
    """The real cost when each hour runs if it is among the cheapest hours still needed, by that hour's newest forecast.

    The last `window_hours` origins only serve as later looks, so the result is that much shorter.
    """
    count = len(forecast) - shift.window_hours
    needed = np.full(count, shift.duration_hours)
    cost = np.zeros(count)
    for hour in range(shift.window_hours):
        left = shift.window_hours - hour
        now = forecast[hour : hour + count, :left]
        cheaper_later = (now[:, 1:] < now[:, :1]).sum(axis=1)
        runs = cheaper_later < needed
        cost += np.where(runs, actual[:count, hour], 0.0)
        needed -= runs
    return cost / shift.duration_hours
