"""What a step's cost is made of: a handful of sizes, counted from the layers, that cost models are linear in."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

from jobs.energy.flops import Operation, passes
from jobs.spec import ModelSpec

# step: 1 for each step, whatever its size. layers: passes of layers, each with its own overhead. flops: as FlopCounterMode
# counts. elements: values read and written by the layers. parameters: weights touched by a step, once each way.
Feature = Literal["step", "layers", "flops", "elements", "parameters"]
FEATURES: tuple[Feature, ...] = get_args(Feature)


@lru_cache(maxsize=16384)
def step_features(model: ModelSpec, operation: Operation, batch_size: int) -> dict[Feature, float]:
    """The features of one step of that operation on a whole batch. Do not change the returned dict: it is shared."""
    layers = flops = elements = parameters = 0
    for layer, count in passes(model, operation):
        layers += count
        flops += count * layer.flops
        elements += count * (layer.inputs + layer.outputs)
        parameters += count * layer.weights
    return {
        "step": 1.0,
        "layers": float(layers),
        "flops": float(flops * batch_size),
        "elements": float(elements * batch_size),
        "parameters": float(parameters),
    }
