"""Read DICOM with pydicom: single images, or a folder that holds one series, sorted by position, in Hounsfield units for CT."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_rescale

from jobs.data.picture import IntensityKind, Picture, check_size, checked_voxels
from jobs.errors import BadInput

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_GAP_TOLERANCE = 0.1  # of the usual distance between slices


def read_dicom_image(path: Path) -> Picture:
    """One image as it is stored (an X-ray, a slice); first axis left to right, second bottom to top, as in a volume."""
    dataset = _read(path)
    pixels = _pixels(dataset, path)
    rows_mm, columns_mm = _pixel_spacing(dataset)
    return Picture(np.ascontiguousarray(pixels[::-1].T), (columns_mm, rows_mm), _kind(dataset), path)


def read_dicom_series(files: list[Path]) -> Picture:
    """One volume from the files of one series, in any order. Raises BadInput naming the file that does not fit."""
    slices = sorted(((_read(path), path) for path in files), key=lambda each: _position(*each))
    first, first_path = slices[0]
    for dataset, path in slices[1:]:
        _check_same_series(first, first_path, dataset, path)
    step_mm = _check_distances(slices)
    stack = np.stack([_pixels(dataset, path).T for dataset, path in slices], axis=-1)  # columns, rows, slices
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(stack, _affine(first, step_mm)))
    spacing_mm = tuple(float(zoom) for zoom in canonical.header.get_zooms()[:3])
    voxels = np.ascontiguousarray(np.asanyarray(canonical.dataobj), dtype=np.float32)
    return Picture(voxels, spacing_mm, _kind(first), first_path.parent)


def _read(path: Path) -> Dataset:
    try:
        return pydicom.dcmread(path)
    except Exception as failure:  # pydicom's own errors, and those of its parsers on damaged files
        raise BadInput(f"{path}: not a readable DICOM file ({' '.join(str(failure).split())[:200]}): replace or remove it") from failure


def _pixels(dataset: Dataset, path: Path) -> NDArray[np.float32]:
    """Grey values with the modality's rescaling applied (Hounsfield units for CT)."""
    if dataset.get("SamplesPerPixel", 1) != 1:
        raise BadInput(f"{path}: a colour image: give grey images")
    check_size([int(dataset.get(side) or 1) for side in ("NumberOfFrames", "Rows", "Columns")], path)
    try:
        raw = apply_rescale(dataset.pixel_array, dataset)
    except Exception as failure:  # missing pixel data, or a compression without a decoder
        raise BadInput(f"{path}: its pixels cannot be read ({' '.join(str(failure).split())[:200]})") from failure
    if raw.ndim != 2:
        raise BadInput(f"{path}: holds {raw.shape[0]} frames: give one image per file")
    return checked_voxels(raw, path)


def _kind(dataset: Dataset) -> IntensityKind:
    return "hounsfield" if dataset.get("Modality") == "CT" else "relative"


def _pixel_spacing(dataset: Dataset) -> tuple[float, float]:
    spacing = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing") or (1.0, 1.0)
    return float(spacing[0]), float(spacing[1])


def _directions(dataset: Dataset, path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors along a row, down a column and through the slices (PS3.3, C.7.6.2.1.1), in LPS."""
    try:
        cosines = np.array([float(value) for value in dataset.ImageOrientationPatient])
        return cosines[:3], cosines[3:], np.cross(cosines[:3], cosines[3:])
    except (AttributeError, TypeError) as missing:
        raise BadInput(f"{path}: has no ImageOrientationPatient, so its place in a volume is unknown") from missing


def _position(dataset: Dataset, path: Path) -> float:
    """Where the slice lies along the normal of its series, mm."""
    normal = _directions(dataset, path)[2]
    try:
        return float(np.dot(normal, [float(value) for value in dataset.ImagePositionPatient]))
    except (AttributeError, TypeError) as missing:
        raise BadInput(f"{path}: has no ImagePositionPatient, so its place in the volume is unknown") from missing


def _check_same_series(first: Dataset, first_path: Path, dataset: Dataset, path: Path) -> None:
    if first.get("SeriesInstanceUID") != dataset.get("SeriesInstanceUID"):
        raise BadInput(f"{path}: belongs to another series than {first_path.name} in the same folder: one series a folder")
    if (first.Rows, first.Columns) != (dataset.Rows, dataset.Columns):
        raise BadInput(f"{path}: has {dataset.Rows} x {dataset.Columns} pixels, {first_path.name} has {first.Rows} x {first.Columns}")
    if not np.allclose(_directions(first, first_path)[2], _directions(dataset, path)[2], atol=1e-3):
        raise BadInput(f"{path}: is tilted against {first_path.name} of the same series: they do not make one volume")


def _check_distances(slices: list[tuple[Dataset, Path]]) -> float:
    """The distance between slices, mm. Raises BadInput where a slice is missing or doubled."""
    if len(slices) < 2:
        raise BadInput(f"{slices[0][1]}: a single slice is no volume: give the whole series, or train a 2D model")
    positions_mm = np.array([_position(dataset, path) for dataset, path in slices])
    gaps_mm = np.diff(positions_mm)
    usual_mm = float(np.median(gaps_mm))
    for index, gap_mm in enumerate(gaps_mm):
        if gap_mm < 1e-3:
            raise BadInput(f"{slices[index + 1][1]}: lies where {slices[index][1].name} lies: one of them is a duplicate")
        if abs(gap_mm - usual_mm) > _GAP_TOLERANCE * usual_mm:
            pair = f"{slices[index][1].name} and {slices[index + 1][1].name}"
            raise BadInput(f"{slices[index + 1][1]}: {gap_mm:.2f} mm between {pair} instead of {usual_mm:.2f}: a slice is missing")
    return usual_mm


def _affine(first: Dataset, step_mm: float) -> NDArray[np.float64]:
    """From (column, row, slice) to RAS millimetres, for nibabel."""
    along_row, down_column, normal = _directions(first, Path())
    rows_mm, columns_mm = _pixel_spacing(first)
    affine = np.eye(4)
    affine[:3, 0] = along_row * columns_mm
    affine[:3, 1] = down_column * rows_mm
    affine[:3, 2] = normal * step_mm
    affine[:3, 3] = [float(value) for value in first.ImagePositionPatient]
    return np.asarray(_LPS_TO_RAS @ affine)
