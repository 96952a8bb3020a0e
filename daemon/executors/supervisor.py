"""The local executor's supervisor: starts one attempt's process, outlives the daemon, and records how the attempt ended.

It keeps two files in the run directory. `process.json` says who works here; it is on disk before the job's first
instruction, so a started attempt can always be found. `exit.json` says how the attempt ended; its place on the disk is
reserved before the start, so that a full disk cannot hide the end.

Only the standard library, and only its quick parts: every launch waits for this program to say that the job runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn

from daemon.executors.processes import ATTEMPT_VARIABLE, DIRECTORY_VARIABLE, Process, find, is_alive

STARTED, REFUSED, POSTPONED = 0, 1, 75  # exit codes of the launch
_RESERVED_BYTES = 512
_NOT_EXECUTABLE = 127  # as a shell says it
_LOCK_SECONDS = 5.0  # how long another supervisor may take to say what it does
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # they are meant for the job, or for a terminal we do not have


class Postponed(Exception):
    """The launch cannot be made now, and may be possible later."""


class Files(NamedTuple):
    """The supervisor's files in a run directory, by the names that jobs.rundir gives them."""

    process: str
    exit: str
    lock: str
    log: str
    reserved: str

    @classmethod
    def of(cls, directory: str) -> Files:
        names = ("process.json", "exit.json", "supervisor.lock", "log.txt", ".exit.json.reserved")
        return cls(*(os.path.join(directory, name) for name in names))


def main(arguments: list[str]) -> int:
    """`DIRECTORY ATTEMPT COMMAND...`: returns once the job runs (or why it does not), leaving the supervisor behind."""
    directory, attempt_id, *command = arguments
    news, tell = os.pipe()
    if os.fork() == 0:
        os.close(news)
        _stay_behind(directory, attempt_id, command, tell)
    os.close(tell)
    with os.fdopen(news, encoding="utf-8", errors="replace") as pipe:
        code, _, message = pipe.read().partition(" ")
    print(message or "the supervisor was killed while it started", file=sys.stderr)
    return int(code or POSTPONED)


def _stay_behind(directory: str, attempt_id: str, command: list[str], tell: int) -> NoReturn:
    """Be the supervisor: in a session of its own, deaf to a terminal's and a shutdown's signals. Never returns."""
    os.setsid()
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    files = Files.of(directory)
    try:
        pid = _launch(files, attempt_id, command)
        os.write(tell, f"{STARTED} running".encode())
    except Postponed as reason:
        os.write(tell, f"{POSTPONED} {reason}".encode())
        os._exit(0)
    except OSError as error:
        os.write(tell, f"{REFUSED} {error}".encode(errors="surrogateescape"))
        os._exit(0)
    os.close(tell)
    if pid is not None:
        _record_exit(files, attempt_id, *_wait(pid))
    os._exit(0)


def _launch(files: Files, attempt_id: str, command: list[str]) -> int | None:
    """The pid of the job's process, started now; None if the attempt was started before. Raises Postponed and OSError."""
    if not _take_lock(files, attempt_id) or _is_known(files, attempt_id):
        return None
    _refuse_company(files)
    _reserve(files)
    pid, problem = _start(files, attempt_id, command)
    if problem:
        os.waitpid(pid, 0)
        _record_exit(files, attempt_id, exit_code=_NOT_EXECUTABLE, signal_number=None)
        raise OSError(problem)
    return pid


def _take_lock(files: Files, attempt_id: str) -> bool:
    """Become the only supervisor here; False if the one that is has this very attempt. Raises Postponed for any other."""
    descriptor = os.open(files.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    give_up = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _is_known(files, attempt_id):
                return False
        else:
            return True
        if time.monotonic() > give_up:
            raise Postponed("another attempt is still supervised in this run directory")
        time.sleep(0.02)


def _is_known(files: Files, attempt_id: str) -> bool:
    """Whether this attempt was ever started here. Then it is never started again."""
    return any((read_json(path) or {}).get("attempt_id") == attempt_id for path in (files.process, files.exit))


def _refuse_company(files: Files) -> None:
    """An older attempt may still work here although its supervisor was killed: two must never work in one directory."""
    before = read_json(files.process)
    if before and is_alive(job_process(before)):
        raise Postponed(f"process {before['pid']} of attempt {before['attempt_id']} still works in this run directory")


def _reserve(files: Files) -> None:
    """Take the space for exit.json now. Raises OSError on a full or read-only disk, before anything has begun."""
    _write_synced(files.reserved, b" " * _RESERVED_BYTES, os.O_TRUNC)


def _start(files: Files, attempt_id: str, command: list[str]) -> tuple[int, str]:
    """Fork the job's process and let it go once process.json names it; its pid, and why it could not be executed.

    Should we be killed before, the gate closes and the process ends without having done anything.
    """
    gate, open_gate = os.pipe()
    problems, tell_problem = os.pipe()  # closed by the successful exec
    pid = os.fork()
    if pid == 0:
        os.close(open_gate)
        _become_job(files, attempt_id, command, gate, tell_problem)
    os.close(gate)
    os.close(tell_problem)
    try:
        _record_process(files, attempt_id, pid)
    except OSError:
        os.close(open_gate)
        os.waitpid(pid, 0)
        raise
    os.write(open_gate, b"go")
    os.close(open_gate)
    with os.fdopen(problems, encoding="utf-8", errors="surrogateescape") as pipe:
        return pid, pipe.read()


def _become_job(files: Files, attempt_id: str, command: list[str], gate: int, tell_problem: int) -> NoReturn:
    """Wait for the gate and execute the command: own session, log.txt for what it prints, our id in its environment."""
    os.setsid()
    if not os.read(gate, 2):
        os._exit(0)
    try:
        for number in _IGNORED:
            signal.signal(number, signal.SIG_DFL)
        log = os.open(files.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        ours = {ATTEMPT_VARIABLE: attempt_id, DIRECTORY_VARIABLE: os.path.dirname(files.log)}
        os.execvpe(command[0], command, {**os.environ, **ours})  # noqa: S606  # no shell is meant
    except OSError as error:
        os.write(tell_problem, f"{command[0]}: {error}".encode(errors="surrogateescape"))
    os._exit(_NOT_EXECUTABLE)


def _wait(pid: int) -> tuple[int | None, int | None]:
    """The job's exit code or the signal that ended it. Whatever it left behind in its group is ended too."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # still a zombie: its group's number cannot belong to others
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return (code, None) if code >= 0 else (None, -code)


def _record_process(files: Files, attempt_id: str, pid: int) -> None:
    job, supervisor = find(pid), find(os.getpid())
    if job is None or supervisor is None:
        raise OSError("the new process was killed before it began")
    record = {
        "attempt_id": attempt_id,
        "pid": job.pid,
        "start_ticks": job.start_ticks,
        "supervisor_pid": supervisor.pid,
        "supervisor_start_ticks": supervisor.start_ticks,
        "boot_id": job.boot_id,
        "started_at": datetime.now(UTC).isoformat(),
    }
    aside = f"{files.process}.{os.getpid()}.tmp"
    _write_synced(aside, json.dumps(record).encode(), os.O_TRUNC)
    os.replace(aside, files.process)


def _record_exit(files: Files, attempt_id: str, exit_code: int | None, signal_number: int | None) -> None:
    """Write over the reserved space and put it in its place: works on a full disk."""
    record = {"attempt_id": attempt_id, "exit_code": exit_code, "signal": signal_number, "ended_at": datetime.now(UTC).isoformat()}
    _write_synced(files.reserved, json.dumps(record).encode().ljust(_RESERVED_BYTES))
    os.replace(files.reserved, files.exit)


def _write_synced(path: str, data: bytes, flags: int = 0) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o644), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_json(path: str) -> dict[str, Any] | None:
    """The document, or None if it does not exist or is not one of ours. Raises OSError if it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return document if isinstance(document, dict) and "attempt_id" in document else None


def job_process(record: dict[str, Any]) -> Process:
    """The job's process that a process.json names."""
    return Process(record["pid"], record["start_ticks"], record["boot_id"])


def supervisor_process(record: dict[str, Any]) -> Process:
    """The supervisor that wrote a process.json."""
    return Process(record["supervisor_pid"], record["supervisor_start_ticks"], record["boot_id"])
