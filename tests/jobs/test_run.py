"""An attempt from the lock to the outcome, in real processes."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from jobs.errors import BadInput, explain
from jobs.host import usable_cores
from jobs.outcome import OutcomeKind
from jobs.rundir import RunDirectory
from tests.jobs.processes import Worker, new_attempt, prepare, training, work


def outcome_of(directory: RunDirectory, number: int = 1) -> tuple[OutcomeKind, str, bool]:
    outcome = directory.read_outcome(f"attempt-{number}")
    assert outcome is not None
    return outcome.kind, outcome.reason, outcome.retryable


def test_a_training_ends_completed_with_weights_progress_and_energy(tmp_path: Path) -> None:
    directory = prepare(tmp_path / "run with spaces 'and quotes'", training())
    assert work(directory) == 0
    assert outcome_of(directory) == (OutcomeKind.COMPLETED, "", True)
    assert directory.weights_file.is_file()
    last = directory.last_progress()
    assert last is not None
    assert (last.step, last.of) == (12, 12)
    records = directory.energy()
    assert records[0].phase == "startup"
    assert {record.phase for record in records} >= {"startup", "work", "checkpoint", "shutdown"}
    assert all(before.end == after.start for before, after in pairwise(records))
    assert records[-1].step_to == 12


def test_sigterm_checkpoints_and_exits_75_and_the_next_attempt_goes_on(tmp_path: Path) -> None:
    directory = prepare(tmp_path / "run", training(iterations=2000))
    worker = Worker(directory)
    worker.wait_until(lambda: bool(directory.progress()))
    worker.send(signal.SIGTERM)
    assert worker.wait() == 75
    outcome = directory.read_outcome("attempt-1")
    assert outcome is not None
    assert outcome.kind is OutcomeKind.CHECKPOINTED
    assert list(directory.checkpoints.glob(f"*{outcome.steps_done}.pt"))
    new_attempt(directory, 2)
    second = Worker(directory)
    second.wait_until(lambda: any(record.attempt_id == "attempt-2" for record in directory.progress()))
    second.send(signal.SIGTERM)
    assert second.wait() == 75
    first_of_second = next(record for record in directory.progress() if record.attempt_id == "attempt-2")
    assert first_of_second.step == outcome.steps_done
    assert directory.read_outcome("attempt-1") is None, "an outcome speaks for its own attempt only"


def test_a_second_worker_leaves_a_locked_directory_alone(tmp_path: Path) -> None:
    directory = prepare(tmp_path / "run", training())
    with directory.lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = sorted(directory.path.rglob("*"))
        worker = Worker(directory)
        assert worker.wait() == 1
        assert sorted(directory.path.rglob("*")) == before
    assert "another attempt is working in this run directory" in worker.stderr_file.read_text()


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("attempt.json", None, "attempt.json is missing"),
        ("attempt.json", "{", "attempt.json cannot be understood"),
    ],
)
def test_without_a_usable_attempt_file_it_says_so_on_stderr(tmp_path: Path, file: str, content: str | None, sentence: str) -> None:
    directory = prepare(tmp_path / "run", training())
    (directory.path / file).unlink()
    if content is not None:
        (directory.path / file).write_text(content)
    worker = Worker(directory)
    assert worker.wait() == 1
    assert sentence in worker.stderr_file.read_text()
    assert not directory.outcome_file.exists()


def test_a_spec_that_cannot_be_understood_is_a_failure_not_worth_repeating(tmp_path: Path) -> None:
    directory = prepare(tmp_path / "run", training())
    spec = json.loads(directory.spec_file.read_text())
    spec["workload"]["iterations"] = -3
    directory.spec_file.write_text(json.dumps(spec))
    assert work(directory) == 1
    kind, reason, retryable = outcome_of(directory)
    assert (kind, retryable) == (OutcomeKind.FAILED, False)
    assert "spec.json" in reason
    assert "iterations" in reason


@pytest.mark.skipif(usable_cores() >= 256, reason="this host has a core for every thread a spec may ask for")
def test_more_threads_than_the_host_has_cores_are_a_failure_that_says_how_many_there_are(tmp_path: Path) -> None:
    cores = usable_cores()
    directory = prepare(tmp_path / "run", training(threads=cores + 1))
    assert work(directory) == 1
    kind, reason, retryable = outcome_of(directory)
    assert (kind, retryable) == (OutcomeKind.FAILED, False)
    assert f"threads: {cores + 1} are more than this host has cores ({cores})" in reason


def test_missing_data_is_a_failure_that_names_the_path(tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    directory = prepare(tmp_path / "run", training(data={"path": missing}), data_path=missing)
    assert work(directory) == 1
    kind, reason, retryable = outcome_of(directory)
    assert (kind, retryable) == (OutcomeKind.FAILED, False)
    assert missing in reason


def test_a_disk_that_takes_no_more_fails_the_attempt_with_its_reason_and_the_next_one_succeeds(tmp_path: Path) -> None:
    directory = prepare(tmp_path / "run", training())
    worker = Worker(directory, largest_file_bytes=200_000)  # less than any checkpoint
    assert worker.wait() == 1
    kind, reason, retryable = outcome_of(directory)
    assert (kind, retryable) == (OutcomeKind.FAILED, True)
    assert "larger than this process may write" in reason
    assert not list(directory.path.rglob("*.tmp")), "a failed write leaves no remains"
    assert work(new_attempt(directory, 2)) == 0


def test_memory_that_does_not_suffice_fails_the_attempt_with_its_reason_and_keeps_what_was_prepared(tmp_path: Path) -> None:
    model = {"dimensions": 2, "size": "tiny", "image_shape": [64, 64]}
    directory = prepare(tmp_path / "run", training(model=model, batch_size=128, iterations=1, autoencoder_iterations=1))
    assert Worker(directory, spare_memory_bytes=400_000_000).wait() == 1  # a step of that batch takes gigabytes
    kind, reason, retryable = outcome_of(directory)
    assert (kind, retryable) == (OutcomeKind.FAILED, True)
    assert "out of memory: lower batch_size or image_shape, or ask for a larger node" in reason
    prepared = {path: path.stat().st_mtime_ns for path in directory.cache.iterdir()}
    assert prepared
    assert work(new_attempt(directory, 2)) == 0
    assert {path: path.stat().st_mtime_ns for path in prepared} == prepared, "the images were not prepared again"


def test_an_outcome_that_cannot_be_written_is_told_on_stderr(tmp_path: Path) -> None:
    directory = prepare(tmp_path / "run", training(iterations=1))
    directory.outcome_file.mkdir()
    worker = Worker(directory)
    assert worker.wait() == 1
    assert "outcome.json" in worker.stderr_file.read_text()


@pytest.mark.parametrize(
    ("failure", "words", "retryable"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/scratch/x"), "/scratch/x: the disk is full", True),
        (OSError(errno.EROFS, "Read-only file system", "/scratch/x"), "the file system is read-only", True),
        (MemoryError(), "out of memory: lower batch_size", True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory", True),
        (BadInput("wrong"), "wrong", False),
        (ZeroDivisionError("division by zero"), "unexpected ZeroDivisionError: division by zero", True),
    ],
)
def test_every_failure_becomes_one_sentence(failure: Exception, words: str, retryable: bool) -> None:
    reason, may_succeed = explain(failure)
    assert words in reason
    assert "\n" not in reason
    assert may_succeed is retryable


def test_the_command_line_runs_the_same_from_a_shell(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONWARNINGS": "error::UserWarning"}
    ended = subprocess.run(
        [sys.executable, "-m", "jobs", "run", str(tmp_path / "absent")], capture_output=True, text=True, env=environment, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.strip().endswith("there is no such run directory: give the folder that holds spec.json and attempt.json")


def test_a_worker_starts_without_the_packages_it_never_uses_and_hides_them_no_longer() -> None:
    code = (
        "import sys, jobs.ldm.training, jobs.ldm.synthesis;"
        "assert not {'matplotlib', 'pandas', 'scipy.signal', 'sklearn', 'torch._dynamo'} & set(sys.modules);"
        "import matplotlib, pandas, scipy.signal"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_the_contract_modules_import_without_torch() -> None:
    code = "import sys, jobs.spec, jobs.rundir, jobs.outcome, jobs.run; assert not {'torch', 'pandas', 'scipy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
