"""What the store tells of spent grams and held GPUs."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

import pytest

from daemon.domain.job import Job
from daemon.domain.shares import Held
from daemon.domain.states import AttemptState, JobState
from daemon.store import Store, StoreUnavailable
from tests.daemon.store.builders import HOUR, MONDAY, attempt, entry, event, job, run


def ended(name: str, at: datetime, project: str = "ct") -> Job:
    return job(name, project=project, state=JobState.SUCCEEDED, started_at=MONDAY, ended_at=at)


def put(store: Store, *jobs: Job) -> None:
    with store.write() as writer:
        for one in jobs:
            writer.add_job(one, event(one.id))


def test_the_newest_settlement_of_each_job_counts_from_the_month_s_start_on(store: Store) -> None:
    put(store, ended("a", MONDAY), ended("b", MONDAY + HOUR), ended("before", MONDAY - HOUR), ended("other", MONDAY, project="mr"))
    with store.write() as writer:
        for name, sequence, grams in (("a", 1, 10.0), ("a", 2, 12.0), ("b", 1, 3.0), ("before", 1, 100.0), ("other", 1, 1000.0)):
            writer.add_ledger_entry(entry(name, sequence, actual_g=grams))
        assert writer.settled_grams("ct", MONDAY) == (15.0, [])
        assert writer.settled_grams("nobody", MONDAY) == (0, [])


def test_jobs_that_worked_and_whose_emissions_nobody_knows_are_named(store: Store) -> None:
    never_began = job("never", project="ct", state=JobState.CANCELLED, ended_at=MONDAY)
    put(store, ended("known", MONDAY), ended("unknown", MONDAY), ended("unsettled", MONDAY), never_began, job("waits", project="ct"))
    with store.write() as writer:
        writer.add_ledger_entry(entry("known", actual_g=5.0))
        writer.add_ledger_entry(entry("unknown", actual_g=None))
        assert writer.settled_grams("ct", MONDAY) == (5.0, ["unknown", "unsettled"])


def test_what_ended_jobs_held_is_told_by_owner_and_by_project_without_one(store: Store) -> None:
    put(store, ended("free", MONDAY), job("lives", project="mr", state=JobState.RUNNING, started_at=MONDAY))
    put(store, dataclasses.replace(ended("adas", MONDAY), owner="ada"))
    done: dict[str, Any] = {"state": AttemptState.COMPLETED, "started_at": MONDAY, "ended_at": MONDAY + HOUR}
    with store.write() as writer:
        for name in ("adas", "free", "lives"):
            writer.add_run(run(f"run-{name}", name))
        writer.add_attempt(attempt("a", "run-adas", "adas", gpus=2, **done))
        writer.add_attempt(attempt("b", "run-free", "free", **done | {"ended_at": MONDAY + 2 * HOUR}))
        writer.add_attempt(attempt("c", "run-free", "free", number=2, state=AttemptState.CANCELLED, ended_at=MONDAY + HOUR))
        writer.add_attempt(attempt("d", "run-lives", "lives", **done))
        both = [Held("ada", 2, MONDAY, MONDAY + HOUR), Held("ct", 1, MONDAY, MONDAY + 2 * HOUR)]
        assert sorted(writer.held_by_ended_jobs(MONDAY + HOUR), key=lambda held: held.user) == both
        assert writer.held_by_ended_jobs(MONDAY + 2 * HOUR) == both[1:]


def test_live_jobs_are_counted_by_owner_and_without_one_by_project(store: Store) -> None:
    adas = [job(f"adas-{state}", owner="ada", project="ct", state=state) for state in (JobState.WAITING, JobState.RUNNING, JobState.FAILED)]
    put(store, *adas, job("free", project="ct"), job("other", project="mr"), job("bobs", owner="bob", project="ct"))
    with store.read() as reader:
        assert reader.live_jobs_of("ada", "ct") == reader.live_jobs_of("ada", "elsewhere") == 2
        assert reader.live_jobs_of(None, "ct") == 1
        assert reader.live_jobs_of(None, "ada") == reader.live_jobs_of("eve", "ct") == 0


def test_looking_into_a_database_sees_what_a_daemon_writes_meanwhile(store: Store, store_url: str) -> None:
    looking = Store.look_into(store_url)
    put(store, ended("late", MONDAY))
    with looking.read() as reader:
        assert reader.job("late").id == "late"
    looking.close()


def test_a_database_without_tables_is_not_looked_into(store: Store, store_url: str) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
    with pytest.raises(StoreUnavailable, match="is not a database of Lowtide"):
        Store.look_into(store_url)
