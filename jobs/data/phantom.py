"""Seeded phantom patients: CT-like slices and volumes made of ellipsoids, varied from patient to patient.

Not anatomy, but a distribution worth learning in seconds: a body with a fat rim, two lungs, heart, liver, spine and ribs'
worth of bone, in one patient of two a lung lesion, in Hounsfield units with scanner noise. Patient n of a seed is the same
everywhere; nothing here is anybody's data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Volume = NDArray[np.float32]

AIR_HU, FAT_HU, MUSCLE_HU, LUNG_HU, HEART_HU, LIVER_HU, BONE_HU, LESION_HU = -1000.0, -90.0, 45.0, -800.0, 40.0, 65.0, 650.0, 50.0
NOISE_HU = 12.0


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """One organ in coordinates where the image spans -1..1 on each axis (right to left, back to front, feet to head)."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    hounsfield: float


def phantom(seed: int, patient: int, shape: tuple[int, ...]) -> Volume:
    """The image of one patient in Hounsfield units: a volume, or for two sides the slice through its middle."""
    draw = np.random.default_rng([seed, patient])
    grid = _coordinates(shape)
    image = np.full(shape, AIR_HU, dtype=np.float32)
    for organ in _organs(draw):
        image[_inside(organ, grid)] = organ.hounsfield
    image += draw.normal(0.0, NOISE_HU, size=shape).astype(np.float32)
    return image


def _organs(draw: np.random.Generator) -> list[Ellipsoid]:
    """Painted in this order: later organs lie inside earlier ones."""

    def near(value: float, spread: float = 0.08) -> float:
        return float(value * draw.normal(1.0, spread))

    width, depth = near(0.85, 0.05), near(0.62, 0.06)
    shift = float(draw.normal(0.0, 0.03))
    rim = float(draw.uniform(0.03, 0.10))
    left = Ellipsoid((shift + near(0.40), near(0.05), 0.1), (near(0.26), near(0.40), near(0.75)), LUNG_HU)
    right = Ellipsoid((shift - near(0.40), near(0.05), 0.1), (near(0.28), near(0.42), near(0.75)), LUNG_HU)
    organs = [
        Ellipsoid((shift, 0.0, 0.0), (width, depth, 1.6), FAT_HU),
        Ellipsoid((shift, 0.0, 0.0), (width - rim, depth - rim, 1.6), MUSCLE_HU),
        left,
        right,
        Ellipsoid((shift + near(0.10), near(0.18), near(-0.1)), (near(0.22), near(0.20), near(0.30)), HEART_HU),
        Ellipsoid((shift - near(0.35), 0.0, near(-0.75)), (near(0.40), near(0.38), near(0.35)), LIVER_HU),
        Ellipsoid((shift, near(-0.38), 0.0), (near(0.10), near(0.11), 1.6), BONE_HU),
        Ellipsoid((shift, near(0.50), 0.1), (near(0.06), near(0.03), near(0.5)), BONE_HU),
    ]
    if draw.random() < 0.5:
        organs.append(_lesion(draw, left if draw.random() < 0.5 else right))
    return organs


def _lesion(draw: np.random.Generator, lung: Ellipsoid) -> Ellipsoid:
    """A solid nodule somewhere well inside a lung, near the middle slice."""
    x, y, _ = (centre + radius * float(draw.uniform(-0.5, 0.5)) for centre, radius in zip(lung.centre, lung.radii, strict=True))
    radius = float(draw.uniform(0.05, 0.11))
    return Ellipsoid((x, y, float(draw.uniform(-0.05, 0.05))), (radius, radius, radius), LESION_HU)


def _coordinates(shape: tuple[int, ...]) -> list[Volume]:
    """Open coordinate grids; a two-sided image lies at height 0."""
    axes = [(np.arange(side, dtype=np.float32) + 0.5) * 2 / side - 1 for side in shape]
    grids = [np.asarray(grid, dtype=np.float32) for grid in np.meshgrid(*axes, indexing="ij", sparse=True)]
    return grids if len(shape) == 3 else [*grids, np.zeros((1, 1), dtype=np.float32)]


def _inside(organ: Ellipsoid, grid: list[Volume]) -> NDArray[np.bool_]:
    terms = [((axis - centre) / radius) ** 2 for axis, centre, radius in zip(grid, organ.centre, organ.radii, strict=True)]
    return np.asarray(terms[0] + terms[1] + terms[2] <= 1.0)
