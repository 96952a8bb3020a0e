from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.timeline import HOUR, Interval, NaiveDatetime, as_utc, ceil_to, floor_to

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
instants = st.integers(946_684_800_000_000, 4_102_444_800_000_000).map(lambda micros: EPOCH + timedelta(microseconds=micros))
steps = st.sampled_from([timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=30), HOUR, timedelta(days=1)])


@given(instants, st.timedeltas(timedelta(microseconds=1), timedelta(days=3)), steps)
def test_the_pieces_of_an_interval_join_up_to_it_without_gap_or_overlap(start: datetime, length: timedelta, step: timedelta) -> None:
    whole = Interval(start, start + length)
    pieces = list(whole.cut(step))
    assert pieces[0].start == whole.start
    assert pieces[-1].end == whole.end
    assert all(earlier.end == later.start for earlier, later in pairwise(pieces))
    assert all(piece.duration <= step for piece in pieces)


@given(instants, steps)
def test_rounding_down_and_up_enclose_an_instant_by_less_than_a_step(instant: datetime, step: timedelta) -> None:
    assert floor_to(instant, step) <= instant <= ceil_to(instant, step)
    assert ceil_to(instant, step) - floor_to(instant, step) in (timedelta(0), step)


@given(instants, instants, instants, instants)
def test_an_overlap_lies_in_both_intervals(a: datetime, b: datetime, c: datetime, d: datetime) -> None:
    if a == b or c == d:
        return
    one, other = Interval(min(a, b), max(a, b)), Interval(min(c, d), max(c, d))
    common = one.overlap(other)
    assert common == other.overlap(one)
    if common is None:
        assert one.end <= other.start or other.end <= one.start
    else:
        assert max(one.start, other.start) == common.start < common.end == min(one.end, other.end)


def test_an_interval_contains_its_start_and_not_its_end() -> None:
    noon = datetime(2026, 5, 10, 12, tzinfo=UTC)
    assert Interval(noon, noon + HOUR).contains(noon)
    assert not Interval(noon, noon + HOUR).contains(noon + HOUR)


def test_an_empty_or_reversed_interval_is_refused() -> None:
    noon = datetime(2026, 5, 10, 12, tzinfo=UTC)
    for end in (noon, noon - HOUR):
        with pytest.raises(ValueError, match="must end after it starts"):
            Interval(noon, end)


def test_a_time_without_zone_is_refused_with_a_remedy() -> None:
    with pytest.raises(NaiveDatetime, match="has no time zone: write it with an offset"):
        as_utc(datetime(2026, 5, 10, 12))  # noqa: DTZ001  # the mistake under test


def test_other_time_zones_become_utc() -> None:
    berlin = datetime(2026, 5, 10, 14, tzinfo=timezone(timedelta(hours=2)))
    assert as_utc(berlin) == datetime(2026, 5, 10, 12, tzinfo=UTC)
    assert as_utc(berlin).tzinfo is UTC
