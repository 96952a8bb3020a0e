"""From pictures to what networks train on: cropped or padded to one shape, scaled to -1..1, through MONAI transforms.

Centre crop and padding, no resampling, as in the Latent Pollution Model paper; the CT window is MedLoRD's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from jobs.data.collect import ImageFiles
from jobs.data.dicom import read_dicom_image, read_dicom_series
from jobs.data.nifti import read_nifti
from jobs.data.picture import Picture
from jobs.data.png import read_png
from jobs.errors import BadInput
from jobs.lean_monai import CenterSpatialCrop, Compose, ScaleIntensityRange, SpatialPad

CT_WINDOW_HU = (-1000.0, 1000.0)
_RELATIVE_PERCENTILES = (0.5, 99.5)  # the few brightest voxels of an MR image would darken all others
_BACKGROUND = -1.0

Array = NDArray[np.float32]


def read_picture(image: ImageFiles, dimensions: int) -> Picture:
    """Read one picture in whatever format it is. Raises BadInput, naming the file, for anything unsound."""
    if image.format == "nifti":
        return read_nifti(image.files[0])
    if dimensions == 3:
        if image.format == "png":
            raise BadInput(f"{image.files[0]}: a PNG is flat and this model is 3D: give NIfTI volumes or DICOM series")
        return read_dicom_series(list(image.files))
    return read_png(image.files[0]) if image.format == "png" else read_dicom_image(image.files[0])


def training_images(picture: Picture, shape: tuple[int, ...]) -> list[Array]:
    """The picture as arrays of `shape` with one channel in front. A volume gives a 2D model all its slices that show something."""
    low, high = _window(picture)
    to_shape = Compose(
        [
            ScaleIntensityRange(low, high, -1.0, 1.0, clip=True),
            SpatialPad(shape, mode="constant", constant_values=_BACKGROUND),
            CenterSpatialCrop(shape),
        ]
    )
    return [np.ascontiguousarray(np.asarray(to_shape(view[np.newaxis])), dtype=np.float32) for view in _views(picture, len(shape))]


def _window(picture: Picture) -> tuple[float, float]:
    """The values that become -1 and 1."""
    if picture.kind == "hounsfield":
        return CT_WINDOW_HU
    if picture.kind == "display":
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(picture.voxels, _RELATIVE_PERCENTILES))
    if not low < high:
        raise BadInput(f"{picture.source}: all voxels are alike: an image without contrast cannot be trained on")
    return low, high


def _views(picture: Picture, dimensions: int) -> Iterator[Array]:
    if picture.voxels.ndim == dimensions:
        yield picture.voxels
    else:  # a volume for a 2D model: its axial slices
        for height in range(picture.voxels.shape[2]):
            flat = picture.voxels[:, :, height]
            if float(flat.min()) < float(flat.max()):
                yield flat
