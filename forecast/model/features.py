"""What the model sees of a zone at the moment of a forecast: its last four weeks, scaled by their own level and spread.

A *window* is the 672 hours before the first hour forecast, newest last, in gCO2e/kWh, NaN where missing. The same code
serves training (many windows at once) and the daemon (one), so the two cannot drift apart. Everything is in units of
the window's own level and spread, so a grid ten times as dirty gives the same features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.intensity import FloatArray
from forecast.model.places import Place
from forecast.scoring import IntArray, NothingKnown

BoolArray = NDArray[np.bool_]
SingleArray = NDArray[np.float32]

WINDOW_HOURS = 672
HORIZON_HOURS = 104  # 96 hours ahead of now, from a newest settled value up to 8 hours old
DAY_HOURS = 24
WEEK_HOURS = 168
LEVEL_PRIOR_HOURS = 48
SPREAD_PRIOR = 0.15  # of the level: how much an unknown grid swings, as a standard deviation
HOURS_PER_YEAR = 8766
EARLIER_HOURS = 96
CALENDAR_COLUMNS = 16
INPUT_COLUMNS = WEEK_HOURS + DAY_HOURS + EARLIER_HOURS + 21 + 7 + CALENDAR_COLUMNS
LEAD_COLUMNS = 27


@dataclass(frozen=True, slots=True)
class Features:
    """`inputs` (windows, INPUT_COLUMNS) and, to undo the scaling, `level` and `spread` per window in gCO2e/kWh."""

    inputs: SingleArray
    level: FloatArray
    spread: FloatArray


def build(windows: FloatArray, first_hours: IntArray, place: Place) -> Features:
    """Features of `windows` (n, 672) whose first forecast hours are `first_hours` (hours since the Unix epoch, UTC).

    Raises NothingKnown if a window has no known value at all.
    """
    known = np.isfinite(windows)
    if not known.any(axis=1).all():
        raise NothingKnown("a forecast needs at least one known hour in the four weeks before it")
    filled = fill_gaps(windows)
    level, spread = _level_and_spread(filled, known)
    scaled = (filled - level[:, None]) / spread[:, None]
    parts = [
        scaled[:, -WEEK_HOURS:],
        _daily_shape(scaled),
        _earlier_weeks(scaled),
        scaled[:, :-WEEK_HOURS].reshape(len(scaled), -1, DAY_HOURS).mean(axis=2),
        _scalars(scaled, known, level, spread),
        calendar(first_hours, place),
    ]
    return Features(np.concatenate(parts, axis=1).astype(np.float32), level, spread)


def fill_gaps(windows: FloatArray) -> FloatArray:
    """Gaps filled by the mean of the same hour of day where one is known, else by the mean of what is known."""
    by_hour = windows.reshape(len(windows), -1, DAY_HOURS)
    known = np.isfinite(by_hour)
    sums = np.where(known, by_hour, 0.0).sum(axis=1)
    counts = known.sum(axis=1)
    overall = sums.sum(axis=1) / counts.sum(axis=1)
    shape = np.where(counts > 0, sums / np.maximum(counts, 1), overall[:, None])
    return np.where(known, by_hour, shape[:, None, :]).reshape(windows.shape)


def _level_and_spread(filled: FloatArray, known: BoolArray) -> tuple[FloatArray, FloatArray]:
    """The mean of the last week and the standard deviation around it, the latter drawn to a typical one where little is known."""
    level = np.maximum(filled[:, -WEEK_HOURS:].mean(axis=1), 1e-3)
    deviation = np.where(known, filled - level[:, None], 0.0)
    count = known.sum(axis=1)
    variance = (np.square(deviation).sum(axis=1) + LEVEL_PRIOR_HOURS * np.square(SPREAD_PRIOR * level)) / (count + LEVEL_PRIOR_HOURS)
    return level, np.sqrt(variance)


def _daily_shape(scaled: FloatArray) -> FloatArray:
    """The mean of each hour of day over four weeks; column 0 is the first hour forecast."""
    shape: FloatArray = scaled.reshape(len(scaled), -1, DAY_HOURS).mean(axis=1)
    return shape


def _earlier_weeks(scaled: FloatArray) -> FloatArray:
    """The mean of the same hours of the week, two to four weeks before the hours forecast."""
    weeks = scaled.reshape(len(scaled), 4, WEEK_HOURS)
    earlier: FloatArray = weeks[:, :3].mean(axis=1)[:, :EARLIER_HOURS]
    return earlier


def _scalars(scaled: FloatArray, known: BoolArray, level: FloatArray, spread: FloatArray) -> FloatArray:
    """Relative spread, how restless the zone is from day to day and hour to hour, and how much of the window is known."""
    day_change = np.abs(scaled[:, DAY_HOURS:] - scaled[:, :-DAY_HOURS])
    hour_change = np.abs(np.diff(scaled, axis=1))
    known_days = known.sum(axis=1) / DAY_HOURS
    return np.stack(
        [
            np.log(spread / level),
            np.log(level) / 3 - 1.7,
            day_change.mean(axis=1),
            day_change[:, -DAY_HOURS:].mean(axis=1),
            hour_change.mean(axis=1) * 4,
            np.log(known_days + 0.04) / 2,
            np.minimum(known_days / 7, 1.0),
        ],
        axis=1,
    )


def calendar(first_hours: IntArray, place: Place) -> FloatArray:
    """Local hour of day, weekday and season of the first hour forecast, as smooth or one-hot columns."""
    local = first_hours + place.utc_offset_hours
    hour_angle = 2 * np.pi * (local % DAY_HOURS) / DAY_HOURS
    season = 2 * np.pi * (first_hours % HOURS_PER_YEAR) / HOURS_PER_YEAR
    weekday = (local // DAY_HOURS).astype(np.int64) % 7
    tilt = np.sin(np.radians(place.latitude))
    smooth = [
        np.cos(hour_angle),
        np.sin(hour_angle),
        np.cos(2 * hour_angle),
        np.sin(2 * hour_angle),
        np.cos(season),
        np.sin(season),
        tilt * np.cos(season),
        tilt * np.sin(season),
        np.full(len(first_hours), tilt),
    ]
    return np.concatenate([np.stack(smooth, axis=1), np.eye(7)[weekday]], axis=1)


def local_hours(inputs: SingleArray) -> IntArray:
    """The local hour of day, 0 to 23, of the first hour forecast; where clocks differ by half hours, the one that has begun."""
    hour = np.arctan2(inputs[:, -CALENDAR_COLUMNS + 1], inputs[:, -CALENDAR_COLUMNS]) * (DAY_HOURS / (2 * np.pi)) % DAY_HOURS
    return (hour + 1e-3).astype(np.int64) % DAY_HOURS


def by_lead(inputs: SingleArray, leads: IntArray) -> SingleArray:
    """What `inputs` say about single hours ahead: (windows, leads, LEAD_COLUMNS); `leads` count from 0.

    The same hour on each of the last seven days (newest first), their mean and spread, the neighbouring hours, the same hour
    in four weeks and the same hour of the week before; local hour and weekday of the hour itself.
    """
    week = inputs[:, :WEEK_HOURS].reshape(len(inputs), 7, DAY_HOURS)
    phase = leads % DAY_HOURS
    same_hour = week[:, ::-1][:, :, phase]
    mean_day = week.mean(axis=1)
    shape = inputs[:, WEEK_HOURS : WEEK_HOURS + DAY_HOURS]
    earlier = inputs[:, WEEK_HOURS + DAY_HOURS : WEEK_HOURS + DAY_HOURS + EARLIER_HOURS]
    columns = [
        *same_hour.transpose(1, 0, 2),
        shape[:, phase],
        inputs[:, np.minimum(leads, WEEK_HOURS - 1)],
        earlier[:, np.minimum(leads, EARLIER_HOURS - 1)],
        same_hour.mean(axis=1),
        same_hour.std(axis=1),
        *(mean_day[:, (phase + hours) % DAY_HOURS] for hours in (1, -1, 3, -3)),
    ]
    return np.concatenate([np.stack(columns, axis=-1), _calendar_by_lead(inputs[:, -CALENDAR_COLUMNS:], leads)], axis=-1)


def _calendar_by_lead(origin: SingleArray, leads: IntArray) -> SingleArray:
    """Local hour of day (two harmonics) and weekday of each hour ahead, from the calendar columns of the first one."""
    angle = (2 * np.pi / DAY_HOURS * leads).astype(np.float32)
    cosine = origin[:, :1] * np.cos(angle) - origin[:, 1:2] * np.sin(angle)
    sine = origin[:, 1:2] * np.cos(angle) + origin[:, :1] * np.sin(angle)
    hour = np.arctan2(origin[:, 1:2], origin[:, :1]) * (DAY_HOURS / (2 * np.pi)) % DAY_HOURS
    days_on = ((hour + leads + 1e-3) // DAY_HOURS).astype(np.int64)
    weekday = (origin[:, -7:].argmax(axis=1)[:, None] + days_on) % 7
    smooth = np.stack([cosine, sine, 2 * cosine * cosine - 1, 2 * sine * cosine], axis=-1)
    return np.concatenate([smooth, np.eye(7, dtype=np.float32)[weekday]], axis=-1)
