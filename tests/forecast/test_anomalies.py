"""Values that must not be believed are marked, and sound ones are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.anomalies import Mark, believed, mark
from forecast.intensity import FloatArray


def lively(hours: int = 24 * 14) -> FloatArray:
    return 300 + 50 * np.sin(np.arange(hours) / 24 * 2 * np.pi) + np.random.default_rng(0).normal(0, 5, hours).round(2)


def test_a_lively_record_has_no_marks() -> None:
    assert (mark(lively()) == Mark.SOUND).all()


def test_zeros_and_gaps_are_marked_as_what_they_are() -> None:
    values = lively()
    values[5], values[9] = 0.0, np.nan
    marks = mark(values)
    assert (marks[5], marks[9]) == (Mark.ZERO, Mark.MISSING)
    assert np.isnan(believed(values)[[5, 9]]).all()


@given(st.integers(6, 60), st.integers(0, 200))
def test_a_feed_that_hangs_for_six_hours_keeps_only_its_first_value(length: int, start: int) -> None:
    values = lively()
    values[start : start + length] = values[start]
    marks = mark(values)
    assert marks[start] == Mark.SOUND
    assert (marks[start + 1 : start + length] == Mark.FROZEN).all()
    assert (marks[:start] == Mark.SOUND).all()
    assert (marks[start + length :] == Mark.SOUND).all()


def test_a_gap_inside_a_hanging_feed_does_not_hide_it() -> None:
    values = lively()
    values[100:110] = values[100]
    values[104] = np.nan
    marks = mark(values)
    assert (marks[[101, 103, 105, 109]] == Mark.FROZEN).all()
    assert marks[104] == Mark.MISSING


def test_a_long_hang_does_not_make_repeating_a_habit_of_the_zone() -> None:
    values = lively()
    values[50:150], values[200:207] = values[50], values[200]
    marks = mark(values)
    assert (marks[51:150] == Mark.FROZEN).all()
    assert (marks[201:207] == Mark.FROZEN).all()
    assert (marks == Mark.FROZEN).sum() == 99 + 6


@given(st.lists(st.sampled_from([0.0, 20.0, 21.0, 22.5, 300.0, np.nan]), max_size=120))
def test_what_was_cleaned_once_is_clean(values: list[float]) -> None:
    once = believed(np.array(values, dtype=np.float64))
    np.testing.assert_array_equal(believed(once), once)


def test_a_zero_is_a_value_where_the_kind_has_honest_zeros() -> None:
    values = lively()
    values[5] = 0.0
    assert mark(values, zero_is_a_value=True)[5] == Mark.SOUND


def test_whole_grams_on_a_quiet_grid_repeat_and_are_believed() -> None:
    values = np.repeat(np.random.default_rng(0).integers(20, 30, 100).astype(float), 4)
    values[100:108] = values[100]
    assert (mark(values) == Mark.SOUND).all()


def test_a_zone_that_is_constant_all_year_is_not_called_frozen() -> None:
    assert (mark(np.full(500, 680.0)) == Mark.SOUND).all()


def test_estimates_behind_the_newest_settled_value_are_set_aside() -> None:
    values, estimated = lively(48), np.zeros(48, dtype=np.bool_)
    estimated[[10, 46, 47]] = True
    marks = mark(values, estimated)
    assert (marks[46:] == Mark.UNSETTLED).all()
    assert marks[10] == Mark.SOUND, "an estimate between settled values will not settle any more"


@pytest.mark.parametrize("settled", [[], [3]])
def test_estimates_are_believed_where_there_is_nothing_else(settled: list[int]) -> None:
    estimated = np.ones(48, dtype=np.bool_)
    estimated[settled] = False
    assert (mark(lively(48), estimated) == Mark.SOUND).all()


def test_an_empty_record_has_no_marks() -> None:
    assert len(mark(np.empty(0))) == 0
    assert len(mark(np.array([1.0]))) == 1
