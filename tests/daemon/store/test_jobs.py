"""Jobs, their events and idempotency keys in the store."""

from __future__ import annotations

from dataclasses import fields, replace
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.domain.errors import NotFound
from daemon.domain.job import Attempt, Came, Event, Job, Run
from daemon.domain.ledger import LedgerEntry
from daemon.domain.states import JOB_TRANSITIONS, IllegalTransition, JobState
from daemon.store import StaleWrite, Store, schema
from tests.daemon.store.builders import HOUR, MONDAY, SYNTHESIS, entry, event, full_job, job


def add(store: Store, *jobs: Job) -> None:
    with store.write() as writer:
        for one in jobs:
            writer.add_job(one, event(one.id))


@pytest.mark.parametrize("kind", [Job, Run, Attempt, Event, LedgerEntry])
def test_every_field_has_its_column(kind: type) -> None:
    table = {Job: schema.job, Run: schema.run, Attempt: schema.attempt, Event: schema.event, LedgerEntry: schema.ledger_entry}[kind]
    copied_from_the_request = {"project", "kind"} if kind is Job else set()
    assert {column.name for column in table.c} - copied_from_the_request == {field.name for field in fields(kind)}


@pytest.mark.parametrize("one", [job(), full_job(), job(workload=SYNTHESIS)], ids=["plain", "full", "synthesis"])
def test_a_job_comes_back_as_it_was(store: Store, one: Job) -> None:
    add(store, one)
    with store.read() as reader:
        assert reader.job(one.id) == one


def test_an_unknown_job_is_not_found(store: Store) -> None:
    with store.read() as reader, pytest.raises(NotFound, match="no job 'job-1'"):
        reader.job("job-1")


@pytest.mark.parametrize("job_id", ["\x00", "\ud800", "job\n1"])
def test_what_can_be_no_id_is_not_found_and_no_error_of_the_database(store: Store, job_id: str) -> None:
    with store.read() as reader, pytest.raises(NotFound):
        reader.job(job_id)


def test_jobs_are_paged_newest_first(store: Store) -> None:
    add(store, *(job(f"job-{number}") for number in range(5)))
    with store.read() as reader:
        first = reader.jobs(limit=2)
        second = reader.jobs(limit=2, before=first[-1].id)
        third = reader.jobs(limit=2, before=second[-1].id)
    assert [one.id for page in (first, second, third) for one in page] == ["job-4", "job-3", "job-2", "job-1", "job-0"]


def test_the_jobs_that_came_since_an_instant_are_told_with_the_first_one_ever_in_the_order_they_came(store: Store) -> None:
    asked = [job(f"job-{9 - hour}", accepted_at=MONDAY + hour * HOUR, gpus_at_most=2, shortest_seconds=hour + 0.5) for hour in range(5)]
    add(store, job("job-of-before", accepted_at=MONDAY - HOUR), *asked)
    with store.read() as reader:
        came = reader.came_since(MONDAY + 3 * HOUR)
        assert reader.came_since(MONDAY + 9 * HOUR) == came[:1]
    assert [(one.id, one.shortest_seconds) for one in came] == [("job-9", 0.5), ("job-6", 3.5), ("job-5", 4.5)]
    first = asked[0]
    assert came[0] == Came(first.id, "training", first.accepted_at, first.deadline, 2, 0.5)


def test_jobs_are_chosen_by_state_and_project(store: Store) -> None:
    add(store, job("job-1"), job("job-2", state=JobState.RUNNING), job("job-3", project="ct"), full_job("job-4"))
    with store.read() as reader:
        assert [one.id for one in reader.jobs(states=[JobState.RUNNING, JobState.FAILED])] == ["job-4", "job-2"]
        assert [one.id for one in reader.jobs(project="ct")] == ["job-3"]
        assert reader.jobs(states=[]) == []


@pytest.mark.parametrize("state", JobState)
def test_a_job_is_live_or_waits_for_its_settlement_or_is_done(store: Store, state: JobState) -> None:
    add(store, job("job-1", state=state), job("job-2", state=state, settled=True))
    with store.read() as reader:
        live, unsettled = [one.id for one in reader.live_jobs()], [one.id for one in reader.unsettled_jobs()]
    assert live == ([] if state.is_final else ["job-1", "job-2"])
    assert unsettled == (["job-1"] if state.is_final else [])


def test_settled_jobs_are_found_by_their_newest_entry(store: Store) -> None:
    with store.write() as writer:
        for number in (1, 2, 3):
            writer.add_job(full_job(f"job-{number}"), event(f"job-{number}"))
            writer.add_ledger_entry(entry(f"job-{number}", settled_at=MONDAY + number * HOUR))
        writer.add_ledger_entry(entry("job-1", 2, settled_at=MONDAY + 9 * HOUR))
        assert [one.id for one in writer.settled_since(MONDAY + 3 * HOUR)] == ["job-1", "job-3"]


def test_jobs_are_counted_by_state_and_kind(store: Store) -> None:
    add(store, job("job-1"), job("job-2"), job("job-3", SYNTHESIS), full_job("job-4"))
    with store.read() as reader:
        assert reader.counts() == {
            (JobState.WAITING, "training"): 2,
            (JobState.WAITING, "synthesis"): 1,
            (JobState.FAILED, "training"): 1,
        }


def test_a_change_counts_the_version_and_keeps_its_event(store: Store) -> None:
    add(store, job())
    with store.write() as writer:
        changed = writer.change_job(replace(job(), state=JobState.RUNNING, reason="runs"), event(kind="job-running", slot=3))
    assert changed.version == 2
    with store.read() as reader:
        assert reader.job("job-1") == changed
        assert [(one.kind, one.detail) for one in reader.events("job-1")] == [("job-accepted", {}), ("job-running", {"slot": 3})]


def test_a_change_from_an_old_version_is_refused_and_leaves_no_event(store: Store) -> None:
    add(store, job())
    with store.write() as writer:
        writer.change_job(replace(job(), reason="first"))
    with pytest.raises(StaleWrite, match="version 1 was seen, 2 is stored"), store.write() as writer:
        writer.change_job(replace(job(), reason="second"), event(kind="job-changed"))
    with store.read() as reader:
        assert reader.job("job-1").reason == "first"
        assert len(reader.events("job-1")) == 1


def test_changing_an_unknown_job_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound), store.write() as writer:
        writer.change_job(job())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=st.lists(st.sampled_from(list(JobState)), min_size=1, max_size=8))
def test_a_job_only_ever_moves_along_legal_transitions(store: Store, walk: list[JobState]) -> None:
    stored = job(f"job-{uuid4()}")
    add(store, stored)
    for wanted in walk:
        legal = wanted is stored.state or wanted in JOB_TRANSITIONS[stored.state]
        try:
            with store.write() as writer:
                changed = writer.change_job(replace(stored, state=wanted))
        except IllegalTransition:
            assert not legal
        else:
            assert legal
            stored = changed
        with store.read() as reader:
            assert reader.job(stored.id) == stored


def test_events_are_numbered_in_order_and_read_on_from_a_number(store: Store) -> None:
    add(store, job("job-1"), job("job-2"))
    with store.write() as writer:
        for number in range(4):
            writer.add_event(event("job-1", f"step-{number}", sequence_of_another=number))
            writer.add_event(event("job-2", "noise"))
    with store.read() as reader:
        first = reader.events("job-1", limit=3)
        assert first[-1].sequence is not None
        rest = reader.events("job-1", after=first[-1].sequence)
    assert [one.kind for one in first + rest] == ["job-accepted", "step-0", "step-1", "step-2", "step-3"]
    numbers = [one.sequence or 0 for one in first + rest]
    assert numbers == sorted(set(numbers))


def test_an_idempotency_key_leads_to_its_job(store: Store) -> None:
    with store.write() as writer:
        assert writer.idempotent("key", None) is None
        writer.add_job(job(), event(), idempotency=("key", "digest"))
        assert writer.idempotent("key", None) == ("job-1", "digest")


def test_an_idempotency_key_is_its_owner_s_alone(store: Store) -> None:
    with store.write() as writer:
        for owner in ("ada", "bob", None):
            name = f"job-of-{owner}"
            writer.add_job(job(name, owner=owner), event(name), idempotency=("key", f"digest-{owner}"))
        for owner in ("ada", "bob", None):
            assert writer.idempotent("key", owner) == (f"job-of-{owner}", f"digest-{owner}")
        assert writer.idempotent("key", "eve") is None


def test_a_key_or_an_id_used_twice_is_stale_and_records_nothing(store: Store) -> None:
    with store.write() as writer:
        writer.add_job(job("job-1"), event("job-1"), idempotency=("key", "digest"))
    for second in (job("job-2"), job("job-1")):
        with pytest.raises(StaleWrite, match="already recorded"), store.write() as writer:
            writer.add_job(second, event(second.id), idempotency=("key", "digest"))
    with store.read() as reader:
        assert [one.id for one in reader.jobs()] == ["job-1"]
        assert len(reader.events("job-1")) == 1


def test_a_transaction_that_fails_keeps_nothing(store: Store) -> None:
    def accept_and_stumble() -> None:
        with store.write() as writer:
            writer.add_job(job(), event())
            writer.job("another")

    with pytest.raises(NotFound, match="another"):
        accept_and_stumble()
    with store.read() as reader:
        assert reader.jobs() == []
        assert reader.counts() == {}
