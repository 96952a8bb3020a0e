"""The model factory: both libraries build the same function, and weights come from the seed alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from jobs.architecture import architecture_of
from jobs.ldm.networks import build_all, build_autoencoder, build_unet, transfer_unet
from jobs.spec import ModelSpec

MODELS = [
    ModelSpec(dimensions=2, size="tiny", image_shape=(32, 32)),
    ModelSpec(dimensions=3, size="tiny", image_shape=(16, 16, 16)),
    ModelSpec(dimensions=2, size="tiny", image_shape=(64, 32), latent_downsampling=8),
]


def awaken(network: nn.Module) -> nn.Module:
    """Give the last layer weights: the libraries start it at zero, which would make any two networks equal."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.05, generator=torch.Generator().manual_seed(1))
    return network.eval()


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_transferred_weights_give_the_same_noise_prediction(model: ModelSpec) -> None:
    architecture = architecture_of(model)
    older, core = awaken(build_all(architecture, "monai-generative", seed=0)[0]), build_unet(architecture.unet, "monai").eval()
    transfer_unet(older.state_dict(), core)
    latents = torch.randn(2, model.latent_channels, *model.latent_shape, generator=torch.Generator().manual_seed(2))
    levels = torch.tensor([3, 800])
    with torch.no_grad():
        expected, actual = older(latents, timesteps=levels), core(latents, timesteps=levels)
    assert expected.std() > 0.01
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_autoencoders_of_both_libraries_share_weights_and_answers(model: ModelSpec) -> None:
    architecture = architecture_of(model).autoencoder
    older, core = build_autoencoder(architecture, "monai-generative").eval(), build_autoencoder(architecture, "monai").eval()
    core.load_state_dict(older.state_dict())
    image = torch.rand(1, 1, *model.image_shape, generator=torch.Generator().manual_seed(3)) * 2 - 1
    with torch.no_grad():
        assert torch.equal(core(image)[0], older(image)[0])
        assert core.encode(image).shape[1:] == (model.latent_channels, *model.latent_shape)  # type: ignore[operator]  # monai-generative is untyped


def test_weights_are_drawn_from_the_seed_alone_and_disturb_no_other_draw() -> None:
    architecture = architecture_of(MODELS[0])
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = build_all(architecture, "monai-generative", seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(10)
    again = build_all(architecture, "monai-generative", seed=1)
    other = build_all(architecture, "monai-generative", seed=2)
    for one, two in zip(first, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert not torch.equal(next(first[1].parameters()), next(other[1].parameters()))
