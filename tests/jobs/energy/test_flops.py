"""Our count against torch's own, on the networks that the node builds and the training steps that it runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from jobs.architecture import architecture_of
from jobs.energy.flops import OPERATIONS, sample_flops
from jobs.ldm.autoencoder import AutoencoderTraining
from jobs.ldm.diffusion import DiffusionTraining, scaling_of
from jobs.ldm.networks import Backend, build_all, build_autoencoder, build_discriminator, build_unet, checkpoint_gradients
from jobs.ldm.runtime import prepare_runtime
from jobs.spec import DataSpec, ModelSpec, PhantomData, TrainingWorkload


def model(dimensions: int, size: str, shape: tuple[int, ...], downsampling: int = 4) -> ModelSpec:
    return ModelSpec.model_validate(
        {"dimensions": dimensions, "size": size, "image_shape": shape, "latent_downsampling": downsampling},
    )


QUICK = [model(2, "tiny", (64, 64)), model(3, "tiny", (32, 48, 64), 8), model(2, "small", (192, 192))]
THOROUGH = [
    model(2, "tiny", (64, 96), 8),
    model(2, "medium", (256, 256), 8),
    model(2, "large", (512, 512)),
    model(3, "tiny", (32, 32, 32)),
    model(3, "small", (64, 64, 64)),
    model(3, "medium", (128, 128, 128), 8),
    model(3, "large", (256, 256, 192)),
]
CASES = [
    *(pytest.param(spec, "monai-generative", id=str(spec)) for spec in QUICK),
    pytest.param(QUICK[0], "monai", id=f"core {QUICK[0]}"),
    *(pytest.param(spec, "monai-generative", id=str(spec), marks=pytest.mark.slow) for spec in THOROUGH),
    *(pytest.param(spec, "monai", id=f"core {spec}", marks=pytest.mark.slow) for spec in QUICK[1:] + THOROUGH),
]


def counted(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


@pytest.mark.parametrize(("spec", "backend"), CASES)
def test_every_operation_counts_as_torch_counts_it(spec: ModelSpec, backend: Backend) -> None:
    shape = architecture_of(spec)
    with torch.device("meta"):
        unet, autoencoder = build_unet(shape.unet, backend), build_autoencoder(shape.autoencoder, backend)
        discriminator = build_discriminator(shape.discriminator, backend)
        latents, image = torch.empty(2, spec.latent_channels, *spec.latent_shape), torch.empty(2, 1, *spec.image_shape)
        steps = torch.zeros(2, dtype=torch.long)
        torch_counts = {
            "denoise": counted(lambda: unet(latents, timesteps=steps)),
            "train": counted(lambda: unet(latents, timesteps=steps).mean().backward()),
            "encode": counted(lambda: autoencoder.eval().encode_stage_2_inputs(image)),  # type: ignore[operator]  # monai-generative is untyped
            "decode": counted(lambda: autoencoder.eval().decode_stage_2_outputs(latents)),  # type: ignore[operator]  # monai-generative is untyped
            "vqgan": counted(lambda: adversarial_step(autoencoder.train(), discriminator, image)),
        }

    assert torch_counts == {operation: 2 * sample_flops(spec, operation) for operation in OPERATIONS}


def adversarial_step(autoencoder: nn.Module, discriminator: nn.Module, image: Tensor) -> None:
    discriminator.requires_grad_(False)
    reconstruction, _ = autoencoder(image)
    (discriminator(reconstruction)[-1].mean() + reconstruction.mean()).backward()
    discriminator.requires_grad_(True)
    (discriminator(reconstruction.detach())[-1].mean() + discriminator(image)[-1].mean()).backward()


@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "gradient checkpointing"])
@pytest.mark.parametrize(
    ("spec", "backend"),
    [
        (model(2, "tiny", (64, 64)), "monai-generative"),
        (model(2, "tiny", (64, 64)), "monai"),
        (model(3, "tiny", (16, 24, 32)), "monai-generative"),
        (model(2, "tiny", (8, 8)), "monai-generative"),
    ],
)
def test_the_real_training_steps_compute_just_what_is_counted(spec: ModelSpec, backend: Backend, checkpointing: bool) -> None:
    data = DataSpec(phantom=PhantomData(patients=2))
    workload = TrainingWorkload(
        kind="training",
        model=spec,
        data=data,
        iterations=1,
        batch_size=2,
        backend=backend,
        gradient_checkpointing=checkpointing,
        ema_decay=0.99,
    )
    unet, autoencoder, discriminator = build_all(architecture_of(spec), workload.backend, seed=0)
    draw = np.random.default_rng(0)
    images = draw.standard_normal((2, 1, *spec.image_shape), dtype=np.float32)
    latents = draw.standard_normal((2, spec.latent_channels, *spec.latent_shape), dtype=np.float32)
    runtime = prepare_runtime(workload)
    vqgan = AutoencoderTraining(autoencoder, discriminator, images, workload, runtime)
    diffusion = DiffusionTraining(unet, latents, scaling_of(latents), workload, runtime)

    assert counted(lambda: vqgan.train_step(0)) == 2 * sample_flops(spec, "vqgan", checkpointing)
    assert counted(lambda: diffusion.train_step(0)) == 2 * sample_flops(spec, "train", checkpointing)


@pytest.mark.parametrize("spec", [QUICK[2], *(pytest.param(spec, marks=pytest.mark.slow) for spec in THOROUGH)], ids=str)
def test_gradient_checkpointing_costs_what_torch_counts_at_the_papers_sizes(spec: ModelSpec) -> None:
    with torch.device("meta"):
        unet = build_unet(architecture_of(spec).unet, "monai-generative")
        checkpoint_gradients(unet)
        latents, steps = torch.empty(1, spec.latent_channels, *spec.latent_shape), torch.zeros(1, dtype=torch.long)
        count = counted(lambda: unet(latents, timesteps=steps).mean().backward())
    assert count == sample_flops(spec, "train", gradient_checkpointing=True)
    assert 1.2 < count / sample_flops(spec, "train") < 4 / 3


def test_the_paper_sized_step_costs_what_the_public_configuration_costs() -> None:
    """26.3 TFLOP for a denoise step of (256, 512, 768) at 256 x 256 x 192 voxels; the decoder is small beside 1000 of them."""
    spec = model(3, "large", (256, 256, 192))

    assert sample_flops(spec, "denoise") == pytest.approx(26.3e12, rel=0.01)
    assert sample_flops(spec, "decode") / (1000 * sample_flops(spec, "denoise")) == pytest.approx(0.00035, rel=0.1)
