"""Real worker processes for tests: `jobs.run.run` in a child that can be killed, stopped and limited."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from jobs.rundir import AttemptFile, RunDirectory
from jobs.spec import RunSpec
from jobs.stopping import StopRequest
from tests.fork_server import fork_server

_TIMEOUT_SECONDS = 120.0
TINY_2D: dict[str, Any] = {"dimensions": 2, "size": "tiny", "image_shape": [16, 16]}
TINY_3D: dict[str, Any] = {"dimensions": 3, "size": "tiny", "image_shape": [8, 8, 8]}


def training(**changes: Any) -> dict[str, Any]:
    """A training workload of a second or two."""
    return {
        "kind": "training",
        "model": TINY_2D,
        "data": {"phantom": {"patients": 6}},
        "iterations": 8,
        "autoencoder_iterations": 4,
        "batch_size": 2,
    } | changes


def synthesis(**changes: Any) -> dict[str, Any]:
    """A synthesis workload of a second or two."""
    return {
        "kind": "synthesis",
        "model": TINY_2D,
        "weights": {"job": "training"},
        "samples": 10,
        "inference_steps": 6,
        "batch_size": 4,
        "seed": 7,
    } | changes


def prepare(path: Path, workload: dict[str, Any], **spec: Any) -> RunDirectory:
    """A run directory as the daemon prepares it, with its first attempt."""
    directory = RunDirectory(path)
    content: dict[str, Any] = {"job_id": "job", "run_id": "run", "workload": workload, "metering": {"interval_seconds": 0.2}} | spec
    directory.prepare(RunSpec.model_validate(content))
    return new_attempt(directory, 1)


def new_attempt(directory: RunDirectory, number: int) -> RunDirectory:
    directory.write_attempt(AttemptFile(attempt_id=f"attempt-{number}", run_id="run", job_id="job", number=number))
    return directory


class Worker:
    """One attempt in a process of its own; its standard error goes to `stderr.txt` beside the run directory."""

    def __init__(self, directory: RunDirectory, largest_file_bytes: int | None = None, spare_memory_bytes: int | None = None) -> None:
        self.stderr_file = directory.path.with_name(f"{directory.path.name}.stderr.txt")
        limits = (largest_file_bytes, spare_memory_bytes)
        self._process: ForkServerProcess = fork_server().Process(target=_enter, args=(directory.path, self.stderr_file, *limits))
        self._process.start()

    def wait(self) -> int:
        """The exit code; negative for a signal."""
        self._process.join(_TIMEOUT_SECONDS)
        assert self._process.exitcode is not None, "the worker did not end in time"
        return self._process.exitcode

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return as soon as the condition holds; fails if the worker ends without it."""
        while not condition():
            self._process.join(0.002)
            if self._process.exitcode is not None:
                assert condition(), f"the worker ended too early ({self._process.exitcode}): {self.stderr_file.read_text()}"

    def send(self, number: signal.Signals) -> None:
        """Send the signal, unless the worker has just ended by itself."""
        assert self._process.pid is not None
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)


def work(directory: RunDirectory) -> int:
    return Worker(directory).wait()


def _enter(path: Path, stderr_file: Path, largest_file_bytes: int | None, spare_memory_bytes: int | None) -> None:
    if spare_memory_bytes is not None:
        most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + spare_memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if largest_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, largest_file_bytes))
    sys.stderr = stderr_file.open("w", buffering=1)
    with StopRequest() as stop:
        from jobs.run import run

        sys.exit(run(path, stop))
