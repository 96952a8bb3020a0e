"""Which configurations a profiling measures: enough to fit every operation in 2D and 3D within minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from jobs.energy.configuration import Configuration, Option
from jobs.energy.flops import OPERATIONS, Operation
from jobs.spec import ModelSpec, Precision

# (size, image shape, downsampling, batch size), cheapest first, so that an interrupted profiling has covered most.
_Model = tuple[str, tuple[int, ...], int, int]

_CPU: list[_Model] = [
    ("tiny", (32, 32), 4, 1),
    ("tiny", (64, 64), 4, 1),
    ("tiny", (64, 64), 4, 4),
    ("tiny", (64, 64), 4, 16),
    ("tiny", (64, 64), 8, 4),
    ("tiny", (128, 128), 4, 2),
    ("tiny", (256, 256), 8, 1),
    ("small", (64, 64), 8, 1),
    ("small", (96, 96), 4, 1),
    ("tiny", (16, 16, 16), 4, 1),
    ("tiny", (16, 16, 16), 4, 8),
    ("tiny", (32, 32, 32), 4, 1),
    ("tiny", (32, 32, 32), 4, 4),
    ("tiny", (48, 48, 48), 8, 1),
    ("tiny", (64, 64, 64), 4, 1),
    ("small", (16, 16, 16), 4, 1),
    ("small", (32, 32, 32), 8, 1),
]

# The images of the Latent Pollution Model paper, in three sizes and both compressions.
_GPU: list[_Model] = [
    ("tiny", (64, 64), 4, 4),
    ("tiny", (32, 32, 32), 4, 1),
    *((size, (side, side), 4, 1) for size in ("small", "large") for side in (192, 256, 320, 512)),
    *((size, (side, side), 4, 8) for size in ("small", "large") for side in (192, 256)),
    ("medium", (256, 256), 4, 1),
    ("large", (256, 256), 8, 1),
    ("large", (512, 512), 8, 4),
    *((size, (side, side, side), 4, 1) for size in ("small", "large") for side in (64, 128)),
    ("medium", (128, 128, 128), 4, 1),
    ("large", (64, 64, 64), 4, 4),
    ("large", (128, 128, 128), 8, 1),
    ("large", (192, 192, 192), 8, 1),
    ("large", (192, 192, 192), 4, 1),
    ("large", (256, 256, 192), 4, 1),
]


# Of which every way to compute is measured beside the plain way; each is in the list above, too.
_COMPARED: dict[Literal["cpu", "gpu"], list[_Model]] = {
    "cpu": [("tiny", (64, 64), 4, 4), ("tiny", (32, 32, 32), 4, 4)],
    "gpu": [("large", (256, 256), 4, 1), ("large", (128, 128, 128), 4, 1)],
}

# What each of them changes: only the UNet is compiled or has attention, and only training keeps gradients.
_CHANGED: dict[Option | Literal["bfloat16"], tuple[Operation, ...]] = {
    "gradient-checkpointing": ("train", "vqgan"),
    "channels-last": ("train", "denoise", "decode", "vqgan"),
    "flash-attention": ("train", "denoise"),
    "tf32": ("train", "denoise", "decode", "vqgan"),
    "bfloat16": ("train", "denoise", "decode", "vqgan"),
    "compile": ("train", "denoise"),
}


def comparison_grid(
    kind: Literal["cpu", "gpu"], threads: int = 1, bfloat16: bool = False, compiled: bool = False, tf32: bool = False
) -> list[Configuration]:
    """Other ways to compute what the standard grid in float32 has: what do they cost or save?

    bfloat16 only pays where the device has it (elsewhere a step takes many times longer), TF32 is refused without; compiling
    takes a minute a step.
    """
    grid: list[Configuration] = []
    left_out = {"bfloat16": not bfloat16, "compile": not compiled, "tf32": not tf32}
    for change, operations in _CHANGED.items():
        if left_out.get(change, False):
            continue
        twins = (each for model in _COMPARED[kind] for each in operations_of(model, threads=threads) if each.work in operations)
        grid += [replace(each, precision="bfloat16") if change == "bfloat16" else replace(each, options=(change,)) for each in twins]
    return grid


def standard_grid(kind: Literal["cpu", "gpu"], precision: Precision = "float32", threads: int = 1) -> list[Configuration]:
    """All operations of the usual models for that kind of device."""
    models = _CPU if kind == "cpu" else _GPU
    return [each for model in models for each in operations_of(model, precision, threads)]


def operations_of(model: _Model, precision: Precision = "float32", threads: int = 1) -> Sequence[Configuration]:
    """Every operation that applies to a model; images are encoded one at a time, so encoding only at batch size 1."""
    size, shape, downsampling, batch_size = model
    document = {"dimensions": len(shape), "size": size, "image_shape": shape, "latent_downsampling": downsampling}
    spec = ModelSpec.model_validate(document)
    operations = [operation for operation in OPERATIONS if operation != "encode" or batch_size == 1]
    return [Configuration(operation, spec, batch_size, precision, threads) for operation in operations]
