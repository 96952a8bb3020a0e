"""Decayed use over weight: whoever had the least lately comes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.shares import Held, ShareRule

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RULE = ShareRule({"ada": 2.0}, half_life=7 * DAY)

ages = st.floats(0, 100)


def held(user: str, days_ago: float, days: float, gpus: int = 1) -> Held:
    return Held(user, gpus, NOW - days_ago * DAY, NOW - (days_ago - days) * DAY)


def test_a_short_use_counts_half_after_a_half_life_and_a_quarter_after_two() -> None:
    fresh, old, older = (RULE.gpu_hours([held("bob", days, 0.001)], NOW)["bob"] for days in (0.001, 7, 14))
    assert old == pytest.approx(fresh / 2, rel=1e-3)
    assert older == pytest.approx(fresh / 4, rel=1e-3)


def test_who_is_entitled_to_twice_as_much_stands_half_as_high() -> None:
    standings = RULE.standings(RULE.gpu_hours([held("ada", 3, 1), held("bob", 3, 1)], NOW))
    assert standings["ada"] == pytest.approx(standings["bob"] / 2)


def test_use_that_goes_on_counts_until_now_and_none_in_the_future() -> None:
    going_on = RULE.gpu_hours([Held("bob", 4, NOW - DAY, None)], NOW)
    assert going_on == RULE.gpu_hours([Held("bob", 4, NOW - DAY, NOW + DAY)], NOW)
    assert RULE.gpu_hours([Held("bob", 4, NOW + DAY, None)], NOW)["bob"] == 0


@given(ages, st.floats(0, 1), st.integers(1, 8))
def test_cutting_a_stretch_in_two_changes_nothing(days: float, share: float, gpus: int) -> None:
    whole = held("bob", days, days, gpus)
    middle = whole.start + share * days * DAY
    parts = [Held("bob", gpus, whole.start, middle), Held("bob", gpus, middle, whole.end)]
    assert RULE.gpu_hours(parts, NOW)["bob"] == pytest.approx(RULE.gpu_hours([whole], NOW)["bob"], rel=1e-6, abs=1e-6)


@given(ages, st.floats(0.01, 10))
def test_the_longer_ago_the_less_it_counts_and_after_the_memory_next_to_nothing(days: float, length: float) -> None:
    now, later = (RULE.gpu_hours([held("bob", days + length + more, length)], NOW)["bob"] for more in (0.0, 1.0))
    assert later <= now
    beyond = RULE.memory / DAY
    assert RULE.gpu_hours([held("bob", beyond + length, length)], NOW)["bob"] <= 24 * length / 1000


@given(ages, st.floats(0.01, 10), st.floats(0, 30))
def test_the_past_only_fades(days: float, length: float, span: float) -> None:
    """What was summed up once need not be summed up again."""
    stretch = held("bob", days + length, length)
    later = NOW + span * DAY
    faded = RULE.faded(RULE.gpu_hours([stretch], NOW), later - NOW)
    assert faded["bob"] == pytest.approx(RULE.gpu_hours([stretch], later)["bob"], rel=1e-9)
    assert RULE.faded({"bob": 2.0}, -span * DAY) == {"bob": 2.0}
