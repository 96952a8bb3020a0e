"""How big the finished weights of a model are: what moving them to another site transfers."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain

from jobs.architecture import architecture_of
from jobs.energy.layers import decoder_layers, encoder_layers, unet_layers
from jobs.spec import ModelSpec

_BYTES_PER_PARAMETER = 4  # weights are stored in single precision


@lru_cache(maxsize=256)
def weights_gb(model: ModelSpec) -> float:
    """Gigabytes (1e9 bytes) of `weights.pt`, within a few per cent: VQ-GAN and UNet, without biases and norms."""
    nets = architecture_of(model)
    layers = chain(
        unet_layers(nets.unet, model.latent_shape),
        encoder_layers(nets.autoencoder, model.image_shape),
        decoder_layers(nets.autoencoder, model.image_shape),
    )
    return sum(layer.weights for layer in layers) * _BYTES_PER_PARAMETER / 1e9
