from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.source.budget import BackOff, TokenBucket
from forecast.source.capabilities import KEY_PROBE_EVERY, PLAN_PROBE_EVERY, TRUST_AFTER_SUCCESS, Capabilities
from forecast.source.errors import BadKey, BadRequest, HeldBack, NotInPlan, RateLimited, Transient
from forecast.timeline import HOUR
from tests.forecast.grids import NOON

MINUTE = timedelta(minutes=1)


def fresh() -> Capabilities:
    return Capabilities(BackOff(), random.Random(1))


def test_a_bucket_gives_its_capacity_at_once_and_then_refills_evenly() -> None:
    bucket = TokenBucket(per_hour=30, capacity=3)
    assert [bucket.take(NOON) for _ in range(3)] == [timedelta(0)] * 3
    assert bucket.take(NOON) == timedelta(minutes=2)
    assert bucket.take(NOON + MINUTE) == timedelta(minutes=1)
    assert bucket.take(NOON + 2 * MINUTE) == timedelta(0)


@given(st.lists(st.floats(0, 7200), min_size=1, max_size=80))
def test_no_hour_ever_sees_more_than_capacity_and_refill(seconds: list[float]) -> None:
    bucket = TokenBucket(per_hour=10, capacity=5)
    moments = [NOON + timedelta(seconds=second) for second in sorted(seconds)]
    spent = [moment for moment in moments if not bucket.take(moment)]
    for first in spent:
        assert sum(first <= each < first + HOUR for each in spent) <= 15


def test_a_clock_that_steps_back_neither_fills_nor_blocks_the_bucket() -> None:
    bucket = TokenBucket(per_hour=60, capacity=1)
    assert not bucket.take(NOON)
    assert bucket.take(NOON - HOUR) == MINUTE
    assert not bucket.take(NOON - HOUR + MINUTE)


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="must allow more than 0"):
        TokenBucket(per_hour=0)


def test_pauses_double_up_to_an_hour_and_are_shaken() -> None:
    dice = random.Random(1)
    for failures, longest in [(1, 30), (2, 60), (3, 120), (8, 3600), (1000, 3600)]:
        pauses = {BackOff().pause(failures, dice).total_seconds() for _ in range(50)}
        assert longest / 2 <= min(pauses) <= max(pauses) <= longest
        assert len(pauses) > 40


def test_what_the_plan_does_not_hold_is_asked_again_after_a_day_and_no_sooner() -> None:
    memory = fresh()
    assert isinstance(memory.failed("DE", "forecast", NotInPlan("no"), NOON), NotInPlan)
    with pytest.raises(NotInPlan, match="remembered; next probe at 2026-05-11T12:00Z"):
        memory.may_ask("DE", "forecast", NOON + PLAN_PROBE_EVERY - MINUTE)
    memory.may_ask("DE", "forecast", NOON + PLAN_PROBE_EVERY)


def test_one_endpoint_outside_the_plan_stops_no_other() -> None:
    memory = fresh()
    memory.failed("DE", "forecast", NotInPlan("no"), NOON)
    memory.may_ask("DE", "latest", NOON)
    memory.may_ask("SE", "forecast", NOON)


def test_a_bad_key_is_probed_hourly() -> None:
    memory = fresh()
    memory.failed("DE", "latest", BadKey("no"), NOON)
    with pytest.raises(BadKey):
        memory.may_ask("DE", "latest", NOON + KEY_PROBE_EVERY - MINUTE)
    memory.may_ask("DE", "latest", NOON + KEY_PROBE_EVERY)


def test_a_sudden_401_after_successes_is_an_outage_at_first_and_a_refusal_later() -> None:
    memory = fresh()
    memory.succeeded("DE", "latest", NOON)
    soon = memory.failed("DE", "latest", BadKey("HTTP 401: Invalid auth-token"), NOON + MINUTE)
    assert isinstance(soon, Transient)
    assert "the key worked here at 2026-05-10T12:00Z" in str(soon)
    later = memory.failed("DE", "latest", BadKey("HTTP 401: Invalid auth-token"), NOON + TRUST_AFTER_SUCCESS)
    assert isinstance(later, BadKey)


def test_after_a_failure_we_wait_and_after_a_success_we_do_not() -> None:
    memory = fresh()
    memory.failed("DE", "latest", Transient("HTTP 503"), NOON)
    with pytest.raises(HeldBack, match="DE latest: pausing after 1 failures in a row until"):
        memory.may_ask("DE", "latest", NOON + timedelta(seconds=1))
    memory.may_ask("DE", "latest", NOON + timedelta(seconds=30))
    memory.succeeded("DE", "latest", NOON + timedelta(seconds=30))
    memory.may_ask("DE", "latest", NOON + timedelta(seconds=31))


def test_a_retry_after_is_honoured_where_it_is_longer_than_our_pause() -> None:
    memory = fresh()
    memory.failed("DE", "latest", RateLimited("HTTP 429", timedelta(minutes=20)), NOON)
    with pytest.raises(HeldBack):
        memory.may_ask("DE", "latest", NOON + 19 * MINUTE)
    memory.may_ask("DE", "latest", NOON + 20 * MINUTE)


def test_a_request_that_is_wrong_by_itself_brings_no_pause() -> None:
    memory = fresh()
    memory.failed("DE", "forecast", BadRequest("HTTP 400"), NOON)
    memory.may_ask("DE", "forecast", NOON)
