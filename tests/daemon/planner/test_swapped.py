"""Whole plans with hours swapped: cheaper for all together, and nobody pays who chose first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from daemon.domain.job import PlannedSegment
from daemon.domain.plan import Mode, Plan, PlanJob, Snapshot
from daemon.planner import Planner, plan
from daemon.planner.swapped import with_swapped_hours
from tests.daemon.planner.builders import BARE, HOUR, MONDAY, check_no_fuller, job, placed, snapshot, start_hour
from tests.daemon.planner.strategies import snapshots

CLEANEST_SECOND = [400.0, 100.0, 200.0, 300.0]  # the hour that has begun is nobody's to swap


def hour(number: int) -> tuple[PlannedSegment, ...]:
    return (PlannedSegment("de", MONDAY + number * HOUR, MONDAY + (number + 1) * HOUR, 1),)


def thrifty_and_hungry(**more: object) -> list[PlanJob]:
    """Two jobs of an hour; the thrifty one came first and was given the cleanest."""
    thrifty = replace(job("thrifty", hours=1, mode=Mode.INTERRUPTIBLE, power_kw=1.0, previous=hour(1)), deadline=MONDAY + 3 * HOUR, **more)  # type: ignore[arg-type]  # whatever fields a test names
    return [thrifty, replace(job("hungry", hours=1, mode=Mode.INTERRUPTIBLE, power_kw=10.0, previous=hour(2)), deadline=MONDAY + 4 * HOUR)]


def both(**more: object) -> Snapshot:
    return snapshot(thrifty_and_hungry(**more), {"DE": CLEANEST_SECOND}, 1)


def test_a_hungry_job_gets_the_clean_hour_that_a_thrifty_one_took_first() -> None:
    snap = both()
    whole, answer = plan(snap, BARE), Planner(lambda one: plan(one, BARE), BARE)(snap)
    assert [start_hour(placed(whole, name)) for name in ("thrifty", "hungry")] == [1, 2]
    assert [start_hour(placed(answer, name)) for name in ("thrifty", "hungry")] == [2, 1]
    assert [whole.cost_g, answer.cost_g] == pytest.approx([2100, 1200])
    assert answer.bound_g <= answer.cost_g


@pytest.mark.parametrize(
    "bound",
    [{"priority": 1}, {"price_of_waiting_g_per_hour": 0.1}, {"user": "ann"}],
    ids=["priority", "price of waiting", "a user whose turn comes first"],
)
def test_nobody_gives_hours_who_chose_them_by_right_or_has_a_price_to_keep(bound: dict[str, object]) -> None:
    snap = replace(both(**bound), standings={"default": 1.0})
    whole = plan(snap, BARE)
    assert with_swapped_hours(whole, snap, BARE) is whole


def test_an_hour_changes_hands_only_for_a_clear_saving() -> None:
    snap = both()
    whole = plan(snap, BARE)
    assert with_swapped_hours(whole, snap, replace(BARE, keep_threshold=10.0)) is whole


@given(snapshots(most_jobs=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_swaps_save_within_windows_and_capacity_and_make_nobody_late(snap: Snapshot) -> None:
    options = replace(BARE, price_rounds=20, search_steps=60)
    free_to_pause = tuple(
        replace(one, options=tuple(replace(option, startup_seconds=0.0, startup_kwh=0.0) for option in one.options)) for one in snap.jobs
    )
    snap = replace(snap, jobs=free_to_pause)
    before = plan(snap, options)
    answer = with_swapped_hours(before, snap, options)
    assert answer.bound_g <= answer.cost_g * (1 + 1e-9)
    assert answer.cost_g - before.cost_g == pytest.approx(grams(answer) - grams(before), abs=1e-6)
    assert grams(answer) <= grams(before) * (1 + 1e-9)
    for one in snap.jobs:
        if one.id not in {placement.job_id for placement in before.placements}:
            continue
        old, new = placed(before, one.id), placed(answer, one.id)
        assert new.is_late == old.is_late
        assert new is old or (new.segments[0].start >= max(one.earliest, snap.now) and new.end <= one.deadline)
    check_no_fuller(answer, before, snap)


def grams(answer: Plan) -> float:
    return sum(placement.expected_g for placement in answer.placements)
