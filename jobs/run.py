"""`python -m jobs run DIRECTORY`: one attempt at one run, from the lock to the outcome.

The order matters: first the lock (nothing is touched without it), then the meter, so that the seconds and
joules of importing torch are accounted for, and only then anything heavy.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from jobs.energy.metering import RunMeter
from jobs.errors import BadInput, Busy, RunError, StopRequested, explain
from jobs.host import check_threads, usable_cores
from jobs.outcome import FAILED_EXIT_CODE, Outcome, OutcomeKind, exit_code
from jobs.rundir import AttemptFile, RunDirectory
from jobs.session import Session, log
from jobs.spec import RunSpec, TrainingWorkload
from jobs.stopping import StopRequest
from jobs.team import train_together

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run(path: Path, stop: StopRequest) -> int:
    """Work in that run directory until done, stopped or failed; returns the process's exit code (`jobs.outcome`)."""
    directory = RunDirectory(path)
    try:
        with _locked(directory):
            attempt = _read_attempt(directory)
            with _log_file(directory):
                outcome = _attempt(directory, attempt, stop)
                directory.write_outcome(outcome)
    except (RunError, OSError) as failure:
        # without a lock, an attempt id or a writable folder there is nobody to tell but whoever started us
        print(f"jobs run {path}: {explain(failure)[0]}", file=sys.stderr)
        return FAILED_EXIT_CODE
    if outcome.kind is OutcomeKind.FAILED:
        print(f"jobs run {path}: {outcome.reason}", file=sys.stderr)
    return exit_code(outcome.kind)


@contextmanager
def _locked(directory: RunDirectory) -> Iterator[None]:
    """Hold the directory's lock. The kernel lets go of it when the process ends, however it ends."""
    if not directory.path.is_dir():
        raise BadInput("there is no such run directory: give the folder that holds spec.json and attempt.json")
    descriptor = os.open(directory.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise Busy("another attempt is working in this run directory: wait until it ends, or stop it first") from taken
        yield
    finally:
        os.close(descriptor)


def _read_attempt(directory: RunDirectory) -> AttemptFile:
    try:
        attempt = directory.read_attempt()
    except ValidationError as invalid:
        raise BadInput(f"attempt.json cannot be understood: {_first_error(invalid)}") from invalid
    if attempt is None:
        raise BadInput("attempt.json is missing: whoever launches an attempt writes it first")
    return attempt


def _read_spec(directory: RunDirectory) -> RunSpec:
    try:
        return directory.read_spec()
    except FileNotFoundError as missing:
        raise BadInput("spec.json is missing: prepare the run directory before launching") from missing
    except ValidationError as invalid:
        raise BadInput(f"spec.json cannot be understood: {_first_error(invalid)}") from invalid


def _first_error(invalid: ValidationError) -> str:
    error = invalid.errors(include_url=False)[0]
    return f"{'.'.join(map(str, error['loc'])) or 'document'}: {error['msg']}"


@contextmanager
def _log_file(directory: RunDirectory) -> Iterator[None]:
    """Send the log of this attempt to log.txt, after those of earlier attempts."""
    handler = logging.FileHandler(directory.log_file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def _attempt(directory: RunDirectory, attempt: AttemptFile, stop: StopRequest) -> Outcome:
    """Read the spec, meter and work; every way to end but a kill comes back as an outcome."""
    log.info("attempt %s (number %d) of run %s begins", attempt.attempt_id, attempt.number, attempt.run_id)
    kind, reason, retryable, steps_done = OutcomeKind.FAILED, "", True, 0
    try:
        directory.remove_remains()
        spec = _read_spec(directory)
        check_threads(spec.workload.threads, usable_cores())
        with RunMeter(directory, spec.metering, attempt.attempt_id) as meter:
            session = Session(directory, spec, attempt, meter, stop)
            try:
                kind = _work(session)
            finally:
                steps_done = session.step
                meter.mark("shutdown", steps_done)
    except Exception as failure:  # noqa: BLE001  whatever it was, the daemon must read it in the outcome
        reason, retryable = explain(failure)
        log.error("failed: %s", reason, exc_info=failure)
    log.info("attempt %s ends: %s after step %d", attempt.attempt_id, kind, steps_done)
    return Outcome(
        attempt_id=attempt.attempt_id, kind=kind, reason=reason, ended_at=datetime.now(UTC), steps_done=steps_done, retryable=retryable
    )


def _work(session: Session) -> OutcomeKind:
    """Import the heavy part and run the workload."""
    for variable in _THREAD_VARIABLES:
        os.environ[variable] = str(session.spec.workload.threads)  # read by torch and numpy when they are imported, not later
    try:
        if session.spec.processes > 1:
            train_together(session)
        elif isinstance(session.spec.workload, TrainingWorkload):
            from jobs.ldm.training import train

            train(session, session.spec.workload)
        else:
            from jobs.ldm.synthesis import synthesise

            synthesise(session, session.spec.workload)
    except StopRequested:
        log.info("stopped on request at step %d", session.step)
        return OutcomeKind.CHECKPOINTED
    return OutcomeKind.COMPLETED
