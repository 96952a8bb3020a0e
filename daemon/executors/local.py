"""Attempts as processes of this host. A killed daemon never takes them along, and finds them again when it is back."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import daemon
from daemon.domain.execution import ExecutorError, Handle, Launch, LaunchRefused, Observation, ObserverFailure
from daemon.domain.states import AttemptState
from daemon.executors.processes import attempts_on_this_host, is_alive, processes_of, send_signals
from daemon.executors.supervisor import REFUSED, STARTED, Files, job_process, read_json, supervisor_process
from jobs.host import usable_cores
from jobs.outcome import CHECKPOINTED_EXIT_CODE, OutcomeKind
from jobs.rundir import RunDirectory

log = logging.getLogger(__name__)

_LAUNCH_SECONDS = 30.0  # a supervisor needs some 50 ms; a host that swaps needs longer
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_DEVICES_VARIABLE = "CUDA_VISIBLE_DEVICES"
_SETTINGS_PREFIX = "LOWTIDE_"  # the daemon's own settings, among them its secrets
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGSYS, signal.SIGTRAP}
_OUTCOME_STATES = {
    OutcomeKind.COMPLETED: AttemptState.COMPLETED,
    OutcomeKind.CHECKPOINTED: AttemptState.PREEMPTED,
    OutcomeKind.FAILED: AttemptState.FAILED,
}

# -I and -S: no user's site folder and no package's start-up hook stands between us and a running job
_SUPERVISE = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from daemon.executors.supervisor import main; raise SystemExit(main(sys.argv[1:]))"
)
_PACKAGE_ROOT = str(Path(daemon.__file__).resolve().parent.parent)


class LocalExecutor:
    """Runs `command DIRECTORY` under a supervisor, in a session of its own.

    `devices`: the GPU ids of this host that attempts share, each used by one attempt at a time; None leaves
    CUDA_VISIBLE_DEVICES alone. `environment` replaces what the jobs inherit: by default everything but our own settings.
    """

    def __init__(
        self,
        command: Sequence[str] = (sys.executable, "-m", "jobs", "run"),
        environment: Mapping[str, str] | None = None,
        devices: Sequence[str] | None = None,
    ) -> None:
        self._command = list(command)
        self._environment = dict(environment) if environment is not None else _inherited()
        self._devices = devices

    @property
    def cores(self) -> int | None:
        return usable_cores()

    def launch(self, launch: Launch) -> str:
        """Start the attempt or adopt it; the native id. Raises LaunchRefused, or ExecutorError if it is worth trying again."""
        supervisor = [sys.executable, "-I", "-S", "-c", _SUPERVISE, _PACKAGE_ROOT]
        arguments = [*supervisor, launch.directory, launch.attempt_id, *self._command, launch.directory]
        try:
            answer = subprocess.run(
                arguments,
                env=self._environment_of(launch),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LAUNCH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ExecutorError(f"the launch took more than {_LAUNCH_SECONDS:.0f} s; it is looked for again at the next tick") from error
        except OSError as error:
            raise LaunchRefused(f"no process can be started on this host: {error}") from error
        message = answer.stderr.decode(errors="replace").strip()
        if answer.returncode == REFUSED:
            raise LaunchRefused(message)
        if answer.returncode != STARTED:
            raise ExecutorError(message)
        return _native_id(Handle(launch.attempt_id, launch.directory, None)) or "unknown"

    def observe(self, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        """By attempt id. Raises ObserverFailure if no directory can be read; one that alone cannot be read is left out."""
        answers: dict[str, Observation] = {}
        for handle in handles:
            try:
                answers[handle.attempt_id] = _observe(handle)
            except OSError as error:
                log.warning("directory-unreadable", extra={"attempt": handle.attempt_id, "reason": str(error)})
                failure = error
        if handles and not answers:
            raise ObserverFailure(f"no run directory can be read: {failure}") from failure
        return answers

    def stop(self, handle: Handle) -> None:
        """SIGTERM: finish the step, checkpoint, end. One that an operator has held by SIGSTOP is let go for it."""
        record = _process_record(handle)
        if record is not None:
            send_signals(job_process(record), signal.SIGTERM, signal.SIGCONT)

    def kill(self, handle: Handle) -> None:
        """SIGKILL to every process of the attempt; its supervisor stays to record the end."""
        record = _process_record(handle)
        if record is not None:
            send_signals(job_process(record), signal.SIGKILL)
        for process in processes_of(handle.attempt_id, handle.directory):
            send_signals(process, signal.SIGKILL)

    def _environment_of(self, launch: Launch) -> dict[str, str]:
        threads = dict.fromkeys(_THREAD_VARIABLES, str(launch.threads))
        return self._environment | threads | self._devices_for(launch)

    def _devices_for(self, launch: Launch) -> dict[str, str]:
        """As many devices as the attempt needs that no live attempt on this host has. Raises ExecutorError if too few are free."""
        if self._devices is None:
            return {}
        taken = {device for _, variables in attempts_on_this_host() for device in variables.get(_DEVICES_VARIABLE, "").split(",")}
        free = [device for device in self._devices if device not in taken]
        if len(free) < launch.gpus:
            raise ExecutorError(f"{launch.gpus} GPUs are needed and {len(free)} of {len(self._devices)} are free: waiting for one to end")
        return {_DEVICES_VARIABLE: ",".join(free[: launch.gpus])}


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS_PREFIX)}


def _process_record(handle: Handle) -> dict[str, Any] | None:
    """What process.json says about that very attempt."""
    record = read_json(Files.of(handle.directory).process)
    return record if record is not None and record["attempt_id"] == handle.attempt_id else None


def _native_id(handle: Handle) -> str | None:
    record = _process_record(handle)
    return None if record is None else job_process(record).native_id


def _observe(handle: Handle) -> Observation:
    """The recorded end, else the living process, else what a process left behind, else nothing at all."""
    ended = _recorded_end(handle)
    if ended is not None:
        return ended
    record = _process_record(handle)
    if record is None:
        return _without_record(handle)
    if is_alive(job_process(record)) or is_alive(supervisor_process(record)):
        return Observation(AttemptState.ACTIVE, native_id=job_process(record).native_id)
    return _recorded_end(handle) or _killed(handle)  # asked again: it may have been written while we looked


def _recorded_end(handle: Handle) -> Observation | None:
    """What exit.json says about that very attempt."""
    record = read_json(Files.of(handle.directory).exit)
    if record is None or record["attempt_id"] != handle.attempt_id:
        return None
    code, number, native_id = record["exit_code"], record["signal"], _native_id(handle)
    ended_at = datetime.fromisoformat(record["ended_at"])
    if number is not None:
        state = AttemptState.FAILED if number in _CRASHES else AttemptState.PREEMPTED
        return Observation(state, native_id, signal=number, ended_at=ended_at, reason=f"ended by {_signal_name(number)}")
    if code == CHECKPOINTED_EXIT_CODE:
        return Observation(AttemptState.PREEMPTED, native_id, code, ended_at=ended_at, reason="stopped at a checkpoint")
    state = AttemptState.COMPLETED if code == 0 else AttemptState.FAILED
    reason = "" if code == 0 else f"ended with exit code {code}: see log.txt in the run directory"
    return Observation(state, native_id, code, ended_at=ended_at, reason=reason)


def _killed(handle: Handle) -> Observation:
    """Nobody saw it end: its supervisor was killed too, or the host went down. The node's own outcome is the best word, if any."""
    directory = RunDirectory(handle.directory)
    outcome = directory.read_outcome(handle.attempt_id)
    if outcome is not None:
        return Observation(_OUTCOME_STATES[outcome.kind], _native_id(handle), ended_at=outcome.ended_at, reason=outcome.reason)
    ended_at, reason = _last_sign_of_life(directory), "killed, and its supervisor with it"
    return Observation(AttemptState.PREEMPTED, _native_id(handle), ended_at=ended_at, reason=reason)


def _without_record(handle: Handle) -> Observation:
    """The run directory knows nothing of the attempt: look for its processes before calling it lost."""
    for process in processes_of(handle.attempt_id, handle.directory):
        return Observation(AttemptState.ACTIVE, native_id=process.native_id)
    return Observation(AttemptState.LOST, reason="its run directory holds no trace of it, and no process on this host belongs to it")


def _last_sign_of_life(directory: RunDirectory) -> datetime:
    """When a file that an attempt writes to was last changed: not later than the end, at most a metering interval before."""
    files = (directory.process_file, directory.progress_file, directory.energy_file, directory.log_file)
    return datetime.fromtimestamp(max(file.stat().st_mtime for file in files if file.exists()), UTC)


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal
    return f"{name}, which the kernel sends where memory runs out" if number == signal.SIGKILL else name
