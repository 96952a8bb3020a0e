"""Decisions by forecast, with the regret rule and without."""

from __future__ import annotations

import numpy as np
import pytest

from forecast.decision_scoring import Shift
from forecast.intensity import FloatArray
from forecast.scoring import targets
from forecast.shift_scores import ShiftScorer

HOURS = 24 * 70
RUN_IN = 24 * 30


def truth() -> FloatArray:
    """Submissions every hour on a grid that swings daily, with weather on top."""
    hour = np.arange(HOURS + 96)
    values = 300 + 100 * np.sin(2 * np.pi * hour / 24) + np.random.default_rng(0).normal(0, 15, len(hour))
    return targets(values, np.arange(HOURS), 96)


def with_bounds(middle: FloatArray, half_width: float) -> FloatArray:
    return np.stack([middle - half_width, middle, middle + half_width], axis=1)


@pytest.mark.parametrize("in_chunks", [False, True])
@pytest.mark.parametrize("shift", [Shift(2, 24), Shift(8, 24), Shift(24, 72)])
def test_perfect_foresight_keeps_everything_with_the_rule_and_without(shift: Shift, in_chunks: bool) -> None:
    actual = truth()
    scores = ShiftScorer(with_bounds(actual, 0.0), actual, RUN_IN).scores(shift, in_chunks=in_chunks)
    for each in (scores.once, scores.replanned, scores.ruled_once, scores.ruled_replanned):
        assert each.kept == pytest.approx(1)
        assert each.worse == 0


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_forecast_that_admits_to_know_nothing_makes_nobody_wait(in_chunks: bool) -> None:
    actual = truth()
    scores = ShiftScorer(with_bounds(actual, 1e6), actual, RUN_IN).scores(Shift(8, 24), in_chunks=in_chunks)
    assert scores.once.kept == pytest.approx(1)
    assert scores.ruled_once.kept == scores.ruled_replanned.kept == 0
    assert scores.ruled_once.worse == scores.ruled_replanned.worse == 0


def test_a_forecast_that_is_sure_of_the_wrong_hours_is_found_out_by_its_record() -> None:
    """The bounds are narrow, so only the broken promises speak against waiting."""
    actual = truth()
    upside_down = with_bounds(600 - actual, 1.0)
    scores = ShiftScorer(upside_down, actual, RUN_IN).scores(Shift(8, 24), in_chunks=False)
    assert scores.once.saved < -0.1
    assert scores.ruled_once.saved == 0
    assert scores.ruled_once.worse == 0


def test_the_stricter_the_rule_the_less_is_risked_and_the_less_is_kept() -> None:
    actual = truth()
    noisy = with_bounds(actual + np.random.default_rng(1).normal(0, 60, actual.shape), 80.0)
    curve = ShiftScorer(noisy, actual, RUN_IN).curve((0.0, 0.5, 1.0, 2.0))
    worse, kept = [point.once.worse for point in curve], [point.once.kept for point in curve]
    assert worse == sorted(worse, reverse=True)
    assert kept[0] > kept[-1]
    assert worse[0] > 0


def test_the_run_in_is_not_scored() -> None:
    actual = truth()
    count = ShiftScorer(with_bounds(actual, 0.0), actual, RUN_IN).scores(Shift(8, 24), in_chunks=False).once.count
    assert count == HOURS - RUN_IN
