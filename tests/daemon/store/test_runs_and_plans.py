"""Runs, attempts, ledger entries, plans and observations in the store."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from daemon.domain.errors import NotFound
from daemon.domain.job import Attempt, PlannedSegment, StopWish
from daemon.domain.ledger import EntryKind
from daemon.domain.states import AttemptState, advance
from daemon.store import BackwardsState, StaleWrite, Store, schema
from tests.daemon.store.builders import HOUR, MONDAY, attempt, entry, event, full_attempt, full_job, job, observation, plan, run


@pytest.fixture(autouse=True)
def _job_with_a_run(store: Store) -> None:
    with store.write() as writer:
        writer.add_job(job(), event())
        writer.add_run(run())


def test_a_run_comes_back_as_it_was_and_can_be_changed(store: Store) -> None:
    whole = run("run-2", samples=None, closed_at=MONDAY + HOUR, steps_done=7, transferred_gb=1.5)
    with store.write() as writer:
        writer.add_run(whole)
        assert writer.run("run-2") == whole
        assert writer.run("run-1") == run()
        writer.change_run(replace(run(), steps_done=3))
        assert writer.run("run-1") == replace(run(), steps_done=3)
        with pytest.raises(NotFound, match="no run 'run-9'"):
            writer.change_run(run("run-9"))


def test_the_progress_of_several_runs_is_told_at_once_and_changes_nothing_else(store: Store) -> None:
    with store.write() as writer:
        writer.add_run(run("run-2"))
        writer.tell_steps({"run-1": 3, "run-2": 5, "run-9": 7})
        writer.tell_steps({})
    with store.read() as reader:
        found = reader.runs_among({"run-1", "run-2", "run-9"})
    assert found == {"run-1": replace(run(), steps_done=3), "run-2": replace(run("run-2"), steps_done=5)}


def test_plans_of_several_jobs_are_told_at_once_and_count_as_a_change_of_each(store: Store) -> None:
    window = (PlannedSegment("home", MONDAY, MONDAY + HOUR, 1),)
    with store.write() as writer:
        writer.add_job(job("job-2"), event("job-2"))
        told = [replace(job(name), planned=window, reason=f"{name} waits for the night") for name in ("job-1", "job-2")]
        writer.tell_plans([(told[0], event("job-1", "planned")), (told[1], None)])
        writer.tell_plans([])
    with store.read() as reader:
        assert [reader.job(one.id) for one in told] == [replace(one, version=2) for one in told]
        assert [[each.kind for each in reader.events(one.id)] for one in told] == [["job-accepted", "planned"], ["job-accepted"]]


def test_runs_and_attempts_are_given_by_job_oldest_first(store: Store) -> None:
    with store.write() as writer:
        writer.add_job(job("job-2"), event("job-2"))
        writer.add_run(run("run-0", created_at=MONDAY + HOUR))
        writer.add_run(run("run-3", "job-2"))
        for attempt_id, run_id, job_id in (("b", "run-1", "job-1"), ("a", "run-0", "job-1"), ("c", "run-3", "job-2")):
            writer.add_attempt(attempt(attempt_id, run_id, job_id, created_at=MONDAY + (HOUR if attempt_id == "a" else 0 * HOUR)))
        assert [one.id for one in writer.runs("job-1")] == ["run-1", "run-0"]
        assert {key: [one.id for one in runs] for key, runs in writer.runs_of(["job-1", "job-2", "job-3"]).items()} == {
            "job-1": ["run-1", "run-0"],
            "job-2": ["run-3"],
        }
        assert [one.id for one in writer.attempts("job-1")] == ["b", "a"]
        assert {key: len(attempts) for key, attempts in writer.attempts_of(["job-1", "job-2"]).items()} == {"job-1": 2, "job-2": 1}
        assert writer.runs_of([]) == {}


def test_thousands_of_jobs_can_be_asked_for_at_once(store: Store) -> None:
    asked = [f"nobody-{number}" for number in range(70_000)]
    with store.read() as reader:
        assert list(reader.runs_of([*asked, "job-1"])) == ["job-1"]


@pytest.mark.parametrize("one", [attempt(), full_attempt()], ids=["plain", "full"])
def test_an_attempt_comes_back_as_it_was(store: Store, one: Attempt) -> None:
    with store.write() as writer:
        writer.add_attempt(one, event(kind="attempt-launching"))
    with store.read() as reader:
        assert reader.attempt(one.id) == one
        assert reader.events("job-1")[-1].kind == "attempt-launching"


@pytest.mark.parametrize("state", AttemptState)
def test_live_attempts_are_those_that_are_not_final(store: Store, state: AttemptState) -> None:
    with store.write() as writer:
        writer.add_attempt(attempt(state=state))
        assert [one.id for one in writer.live_attempts()] == ([] if state.is_final else ["attempt-1"])


def test_an_unknown_attempt_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="no attempt"), store.write() as writer:
        writer.change_attempt(attempt())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reports=st.lists(st.sampled_from(list(AttemptState)), min_size=1, max_size=10))
def test_no_order_of_reports_moves_an_attempt_backwards(store: Store, reports: list[AttemptState]) -> None:
    one = attempt(f"attempt-{uuid4()}")
    with store.write() as writer:
        writer.add_attempt(one)
    expected = one.state
    for reported in reports:
        try:
            with store.write() as writer:
                writer.change_attempt(replace(one, state=reported))
        except BackwardsState:
            assert advance(expected, reported) is expected
        expected = advance(expected, reported)
        with store.read() as reader:
            assert reader.attempt(one.id).state is expected


def test_a_wish_to_stop_that_was_recorded_meanwhile_is_kept(store: Store) -> None:
    with store.write() as writer:
        writer.add_attempt(attempt())
        writer.change_attempt(attempt(stop_wish=StopWish.CANCEL, stop_wished_at=MONDAY))
        writer.change_attempt(attempt(state=AttemptState.ACTIVE))
        stored = writer.attempt("attempt-1")
        assert (stored.stop_wish, stored.stop_wished_at) == (StopWish.CANCEL, MONDAY)
        writer.change_attempt(replace(stored, stop_wish=StopWish.SUSPEND, stop_wished_at=MONDAY + HOUR))
        assert writer.attempt("attempt-1") == stored


def test_a_cancellation_outweighs_a_suspension(store: Store) -> None:
    with store.write() as writer:
        writer.add_attempt(full_attempt())
        writer.change_attempt(replace(full_attempt(), stop_wish=StopWish.CANCEL))
        assert writer.attempt(full_attempt().id).stop_wish is StopWish.CANCEL


@pytest.mark.parametrize("recorded", [None, *StopWish])
@pytest.mark.parametrize("given_wish", [None, *StopWish])
def test_of_two_wishes_to_stop_the_stronger_one_counts(store: Store, recorded: StopWish | None, given_wish: StopWish | None) -> None:
    strength = [None, StopWish.SUSPEND, StopWish.ABANDON, StopWish.CANCEL]
    with store.write() as writer:
        writer.add_attempt(attempt(stop_wish=recorded))
        writer.change_attempt(attempt(stop_wish=given_wish))
        assert writer.attempt("attempt-1").stop_wish is max(recorded, given_wish, key=strength.index)


def test_ledger_entries_are_appended_in_order(store: Store) -> None:
    with store.write() as writer:
        writer.add_ledger_entry(entry(sequence=1))
        writer.add_ledger_entry(entry(sequence=2, kind=EntryKind.FINAL, overhead_g=0.1 + 0.2))
        assert writer.ledger("job-1") == [entry(sequence=1), entry(sequence=2, kind=EntryKind.FINAL, overhead_g=0.1 + 0.2)]
        assert writer.ledger("job-2") == []


def test_an_entry_is_never_rewritten(store: Store) -> None:
    with store.write() as writer:
        writer.add_ledger_entry(entry())
    with pytest.raises(StaleWrite, match="already has a ledger entry 1"), store.write() as writer:
        writer.add_ledger_entry(entry(actual_g=0.0))
    with store.read() as reader:
        assert reader.ledger("job-1") == [entry()]


def test_a_report_gets_the_entry_that_counts_of_jobs_that_ended_in_its_span(store: Store) -> None:
    jobs = [replace(full_job(f"ended-{number}"), ended_at=MONDAY + number * HOUR) for number in range(4)]
    with store.write() as writer:
        for number, one in enumerate(jobs):
            writer.add_job(one, event(one.id))
            for sequence in range(1, number + 1):  # the first has none
                writer.add_ledger_entry(entry(one.id, sequence))
        assert writer.latest_entries() == [(one, entry(one.id, number)) for number, one in enumerate(jobs) if number]
        span = writer.latest_entries(start=MONDAY + HOUR, end=MONDAY + 3 * HOUR)
        assert [one.id for one, _ in span] == ["ended-1", "ended-2"]
        assert writer.latest_entries(project="another") == []


def test_the_last_plan_comes_back_as_it_was(store: Store) -> None:
    with store.write() as writer:
        assert writer.last_plan() is None
        for number in (1, 2):
            writer.save_plan(plan(number))
    with store.read() as reader:
        last = reader.last_plan()
    assert last == plan(2)
    assert last.planner_seconds == 0.5


def test_old_plans_are_dropped(store: Store) -> None:
    with store.write() as writer:
        for number in range(60):
            writer.save_plan(plan(number))
        assert writer.last_plan() == plan(59)
    with store.database.read() as connection:
        kept = connection.scalars(select(schema.plan.c.made_at).order_by(schema.plan.c.id)).all()
    assert kept == [plan(number).made_at for number in range(10, 60)]


def test_observations_come_back_by_hardware(store: Store) -> None:
    with store.write() as writer:
        writer.add_observations([])
        writer.add_observations([observation("a100", 1), observation("cpu", 2), observation("a100", 3)])
    with store.read() as reader:
        assert reader.observations() == [observation("a100", 1), observation("cpu", 2), observation("a100", 3)]
        assert reader.observations("a100") == [observation("a100", 1), observation("a100", 3)]
