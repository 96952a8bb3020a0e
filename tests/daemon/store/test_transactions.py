"""What holds when many write at once, when a writer is killed, and when the disk is full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from daemon.domain.errors import NotFound
from daemon.domain.states import JobState
from daemon.store import StaleWrite, Store, StoreUnavailable
from daemon.store.database import Database
from tests.daemon.store.builders import event, job
from tests.disks import small_disk
from tests.postgresql import emptied
from tests.processes import wait_for


def in_threads(number: int, work: Callable[[int], object]) -> None:
    """Run `work` in that many threads that begin together; their exceptions come out here."""
    barrier = threading.Barrier(number)

    def begin(index: int) -> object:
        barrier.wait()
        return work(index)

    with ThreadPoolExecutor(number) as pool:
        list(pool.map(begin, range(number)))


def accept(store: Store, job_id: str) -> None:
    with store.write() as writer:
        writer.add_job(job(job_id), event(job_id))


def test_eight_threads_claim_every_job_exactly_once(store: Store) -> None:
    ids = [f"job-{number:03}" for number in range(120)]
    with store.write() as writer:
        for job_id in ids:
            writer.add_job(job(job_id), event(job_id))
    claimed: list[str] = []

    def claim(_index: int) -> None:
        while True:
            with store.read() as reader:
                waiting = reader.jobs(states=[JobState.WAITING], limit=5)
            if not waiting:
                return
            wanted = random.choice(waiting)
            try:
                with store.write() as writer:
                    writer.change_job(replace(wanted, state=JobState.RUNNING), event(wanted.id, "job-running"))
            except StaleWrite:
                continue
            claimed.append(wanted.id)

    in_threads(8, claim)
    assert sorted(claimed) == ids
    with store.read() as reader:
        assert all([one.kind for one in reader.events(job_id)] == ["job-accepted", "job-running"] for job_id in ids)


def test_no_increment_is_lost_between_threads_that_read_and_write_in_one_transaction(store: Store) -> None:
    accept(store, "job-1")

    def count(_index: int) -> None:
        for _ in range(25):
            with store.write() as writer:
                current = writer.job("job-1")
                writer.change_job(replace(current, retries=current.retries + 1))

    in_threads(8, count)
    with store.read() as reader:
        assert reader.job("job-1").retries == 200


def test_a_transaction_that_fails_among_others_is_dropped_alone(store: Store) -> None:
    def accept_or_fail(index: int) -> None:
        for number in range(20):
            job_id = f"job-{index}-{number}"
            if number % 3 == 0:
                with pytest.raises(NotFound, match="nobody"):
                    _accept_and_stumble(store, job_id)
            else:
                accept(store, job_id)

    in_threads(8, accept_or_fail)
    expected = {f"job-{index}-{number}" for index in range(8) for number in range(20) if number % 3}
    with store.read() as reader:
        assert {one.id for one in reader.live_jobs()} == expected


def test_when_the_database_drops_a_transaction_nobody_in_it_is_told_that_he_is_on_disk(store: Store) -> None:
    accepted: list[str] = []

    def accept_or_drop(index: int) -> None:
        for number in range(40):
            job_id = f"job-{index}-{number}"
            try:
                if number % 8 == index:
                    _drop_the_transaction(store)
                accept(store, job_id)
            except StoreUnavailable:
                continue
            accepted.append(job_id)

    in_threads(8, accept_or_drop)
    with store.read() as reader:
        assert {one.id for one in reader.live_jobs()} == set(accepted)
    assert accepted
    accept(store, "job-after")


def _drop_the_transaction(store: Store) -> None:
    """What SQLite itself may do on a full disk, and PostgreSQL when it shuts down."""
    with store.database.write() as connection:
        connection.exec_driver_sql("ROLLBACK")


def _accept_and_stumble(store: Store, job_id: str) -> None:
    with store.write() as writer:
        writer.add_job(job(job_id), event(job_id))
        writer.job("nobody")


def test_what_a_write_has_returned_from_every_reader_sees(store: Store) -> None:
    def accept_and_look(index: int) -> None:
        for number in range(25):
            job_id = f"job-{index}-{number}"
            accept(store, job_id)
            with store.read() as reader:
                assert reader.job(job_id).id == job_id

    in_threads(6, accept_and_look)


def test_a_snapshot_does_not_see_what_is_committed_meanwhile(store: Store) -> None:
    accept(store, "job-1")
    with store.read() as reader:
        assert len(reader.jobs()) == 1
        accept(store, "job-2")
        assert len(reader.jobs()) == 1
        assert reader.counts() == {(JobState.WAITING, "training"): 1}
    with store.read() as reader:
        assert len(reader.jobs()) == 2


def test_a_write_inside_a_write_of_the_same_thread_is_a_mistake_that_is_named(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'lowtide.db'}")
    with store.write(), pytest.raises(RuntimeError, match="use the writer you have"), store.write():
        pass
    accept(store, "job-1")
    store.close()


def test_another_program_that_holds_the_database_makes_us_wait_and_not_fail(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'lowtide.db'}"
    ours, theirs = Store.open(url), Store.open(url)
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with theirs.write() as writer:
            writer.add_job(job("job-1"), event("job-1"))
            holding.set()
            release.wait()

    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(hold)
        holding.wait()
        waiting = pool.submit(accept, ours, "job-2")
        release.set()
        held.result()
        waiting.result()
    with ours.read() as reader:
        assert [one.id for one in reader.live_jobs()] == ["job-1", "job-2"]
    ours.close()
    theirs.close()


ACCEPT_FOR_EVER = """
import sys, threading
from daemon.store import Store
from tests.daemon.store.builders import event, job
store = Store.open(sys.argv[1])
def accept(thread):
    for number in range(1_000_000):
        job_id = f"job-{thread}-{number}"
        with store.write() as writer:
            writer.add_job(job(job_id), event(job_id), idempotency=(job_id, "digest"))
        sys.stdout.write(job_id + "\\n")
        sys.stdout.flush()
for thread in range(4):
    threading.Thread(target=accept, args=(thread,)).start()
"""


@pytest.mark.parametrize("accepted_before_the_kill", [1, 40, 157, 400])
def test_a_killed_process_loses_no_accepted_job_and_leaves_no_half_one(store_url: str, accepted_before_the_kill: int) -> None:
    imports = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-c", ACCEPT_FOR_EVER, store_url], env=dict(os.environ) | imports, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    accepted = [process.stdout.readline().strip() for _ in range(accepted_before_the_kill)]
    process.send_signal(signal.SIGKILL)
    accepted += process.stdout.read().split("\n")[:-1]  # the last piece is torn or empty
    process.stdout.close()
    process.wait()
    store = Store.open(store_url)
    with store.read() as reader:
        stored = {one.id for one in reader.live_jobs()}
        assert stored >= set(accepted)
        for job_id in stored:
            assert [one.kind for one in reader.events(job_id)] == ["job-accepted"]
            assert reader.idempotent(job_id, None) == (job_id, "digest")
    accept(store, "job-after-the-crash")
    store.close()


@pytest.mark.service
def test_a_session_that_the_server_ended_for_resting_is_a_database_out_of_reach_and_is_made_anew(server: str) -> None:
    store, looking = Store.open(emptied(server)), create_engine(server, isolation_level="AUTOCOMMIT")

    def rest_until_it_is_ended() -> None:
        with store.database.write() as connection, looking.connect() as other:
            session = {"pid": connection.scalar(text("SELECT pg_backend_pid()"))}
            connection.execute(text("SET idle_in_transaction_session_timeout = 1"))
            wait_for(lambda: other.execute(text("SELECT 1 FROM pg_stat_activity WHERE pid = :pid"), session).first() is None or None)
            connection.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailable, match=r"is not available: .*idle-in-transaction"):
        rest_until_it_is_ended()
    accept(store, "job-afterwards")
    store.close()
    looking.dispose()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "2m") as path:
        yield path


def test_a_full_disk_refuses_jobs_in_words_keeps_the_accepted_and_recovers(disk: Path) -> None:
    store = Store.open(f"sqlite:///{disk / 'lowtide.db'}")
    ballast = disk / "ballast"
    ballast.write_bytes(b"0" * 1_000_000)
    accepted: list[str] = []
    refusals: list[str] = []

    def accept_until_full(index: int) -> None:
        for number in range(2000):
            try:
                accept(store, f"job-{index}-{number}")
            except StoreUnavailable as error:
                refusals.append(str(error))
                return
            accepted.append(f"job-{index}-{number}")

    in_threads(6, accept_until_full)
    assert len(refusals) == 6
    assert all("is full: free space there" in text or "gave up" in text for text in refusals)
    with store.read() as reader:
        assert {one.id for one in reader.live_jobs()} == set(accepted)
    ballast.unlink()
    accept(store, "job-after")
    with store.read() as reader:
        assert {one.id for one in reader.live_jobs()} == {*accepted, "job-after"}
    store.close()


@pytest.mark.service
def test_a_server_that_vanishes_is_given_up_within_a_minute_unless_its_url_says_otherwise(server: str) -> None:
    for url, seconds in ((server, "10"), (f"{server}{'&' if '?' in server else '?'}connect_timeout=3", "3")):
        database = Database(url)
        try:
            for engine in (database.write_engine, database.read_engine):
                with engine.connect() as connection:
                    session = connection.connection.driver_connection
                    assert session is not None
                    said = session.info.get_parameters()
                    assert (said["connect_timeout"], said["keepalives_idle"]) == (seconds, "30")
        finally:
            database.close()
