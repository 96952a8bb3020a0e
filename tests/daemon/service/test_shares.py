"""Fair shares on a real daemon: use is counted by token or project, and orders equal jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.domain.caller import Caller
from daemon.domain.job import JobRequest
from daemon.domain.shares import Held, ShareRule
from daemon.domain.states import FINAL_JOB_STATES, JobState
from daemon.service.arrival import Arrival
from daemon.service.job_views import Submission
from daemon.service.work import works_of
from tests.daemon.service.world import HEIDELBERG, World, open_world, training


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


def summed_up_anew(world: World) -> dict[str, float]:
    """What the whole record says, attempt by attempt."""
    rule = ShareRule({"ada": 1.0})
    with world.daemon.store.read() as reader:
        works = works_of(reader, [*reader.live_jobs(), *reader.jobs(list(FINAL_JOB_STATES))]).values()
    held = [
        Held(work.job.share_holder, each.gpus, each.started_at, each.ended_at)
        for work in works
        for each in work.attempts
        if each.started_at
    ]
    return {user: hours for user, hours in rule.standings(rule.gpu_hours(held, world.now)).items() if hours > 0}


@given(
    st.lists(
        st.tuples(st.sampled_from(["ada", "bob", None]), st.sampled_from([0.4, 1.0, 2.5]), st.integers(0, 6), st.booleans()),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=10)
def test_carried_on_from_tick_to_tick_and_over_a_restart_the_figures_are_those_of_the_whole_record(
    plan: list[tuple[str | None, float, int, bool]],
) -> None:
    with TemporaryDirectory() as folder:
        with open_world(Path(folder), {**HEIDELBERG, "gpus": 3}, shares={"weights": {"ada": 1.0}}) as world:
            for owner, hours, pause, is_cancelled in plan:
                job_id = submit(world, owner, hours, 9)
                for _ in range(pause):
                    assert world.later(0.5).snapshot.standings == pytest.approx(summed_up_anew(world))
                if is_cancelled and not world.job(job_id).state.is_final:
                    world.daemon.service.cancel(job_id)
            nodes, now = world.nodes, world.now
            told = world.later(0.5).snapshot.standings
            assert told == pytest.approx(summed_up_anew(world))
        with open_world(Path(folder), {**HEIDELBERG, "gpus": 3}, now=now, nodes=nodes, shares={"weights": {"ada": 1.0}}) as world:
            world.now = now
            assert world.later(0.5).snapshot.standings == pytest.approx(told, rel=1e-3)


def test_after_the_first_tick_no_tick_reads_what_ended_jobs_held(shared: World) -> None:
    statements: list[str] = []
    shared.until(submit(shared, "ada", 1, 1.5), JobState.SUCCEEDED)
    sqlalchemy.event.listen(
        shared.daemon.store.database.read_engine, "before_cursor_execute", lambda *execution: statements.append(str(execution[2]))
    )
    assert shared.tick().snapshot.standings["ada"] > 0.4
    assert statements
    assert not [statement for statement in statements if "attempt.ended_at >=" in statement]


def test_a_bound_token_hears_its_own_name_and_its_projects_and_of_others_only_where_they_stand(shared: World) -> None:
    for owner, project in (("ada", "ct"), ("bob", "mr"), (None, "ct"), (None, "pet")):
        submit(shared, owner, 1, 9, project=project)
    shared.pass_time(9)
    everybody = shared.daemon.service.shares()
    assert {view.user for view in everybody} == {"ada", "bob", "ct", "pet"}
    heard = shared.daemon.service.shares(Caller("bob", projects=frozenset({"ct"})))
    expected = [view if view.user in ("bob", "ct") else view.model_copy(update={"user": "another user"}) for view in everybody]
    assert heard == expected
    assert shared.daemon.service.shares(Caller("bob")) == everybody


def test_before_the_first_tick_nobody_is_said_to_have_used_anything(shared: World) -> None:
    assert [(view.user, view.standing) for view in shared.daemon.service.shares()] == [("ada", 0.0)]


def test_who_has_a_weight_and_used_nothing_stands_first(shared: World) -> None:
    shared.tick()
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
