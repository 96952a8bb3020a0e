"""What an operation of a workload computes, exact and without torch.

FLOPs count 2 per multiply-add of convolutions and matrix products: the same count as torch's FlopCounterMode gives for the
networks that `jobs.ldm.networks` builds. Norms, activations and Fourier transforms are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

from jobs.architecture import Architecture, architecture_of
from jobs.energy.layers import Layer, codebook_layer, decoder_layers, discriminator_layers, encoder_layers, unet_layers
from jobs.spec import ModelSpec

# train: a step of the diffusion UNet on latents. denoise: one forward pass of it. encode, decode: image to latent and back.
# vqgan: a step of the autoencoder and its discriminator.
Operation = Literal["train", "denoise", "encode", "decode", "vqgan"]
OPERATIONS: tuple[Operation, ...] = ("train", "denoise", "encode", "decode", "vqgan")


@lru_cache(maxsize=4096)
def sample_flops(model: ModelSpec, operation: Operation, gradient_checkpointing: bool = False) -> int:
    """FLOPs of one operation per sample; those of a batch are this times its size."""
    return sum(layer.flops * count for layer, count in passes(model, operation, gradient_checkpointing))


def passes(model: ModelSpec, operation: Operation, gradient_checkpointing: bool = False) -> Iterator[tuple[Layer, int]]:
    """Every layer of an operation and how often it is passed; a gradient costs as much as a forward pass.

    Gradient checkpointing passes most layers of the trained UNet and autoencoder once more. What a moving average of the
    weights adds to a step (two operations for each weight) is nothing beside it, and not counted.
    """
    networks = architecture_of(model)
    if operation == "denoise":
        return _forward(unet_layers(networks.unet, model.latent_shape))
    if operation == "train":
        return _trained(unet_layers(networks.unet, model.latent_shape), gradient_checkpointing)
    if operation == "vqgan":
        return _vqgan(networks, model, gradient_checkpointing)
    return _half_autoencoder(networks, model, operation)


def _half_autoencoder(networks: Architecture, model: ModelSpec, operation: Operation) -> Iterator[tuple[Layer, int]]:
    """Encoder or decoder; both look the codes up."""
    half = encoder_layers if operation == "encode" else decoder_layers
    yield codebook_layer(networks.autoencoder, model.image_shape), 1
    yield from _forward(half(networks.autoencoder, model.image_shape))


def _vqgan(networks: Architecture, model: ModelSpec, gradient_checkpointing: bool) -> Iterator[tuple[Layer, int]]:
    """A step of the autoencoder, judged by the discriminator, then a step of the discriminator."""
    shape = model.image_shape
    yield from _trained(encoder_layers(networks.autoencoder, shape), gradient_checkpointing)
    yield codebook_layer(networks.autoencoder, shape), 2  # the codes learn by a moving average: one more product of that size
    yield from _trained(decoder_layers(networks.autoencoder, shape), gradient_checkpointing)
    for layer in discriminator_layers(networks.discriminator, shape):
        # The generator needs a verdict and its gradient down to the image, the discriminator sees a real and a made image.
        yield layer, 2 + 2 * _training_passes(layer)


def _forward(layers: Iterable[Layer]) -> Iterator[tuple[Layer, int]]:
    return ((layer, 1) for layer in layers)


def _trained(layers: Iterable[Layer], gradient_checkpointing: bool) -> Iterator[tuple[Layer, int]]:
    return ((layer, _training_passes(layer) + (layer.recomputed and gradient_checkpointing)) for layer in layers)


def _training_passes(layer: Layer) -> int:
    """Forward, gradient of the weights, and gradient of the input unless that is data."""
    return 3 if layer.input_gradient else 2
