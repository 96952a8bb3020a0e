"""Submissions that arrive together share a group, and each hears only its own outcome."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from daemon.api.intake import LARGEST_GROUP, Intake
from daemon.domain.errors import Rejected
from daemon.domain.job import JobRequest
from daemon.service.arrival import Arrival, Outcome
from daemon.service.job_views import Submission
from tests.daemon.api.scripted import ScriptedService
from tests.daemon.api.test_problems import job, synthesis


def arrival(project: str = "default") -> Arrival:
    return Arrival(JobRequest.model_validate(job(synthesis(), project=project)), None, "digest")


class SlowService(ScriptedService):
    """Begins its first group only when it is let go, so that the others arrive meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.groups = threading.Event(), list[int]()

    def submit_all(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        self.groups.append(len(arrivals))
        assert self.go.wait(10)
        return super().submit_all(arrivals)


async def submitted(service: SlowService, arrivals: Sequence[Arrival]) -> list[tuple[Submission, bool] | BaseException]:
    intake = Intake(service.submit_all)
    tasks = [asyncio.create_task(intake.submit(one)) for one in arrivals]
    await asyncio.sleep(0)  # every task has had its turn and waits
    service.go.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_what_arrives_together_is_accepted_in_groups_of_bounded_size() -> None:
    service = SlowService()
    outcomes = asyncio.run(submitted(service, [arrival()] * (LARGEST_GROUP + 10)))
    assert len({outcome[0].job.id for outcome in outcomes if isinstance(outcome, tuple)}) == len(outcomes)
    assert sum(service.groups) == len(outcomes)
    assert max(service.groups) <= LARGEST_GROUP
    assert len(service.groups) <= 3


def test_who_comes_a_turn_of_the_loop_later_joins_the_first_group() -> None:
    async def one_after_another(service: SlowService, count: int) -> None:
        intake = Intake(service.submit_all)
        tasks = []
        for _ in range(count):
            tasks.append(asyncio.create_task(intake.submit(arrival())))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    service = SlowService()
    service.go.set()
    asyncio.run(one_after_another(service, 10))
    assert service.groups == [10]


def test_a_refused_submission_refuses_no_other() -> None:
    first, second, third = asyncio.run(submitted(SlowService(), [arrival(), arrival("forbidden"), arrival()]))
    assert isinstance(second, Rejected)
    assert isinstance(first, tuple)
    assert isinstance(third, tuple)


def test_an_error_of_the_whole_group_reaches_everybody_and_the_next_group_is_tried() -> None:
    calls = []

    def fails_at_first(arrivals: Sequence[Arrival]) -> list[Outcome]:
        calls.append(len(arrivals))
        if len(calls) == 1:
            raise RuntimeError("no disk")
        return ScriptedService().submit_all(arrivals)

    async def twice() -> tuple[Submission, bool]:
        intake = Intake(fails_at_first)
        with pytest.raises(RuntimeError, match="no disk"):
            await intake.submit(arrival())
        return await intake.submit(arrival())

    assert asyncio.run(twice())[1]
    assert calls == [1, 1]


def test_who_hangs_up_costs_the_others_nothing() -> None:
    async def one_leaves(service: SlowService) -> Submission:
        intake = Intake(service.submit_all)
        leaver, stayer = (asyncio.create_task(intake.submit(arrival())) for _ in range(2))
        await asyncio.sleep(0)
        leaver.cancel()
        service.go.set()
        return (await stayer)[0]

    service = SlowService()
    assert asyncio.run(one_leaves(service)).job.id in service.accepted
    assert len(service.accepted) == 2
