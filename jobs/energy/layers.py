"""The layers of our networks as numbers: a walk over each architecture that needs no torch, no weights and no memory.

Follows the construction of `DiffusionModelUNet`, `VQVAE` and `PatchDiscriminator` in monai-generative 0.2.3 (MONAI core
1.6.0 builds the same with `include_fc=False`). One Layer stands for one convolution or matrix product at batch size 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from jobs.architecture import AutoencoderArchitecture, DiscriminatorArchitecture, UNetArchitecture

Kind = Literal["convolution", "transposed", "linear", "attention", "codebook"]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer computes in a forward pass of one sample.

    flops counts 2 per multiply-add, of convolutions and matrix products only (as torch's FlopCounterMode does).
    inputs, outputs and weights are numbers of elements. `leading` is a convolution's input channels times its first two
    sides, by which torch chooses the algorithm on a CPU. `recomputed`: training with gradient checkpointing passes it once more.
    """

    kind: Kind
    flops: int
    inputs: int
    outputs: int
    weights: int
    input_gradient: bool = True  # False where the input is data, so that training computes no gradient for it
    kernel: int = 1
    stride: int = 1
    leading: int = 0
    recomputed: bool = False


def unet_layers(net: UNetArchitecture, latent_shape: Shape) -> Iterator[Layer]:
    """One denoise step: the UNet on one latent."""
    return _UNetWalk(net, latent_shape).layers()


class _UNetWalk:
    """The UNet level by level, as its constructor lays it out."""

    def __init__(self, net: UNetArchitecture, latent_shape: Shape) -> None:
        self._net = net
        self._shapes = [tuple(side // 2**level for side in latent_shape) for level in range(len(net.channels))]

    def layers(self) -> Iterator[Layer]:
        net, first = self._net, self._net.channels[0]
        yield _linear(1, first, net.time_channels, input_gradient=False)
        yield _linear(1, net.time_channels, net.time_channels)
        yield _convolution(self._shapes[0], net.latent_channels, first, 3, input_gradient=False)
        for level in range(len(net.channels)):
            yield from _checkpointed(self._down(level))
        yield from _checkpointed(self._middle())
        for level in reversed(range(len(net.channels))):
            yield from _checkpointed(self._up(level))
        yield _convolution(self._shapes[0], first, net.latent_channels, 3)

    def _down(self, level: int) -> Iterator[Layer]:
        width, channels = self._net.channels[max(level - 1, 0)], self._net.channels[level]
        for _ in range(self._net.residual_blocks):
            yield from self._residual_block(level, width, channels)
            width = channels
            if self._net.attention[level]:
                yield from self._attention(level)
        if level + 1 < len(self._net.channels):
            yield _convolution(self._shapes[level + 1], channels, channels, 3, stride=2)

    def _middle(self) -> Iterator[Layer]:
        level, channels = len(self._net.channels) - 1, self._net.channels[-1]
        yield from self._residual_block(level, channels, channels)
        yield from self._attention(level)
        yield from self._residual_block(level, channels, channels)

    def _up(self, level: int) -> Iterator[Layer]:
        width = self._net.channels[min(level + 1, len(self._net.channels) - 1)]
        channels, blocks = self._net.channels[level], self._net.residual_blocks + 1
        for block in range(blocks):
            last_skip = self._net.channels[max(level - 1, 0)]  # the last skip was made before this level's own blocks
            yield from self._residual_block(level, width + (last_skip if block == blocks - 1 else channels), channels)
            width = channels
            if self._net.attention[level]:
                yield from self._attention(level)
        if level > 0:
            yield _convolution(self._shapes[level - 1], channels, channels, 3)

    def _residual_block(self, level: int, inputs: int, outputs: int) -> Iterator[Layer]:
        shape = self._shapes[level]
        yield _convolution(shape, inputs, outputs, 3)
        yield _linear(1, self._net.time_channels, outputs)
        yield _convolution(shape, outputs, outputs, 3)
        if inputs != outputs:
            yield _convolution(shape, inputs, outputs, 1)

    def _attention(self, level: int) -> Iterator[Layer]:
        """Query, key and value of every position, all against all; the paper's networks have no projection after it."""
        positions, channels = math.prod(self._shapes[level]), self._net.channels[level]
        for _ in range(3):
            yield _linear(positions, channels, channels)
        for _ in range(2):  # query x key, then weights x value; the number of heads does not change the count
            product = 2 * positions * positions * channels
            yield Layer("attention", product, positions * (channels + positions), positions * channels, 0)


def _checkpointed(block: Iterable[Layer]) -> Iterator[Layer]:
    """The layers of a block whose inside gradient checkpointing computes twice: all but the last, whose output nobody needs."""
    *inside, last = block
    yield from (replace(layer, recomputed=True) for layer in inside)
    yield last


def encoder_layers(net: AutoencoderArchitecture, image_shape: Shape) -> Iterator[Layer]:
    """Image to latent, before the codebook."""
    return _checkpointed(_encoder(net, image_shape))


def _encoder(net: AutoencoderArchitecture, image_shape: Shape) -> Iterator[Layer]:
    shape, width = image_shape, net.image_channels
    stride, kernel, _, _ = net.downsample
    for stage, channels in enumerate(net.channels):
        shape = tuple(side // stride for side in shape)
        yield _convolution(shape, width, channels, kernel, stride=stride, input_gradient=stage > 0)
        yield from _residual_units(net, shape, channels)
        width = channels
    yield _convolution(shape, width, net.latent_channels, 3)


def codebook_layer(net: AutoencoderArchitecture, image_shape: Shape) -> Layer:
    """Distances of every latent vector to every code; differentiated around, not through."""
    positions = math.prod(image_shape) // net.downsample[0] ** (len(net.channels) * net.dimensions)
    values = positions * net.latent_channels
    return Layer("codebook", 2 * values * net.codes, values, positions * net.codes, net.codes * net.latent_channels, False)


def decoder_layers(net: AutoencoderArchitecture, image_shape: Shape) -> Iterator[Layer]:
    """Quantised latent to image."""
    return _checkpointed(_decoder(net, image_shape))


def _decoder(net: AutoencoderArchitecture, image_shape: Shape) -> Iterator[Layer]:
    stride, kernel = net.upsample[0], net.upsample[1]
    shape = tuple(side // stride ** len(net.channels) for side in image_shape)
    yield _convolution(shape, net.latent_channels, net.channels[-1], 3)
    following = (*reversed(net.channels[:-1]), net.image_channels)
    for channels, outputs in zip(reversed(net.channels), following, strict=True):
        yield from _residual_units(net, shape, channels)
        yield _transposed_convolution(shape, channels, outputs, kernel, stride)
        shape = tuple(side * stride for side in shape)


def discriminator_layers(net: DiscriminatorArchitecture, image_shape: Shape) -> Iterator[Layer]:
    """Image to one verdict per patch. Its input is a reconstruction or a real image: see `flops` for which gradients count."""
    shape, width = image_shape, net.image_channels
    channels = net.channels
    strides = (2,) * net.layers + (1,)  # the first convolution and all layers but the last halve
    for index, stride in enumerate(strides):
        shape = tuple((side + 2 * net.padding - net.kernel) // stride + 1 for side in shape)
        yield _convolution(shape, width, channels, net.kernel, stride=stride, input_gradient=index > 0)
        width, channels = channels, channels * 2
    shape = tuple(side + 2 * ((net.kernel - 1) // 2) - net.kernel + 1 for side in shape)
    yield _convolution(shape, width, 1, net.kernel)


def _residual_units(net: AutoencoderArchitecture, shape: Shape, channels: int) -> Iterator[Layer]:
    for _ in range(2 * net.residual_layers):
        yield _convolution(shape, channels, channels, 3)


def _convolution(output_shape: Shape, inputs: int, outputs: int, kernel: int, stride: int = 1, input_gradient: bool = True) -> Layer:
    positions, weights = math.prod(output_shape), inputs * outputs * kernel ** len(output_shape)
    consumed = positions * stride ** len(output_shape) * inputs
    leading = inputs * output_shape[0] * output_shape[1] * stride**2
    return Layer("convolution", 2 * positions * weights, consumed, positions * outputs, weights, input_gradient, kernel, stride, leading)


def _transposed_convolution(input_shape: Shape, inputs: int, outputs: int, kernel: int, stride: int) -> Layer:
    positions, weights = math.prod(input_shape), inputs * outputs * kernel ** len(input_shape)
    made = positions * stride ** len(input_shape) * outputs
    return Layer("transposed", 2 * positions * weights, positions * inputs, made, weights, kernel=kernel, stride=stride)


def _linear(rows: int, inputs: int, outputs: int, input_gradient: bool = True) -> Layer:
    return Layer("linear", 2 * rows * inputs * outputs, rows * inputs, rows * outputs, inputs * outputs, input_gradient)
