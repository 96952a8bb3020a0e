"""Readers on real files (those inside nibabel and pydicom) and on files spoiled in every way we could think of."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pydicom.data
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from jobs.data.dicom import read_dicom_image, read_dicom_series
from jobs.data.nifti import read_nifti
from jobs.data.png import read_png
from jobs.errors import BadInput

NIBABEL_DATA = Path(nibabel.__file__).parent / "tests" / "data"


def pydicom_file(name: str) -> Path:
    return Path(str(pydicom.data.get_testdata_file(name)))


def write_series(folder: Path, slices: int = 5, change: Callable[[int, Dataset], None] = lambda _number, _dataset: None) -> list[Path]:
    """A series made from pydicom's real CT slice, named so that names and positions disagree; slice n is n HU brighter."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(slices):
        dataset = pydicom.dcmread(pydicom_file("CT_small.dcm"))
        x, y, z = (float(value) for value in dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = [x, y, z + 5.0 * number]
        dataset.PixelData = (dataset.pixel_array + number).tobytes()
        dataset.SOPInstanceUID = f"1.2.3.{number}"
        change(number, dataset)
        path = folder / f"{(number * 7) % slices:03d}.dcm"
        dataset.save_as(path)
        paths.append(path)
    return paths


# --- NIfTI


def test_a_real_nifti_volume_is_read_and_turned_to_ras() -> None:
    picture = read_nifti(NIBABEL_DATA / "anatomical.nii")
    assert picture.voxels.shape == (33, 41, 25)
    assert picture.voxels.dtype == np.float32
    assert picture.kind == "relative"
    assert picture.spacing_mm == (2.0, 2.0, 2.0)
    stored = nibabel.load(NIBABEL_DATA / "anatomical.nii")
    assert nibabel.aff2axcodes(stored.affine) == ("L", "A", "S")
    np.testing.assert_array_equal(picture.voxels, np.asanyarray(stored.dataobj)[::-1])


def test_a_volume_stored_in_another_orientation_gives_the_same_picture(tmp_path: Path) -> None:
    straight = nibabel.as_closest_canonical(nibabel.load(NIBABEL_DATA / "anatomical.nii"))
    turned = straight.as_reoriented(nibabel.orientations.axcodes2ornt("SLP"))
    assert nibabel.aff2axcodes(turned.affine) != nibabel.aff2axcodes(straight.affine)
    nibabel.save(turned, tmp_path / "turned.nii.gz")
    np.testing.assert_array_equal(read_nifti(tmp_path / "turned.nii.gz").voxels, read_nifti(NIBABEL_DATA / "anatomical.nii").voxels)


def test_ct_values_are_recognised_in_nifti(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.linspace(-1000, 900, 64).reshape(4, 4, 4).astype(np.int16), np.eye(4)), tmp_path / "ct.nii")
    assert read_nifti(tmp_path / "ct.nii").kind == "hounsfield"


def test_a_real_four_dimensional_file_is_refused() -> None:
    with pytest.raises(BadInput, match=r"example4d.nii.gz: has 4 dimensions \(128, 96, 24, 2\)"):
        read_nifti(NIBABEL_DATA / "example4d.nii.gz")


def test_not_a_number_is_refused_naming_file_and_count(tmp_path: Path) -> None:
    voxels = np.zeros((4, 4, 4), dtype=np.float32)
    voxels[0, :2, 0] = np.nan
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "holes.nii")
    with pytest.raises(BadInput, match=r"holes\.nii: 2 voxels are NaN or infinite"):
        read_nifti(tmp_path / "holes.nii")


def test_complex_voxels_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4), dtype=np.complex64), np.eye(4)), tmp_path / "k-space.nii")
    with pytest.raises(BadInput, match=r"k-space\.nii: voxels of type complex64"):
        read_nifti(tmp_path / "k-space.nii")


@pytest.mark.parametrize("name", ["cut.nii", "cut.nii.gz", "empty.nii", "text.nii.gz"])
def test_a_damaged_nifti_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "cut.nii":
        path.write_bytes((NIBABEL_DATA / "anatomical.nii").read_bytes()[:3000])
    elif name == "cut.nii.gz":
        path.write_bytes((NIBABEL_DATA / "example4d.nii.gz").read_bytes()[:3000])
    else:
        path.write_bytes(b"" if name == "empty.nii" else b"not an image")
    with pytest.raises(BadInput, match=f"{name}: not a readable NIfTI file"):
        read_nifti(path)


@pytest.mark.parametrize("name", ["bomb.nii", "bomb.nii.gz"])
def test_a_header_that_announces_more_than_any_scan_is_refused_before_reading(tmp_path: Path, name: str) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((32767, 32767, 32767))
    content = header.binaryblock + bytes(4 + 1000)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(BadInput, match=f"{name}: its header announces 32767 x 32767 x 32767 voxels"):
        read_nifti(tmp_path / name)


# --- DICOM


def test_a_dicom_header_that_announces_more_than_any_scan_is_refused_before_reading(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(pydicom_file("CT_small.dcm"))
    dataset.Rows = dataset.Columns = 65535
    dataset.save_as(tmp_path / "bomb.dcm")
    with pytest.raises(BadInput, match=r"bomb\.dcm: its header announces 1 x 65535 x 65535 voxels"):
        read_dicom_image(tmp_path / "bomb.dcm")


def test_a_real_ct_slice_is_read_in_hounsfield_units() -> None:
    path = pydicom_file("CT_small.dcm")
    picture = read_dicom_image(path)
    stored = pydicom.dcmread(path)
    assert (stored.RescaleSlope, stored.RescaleIntercept) == (1, -1024)
    np.testing.assert_array_equal(picture.voxels.T[::-1], stored.pixel_array - 1024.0)
    assert picture.kind == "hounsfield"
    assert picture.spacing_mm == pytest.approx((0.661468, 0.661468))


def test_a_real_mr_slice_has_its_own_scale() -> None:
    picture = read_dicom_image(pydicom_file("MR_small.dcm"))
    assert picture.kind == "relative"
    assert picture.voxels.shape == (64, 64)


def test_a_series_is_sorted_by_position_whatever_its_file_names(tmp_path: Path) -> None:
    picture = read_dicom_series(sorted(write_series(tmp_path)))
    assert picture.voxels.shape == (128, 128, 5)
    brightness = picture.voxels.mean(axis=(0, 1))
    np.testing.assert_allclose(np.diff(brightness), 1.0, atol=1e-4)
    assert picture.spacing_mm == pytest.approx((0.661468, 0.661468, 5.0))


def test_a_series_agrees_with_its_slices_once_turned_to_ras(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    lowest = next(path for path in paths if pydicom.dcmread(path).SOPInstanceUID == "1.2.3.0")
    # DICOM columns run to the patient's left and rows to the back; RAS runs right and front
    expected = (pydicom.dcmread(lowest).pixel_array - 1024.0).T[::-1, ::-1]
    np.testing.assert_array_equal(read_dicom_series(paths).voxels[:, :, 0], expected)


def other_series(number: int, dataset: Dataset) -> None:
    if number == 3:
        dataset.SeriesInstanceUID = "9.9.9"


def missing_slice(number: int, dataset: Dataset) -> None:
    if number == 4:
        dataset.ImagePositionPatient[2] += 5.0


def duplicate(number: int, dataset: Dataset) -> None:
    if number == 4:
        dataset.ImagePositionPatient[2] -= 5.0


def tilted(number: int, dataset: Dataset) -> None:
    if number == 2:
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 0.9, 0.4359]


def no_position(number: int, dataset: Dataset) -> None:
    if number == 2:
        del dataset.ImagePositionPatient


def other_size(number: int, dataset: Dataset) -> None:
    if number == 2:
        dataset.Rows, dataset.Columns = 64, 256


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (other_series, "belongs to another series than"),
        (missing_slice, r"10\.00 mm between .* instead of 5\.00: a slice is missing"),
        (duplicate, "lies where .* lies: one of them is a duplicate"),
        (tilted, "is tilted against"),
        (no_position, "has no ImagePositionPatient"),
        (other_size, "has 64 x 256 pixels"),
    ],
)
def test_a_series_that_makes_no_volume_is_refused_naming_the_file(
    tmp_path: Path, spoil: Callable[[int, Dataset], None], words: str
) -> None:
    with pytest.raises(BadInput, match=rf"\d\d\d\.dcm: {words}"):
        read_dicom_series(write_series(tmp_path, change=spoil))


def test_one_cut_off_file_among_many_is_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    paths[2].write_bytes(paths[2].read_bytes()[:9000])
    with pytest.raises(BadInput, match=paths[2].name):
        read_dicom_series(paths)


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "SC_rgb_small_odd.dcm"])
def test_colour_images_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match=f"{name}: a colour image"):
        read_dicom_image(pydicom_file(name))


def test_a_single_slice_is_no_volume() -> None:
    with pytest.raises(BadInput, match="a single slice is no volume"):
        read_dicom_series([pydicom_file("CT_small.dcm")])


# --- PNG


@pytest.mark.parametrize(("kind", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_a_grey_png_spans_black_to_white(tmp_path: Path, kind: type[np.generic], white: int) -> None:
    pixels = np.array([[0, white], [white, 0], [0, 0]], dtype=kind)  # three rows
    Image.fromarray(pixels).save(tmp_path / "image.png")
    picture = read_png(tmp_path / "image.png")
    assert picture.kind == "display"
    np.testing.assert_allclose(picture.voxels, [[0, 1, 0], [0, 0, 1]])  # first axis to the right, second upwards


def test_a_colour_png_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(tmp_path / "colour.png")
    with pytest.raises(BadInput, match=r"colour\.png: PNG mode 'RGB' is not grey"):
        read_png(tmp_path / "colour.png")


def test_a_cut_off_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BadInput, match=r"cut\.png: not a readable PNG file"):
        read_png(path)
