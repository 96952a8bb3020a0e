"""How reasons tell moments: briefly, and never so that two of them read alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.job import PlannedSegment
from daemon.planner.reasons import deadline_text, moment_text, window_text

NEW_YEARS_EVE = datetime(2026, 12, 31, 22, 30, tzinfo=UTC)
LEAP_DAY = datetime(2028, 2, 29, 23, 59, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis asks for naive bounds


@pytest.mark.parametrize(
    ("instant", "now", "text"),
    [
        (NEW_YEARS_EVE + timedelta(hours=1), NEW_YEARS_EVE, "23:30"),
        (NEW_YEARS_EVE + timedelta(hours=3), NEW_YEARS_EVE, "tomorrow 01:30"),
        (NEW_YEARS_EVE + timedelta(days=2), NEW_YEARS_EVE, "Sat 02 Jan 2027 22:30"),
        (NEW_YEARS_EVE - timedelta(days=2), NEW_YEARS_EVE, "Tue 29 Dec 22:30"),
        (datetime(2098, 1, 1, tzinfo=UTC), NEW_YEARS_EVE, "Wed 01 Jan 2098 00:00"),
        (LEAP_DAY + timedelta(minutes=1), LEAP_DAY, "tomorrow 00:00"),
        (LEAP_DAY + timedelta(days=365), LEAP_DAY, "Wed 28 Feb 2029 23:59"),
    ],
)
def test_a_moment_is_told_with_as_much_of_its_date_as_it_needs(instant: datetime, now: datetime, text: str) -> None:
    assert moment_text(instant, now) == text


@given(now=MOMENTS, instant=MOMENTS, other=MOMENTS)
def test_two_moments_of_different_minutes_never_read_alike(now: datetime, instant: datetime, other: datetime) -> None:
    same_minute = instant.replace(second=0, microsecond=0) == other.replace(second=0, microsecond=0)
    assert (moment_text(instant, now) == moment_text(other, now)) == same_minute


def test_a_window_and_a_deadline_across_the_end_of_the_year_name_the_new_year() -> None:
    segment = PlannedSegment("home", NEW_YEARS_EVE, NEW_YEARS_EVE + timedelta(days=3, seconds=1), 1)
    assert window_text((segment,), NEW_YEARS_EVE) == "22:30 to Sun 03 Jan 2027 22:30 UTC"
    assert deadline_text(segment.end, NEW_YEARS_EVE) == "a deadline of Sun 03 Jan 2027 22:31 UTC would do"
