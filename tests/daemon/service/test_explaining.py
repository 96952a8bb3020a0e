"""What a job's detail says about its plan, on a real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.compose import renew_board
from daemon.domain.explanation import Binding
from daemon.domain.states import JobState
from daemon.planner import PlannerOptions
from daemon.service.costs import Costs
from daemon.service.explanation_view import ExplanationView
from tests.daemon.service.world import HEIDELBERG, UMEA, World, open_world, training

BOLD = PlannerOptions(wait_confidence=0.0, deadline_margin=0.0)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path, HEIDELBERG, UMEA) as opened:
        yield opened


def explained(world: World, job_id: str) -> ExplanationView:
    renew_board(world.daemon.board, world.tick(), BOLD)
    explanation = world.daemon.service.job(job_id).explanation
    assert explanation is not None
    return explanation


def private(hours: float) -> dict[str, Any]:
    return training(hours, data={"path": "scans"})


def test_before_the_first_plan_there_is_nothing_to_explain(both: World) -> None:
    job_id = both.submit(training(2), deadline=both.deadline(24))
    assert both.daemon.service.job(job_id).explanation is None


def test_the_window_is_set_beside_running_now_in_grams_and_percent(both: World) -> None:
    job_id = both.submit(training(2), deadline=both.deadline(24), sites=["heidelberg"])
    why = explained(both, job_id)
    assert why.chosen_g is not None
    assert why.run_now_g is not None
    assert why.saved_percent is not None
    assert why.saved_g == pytest.approx(why.run_now_g - why.chosen_g)
    assert why.saved_percent == pytest.approx(100 * (1 - why.chosen_g / why.run_now_g))
    assert why.saved_percent > 40
    assert "less than running at once at home" in why.sentence


def test_residency_and_a_short_list_of_sites_are_told_apart(both: World) -> None:
    pinned = both.submit(private(2), deadline=both.deadline(24))
    listed = both.submit(training(2), deadline=both.deadline(24), sites=["heidelberg"])
    why = explained(both, pinned)
    assert [other.site for other in why.other_sites] == ["umea"]
    assert why.bound_by[-1] is Binding.RESIDENCY
    assert "if it admitted patient-data" in why.sentence
    assert explained(both, listed).bound_by[-1] is Binding.SITES


def test_a_near_deadline_and_the_jobs_in_the_way_are_named(both: World) -> None:
    first = both.submit(private(3.5), deadline=both.deadline(24))
    second = both.submit(private(3.5), deadline=both.deadline(24))
    whys = {job_id: explained(both, job_id) for job_id in (first, second)}
    loser, winner = (first, second) if whys[first].held_by else (second, first)
    assert whys[loser].held_by == [winner]
    assert Binding.CAPACITY in whys[loser].bound_by
    assert Binding.DEADLINE in whys[loser].bound_by
    saves = whys[loser].day_more_saves_g
    assert saves is not None
    assert saves > 0


def test_an_ended_job_is_not_explained_any_more(both: World) -> None:
    job_id = both.submit(training(1), deadline=both.deadline(1.5))
    both.until(job_id, JobState.SUCCEEDED)
    renew_board(both.daemon.board, both.tick(), BOLD)
    assert both.daemon.service.job(job_id).explanation is None


def test_a_job_whose_estimate_fails_can_still_be_looked_at(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = both.submit(training(2), deadline=both.deadline(24), sites=["heidelberg"])
    renew_board(both.daemon.board, both.tick(), BOLD)

    def poisoned(*_: object) -> None:
        raise ArithmeticError("no such size")

    monkeypatch.setattr(Costs, "option", poisoned)
    assert both.daemon.service.job(job_id).explanation is None
