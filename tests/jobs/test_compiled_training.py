"""A compiled training, with gradient checkpointing and validation: killed, resumed, and beside a plain one. Minutes of compiling."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from jobs.rundir import RunDirectory
from tests.jobs.processes import new_attempt, prepare, training
from tests.jobs.test_training_resume import assert_same_weights, newest_step, tensors

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler: install g++"),
]

WORKLOAD: dict[str, Any] = {
    "data": {"phantom": {"patients": 6}, "validation_share": 0.2},
    "gradient_checkpointing": True,
    "autoencoder_iterations": 2,
    "iterations": 6,
}


@contextmanager
def node(directory: RunDirectory) -> Iterator[subprocess.Popen[bytes]]:
    """As the executors start it: the test's own processes have another compiler state. It does not outlive the test.

    The C++ compiler does not optimise: the kernels are the same code, and there in a fraction of the time.
    """
    command, quickly = [sys.executable, "-m", "jobs", "run", str(directory.path)], {"TORCHINDUCTOR_DEBUG_COMPILE": "1"}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ | quickly) as process:
        try:
            yield process
        finally:
            process.kill()


def run_through(directory: RunDirectory) -> None:
    with node(directory) as attempt:
        assert attempt.wait(timeout=1200) == 0


def whole_and_killed(path: Path) -> tuple[RunDirectory, RunDirectory]:
    """A compiled training that ends, and what a kill would have left of it after some steps of the compiled network.

    One run for both, and the second finds what the first has compiled: compiling is what takes the time here.
    """
    whole = prepare(path / "whole", training(**WORKLOAD, compile=True), checkpoint_every_seconds=1e-6)
    with node(whole) as attempt:
        while newest_step(whole) < 2 + 2:
            with pytest.raises(subprocess.TimeoutExpired):  # it goes on working
                attempt.wait(timeout=0.02)
        attempt.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, attempt.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        shutil.copytree(whole.path, path / "killed")
        attempt.send_signal(signal.SIGCONT)
        assert attempt.wait(timeout=1200) == 0
    killed = RunDirectory(path / "killed")
    assert newest_step(killed) < 2 + WORKLOAD["iterations"]
    return whole, killed


def test_a_compiled_training_resumes_to_the_same_bits_and_agrees_with_a_plain_one(tmp_path: Path) -> None:
    whole, killed = whole_and_killed(tmp_path)
    plain = prepare(tmp_path / "plain", training(**WORKLOAD))
    for directory in (plain, new_attempt(killed, 2)):
        run_through(directory)

    assert_same_weights(killed, whole)
    ours, theirs = tensors(whole), tensors(plain)
    assert max(float((ours[name].double() - theirs[name].double()).abs().max()) for name in ours) < 1e-3, "a step moves a weight by 1e-3"
    losses = [torch.load(each.weights_file, weights_only=True)["validation_loss"] for each in (plain, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
