"""A plan that is followed stands: running jobs are not moved, what is left is told truly, and no promise is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from daemon.domain.plan import Mode, Plan, Snapshot
from daemon.planner import Planner, plan
from daemon.planner.again import with_new_jobs
from daemon.planner.proof import score_of
from daemon.planner.standing import Standing
from daemon.planner.terrain import terrain_of
from tests.daemon.planner.builders import BARE, HOUR, MONDAY, job, peak_use, placed, snapshot, start_hour
from tests.daemon.planner.course import followed
from tests.daemon.planner.strategies import snapshots

QUICK = replace(BARE, price_rounds=20, search_steps=60, moves=20)
MINUTE = timedelta(minutes=1)
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
FEW, MANY = (settings(PATIENT, max_examples=count) for count in (40, 200))
SPANS = st.lists(st.integers(1, 70), min_size=1, max_size=3).filter(lambda minutes: sum(minutes) <= 170)
MINUTES = st.lists(st.integers(1, 4), min_size=1, max_size=2)
PACES = st.sampled_from([1.0, 0.99, 1.005])


def stands(snap: Snapshot, minutes: Sequence[int], pace: float = 1.0) -> tuple[Standing, Standing | None, Snapshot]:
    """The whole plan, and what is left of it after it was followed for so long, tick by tick; None where it does not stand."""
    whole = Standing.of(snap, plan(snap, QUICK), QUICK)
    standing: Standing | None = whole
    for span in minutes:
        assert standing is not None
        snap = followed(snap, standing.plan, span * MINUTE, pace)
        standing = with_new_jobs(standing, snap, QUICK)
        if standing is None:
            break
    return whole, standing, snap


@st.composite
def snapshots_under_way(draw: st.DrawFn) -> Snapshot:
    """A queue of which some jobs may have begun: the first plan was followed until about one of its starts, or a while longer."""
    snap = draw(snapshots(most_jobs=6))
    answer = plan(snap, QUICK)
    starts = sorted({segment.start for placement in answer.placements for segment in placement.segments}) or [snap.now]
    head = draw(st.sampled_from(starts)) - snap.now + draw(st.integers(-30, 200)) * MINUTE
    return followed(snap, answer, min(max(head, 0 * MINUTE), 20 * HOUR))


def hands_over_within_a_slot(answer: Plan, snap: Snapshot) -> bool:
    """Whether jobs follow each other within a slot: what one of them holds that may not be moved, snapshots show for all of it."""
    segments = [segment for placement in answer.placements for segment in placement.segments]
    for site in snap.sites:
        for slot in range(snap.grid.count):
            begin, end = snap.grid.edge(slot), snap.grid.edge(slot + 1)
            if sum(s.gpus for s in segments if s.site == site.name and s.start < end and s.end > begin) > max(0, site.free_gpus[slot]):
                return True
    return False


def is_whole_and_in_time(answer: Plan) -> bool:
    return not answer.unplaced and not any(placement.is_late for placement in answer.placements)


def check_promises(snap: Snapshot, minutes: list[int]) -> None:
    assume(all(one.deadline <= snap.grid.end for one in snap.jobs))
    answer = plan(snap, QUICK)
    assume(is_whole_and_in_time(answer) and not hands_over_within_a_slot(answer, snap))
    whole, standing, later = stands(snap, minutes)
    assert standing is not None
    answer = standing.plan
    assert {placement.job_id for placement in answer.placements} == {one.id for one in later.jobs}
    for one in later.jobs:
        segments, before = placed(answer, one.id).segments, placed(whole.plan, one.id).segments
        assert all(max(one.earliest, later.now) <= segment.start < segment.end for segment in segments)
        assert max(segment.end for segment in segments) <= one.deadline + timedelta(milliseconds=1)
        assert {segment.site for segment in segments} <= {segment.site for segment in before}
        if one.running_at is not None:
            assert segments[0].start == later.now
            assert one.running_at in {segment.site for segment in segments if segment.start == later.now}
        else:
            assert [segment.start for segment in segments] == [segment.start for segment in before[-len(segments) :]]
    for site in later.sites:
        for slot in range(later.grid.count):
            assert peak_use(answer, site.name, later.grid.edge(slot), later.grid.edge(slot + 1)) <= site.free_gpus[slot]


@FEW
@given(snapshots_under_way(), SPANS)
def test_a_plan_that_is_followed_stands_and_keeps_what_it_promised(snap: Snapshot, minutes: list[int]) -> None:
    check_promises(snap, minutes)


def check_cost_and_bound(snap: Snapshot, minutes: list[int], pace: float) -> None:
    _, standing, later = stands(snap, minutes, pace)
    if standing is None:
        return
    answer, jobs = standing.plan, {one.id: one for one in later.jobs}
    terrain = terrain_of(later)
    assert answer.cost_g == pytest.approx(sum(score_of(one, jobs[one.job_id], terrain) for one in answer.placements))
    assert 0 <= answer.bound_g <= answer.cost_g * (1 + 1e-9)
    for one in answer.placements:
        options = {option.site: option for option in jobs[one.job_id].options}
        running = [jobs[one.job_id].running_at, *jobs[one.job_id].beside]
        share = 0.0
        for segment in one.segments:
            option, goes_on = options[segment.site], segment.start == later.now and segment.site in running
            share += ((segment.end - segment.start).total_seconds() - (0 if goes_on else option.startup_seconds)) / option.work_seconds
        assert share == pytest.approx(1.0, abs=1e-5)
    anew = plan(later, QUICK)
    if is_whole_and_in_time(anew):
        assert answer.bound_g <= anew.cost_g * (1 + 1e-9) + 1e-9


@FEW
@given(snapshots_under_way(), SPANS, PACES)
def test_the_cost_of_a_plan_that_stands_is_that_of_what_is_left_and_its_bound_is_below_every_plan(
    snap: Snapshot, minutes: list[int], pace: float
) -> None:
    check_cost_and_bound(snap, minutes, pace)


def check_nobody_later(snap: Snapshot, minutes: list[int], pace: float) -> None:
    snap = replace(snap, jobs=tuple(replace(one, deadline=max(one.deadline - 6 * HOUR, snap.now + HOUR)) for one in snap.jobs))
    assume(not is_whole_and_in_time(plan(snap, QUICK)))
    whole, standing, later = stands(snap, minutes, pace)
    if standing is None:
        return
    answer = standing.plan
    assert answer.unplaced == whole.plan.unplaced
    told = [*(one.job_id for one in answer.placements), *(one.job_id for one in answer.unplaced)]
    assert sorted(told) == sorted(one.id for one in later.jobs)
    assert {one.job_id for one in answer.placements if one.is_late} <= {one.job_id for one in whole.plan.placements if one.is_late}
    assert all(whole.promises[one.job_id].holds(one.end) for one in answer.placements)
    assert 0 <= answer.bound_g <= answer.cost_g * (1 + 1e-9)
    anew = plan(later, QUICK)
    ends = {one.job_id: one.end for one in anew.placements}
    if {one.job_id for one in answer.placements} == ends.keys() and all(ends[one.job_id] <= one.end for one in answer.placements):
        assert answer.bound_g <= anew.cost_g * (1 + 1e-9) + 1e-9


@FEW
@given(snapshots_under_way(), MINUTES, PACES)
def test_a_plan_with_late_jobs_and_such_without_a_place_stands_for_minutes_and_makes_nobody_later(
    snap: Snapshot, minutes: list[int], pace: float
) -> None:
    check_nobody_later(snap, minutes, pace)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "drawn"),
    [(check_promises, (SPANS,)), (check_cost_and_bound, (SPANS, PACES)), (check_nobody_later, (MINUTES, PACES))],
)
def test_the_same_is_true_of_many_more_queues(check: Callable[..., None], drawn: tuple[st.SearchStrategy[object], ...]) -> None:
    MANY(given(snapshots_under_way(), *drawn)(check))()


@given(snapshots(most_jobs=5), SPANS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_equal_sequences_of_snapshots_give_equal_plans(snap: Snapshot, minutes: list[int]) -> None:
    seen = [replace(snap, jobs=snap.jobs[:-1])]
    first, second = (Planner(lambda one: plan(one, QUICK), QUICK) for _ in range(2))
    answers = [first(seen[0])]
    for number, span in enumerate(minutes):
        later = followed(seen[-1], answers[-1], span * MINUTE)
        seen.append(replace(later, jobs=(*later.jobs, snap.jobs[-1])) if number == 0 else later)
        answers.append(first(seen[-1]))
    assert [second(one) for one in seen] == answers


HILLS = [400.0] * 3 + [90.0] * 6 + [400.0] * 30


def a_queue_under_way() -> tuple[Standing, Snapshot]:
    """A plan made at midnight: one job runs, one in one piece begins at once, one waits for the clean hours, GPUs for two more are free."""
    runs = job("runs", hours=4, deadline_hours=4.5, mode=Mode.INTERRUPTIBLE, startup_kwh=5.0, running_at="de", state_at="de")
    unbroken = job("unbroken", hours=2, deadline_hours=2.2)
    waits = job("waits", hours=3, deadline_hours=30, mode=Mode.INTERRUPTIBLE)
    snap = snapshot([runs, unbroken, waits], {"DE": HILLS}, gpus=4)
    return Standing.of(snap, plan(snap, BARE), BARE), snap


@pytest.mark.parametrize("minutes", [1, 29, 61, 150])
def test_time_that_passes_as_planned_makes_no_new_plan_also_beyond_the_slot(minutes: int) -> None:
    whole, snap = a_queue_under_way()
    later = followed(snap, whole.plan, minutes * MINUTE)
    standing = with_new_jobs(whole, later, BARE)
    assert standing is not None
    assert {placement.job_id for placement in standing.plan.placements} == {"runs", "waits"}
    assert placed(standing.plan, "waits") is placed(whole.plan, "waits")
    (rest,) = placed(standing.plan, "runs").segments
    assert (rest.start, rest.end) == (later.now, MONDAY + 4 * HOUR)
    assert placed(standing.plan, "runs").expected_g == pytest.approx(
        placed(whole.plan, "runs").expected_g - sum(min(max(minutes / 60 - hour, 0), 1) * HILLS[hour] for hour in range(4))
    )


def test_a_newcomer_joins_while_others_run() -> None:
    whole, snap = a_queue_under_way()
    later = followed(snap, whole.plan, 70 * MINUTE)
    standing = with_new_jobs(whole, replace(later, jobs=(*later.jobs, job("new", hours=2, deadline_hours=20))), BARE)
    assert standing is not None
    assert start_hour(placed(standing.plan, "new")) == 3
    assert placed(standing.plan, "waits") is placed(whole.plan, "waits")
    assert peak_use(standing.plan, "de", MONDAY + 70 * MINUTE, MONDAY + 39 * HOUR) == 3
    assert standing.plan.bound_g <= standing.plan.cost_g


@pytest.mark.parametrize(
    ("pace", "stands_then"), [(1.0, True), (0.985, True), (0.9, False), (1.1, False)], ids=["as planned", "hardly late", "late", "early"]
)
def test_a_plan_stands_as_long_as_work_is_done_about_as_soon_as_it_said(pace: float, stands_then: bool) -> None:
    whole, snap = a_queue_under_way()
    assert (with_new_jobs(whole, followed(snap, whole.plan, 110 * MINUTE, pace), BARE) is not None) is stands_then


@pytest.mark.parametrize(("margin", "stands_then"), [(0.0, False), (0.1, True)])
def test_how_far_work_may_fall_behind_is_the_margin_that_is_kept_before_deadlines(margin: float, stands_then: bool) -> None:
    _, snap = a_queue_under_way()
    options = replace(BARE, deadline_margin=margin)
    whole = Standing.of(snap, plan(snap, options), options)
    assert (with_new_jobs(whole, followed(snap, whole.plan, 110 * MINUTE, 0.9), options) is not None) is stands_then


def test_a_job_that_falls_behind_a_little_again_and_again_is_planned_anew_in_the_end() -> None:
    whole, snap = a_queue_under_way()
    _, standing, later = stands(snap, [20] * 8, 0.98)
    assert standing is None
    assert later.now > whole.whole_at + HOUR


@pytest.mark.parametrize(
    ("change", "stands_then"),
    [
        ("a running job is gone long before its end", False),
        ("a waiting job is gone", False),
        ("a job runs elsewhere than planned", False),
        ("two GPUs are lost", False),
        ("two GPUs are found", False),
        ("the unbroken job ends a slot later", True),
        ("the outlook of an hour to come is another", False),
        ("the outlook of an hour that is over is another", True),
        ("work costs more watts than was thought", False),
        ("a priority is another", False),
    ],
)
def test_a_plan_stands_only_where_nothing_but_time_has_passed(change: str, stands_then: bool) -> None:
    whole, snap = a_queue_under_way()
    later = followed(snap, whole.plan, 70 * MINUTE)
    runs, waits = later.jobs
    (site,), outlook = later.sites, later.outlooks["DE"]
    dearer = replace(runs, options=(replace(runs.options[0], power_kw=1.01),))
    longer = site.free_gpus.copy()
    longer[1] -= 1
    dirtier = outlook.g_per_kwh.copy()
    dirtier[5] += 1
    changed = {
        "a running job is gone long before its end": replace(later, jobs=(waits,)),
        "a waiting job is gone": replace(later, jobs=(runs,)),
        "a job runs elsewhere than planned": replace(later, jobs=(runs, replace(waits, running_at="de", state_at="de"))),
        "two GPUs are lost": replace(later, sites=(replace(site, free_gpus=site.free_gpus - 2),)),
        "two GPUs are found": replace(later, sites=(replace(site, free_gpus=site.free_gpus + 2),)),
        "the unbroken job ends a slot later": replace(later, sites=(replace(site, free_gpus=longer),)),
        "the outlook of an hour to come is another": replace(later, outlooks={"DE": replace(outlook, g_per_kwh=dirtier)}),
        "the outlook of an hour that is over is another": later,
        "work costs more watts than was thought": replace(later, jobs=(dearer, waits)),
        "a priority is another": replace(later, jobs=(runs, replace(waits, priority=1))),
    }[change]
    if change == "the outlook of an hour that is over is another":
        past = replace(snap, outlooks={"DE": replace(snap.outlooks["DE"], g_per_kwh=np.concatenate(([999.0], HILLS[1:])))})
        whole = replace(whole, snapshot=past)
    assert (with_new_jobs(whole, changed, BARE) is not None) is stands_then


def test_a_whole_plan_is_made_after_three_hours_at_the_latest() -> None:
    whole, snap = a_queue_under_way()
    assert with_new_jobs(whole, followed(snap, whole.plan, 180 * MINUTE), BARE) is not None
    assert with_new_jobs(whole, followed(snap, whole.plan, 181 * MINUTE), BARE) is None


def test_a_job_goes_on_a_moment_beyond_its_planned_end() -> None:
    runs = job("runs", hours=1, deadline_hours=3, mode=Mode.INTERRUPTIBLE, startup_kwh=5.0, running_at="de", state_at="de")
    snap = snapshot([runs], {"DE": HILLS})
    whole = Standing.of(snap, plan(snap, BARE), BARE)
    over = followed(snap, whole.plan, 61 * MINUTE)
    left = replace(runs, options=(replace(runs.options[0], work_seconds=5.0),), previous=placed(whole.plan, "runs").segments)
    standing = with_new_jobs(whole, replace(over, jobs=(left,)), BARE)
    assert standing is not None
    (rest,) = placed(standing.plan, "runs").segments
    assert (rest.start, rest.end) == (over.now, over.now + timedelta(seconds=5))


def test_a_follower_goes_on_waiting_for_a_job_that_runs_and_begins_no_sooner() -> None:
    first = job("first", hours=2, deadline_hours=3, mode=Mode.INTERRUPTIBLE)
    snap = snapshot([first, job("then", hours=1, deadline_hours=12, after=("first",))], {"DE": HILLS}, gpus=2)
    whole, standing, later = stands(snap, [30, 60])
    assert standing is not None
    assert placed(standing.plan, "then") is placed(whole.plan, "then")
    late = replace(later.jobs[0], options=(replace(later.jobs[0].options[0], work_seconds=2 * 3600.0),))
    assert with_new_jobs(standing, replace(later, jobs=(late, later.jobs[1])), BARE) is None


def test_the_turns_of_users_may_drift_but_not_change() -> None:
    whole, snap = a_queue_under_way()
    users = [replace(one, user=name) for one, name in zip(snap.jobs, "abc", strict=True)]
    snap = replace(snap, jobs=tuple(users), standings={"a": 3.0, "b": 2.0, "c": 1.0})
    whole = Standing.of(snap, plan(snap, BARE), BARE)
    later = followed(snap, whole.plan, 40 * MINUTE)
    assert with_new_jobs(whole, replace(later, standings={"a": 3.5, "b": 1.9, "c": 0.9}), BARE) is not None
    assert with_new_jobs(whole, replace(later, standings={"a": 0.5, "b": 1.9, "c": 0.9}), BARE) is None
