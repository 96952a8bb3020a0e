"""Planning again after a new job: the last plan stands, the new job gets the best of what is left, the bound still holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from daemon.domain.plan import Mode, Plan, PlanJob, Snapshot
from daemon.planner import Planner, PlannerOptions, plan
from daemon.planner.again import with_new_jobs
from daemon.planner.standing import Standing
from tests.bench.planner_instances import Instance
from tests.daemon.planner.builders import BARE, HOUR, MONDAY, job, peak_use, placed, snapshot, start_hour
from tests.daemon.planner.strategies import snapshots

HILLS = [400.0] * 6 + [90.0] * 4 + [400.0] * 20
OPTIONS = replace(BARE, price_rounds=30, search_steps=300)


def grown(snap: Snapshot, standing: Plan) -> Snapshot:
    """The snapshot as the next tick sees it: what was planned is known of every job that was in the plan."""
    segments = {placement.job_id: placement.segments for placement in standing.placements}
    return replace(snap, jobs=tuple(replace(one, previous=segments.get(one.id, ())) for one in snap.jobs))


def test_a_new_job_leaves_all_others_where_they_are_and_costs_no_more_than_in_a_whole_plan() -> None:
    snap = Instance(200, 96, 0.3).snapshot()
    before = replace(snap, jobs=snap.jobs[:-1])
    standing = plan(before, OPTIONS)
    after = grown(snap, standing)
    quick = with_new_jobs(Standing.of(before, standing, OPTIONS), after, OPTIONS)
    assert quick is not None
    assert quick.plan.placements[:-1] == standing.placements
    assert quick.plan.placements[-1].job_id == snap.jobs[-1].id
    assert quick.plan.gap <= plan(after, OPTIONS).gap + 0.001


def test_a_new_job_sees_what_the_others_hold() -> None:
    first, second = job("first", hours=4, sites=("de",)), job("second", hours=4, sites=("de",))
    alone = snapshot([first], {"DE": HILLS}, gpus=1)
    standing = plan(alone, BARE)
    both = with_new_jobs(Standing.of(alone, standing, BARE), grown(replace(alone, jobs=(first, second)), standing), BARE)
    assert both is not None
    assert placed(both.plan, "first").segments[0].start == MONDAY + 6 * HOUR
    assert peak_use(both.plan, "de", MONDAY, MONDAY + 30 * HOUR) == 1


@given(snapshots(most_jobs=6, links=False))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_bound_of_a_plan_that_has_grown_is_below_every_plan(snap: Snapshot) -> None:
    before = replace(snap, jobs=snap.jobs[:-1])
    standing = plan(before, BARE)
    quick = with_new_jobs(Standing.of(before, standing, BARE), grown(snap, standing), BARE)
    if quick is None:
        return
    whole = plan(snap, BARE)
    assert quick.plan.bound_g <= quick.plan.cost_g * (1 + 1e-9)
    if not whole.unplaced and not any(placement.is_late for placement in whole.placements):
        assert quick.plan.bound_g <= whole.cost_g * (1 + 1e-9)
    for site in snap.sites:
        for slot in range(snap.grid.count):
            most = max(int(site.free_gpus[slot]), peak_use(standing, site.name, snap.grid.edge(slot), snap.grid.edge(slot + 1)))
            assert peak_use(quick.plan, site.name, snap.grid.edge(slot), snap.grid.edge(slot + 1)) <= most


def joined_by(newcomer: PlanJob, *old: PlanJob, hours: Sequence[float], options: PlannerOptions = BARE) -> tuple[Plan, Plan]:
    """The plan of the old jobs on one GPU, and the plan that the newcomer has joined."""
    before = snapshot(old, {"DE": hours}, gpus=1)
    standing = plan(before, options)
    quick = with_new_jobs(Standing.of(before, standing, options), grown(replace(before, jobs=(*old, newcomer)), standing), options)
    assert quick is not None
    return standing, quick.plan


def test_a_new_job_that_would_be_late_gets_room_from_one_with_more_time() -> None:
    patient = job("patient", hours=3, deadline_hours=12)
    standing, both = joined_by(job("tight", hours=3, deadline_hours=6), patient, hours=[300.0] + [100.0] * 5 + [200.0] * 6)
    assert placed(standing, "patient").segments[0].start < MONDAY + 6 * HOUR
    assert placed(both, "tight").segments[-1].end <= MONDAY + 6 * HOUR
    assert placed(both, "patient").segments[-1].end <= MONDAY + 12 * HOUR
    assert not any(placement.is_late for placement in both.placements)
    assert peak_use(both, "de", MONDAY, MONDAY + 12 * HOUR) == 1


@pytest.mark.parametrize(("keep", "moves"), [(0.0, True), (0.5, True), (20.0, False)])
def test_a_hungrier_newcomer_takes_the_clean_hours_if_that_saves_more_than_the_threshold(keep: float, moves: bool) -> None:
    thrifty = job("thrifty", hours=2, deadline_hours=8, power_kw=0.2)
    options = replace(BARE, keep_threshold=keep)
    standing, both = joined_by(
        job("hungry", hours=2, deadline_hours=8, power_kw=4.0), thrifty, hours=[400.0, 400, 50, 50, 90, 90, 400, 400], options=options
    )
    assert start_hour(placed(standing, "thrifty")) == 2
    assert start_hour(placed(both, "hungry")) == (2 if moves else 4)
    assert start_hour(placed(both, "thrifty")) == (4 if moves else 2)
    assert both.cost_g == pytest.approx(sum(placement.expected_g for placement in both.placements))
    assert both.bound_g <= both.cost_g


@pytest.mark.parametrize("mode", [Mode.CONTIGUOUS, Mode.INTERRUPTIBLE])
def test_neither_a_newcomer_nor_who_moves_for_it_goes_beyond_the_hours_that_the_outlook_knows(mode: Mode) -> None:
    thrifty = job("thrifty", hours=2, deadline_hours=60, power_kw=0.2, mode=mode)
    hours = [400.0] * 5 + [50.0] * 2 + [400.0] * 12 + [90.0] * 2 + [400.0] * 3
    standing, both = joined_by(job("hungry", hours=2, deadline_hours=60, power_kw=4.0, mode=mode), thrifty, hours=hours)
    assert [start_hour(placed(standing, "thrifty")), start_hour(placed(both, "hungry"))] == [5, 5]
    assert start_hour(placed(both, "thrifty")) == 19


def test_jobs_that_hand_a_gpu_over_within_an_hour_stay_as_they_are() -> None:
    old = [job("a", 1.5, 1.5), job("b", 1, 2.5), job("c", 1.5, 8, mode=Mode.INTERRUPTIBLE, power_kw=0.2)]
    standing, both = joined_by(job("hungry", 1, 8, mode=Mode.INTERRUPTIBLE, power_kw=4.0), *old, hours=[100, 100, 50, 40] + [200] * 4)
    assert start_hour(placed(standing, "c")) == 2.5
    assert both.placements[:-1] == standing.placements
    assert peak_use(both, "de", MONDAY, MONDAY + 8 * HOUR) == 1


def test_nobody_moves_where_moving_data_in_a_dirty_hour_would_cost_more_than_the_swap_saves() -> None:
    heavy = job("heavy", hours=2, deadline_hours=4, mode=Mode.INTERRUPTIBLE, power_kw=0.2, transfer_kwh={"de": 2.0})
    newcomer = job("newcomer", hours=1, deadline_hours=4, mode=Mode.INTERRUPTIBLE, power_kw=0.5)
    standing, both = joined_by(newcomer, heavy, hours=[500, 400, 50, 60] + [500] * 4)
    assert both.placements[:-1] == standing.placements
    assert start_hour(placed(both, "newcomer")) == 1
    assert both.cost_g == pytest.approx(standing.cost_g + 200.0)


def test_a_job_that_runs_or_waits_for_another_does_not_move_for_a_newcomer() -> None:
    hours = [300.0] + [100.0] * 5 + [200.0] * 6
    first = job("first", hours=3, deadline_hours=12)
    before = snapshot([first, job("then", hours=1, deadline_hours=12, after=("first",))], {"DE": hours}, gpus=1)
    standing = plan(before, BARE)
    new = grown(replace(before, jobs=(*before.jobs, job("tight", hours=3, deadline_hours=4))), standing)
    assert with_new_jobs(Standing.of(before, standing, BARE), new, BARE) is None


def a_standing_plan() -> tuple[Standing, Snapshot]:
    """A plan of four jobs, and the next snapshot with a fifth."""
    jobs = [job(f"job-{n}", hours=2, sites=("de",)) for n in range(5)]
    snap = snapshot(jobs, {"DE": HILLS}, gpus=4)
    before = replace(snap, jobs=snap.jobs[:-1])
    standing = plan(before, BARE)
    return Standing.of(before, standing, BARE), grown(snap, standing)


def test_the_clock_may_have_moved_within_the_slot() -> None:
    standing, after = a_standing_plan()
    assert with_new_jobs(standing, replace(after, now=after.now + timedelta(minutes=7)), BARE) is not None


def test_a_whole_plan_is_made_where_the_clock_was_set_back() -> None:
    standing, after = a_standing_plan()
    later = replace(standing.snapshot, now=after.now + timedelta(minutes=7))
    assert with_new_jobs(Standing.of(later, plan(later, BARE), BARE), after, BARE) is None


@pytest.mark.parametrize("change", ["outlook", "capacity", "gone", "changed", "about to start", "late", "new day"])
def test_a_whole_plan_is_made_where_anything_else_has_changed(change: str) -> None:
    standing, after = a_standing_plan()
    site, outlook, jobs = after.sites[0], after.outlooks["DE"], after.jobs
    changed = {
        "outlook": replace(after, outlooks={"DE": replace(outlook, g_per_kwh=outlook.g_per_kwh + 1)}),
        "capacity": replace(after, sites=(replace(site, free_gpus=np.minimum(site.free_gpus, 3)),)),
        "gone": replace(after, jobs=jobs[1:]),
        "changed": replace(after, jobs=(replace(jobs[0], priority=1), *jobs[1:])),
        "about to start": replace(after, now=after.now + 7 * HOUR, grid=replace(after.grid, start=after.now)),
        "late": replace(after, jobs=(*jobs[:-1], replace(jobs[-1], deadline=MONDAY + HOUR))),
        "new day": replace(after, now=after.now + 24 * HOUR),
    }[change]
    assert with_new_jobs(standing, changed, BARE) is None


def test_a_whole_plan_comes_again_before_many_additions_add_up() -> None:
    jobs = [job(f"job-{n}", hours=1, sites=("de",), mode=Mode.CONTIGUOUS) for n in range(40)]
    snap = snapshot(jobs, {"DE": HILLS}, gpus=64)
    whole: list[int] = []

    def planned(seen: Snapshot) -> Plan:
        whole.append(len(seen.jobs))
        return plan(seen, BARE)

    planner = Planner(planned, PlannerOptions())
    answer = Plan(snap.now, ())
    for count in range(1, 41):
        answer = planner(grown(replace(snap, jobs=snap.jobs[:count]), answer))
        assert len(answer.placements) == count
    assert 15 <= len(whole) < 40
