"""A daemon's plans keep room for jobs that may still come, by what was seen to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from daemon.domain.budget import Budget, BudgetRule, Spending
from daemon.domain.plan import Mode, Plan, PlanJob, Snapshot
from daemon.planner import REMEMBERED, Planner, plan
from daemon.planner.coming import Coming
from tests.daemon.planner.builders import BARE, HOUR, MONDAY, check_no_fuller, job, placed, snapshot, start_hour
from tests.daemon.planner.course import followed
from tests.daemon.planner.strategies import snapshots

DAY = timedelta(days=1)
DIRTY_MORNINGS = ([300.0] * 12 + [100.0] * 12) * 2
GPUS = 14
WEEKS = 4
TODAY = 7 * WEEKS  # a Monday


def seen(jobs: Sequence[PlanJob], day: int, hour: int, gpus: int = GPUS) -> Snapshot:
    """What a tick sees at that hour of that day, two days ahead."""
    now = MONDAY + day * DAY + hour * HOUR
    empty = snapshot(jobs, {"DE": DIRTY_MORNINGS[hour:] + DIRTY_MORNINGS[:hour]}, gpus, now)
    return replace(empty, grid=replace(empty.grid, start=now))


def urgent(day: int) -> list[PlanJob]:
    """Jobs that come at noon, one for each GPU, and have an hour to spare."""
    noon = MONDAY + day * DAY + 12 * HOUR
    come = job(hours=10, mode=Mode.CONTIGUOUS, earliest=noon)
    return [replace(come, id=f"urgent-{day}-{n}", accepted_at=noon, deadline=noon + 11 * HOUR) for n in range(GPUS)]


def patient(day: int, **more: object) -> list[PlanJob]:
    """Jobs that come at midnight; the clean hours in which they want to run begin at noon."""
    come = replace(job(hours=12, mode=Mode.INTERRUPTIBLE), **more)  # type: ignore[arg-type]  # whatever fields a test names
    midnight = MONDAY + day * DAY
    return [replace(come, id=f"patient-{n}", accepted_at=midnight, earliest=midnight, deadline=midnight + 32 * HOUR) for n in range(GPUS)]


def a_planner(weeks: int = WEEKS) -> Planner:
    """One that has seen so many weeks of urgent jobs, each on Monday."""
    planner = Planner(lambda one: plan(one, BARE), BARE)
    for week in range(WEEKS - weeks, WEEKS):
        planner(seen(urgent(7 * week), 7 * week, 12))
    return planner


@pytest.mark.parametrize(("weeks", "late"), [(0, GPUS), (WEEKS, 0)])
def test_who_waits_for_clean_hours_leaves_them_to_jobs_that_came_the_weeks_before_at_that_time(weeks: int, late: int) -> None:
    planner = a_planner(weeks)
    night = seen(patient(TODAY), TODAY, 0)
    waiting = planner(night)
    noon = followed(night, waiting, 12 * HOUR)
    answer = planner(replace(noon, jobs=(*noon.jobs, *urgent(TODAY))))
    assert sum(placement.is_late for placement in answer.placements) == late
    assert {one.id for one in urgent(TODAY)} <= {placement.job_id for placement in answer.placements}


def test_whoever_is_brought_forward_hears_why_and_the_plan_says_what_it_costs() -> None:
    night = seen(patient(TODAY), TODAY, 0)
    whole, answer = plan(night, BARE), a_planner()(night)
    assert min(start_hour(placement) for placement in whole.placements) == TODAY * 24 + 12
    early = [placement for placement in answer.placements if start_hour(placement) < TODAY * 24 + 12]
    assert early
    assert all("room is kept for jobs that may still come" in placement.reason for placement in early)
    assert answer.cost_g == pytest.approx(sum(placement.expected_g for placement in answer.placements))
    assert answer.bound_g <= whole.cost_g < answer.cost_g


@pytest.mark.parametrize("startup_seconds", [0.0, 600.0])
def test_whoever_was_brought_forward_stays_there_while_forecasts_waver(startup_seconds: float) -> None:
    planner, snap = a_planner(), seen(patient(TODAY), TODAY, 0)
    snap = replace(snap, jobs=tuple(with_work(one, 4 + 0.5 * n, startup_seconds) for n, one in enumerate(snap.jobs)))
    answer, moved = planner(snap), 0
    for minutes in range(20, 200, 20):
        later = followed(snap, answer, timedelta(minutes=20))
        wavering = np.random.default_rng(minutes).normal(1.0, 0.004, later.grid.count)
        outlook = later.outlooks["DE"]
        snap = replace(later, outlooks={"DE": replace(outlook, g_per_kwh=outlook.g_per_kwh * wavering)})
        before, answer = answer, planner(snap)
        moved += sum(ahead(before, one.id, snap.now) != ahead(answer, one.id, snap.now) for one in snap.jobs)
    assert moved <= GPUS


def with_work(one: PlanJob, hours: float, startup_seconds: float) -> PlanJob:
    options = (replace(option, work_seconds=3600 * hours, startup_seconds=startup_seconds) for option in one.options)
    return replace(one, options=tuple(options))


def ahead(answer: Plan, name: str, now: datetime) -> list[datetime]:
    """When the job begins again after `now`."""
    return [segment.start for segment in placed(answer, name).segments if segment.start > now]


def test_no_room_is_kept_for_jobs_on_gpus_that_suffice_for_all() -> None:
    planner = a_planner()
    ample = seen(patient(TODAY), TODAY, 0, gpus=6 * GPUS)
    assert planner(ample) == plan(ample, BARE)


def test_a_few_jobs_are_no_reason_to_keep_room_for_more() -> None:
    lone, night = Coming(), seen(patient(TODAY), TODAY, 0)
    for day in range(0, TODAY, 7):
        lone.note(seen(urgent(day)[:10], day, 12))
    assert lone.with_room(plan(night, BARE), night, BARE) == plan(night, BARE)


def test_a_job_is_seen_to_come_once_however_often_it_is_seen() -> None:
    once, often = Coming(), Coming()
    night = seen(patient(TODAY), TODAY, 0)
    for day in range(0, TODAY, 7):
        noon = seen(urgent(day), day, 12)
        once.note(noon)
        for minutes in range(0, 120, 20):
            often.note(replace(noon, now=noon.now + timedelta(minutes=minutes)))
    assert often.with_room(plan(night, BARE), night, BARE) == once.with_room(plan(night, BARE), night, BARE) != plan(night, BARE)


def test_a_job_that_is_seen_late_counts_at_the_time_it_came() -> None:
    at_once, late = Coming(), Coming()
    night = seen(patient(TODAY), TODAY, 0)
    for day in range(0, TODAY, 7):
        came = urgent(day)
        at_once.note(seen(came, day, 12))
        late.note(seen(came[: GPUS // 2], day, 12))
        late.note(seen(came, day, 13))
    assert late.with_room(plan(night, BARE), night, BARE) == at_once.with_room(plan(night, BARE), night, BARE) != plan(night, BARE)


@pytest.mark.parametrize("weeks", [WEEKS, 14])
def test_a_planner_that_is_told_what_came_before_plans_as_one_that_saw_it(weeks: int) -> None:
    saw, told = (Planner(lambda one: plan(one, BARE), BARE) for _ in range(2))
    today, came = 7 * weeks, [urgent(7 * week) for week in range(weeks)]
    for week, jobs in enumerate(came):
        saw(seen(jobs, 7 * week, 12))
    night = seen(patient(today), today, 0)
    first, *others = (one for jobs in came for one in jobs)
    told.remember(replace(night, jobs=(first, *(one for one in others if one.accepted_at >= night.now - REMEMBERED))))
    assert told(night) == saw(night) != plan(night, BARE)


def test_what_came_more_than_ten_weeks_ago_tells_nothing_of_what_may_come() -> None:
    coming, day = Coming(), 7 * 30
    for week in range(WEEKS):
        coming.note(seen(urgent(7 * week), 7 * week, 12))
    much_later = seen(patient(day), day, 0)
    assert coming.with_room(plan(much_later, BARE), much_later, BARE) == plan(much_later, BARE)


@pytest.mark.parametrize(
    "bound",
    [
        {"price_of_waiting_g_per_hour": 0.1},
        {"project": "thrifty"},
        {"mode": Mode.CONTIGUOUS, "running_at": "de", "state_at": "de"},
    ],
    ids=["price", "budget", "runs and may not pause"],
)
def test_nobody_is_brought_forward_who_has_something_else_to_keep(bound: dict[str, object]) -> None:
    planner = a_planner()
    budgets = {"thrifty": Budget(BudgetRule(monthly_g=1e9))}
    night = replace(seen(patient(TODAY, **bound), TODAY, 0), spending=Spending(budgets))
    assert [one.segments for one in planner(night).placements] == [one.segments for one in plan(night, BARE).placements]


@given(snapshots(most_jobs=6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_room_is_made_within_windows_and_capacity_and_makes_nobody_late(snap: Snapshot) -> None:
    options = replace(BARE, price_rounds=20, search_steps=60)
    coming = Coming()
    for back in range(8 * 7, 0, -7):
        then = snap.now - back * DAY
        rush = [
            replace(one, id=f"{one.id}-{back}-{n}", accepted_at=then, earliest=then, deadline=one.deadline - back * DAY)
            for one in snap.jobs
            for n in range(8)
        ]
        coming.note(replace(snap, now=then, jobs=tuple(rush), grid=replace(snap.grid, start=snap.grid.start - back * DAY)))
    before = plan(snap, options)
    answer = coming.with_room(before, snap, options)
    assert answer.cost_g - before.cost_g == pytest.approx(grams(answer) - grams(before), abs=1e-6)
    assert answer.bound_g <= answer.cost_g * (1 + 1e-9)
    for one in snap.jobs:
        if one.id not in {placement.job_id for placement in before.placements}:
            continue
        old, new = placed(before, one.id), placed(answer, one.id)
        assert new.is_late == old.is_late
        assert new.segments[0].start >= max(one.earliest, snap.now)
        if one.after or one.price_of_waiting_g_per_hour:
            assert new is old
        if not new.is_late:
            assert max(segment.end for segment in new.segments) <= one.deadline + timedelta(milliseconds=1)
    check_no_fuller(answer, before, snap)


def grams(answer: Plan) -> float:
    return sum(placement.expected_g for placement in answer.placements)
