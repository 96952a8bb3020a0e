"""One image as read from a file, before it is cropped and scaled, and the checks that every reader shares.

Reading and orientation are not MONAI's LoadImage and Orientation, whose errors are those of the libraries beneath them. Here each fault,
be it a slice that is missing or a voxel that is no number, is a BadInput of one sentence that names the file and what is wrong with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from jobs.errors import BadInput

# hounsfield: CT, absolute; display: 8- or 16-bit grey, the whole range counts; relative: MR and others, each image has its own scale
IntensityKind = Literal["hounsfield", "display", "relative"]

MOST_VOXELS = 2**30  # 1024 x 1024 x 1024, the largest a model can take; 4 GiB as float32


@dataclass(frozen=True, slots=True)
class Picture:
    """Grey values on a grid. A volume's axes run towards the patient's right, front and head (RAS+); spacing in mm."""

    voxels: NDArray[np.float32]
    spacing_mm: tuple[float, ...]
    kind: IntensityKind
    source: Path


def check_size(shape: Sequence[int], source: Path) -> None:
    """Before a voxel is read. Raises BadInput for more of them than any scan has: a damaged or made-up header would fill the memory."""
    voxels = math.prod(shape)
    if voxels > MOST_VOXELS:
        sides = " x ".join(map(str, shape))
        raise BadInput(f"{source}: its header announces {sides} voxels, more than any scan has: replace, crop or leave out this image")


def checked_voxels(raw: NDArray[np.generic], source: Path) -> NDArray[np.float32]:
    """The values as float32. Raises BadInput, naming the file, for types that hold no grey values, NaN and infinity."""
    if raw.dtype.kind not in "iuf":
        raise BadInput(f"{source}: voxels of type {raw.dtype} are no grey values: convert the image to one number per voxel")
    voxels = raw.astype(np.float32)
    if not np.isfinite(voxels).all():
        broken = int(np.count_nonzero(~np.isfinite(voxels)))
        raise BadInput(f"{source}: {broken} voxels are NaN or infinite: repair or leave out this image")
    return voxels
