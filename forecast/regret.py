"""Whether waiting pays: a promised saving against what its forecast may be wrong by, and how much of such promises came true.

Two things count against a promise. Its own uncertainty: the deviation of a difference between two windows of one forecast, from the
forecast's central 80 % bounds. And its record: which share of the savings that were promised in the zone lately came true.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from forecast.intensity import FloatArray

Z80 = 1.2816
"""Half-width of the central 80 % of a normal distribution in standard deviations."""

SAME_FORECAST_CORRELATION = 0.5
"""Errors of two windows of one forecast move together: a level missed now is mostly missed tomorrow as well."""

ERROR_MEMORY_HOURS = 12.0
"""Weather systems move on; an error of now says little about the one a day later."""

WAIT_CONFIDENCE = 0.5
"""Standard deviations of its error that a promised saving must exceed before a new job waits for it. Of 0.1, 0.2, ... 1.0 the
least that leaves at most 6 % of jobs worse than run-now: 8 h jobs with 24 h slack, one an hour, re-planned hourly once they
wait, 27 zones, August to December 2022, a model trained until June. They keep 0.680 of the hindsight saving and 5.7 % end
worse (0.4: 0.700 and 6.8 %; without the rule 0.742 and 13.5 %)."""

RECORD_DAYS = 28
MINIMUM_DAYS = 7
"""Days of promises from which a share says anything; with less the forecast's own bounds must do."""

NO_PROMISE = 1e-9
"""gCO2e/kWh over all days: so little is a difference in the last digits, and nothing can be a share of it."""

BENEFIT_OF_DOUBT = 2.0
"""Standard errors added to the share, so that a zone is distrusted on evidence, not on a bad week."""

_SHORT = 1e-3  # below this share of a memory the formula loses its digits, and the errors are one
_DAY_HOURS = 24

Number = TypeVar("Number", float, FloatArray)


def shared_share(hours: float) -> float:
    """Variance of the mean of an exponentially correlated error over `hours`, as a share of the error's own."""
    length = hours / ERROR_MEMORY_HOURS
    if length < _SHORT:
        return 1.0
    return 2.0 / length * (1.0 - (1.0 - math.exp(-length)) / length)


def difference_variance(first: Number, second: Number, correlation: float = SAME_FORECAST_CORRELATION) -> Number:
    """Variance of a difference from the standard deviations of its sides."""
    return first * first + second * second - 2 * correlation * first * second


def share_kept(promised: FloatArray, came: FloatArray) -> float | None:
    """The share of promised savings that came true, from daily sums; None below MINIMUM_DAYS days or without any promise.

    BENEFIT_OF_DOUBT standard errors (days as clusters) are added, and the result held within 0 and 1: a forecast is
    distrusted where its record is clearly short of its promises, and never trusted more than it asks for.
    """
    total = float(promised.sum())
    if len(promised) < MINIMUM_DAYS or total <= NO_PROMISE:
        return None
    share = float(came.sum()) / total
    error = float(np.sqrt(np.square(came - share * promised).sum())) / total
    return min(1.0, max(0.0, share + BENEFIT_OF_DOUBT * error))


def trailing_shares(promised: FloatArray, came: FloatArray, known_after_hours: int) -> FloatArray:
    """`share_kept` at each of the consecutive hourly submissions, from those of the RECORD_DAYS before whose outcome was known.

    An outcome is known `known_after_hours` after its submission; NaN never counts. 1 while there is too little record.
    Renewed once a day.
    """
    known = np.isfinite(promised) & np.isfinite(came)
    days = len(came) // _DAY_HOURS
    daily = (np.where(known, each, 0.0)[: days * _DAY_HOURS].reshape(days, _DAY_HOURS).sum(axis=1) for each in (promised, came))
    promised_daily, came_daily = daily
    shares = np.ones(len(came))
    for day in range(days + 1):
        ended = max(0, (day * _DAY_HOURS - known_after_hours - (_DAY_HOURS - 1)) // _DAY_HOURS + 1)
        record = slice(max(0, ended - RECORD_DAYS), ended)
        share = share_kept(promised_daily[record], came_daily[record])
        shares[day * _DAY_HOURS : (day + 1) * _DAY_HOURS] = 1.0 if share is None else share
    return shares
