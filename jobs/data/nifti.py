"""Read NIfTI volumes with nibabel, turned to RAS+ orientation."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from jobs.data.picture import IntensityKind, Picture, check_size, checked_voxels
from jobs.errors import BadInput

# NIfTI does not say what was scanned. Only in CT is a good part of the image air, near -1000 HU. (A single negative
# voxel proves nothing: real MR files have them, from interpolation.)
_AIR_BELOW_HU = -500.0
_AIR_PERCENT = 1.0


def read_nifti(path: Path) -> Picture:
    """The volume of a .nii or .nii.gz file. Raises BadInput naming the file if it is not one sound volume."""
    try:
        stored = nibabel.load(path)
        check_size(stored.shape, path)
        image = nibabel.as_closest_canonical(stored)
        raw = np.asanyarray(image.dataobj)
        spacing_mm = tuple(float(zoom) for zoom in image.header.get_zooms()[:3])
    except BadInput:
        raise
    except Exception as failure:  # nibabel, gzip and zlib each have their own errors for a damaged file
        raise BadInput(f"{path}: not a readable NIfTI file ({' '.join(str(failure).split())[:200]}): replace or remove it") from failure
    while raw.ndim > 3 and raw.shape[-1] == 1:
        raw = raw[..., 0]
    if raw.ndim != 3:
        raise BadInput(f"{path}: has {raw.ndim} dimensions {raw.shape}, but one volume has 3: split it into volumes first")
    voxels = checked_voxels(raw, path)
    kind: IntensityKind = "hounsfield" if float(np.percentile(voxels, _AIR_PERCENT)) < _AIR_BELOW_HU else "relative"
    return Picture(voxels, spacing_mm, kind, path)
