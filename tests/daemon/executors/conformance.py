"""What every executor must do, written once: a subclass gives a `workshop`, which knows how its processes are waited for."""

from __future__ import annotations

import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.domain.execution import Executor, Handle, Launch, LaunchRefused, Observation
from daemon.domain.states import AttemptState
from jobs.rundir import AttemptFile, RunDirectory

JOB_COMMAND = [sys.executable, "-I", "-S", str(Path(__file__).with_name("obedient_job.py"))]


class Bench:
    """One run directory with its two pipes, and the attempts made in it."""

    def __init__(self, path: Path) -> None:
        self.directory = RunDirectory(path)
        path.mkdir(parents=True)
        os.mkfifo(path / "hello")
        os.mkfifo(path / "orders")

    def prepare(self, attempt_id: str, gpus: int = 1) -> Launch:
        """What the tick does before a launch."""
        self.directory.write_attempt(AttemptFile(attempt_id=attempt_id, run_id="run", job_id="job", number=1))
        return Launch(attempt_id, "run", "job", str(self.directory.path), gpus=gpus, threads=3)

    def handle(self, attempt_id: str) -> Handle:
        return Handle(attempt_id, str(self.directory.path), None)

    def await_hello(self) -> int:
        """Wait until the job works; its pid."""
        return int((self.directory.path / "hello").read_text())

    def order(self, what: str) -> None:
        """Tell the job what to do; returns when it has heard."""
        (self.directory.path / "orders").write_text(what)

    def starts(self) -> list[str]:
        path = self.directory.path / "starts.txt"
        return path.read_text().split() if path.exists() else []


class Workshop(ABC):
    """How one kind of executor is made and watched in tests."""

    @abstractmethod
    def executor(self, command: list[str] = JOB_COMMAND) -> Executor:
        """A new one, as after a restart of the daemon: it remembers nothing."""

    @abstractmethod
    def await_end(self, bench: Bench, attempt_id: str) -> None:
        """Return once the executor can know that the attempt has ended."""


class ExecutorContract:
    """Tests for any executor. `bench` makes run directories; `workshop` comes from the subclass."""

    def test_a_launched_attempt_is_active_and_then_completed(self, workshop: Workshop, bench: Bench) -> None:
        executor = workshop.executor()
        native_id = executor.launch(bench.prepare("first"))
        bench.await_hello()
        seen = observe(executor, bench, "first")
        assert (seen.state, seen.native_id) == (AttemptState.ACTIVE, native_id)
        bench.order("0")
        workshop.await_end(bench, "first")
        seen = observe(executor, bench, "first")
        assert (seen.state, seen.exit_code, seen.signal) == (AttemptState.COMPLETED, 0, None)
        assert seen.ended_at is not None
        assert seen.ended_at.tzinfo is not None

    def test_an_attempt_that_fails_is_reported_with_its_exit_code(self, workshop: Workshop, bench: Bench) -> None:
        seen = self._run_to_the_end(workshop, bench, lambda: bench.order("3"))
        assert (seen.state, seen.exit_code) == (AttemptState.FAILED, 3)
        assert "exit code 3" in seen.reason

    def test_a_crash_is_a_failure_with_its_signal(self, workshop: Workshop, bench: Bench) -> None:
        seen = self._run_to_the_end(workshop, bench, lambda: bench.order("crash"))
        assert (seen.state, seen.exit_code, seen.signal) == (AttemptState.FAILED, None, signal.SIGSEGV)

    def test_a_stopped_attempt_ends_at_a_checkpoint(self, workshop: Workshop, bench: Bench) -> None:
        seen = self._run_to_the_end(workshop, bench, lambda: workshop.executor().stop(bench.handle("only")))
        assert (seen.state, seen.exit_code) == (AttemptState.PREEMPTED, 75)

    def test_a_killed_attempt_is_preempted(self, workshop: Workshop, bench: Bench) -> None:
        seen = self._run_to_the_end(workshop, bench, lambda: workshop.executor().kill(bench.handle("only")))
        assert (seen.state, seen.signal) == (AttemptState.PREEMPTED, signal.SIGKILL)

    def test_launching_again_adopts_the_running_attempt(self, workshop: Workshop, bench: Bench) -> None:
        launch = bench.prepare("only")
        native_id = workshop.executor().launch(launch)
        bench.await_hello()
        assert workshop.executor().launch(launch) == native_id
        bench.order("0")
        workshop.await_end(bench, "only")
        assert bench.starts() == ["only"]

    def test_launching_again_after_the_end_starts_nothing(self, workshop: Workshop, bench: Bench) -> None:
        seen = self._run_to_the_end(workshop, bench, lambda: bench.order("3"))
        workshop.executor().launch(bench.prepare("only"))
        assert observe(workshop.executor(), bench, "only") == seen
        assert bench.starts() == ["only"]

    def test_a_daemon_that_died_before_the_launch_finds_nothing_and_launches_once(self, workshop: Workshop, bench: Bench) -> None:
        launch = bench.prepare("only")
        assert observe(workshop.executor(), bench, "only").state is AttemptState.LOST
        workshop.executor().launch(launch)
        bench.await_hello()
        assert observe(workshop.executor(), bench, "only").state is AttemptState.ACTIVE
        bench.order("0")
        workshop.await_end(bench, "only")
        assert bench.starts() == ["only"]

    def test_the_next_attempt_of_a_run_is_not_taken_for_the_one_before(self, workshop: Workshop, bench: Bench) -> None:
        self._run_to_the_end(workshop, bench, lambda: workshop.executor().stop(bench.handle("only")))
        executor = workshop.executor()
        executor.launch(bench.prepare("second"))
        bench.await_hello()
        assert observe(executor, bench, "second").state is AttemptState.ACTIVE
        bench.order("0")
        workshop.await_end(bench, "second")
        assert observe(executor, bench, "second").state is AttemptState.COMPLETED
        assert bench.starts() == ["only", "second"]

    def test_an_attempt_held_by_sigstop_stays_active_and_can_be_stopped(self, workshop: Workshop, bench: Bench) -> None:
        executor = workshop.executor()
        executor.launch(bench.prepare("only"))
        pid = bench.await_hello()
        os.kill(pid, signal.SIGSTOP)
        assert observe(executor, bench, "only").state is AttemptState.ACTIVE
        executor.stop(bench.handle("only"))
        workshop.await_end(bench, "only")
        assert observe(executor, bench, "only").exit_code == 75

    def test_stopping_and_killing_what_has_ended_or_never_was_does_nothing(self, workshop: Workshop, bench: Bench) -> None:
        seen = self._run_to_the_end(workshop, bench, lambda: bench.order("0"))
        for attempt_id in ("only", "never"):
            workshop.executor().stop(bench.handle(attempt_id))
            workshop.executor().kill(bench.handle(attempt_id))
        assert observe(workshop.executor(), bench, "only") == seen

    def test_all_attempts_are_answered_in_one_question(self, workshop: Workshop, bench: Bench, tmp_path: Path) -> None:
        other = Bench(tmp_path / "other run")
        executor = workshop.executor()
        for one, attempt_id in ((bench, "first"), (other, "second")):
            executor.launch(one.prepare(attempt_id))
            one.await_hello()
        other.order("0")
        workshop.await_end(other, "second")
        handles = [bench.handle("first"), other.handle("second"), other.handle("third")]
        states = {attempt_id: seen.state for attempt_id, seen in executor.observe(handles).items()}
        assert states == {"first": AttemptState.ACTIVE, "second": AttemptState.COMPLETED, "third": AttemptState.LOST}
        bench.order("0")
        workshop.await_end(bench, "first")

    def test_a_command_that_does_not_exist_is_refused_with_its_name(self, workshop: Workshop, bench: Bench) -> None:
        with pytest.raises(LaunchRefused, match="no-such-interpreter"):
            workshop.executor(["/no-such-interpreter"]).launch(bench.prepare("only"))

    def test_a_run_directory_that_is_gone_refuses_a_launch(self, workshop: Workshop, tmp_path: Path) -> None:
        with pytest.raises(LaunchRefused, match="nowhere"):
            workshop.executor().launch(Launch("only", "run", "job", str(tmp_path / "nowhere"), 1, 1))

    def test_what_the_job_prints_goes_to_its_log_with_the_threads_it_may_use(self, workshop: Workshop, bench: Bench) -> None:
        bench.directory.log_file.write_text("from an earlier attempt\n")
        self._run_to_the_end(workshop, bench, lambda: bench.order("0"))
        assert bench.directory.log_file.read_text().splitlines()[:2] == ["from an earlier attempt", "hello 3 None"]

    def _run_to_the_end(self, workshop: Workshop, bench: Bench, finish: Callable[[], None]) -> Observation:
        executor = workshop.executor()
        executor.launch(bench.prepare("only"))
        bench.await_hello()
        finish()
        workshop.await_end(bench, "only")
        return observe(executor, bench, "only")


def observe(executor: Executor, bench: Bench, attempt_id: str) -> Observation:
    return executor.observe([bench.handle(attempt_id)])[attempt_id]
