from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.energy.calibration import learn

ratios = st.floats(-3, 3)


@given(good=st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=10), bad=st.floats(-100, 100), sigma=st.floats(0.02, 1))
def test_one_bad_run_among_good_ones_cannot_move_the_centre_out_of_theirs(good: list[float], bad: float, sigma: float) -> None:
    correction = learn([*good, bad], sigma)

    assert min(good) <= correction.shift <= max(good)


@given(ratio=ratios, sigma=st.floats(0.02, 1))
def test_a_single_run_is_never_overshot(ratio: float, sigma: float) -> None:
    correction = learn([ratio], sigma)

    assert abs(ratio) / 2 <= abs(correction.shift) <= abs(ratio)


@given(ratio=ratios, runs=st.integers(3, 20))
def test_equal_runs_are_repeated_and_certainty_grows_with_their_number(ratio: float, runs: int) -> None:
    few, many = learn([ratio] * runs, 0.3), learn([ratio] * (runs + 1), 0.3)

    assert few.shift == ratio
    assert many.sigma < few.sigma
    assert few.factor == pytest.approx(math.exp(ratio))


def test_with_two_runs_the_prediction_is_the_third_voice() -> None:
    assert learn([0.5, 4.0], 0.3).shift == 0.5
    assert learn([-0.2, 0.3], 0.3).shift == 0.0


def test_scattered_runs_give_a_wide_interval() -> None:
    assert learn([-0.5, 0.0, 0.1, 0.6, -0.4], 0.3).sigma > 2 * learn([0.0, 0.01, -0.01, 0.0, 0.02], 0.3).sigma
