"""The local executor on real processes: the contract of all executors, and what only local processes can suffer."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.domain.execution import ExecutorError, LaunchRefused, ObserverFailure
from daemon.domain.states import AttemptState
from daemon.executors import processes
from daemon.executors.local import LocalExecutor
from daemon.executors.processes import Process
from daemon.executors.supervisor import POSTPONED, STARTED, Files, job_process, read_json, supervisor_process
from jobs.rundir import RunDirectory
from tests.daemon.executors.conformance import JOB_COMMAND, Bench, ExecutorContract, Workshop, observe
from tests.disks import fill, small_disk
from tests.processes import wait_for

PATIENCE_MS = 20_000
QUIET_ENVIRONMENT = {"PATH": os.environ["PATH"]}
OUR_IMPORTS = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class LocalWorkshop(Workshop):
    def executor(self, command: list[str] = JOB_COMMAND) -> LocalExecutor:
        return LocalExecutor(command, environment=QUIET_ENVIRONMENT)

    def await_end(self, bench: Bench, attempt_id: str) -> None:
        """The supervisor goes last."""
        record = read_json(Files.of(str(bench.directory.path)).process)
        assert record is not None
        assert record["attempt_id"] == attempt_id
        await_death(job_process(record))
        await_death(supervisor_process(record))


def await_death(process: Process) -> None:
    """Sleep until the kernel says that this process has ended."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if processes.is_alive(process):
            assert select.select([descriptor], [], [], PATIENCE_MS / 1000)[0], f"process {process.pid} did not end"
    finally:
        os.close(descriptor)


@pytest.fixture
def workshop() -> LocalWorkshop:
    return LocalWorkshop()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "a 'run'\n\"directory\" with späces")
    yield bench
    for process, _variables in processes.attempts_on_this_host():
        if str(tmp_path) in _arguments(process.pid):
            processes.send_signals(process, signal.SIGKILL)


def _arguments(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def record_of(bench: Bench) -> dict[str, object]:
    record = read_json(Files.of(str(bench.directory.path)).process)
    assert record is not None
    return record


class TestContract(ExecutorContract):
    """The suite that every executor passes."""


def test_the_supervisor_and_the_run_directory_mean_the_same_files(tmp_path: Path) -> None:
    files, directory = Files.of(str(tmp_path)), RunDirectory(tmp_path)
    named = (directory.process_file, directory.exit_file, directory.supervisor_lock_file, directory.log_file)
    assert (files.process, files.exit, files.lock, files.log) == tuple(map(str, named))


def test_a_killed_daemon_takes_no_attempt_along_and_the_next_one_adopts_it(workshop: LocalWorkshop, bench: Bench) -> None:
    launch = bench.prepare("only")
    program = (
        "import os, sys, signal\n"
        "from daemon.domain.execution import Launch\n"
        "from daemon.executors.local import LocalExecutor\n"
        "LocalExecutor(sys.argv[2:]).launch(Launch('only', 'run', 'job', sys.argv[1], 1, 1))\n"
        "os.killpg(0, signal.SIGKILL)\n"
    )
    arguments = [sys.executable, "-c", program, launch.directory, *JOB_COMMAND]
    first_daemon = subprocess.Popen(arguments, env=QUIET_ENVIRONMENT | OUR_IMPORTS, start_new_session=True)
    bench.await_hello()
    assert first_daemon.wait() == -signal.SIGKILL
    assert observe(workshop.executor(), bench, "only").state is AttemptState.ACTIVE
    workshop.executor().launch(launch)
    bench.order("0")
    workshop.await_end(bench, "only")
    assert observe(workshop.executor(), bench, "only").state is AttemptState.COMPLETED
    assert bench.starts() == ["only"]


def test_a_killed_supervisor_leaves_the_attempt_active_and_its_outcome_tells_the_end(workshop: LocalWorkshop, bench: Bench) -> None:
    workshop.executor().launch(bench.prepare("only"))
    bench.await_hello()
    os.kill(supervisor_process(record_of(bench)).pid, signal.SIGKILL)
    await_death(supervisor_process(record_of(bench)))
    assert observe(workshop.executor(), bench, "only").state is AttemptState.ACTIVE
    bench.order("0")
    workshop.await_end(bench, "only")
    seen = observe(workshop.executor(), bench, "only")
    assert (seen.state, seen.exit_code, seen.reason) == (AttemptState.COMPLETED, None, "as told")


def test_an_attempt_whose_supervisor_was_killed_is_neither_started_again_nor_joined_by_another(
    workshop: LocalWorkshop, bench: Bench
) -> None:
    native_id = workshop.executor().launch(bench.prepare("only"))
    bench.await_hello()
    os.kill(supervisor_process(record_of(bench)).pid, signal.SIGKILL)
    await_death(supervisor_process(record_of(bench)))
    assert workshop.executor().launch(bench.prepare("only")) == native_id
    with pytest.raises(ExecutorError, match="of attempt only still works in this run directory") as caught:
        workshop.executor().launch(bench.prepare("second"))
    assert not isinstance(caught.value, LaunchRefused)
    bench.order("0")
    workshop.await_end(bench, "only")
    assert bench.starts() == ["only"]


def test_supervisor_and_job_killed_together_is_a_preemption_at_the_last_sign_of_life(workshop: LocalWorkshop, bench: Bench) -> None:
    workshop.executor().launch(bench.prepare("only"))
    pid = bench.await_hello()
    bench.directory.energy_file.write_text("")
    os.utime(bench.directory.energy_file, (4e9, 4e9))
    record = record_of(bench)
    os.kill(supervisor_process(record).pid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    workshop.await_end(bench, "only")
    seen = observe(workshop.executor(), bench, "only")
    assert (seen.state, seen.exit_code, seen.signal) == (AttemptState.PREEMPTED, None, None)
    assert seen.ended_at is not None
    assert seen.ended_at.timestamp() == 4e9
    assert "killed" in seen.reason


def test_a_job_killed_under_its_supervisor_is_recorded_with_the_signal(workshop: LocalWorkshop, bench: Bench) -> None:
    workshop.executor().launch(bench.prepare("only"))
    os.kill(bench.await_hello(), signal.SIGKILL)
    workshop.await_end(bench, "only")
    assert observe(workshop.executor(), bench, "only").reason == "ended by SIGKILL, which the kernel sends where memory runs out"


def test_a_pid_in_use_again_is_not_taken_for_the_attempt(workshop: LocalWorkshop, bench: Bench) -> None:
    me = processes.find(os.getpid())
    assert me is not None
    record = {"attempt_id": "old", "pid": me.pid, "start_ticks": me.start_ticks - 1, "boot_id": me.boot_id}
    record |= {"supervisor_pid": me.pid, "supervisor_start_ticks": me.start_ticks - 1}
    bench.directory.process_file.write_text(json.dumps(record))
    assert observe(workshop.executor(), bench, "old").state is AttemptState.PREEMPTED
    workshop.executor().stop(bench.handle("old"))  # would end this very test run
    workshop.executor().kill(bench.handle("old"))


def test_nothing_survives_a_reboot(workshop: LocalWorkshop, bench: Bench) -> None:
    me = processes.find(os.getpid())
    assert me is not None
    record = {"attempt_id": "old", "pid": me.pid, "start_ticks": me.start_ticks, "boot_id": "another-boot"}
    record |= {"supervisor_pid": me.pid, "supervisor_start_ticks": me.start_ticks}
    bench.directory.process_file.write_text(json.dumps(record))
    assert observe(workshop.executor(), bench, "old").state is AttemptState.PREEMPTED


def test_many_launches_at_once_start_one_process(workshop: LocalWorkshop, bench: Bench) -> None:
    launch = bench.prepare("only")
    native_ids: list[str] = []
    threads = [threading.Thread(target=lambda: native_ids.append(workshop.executor().launch(launch))) for _ in range(6)]
    for thread in threads:
        thread.start()
    bench.await_hello()
    for thread in threads:
        thread.join()
    assert len(native_ids) == 6
    assert len(set(native_ids)) == 1
    bench.order("0")
    workshop.await_end(bench, "only")
    assert bench.starts() == ["only"]


STEPS_OF_A_LAUNCH = ["_take_lock", "_is_known", "_refuse_company", "_reserve", "_record_process", "_wait"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS_OF_A_LAUNCH)
def test_a_supervisor_killed_at_any_step_of_the_launch_never_lets_the_attempt_run_twice(
    step: str, moment: str, workshop: LocalWorkshop, bench: Bench
) -> None:
    launch = bench.prepare("only")
    bench.directory.path.joinpath("orders").unlink()
    bench.directory.path.joinpath("orders").write_text("0")  # this job needs no telling
    bench.directory.path.joinpath("hello").unlink()
    program = (
        "import os, signal, sys\n"
        "from daemon.executors import supervisor\n"
        "step, moment, *arguments = sys.argv[1:]\n"
        "original = getattr(supervisor, step)\n"
        "def deadly(*given):\n"
        "    if moment == 'before': os.kill(os.getpid(), signal.SIGKILL)\n"
        "    original(*given)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "setattr(supervisor, step, deadly)\n"
        "sys.exit(supervisor.main(arguments))\n"
    )
    arguments = [sys.executable, "-c", program, step, moment, launch.directory, "only", *JOB_COMMAND, launch.directory]
    answer = subprocess.run(arguments, env=QUIET_ENVIRONMENT | OUR_IMPORTS, capture_output=True, check=False)
    assert answer.returncode == (STARTED if step == "_wait" else POSTPONED)
    workshop.executor().launch(launch)
    workshop.await_end(bench, "only")
    seen = observe(workshop.executor(), bench, "only")
    if bench.starts():
        assert bench.starts() == ["only"]
        assert seen.state is AttemptState.COMPLETED
    else:
        assert seen.state is AttemptState.PREEMPTED


def test_processes_that_a_job_leaves_behind_end_with_it(workshop: LocalWorkshop, bench: Bench) -> None:
    workshop.executor().launch(bench.prepare("only"))
    bench.await_hello()
    bench.order("fork")
    workshop.await_end(bench, "only")
    assert observe(workshop.executor(), bench, "only").state is AttemptState.COMPLETED
    here = str(bench.directory.path)
    # A killed process is listed until the kernel has taken it down, which on a busy machine comes after the answer.
    wait_for(lambda: None if any(here in _arguments(one.pid) for one, _ in processes.attempts_on_this_host()) else True)


def test_an_attempt_whose_directory_was_deleted_is_still_found_and_can_be_killed(workshop: LocalWorkshop, bench: Bench) -> None:
    workshop.executor().launch(bench.prepare("only-without-directory"))
    pid = bench.await_hello()
    job = processes.find(pid)
    assert job is not None
    bench.directory.process_file.unlink()
    assert observe(workshop.executor(), bench, "only-without-directory").state is AttemptState.ACTIVE
    workshop.executor().kill(bench.handle("only-without-directory"))
    await_death(job)


def test_damaged_records_are_no_records(workshop: LocalWorkshop, bench: Bench) -> None:
    bench.directory.process_file.write_text('{"attempt_id": "on')
    bench.directory.exit_file.write_text("[]")
    assert observe(workshop.executor(), bench, "only").state is AttemptState.LOST


def test_a_directory_that_cannot_be_read_is_our_failure_and_not_the_jobs(workshop: LocalWorkshop, bench: Bench, tmp_path: Path) -> None:
    bench.directory.exit_file.mkdir()  # reading it fails even for root
    with pytest.raises(ObserverFailure, match="no run directory can be read"):
        workshop.executor().observe([bench.handle("only")])
    other = Bench(tmp_path / "other")
    assert set(workshop.executor().observe([bench.handle("only"), other.handle("second")])) == {"second"}


def test_each_attempt_gets_gpus_of_its_own_and_waits_where_too_few_are_free(workshop: LocalWorkshop, bench: Bench, tmp_path: Path) -> None:
    executor = LocalExecutor(JOB_COMMAND, environment=QUIET_ENVIRONMENT, devices=("GPU-a", "GPU-b", "GPU-c"))
    other = Bench(tmp_path / "other")
    executor.launch(bench.prepare("first", gpus=2))
    bench.await_hello()
    with pytest.raises(ExecutorError, match="2 GPUs are needed and 1 of 3 are free"):
        executor.launch(other.prepare("second", gpus=2))
    executor.launch(other.prepare("second", gpus=1))
    other.await_hello()
    bench.order("0")
    other.order("0")
    workshop.await_end(bench, "first")
    workshop.await_end(other, "second")
    assert bench.directory.log_file.read_text() == "hello 3 GPU-a,GPU-b\n"
    assert other.directory.log_file.read_text() == "hello 3 GPU-c\n"


def test_the_daemons_settings_and_secrets_are_not_handed_to_jobs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWTIDE_ELECTRICITY_MAPS__TOKEN", "secret")
    LocalExecutor(JOB_COMMAND).launch(bench.prepare("only"))
    variables = processes.environment(bench.await_hello())
    assert variables["LOWTIDE_ATTEMPT"] == "only"
    assert "secret" not in variables.values()
    bench.order("0")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "256k") as path:
        yield path


def test_a_full_disk_refuses_the_launch_with_the_reason(workshop: LocalWorkshop, full_disk: Path) -> None:
    bench = Bench(full_disk / "run")
    launch = bench.prepare("only")
    fill(full_disk)
    with pytest.raises(LaunchRefused, match="No space left on device"):
        workshop.executor().launch(launch)


def test_a_disk_that_fills_up_under_a_job_cannot_hide_its_end(workshop: LocalWorkshop, full_disk: Path) -> None:
    bench = Bench(full_disk / "run")
    workshop.executor().launch(bench.prepare("only"))
    os.kill(bench.await_hello(), signal.SIGSTOP)
    fill(full_disk)
    workshop.executor().kill(bench.handle("only"))
    workshop.await_end(bench, "only")
    assert observe(workshop.executor(), bench, "only").signal == signal.SIGKILL


def test_cores_that_this_process_may_not_use_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 512)
    assert LocalExecutor().cores == len(os.sched_getaffinity(0))
