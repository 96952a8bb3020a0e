"""Queues made to hurt: no slack, no capacity, running jobs that lose theirs, more work than memory or the forecast holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.domain.plan import Mode, Plan, Snapshot
from daemon.planner import PlannerOptions, bulk, plan
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
