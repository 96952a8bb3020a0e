"""What a zone's own map looks at: the newest day and the neighbours, told apart by the local hour, the weekday and the season."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.intensity import FloatArray
from forecast.model.features import (
    CALENDAR_COLUMNS,
    DAY_HOURS,
    EARLIER_HOURS,
    INPUT_COLUMNS,
    WEEK_HOURS,
    WINDOW_HOURS,
    SingleArray,
    build,
)
from forecast.model.map_columns import (
    MAP_COLUMNS,
    PLAIN_COLUMNS,
    SEASONS,
    STEADY_PENALTIES,
    SUPPLE_PENALTIES,
    WAVES,
    WEEKDAYS,
    YOUTH_PENALTIES,
    map_columns,
)
from forecast.model.places import place_of
from forecast.model.record import NEIGHBOUR_COLUMNS
from tests.forecast.model.records import hourly

PLACE = place_of("DE")
NEWEST_DAY = slice(WEEK_HOURS - DAY_HOURS, WEEK_HOURS)
CALM = slice(WEEK_HOURS + DAY_HOURS + EARLIER_HOURS, INPUT_COLUMNS - CALENDAR_COLUMNS)
DAY_CROSSINGS = PLAIN_COLUMNS + DAY_HOURS * (WAVES + WEEKDAYS + SEASONS)

every_kind = pytest.mark.parametrize("penalties", [SUPPLE_PENALTIES, STEADY_PENALTIES, YOUTH_PENALTIES], ids=["supple", "steady", "youth"])


def inputs_at(*first_hours: int) -> SingleArray:
    """The same four weeks, as if they ended before each of `first_hours`."""
    windows = np.tile(hourly(WINDOW_HOURS), (len(first_hours), 1))
    return build(windows, np.array(first_hours), PLACE).inputs


def passing(moments: int) -> SingleArray:
    return np.random.default_rng(3).normal(0, 1, (moments, NEIGHBOUR_COLUMNS)).astype(np.float32)


@every_kind
def test_there_is_a_penalty_for_every_column(penalties: FloatArray) -> None:
    assert map_columns(inputs_at(0, 5), passing(2)).shape == (2, MAP_COLUMNS)
    assert penalties.shape == (MAP_COLUMNS,)
    assert (penalties > 0).all()


@every_kind
def test_the_newest_hours_are_learnt_soonest_and_what_lasts_for_weeks_last(penalties: FloatArray) -> None:
    newest, day_before = penalties[NEWEST_DAY], penalties[WEEK_HOURS - 2 * DAY_HOURS : WEEK_HOURS - DAY_HOURS]
    older, calendar = penalties[: WEEK_HOURS - 2 * DAY_HOURS], penalties[INPUT_COLUMNS - CALENDAR_COLUMNS : INPUT_COLUMNS + 1]
    calm = penalties[CALM]
    for sooner, later in pairwise((newest, day_before, older, calendar, calm)):
        assert sooner.max() < later.min()


def test_the_record_itself_comes_first_unchanged() -> None:
    inputs, around = inputs_at(0, 5, 17), passing(3)
    columns = map_columns(inputs, around)
    np.testing.assert_array_equal(columns[:, :INPUT_COLUMNS], inputs)
    np.testing.assert_array_equal(columns[:, INPUT_COLUMNS], 1)
    np.testing.assert_array_equal(columns[:, INPUT_COLUMNS + 1 : PLAIN_COLUMNS], around)


@settings(max_examples=30, deadline=None)
@given(first_hour=st.integers(400_000, 500_000))
def test_the_newest_day_is_told_apart_by_local_hour_weekday_and_season(first_hour: int) -> None:
    inputs = inputs_at(first_hour)
    crossed = map_columns(inputs, passing(1))[:, PLAIN_COLUMNS:DAY_CROSSINGS].reshape(DAY_HOURS, -1)
    local = first_hour + PLACE.utc_offset_hours
    angles = 2 * np.pi * local / DAY_HOURS * np.array([1, 2, 3])
    season = 2 * np.pi * first_hour / (365.25 * DAY_HOURS)
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=1).ravel()
    weekday = np.eye(7)[int(local // DAY_HOURS) % 7]
    tellers = np.concatenate([waves, weekday, [np.cos(season), np.sin(season)]])
    np.testing.assert_allclose(crossed, np.outer(inputs[0, NEWEST_DAY], tellers), atol=2e-5)


def test_neighbours_are_told_apart_by_hour_but_not_by_weekday() -> None:
    around = np.repeat(passing(1), 3, axis=0)
    noon, midnight, next_noon = map_columns(inputs_at(11, 23, 35), around)[:, DAY_CROSSINGS : DAY_CROSSINGS + NEIGHBOUR_COLUMNS * 4]
    np.testing.assert_allclose(noon, next_noon, atol=1e-5)
    assert np.abs(noon - midnight).max() > 1


def test_where_nothing_is_known_of_neighbours_their_columns_are_empty() -> None:
    columns = map_columns(inputs_at(0), np.zeros((1, NEIGHBOUR_COLUMNS), dtype=np.float32))
    assert not columns[:, INPUT_COLUMNS + 1 : PLAIN_COLUMNS].any()
    assert not columns[:, DAY_CROSSINGS : DAY_CROSSINGS + NEIGHBOUR_COLUMNS * 4].any()
