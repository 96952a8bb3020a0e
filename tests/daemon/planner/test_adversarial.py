"""Queues made to hurt: no slack, no capacity, running jobs that lose theirs, more work than memory or the forecast holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.domain.plan import Mode, Plan, Snapshot, Unplaced
from daemon.planner import PlannerOptions, Residual, bulk, engine, offers, plan, preview
from tests.bench.planner_instances import Instance
from tests.daemon.planner.builders import BARE, HOUR, MONDAY, end_hour, job, peak_use, snapshot, start_hour

HILLS = [400.0] * 6 + [90.0] * 4 + [400.0] * 20
LITTLE = replace(BARE, price_rounds=30, search_steps=100)


def check_whole(snap: Snapshot, answer: Plan) -> None:
    """Every job in time, within capacity, at no less than the bound."""
    assert not answer.unplaced
    assert not any(placement.is_late for placement in answer.placements)
    assert len(answer.placements) == len(snap.jobs)
    assert answer.bound_g <= answer.cost_g * (1 + 1e-9)
    for site in snap.sites[:6]:  # the seventh has no limit
        for slot in range(0, snap.grid.count, 7):
            assert peak_use(answer, site.name, snap.grid.edge(slot), snap.grid.edge(slot + 1)) <= site.free_gpus[slot]


def test_identical_jobs_without_slack_fill_every_gpu_and_none_is_late() -> None:
    jobs = [job(f"job-{n}", hours=10, deadline_hours=10) for n in range(4)]
    answer = plan(snapshot(jobs, {"DE": HILLS}, gpus=4), BARE)
    assert all(start_hour(placement) == 0 and not placement.is_late for placement in answer.placements)


def test_one_job_too_many_without_slack_is_late_alone_and_is_told_the_deadline_that_would_do() -> None:
    jobs = [job(f"job-{n}", hours=10, deadline_hours=10) for n in range(5)]
    answer = plan(snapshot(jobs, {"DE": HILLS}, gpus=4), BARE)
    late = [placement for placement in answer.placements if placement.is_late]
    assert len(late) == 1
    assert end_hour(late[0]) == 20
    assert "a deadline of 20:00 UTC would do" in late[0].reason


def test_the_deadline_told_can_be_kept_although_it_is_told_in_minutes() -> None:
    answer = plan(snapshot([job(hours=10.005, deadline_hours=10)], {"DE": HILLS}), BARE)
    assert "a deadline of 10:01 UTC would do" in answer.placements[0].reason
    kept = plan(snapshot([job(hours=10.005, deadline_hours=10 + 1 / 60)], {"DE": HILLS}), BARE)
    assert not kept.placements[0].is_late


def test_jobs_longer_than_the_planner_looks_are_told_deadlines_that_all_of_them_could_keep() -> None:
    jobs = [job("long", hours=100, deadline_hours=4), job("longer", hours=200, deadline_hours=5)]
    answer = plan(snapshot(jobs, {"DE": [300.0] * 4}, gpus=1), BARE)
    assert {one.job_id: one.nearest_deadline for one in answer.unplaced} == {"long": MONDAY + 100 * HOUR, "longer": MONDAY + 300 * HOUR}
    assert "a deadline of Fri 09 Jan 04:00 UTC would do" in answer.unplaced[0].reason


def test_a_preview_of_a_job_longer_than_the_planner_looks_names_a_deadline_behind_what_is_planned() -> None:
    snap = snapshot([job("first", hours=2, deadline_hours=2)], {"DE": [300.0] * 4}, gpus=1)
    answer = preview(job("long", hours=100, deadline_hours=4), Residual.of(snap, plan(snap, BARE), BARE))
    assert isinstance(answer, Unplaced)
    assert answer.nearest_deadline == MONDAY + 102 * HOUR


def test_where_every_job_is_late_even_alone_no_other_order_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job(f"job-{n}", hours=4, deadline_hours=3, mode=Mode.INTERRUPTIBLE, startup_seconds=60) for n in range(5)]
    monkeypatch.delattr(engine, "plain_schedules")
    answer = plan(snapshot(jobs, {"DE": HILLS}, gpus=2), BARE)
    assert [placement.is_late for placement in answer.placements] == [True] * 5


def test_late_work_with_pauses_is_never_searched_at_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue far too long once took half a minute to plan: each late job was sought the cheapest pieces it had no choice about."""
    snap = snapshot([job(hours=2.5, deadline_hours=3, mode=Mode.INTERRUPTIBLE, startup_seconds=60)], {"DE": [300.0] * 12})
    snap.sites[0].free_gpus[:] = [1, 0] * 6
    monkeypatch.delattr(offers, "best_pieces")
    placement = plan(snap, replace(BARE, moves=0)).placements[0]
    assert placement.is_late
    assert len(placement.segments) == 3
    assert end_hour(placement) == pytest.approx(4 + (30 + 3) / 60, abs=0.01)


def test_with_every_site_down_a_thousand_jobs_are_answered_one_by_one() -> None:
    snap = Instance(1000, 168, 0.3).snapshot()
    down = replace(snap, sites=tuple(replace(site, free_gpus=site.free_gpus * 0) for site in snap.sites))
    answer = plan(down, BARE)
    assert not answer.placements
    assert len(answer.unplaced) == 1000
    assert all("at most 0 become free" in one.reason for one in answer.unplaced)


def test_capacity_lowered_under_running_jobs_stops_some_and_keeps_every_deadline() -> None:
    running = [job(f"job-{n}", hours=4, deadline_hours=30, mode=Mode.INTERRUPTIBLE, running_at="de", state_at="de") for n in range(4)]
    answer = plan(snapshot(running, {"DE": [300.0] * 30}, gpus=1), BARE)
    assert not any(placement.is_late for placement in answer.placements)
    assert peak_use(answer, "de", MONDAY, MONDAY + 30 * HOUR) == 1


def test_everything_late_ends_as_soon_as_the_gpus_allow() -> None:
    jobs = [
        job(f"job-{n:02}", hours=2, deadline_hours=1, mode=list(Mode)[n % 3], startup_seconds=60, startup_kwh=1 / 60) for n in range(30)
    ]
    answer = plan(snapshot(jobs, {"DE": HILLS}, gpus=3), PlannerOptions())
    assert all(placement.is_late for placement in answer.placements)
    # Each GPU has ten jobs of 2 h and a minute; a hand-over costs at most the rest of its hour.
    assert max(end_hour(placement) for placement in answer.placements) <= 10 * 3


@pytest.mark.parametrize(("mode", "width"), [(Mode.INTERRUPTIBLE, 1), (Mode.DIVISIBLE, 1), (Mode.DIVISIBLE, 4)])
def test_a_crowded_queue_that_may_pause_emits_no_more_than_one_that_may_not(mode: Mode, width: int) -> None:
    snap = Instance(150, 96, 0.5).snapshot()
    free = replace(snap, jobs=tuple(replace(one, mode=mode, max_width=width) for one in snap.jobs))
    unbroken, pausing = plan(snap, LITTLE), plan(free, LITTLE)
    check_whole(free, pausing)
    assert pausing.cost_g <= unbroken.cost_g
    assert pausing.gap <= 0.2


def test_a_queue_that_outgrows_memory_is_planned_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    snap = Instance(300, 96, 0.3, one_gpu=True).snapshot()
    whole = plan(snap, LITTLE)
    monkeypatch.setattr(bulk, "MOST_ROWS", 20_000)
    parts = plan(snap, LITTLE)
    check_whole(snap, whole)
    check_whole(snap, parts)
    assert parts == plan(snap, LITTLE)
    assert parts.cost_g <= 1.5 * whole.cost_g


@pytest.mark.slow
def test_a_hundred_thousand_chunks_are_planned_without_one_being_late() -> None:
    """About 50 s of CPU and 1 GB."""
    snap = Instance(100_000, 168, 0.3, one_gpu=True).snapshot()
    answer = plan(snap, replace(BARE, search_steps=400))
    assert not answer.unplaced
    assert not any(placement.is_late for placement in answer.placements)
    assert answer.bound_g <= answer.cost_g
