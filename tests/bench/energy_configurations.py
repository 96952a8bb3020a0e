"""The configurations of the leave-one-configuration-out benchmark, fixed before any model was fitted to them.

2D and 3D, all sizes, both compressions, several batch sizes; small enough for one CPU thread. Each is measured in all five
operations that apply (images are encoded one at a time, so encoding only at batch size 1).
"""

from __future__ import annotations

from jobs.energy.configuration import Configuration
from jobs.energy.grids import operations_of

# (size, image shape, downsampling, batch size)
MODELS: list[tuple[str, tuple[int, ...], int, int]] = [
    ("tiny", (32, 32), 4, 1),
    ("tiny", (32, 32), 4, 8),
    ("tiny", (64, 64), 4, 1),
    ("tiny", (64, 64), 4, 4),
    ("tiny", (64, 64), 4, 16),
    ("tiny", (96, 96), 4, 2),
    ("tiny", (128, 128), 4, 1),
    ("tiny", (128, 128), 4, 4),
    ("tiny", (192, 192), 4, 1),
    ("tiny", (256, 256), 4, 1),
    ("tiny", (64, 64), 8, 1),
    ("tiny", (64, 64), 8, 8),
    ("tiny", (128, 128), 8, 2),
    ("tiny", (192, 128), 8, 2),
    ("tiny", (256, 256), 8, 1),
    ("small", (64, 64), 4, 1),
    ("small", (96, 96), 4, 1),
    ("small", (128, 128), 4, 1),
    ("small", (64, 64), 8, 2),
    ("small", (128, 128), 8, 1),
    ("small", (192, 192), 8, 1),
    ("medium", (64, 64), 4, 1),
    ("medium", (112, 112), 4, 1),
    ("medium", (96, 96), 8, 2),
    ("medium", (128, 128), 8, 1),
    ("large", (64, 64), 4, 1),
    ("large", (96, 96), 4, 1),
    ("large", (64, 64), 8, 1),
    ("large", (128, 128), 8, 2),
    ("tiny", (16, 16, 16), 4, 1),
    ("tiny", (16, 16, 16), 4, 8),
    ("tiny", (24, 24, 24), 4, 2),
    ("tiny", (32, 32, 32), 4, 1),
    ("tiny", (32, 32, 32), 4, 4),
    ("tiny", (48, 48, 48), 4, 1),
    ("tiny", (32, 48, 64), 4, 1),
    ("tiny", (64, 64, 64), 4, 1),
    ("tiny", (16, 16, 16), 8, 2),
    ("tiny", (32, 32, 32), 8, 1),
    ("tiny", (32, 32, 32), 8, 4),
    ("tiny", (48, 48, 48), 8, 2),
    ("tiny", (64, 64, 64), 8, 1),
    ("small", (16, 16, 16), 4, 1),
    ("small", (32, 32, 32), 4, 1),
    ("small", (32, 32, 32), 8, 1),
    ("small", (32, 32, 32), 8, 2),
    ("medium", (16, 16, 16), 4, 1),
    ("medium", (32, 32, 32), 8, 1),
]


def configurations() -> list[Configuration]:
    """Every model with every operation that applies to it."""
    return [configuration for model in MODELS for configuration in operations_of(model)]
