"""Training in two processes (gloo) against one with the same global batch, and what happens when one of them is stopped or dies."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import psutil
import pytest
import torch
import torch.distributed as dist
from torch import nn

from jobs.architecture import architecture_of
from jobs.ldm.autoencoder import AutoencoderTraining
from jobs.ldm.diffusion import DiffusionTraining, LatentScaling
from jobs.ldm.networks import build_all
from jobs.ldm.ranks import Ranks
from jobs.ldm.runtime import prepare_runtime
from jobs.outcome import OutcomeKind
from jobs.reports import Ending, Stand, read, tell
from jobs.rundir import RunDirectory
from jobs.session import Session
from jobs.spec import TrainingWorkload
from jobs.team import _lines
from tests.fork_server import fork_server
from tests.jobs.processes import new_attempt, prepare, training
from tests.jobs.test_training_resume import assert_same_weights, newest_step, tensors

_TIMEOUT_SECONDS = 300.0


def losses(workload: TrainingWorkload, ranks: Ranks) -> list[float]:
    """Losses of four steps of both trainings on the same random data, and what became of the last layer's weights."""
    unet, autoencoder, discriminator = build_all(architecture_of(workload.model), workload.backend, 0)
    draw = np.random.default_rng(0)
    images = draw.standard_normal((6, 1, *workload.model.image_shape), dtype=np.float32)
    latents = draw.standard_normal((6, workload.model.latent_channels, *workload.model.latent_shape), dtype=np.float32)
    runtime = prepare_runtime(workload, ranks)
    vqgan = AutoencoderTraining(autoencoder, discriminator, images, workload, runtime)
    diffusion = DiffusionTraining(unet, latents, LatentScaling((0.0,) * latents.shape[1], 1.0), workload, runtime)
    both = [vqgan.train_step(step) for step in range(4)], [diffusion.train_step(step) for step in range(4)]
    codes = autoencoder.get_submodule("quantizer.quantizer.embedding").weight
    assert isinstance(codes, torch.Tensor)
    return [*both[0], *both[1], float(codes.detach().abs().mean())]


def _one_of_two(rank: int, meeting_point: str, workload: dict[str, Any], answers: Any) -> None:
    dist.init_process_group("gloo", init_method=f"file://{meeting_point}", rank=rank, world_size=2)
    answers.put((rank, losses(TrainingWorkload.model_validate(workload), Ranks(rank, 2))))
    dist.destroy_process_group()


def losses_of_two(tmp_path: Path, workload: dict[str, Any]) -> list[list[float]]:
    context = fork_server()
    answers: Any = context.Queue()
    pair = [context.Process(target=_one_of_two, args=(rank, str(tmp_path / "meet"), workload, answers)) for rank in (0, 1)]
    for process in pair:
        process.start()
    told = dict(answers.get(timeout=_TIMEOUT_SECONDS) for _ in pair)
    for process in pair:
        process.join(_TIMEOUT_SECONDS)
    return [told[0], told[1]]


@pytest.mark.parametrize(
    ("alone", "shared"),
    [
        ({"batch_size": 4}, {"batch_size": 4}),
        ({"batch_size": 4}, {"batch_size": 2, "batch_size_per": "device"}),
    ],
    ids=["same global batch", "same batch per device"],
)
def test_two_processes_train_as_one_with_the_same_global_batch(tmp_path: Path, alone: dict[str, Any], shared: dict[str, Any]) -> None:
    one = losses(TrainingWorkload.model_validate(training(**alone)), Ranks())
    first, second = losses_of_two(tmp_path, training(**shared))
    assert first == second, "all processes know the loss of the whole batch"
    assert first == pytest.approx(one, rel=1e-4)


def test_the_rows_of_all_processes_make_the_batch() -> None:
    batch = list(range(12))
    assert [row for rank in range(3) for row in batch[Ranks(rank, 3).rows(12)]] == batch


def test_alone_nothing_is_shared_and_nothing_changed() -> None:
    layer = nn.Linear(2, 2)
    layer(torch.ones(1, 2)).sum().backward()
    before = [parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None]
    Ranks().average_gradients(layer.parameters())
    assert all(torch.equal(old, new.grad) for old, new in zip(before, layer.parameters(), strict=True) if new.grad is not None)
    assert Ranks().all_agree(True)
    assert not Ranks().all_agree(False)


@pytest.mark.parametrize("report", [Stand(phase="work", step=7), Ending(outcome=OutcomeKind.FAILED, reason='a "reason"', retryable=False)])
def test_reports_come_back_as_they_were_told(report: Stand | Ending) -> None:
    reading, writing = os.pipe()
    tell(report, writing)
    os.close(writing)
    with os.fdopen(reading) as stream:
        assert read(stream.read()) == report


@pytest.mark.parametrize("letter", ["x", "\u00e9", '"', "\n"])
def test_a_long_reason_is_cut_so_that_the_report_stays_in_one_piece(letter: str) -> None:
    reading, writing = os.pipe()
    tell(Ending(outcome=OutcomeKind.FAILED, reason="disk full: " + letter * 20_000, retryable=False), writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        line = stream.read()
    assert 1000 < len(line) <= select.PIPE_BUF
    ending = read(line.decode())
    assert isinstance(ending, Ending)
    assert (ending.outcome, ending.retryable) == (OutcomeKind.FAILED, False)
    assert ending.reason.startswith("disk full: " + letter)
    assert ending.reason.endswith("\u2026")


def test_what_processes_print_without_an_end_of_line_is_not_kept_whole_and_hides_no_later_report() -> None:
    printing = (
        "import sys; from jobs.reports import Stand, tell\n"
        "sys.stdout.write('.' * 3_000_000 + '\\n'); sys.stdout.flush(); tell(Stand(phase='work', step=7))"
    )
    agent = subprocess.Popen([sys.executable, "-c", printing], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    with agent:
        printed = list(_lines(cast(Session, SimpleNamespace(stop_requested=False)), agent))
    assert len(printed[0]) < 200_000
    assert read(printed[1]) == Stand(phase="work", step=7)


@pytest.mark.parametrize("line", ["", "Epoch 3", "lowtide-report {", 'lowtide-report {"kind": "other"}'])
def test_what_libraries_print_is_no_report(line: str) -> None:
    assert read(line) is None


# --- whole runs, started as a site starts them


class Run:
    """`python -m jobs run` in a process of its own."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.process = subprocess.Popen([sys.executable, "-m", "jobs", "run", str(directory.path)], stderr=subprocess.DEVNULL)

    def ranks(self) -> list[psutil.Process]:
        """The training processes, the first one first."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        found = [child for child in children if "jobs.ldm.rank" in _words(child)]
        return sorted(found, key=lambda child: int(child.environ()["RANK"]))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        ends_at = time.monotonic() + _TIMEOUT_SECONDS
        while not condition():
            assert self.process.poll() is None, self.directory.log_file.read_text()
            assert time.monotonic() < ends_at, "nothing happened in time"
            time.sleep(0.01)  # another process works: there is no signal to wait for

    def end(self) -> int:
        return self.process.wait(_TIMEOUT_SECONDS)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def prepared(path: Path, **changes: Any) -> RunDirectory:
    return prepare(path, training(batch_size=4, **changes), processes=2, checkpoint_every_seconds=1e-6)


def outcome_of(directory: RunDirectory, number: int = 1) -> tuple[OutcomeKind, str, bool]:
    outcome = directory.read_outcome(f"attempt-{number}")
    assert outcome is not None
    return outcome.kind, outcome.reason, outcome.retryable


@pytest.mark.slow
def test_stopped_by_sigterm_a_pair_checkpoints_exits_75_and_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, alone, cut = prepared(tmp_path / "whole"), prepared(tmp_path / "alone"), prepared(tmp_path / "cut", iterations=8)
    prepare(alone.path, training(batch_size=4))
    assert [Run(directory).end() for directory in (whole, alone)] == [0, 0]
    run = Run(cut)
    run.wait_until(lambda: newest_step(cut) >= 6)
    pair = run.ranks()
    for process in (psutil.Process(run.process.pid), *pair):
        process.terminate()  # a batch system signals every process it finds
    assert run.end() in (75, 0)
    assert not any(process.is_running() for process in pair)
    assert Run(new_attempt(cut, 2)).end() == 0
    assert_same_weights(cut, whole)
    ours, theirs = tensors(whole), tensors(alone)
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-2, atol=5e-3)


@pytest.mark.slow
def test_a_dead_rank_ends_the_attempt_with_a_reason_and_leaves_no_orphan(tmp_path: Path) -> None:
    directory = prepared(tmp_path / "run", iterations=100_000)
    run = Run(directory)
    run.wait_until(lambda: newest_step(directory) >= 6)
    pair = run.ranks()
    pair[1].kill()
    assert run.end() == 1
    kind, reason, retryable = outcome_of(directory)
    assert (kind, retryable) == (OutcomeKind.FAILED, True)
    assert "training process 2 of 2 ended with signal SIGKILL" in reason
    assert not any(process.is_running() for process in pair)


@pytest.mark.slow
def test_killed_the_parent_takes_all_with_it_and_its_energy_was_that_of_all(tmp_path: Path) -> None:
    directory = prepared(tmp_path / "run", iterations=100_000)
    run = Run(directory)
    run.wait_until(lambda: newest_step(directory) >= 40)
    family = [psutil.Process(run.process.pid), *psutil.Process(run.process.pid).children(recursive=True)]
    spent_before = sum(_cpu_seconds(process) for process in family)
    run.wait_until(lambda: len(directory.energy()) >= len(family) and directory.energy()[-1].step_to >= 40)
    records = directory.energy()
    spent_after = sum(_cpu_seconds(process) for process in family)
    run.process.kill()
    run.end()
    psutil.wait_procs(family, timeout=_TIMEOUT_SECONDS)
    assert not any(process.is_running() for process in family)
    metering = directory.read_spec().metering
    above_idle = metering.cpu_tdp_watts - metering.cpu_idle_watts
    idle_joules = metering.cpu_idle_watts * sum(record.seconds for record in records)
    cpu_seconds = (sum(record.total_joules for record in records) - idle_joules) / above_idle * (os.cpu_count() or 1)
    assert 0.8 * spent_before < cpu_seconds < 1.1 * spent_after, "every process once"


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@pytest.mark.slow
def test_bad_data_is_told_as_in_a_run_of_one(tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    directory = prepare(tmp_path / "run", training(data={"path": missing}), data_path=missing, processes=2)
    assert Run(directory).end() == 1
    kind, reason, retryable = outcome_of(directory)
    assert (kind, retryable) == (OutcomeKind.FAILED, False)
    assert missing in reason
