"""Jobs that are submitted together get what each would get alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from daemon.domain.errors import Conflict, Rejected
from daemon.domain.job import Event, Job, JobRequest
from daemon.domain.states import JobState
from daemon.service.arrival import Arrival
from daemon.service.job_views import Submission
from daemon.store import StoreUnavailable, Writer
from tests.daemon.service.world import World, training


def arrival(name: str, key: str | None = None, **constraints: object) -> Arrival:
    request = JobRequest.model_validate({"name": name, "workload": training(1), "constraints": constraints})
    return Arrival(request, key, name)


def names_of(world: World) -> list[str]:
    with world.daemon.store.read() as reader:
        return sorted(job.request.name for job in reader.jobs())


def test_all_are_recorded_with_an_event_each_and_answered_in_order(world: World) -> None:
    outcomes = world.daemon.service.submit_all([arrival(name) for name in "abc"])
    answers = [outcome[0] for outcome in outcomes if isinstance(outcome, tuple)]
    assert [answer.job.name for answer in answers] == ["a", "b", "c"]
    with world.daemon.store.read() as reader:
        assert [[event.kind for event in reader.events(answer.job.id)] for answer in answers] == [["accepted"]] * 3


def test_one_that_is_refused_keeps_no_other_out(world: World) -> None:
    first, second, third = world.daemon.service.submit_all([arrival("a"), arrival("b", home="atlantis"), arrival("c")])
    assert isinstance(second, Rejected)
    assert "atlantis" in str(second)
    assert isinstance(first, tuple)
    assert isinstance(third, tuple)
    assert names_of(world) == ["a", "c"]


def test_the_same_key_twice_in_one_group_makes_one_job(world: World) -> None:
    one = arrival("a", "key")
    first, other, again = world.daemon.service.submit_all([one, arrival("b"), one])
    assert isinstance(first, tuple)
    assert isinstance(again, tuple)
    assert isinstance(other, tuple)
    assert (first[1], other[1], again[1]) == (True, True, False)
    assert again[0].job.id == first[0].job.id
    assert names_of(world) == ["a", "b"]


def test_a_key_with_another_request_in_one_group_is_a_conflict(world: World) -> None:
    first, second = world.daemon.service.submit_all([arrival("a", "key"), arrival("b", "key")])
    assert isinstance(first, tuple)
    assert isinstance(second, Conflict)
    assert names_of(world) == ["a"]


def test_one_that_cannot_be_written_keeps_no_other_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw, in the record of one: the group as a whole fails, so each is tried alone."""
    add = Writer.add_jobs

    def choking_on_b(self: Writer, accepted: Sequence[tuple[Job, Event, tuple[str, str] | None]]) -> None:
        if any(job.request.name == "b" for job, _, _ in accepted):
            raise ValueError("cannot be encoded")
        add(self, accepted)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "add_jobs", choking_on_b)
        first, second, third = world.daemon.service.submit_all([arrival("a"), arrival("b"), arrival("c")])
    assert isinstance(second, ValueError)
    assert isinstance(first, tuple)
    assert isinstance(third, tuple)
    assert names_of(world) == ["a", "c"]


def test_without_a_disk_everybody_hears_it_and_nothing_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "add_jobs", full)
        outcomes = world.daemon.service.submit_all([arrival("a"), arrival("b")])
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 2
    assert names_of(world) == []
    assert isinstance(world.daemon.service.submit(arrival("a").request, None, "a")[0], Submission)


def test_a_known_key_gives_its_job_also_after_what_it_waits_for_has_failed(world: World) -> None:
    """A client that repeats a request it is not sure of must learn of the job, not be told to submit something else first."""
    first = world.submit(training(1))
    waits = arrival("b", "key", after=[first])
    world.daemon.service.submit_all([waits])
    world.daemon.service.cancel(first)
    (before,) = world.daemon.service.submit_all([waits])
    world.tick()
    (after,) = world.daemon.service.submit_all([waits])
    assert isinstance(before, tuple)
    assert isinstance(after, tuple)
    assert before[0].job.id == after[0].job.id
    assert (before[1], after[1]) == (False, False)
    assert after[0].job.state is JobState.EXPIRED
