"""One job in trouble that nobody foresaw stops no other, and can be seen."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from daemon.domain.execution import Handle, Launch
from daemon.domain.plan import Plan, Snapshot
from daemon.domain.states import AttemptState, JobState
from jobs.rundir import ProgressRecord, RunDirectory
from tests.daemon.service.node import ScriptedNode
from tests.daemon.service.world import HEIDELBERG, UMEA, World, as_estimated, open_world, training

TWO_PLACES = HEIDELBERG | {"gpus": 2}


def start_two(world: World) -> tuple[str, str]:
    """Two jobs of an hour, both running."""
    jobs = [world.submit(training(1), deadline=world.deadline(1.5)) for _ in range(2)]
    world.tick()
    assert [world.job(job_id).state for job_id in jobs] == [JobState.RUNNING] * 2
    return jobs[0], jobs[1]


def test_a_run_directory_that_cannot_be_read_holds_up_its_own_job_only_and_says_so(tmp_path: Path) -> None:
    with open_world(tmp_path, TWO_PLACES) as world:
        broken, sound = start_two(world)
        outcome = RunDirectory(world.runs(broken)[0].directory).outcome_file
        world.home.observe([])
        world.now = world.deadline(2)
        world.home.kill_all()  # both have written their outcome by now
        outcome.rename(outcome.with_suffix(".kept"))
        outcome.mkdir()
        world.pass_time(1)
        assert world.job(sound).state is JobState.SUCCEEDED
        assert world.job(broken).state is JobState.RUNNING
        assert "held up at heidelberg: its run directory cannot be read, which is tried again until it can" in world.job(broken).reason
        assert [event.kind for event in world.events(broken)].count("attempt-unreadable") == 1
        outcome.rmdir()
        outcome.with_suffix(".kept").rename(outcome)
        assert world.until(broken, JobState.SUCCEEDED).retries == 0


def test_progress_that_no_database_can_hold_is_not_told_and_that_of_others_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_world(tmp_path, TWO_PLACES) as world:
        broken, sound = start_two(world)
        world.later(0.5)
        told = world.runs(broken)[0].steps_done
        attempt = world.attempts(broken)[0].id
        world.now = world.deadline(0.1)
        world.home.observe([Handle(attempt, "", None)])
        lie = ProgressRecord(attempt_id=attempt, step=10**30, of=10**30, when=world.now)
        RunDirectory(world.runs(broken)[0].directory).append_progress(lie)
        before = world.runs(sound)[0].steps_done
        with caplog.at_level(logging.ERROR):
            world.tick()
        assert world.runs(sound)[0].steps_done > before > 0
        assert world.runs(broken)[0].steps_done == told
        (record,) = [record for record in caplog.records if record.message == "job-poisoned"]
        assert vars(record)["attempt"] == attempt


def test_a_job_whose_plan_the_database_refuses_keeps_its_own_and_others_are_told_theirs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_world(tmp_path) as world:
        broken, *sound = (world.submit(training(1), deadline=world.deadline(40)) for _ in range(3))
        with world.daemon.store.database.write() as connection:
            refused = f"BEFORE UPDATE ON job WHEN NEW.id = '{broken}' BEGIN SELECT RAISE(ABORT, 'not this one'); END"
            connection.execute(text(f"CREATE TRIGGER refused {refused}"))
        with caplog.at_level(logging.ERROR):
            world.tick()
        assert world.job(broken).planned == ()
        assert [event.kind for event in world.events(broken)] == ["accepted"]
        assert all(world.job(job_id).planned for job_id in sound)
        (record,) = [record for record in caplog.records if record.message == "job-poisoned"]
        assert (vars(record)["during"], vars(record)["job"]) == ("commit", broken)


def test_a_run_whose_spec_is_garbage_is_not_settled_and_the_others_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_world(tmp_path, TWO_PLACES) as world:
        broken, sound = start_two(world)
        spec = RunDirectory(world.runs(broken)[0].directory).spec_file
        world.until(broken, JobState.SUCCEEDED)
        world.until(sound, JobState.SUCCEEDED)
        spec.write_text("{}")
        with caplog.at_level(logging.ERROR):
            entries = world.daemon.settler.settle()
        assert [entry.job_id for entry in entries] == [sound]
        (record,) = [record for record in caplog.records if record.message == "job-poisoned"]
        assert vars(record)["job"] == broken


def test_an_executor_with_a_mistake_about_one_job_starts_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Mistaken(ScriptedNode):
        def launch(self, launch: Launch) -> str:
            if launch.gpus == 2:
                raise KeyError("pid")
            return super().launch(launch)

    with open_world(tmp_path, HEIDELBERG | {"gpus": 3}, nodes={"heidelberg": Mistaken(lambda: world.now, as_estimated)}) as world:
        poisoned = world.submit(training(1, batch_size_per="device"), deadline=world.deadline(2.5), gpus=2)
        sound = world.submit(training(1), deadline=world.deadline(1.5))
        world.until(sound, JobState.SUCCEEDED)
        assert world.attempt_states(poisoned) == [AttemptState.LAUNCHING]
        assert any(record.message == "job-poisoned" for record in caplog.records)
        world.daemon.service.cancel(poisoned)
        world.until(poisoned, JobState.CANCELLED)


def test_attempts_at_a_site_that_was_taken_out_of_the_settings_are_left_alone_until_it_is_back(tmp_path: Path) -> None:
    with open_world(tmp_path, HEIDELBERG, UMEA) as world:
        kept = world.submit(training(1), deadline=world.deadline(2), sites=["heidelberg"])
        waiting = world.submit(training(1), deadline=world.deadline(40), sites=["heidelberg"])
        world.pass_time(0.5)
        nodes, now = world.nodes, world.now
    with open_world(tmp_path, UMEA, nodes=nodes, now=now) as world:
        other = world.submit(training(1), deadline=world.deadline(2))
        world.until(other, JobState.SUCCEEDED)
        world.daemon.settler.settle()
        assert world.ledger(other)
        assert world.attempt_states(kept) == [AttemptState.ACTIVE]
        assert world.job(waiting).state is JobState.WAITING
        now = world.now
    with open_world(tmp_path, HEIDELBERG, UMEA, nodes=nodes, now=now) as world:
        assert world.until(kept, JobState.SUCCEEDED).retries == 0
        world.daemon.settler.settle()
        assert world.ledger(kept)


def test_what_was_decided_before_is_done_even_where_no_plan_can_be_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Snapshot) -> Plan:
        raise ZeroDivisionError("no plan")

    job_id = world.submit(training(3), deadline=world.deadline(4))
    world.pass_time(0.5)
    world.daemon.service.cancel(job_id)
    world.tick()  # the wish to stop is recorded and passed on
    world.home.is_deaf = True
    monkeypatch.setattr(world.daemon.tick, "_planner", broken)
    with pytest.raises(ZeroDivisionError):
        world.tick()
    world.now = world.deadline(1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            world.tick()
    assert world.job(job_id).state is JobState.CANCELLED


def test_two_threads_that_settle_at_once_append_one_entry_and_learn_once(world: World) -> None:
    job_id = world.submit(training(1), deadline=world.deadline(1.5))
    world.until(job_id, JobState.SUCCEEDED)
    together = threading.Barrier(4)

    def settle() -> None:
        together.wait(10)
        world.daemon.settler.settle_new([job_id])

    threads = [threading.Thread(target=settle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.ledger(job_id)) == 1
    with world.daemon.store.read() as reader:
        lessons = reader.observations()
    assert len(lessons) == len({lesson.configuration for lesson in lessons})
