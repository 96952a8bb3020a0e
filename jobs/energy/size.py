"""How big what a job writes is: its finished weights, which move between sites, and its checkpoints."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

from jobs.architecture import architecture_of
from jobs.energy.layers import Layer, decoder_layers, discriminator_layers, encoder_layers, unet_layers
from jobs.spec import ModelSpec, SynthesisWorkload, TrainingWorkload

_BYTES = 4  # of a number: weights and all that is trained with them are in single precision
_ADAM = 3  # of each weight: itself and the optimiser's two moments
_PNDM_STATES = 6  # its latents, the four predictions it remembers and the latents of its first steps


@lru_cache(maxsize=256)
def weights_gb(model: ModelSpec) -> float:
    """Gigabytes (1e9 bytes) of `weights.pt`, within a few per cent: VQ-GAN and UNet, without biases and norms."""
    return (_autoencoder_weights(model) + _unet_weights(model)) * _BYTES / 1e9


@lru_cache(maxsize=256)
def image_gb(model: ModelSpec) -> float:
    """Gigabytes of one image as the networks see it."""
    return model.voxels * _BYTES / 1e9


def checkpoint_gb(workload: TrainingWorkload | SynthesisWorkload, is_of_autoencoder: bool = False) -> float:
    """Gigabytes of one checkpoint, as near as `weights_gb`: of the VQ-GAN's training, of the UNet's, or of a half-made micro-batch."""
    if isinstance(workload, SynthesisWorkload):
        states = _PNDM_STATES if workload.sampler == "pndm" else 1
        return states * workload.batch_size * workload.model.latent_channels * math.prod(workload.model.latent_shape) * _BYTES / 1e9
    return _training_checkpoint_gb(workload.model, is_of_autoencoder, workload.ema_decay is not None)


@lru_cache(maxsize=256)
def _training_checkpoint_gb(model: ModelSpec, is_of_autoencoder: bool, has_average: bool) -> float:
    if is_of_autoencoder:
        networks = architecture_of(model)
        judge = _weights(discriminator_layers(networks.discriminator, model.image_shape))
        return _ADAM * (_autoencoder_weights(model) + judge) * _BYTES / 1e9
    return ((_ADAM + has_average) * _unet_weights(model) + _autoencoder_weights(model)) * _BYTES / 1e9


def _autoencoder_weights(model: ModelSpec) -> int:
    net = architecture_of(model).autoencoder
    return _weights(encoder_layers(net, model.image_shape)) + _weights(decoder_layers(net, model.image_shape))


def _unet_weights(model: ModelSpec) -> int:
    return _weights(unet_layers(architecture_of(model).unet, model.latent_shape))


def _weights(layers: Iterable[Layer]) -> int:
    return sum(layer.weights for layer in layers)
