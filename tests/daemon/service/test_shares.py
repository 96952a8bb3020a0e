"""Fair shares on a real daemon: use is counted by token or project, and orders equal jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.domain.caller import Caller
from daemon.domain.job import JobRequest
from daemon.domain.states import JobState
from daemon.service.arrival import Arrival
from daemon.service.job_views import Submission
from tests.daemon.service.world import World, open_world, training


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path, shares={"weights": {"ada": 1.0}}) as world:
        yield world


def submit(world: World, owner: str | None, hours: float, deadline_hours: float, project: str = "default") -> str:
    body = {"workload": training(hours), "constraints": {"deadline": world.deadline(deadline_hours)}, "project": project}
    (outcome,) = world.daemon.service.submit_all([Arrival(JobRequest.model_validate(body), None, "digest", Caller(owner))])
    assert isinstance(outcome, tuple)
    answer, _ = outcome
    assert isinstance(answer, Submission)
    assert answer.job.owner == owner
    return answer.job.id


def test_use_is_counted_by_token_and_by_project_without_one(shared: World) -> None:
    submit(shared, "ada", 1, 1.5)
    submit(shared, None, 1, 3.5, project="ct")
    shared.pass_time(4)
    standings = shared.tick().snapshot.standings
    assert set(standings) == {"ada", "ct"}
    assert all(0.4 < hours < 1.1 for hours in standings.values())
    shown = shared.daemon.service.shares()
    assert {view.user: view.standing for view in shown} == pytest.approx(standings)
    assert [view.standing for view in shown] == sorted(view.standing for view in shown)


def test_who_has_a_weight_and_used_nothing_stands_first(shared: World) -> None:
    assert [(view.user, view.standing) for view in shared.daemon.service.shares()] == [("ada", 0.0)]


def test_whoever_had_little_gets_the_clean_hours_before_whoever_had_much(shared: World) -> None:
    had = submit(shared, "ada", 1, 1.5)
    shared.until(had, JobState.SUCCEEDED)
    rivals = {owner: submit(shared, owner, 3.6, 20) for owner in ("ada", "bob")}
    report = shared.tick()
    grams = {owner: next(p.expected_g for p in report.plan.placements if p.job_id == job_id) for owner, job_id in rivals.items()}
    assert grams["bob"] < grams["ada"]


def test_without_weights_shares_are_not_looked_at(world: World) -> None:
    submit(world, "ada", 1, 1.5)
    world.pass_time(2)
    assert world.tick().snapshot.standings == {}
    assert world.daemon.service.shares() == []


def test_a_key_that_another_owner_used_neither_conflicts_nor_leads_to_that_job(world: World) -> None:
    def send(owner: str | None, hours: float) -> tuple[str, bool]:
        body = {"workload": training(hours), "constraints": {"deadline": world.deadline(9)}}
        (outcome,) = world.daemon.service.submit_all(
            [Arrival(JobRequest.model_validate(body), "guessed", f"digest-{hours}", Caller(owner))]
        )
        assert isinstance(outcome, tuple), outcome
        return outcome[0].job.id, outcome[1]

    adas, is_new = send("ada", 1)
    assert is_new
    assert send("ada", 1) == (adas, False)
    others = [send("bob", 1), send("eve", 2), send(None, 2)]
    assert [is_new for _, is_new in others] == [True] * 3
    assert len({adas, *(job_id for job_id, _ in others)}) == 4
