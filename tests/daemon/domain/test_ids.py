"""Identifiers sort by the moment they were made, and do not repeat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.ids import new_id

MILLISECOND = timedelta(milliseconds=1)
moments = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(3000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # zone follows


@given(moments, st.integers(min_value=1, max_value=10**12))
def test_ids_made_in_different_milliseconds_sort_by_time(first: datetime, later: int) -> None:
    second = first + MILLISECOND * later if first.year < 2900 else first + MILLISECOND
    assert new_id("j", first) < new_id("j", second)


@given(moments)
def test_an_id_is_short_lower_case_and_says_what_it_is_for(moment: datetime) -> None:
    name = new_id("a", moment)
    assert name.startswith("a-")
    assert len(name) == 16
    assert name == name.lower()
    assert not set(name[2:]) & set("ilou")


def test_ids_of_one_millisecond_differ() -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    assert len({new_id("j", now) for _ in range(20_000)}) == 20_000  # drawn at random, about six of them would meet
