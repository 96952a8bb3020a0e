"""The shape of every network we train, without torch: what `jobs.ldm.networks` builds and `jobs.energy.flops` counts.

One description with two readers, so that the energy estimate can never be about another network than the one that runs.
Sources: the diffusion UNet is configuration "(256, 512, 768), two residual blocks, attention at the two coarsest levels"
of Pinaya et al. 2022 (arXiv 2209.07162), which the Latent Pollution Model paper names as its base, and narrower siblings;
autoencoder and discriminator follow the same group's VQ-GANs.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.spec import UNET_CHANNELS, ModelSpec

IMAGE_CHANNELS = 1  # one grey value per voxel, CT or MR

# Channels of the VQ-GAN, one per stride-2 stage: two stages compress a side 4 times, three stages 8 times.
_PAPER_STAGES = {4: (128, 256), 8: (128, 256, 512)}
_TINY_STAGES = {4: (16, 32), 8: (16, 32, 32)}

_MOST_DISCRIMINATOR_LAYERS = 3


@dataclass(frozen=True, slots=True)
class UNetArchitecture:
    """The diffusion UNet (DDPM residual blocks, spatial self-attention), on latents of `latent_channels` channels.

    `head_channels` is the level's width where it has attention (one head) and 0 where it has none. The middle block
    always attends and takes the last entry, so the last level always has attention.
    """

    dimensions: int
    latent_channels: int
    channels: tuple[int, ...]
    residual_blocks: int
    attention: tuple[bool, ...]
    head_channels: tuple[int, ...]
    norm_groups: int

    @property
    def time_channels(self) -> int:
        """Width of the time-step embedding after its two linear layers."""
        return 4 * self.channels[0]


@dataclass(frozen=True, slots=True)
class AutoencoderArchitecture:
    """The VQ autoencoder: per stage one stride-2 convolution and `residual_layers` residual units, mirrored in the decoder.

    The codes have as many dimensions as the latent has channels.
    """

    dimensions: int
    image_channels: int
    latent_channels: int
    channels: tuple[int, ...]
    residual_layers: int
    codes: int
    downsample: tuple[int, int, int, int] = (2, 4, 1, 1)  # stride, kernel, dilation, padding
    upsample: tuple[int, int, int, int, int] = (2, 4, 1, 1, 0)  # the same and output padding


@dataclass(frozen=True, slots=True)
class DiscriminatorArchitecture:
    """The patch discriminator: a first convolution and `layers` more, all but the last of stride 2, widths doubling."""

    dimensions: int
    image_channels: int
    channels: int
    layers: int
    kernel: int = 4
    padding: int = 1


@dataclass(frozen=True, slots=True)
class Architecture:
    """Everything that is trained or run for one ModelSpec."""

    unet: UNetArchitecture
    autoencoder: AutoencoderArchitecture
    discriminator: DiscriminatorArchitecture


def architecture_of(model: ModelSpec) -> Architecture:
    """The networks of a model; defined for every ModelSpec that validates."""
    tiny = model.size == "tiny"
    return Architecture(
        unet=_unet(model, tiny),
        autoencoder=AutoencoderArchitecture(
            dimensions=model.dimensions,
            image_channels=IMAGE_CHANNELS,
            latent_channels=model.latent_channels,
            channels=(_TINY_STAGES if tiny else _PAPER_STAGES)[model.latent_downsampling],
            residual_layers=1 if tiny else 2,
            codes=256 if tiny else 8192,
        ),
        discriminator=DiscriminatorArchitecture(
            dimensions=model.dimensions,
            image_channels=IMAGE_CHANNELS,
            channels=16 if tiny else 64,
            layers=discriminator_layers(min(model.image_shape)),
        ),
    )


def discriminator_layers(smallest_side: int) -> int:
    """As many layers as usual (three), fewer where the image is so small that nothing would be left to judge.

    Each layer halves the side once; the last two convolutions (kernel 4, padding 1) take one voxel each.
    """
    layers = _MOST_DISCRIMINATOR_LAYERS
    while layers > 1 and smallest_side // 2**layers < 3:
        layers -= 1
    return layers


def _unet(model: ModelSpec, tiny: bool) -> UNetArchitecture:
    channels = UNET_CHANNELS[model.size]
    attending_levels = 1 if tiny else 2
    attention = tuple(level >= len(channels) - attending_levels for level in range(len(channels)))
    return UNetArchitecture(
        dimensions=model.dimensions,
        latent_channels=model.latent_channels,
        channels=channels,
        residual_blocks=1 if tiny else 2,
        attention=attention,
        head_channels=tuple(width if attends else 0 for width, attends in zip(channels, attention, strict=True)),
        norm_groups=16 if tiny else 32,  # two channels a group at least: a lone value at 1 x 1 cannot be normalised
    )
