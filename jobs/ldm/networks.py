"""The model factory: one neutral description (`jobs.architecture`), two libraries that can build it.

`monai-generative` is the default (the Latent Pollution Model paper's code descends from it); `monai` is its successor
in MONAI core. Both give the same function for the same weights, which `transfer_unet` and its test guarantee: only
with `include_fc=False`, as core otherwise adds a projection that the older library does not have.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from jobs.architecture import Architecture, AutoencoderArchitecture, DiscriminatorArchitecture, UNetArchitecture
from jobs.ldm.randomness import generator
from jobs.lean_monai import core_nets, generative_nets
from jobs.options import Backend as Backend

# Groups of the codebook's moving average. 0.99 (van den Oord et al. 2017) is too slow for runs of a few hundred steps.
_CODEBOOK_DECAY = 0.9


def build_unet(architecture: UNetArchitecture, backend: Backend, flash_attention: bool = False) -> nn.Module:
    """The diffusion UNet: `unet(latents, timesteps=...)` predicts the noise, or the velocity. Flash attention: `monai` only."""
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
        core: dict[str, Any] = {"include_fc": False, "use_flash_attention": flash_attention}
        return _module(nets.DiffusionModelUNet(channels=architecture.channels, **core, **shared))
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


def build_all(
    architecture: Architecture, backend: Backend, seed: int, flash_attention: bool = False
) -> tuple[nn.Module, nn.Module, nn.Module]:
    """UNet, autoencoder and discriminator with weights drawn from `seed`; the process's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(seed, "weights").initial_seed())
        return (
            build_unet(architecture.unet, backend, flash_attention),
            build_autoencoder(architecture.autoencoder, backend),
            build_discriminator(architecture.discriminator, backend),
        )


def checkpoint_gradients(unet: nn.Module) -> None:
    """Keep only the activations between the UNet's blocks; those inside are computed anew on the way back (Chen et al. 2016,
    arXiv 1604.06174). The same losses and gradients, in less memory, for one forward pass more.
    """
    from torch.utils.checkpoint import checkpoint  # brings the compiler along: seconds at a start that few need

    for name, block in unet.named_modules():
        if name == "middle_block" or name.rpartition(".")[0] in ("down_blocks", "up_blocks"):
            # nothing inside draws random numbers, so there is no generator to put back
            block.forward = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)


def checkpoint_autoencoder_gradients(autoencoder: nn.Module) -> None:
    """The same for encoder and decoder, each as a whole: both libraries can do it themselves."""
    autoencoder.use_checkpointing = True  # type: ignore[assignment]  # the libraries' own switch, a plain bool


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
