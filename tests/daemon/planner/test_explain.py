from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.planner import plan
from daemon.planner.explain import explain
from tests.daemon.planner.builders import BARE, job, placed, snapshot

VALLEY = [400.0] * 6 + [100.0] * 3 + [400.0] * 15


def test_what_holds_a_job_back_and_what_would_help_is_told_in_numbers_and_words() -> None:
    tomorrow = [400.0] * 30 + [200.0] * 18
    snap = snapshot([job("a", hours=3), job("b", hours=3)], {"DE": VALLEY + tomorrow, "SE": [50.0] * 72}, gpus=1)
    answer = plan(snap, BARE)
    loser, winner = ("a", "b") if placed(answer, "a").expected_g > placed(answer, "b").expected_g else ("b", "a")
    why = explain(loser, snap, answer)
    assert why is not None
    assert why.held_by == (winner,)
    assert why.alone_g == pytest.approx(300)
    assert why.chosen_g == pytest.approx(1200)
    assert why.day_more_g == pytest.approx(1200)
    assert why.site_more_g == {"se": pytest.approx(150)}
    assert f"alone it would emit 300 g, but {winner} hold the GPUs then" in why.sentence
    assert "se would save 1,050 g if it were allowed" in why.sentence


def test_a_later_deadline_that_would_help_is_named() -> None:
    snap = snapshot([job(hours=2, deadline_hours=5)], {"DE": VALLEY})
    why = explain("job", snap, plan(snap, BARE))
    assert why is not None
    assert why.day_more_g == pytest.approx(200)
    assert "a deadline one day later would save 600 g" in why.sentence


def test_a_job_without_a_placement_has_no_explanation() -> None:
    snap = snapshot([job(gpus=9)], {"DE": VALLEY})
    assert explain("job", snap, plan(snap, BARE)) is None


def test_a_spent_budget_stops_jobs_that_do_not_run_yet_and_what_waits_for_them() -> None:
    jobs = [
        job("first", hours=3, priority=1, project="ct"),
        job("second", hours=3, project="ct"),
        job("follows", hours=1, after=("second",), project="mr"),
        job("running", hours=2, running_at="de", project="ct"),
    ]
    snap = replace(snapshot(jobs, {"DE": VALLEY}), budgets_g={"ct": 1150.0})
    answer = plan(snap, BARE)
    assert {p.job_id for p in answer.placements} == {"first", "running"}
    reasons = {u.job_id: u.reason for u in answer.unplaced}
    assert reasons["second"].startswith("project ct has 50 g left in its budget, and this job needs 300 g")
    assert reasons["follows"] == "waits for job second, which has no place"


def test_projects_without_a_budget_are_free() -> None:
    snap = replace(snapshot([job(project="mr")], {"DE": VALLEY}), budgets_g={"ct": 0.0})
    assert len(plan(snap, BARE).placements) == 1
