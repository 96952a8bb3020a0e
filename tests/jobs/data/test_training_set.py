"""From folders, manifests and phantoms to arrays: found, cropped, scaled, cached."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from jobs.data.amounts import ImageCounts, image_counts, prepared_counts
from jobs.data.cache import ArrayCache
from jobs.data.collect import collect
from jobs.data.phantom import phantom
from jobs.data.picture import Picture
from jobs.data.prepare import training_images
from jobs.data.split import held_out
from jobs.data.training_set import TrainingSet, load_training_set
from jobs.errors import BadInput, StopRequested, explain
from jobs.outcome import Outcome, OutcomeKind
from jobs.spec import DataSpec, ModelSpec
from tests.jobs.data.test_readers import NIBABEL_DATA, pydicom_file, write_series

MODEL_2D = ModelSpec(dimensions=2, size="tiny", image_shape=(32, 32))
MODEL_3D = ModelSpec(dimensions=3, size="tiny", image_shape=(32, 32, 16))


def never_stop() -> None:
    return


def load(path: Path, model: ModelSpec, cache: Path) -> TrainingSet:
    return load_training_set(DataSpec(path=str(path)), None, model, cache, never_stop)


def write_png(path: Path, brightness: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((40, 20), brightness, dtype=np.uint8)
    pixels[:10] = 0
    Image.fromarray(pixels).save(path)


# --- crop, pad, scale


@settings(max_examples=40, deadline=None)
@given(
    voxels=arrays.arrays(
        np.float32, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40), elements=st.floats(-3000, 3000, width=32)
    ),
)
def test_any_image_becomes_the_asked_shape_within_minus_one_and_one(voxels: NDArray[np.float32]) -> None:
    (image,) = training_images(Picture(voxels, (1.0, 1.0), "hounsfield", Path("x")), (16, 24))
    assert image.shape == (1, 16, 24)
    assert image.dtype == np.float32
    assert image.min() >= -1
    assert image.max() <= 1


def test_the_centre_is_kept_the_window_scaled_and_the_rest_is_air() -> None:
    voxels = np.full((4, 20), 500.0, dtype=np.float32)
    voxels[:, :6] = voxels[:, 14:] = 3000.0  # cropped away
    (image,) = training_images(Picture(voxels, (1.0, 1.0), "hounsfield", Path("x")), (8, 8))
    np.testing.assert_allclose(image[0, 2:6], 0.5, atol=1e-6)
    np.testing.assert_array_equal(image[0, [0, 1, 6, 7]], -1.0)


def test_a_volume_gives_a_flat_model_its_slices_that_show_something() -> None:
    volume = np.zeros((8, 8, 5), dtype=np.float32)
    volume[2, 2, 1] = volume[3, 3, 4] = 1.0
    images = training_images(Picture(volume, (1.0,) * 3, "display", Path("x")), (8, 8))
    assert len(images) == 2
    assert images[1][0, 3, 3] == 1.0


def test_an_mr_image_is_scaled_by_its_own_percentiles() -> None:
    voxels = np.linspace(0, 1000, 1600, dtype=np.float32).reshape(40, 40)
    (image,) = training_images(Picture(voxels, (1.0, 1.0), "relative", Path("x")), (40, 40))
    assert (float(image.min()), float(image.max())) == (-1.0, 1.0)
    assert abs(float(image.mean())) < 0.01


def test_an_mr_image_without_contrast_is_refused() -> None:
    with pytest.raises(BadInput, match=r"flat\.nii: all voxels are alike"):
        training_images(Picture(np.ones((8, 8), dtype=np.float32), (1.0, 1.0), "relative", Path("flat.nii")), (8, 8))


# --- finding


def test_dicom_folders_are_series_in_3d_and_single_images_in_2d(tmp_path: Path) -> None:
    write_series(tmp_path / "anna" / "ct", slices=4)
    write_series(tmp_path / "bert", slices=3)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.dcm").write_text("nor this")
    series = collect(tmp_path, dimensions=3)
    assert [(found.patient, len(found.files)) for found in series] == [("anna", 4), ("bert", 3)]
    assert len(collect(tmp_path, dimensions=2)) == 7


def test_dicom_files_without_an_ending_are_found(tmp_path: Path) -> None:
    (tmp_path / "IM0001").write_bytes(pydicom_file("CT_small.dcm").read_bytes())
    (tmp_path / "README").write_text("no DICOM")
    assert [found.files[0].name for found in collect(tmp_path, dimensions=2)] == ["IM0001"]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no NIfTI, DICOM or grey PNG image found"):
        collect(tmp_path, dimensions=2)


@pytest.mark.parametrize("ending", ["json", "csv"])
def test_a_manifest_names_images_and_patients(tmp_path: Path, ending: str) -> None:
    write_png(tmp_path / "a.png", 100)
    write_png(tmp_path / "deep" / "b, with comma.png", 200)
    manifest = tmp_path / f"set.{ending}"
    entries = [("a.png", "P1"), ("deep/b, with comma.png", "P1")]
    if ending == "json":
        manifest.write_text(json.dumps([{"path": path, "patient": patient} for path, patient in entries]))
    else:
        manifest.write_text("path,patient\n" + "".join(f'"{path}",{patient}\n' for path, patient in entries))
    data = load(manifest, MODEL_2D, tmp_path / "cache")
    assert (len(data.images), data.patients) == (2, 1)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("{", "not a readable manifest"),
        ('{"path": "a.png"}', "a manifest is a list"),
        ('[{"path": "a.png"}]', "entry 1: needs a 'path' and a 'patient'"),
        ('[{"path": "../a.png", "patient": "P"}]', "must be a path below the manifest's folder"),
        ('[{"path": "/etc/passwd", "patient": "P"}]', "must be a path below the manifest's folder"),
        ('[{"path": "absent.png", "patient": "P"}]', "'absent.png' does not exist"),
        ("[]", "the manifest names no images"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_entry(tmp_path: Path, manifest: str, words: str) -> None:
    (tmp_path / "set.json").write_text(manifest)
    with pytest.raises(BadInput, match=words):
        collect(tmp_path / "set.json", dimensions=2)


# --- whole sets


def test_real_files_become_a_training_set(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "brain.nii").write_bytes((NIBABEL_DATA / "anatomical.nii").read_bytes())
    data = load(tmp_path / "set", MODEL_3D, tmp_path / "cache")
    assert data.images.shape == (1, 1, 32, 32, 16)
    assert data.kind == "relative"
    assert data.patients == 1


def test_a_small_real_series_is_padded_with_air(tmp_path: Path) -> None:
    write_series(tmp_path / "set" / "ct", slices=6)
    data = load(tmp_path / "set", MODEL_3D, tmp_path / "cache")
    assert data.images.shape == (1, 1, 32, 32, 16)
    np.testing.assert_array_equal(data.images[0, 0, :, :, :5], -1.0)
    assert data.images[0, 0, :, :, 5:11].max() > -1.0


def test_a_volume_that_is_padded_is_told_once_with_file_axis_and_voxels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "set" / "ct", slices=6)
    caplog.set_level("INFO", logger="jobs")
    load(tmp_path / "set", MODEL_3D, tmp_path / "cache")
    load(tmp_path / "set", MODEL_3D, tmp_path / "cache")  # prepared already

    (line,) = caplog.messages
    assert str(tmp_path / "set" / "ct") in line
    assert line.endswith("smaller than the model's images, padded with air: axis 3 by 10 voxels, from 6 to 16")


def test_a_slice_of_a_volume_that_fills_the_image_is_not_told_as_padded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "brain.nii").write_bytes((NIBABEL_DATA / "anatomical.nii").read_bytes())
    caplog.set_level("INFO", logger="jobs")
    load(tmp_path / "set", ModelSpec(dimensions=2, size="tiny", image_shape=(16, 16)), tmp_path / "cache")

    assert caplog.messages == []


def test_a_png_for_a_3d_model_is_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "set" / "flat.png", 100)
    with pytest.raises(BadInput, match=r"flat\.png: a PNG is flat and this model is 3D"):
        load(tmp_path / "set", MODEL_3D, tmp_path / "cache")


def test_images_of_different_kinds_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.dcm").write_bytes(pydicom_file("CT_small.dcm").read_bytes())
    (tmp_path / "set" / "b.dcm").write_bytes(pydicom_file("MR_small.dcm").read_bytes())
    with pytest.raises(BadInput, match=r"b.dcm: its grey values are relative, those of the images before it are hounsfield"):
        load(tmp_path / "set", MODEL_2D, tmp_path / "cache")


def test_preparation_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    for number in range(5):
        write_png(tmp_path / "set" / f"{number}.png", 50 * number + 40)
    asked = 0

    def stop_at_the_third() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise StopRequested

    with pytest.raises(StopRequested):
        load_training_set(DataSpec(path=str(tmp_path / "set")), None, MODEL_2D, tmp_path / "cut", stop_at_the_third)
    asked = 10
    resumed = load_training_set(DataSpec(path=str(tmp_path / "set")), None, MODEL_2D, tmp_path / "cut", stop_at_the_third)
    assert asked == 13, "only the three missing images were prepared"
    np.testing.assert_array_equal(resumed.images, load(tmp_path / "set", MODEL_2D, tmp_path / "whole").images)


def test_a_changed_file_is_prepared_anew(tmp_path: Path) -> None:
    write_png(tmp_path / "set" / "a.png", 100)
    before = load(tmp_path / "set", MODEL_2D, tmp_path / "cache")
    old_image = np.array(before.images)
    write_png(tmp_path / "set" / "a.png", 255)
    after = load(tmp_path / "set", MODEL_2D, tmp_path / "cache")
    assert after.key != before.key
    assert not np.array_equal(after.images, old_image)


# --- cache


def test_a_cache_with_a_torn_tail_or_a_damaged_index_recovers(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path, "images", (2,), "key")
    cache.add_source([np.array([1, 2], dtype=np.float32)])
    with (tmp_path / "images.f32").open("ab") as file:
        file.write(b"torn")  # a kill while the second source was being written
    again = ArrayCache(tmp_path, "images", (2,), "key")
    again.add_source([np.array([3, 4], dtype=np.float32)])
    np.testing.assert_array_equal(again.array(), [[1, 2], [3, 4]])
    (tmp_path / "images.json").write_text("{")
    assert ArrayCache(tmp_path, "images", (2,), "key").sources == 0
    assert ArrayCache(tmp_path, "images", (2,), "other key").sources == 0


# --- phantoms


@pytest.mark.parametrize("shape", [(64, 64), (32, 32, 32)])
def test_phantoms_are_repeatable_varied_and_look_like_ct(shape: tuple[int, ...]) -> None:
    first, again, other = phantom(1, 4, shape), phantom(1, 4, shape), phantom(1, 5, shape)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 20
    assert first.shape == shape
    for low, high, least in ((-1100, -950, 0.2), (-900, -700, 0.04), (-20, 120, 0.1), (550, 800, 0.002)):  # air, lung, muscle, bone
        assert ((first > low) & (first < high)).mean() > least


def test_the_flat_phantom_is_the_middle_slice_of_its_patient() -> None:
    flat, volume = phantom(0, 3, (64, 64)), phantom(0, 3, (64, 64, 65))
    assert (np.abs(flat - volume[:, :, 32]) < 100).mean() > 0.999  # noise aside


def test_phantom_sets_are_public_and_of_one_patient_each(tmp_path: Path) -> None:
    data = load_training_set(DataSpec.model_validate({"phantom": {"patients": 3}}), None, MODEL_2D, tmp_path, never_stop)
    assert (data.images.shape, data.patients, data.kind) == ((3, 1, 32, 32), 3, "hounsfield")


# --- a kill while a cache is made anew


@pytest.mark.slow
def test_a_kill_anywhere_leaves_no_cache_that_claims_what_it_does_not_hold(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.jobs.data.killed_cache", str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, cwd=Path(__file__).parents[3]).stdout
    kills = re.fullmatch(r"killed (\d+) times\n", told)
    assert kills is not None, told
    assert int(kills.group(1)) > 40


# --- how many there turned out to be


def test_who_did_not_prepare_them_can_still_count_the_images(tmp_path: Path) -> None:
    data = DataSpec.model_validate({"phantom": {"patients": 5}, "validation_share": 0.4})
    nobody_yet = prepared_counts(tmp_path / "cache")
    load_training_set(data, None, MODEL_2D, tmp_path / "cache", never_stop)

    assert nobody_yet is None
    assert prepared_counts(tmp_path / "cache") == image_counts(data) == ImageCounts(training=3, validation=2)


def test_a_damaged_index_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "images.json").write_text('{"counts": [1, 2')
    assert prepared_counts(tmp_path) is None
    (tmp_path / "images.json").write_text("[]")
    assert prepared_counts(tmp_path) is None


def old_name(folder: Path, ending: str) -> Path:
    """'Müller' as an archive of before UTF-8 has it."""
    return folder / (os.fsdecode(b"M\xfcller") + ending)


def test_names_that_are_no_utf8_are_names_as_any(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_png(old_name(folder, ".png"), 100)
    write_png(old_name(folder, "-2.png"), 200)
    first = load(folder, MODEL_2D, tmp_path / "cache")
    assert (first.patients, len(first.images)) == (2, 2)
    write_png(old_name(folder, "-2.png"), 250)
    assert load(folder, MODEL_2D, tmp_path / "cache").key != first.key
    assert len(held_out([old_name(folder, ".png").name, "other"], 0.5, "a set")) == 1


def test_a_reason_that_names_such_a_file_can_be_written_down(tmp_path: Path) -> None:
    broken = old_name(tmp_path, ".png")
    broken.write_bytes(b"no picture")
    with pytest.raises(BadInput) as told:
        load(tmp_path, MODEL_2D, tmp_path / "cache")
    reason, is_retryable = explain(told.value)
    assert not is_retryable
    assert r"M\udcfcller.png" in reason
    assert Outcome(attempt_id="a", kind=OutcomeKind.FAILED, reason=reason, ended_at=datetime(2026, 1, 1, tzinfo=UTC)).model_dump_json()
