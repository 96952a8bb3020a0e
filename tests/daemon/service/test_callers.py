"""What the holder of a token may do to jobs, on a real daemon: in which projects, to whose jobs, and how many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.compose import renew_board
from daemon.domain.caller import OPERATOR, Caller
from daemon.domain.errors import Conflict, Forbidden, LowtideError, NotFound, Rejected, TooMany
from daemon.domain.job import DataTag, JobRequest
from daemon.domain.states import JobState
from daemon.planner import PlannerOptions
from daemon.service.arrival import Arrival
from daemon.service.job_views import Submission
from tests.daemon.service.world import HEIDELBERG, MODEL_2D, UMEA, World, open_world, synthesis, training

ADA, BOB = Caller("ada"), Caller("bob")
CT_ONLY = Caller("ct-lab", projects=frozenset({"ct"}))
MR_ONLY = Caller("mr-lab", projects=frozenset({"mr"}))
CT_OR_MR = Caller("imaging", projects=frozenset({"ct", "mr"}))
ADMIN = Caller("root", is_admin=True)


def body(world: World, workload: dict[str, Any] | None = None, **more: Any) -> JobRequest:
    chosen = {"workload": workload or training(1), "constraints": {"deadline": world.deadline(20)}} | more
    return JobRequest.model_validate(chosen)


def submit(world: World, caller: Caller, request: JobRequest, key: str | None = None, digest: str = "digest") -> str:
    """The id of the new job; raises what the service says."""
    (outcome,) = world.daemon.service.submit_all([Arrival(request, key, digest, caller)])
    if isinstance(outcome, Exception):
        raise outcome
    assert isinstance(outcome[0], Submission)
    return outcome[0].job.id


def project_of(world: World, job_id: str) -> str:
    return world.job(job_id).request.project


def test_a_job_without_a_project_gets_the_only_one_of_its_token(world: World) -> None:
    assert project_of(world, submit(world, CT_ONLY, body(world))) == "ct"
    assert project_of(world, submit(world, ADA, body(world))) == "default"
    assert project_of(world, submit(world, OPERATOR, body(world, project="anything"))) == "anything"


def test_a_token_that_may_use_several_projects_must_name_one(world: World) -> None:
    with pytest.raises(Rejected, match=r"^project: is required, .* name 'ct' or 'mr'$"):
        submit(world, CT_OR_MR, body(world))
    assert project_of(world, submit(world, CT_OR_MR, body(world, project="mr"))) == "mr"


@pytest.mark.parametrize("project", ["mr", "CT", "ct ", "default"])
def test_a_project_of_others_is_refused_in_submissions_and_estimates(world: World, project: str) -> None:
    with pytest.raises(Forbidden, match=rf"may not use '{project}': name 'ct'$"):
        submit(world, CT_ONLY, body(world, project=project))
    with pytest.raises(Forbidden, match="name 'ct'"):
        world.daemon.service.estimate(body(world, project=project), CT_ONLY)
    with world.daemon.store.read() as reader:
        assert reader.jobs() == []


def test_the_budget_of_the_only_project_holds_where_none_is_named(tmp_path: Path) -> None:
    with open_world(tmp_path, projects={"ct": {"budget_kg_per_month": 0.001}}) as world:
        job_id = submit(world, CT_ONLY, body(world))
        world.tick()
        assert "project ct may emit 1 g a month" in world.job(job_id).reason


def test_a_known_key_still_leads_to_its_job_although_the_token_may_use_less_now(world: World) -> None:
    request = body(world, project="mr")
    job_id = submit(world, Caller("lab", projects=frozenset({"ct", "mr"})), request, "key")
    assert submit(world, Caller("lab", projects=frozenset({"ct"})), request, "key") == job_id


def test_a_priority_above_the_token_s_is_refused(world: World) -> None:
    modest = Caller("ada", highest_priority=0)
    with pytest.raises(Forbidden, match="priority: this token may ask for 0 at most, not 1"):
        submit(world, modest, body(world, priority=1))
    assert world.job(submit(world, modest, body(world, priority=-5))).request.priority == -5


def test_only_its_owner_its_project_s_tokens_and_admins_cancel_a_job(world: World) -> None:
    def cancel(job_id: str, caller: Caller) -> JobState:
        return world.daemon.service.cancel(job_id, caller).state

    for caller in (ADA, CT_ONLY, ADMIN, OPERATOR):
        job_id = submit(world, ADA, body(world, project="ct"))
        with pytest.raises(Forbidden, match=rf"job {job_id} of project 'ct' did not come with this token"):
            cancel(job_id, BOB)
        with pytest.raises(NotFound):
            cancel(job_id, MR_ONLY)
        assert world.job(job_id).state is JobState.WAITING
        assert cancel(job_id, caller) is JobState.CANCELLED
        assert (caller.name or "the user") in world.events(job_id)[-1].message


def test_a_job_that_came_without_a_token_belongs_to_no_token(world: World) -> None:
    job_id = submit(world, OPERATOR, body(world))
    with pytest.raises(Forbidden):
        world.daemon.service.cancel(job_id, ADA)


def test_nobody_but_an_admin_lets_a_job_run_over_its_budget_not_even_its_owner(tmp_path: Path) -> None:
    with open_world(tmp_path, projects={"ct": {"budget_kg_per_month": 0.001, "over_budget": "ask"}}) as world:
        job_id = submit(world, CT_ONLY, body(world))
        for caller in (CT_ONLY, ADA):
            with pytest.raises(Forbidden, match="only an admin"):
                world.daemon.service.approve(job_id, caller)
        world.daemon.service.approve(job_id, ADMIN)
        assert world.events(job_id)[-1].message == "may run over the budget of project ct, says root"


def test_a_bound_token_sees_its_projects_and_what_it_brought_and_of_others_nothing(tmp_path: Path) -> None:
    budgets = {"ct": {"budget_kg_per_month": 1.0}, "mr": {"budget_kg_per_month": 1.0}}
    with open_world(tmp_path, projects=budgets) as world:
        theirs = submit(world, MR_ONLY, body(world))
        ours = submit(world, ADA, body(world, project="ct"))
        before = submit(world, Caller(CT_ONLY.name), body(world, project="pet"))
        for job_id in (theirs, ours):
            world.until(job_id, JobState.SUCCEEDED)
        waits = [submit(world, caller, body(world)) for caller in (CT_ONLY, MR_ONLY)]
        world.daemon.settler.settle()
        world.tick()
        service = world.daemon.service

        def seen(caller: Caller) -> tuple[set[str], set[str], set[str], set[str]]:
            plan, page = service.plan(caller), service.jobs(None, None, None, 50, caller)
            return (
                {job.id for job in page.items},
                {placed.job_id for placed in plan.placements},
                {line.job_id for line in service.report(None, None, None, caller).lines},
                {budget.project for budget in service.budgets(caller)},
            )

        jobs, placed, lines, shown = seen(CT_ONLY)
        assert (jobs, lines - {before}, shown) == ({ours, before, waits[0]}, {ours}, {"ct"})
        assert placed - {before} == {waits[0]}
        for caller in (ADA, ADMIN, OPERATOR):
            jobs, placed, lines, shown = seen(caller)
            assert (jobs, shown) == ({ours, theirs, before, *waits}, {"ct", "mr"})
            assert placed >= set(waits)
            assert lines >= {ours, theirs}
        for ask in (service.job, service.ledger, lambda job_id, caller: service.events(job_id, None, 10, caller)):
            ask(ours, CT_ONLY)
            with pytest.raises(NotFound, match=f"there is no job '{theirs}'$"):
                ask(theirs, CT_ONLY)


def test_a_bound_token_hears_of_jobs_of_others_in_its_way_only_that_they_are_there(tmp_path: Path) -> None:
    with open_world(tmp_path, HEIDELBERG | {"gpus": 1}) as world:
        request = body(world, training(3.5), constraints={"deadline": world.deadline(24)})
        first, second = (submit(world, caller, request) for caller in (CT_ONLY, MR_ONLY))
        renew_board(world.daemon.board, world.tick(), PlannerOptions(wait_confidence=0.0, deadline_margin=0.0))
        explanation = world.daemon.service.job(first).explanation
        loser, owner, winner = (first, CT_ONLY, second) if explanation and explanation.held_by else (second, MR_ONLY, first)
        told, heard = (world.daemon.service.job(loser, caller).explanation for caller in (OPERATOR, owner))
        assert told is not None
        assert heard is not None
        assert told.held_by == [winner]
        assert heard.held_by == []
        assert heard.bound_by == told.bound_by
        assert heard.sentence == told.sentence.replace(winner, "a job of another project")


def test_pages_of_jobs_that_are_seen_are_full_and_leave_nobody_out(world: World) -> None:
    mine = [submit(world, caller, body(world)) for caller in (CT_ONLY, MR_ONLY) * 3][::2]
    first = world.daemon.service.jobs(None, None, None, 2, CT_ONLY)
    second = world.daemon.service.jobs(None, None, first.next_cursor, 2, CT_ONLY)
    assert [job.id for page in (first, second) for job in page.items] == mine[::-1]
    assert second.next_cursor is None


@pytest.fixture
def both(tmp_path: Path) -> Iterator[World]:
    """Two sites, the second without patient data, and a project whose weights may not travel there."""
    with open_world(tmp_path, HEIDELBERG, UMEA, projects={"ct": {"weights_may_travel": False}}) as world:
        (tmp_path / "data" / "scans").mkdir(parents=True)
        yield world


def trained(world: World, caller: Caller, project: str) -> str:
    workload = training(1, model=MODEL_2D, data={"path": "scans"})
    return submit(world, caller, body(world, workload, project=project))


def test_weights_that_may_not_travel_stay_home_whatever_project_uses_them(both: World) -> None:
    weights = {"job": trained(both, OPERATOR, "ct")}
    elsewhere = submit(both, OPERATOR, body(both, synthesis(4, weights), project="mr"))
    assert both.job(elsewhere).needs is DataTag.PATIENT_DATA
    free = {"job": trained(both, OPERATOR, "mr")}
    assert both.job(submit(both, OPERATOR, body(both, synthesis(4, free), project="mr"))).needs is DataTag.DERIVED


def test_weights_of_a_closed_project_are_neither_used_nor_estimated(both: World) -> None:
    source = trained(both, ADA, "mr")
    for request in (
        body(both, synthesis(4, {"job": source})),
        body(both, constraints={"after": [source], "deadline": both.deadline(20)}),
    ):
        with pytest.raises(Rejected, match=rf"there is no job '{source}'"):
            submit(both, CT_ONLY, request)
        with pytest.raises(Rejected):
            both.daemon.service.estimate(request, CT_ONLY)
    mine = trained(both, CT_ONLY, "ct")
    assert both.job(submit(both, CT_ONLY, body(both, synthesis(4, {"job": mine})))).predecessors == (mine,)
    assert both.job(submit(both, BOB, body(both, synthesis(4, {"job": source})))).owner == "bob"


def outcomes(world: World, *arrivals: tuple[Caller, JobRequest]) -> list[type[LowtideError] | None]:
    told = world.daemon.service.submit_all([Arrival(request, None, "digest", caller) for caller, request in arrivals])
    return [type(one) if isinstance(one, LowtideError) else None for one in told]


def test_no_user_has_more_jobs_in_the_queue_than_the_settings_allow_and_others_go_on(tmp_path: Path) -> None:
    with open_world(tmp_path, server={"jobs_per_user": 2}) as world:
        mine, anyone = body(world), body(world, project="ct")
        assert outcomes(world, (ADA, mine), (BOB, mine), (ADA, mine), (ADA, mine)) == [None, None, None, TooMany]
        assert outcomes(world, (ADA, mine), (BOB, mine), (OPERATOR, anyone)) == [TooMany, None, None]
        with pytest.raises(TooMany, match=r"'ada' has 2 jobs .* 2 is the most \(server\.jobs_per_user\): wait"):
            submit(world, ADA, mine)
        with world.daemon.store.read() as reader:
            first = min(job.id for job in reader.jobs() if job.owner == "ada")
        world.daemon.service.cancel(first, ADA)
        assert outcomes(world, (ADA, mine), (ADA, mine)) == [None, TooMany]


def test_a_full_queue_still_answers_what_was_submitted_before(tmp_path: Path) -> None:
    with open_world(tmp_path, server={"jobs_per_user": 1}) as world:
        request = body(world)
        job_id = submit(world, ADA, request, "key")
        assert submit(world, ADA, request, "key") == job_id
        with pytest.raises(Conflict, match="Idempotency-Key"):
            submit(world, ADA, body(world, priority=1), "key", digest="of another body")


def test_a_key_gives_its_job_for_the_same_body_and_for_another_that_asks_for_the_same(world: World) -> None:
    request = body(world, project="ct")
    job_id = submit(world, CT_ONLY, request, "key", digest="of its body")
    filled_in_otherwise = request.model_copy(update={"priority": 3})  # as a version with other defaults would read the same body
    assert submit(world, CT_ONLY, filled_in_otherwise, "key", digest="of its body") == job_id
    unspoken = JobRequest.model_validate(request.model_dump(exclude={"project"}))
    assert submit(world, CT_ONLY, unspoken, "key", digest="of a body with less in it, or of before digests were of bodies") == job_id
    with pytest.raises(Conflict, match="Idempotency-Key"):
        submit(world, CT_ONLY, filled_in_otherwise, "key", digest="of a body that says so")
