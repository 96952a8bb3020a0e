"""What must be true of every plan, on random snapshots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.domain.plan import Mode, Placement, Plan, PlanJob, Snapshot
from daemon.planner import PlannerOptions, plan
from tests.daemon.planner.builders import BARE, MONDAY, job, peak_use, placed, snapshot
from tests.daemon.planner.strategies import SITES, snapshots

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
THOROUGH = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
INSTANT = timedelta(microseconds=2)
MINUTE = timedelta(minutes=1)
OPTIONS = (BARE, PlannerOptions())


def check_windows_and_work(snap: Snapshot) -> None:
    """Nothing before it may start, nothing unmarked after its deadline, exactly the work there is, predecessors first."""
    for options in OPTIONS:
        answer = plan(snap, options)
        jobs = {job.id: job for job in snap.jobs}
        ends = {p.job_id: max(s.end for s in p.segments) for p in answer.placements}
        assert sorted([p.job_id for p in answer.placements] + [u.job_id for u in answer.unplaced]) == sorted(jobs)
        for placement in answer.placements:
            planned = jobs[placement.job_id]
            first = min(s.start for s in placement.segments)
            assert first >= max(snap.now, planned.earliest) - INSTANT
            assert placement.is_late or ends[planned.id] <= planned.deadline + INSTANT
            assert all(first >= ends[p] - INSTANT for p in planned.after if p in ends)
            assert share_done(placement, planned) == pytest.approx(1.0, abs=1e-6)


def share_done(placement: Placement, planned: PlanJob) -> float:
    """The share of the job's work its segments do, a start-up paid in each."""
    options = {option.site: option for option in planned.options}
    return sum(
        ((s.end - s.start).total_seconds() - options[s.site].startup_seconds) / options[s.site].work_seconds for s in placement.segments
    )


def check_capacity(snap: Snapshot) -> None:
    for options in OPTIONS:
        answer = plan(snap, options)
        for site in snap.sites:
            for slot in range(snap.grid.count):
                assert peak_use(answer, site.name, snap.grid.edge(slot), snap.grid.edge(slot + 1)) <= site.free_gpus[slot]


def check_mode_shapes(snap: Snapshot) -> None:
    """Unbroken jobs have one segment, pausable ones stay on one site, no job is wider than it may be."""
    jobs = {job.id: job for job in snap.jobs}
    for placement in plan(snap, BARE).placements:
        planned, segments = jobs[placement.job_id], placement.segments
        assert planned.mode is not Mode.CONTIGUOUS or len(segments) == 1
        assert planned.mode is Mode.DIVISIBLE or len({s.site for s in segments}) == 1
        width = planned.max_width if planned.mode is Mode.DIVISIBLE else 1
        assert all(sum(s.start <= at.start < s.end for s in segments) <= width for at in segments)
        assert all(s.gpus == planned.gpus for s in segments)


def check_deadlines(snap: Snapshot) -> None:
    """No more late jobs than when each job in turn, by arrival or by deadline, starts at home as early as it can."""
    orders: tuple[Callable[[PlanJob], tuple[datetime, str]], ...] = (lambda j: (j.accepted_at, j.id), lambda j: (j.deadline, j.id))
    for options in OPTIONS:
        answer = plan(snap, options)
        missed = sum(p.is_late for p in answer.placements) + len(answer.unplaced)
        assert missed <= min(late_in_order(snap, sorted(snap.jobs, key=key)) for key in orders)


def late_in_order(snap: Snapshot, order: list[PlanJob]) -> int:
    """Late jobs of a schedule minute by minute, each job unbroken at home; written without the planner's code."""
    minutes = 4 * snap.grid.count * 60
    slot = [min(int((snap.now + m * MINUTE - snap.grid.start) / snap.grid.step), snap.grid.count - 1) for m in range(minutes)]
    free = {site.name: site.free_gpus[slot].copy() for site in snap.sites}
    late = 0
    for planned in order:
        option = next(o for o in planned.options if o.site == planned.home)
        length = round((option.work_seconds + option.startup_seconds) / 60)
        release = max(0, round((planned.earliest - snap.now) / MINUTE))
        fits = (free[planned.home] >= planned.gpus).astype(int)
        runs = np.convolve(fits, np.ones(length, dtype=int), "valid")[release:] == length
        start = release + int(runs.argmax()) if runs.any() else None
        if start is None or snap.now + (start + length) * MINUTE > planned.deadline:
            late += 1
        if start is not None:
            free[planned.home][start : start + length] -= planned.gpus
    return late


def check_bound(snap: Snapshot) -> None:
    for options in OPTIONS:
        answer = plan(snap, options)
        assert answer.bound_g <= answer.cost_g * (1 + 1e-9) + 1e-9
        assert answer.bound_g >= 0


def same(a: Plan, b: Plan) -> bool:
    return a == b and [p.reason for p in a.placements] == [p.reason for p in b.placements]


@QUICK
@given(snapshots())
def test_jobs_run_inside_their_windows_and_do_exactly_their_work(snap: Snapshot) -> None:
    check_windows_and_work(snap)


@QUICK
@given(snapshots())
def test_capacity_is_never_exceeded_at_any_site_and_slot(snap: Snapshot) -> None:
    check_capacity(snap)


@QUICK
@given(snapshots())
def test_segments_have_the_shape_the_mode_allows(snap: Snapshot) -> None:
    check_mode_shapes(snap)


@QUICK
@given(snapshots(links=False))
def test_no_job_is_late_where_first_come_or_earliest_deadline_order_is_in_time(snap: Snapshot) -> None:
    check_deadlines(snap)


@QUICK
@given(snapshots())
def test_the_cost_is_never_below_the_bound(snap: Snapshot) -> None:
    check_bound(snap)


@QUICK
@given(snapshots())
def test_the_same_snapshot_gives_the_same_plan(snap: Snapshot) -> None:
    assert same(plan(snap, PlannerOptions()), plan(snap, PlannerOptions()))


@QUICK
@given(st.sampled_from(list(Mode)), st.floats(0.2, 9.0), st.floats(10, 900), st.integers(0, 50), st.sampled_from([0.0, 300.0]))
def test_on_flat_intensity_a_job_starts_as_early_as_it_may(mode: Mode, hours: float, level: float, minutes: int, startup: float) -> None:
    flat = {site.upper(): [level] * 30 for site in SITES}
    earliest = MONDAY + timedelta(minutes=minutes)
    waiting = job(hours=hours, mode=mode, sites=SITES, earliest=earliest, startup_seconds=startup, startup_kwh=startup / 3600)
    answer = placed(plan(snapshot([waiting], flat), BARE))
    assert answer.segments[0].start == earliest
    assert len(answer.segments) == 1


@QUICK
@given(
    st.sampled_from(list(Mode)),
    st.integers(1, 30),
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(0, 300), st.integers(0, 300)),
    st.tuples(st.integers(0, 300), st.integers(0, 300)),
)
def test_more_slack_never_raises_a_lone_jobs_emissions(
    mode: Mode, halves: int, seed: int, early: tuple[int, int], late: tuple[int, int]
) -> None:
    random = np.random.default_rng(seed)
    zones = {site.upper(): random.uniform(20, 800, 48).tolist() for site in SITES}
    tight = job(
        hours=halves / 2,
        mode=mode,
        sites=SITES,
        earliest=MONDAY + sum(early) * MINUTE,
        deadline_hours=sum(early) / 60 + halves / 2 + late[0] / 60,
    )
    roomy = replace(tight, earliest=MONDAY + early[0] * MINUTE, deadline=tight.deadline + late[1] * MINUTE)
    narrow, wide = (placed(plan(snapshot([j], zones), BARE)) for j in (tight, roomy))
    assert wide.expected_g <= narrow.expected_g * (1 + 1e-9)


@QUICK
@given(snapshots(), st.sampled_from([0.03, 0.2]))
def test_planning_again_at_once_changes_nothing(snap: Snapshot, threshold: float) -> None:
    options = replace(BARE, keep_threshold=threshold)
    first = plan(snap, options)
    segments = {p.job_id: p.segments for p in first.placements}
    jobs = tuple(replace(job, previous=segments.get(job.id, ())) for job in snap.jobs)
    again = plan(replace(snap, jobs=jobs), options)
    if not any(p.is_late for p in first.placements):
        assert {p.job_id: p.segments for p in again.placements} == segments


@pytest.mark.slow
@pytest.mark.parametrize("check", [check_windows_and_work, check_capacity, check_mode_shapes, check_bound])
def test_properties_hold_on_many_more_snapshots(check: Callable[[Snapshot], None]) -> None:
    THOROUGH(given(snapshots(most_jobs=14))(check))()


@pytest.mark.slow
def test_deadlines_hold_on_many_more_snapshots() -> None:
    THOROUGH(given(snapshots(most_jobs=14, links=False))(check_deadlines))()
