"""What is known around a zone: which others are its neighbours, and how they are seen."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.model.features import WINDOW_HOURS
from forecast.model.record import NEIGHBOUR_COLUMNS, NEIGHBOURS, SPANS_HOURS, Record, aligned, nearest
from tests.forecast.model.records import NOW, hourly, record

HOURS = 1200


def seen(*neighbours: np.ndarray) -> np.ndarray:
    return Record.of("DE", hourly(HOURS), 0, neighbours).passing


def test_neighbours_are_the_nearest_zones_within_reach_and_never_the_zone_itself() -> None:
    assert nearest("DE", ["AU-NSW", "FR", "DE", "US-CAL-CISO", "PL"]) == ["PL", "FR"]
    many = ["BE", "CH", "AT", "CZ", "NL", "LU", "PL", "FR", "DK-DK1"]
    assert len(nearest("DE", many)) == NEIGHBOURS
    assert nearest("AU-NSW", ["DE", "FR"]) == []


def test_without_neighbours_nothing_is_seen() -> None:
    assert seen().shape == (HOURS + 1, NEIGHBOUR_COLUMNS)
    assert not seen().any()


@settings(max_examples=20, deadline=None)
@given(hour=st.integers(0, HOURS - 1), factor=st.floats(0.1, 10))
def test_an_hour_changes_nothing_that_is_seen_before_it_is_over(hour: int, factor: float) -> None:
    values = hourly(HOURS, seed=1)
    changed = values.copy()
    changed[hour] *= factor
    np.testing.assert_allclose(seen(values)[: hour + 1], seen(changed)[: hour + 1], atol=1e-5)


def test_a_neighbour_ten_times_as_dirty_is_seen_the_same() -> None:
    values = hourly(HOURS, seed=1)
    np.testing.assert_allclose(seen(values), seen(10 * values), atol=1e-4)


def test_a_dirty_hour_next_door_is_seen_at_once_and_by_its_span() -> None:
    values = hourly(HOURS, seed=1)
    dirtier = values.copy()
    dirtier[-3:] *= 1.5
    difference = (seen(dirtier) - seen(values))[-1, : len(SPANS_HOURS)]
    assert difference[0] > 0.5
    assert (np.diff(difference[1:]) < 0).all(), "the longer the span, the less three hours are"


def test_a_neighbour_whose_record_stops_is_as_if_it_were_not_there() -> None:
    values = hourly(HOURS, seed=1)
    values[-WINDOW_HOURS:] = np.nan
    assert not seen(values)[-1].any()


def test_records_are_laid_on_each_others_hours() -> None:
    late = record(100, end=NOW + timedelta(hours=10))
    laid = aligned(late, NOW - timedelta(hours=120), 120)
    assert np.isnan(laid[:30]).all()
    np.testing.assert_array_equal(laid[30:], late.values[:90])
    assert np.isnan(aligned(late, NOW + timedelta(days=40), 24)).all()


def test_the_record_says_how_much_of_four_weeks_is_known() -> None:
    values = hourly(HOURS)
    values[-10:] = np.nan
    known = Record.of("DE", values, 0).known
    assert (known[0], known[100], known[-1]) == (0, 100, WINDOW_HOURS - 10)
