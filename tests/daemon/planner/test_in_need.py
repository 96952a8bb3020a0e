"""Where jobs are late or without a place: the plan stands for minutes, and who comes meanwhile goes behind the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings

from daemon.domain.plan import Mode, Plan, PlanJob, Snapshot
from daemon.planner import Planner, plan
from daemon.planner.again import with_new_jobs
from daemon.planner.standing import Standing
from tests.daemon.planner.builders import BARE, HOUR, check_no_fuller, end_hour, job, placed, snapshot, start_hour
from tests.daemon.planner.course import followed
from tests.daemon.planner.strategies import snapshots

HILLS = [400.0] * 6 + [90.0] * 4 + [400.0] * 20
MINUTE = timedelta(minutes=1)


def a_queue_in_need() -> tuple[Standing, Snapshot]:
    """One GPU for two jobs, of which the second ends too late, and a third that wants two."""
    first = job("first", hours=3, deadline_hours=3.2, mode=Mode.INTERRUPTIBLE)
    late = job("late", hours=3, deadline_hours=4)
    snap = snapshot([first, late, job("large", gpus=2, deadline_hours=30)], {"DE": HILLS}, gpus=1)
    whole = Standing.of(snap, plan(snap, BARE), BARE)
    assert [placement.is_late for placement in whole.plan.placements] == [False, True]
    assert [answer.job_id for answer in whole.plan.unplaced] == ["large"]
    return whole, snap


def test_where_a_job_is_late_or_has_no_place_a_plan_stands_for_ten_minutes_while_nothing_changes() -> None:
    whole, snap = a_queue_in_need()
    standing = with_new_jobs(whole, followed(snap, whole.plan, 10 * MINUTE), BARE)
    assert standing is not None
    assert placed(standing.plan, "late") is placed(whole.plan, "late")
    assert standing.plan.unplaced == whole.plan.unplaced
    assert with_new_jobs(whole, followed(snap, whole.plan, 11 * MINUTE), BARE) is None


@pytest.mark.parametrize("change", ["gone", "changed", "freed", "more GPUs", "sooner"])
def test_whoever_is_late_or_has_no_place_is_planned_anew_as_soon_as_anything_changes_for_them(change: str) -> None:
    whole, snap = a_queue_in_need()
    later = followed(snap, whole.plan, 2 * MINUTE)
    first, late, large = later.jobs
    (site,) = later.sites
    changed = {
        "gone": replace(later, jobs=(first, late)),
        "changed": replace(later, jobs=(first, late, replace(large, priority=1))),
        "freed": replace(later, jobs=(late, large)),
        "more GPUs": replace(later, sites=(replace(site, free_gpus=site.free_gpus + 1),)),
        "sooner": replace(later, jobs=(replace(first, options=(replace(first.options[0], work_seconds=1800.0),)), late, large)),
    }[change]
    assert with_new_jobs(whole, changed, BARE) is None


def test_a_queue_in_need_gets_a_whole_plan_a_few_times_an_hour_and_not_at_every_tick() -> None:
    _, snap = a_queue_in_need()
    whole: list[Snapshot] = []

    def planned(seen: Snapshot) -> Plan:
        whole.append(seen)
        return plan(seen, BARE)

    planner = Planner(planned, BARE)
    answer = planner(snap)
    for _ in range(60):
        snap = followed(snap, answer, MINUTE)
        answer = planner(snap)
    assert len(whole) == 6


def with_newcomer(snap: Snapshot, answer: Plan, newcomer: PlanJob) -> Snapshot:
    """The snapshot as the next tick sees it."""
    segments = {placement.job_id: placement.segments for placement in answer.placements}
    return replace(snap, jobs=(*(replace(one, previous=segments.get(one.id, ())) for one in snap.jobs), newcomer))


def test_a_newcomer_takes_what_is_free_and_leaves_those_in_need_where_they_are() -> None:
    whole, snap = a_queue_in_need()
    grown = with_new_jobs(whole, with_newcomer(snap, whole.plan, job("new", hours=1, deadline_hours=30)), BARE)
    assert grown is not None
    assert grown.plan.placements[:-1] == whole.plan.placements
    assert grown.plan.unplaced == whole.plan.unplaced
    new = placed(grown.plan, "new")
    assert (start_hour(new), new.is_late) == (7, False)
    assert grown.plan.cost_g == pytest.approx(whole.plan.cost_g + 90)


def test_a_newcomer_that_is_late_whoever_gives_way_goes_behind_the_others() -> None:
    whole, snap = a_queue_in_need()
    grown = with_new_jobs(whole, with_newcomer(snap, whole.plan, job("new", hours=3, deadline_hours=2)), BARE)
    assert grown is not None
    assert grown.plan.placements[:-1] == whole.plan.placements
    new = placed(grown.plan, "new")
    assert (start_hour(new), end_hour(new), new.is_late) == (7, 10, True)
    assert "a deadline of 10:00 UTC would do" in new.reason
    assert 0 < grown.plan.bound_g <= grown.plan.cost_g


@pytest.mark.parametrize(("deadline_hours", "is_whole"), [(2.0, True), (4.5, False)])
def test_a_newcomer_that_could_be_in_time_if_those_gave_way_that_are_due_after_it_gets_a_whole_plan(
    deadline_hours: float, is_whole: bool
) -> None:
    whole, snap = a_queue_in_need()  # due at 3:12 and at four
    grown = with_new_jobs(whole, with_newcomer(snap, whole.plan, job("new", hours=1, deadline_hours=deadline_hours)), BARE)
    assert (grown is None) is is_whole


@pytest.mark.parametrize(("hours", "is_late"), [(0.4, False), (0.6, True)])
def test_a_newcomer_may_follow_another_within_the_same_hour_where_it_is_late_otherwise(hours: float, is_late: bool) -> None:
    short, long = (job(f"{hours} h", hours=hours, deadline_hours=1 + hours / 60, mode=Mode.INTERRUPTIBLE) for hours in (0.5, 6))
    snap = snapshot([short, long], {"DE": HILLS}, gpus=1)
    whole = Standing.of(snap, plan(snap, BARE), BARE)
    assert [placement.is_late for placement in whole.plan.placements] == [False, True]
    grown = with_new_jobs(whole, with_newcomer(snap, whole.plan, job("new", hours=hours, deadline_hours=1)), BARE)
    assert grown is not None
    assert placed(grown.plan, "new").is_late is is_late
    check_no_fuller(grown.plan, whole.plan, grown.snapshot)
    assert with_new_jobs(grown, followed(grown.snapshot, grown.plan, MINUTE), BARE) is not None


@pytest.mark.parametrize(("priority", "is_whole"), [(1, True), (0, False), (-1, False)])
def test_a_newcomer_of_higher_priority_comes_before_who_has_not_begun(priority: int, is_whole: bool) -> None:
    whole, snap = a_queue_in_need()
    grown = with_new_jobs(whole, with_newcomer(snap, whole.plan, job("new", hours=1, deadline_hours=4.5, priority=priority)), BARE)
    assert (grown is None) is is_whole


def test_a_newcomer_without_room_is_told_so_and_holds_nobody_up() -> None:
    whole, snap = a_queue_in_need()
    (site,) = snap.sites
    free = site.free_gpus.copy()
    free[20] = 2  # for an hour
    snap = replace(snap, sites=(replace(site, free_gpus=free),))
    whole = Standing.of(snap, plan(snap, BARE), BARE)
    assert whole.is_in_need
    grown = with_new_jobs(whole, with_newcomer(snap, whole.plan, job("new", hours=3, gpus=2, deadline_hours=30)), BARE)
    assert grown is not None
    assert grown.plan.placements == whole.plan.placements
    assert [answer.job_id for answer in grown.plan.unplaced] == [*(answer.job_id for answer in whole.plan.unplaced), "new"]
    assert grown.plan.unplaced[-1].reason == plan(grown.snapshot, BARE).unplaced[-1].reason


def test_a_newcomer_that_no_site_has_gpus_for_is_left_to_a_whole_plan() -> None:
    whole, snap = a_queue_in_need()
    assert with_new_jobs(whole, with_newcomer(snap, whole.plan, job("new", gpus=9)), BARE) is None


def test_a_newcomer_behind_a_queue_longer_than_the_outlook_ends_behind_it() -> None:
    queue = [job(f"job-{number:02}", hours=4, deadline_hours=20, mode=Mode.INTERRUPTIBLE) for number in range(30)]
    snap = snapshot(queue, {"DE": HILLS}, gpus=1)
    whole = Standing.of(snap, plan(snap, BARE), BARE)
    grown = with_new_jobs(whole, with_newcomer(snap, whole.plan, job("new", hours=4, deadline_hours=22)), BARE)
    assert grown is not None
    assert max(map(end_hour, whole.plan.placements)) == pytest.approx(120)
    assert start_hour(placed(grown.plan, "new")) == pytest.approx(120)
    assert grown.plan.bound_g <= grown.plan.cost_g


@given(snapshots(most_jobs=6, links=False))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_a_newcomer_makes_nobody_late_takes_nobodys_gpus_and_leaves_a_bound_below_every_plan(snap: Snapshot) -> None:
    snap = replace(snap, jobs=tuple(replace(one, deadline=max(one.deadline - 8 * HOUR, snap.now + HOUR)) for one in snap.jobs))
    before = replace(snap, jobs=snap.jobs[:-1])
    whole = Standing.of(before, plan(before, BARE), BARE)
    assume(whole.is_in_need)
    later = with_newcomer(before, whole.plan, snap.jobs[-1])
    grown = with_new_jobs(whole, later, BARE)
    if grown is None:
        return
    answer = grown.plan
    told = [*(one.job_id for one in answer.placements), *(one.job_id for one in answer.unplaced)]
    assert sorted(told) == sorted(one.id for one in later.jobs)
    late = {one.job_id for one in answer.placements if one.is_late} - {snap.jobs[-1].id}
    assert late <= {one.job_id for one in whole.plan.placements if one.is_late}
    check_no_fuller(answer, whole.plan, later)
    assert 0 <= answer.bound_g <= answer.cost_g * (1 + 1e-9)
    anew = plan(later, BARE)
    ends = {one.job_id: one.end for one in anew.placements}
    if {one.job_id for one in answer.placements} == ends.keys() and all(ends[one.job_id] <= one.end for one in answer.placements):
        assert answer.bound_g <= anew.cost_g * (1 + 1e-9) + 1e-9


def counted(snap: Snapshot, newcomers: list[PlanJob]) -> tuple[int, Plan]:
    """How many whole plans an hour takes in which these jobs come one by one, evenly, and the plan after it."""
    whole: list[Snapshot] = []
    options = replace(BARE, price_rounds=20, search_steps=60)

    def planned(seen: Snapshot) -> Plan:
        whole.append(seen)
        return plan(seen, options)

    planner = Planner(planned, options)
    answer = planner(snap)
    for newcomer in newcomers:
        snap = followed(snap, answer, HOUR / len(newcomers))
        snap = replace(snap, jobs=(*snap.jobs, newcomer))
        answer = planner(snap)
    return len(whole), answer


def test_newcomers_to_a_queue_in_need_get_a_whole_plan_every_ten_minutes_and_not_each_its_own() -> None:
    queue = [job(f"job-{number:03}", hours=2, deadline_hours=20, mode=Mode.INTERRUPTIBLE, gpus=1 + number % 3) for number in range(60)]
    snap = snapshot(queue, {"DE": HILLS}, gpus=4)
    newcomers = [job(f"new-{number:03}", hours=1, deadline_hours=20.5 + number / 60, mode=Mode.INTERRUPTIBLE) for number in range(60)]
    whole, answer = counted(snap, newcomers)
    assert 6 <= whole <= 7
    told = {*(one.job_id for one in answer.placements), *(one.job_id for one in answer.unplaced)}
    assert {one.id for one in newcomers} <= told
    assert sum(one.is_late for one in answer.placements) > 20
