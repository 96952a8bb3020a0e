"""A real CT of a head, from Debian's package `invesalius-examples` (`deploy/install-services.sh`), through our readers."""

from __future__ import annotations

import plistlib
import tarfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import generate_uid

from jobs.data.dicom import read_dicom_series
from jobs.data.nifti import read_nifti
from jobs.data.training_set import load_training_set
from jobs.errors import BadInput
from jobs.spec import DataSpec, ModelSpec
from tests.jobs.data.test_readers import pydicom_file
from tests.jobs.processes import prepare, training, work

HEAD = Path("/usr/share/doc/invesalius-examples/examples/Cranium.inv3")

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(not HEAD.exists(), reason="needs Debian's package invesalius-examples: run deploy/install-services.sh"),
]


@pytest.fixture(scope="module")
def head() -> tuple[NDArray[np.int16], tuple[float, ...]]:
    """Hounsfield units (slice, row, column) and the spacing in mm (column, row, slice) of an InVesalius project."""
    with tarfile.open(HEAD) as project:
        members = {Path(member.name).name: project.extractfile(member) for member in project.getmembers() if member.isfile()}
        about = members["main.plist"]
        assert about is not None
        facts: dict[str, Any] = plistlib.load(about)
        matrix = members[facts["matrix"]["filename"]]
        assert matrix is not None
        voxels = np.frombuffer(matrix.read(), dtype="<i2").reshape(facts["matrix"]["shape"])
    return voxels, tuple(facts["spacing"])


@pytest.fixture(scope="module")
def nifti(tmp_path_factory: pytest.TempPathFactory, head: tuple[NDArray[np.int16], tuple[float, ...]]) -> Path:
    """The head as a NIfTI file, stored to the left and to the back as scanners do."""
    voxels, spacing_mm = head
    path = tmp_path_factory.mktemp("head") / "patient" / "head.nii.gz"
    path.parent.mkdir()
    affine = np.diag([-spacing_mm[0], -spacing_mm[1], spacing_mm[2], 1.0])
    nibabel.save(nibabel.Nifti1Image(voxels.transpose(2, 1, 0), affine), path)
    return path


def write_slices(folder: Path, voxels: NDArray[np.int16], spacing_mm: tuple[float, ...]) -> list[Path]:
    """The head as a DICOM series."""
    series, paths = generate_uid(), []
    for number, pixels in enumerate(voxels):
        dataset = pydicom.dcmread(pydicom_file("CT_small.dcm"))
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.PixelSpacing = [spacing_mm[1], spacing_mm[0]]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.ImagePositionPatient = [0, 0, number * spacing_mm[2]]
        dataset.RescaleIntercept, dataset.RescaleSlope = 0, 1
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = series, generate_uid()
        dataset.PixelRepresentation = 1
        dataset.PixelData = pixels.tobytes()
        paths.append(folder / f"{number:03d}.dcm")
        dataset.save_as(paths[-1])
    return paths


def test_the_head_is_recognised_as_ct_with_air_brain_and_bone(nifti: Path) -> None:
    picture = read_nifti(nifti)
    assert picture.kind == "hounsfield"
    assert picture.voxels.shape == (256, 256, 108)
    assert picture.spacing_mm == pytest.approx((0.957, 0.957, 1.5), abs=1e-3)
    assert 0.5 < (picture.voxels < -900).mean() < 0.8, "air"
    assert 0.1 < (abs(picture.voxels - 30) < 60).mean() < 0.3, "soft tissue"
    assert 0.03 < (picture.voxels > 300).mean() < 0.15, "bone"


def test_as_dicom_and_as_nifti_it_is_the_same_picture(
    tmp_path: Path, nifti: Path, head: tuple[NDArray[np.int16], tuple[float, ...]]
) -> None:
    series = read_dicom_series(write_slices(tmp_path, *head))
    from_nifti = read_nifti(nifti)
    assert series.kind == from_nifti.kind
    assert series.spacing_mm == pytest.approx(from_nifti.spacing_mm, abs=1e-4)
    np.testing.assert_array_equal(series.voxels, from_nifti.voxels)


@pytest.mark.parametrize(
    ("shape", "count"),
    [(shape, 1) for shape in ((64, 64, 64), (128, 128, 128), (192, 192, 192), (256, 256, 192))]
    + [((side, side), 108) for side in (192, 256, 320, 512)],
    ids=str,
)
def test_it_is_cropped_and_padded_to_the_papers_sizes(tmp_path: Path, nifti: Path, shape: tuple[int, ...], count: int) -> None:
    model = ModelSpec.model_validate({"dimensions": len(shape), "size": "tiny", "image_shape": shape})
    data = load_training_set(DataSpec(path=str(nifti.parent)), None, model, tmp_path, lambda: None)
    assert data.images.shape == (count, 1, *shape)
    assert (float(data.images.min()), float(data.images.max())) == (-1.0, 1.0), "clipped to the window of -1000 to 1000 HU"
    assert data.kind == "hounsfield"


@pytest.mark.parametrize("shape", [(192, 192, 192), (256, 256, 192)], ids=str)
def test_where_the_head_ends_air_is_added_evenly(tmp_path: Path, nifti: Path, shape: tuple[int, int, int]) -> None:
    model = ModelSpec(dimensions=3, size="tiny", image_shape=shape)
    image = load_training_set(DataSpec(path=str(nifti.parent)), None, model, tmp_path, lambda: None).images[0, 0]
    head, cropped = read_nifti(nifti).voxels.clip(-1000, 1000) / 1000, (256 - shape[0]) // 2
    above = (shape[2] - 108) // 2
    assert (image[:, :, :above] == -1).all()
    assert (image[:, :, above + 108 :] == -1).all()
    side = slice(cropped, 256 - cropped)
    np.testing.assert_allclose(image[:, :, above : above + 108], head[side, side], atol=1e-6)


def test_one_patient_is_too_few_for_a_split(tmp_path: Path, nifti: Path) -> None:
    model = ModelSpec(dimensions=2, size="tiny", image_shape=(64, 64))
    with pytest.raises(BadInput, match=r"1 patient\(s\) cannot be split with a validation_share of 0\.1"):
        load_training_set(DataSpec(path=str(nifti.parent), validation_share=0.1), None, model, tmp_path, lambda: None)


def test_a_network_trains_on_it(tmp_path: Path, nifti: Path) -> None:
    model = {"dimensions": 3, "size": "tiny", "image_shape": [32, 32, 32]}
    workload = training(model=model, data={"path": str(nifti), "class": "public"}, iterations=4, autoencoder_iterations=2, batch_size=1)
    directory = prepare(tmp_path / "run", workload, data_path=str(nifti))
    assert work(directory) == 0
    assert "training on 1 images of 1 patients" in directory.log_file.read_text()
