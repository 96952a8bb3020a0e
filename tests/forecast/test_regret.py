"""When a promised saving is worth waiting for, and what a record of kept and broken promises does to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forecast.regret import MINIMUM_DAYS, NO_PROMISE, RECORD_DAYS, difference_variance, share_kept, shared_share, trailing_shares

amounts = st.lists(st.tuples(st.floats(0, 500), st.floats(-500, 500)), min_size=MINIMUM_DAYS, max_size=40)


@given(amounts)
@example([(0.0, 0.0)] * 6 + [(2.2250738585072014e-308, 4.0)])
def test_the_share_of_promises_kept_lies_within_nothing_and_all(days: list[tuple[float, float]]) -> None:
    promised, came = np.array(days).T
    share = share_kept(promised, came)
    assert share is None if promised.sum() <= NO_PROMISE else 0.0 <= (share if share is not None else -1) <= 1.0


def test_promises_that_all_came_true_are_believed_in_full_and_those_that_came_half_by_half() -> None:
    promised = np.linspace(10, 50, 28)
    assert share_kept(promised, promised) == 1.0
    assert share_kept(promised, promised / 2) == pytest.approx(0.5)
    assert share_kept(promised, -promised) == 0.0


def test_a_few_bad_days_are_no_evidence_and_many_are() -> None:
    random = np.random.default_rng(1)
    promised, came = np.full(28, 100.0), random.normal(90, 150, 28)
    assert share_kept(promised, came) == 1.0
    useless = share_kept(promised, random.normal(0, 100, 28))
    assert useless is not None
    assert useless < 0.5


def test_a_week_is_the_least_that_says_anything_and_no_promise_says_nothing() -> None:
    assert share_kept(np.ones(MINIMUM_DAYS - 1), np.zeros(MINIMUM_DAYS - 1)) is None
    assert share_kept(np.ones(MINIMUM_DAYS), np.zeros(MINIMUM_DAYS)) == 0.0
    assert share_kept(np.zeros(28), np.zeros(28)) is None


def test_the_record_does_not_see_outcomes_that_are_not_known_yet() -> None:
    promised, came = np.ones(24 * 40), np.ones(24 * 40)
    changed = came.copy()
    changed[24 * 20 :] = 0.0
    before, after = (trailing_shares(promised, each, known_after_hours=32) for each in (came, changed))
    first_seen = 24 * 20 + 32
    np.testing.assert_array_equal(before[:first_seen], after[:first_seen])
    assert after[24 * 39] < 1.0


def test_the_record_forgets_what_is_older_than_four_weeks_and_starts_as_trust() -> None:
    hours = 24 * (RECORD_DAYS + 40)
    came = np.ones(hours)
    came[: 24 * 20] = 0.0
    shares = trailing_shares(np.ones(hours), came, known_after_hours=32)
    assert (shares[: 24 * MINIMUM_DAYS] == 1.0).all()
    assert shares[24 * 15] == 0.0
    assert shares[-1] == 1.0


def test_hours_without_a_known_outcome_neither_keep_nor_break_a_promise() -> None:
    promised, came = np.ones(24 * 20), np.ones(24 * 20)
    came[::3] = np.nan
    promised[1::5] = np.nan
    assert trailing_shares(promised, came, known_after_hours=10)[-1] == 1.0


@given(st.floats(1e-6, 1e4))
def test_errors_of_long_windows_partly_cancel(hours: float) -> None:
    assert 0 < shared_share(hours) <= 1
    assert shared_share(2 * hours) <= shared_share(hours) + 1e-9


def test_a_difference_of_two_windows_that_err_alike_is_surer_than_one_of_two_that_do_not() -> None:
    assert difference_variance(10.0, 10.0) < difference_variance(10.0, 10.0, 0.0) == 200.0
