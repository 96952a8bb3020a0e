"""The quick answer for a lone job is the planner's answer, and its bounds hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from daemon.domain.plan import Mode, PlanJob, Snapshot
from daemon.planner import offers, quick
from daemon.planner.fares import Shortage
from daemon.planner.quick import least_grams, quick_offer
from daemon.planner.task import task_of
from daemon.planner.terrain import terrain_of
from tests.daemon.planner.builders import job, snapshot
from tests.daemon.planner.strategies import snapshots

HILLS = [400.0] * 6 + [90.0] * 4 + [400.0] * 20


@given(snapshots(most_jobs=3, links=False))
@settings(deadline=None)
def test_the_quick_offer_costs_what_the_best_one_costs(snap: Snapshot) -> None:
    terrain = terrain_of(snap)
    for one in snap.jobs:
        task = task_of(one, terrain)
        if task is None:
            continue
        best = offers.best_offer(task, terrain, terrain.free, task.release, task.due)
        told = quick_offer(task, terrain, Shortage(terrain.free), task.release, task.due)
        assert (best is None) == (told is None)
        if best is not None and told is not None:
            assert told.score == pytest.approx(best.score, rel=1e-6)
            assert told.start == pytest.approx(best.start, abs=1e-3) or told.score == pytest.approx(best.score, rel=1e-8)


@given(snapshots(most_jobs=3, links=False))
@settings(deadline=None)
def test_no_placement_emits_less_than_the_bound(snap: Snapshot) -> None:
    terrain = terrain_of(snap)
    for one in snap.jobs:
        task = task_of(one, terrain)
        if task is None:
            continue
        best = offers.best_offer(task, terrain, terrain.free, task.release, task.due)
        if best is not None:
            assert least_grams(task, terrain, terrain.free, task.release, task.due) <= best.grams * (1 + 1e-9)


@pytest.mark.parametrize(
    "one",
    [
        job(hours=0.5, mode=Mode.INTERRUPTIBLE, startup_seconds=60, startup_kwh=1 / 60),
        job(hours=3.5, mode=Mode.INTERRUPTIBLE, startup_seconds=60, startup_kwh=1 / 60),
        replace(job(hours=3.5, mode=Mode.DIVISIBLE, startup_seconds=60, startup_kwh=1 / 60), max_width=1),
    ],
    ids=["shorter than an hour", "as long as the valley", "divisible"],
)
def test_a_job_that_fits_into_the_cleanest_hours_is_never_searched_in_pieces(one: PlanJob, monkeypatch: pytest.MonkeyPatch) -> None:
    terrain = terrain_of(snapshot([one], {"DE": HILLS}))
    task = task_of(one, terrain)
    assert task is not None
    searched = offers.best_offer(task, terrain, terrain.free, task.release, task.due)

    def never(*_: object) -> None:
        raise AssertionError("searched for pieces")

    monkeypatch.setattr(quick, "best_offer", never)
    told = quick_offer(task, terrain, Shortage(terrain.free), task.release, task.due)
    assert told is not None
    assert searched is not None
    assert told.start == 6 * 3600
    assert told.score == pytest.approx(searched.score, rel=1e-9)


def test_a_job_in_a_flat_grid_starts_at_once_at_the_first_glance(monkeypatch: pytest.MonkeyPatch) -> None:
    one = job(hours=7, mode=Mode.INTERRUPTIBLE)
    terrain = terrain_of(snapshot([one], {"DE": [300.0] * 30}))
    task = task_of(one, terrain)
    assert task is not None
    monkeypatch.delattr(quick, "best_offer")
    monkeypatch.delattr(quick, "least_grams")
    told = quick_offer(task, terrain, Shortage(terrain.free), task.release, task.due)
    assert told is not None
    assert told.start == 0


def test_pauses_that_pay_are_found() -> None:
    valleys = [400.0, 50.0, 400.0, 50.0, 400.0, 400.0, 400.0, 400.0]
    one = job(hours=2, deadline_hours=8, mode=Mode.INTERRUPTIBLE)
    terrain = terrain_of(snapshot([one], {"DE": valleys}))
    task = task_of(one, terrain)
    assert task is not None
    told = quick_offer(task, terrain, Shortage(terrain.free), task.release, task.due)
    assert told is not None
    assert len(told.pieces) == 2
    assert told.grams == pytest.approx(100.0)
