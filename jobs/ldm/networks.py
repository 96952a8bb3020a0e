"""The model factory: one neutral description (`jobs.architecture`), two libraries that can build it.

`monai-generative` is the default (the Latent Pollution Model paper's code descends from it); `monai` is its successor
in MONAI core. Both give the same function for the same weights, which `transfer_unet` and its test guarantee: only
with `include_fc=False`, as core otherwise adds a projection that the older library does not have.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from jobs.architecture import Architecture, AutoencoderArchitecture, DiscriminatorArchitecture, UNetArchitecture
from jobs.ldm.randomness import generator
from jobs.lean_monai import core_nets, generative_nets

Backend = Literal["monai-generative", "monai"]

# Groups of the codebook's moving average. 0.99 (van den Oord et al. 2017) is too slow for runs of a few hundred steps.
_CODEBOOK_DECAY = 0.9


def build_unet(architecture: UNetArchitecture, backend: Backend) -> nn.Module:
    """The diffusion UNet: `unet(latents, timesteps=...)` predicts the noise."""
    nets = _nets(backend)
    shared: dict[str, Any] = {
        "spatial_dims": architecture.dimensions,
        "in_channels": architecture.latent_channels,
        "out_channels": architecture.latent_channels,
        "num_res_blocks": architecture.residual_blocks,
        "attention_levels": architecture.attention,
        "num_head_channels": architecture.head_channels,
        "norm_num_groups": architecture.norm_groups,
    }
    if backend == "monai":
        return _module(nets.DiffusionModelUNet(channels=architecture.channels, include_fc=False, **shared))
    return _module(nets.DiffusionModelUNet(num_channels=architecture.channels, **shared))


def build_autoencoder(architecture: AutoencoderArchitecture, backend: Backend) -> nn.Module:
    """The VQ autoencoder: `autoencoder(images)` gives the reconstruction and the quantisation loss."""
    stages = len(architecture.channels)
    return _module(
        _nets(backend).VQVAE(
            spatial_dims=architecture.dimensions,
            in_channels=architecture.image_channels,
            out_channels=architecture.image_channels,
            num_res_layers=architecture.residual_layers,
            num_res_channels=architecture.channels,
            downsample_parameters=(architecture.downsample,) * stages,
            upsample_parameters=(architecture.upsample,) * stages,
            num_embeddings=architecture.codes,
            embedding_dim=architecture.latent_channels,
            decay=_CODEBOOK_DECAY,
            **{_width_argument(backend): architecture.channels},
        )
    )


def build_discriminator(architecture: DiscriminatorArchitecture, backend: Backend) -> nn.Module:
    """The patch discriminator: the last of the list it returns says, patch by patch, real or not.

    Instance norm, so that one image's verdict does not depend on its batch-mates.
    """
    return _module(
        _nets(backend).PatchDiscriminator(
            spatial_dims=architecture.dimensions,
            in_channels=architecture.image_channels,
            num_layers_d=architecture.layers,
            kernel_size=architecture.kernel,
            padding=architecture.padding,
            norm="INSTANCE",
            **{_width_argument(backend): architecture.channels},
        )
    )


def build_all(architecture: Architecture, backend: Backend, seed: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """UNet, autoencoder and discriminator with weights drawn from `seed`; the process's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(seed, "weights").initial_seed())
        return (
            build_unet(architecture.unet, backend),
            build_autoencoder(architecture.autoencoder, backend),
            build_discriminator(architecture.discriminator, backend),
        )


def transfer_unet(weights: dict[str, Tensor], unet: nn.Module) -> None:
    """Load weights trained with monai-generative into MONAI core's UNet. The autoencoders share their names already."""
    unet.load_old_state_dict(dict(weights))  # type: ignore[operator]  # core's own migration; it empties the dict it is given


def _nets(backend: Backend) -> Any:
    """The library's module of networks. Untyped: neither library has type information."""
    return core_nets if backend == "monai" else generative_nets


def _width_argument(backend: Backend) -> str:
    return "channels" if backend == "monai" else "num_channels"


def _module(network: Any) -> nn.Module:
    assert isinstance(network, nn.Module)
    return network
