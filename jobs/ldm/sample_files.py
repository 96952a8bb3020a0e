"""Samples as files: NIfTI for volumes, PNG for flat images, with the same bytes for the same values every time."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.data.picture import IntensityKind
from jobs.data.prepare import CT_WINDOW_HU

_GZIP_LEVEL = 6
_WHITE = 65535


def sample_name(index: int, dimensions: int) -> str:
    """Relative to `artifacts/`."""
    return f"samples/{index:06d}{'.nii.gz' if dimensions == 3 else '.png'}"


def encode_sample(image: NDArray[np.float32], kind: IntensityKind, spacing_mm: Sequence[float]) -> bytes:
    """The file of one image given in -1..1; what lies outside is clipped, as the training images were.

    Volumes: int16 Hounsfield units if the training images had them, else float32 in -1..1; RAS+, centred at the origin.
    Flat images: 16-bit grey, black -1 and white 1.
    """
    clipped = np.clip(image, -1.0, 1.0)
    return _nifti(clipped, kind, spacing_mm) if image.ndim == 3 else _png(clipped)


def _nifti(image: NDArray[np.float32], kind: IntensityKind, spacing_mm: Sequence[float]) -> bytes:
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = [-(side - 1) / 2 * mm for side, mm in zip(image.shape, spacing_mm, strict=True)]
    volume = nibabel.Nifti1Image(_hounsfield(image) if kind == "hounsfield" else image, affine)
    volume.header.set_xyzt_units("mm")
    return gzip.compress(volume.to_bytes(), compresslevel=_GZIP_LEVEL, mtime=0)  # a time stamp would make every file differ


def _hounsfield(image: NDArray[np.float32]) -> NDArray[np.int16]:
    low, high = CT_WINDOW_HU
    return np.asarray(np.rint(low + (image + 1) / 2 * (high - low)), dtype=np.int16)


def _png(image: NDArray[np.float32]) -> bytes:
    """Rows from top to bottom: the reverse of how the reader turns a PNG."""
    grey = np.asarray(np.rint((image + 1) / 2 * _WHITE), dtype=np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey.T[::-1])).save(buffer, format="PNG")
    return buffer.getvalue()
