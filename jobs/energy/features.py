"""What a step's cost is made of: sizes counted from the layers, that cost models are linear in.

Beside the obvious ones (FLOPs, values moved, weights), some tell what a CPU is slow at. Torch hands a convolution to
oneDNN's blocked kernels unless it is small (`use_mkldnn` in ATen's Convolution.cpp, torch 2.13): then it unfolds the input
into columns, one for each position, and multiplies matrices. In 3D the columns are 27 times the input and that is up to
eight times slower, so the same FLOPs cost several times more at batch size 1 than at 2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

from jobs.energy.configuration import Configuration
from jobs.energy.flops import Operation, passes
from jobs.energy.layers import Layer
from jobs.spec import ModelSpec, Precision

# step: 1 for each step, whatever its size. layers: passes of layers, each with its own overhead. flops: as FlopCounterMode
# counts. elements: values read and written by the layers, far_elements: those of layers that outgrow the cache.
# parameters: weights passed. unfolded_flops: FLOPs of unfolded convolutions, columns: values in their columns, far_columns:
# those that outgrow the cache. transposed_flops: of transposed convolutions. attention: values in attention's products.
# codes: distances to the codebook.
Feature = Literal[
    "step",
    "layers",
    "flops",
    "elements",
    "far_elements",
    "parameters",
    "unfolded_flops",
    "columns",
    "far_columns",
    "transposed_flops",
    "attention",
    "codes",
]
FEATURES: tuple[Feature, ...] = get_args(Feature)
DEVICE_FEATURES: tuple[Feature, ...] = ("step", "layers", "flops", "elements", "parameters")  # what matters on a GPU

_UNFOLDED_BELOW = 20_480  # input values of all but the last side
_BATCH_OF_BLOCKED_POINTWISE = 16
_CACHE_ELEMENTS = 1_500_000  # 6 MB in single precision: what one thread has of a shared cache, more or less


def features_of(configuration: Configuration, operation: Operation) -> dict[Feature, float]:
    """The features of one step of `operation` with the configuration's model and settings. The dict is shared: do not change it."""
    checkpointing = "gradient-checkpointing" in configuration.options
    return _features(
        configuration.model, operation, configuration.batch_size, configuration.precision, configuration.threads, checkpointing
    )


@lru_cache(maxsize=16384)
def _features(
    model: ModelSpec, operation: Operation, batch_size: int, precision: Precision, threads: int, gradient_checkpointing: bool
) -> dict[Feature, float]:
    sums: dict[Feature, float] = dict.fromkeys(FEATURES, 0.0)
    sums["step"] = 1.0
    for layer, count in passes(model, operation, gradient_checkpointing):
        for name, size in _layer_features(layer, model.dimensions, batch_size, precision, threads).items():
            sums[name] += count * size
    return sums


def _layer_features(layer: Layer, dimensions: int, batch_size: int, precision: Precision, threads: int) -> dict[Feature, float]:
    flops, elements = layer.flops * batch_size, (layer.inputs + layer.outputs) * batch_size
    sizes: dict[Feature, float] = {"layers": 1, "flops": flops, "elements": elements, "parameters": layer.weights}
    if elements > _CACHE_ELEMENTS:
        sizes["far_elements"] = elements
    if layer.kind == "attention":
        sizes["attention"] = layer.inputs * batch_size
    elif layer.kind == "codebook":
        sizes["codes"] = layer.outputs * batch_size
    elif layer.kind == "transposed":
        sizes["transposed_flops"] = flops
    elif _is_unfolded(layer, batch_size, precision, threads):
        columns = layer.inputs // layer.stride**dimensions * layer.kernel**dimensions * batch_size
        sizes["unfolded_flops"] = flops
        if layer.kernel > 1:
            sizes["columns"] = columns
            sizes["far_columns"] = columns if columns > _CACHE_ELEMENTS else 0
    return sizes


def _is_unfolded(layer: Layer, batch_size: int, precision: Precision, threads: int) -> bool:
    """Whether a CPU computes this convolution by unfolding; the conditions are torch's."""
    if layer.kind != "convolution" or precision != "float32":
        return False
    if layer.kernel == 1 and layer.stride == 1 and batch_size < _BATCH_OF_BLOCKED_POINTWISE and threads == 1:
        return True
    return layer.kernel <= 3 and batch_size == 1 and layer.leading <= _UNFOLDED_BELOW
