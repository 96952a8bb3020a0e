"""What a zone's own map looks at: one row per moment, with the newest day and the neighbours once more for each time of day.

A linear map cannot tell by itself that the same numbers mean something else at another hour, on a Sunday or in winter. So the newest day
and what the neighbours do are multiplied by waves of the local hour, by the weekday and by the season. The first day's forecasts err 0.9 %
less by the hours, 0.4 % by the weekday, 0.3 % by the season (second half of 2022, twelve zones).
"""

from __future__ import annotations

import numpy as np

from forecast.intensity import FloatArray
from forecast.model.features import (
    CALENDAR_COLUMNS,
    DAY_HOURS,
    EARLIER_HOURS,
    INPUT_COLUMNS,
    WEEK_HOURS,
    SingleArray,
)
from forecast.model.linear import with_constant
from forecast.model.record import NEIGHBOUR_COLUMNS

WAVES = 6
"""Sine and cosine of the local hour, once, twice and three times a day."""

SLOW_WAVES = 4
WEEKDAYS = 7
SEASONS = 2
PLAIN_COLUMNS = INPUT_COLUMNS + 1 + NEIGHBOUR_COLUMNS
MAP_COLUMNS = PLAIN_COLUMNS + DAY_HOURS * (WAVES + WEEKDAYS + SEASONS) + NEIGHBOUR_COLUMNS * SLOW_WAVES + WEEKDAYS * WAVES

NEWEST_DAY_PENALTY, DAY_BEFORE_PENALTY, INPUT_PENALTY = 15.0, 60.0, 250.0
"""What the square of a column's weight costs, in squared spreads; each map multiplies it (`_penalties`). What the newest hours mean is
learnt soonest, what older ones and means over weeks mean less so. With 500 for all of them, and less for what stays the same for days,
zones err 0.3 % more in the first day and keep 0.2 % less of the saving of jobs planned once; where wind decides, 1.5 and 3 % (IE; 14 zones,
all of 2022, with one map, by a model of 2021)."""

CALENDAR_PENALTY = 1000.0
CALM_PENALTY = 40_000.0
"""Of daily means and the zone's state, which say the same for weeks: a single year knows little about them."""

NEIGHBOUR_PENALTY = 700.0
CROSSED_PENALTY = 2000.0

_NEWEST_DAY, _DAY_BEFORE = (slice(WEEK_HOURS - days * DAY_HOURS, WEEK_HOURS - (days - 1) * DAY_HOURS) for days in (1, 2))
_CALM = slice(WEEK_HOURS + DAY_HOURS + EARLIER_HOURS, INPUT_COLUMNS - CALENDAR_COLUMNS)
"""The inputs between the hours and the calendar."""


def map_columns(inputs: SingleArray, passing: SingleArray) -> SingleArray:
    """(moments, MAP_COLUMNS) from the inputs of each moment and what the neighbours (moments, NEIGHBOUR_COLUMNS) did before it."""
    calendar = inputs[:, -CALENDAR_COLUMNS:]
    newest_day, weekday, season = inputs[:, _NEWEST_DAY], calendar[:, -WEEKDAYS:], calendar[:, 4 : 4 + SEASONS]
    waves = _waves(calendar)
    crossings = [
        _crossed(newest_day, np.concatenate([waves, weekday, season], axis=1)),
        _crossed(passing, waves[:, :SLOW_WAVES]),
        _crossed(weekday, waves),
    ]
    return np.concatenate([with_constant(inputs), passing, *crossings], axis=1)


def _waves(calendar: SingleArray) -> SingleArray:
    """Of the local hour: the calendar's two and the third."""
    cosine, sine, twice_cosine, twice_sine = calendar[:, :SLOW_WAVES].T
    third = [cosine * twice_cosine - sine * twice_sine, sine * twice_cosine + cosine * twice_sine]
    return np.concatenate([calendar[:, :SLOW_WAVES], np.stack(third, axis=1)], axis=1)


def _crossed(left: SingleArray, right: SingleArray) -> SingleArray:
    """Every column of `left` times every column of `right`."""
    product: SingleArray = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
    return product


def _penalties(newest_day: float, crossed: float, others: float) -> FloatArray:
    """(MAP_COLUMNS,): the penalties above, times one factor for the newest day, one for what is crossed and one for all else."""
    penalties = np.full(MAP_COLUMNS, crossed * CROSSED_PENALTY)
    penalties[: _CALM.start] = others * INPUT_PENALTY
    penalties[_DAY_BEFORE] = others * DAY_BEFORE_PENALTY
    penalties[_NEWEST_DAY] = newest_day * NEWEST_DAY_PENALTY
    penalties[_CALM] = others * CALM_PENALTY
    penalties[_CALM.stop : INPUT_COLUMNS + 1] = others * CALENDAR_PENALTY  # and of the constant
    penalties[INPUT_COLUMNS + 1 : PLAIN_COLUMNS] = others * NEIGHBOUR_PENALTY
    return penalties


YOUTH_PENALTIES = _penalties(newest_day=1.0, crossed=1.0, others=1.0)
"""What is added, many times or hardly at all, while a record is young."""

SUPPLE_PENALTIES = _penalties(newest_day=0.1, crossed=0.02, others=0.1)
"""Of a map that takes up whatever its zone does. Best where no other zone behaves alike: BR-CS, IN-NO."""

STEADY_PENALTIES = _penalties(newest_day=0.05, crossed=10.0, others=10.0)
"""Of a map that keeps to what all zones have in common, but for what the newest day means. Best where a year of one zone is mostly
chance: SE, US-SE-SOCO, and for the newest day IE."""
