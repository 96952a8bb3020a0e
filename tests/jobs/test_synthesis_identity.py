"""Every sample exactly once, with the same bytes, however the work is cut, killed or spread."""

from __future__ import annotations

import gzip
import random
import signal
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from jobs.outcome import OutcomeKind
from jobs.rundir import RunDirectory
from tests.jobs.processes import TINY_2D, TINY_3D, Worker, new_attempt, prepare, synthesis, training, work


@pytest.fixture(scope="module")
def weights(trained: RunDirectory) -> str:
    return str(trained.weights_file)


def prepare_range(path: Path, weights: str, first: int, count: int, workload: dict[str, Any] | None = None) -> RunDirectory:
    return prepare(
        path,
        workload or synthesis(),
        samples={"first": first, "count": count},
        weights_path=weights,
        checkpoint_every_seconds=1e-6,
    )


def files(*directories: RunDirectory) -> dict[str, bytes]:
    """Name -> content of all samples; fails if two directories hold the same one."""
    found = [path for directory in directories for path in sorted(directory.samples.iterdir())]
    contents = {path.name: path.read_bytes() for path in found}
    assert len(contents) == len(found)
    return contents


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, weights: str) -> RunDirectory:
    directory = prepare_range(tmp_path_factory.mktemp("whole") / "run", weights, 0, 10)
    assert work(directory) == 0
    return directory


def test_samples_are_recorded_with_digest_and_fingerprint(uninterrupted: RunDirectory) -> None:
    records = uninterrupted.sample_records()
    assert [record.index for record in records] == list(range(10))
    assert len({record.sha256 for record in records}) == 10, "different seeds, different samples"
    assert len({record.fingerprint for record in records}) == 1
    assert "backend=monai-generative" in records[0].fingerprint
    assert "threads=1" in records[0].fingerprint
    last = uninterrupted.last_progress()
    assert last is not None
    assert (last.step, last.of) == (10, 10)


def test_cut_into_chunks_the_samples_have_the_same_bytes(tmp_path: Path, weights: str, uninterrupted: RunDirectory) -> None:
    chunks = [prepare_range(tmp_path / f"chunk-{first}", weights, first, count) for first, count in ((8, 2), (0, 4), (4, 4))]
    assert [work(chunk) for chunk in chunks] == [0, 0, 0]
    assert files(*chunks) == files(uninterrupted)


def test_killed_stopped_and_damaged_the_samples_have_the_same_bytes(tmp_path: Path, weights: str, uninterrupted: RunDirectory) -> None:
    directory = prepare_range(tmp_path / "run", weights, 0, 10)
    worker = Worker(directory)
    worker.wait_until(lambda: bool(list(directory.checkpoints.glob("*.pt"))))  # in the middle of the first micro-batch
    worker.send(signal.SIGTERM)
    assert worker.wait() == 75
    worker = Worker(new_attempt(directory, 2))
    worker.wait_until(lambda: len(directory.sample_records()) >= 5)
    worker.send(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    done = directory.sample_records()
    damaged = directory.artifacts / done[1].file
    damaged.write_bytes(damaged.read_bytes()[:-3])
    untouched = directory.artifacts / done[0].file
    before = untouched.stat().st_mtime_ns
    assert work(new_attempt(directory, 3)) == 0
    assert files(directory) == files(uninterrupted)
    assert untouched.stat().st_mtime_ns == before, "what was sound is not made again"
    assert [record.sha256 for record in directory.sample_records()] == [record.sha256 for record in uninterrupted.sample_records()]


def test_a_finished_range_is_left_as_it_is(uninterrupted: RunDirectory) -> None:
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.samples.iterdir()}
    assert work(new_attempt(uninterrupted, 2)) == 0
    assert {path: path.stat().st_mtime_ns for path in uninterrupted.samples.iterdir()} == before
    assert len(uninterrupted.samples_file.read_text().splitlines()) == 10


def test_flat_samples_are_16_bit_png(uninterrupted: RunDirectory) -> None:
    with Image.open(uninterrupted.samples / "000003.png") as image:
        assert image.size == (16, 16)
        assert np.asarray(image).dtype == np.uint16


def failure_of(directory: RunDirectory) -> tuple[str, bool]:
    assert work(directory) == 1
    outcome = directory.read_outcome("attempt-1")
    assert outcome is not None
    assert outcome.kind is OutcomeKind.FAILED
    return outcome.reason, outcome.retryable


def test_weights_of_another_configuration_are_refused_naming_both(tmp_path: Path, weights: str) -> None:
    other = {**TINY_2D, "image_shape": [32, 16]}
    reason, retryable = failure_of(prepare_range(tmp_path / "run", weights, 0, 10, synthesis(model=other)))
    assert not retryable
    assert "trained with image_shape [16, 16]; this job asks for image_shape [32, 16]" in reason


def test_missing_and_broken_weights_are_named(tmp_path: Path, weights: str) -> None:
    absent = str(tmp_path / "absent.pt")
    assert f"weights {absent} do not exist" in failure_of(prepare_range(tmp_path / "one", absent, 0, 4))[0]
    broken = tmp_path / "broken.pt"
    broken.write_bytes(Path(weights).read_bytes()[:5000])
    assert f"weights {broken} cannot be read" in failure_of(prepare_range(tmp_path / "two", str(broken), 0, 4))[0]


def test_weights_that_make_no_images_are_named_and_nothing_is_delivered(tmp_path: Path, weights: str) -> None:
    content = torch.load(weights, weights_only=True)
    next(iter(content["unet"].values())).fill_(float("nan"))
    spoilt = tmp_path / "spoilt.pt"
    torch.save(content, spoilt)
    directory = prepare_range(tmp_path / "run", str(spoilt), 0, 4)
    reason, retryable = failure_of(directory)
    assert f"weights {spoilt} make samples that are no numbers" in reason
    assert not retryable
    assert directory.sample_records() == []


@pytest.mark.parametrize(
    ("first", "count", "words"), [(2, 4, "first is 2"), (0, 6, "first + count is 6"), (8, 4, "reach beyond the job's 10")]
)
def test_a_range_that_splits_a_micro_batch_is_refused(tmp_path: Path, weights: str, first: int, count: int, words: str) -> None:
    reason, retryable = failure_of(prepare_range(tmp_path / "run", weights, first, count))
    assert words in reason
    assert not retryable


@pytest.mark.slow
def test_volumes_cut_into_chunks_have_the_same_bytes_and_a_sensible_header(tmp_path: Path) -> None:
    training_run = prepare(tmp_path / "training", training(model=TINY_3D))
    assert work(training_run) == 0
    weights = str(training_run.weights_file)
    workload = synthesis(model=TINY_3D, samples=4, batch_size=2, sampler="pndm")
    whole = prepare_range(tmp_path / "whole", weights, 0, 4, workload)
    chunks = [prepare_range(tmp_path / f"chunk-{first}", weights, first, 2, workload) for first in (0, 2)]
    assert [work(directory) for directory in (whole, *chunks)] == [0, 0, 0]
    assert files(*chunks) == files(whole)
    content = (whole.samples / "000000.nii.gz").read_bytes()
    volume = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
    assert volume.get_data_dtype() == np.int16
    assert nibabel.aff2axcodes(volume.affine) == ("R", "A", "S")
    assert -1000 <= volume.get_fdata().min() <= volume.get_fdata().max() <= 1000
    np.testing.assert_allclose(volume.affine @ [3.5, 3.5, 3.5, 1], [0, 0, 0, 1], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"sampler": "pndm"}, {"backend": "monai"}, {"precision": "bfloat16"}], ids=str)
def test_other_settings_are_just_as_repeatable(tmp_path: Path, weights: str, changes: dict[str, Any]) -> None:
    workload = synthesis(**changes)
    whole = prepare_range(tmp_path / "whole", weights, 0, 10, workload)
    chunks = [prepare_range(tmp_path / f"chunk-{first}", weights, first, count, workload) for first, count in ((0, 8), (8, 2))]
    assert [work(directory) for directory in (whole, *chunks)] == [0, 0, 0]
    assert files(*chunks) == files(whole)


@pytest.mark.slow
def test_ddpm_at_full_length_is_repeatable_after_a_kill(tmp_path: Path, weights: str) -> None:
    workload = synthesis(sampler="ddpm", inference_steps=1000, samples=2, batch_size=2)
    whole, cut = (prepare_range(tmp_path / name, weights, 0, 2, workload) for name in ("whole", "cut"))
    assert work(whole) == 0
    worker = Worker(cut)
    worker.wait_until(lambda: any(int(path.name[:12]) > 300 for path in cut.checkpoints.glob("*.pt")))
    worker.send(signal.SIGKILL)
    worker.wait()
    assert work(new_attempt(cut, 2)) == 0
    assert files(cut) == files(whole)


@pytest.mark.slow
def test_killed_ten_times_two_hundred_samples_are_all_there_and_the_same(tmp_path: Path, weights: str) -> None:
    workload = synthesis(samples=200, batch_size=8, inference_steps=4)
    whole, cut = (prepare_range(tmp_path / name, weights, 0, 200, workload) for name in ("whole", "cut"))
    assert work(whole) == 0
    draw = random.Random(11)
    for number, count in enumerate(sorted(draw.sample(range(1, 150), 10)), 1):
        worker = Worker(new_attempt(cut, number))
        worker.wait_until(lambda least=count: len(cut.sample_records()) >= least)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        worker.send(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL
    assert work(new_attempt(cut, 11)) == 0
    assert files(cut) == files(whole)
    assert len(files(cut)) == 200
