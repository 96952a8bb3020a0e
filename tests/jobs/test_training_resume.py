"""Stopped and resumed anywhere equals uninterrupted, bit for bit: real processes, real kills."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from jobs.rundir import RunDirectory
from tests.jobs.processes import TINY_3D, Worker, new_attempt, prepare, training, work


def tensors(directory: RunDirectory) -> dict[str, Tensor]:
    content = torch.load(directory.weights_file, weights_only=True)
    return {f"{part}.{name}": tensor for part in ("autoencoder", "unet") for name, tensor in content[part].items()}


def assert_same_weights(actual: RunDirectory, expected: RunDirectory) -> None:
    ours, theirs = tensors(actual), tensors(expected)
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not different


def newest_step(directory: RunDirectory) -> int:
    return max((int(path.name[:12]) for path in directory.checkpoints.glob("*.pt")), default=0)


def interrupt_at(directory: RunDirectory, number: int, step: int, how: signal.Signals) -> None:
    """Let an attempt work until a checkpoint of `step` or later exists, then send it the signal."""
    worker = Worker(new_attempt(directory, number))
    worker.wait_until(lambda: newest_step(directory) >= step)
    worker.send(how)
    # a stop that comes before Python listens is as good as a kill; one after the last step is too late
    assert worker.wait() in (75, -how, 0)


def interrupted_run(path: Path, workload: dict[str, Any], stops: list[tuple[int, signal.Signals]]) -> RunDirectory:
    directory = prepare(path, workload, checkpoint_every_seconds=1e-6, metering={"interval_seconds": 0.02})  # some attempts last 0.2 s
    for number, (step, how) in enumerate(stops, 1):
        interrupt_at(directory, number, step, how)
    assert work(new_attempt(directory, len(stops) + 1)) == 0
    return directory


def test_killed_in_both_stages_and_stopped_once_it_ends_with_the_same_weights(tmp_path: Path, trained: RunDirectory) -> None:
    stops = [(2, signal.SIGKILL), (6, signal.SIGTERM), (9, signal.SIGKILL)]  # 4 steps of VQ-GAN, then 8 of diffusion
    directory = interrupted_run(tmp_path / "run", training(), stops)
    assert_same_weights(directory, trained)
    attempts = {record.attempt_id for record in directory.energy()}
    assert attempts == {"attempt-1", "attempt-2", "attempt-3", "attempt-4"}, "energy of killed attempts is kept"


def test_a_rotten_checkpoint_costs_some_steps_but_changes_nothing(tmp_path: Path, trained: RunDirectory) -> None:
    directory = prepare(tmp_path / "run", training(), checkpoint_every_seconds=1e-6)
    interrupt_at(directory, 1, 7, signal.SIGKILL)
    newest = max(directory.checkpoints.glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    assert work(new_attempt(directory, 2)) == 0
    assert_same_weights(directory, trained)
    assert f"checkpoint {newest.name} is damaged" in directory.log_file.read_text()


def test_the_latents_are_encoded_once(tmp_path: Path) -> None:
    directory = prepare(tmp_path / "run", training(), checkpoint_every_seconds=1e-6)
    interrupt_at(directory, 1, 6, signal.SIGKILL)
    latents = directory.cache / "latents.f32"
    before = latents.stat().st_mtime_ns
    assert work(new_attempt(directory, 2)) == 0
    assert latents.stat().st_mtime_ns == before


def test_checkpoints_of_another_configuration_are_refused_naming_the_difference(tmp_path: Path, trained: RunDirectory) -> None:
    shutil.copytree(trained.path, tmp_path / "run")
    directory = prepare(tmp_path / "run", training(seed=5))
    assert work(new_attempt(directory, 2)) == 1
    outcome = directory.read_outcome("attempt-2")
    assert outcome is not None
    assert not outcome.retryable
    assert "another configuration (seed 0 -> 5)" in outcome.reason


@pytest.mark.slow
@pytest.mark.parametrize("case", range(4))
def test_killed_at_random_moments_it_ends_with_the_same_weights(tmp_path: Path, trained: RunDirectory, case: int) -> None:
    draw = random.Random(case)
    stops = [(step, draw.choice([signal.SIGKILL, signal.SIGTERM])) for step in sorted(draw.sample(range(1, 12), 3))]
    assert_same_weights(interrupted_run(tmp_path / "run", training(), stops), trained)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"model": TINY_3D}, {"precision": "bfloat16"}, {"backend": "monai"}], ids=str)
def test_resuming_is_exact_in_3d_in_bfloat16_and_with_the_other_library(tmp_path: Path, changes: dict[str, Any]) -> None:
    whole = prepare(tmp_path / "whole", training(**changes))
    assert work(whole) == 0
    cut = interrupted_run(tmp_path / "cut", training(**changes), [(2, signal.SIGKILL), (7, signal.SIGKILL)])
    assert_same_weights(cut, whole)
