"""Networks whose convolutions are packed compute what they computed before."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from jobs.architecture import architecture_of
from jobs.ldm.networks import Backend, build_all
from jobs.ldm.packing import pack_convolutions, packs_convolutions
from jobs.ldm.runtime import prepare_runtime
from jobs.spec import ModelSpec, Precision, SynthesisWorkload, TrainingWorkload
from tests.jobs.processes import TINY_2D, TINY_3D, synthesis, training

CPU = torch.device("cpu")


def networks(model: ModelSpec, backend: Backend) -> tuple[nn.Module, Any]:
    """UNet and autoencoder. Fresh UNets end in a convolution of zeros, which hides all that is before it."""
    unet, autoencoder, _ = build_all(architecture_of(model), backend, 0)
    torch.manual_seed(0)
    for parameter in unet.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.05)
    return unet.eval(), autoencoder.eval()


@torch.inference_mode()
@pytest.mark.parametrize("layout", ["contiguous", "channels-last"])
@pytest.mark.parametrize("shape", [TINY_2D | {"size": "small"}, TINY_3D], ids=["2D", "3D"])
@pytest.mark.parametrize("backend", ["monai-generative", "monai"])
def test_packed_networks_predict_and_decode_as_plain_ones(backend: Backend, shape: dict[str, Any], layout: str) -> None:
    model = ModelSpec.model_validate(shape)
    unet, autoencoder = networks(model, backend)
    batches = [torch.randn(size, model.latent_channels, *model.latent_shape) for size in (1, 3)]

    def answers(latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return unet(latents, timesteps=torch.full((len(latents),), 500)), autoencoder.decode_stage_2_outputs(latents)

    plain = [answers(latents) for latents in batches]
    if layout == "channels-last":
        last = torch.channels_last if model.dimensions == 2 else torch.channels_last_3d
        batches = [latents.contiguous(memory_format=last) for latents in batches]
    for network in (unet, autoencoder):
        kinds = {type(module) for module in network.modules()}
        pack_convolutions(network)
        assert {type(module) for module in network.modules()} - kinds, "some are worth it"
    for latents, expected in zip(batches, plain, strict=True):
        for _ in range(2):  # the first packs, the second finds it packed
            for ours, theirs in zip(answers(latents), expected, strict=True):
                assert theirs.std() > 1e-3
                torch.testing.assert_close(
                    ours, theirs, rtol=0, atol=1e-3 * float(theirs.abs().max())
                )  # norms over few values magnify rounding


@torch.inference_mode()
def test_packed_for_one_shape_it_computes_others_too() -> None:
    plain = nn.Conv3d(4, 8, 3, padding=1, bias=False)
    packed = nn.Sequential(plain)
    pack_convolutions(packed)
    for shape in ((1, 4, 6, 6, 6), (5, 4, 9, 8, 7), (1, 4, 6, 6, 6)):
        batch = torch.randn(shape)
        torch.testing.assert_close(packed(batch), plain(batch), rtol=1e-4, atol=1e-5)


def test_convolutions_of_other_padding_and_small_flat_ones_stay_as_they_are() -> None:
    other = nn.Conv3d(1, 1, 3, padding="same"), nn.Conv3d(1, 1, 3, padding=1, padding_mode="reflect")
    network = nn.Sequential(*other, nn.Conv2d(32, 32, 3, padding=1))
    before = list(network)
    pack_convolutions(network)
    assert list(network) == before


def test_all_solid_and_large_flat_convolutions_are_packed() -> None:
    network = nn.Sequential(nn.Conv3d(1, 1, 3), nn.Sequential(nn.Conv2d(128, 128, 3)))
    pack_convolutions(network)
    assert not any(isinstance(module, nn.Conv2d | nn.Conv3d) for module in network.modules())


@pytest.mark.parametrize("workload", [training(), synthesis()], ids=["training", "synthesis"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_only_float32_on_a_cpu_is_packed_and_the_fingerprint_says_so(workload: dict[str, Any], precision: Precision) -> None:
    kind = TrainingWorkload if workload["kind"] == "training" else SynthesisWorkload
    fingerprint = prepare_runtime(kind.model_validate({**workload, "precision": precision})).fingerprint
    assert packs_convolutions(precision, CPU) is (precision == "float32")
    assert ("convolutions=packed" in fingerprint) is (precision == "float32" and not torch.cuda.is_available())
    assert not packs_convolutions(precision, torch.device("cuda"))
