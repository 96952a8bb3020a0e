"""The settings of training and synthesis: what is refused, and that the others change what they should and nothing else."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import nn

from jobs.architecture import architecture_of
from jobs.errors import BadInput
from jobs.ldm.autoencoder import AutoencoderTraining
from jobs.ldm.compiling import as_if_not_compiled, require_compiler
from jobs.ldm.diffusion import DiffusionTraining, LatentScaling
from jobs.ldm.moving_average import MovingAverage
from jobs.ldm.networks import build_all
from jobs.ldm.noise import noise_from_velocity, target, training_schedule
from jobs.ldm.runtime import prepare_runtime
from jobs.ldm.weights import load_weights
from jobs.rundir import RunDirectory
from jobs.spec import ModelSpec, NoiseSchedule, RunSpec, SampleRange, TrainingWorkload
from tests.jobs.processes import TINY_2D, TINY_3D, prepare, synthesis, training, work
from tests.jobs.test_training_resume import assert_same_weights, interrupted_run, tensors

V_COSINE: dict[str, Any] = {"noise_schedule": {"kind": "cosine"}, "prediction": "v"}


def workload(**changes: Any) -> TrainingWorkload:
    return TrainingWorkload.model_validate(training(**changes))


def losses(steps: int = 3, **changes: Any) -> tuple[list[float], list[float]]:
    """Losses of the first steps of both trainings, on random data."""
    settings = workload(**changes)
    unet, autoencoder, discriminator = build_all(architecture_of(settings.model), settings.backend, 0, settings.flash_attention)
    draw = np.random.default_rng(0)
    images = draw.standard_normal((4, 1, *settings.model.image_shape), dtype=np.float32)
    latents = draw.standard_normal((4, settings.model.latent_channels, *settings.model.latent_shape), dtype=np.float32)
    runtime = prepare_runtime(settings)
    vqgan = AutoencoderTraining(autoencoder, discriminator, images, settings, runtime)
    diffusion = DiffusionTraining(unet, latents, LatentScaling((0.0,) * latents.shape[1], 1.0), settings, runtime)
    return [vqgan.train_step(step) for step in range(steps)], [diffusion.train_step(step) for step in range(steps)]


# --- what is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"noise_schedule": {"kind": "cosine"}}, "use prediction 'v', or the schedule 'scaled-linear'"),
        ({"noise_schedule": {"kind": "cosine", "beta_start": 0.1}, "prediction": "v"}, "the cosine schedule has no betas"),
        ({"noise_schedule": {"beta_start": 0.03}}, "beta_start 0.03 must be less than beta_end 0.0195"),
        ({"noise_schedule": {"beta_end": 1.5}}, "less than 1"),
        ({"noise_schedule": {"kind": "linear", "beta_end": 0.2}}, "leave no signal at the last level"),
        ({"noise_schedule": {"beta_start": 0.01, "beta_end": 0.03}}, "leave no signal at the last level"),
        ({"flash_attention": True}, "ask for backend 'monai' or leave it out"),
        ({"tf32": True, "precision": "bfloat16"}, "tf32: precision 'bfloat16' has fewer bits already: ask for one of the two"),
        ({"ema_decay": 1.0}, "less than 1"),
        ({"prediction": "x0"}, "'epsilon' or 'v'"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_what_to_do(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        workload(**changes)


@pytest.mark.parametrize(
    ("changes", "processes", "words"),
    [
        (training(batch_size=3), 2, "batch_size 3 cannot be shared equally by 2 devices: make it a multiple of 2"),
        (synthesis(), 2, "a synthesis run has one process"),
    ],
)
def test_a_batch_that_devices_cannot_share_is_refused(changes: dict[str, Any], processes: int, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        RunSpec.model_validate(
            {"job_id": "j", "run_id": "r", "workload": changes, "processes": processes}
            | ({"samples": SampleRange(first=0, count=4), "weights_path": "w"} if changes["kind"] == "synthesis" else {})
        )


def test_a_node_without_a_compiler_says_so_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BadInput, match=r"no C\+\+ compiler \('no-such-compiler' is not found\): install one, or set compile to false"):
        require_compiler(torch.device("cpu"))


# --- noise


def test_the_cosine_schedule_is_that_of_the_paper() -> None:
    """Nichol and Dhariwal, section 3.2: f(t) = cos^2((t/T + s)/(1 + s) pi/2), betas at most 0.999."""
    signal = training_schedule(NoiseSchedule(kind="cosine"))
    half = np.cos((0.5 + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    assert float(signal[499]) == pytest.approx(half, rel=1e-6)
    assert 0 < float(signal[-1]) < 1e-6
    assert bool((signal[1:] < signal[:-1]).all())


def test_the_linear_schedules_have_the_betas_asked_for() -> None:
    for kind in ("linear", "scaled-linear"):
        signal = training_schedule(NoiseSchedule.model_validate({"kind": kind, "beta_start": 0.001, "beta_end": 0.02})).double()
        assert 1 - float(signal[0]) == pytest.approx(0.001, rel=1e-3)
        assert 1 - float(signal[-1] / signal[-2]) == pytest.approx(0.02, rel=1e-3)


def test_noise_and_velocity_are_two_ways_to_say_the_same() -> None:
    draw = torch.Generator().manual_seed(1)
    clean, noise = (torch.randn(1, 3, 4, 4, generator=draw) for _ in range(2))
    signal = torch.tensor([0.3])
    noisy = signal.sqrt() * clean + (1 - signal).sqrt() * noise
    velocity = target("v", clean, noise, signal)
    torch.testing.assert_close(noise_from_velocity(velocity, noisy, signal), noise)
    assert target("epsilon", clean, noise, signal) is noise


# --- moving average


class Wave(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.sin() * 2


def test_a_compiled_network_is_not_compiled_again_for_validation() -> None:
    compiled_for: list[torch.Size] = []

    def compiler(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
        compiled_for.append(inputs[0].shape)
        return graph

    network = Wave()
    network.compile(dynamic=False, backend=compiler)
    network(torch.ones(2, 3))
    with as_if_not_compiled(True):
        alone = network(torch.ones(1, 3))
    network(torch.ones(2, 3))

    assert compiled_for == [(2, 3)]
    assert torch.equal(alone, Wave()(torch.ones(1, 3)))


def test_the_moving_average_follows_at_first_and_then_slowly() -> None:
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    average = MovingAverage(network, 0.9)
    network.weight.data.fill_(1.0)
    average.follow(0)
    assert float(average.state()["weight"]) == pytest.approx(0.9), "a tenth of the old at the first step"
    for step in range(1, 1000):
        average.follow(step)
    network.weight.data.fill_(2.0)
    average.follow(1000)
    assert float(average.state()["weight"]) == pytest.approx(0.9 * 1.0 + 0.1 * 2.0, rel=1e-5)


def test_samples_are_made_with_the_averaged_weights_and_resuming_keeps_them_to_the_bit(tmp_path: Path, trained: RunDirectory) -> None:
    averaged = training(ema_decay=0.9)
    whole = prepare(tmp_path / "whole", averaged)
    assert work(whole) == 0
    cut = interrupted_run(tmp_path / "cut", averaged, [(6, signal.SIGKILL), (9, signal.SIGTERM)])
    assert_same_weights(cut, whole)
    ours, theirs = tensors(whole), tensors(trained)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if name.startswith("autoencoder."))
    assert not all(torch.equal(ours[name], theirs[name]) for name in ours if name.startswith("unet."))
    checkpoint = torch.load(max(whole.checkpoints.glob("*.pt")), weights_only=True)["training"]
    assert torch.equal(ours["unet.out.2.conv.weight"], checkpoint["average"]["out.2.conv.weight"])


# --- how the machine computes


@pytest.mark.parametrize("model", [TINY_2D, {"dimensions": 3, "size": "tiny", "image_shape": [16, 16, 16]}], ids=["2D", "3D"])
@pytest.mark.parametrize("backend", ["monai-generative", "monai"])
def test_gradient_checkpointing_trains_with_the_very_same_losses(model: dict[str, Any], backend: str) -> None:
    assert losses(model=model, backend=backend, gradient_checkpointing=True) == losses(model=model, backend=backend)


@pytest.mark.parametrize(
    "changes", [{"channels_last": True}, {"channels_last": True, "model": TINY_3D}, {"flash_attention": True, "backend": "monai"}], ids=str
)
def test_layout_and_flash_attention_change_the_last_bits_only(changes: dict[str, Any]) -> None:
    plain = {name: value for name, value in changes.items() if name in ("model", "backend")}
    for ours, theirs in zip(losses(**changes), losses(**plain), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_channels_last_is_what_it_says() -> None:
    runtime = prepare_runtime(workload(channels_last=True))
    network = runtime.place(nn.Conv2d(4, 8, 3))
    assert next(network.parameters()).is_contiguous(memory_format=torch.channels_last)
    assert runtime.arrange(torch.zeros(2, 4, 8, 8)).is_contiguous(memory_format=torch.channels_last)
    assert "layout=channels-last" in runtime.fingerprint
    assert "layout" not in prepare_runtime(workload()).fingerprint


def test_bfloat16_on_a_processor_that_must_imitate_it_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for supported in (True, False):
        caplog.clear()
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda supported=supported: supported)
        prepare_runtime(workload(precision="bfloat16"))
        prepare_runtime(workload())
        assert ("float32 would be many times faster" in caplog.text) is (not supported and not torch.cuda.is_available())


# --- what weights know


def prepared_synthesis(path: Path, weights: Path, **changes: Any) -> RunDirectory:
    return prepare(path, synthesis(samples=4, **changes), samples=SampleRange(first=0, count=4), weights_path=str(weights))


def test_weights_carry_how_they_were_trained_and_synthesis_follows_them(tmp_path: Path) -> None:
    directory = prepare(tmp_path / "train", training(**V_COSINE, channels_last=True, ema_decay=0.99))
    assert work(directory) == 0
    weights = load_weights(directory.weights_file, ModelSpec.model_validate(TINY_2D))
    assert (weights.schedule, weights.prediction, weights.ema_decay) == (NoiseSchedule(kind="cosine"), "v", 0.99)
    made = prepared_synthesis(tmp_path / "made", directory.weights_file, channels_last=True)
    assert work(made) == 0
    assert len(made.sample_records()) == 4
    refused = prepared_synthesis(tmp_path / "refused", directory.weights_file, sampler="pndm")
    assert work(refused) == 1
    outcome = refused.read_outcome("attempt-1")
    assert outcome is not None
    assert "cosine noise schedule, on which PNDM gives noise: use sampler 'ddim'" in outcome.reason
    assert not outcome.retryable


@pytest.mark.slow
def test_velocity_weights_read_as_noise_weights_would_give_other_samples(tmp_path: Path) -> None:
    directory = prepare(tmp_path / "train", training(prediction="v"))
    assert work(directory) == 0
    content = torch.load(directory.weights_file, weights_only=True)
    stripped = tmp_path / "stripped.pt"
    torch.save({**content, "prediction": "epsilon"}, stripped)
    right, wrong = prepared_synthesis(tmp_path / "right", directory.weights_file), prepared_synthesis(tmp_path / "wrong", stripped)
    assert [work(right), work(wrong)] == [0, 0]
    assert [each.sha256 for each in right.sample_records()] != [each.sha256 for each in wrong.sample_records()]


def test_weights_of_before_schedules_were_recorded_have_the_defaults(tmp_path: Path, trained: RunDirectory) -> None:
    content: dict[str, Any] = torch.load(trained.weights_file, weights_only=True)
    for name in ("noise_schedule", "prediction", "ema_decay"):
        del content[name]
    torch.save(content, tmp_path / "old.pt")
    weights = load_weights(tmp_path / "old.pt", ModelSpec.model_validate(TINY_2D))
    assert (weights.schedule, weights.prediction) == (NoiseSchedule(), "epsilon")


@pytest.mark.parametrize("change", [{"prediction": "x0"}, {"noise_schedule": {"kind": "sigmoid"}}])
def test_weights_trained_in_an_unknown_way_are_refused(tmp_path: Path, trained: RunDirectory, change: dict[str, Any]) -> None:
    torch.save({**torch.load(trained.weights_file, weights_only=True), **change}, tmp_path / "odd.pt")
    with pytest.raises(BadInput, match=r"odd\.pt were trained in a way that this version does not know"):
        load_weights(tmp_path / "odd.pt", ModelSpec.model_validate(TINY_2D))


# --- TF32: no GPU here, so the switches and the refusal, not its arithmetic


def test_tf32_is_refused_by_a_device_without_it() -> None:
    with pytest.raises(BadInput, match=r"tf32: this CPU has no TF32, only NVIDIA GPUs since Ampere do: leave it out"):
        prepare_runtime(workload(tf32=True))


def test_tf32_is_off_unless_asked_for_and_part_of_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    def switches() -> tuple[bool, bool, bool]:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark

    plain = prepare_runtime(workload()).fingerprint
    assert switches() == (False, False, False)
    with monkeypatch.context() as patch:
        patch.setattr("torch.cuda.is_available", lambda: True)
        patch.setattr("torch.cuda.is_tf32_supported", lambda: True)
        patch.setattr("torch.cuda.get_device_name", lambda *_: "NVIDIA A100")
        fingerprint = prepare_runtime(workload(tf32=True)).fingerprint
        assert switches() == (True, True, False), "autotuning stays off: it would choose other kernels another day"
    prepare_runtime(workload())

    assert switches() == (False, False, False)
    assert "arithmetic=tf32" in fingerprint
    assert "tf32" not in plain


# --- slow


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler: install g++")
def test_compiled_synthesis_agrees_with_plain_synthesis(tmp_path: Path, trained: RunDirectory) -> None:
    plain = prepared_synthesis(tmp_path / "plain", trained.weights_file)
    compiled = prepared_synthesis(tmp_path / "compiled", trained.weights_file, compile=True)
    assert work(plain) == 0
    # compiling takes a minute or two of processor time, which tests elsewhere must not wait for
    subprocess.run([sys.executable, "-m", "jobs", "run", str(compiled.path)], check=True, timeout=1200)
    for ours, theirs in zip(compiled.sample_records(), plain.sample_records(), strict=True):
        assert "compile=inductor" in ours.fingerprint
        assert "compile=no" in theirs.fingerprint
        images = [np.asarray(Image.open(directory.artifacts / ours.file), dtype=np.int64) for directory in (compiled, plain)]
        assert np.abs(images[0] - images[1]).max() <= 65535 // 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {**V_COSINE, "ema_decay": 0.99, "gradient_checkpointing": True},
        {"channels_last": True, "precision": "bfloat16"},
        {"backend": "monai", "flash_attention": True, "model": TINY_3D},
    ],
    ids=str,
)
def test_resuming_is_exact_with_every_setting(tmp_path: Path, changes: dict[str, Any]) -> None:
    whole = prepare(tmp_path / "whole", training(**changes))
    assert work(whole) == 0
    cut = interrupted_run(tmp_path / "cut", training(**changes), [(2, signal.SIGKILL), (7, signal.SIGTERM), (10, signal.SIGKILL)])
    assert_same_weights(cut, whole)
