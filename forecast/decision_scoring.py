"""What a forecast was worth: the emissions of jobs that were shifted by it, beside running at once and beside hindsight.

One job is submitted at every origin, at constant power, so its cost is the mean intensity over its hours in gCO2e/kWh.
`values` and origins are as in `forecast.scoring`; forecasts are issued at consecutive hours and shaped (origins, leads).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.intensity import FloatArray
from forecast.scoring import DAY_HOURS, IntArray

TIE_SHARE = 1e-9  # costs closer than this share are equal
TINY = 1e-9
LOGISTIC_OF_NORMAL = 1.702  # a logistic curve of this steepness stays within 0.01 of the normal distribution


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

    `saved` is the saving as a share of the run-now emissions; all over `count` submissions.
    """

    kept: float
    worse: float
    saved: float
    count: int


def decision_scores(cost: FloatArray, run_now: FloatArray, hindsight: FloatArray) -> DecisionScores:
    """Scores of realised costs per submission; submissions with a missing hour are left out. Raises ValueError if none is left."""
    known = np.isfinite(cost) & np.isfinite(run_now) & np.isfinite(hindsight)
    if not known.any():
        raise ValueError("nothing to score: no submission has all hours of its window measured")
    saving = (run_now - cost)[known]
    possible = float((run_now - hindsight)[known].sum())
    kept = float(saving.sum()) / possible if possible > 0 else float("nan")
    worse = float(np.mean(saving < -TIE_SHARE * run_now[known]))
    return DecisionScores(kept, worse, float(saving.sum() / run_now[known].sum()), int(known.sum()))


def start_costs(hours: FloatArray, shift: Shift) -> FloatArray:
    """The mean over the job for each possible start: (origins, slack + 1), from hourly means (origins, >= window)."""
    sums = np.cumsum(np.pad(hours[:, : shift.window_hours], ((0, 0), (1, 0))), axis=1)
    means: FloatArray = (sums[:, shift.duration_hours :] - sums[:, : -shift.duration_hours]) / shift.duration_hours
    return means


def plan_once(forecast: FloatArray, shift: Shift, price: FloatArray | None = None) -> IntArray:
    """The start (hours after submission) a single look at the forecast picks.

    `price` is what waiting until each start must save at least, in gCO2e/kWh: (origins, slack + 1), its first column zero.
    """
    expected = start_costs(forecast, shift)
    if price is not None:
        expected = expected + price[:, : shift.slack_hours + 1]
    cheapest = expected.min(axis=1)
    # Sums of the same hours in another order differ in the last bits; a tie must go to the earliest start.
    starts: IntArray = (expected <= cheapest[:, None] + TIE_SHARE * np.abs(expected[:, :1])).argmax(axis=1)
    return starts


def replan_hourly(forecast: FloatArray, shift: Shift, price: FloatArray | None = None) -> IntArray:
    """The start when the plan is made anew every hour from the newest forecast until the job has started.

    The last `slack_hours` origins only serve as later looks, so the result is that much shorter.
    """
    count = len(forecast) - shift.slack_hours
    start = np.full(count, shift.slack_hours)
    waiting = np.arange(count)
    for hour in range(shift.slack_hours):
        left = Shift(shift.duration_hours, shift.slack_hours - hour)
        looks = waiting + hour
        goes = plan_once(forecast[looks], left, None if price is None else price[looks]) == 0
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


def chunks_once_cost(forecast: FloatArray, actual: FloatArray, shift: Shift) -> FloatArray:
    """The real cost of the hours that one look at the forecast takes for the cheapest."""
    picked = np.argpartition(forecast[:, : shift.window_hours], shift.duration_hours - 1, axis=1)[:, : shift.duration_hours]
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


def price_of_waiting(forecast: FloatArray, actual: FloatArray, shift: Shift, strictness: float, days: int) -> FloatArray:
    """The regret rule: what each start must save before a job waits for it, (origins, slack + 1) in gCO2e/kWh.

    It is the chance that this start ends worse than starting at once, times `strictness`, times what perfect foresight
    would have saved on average. Chance and average are learnt from the submissions whose windows ended within the `days`
    before, renewed daily: the method's own promises (forecast saving) against what came. Where there is less record the
    price is infinite, so that nothing waits without evidence; starting at once never has a price.
    """
    promised, real = (costs[:, :1] - costs for costs in (start_costs(hours, shift) for hours in (forecast, actual)))
    doubt = _trailing_mean(np.square(promised - real), shift.window_hours, days)
    possible = _trailing_mean(real.max(axis=1, keepdims=True), shift.window_hours, days)
    sureness = promised / np.maximum(np.sqrt(doubt), TINY)
    price: FloatArray = strictness * possible / (1 + np.exp(np.clip(LOGISTIC_OF_NORMAL * sureness, -50, 50)))
    price[np.isnan(price)] = np.inf
    price[:, 0] = 0.0
    return price


def _trailing_mean(values: FloatArray, window_hours: int, days: int) -> FloatArray:
    """Column means over the `days` of submissions whose windows had ended at the start of each origin's day; NaN before that.

    Submissions with a missing hour count as zero: they neither disappointed nor could have saved anything known.
    """
    hours = days * DAY_HOURS
    sums = np.cumsum(np.pad(np.nan_to_num(values), ((1, 0), (0, 0))), axis=0)
    means = np.full(values.shape, np.nan)
    for first in range(0, len(values), DAY_HOURS):
        ended = first - window_hours + 1
        if ended >= hours:
            means[first : first + DAY_HOURS] = (sums[ended] - sums[ended - hours]) / hours
    return np.asarray(np.maximum(means, 0.0))
