"""Patients held out of training: whole ones, the same ones every time, and never too many."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jobs.data.cache import ArrayCache
from jobs.data.collect import collect
from jobs.data.split import held_out, split
from jobs.data.training_set import TrainingSet, load_training_set
from jobs.errors import BadInput
from jobs.ldm.weights import load_networks, load_weights
from jobs.spec import DataSpec, ModelSpec
from tests.jobs.processes import TINY_2D, TINY_3D, prepare, training, work

MODEL = ModelSpec(dimensions=2, size="tiny", image_shape=(16, 16))


def write_image(path: Path, brightness: int = 200) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((16, 16), dtype=np.uint8)
    pixels[4:12] = brightness
    Image.fromarray(pixels).save(path)


def load(path: Path, cache: Path, share: float | None = None) -> TrainingSet:
    return load_training_set(DataSpec(path=str(path), validation_share=share), None, MODEL, cache, lambda: None)


def manifest(folder: Path, entries: list[tuple[str, str, str | None]]) -> Path:
    for name, _, _ in entries:
        write_image(folder / name)
    rows = [{"path": name, "patient": patient} | ({} if said is None else {"split": said}) for name, patient, said in entries]
    (folder / "set.json").write_text(json.dumps(rows))
    return folder / "set.json"


@given(names=st.sets(st.text(min_size=1), min_size=2, max_size=60), share=st.floats(0.01, 0.5))
def test_about_the_share_is_held_out_and_somebody_is_left(names: set[str], share: float) -> None:
    chosen = held_out(names, share, "set")
    assert chosen < names
    assert abs(len(chosen) - share * len(names)) <= 1
    assert held_out(sorted(names, reverse=True), share, "set") == chosen


@given(names=st.sets(st.text(min_size=1), min_size=10, max_size=40), newcomer=st.text(min_size=1))
def test_a_new_patient_moves_at_most_one_of_the_others(names: set[str], newcomer: str) -> None:
    before, after = held_out(names, 0.25, "set"), held_out(names | {newcomer}, 0.25, "set")
    assert len(before - after) <= 1


@pytest.mark.parametrize("patients", [["P1"], ["P1", "P2"]])
def test_too_few_patients_for_a_split_are_refused(patients: list[str]) -> None:
    with pytest.raises(BadInput, match=rf"scans: {len(patients)} patient\(s\) cannot be split with a validation_share of 0\.9"):
        held_out(patients, 0.9, "scans")


def test_all_images_of_a_patient_are_on_one_side(tmp_path: Path) -> None:
    for patient in range(6):
        for number in range(3):
            write_image(tmp_path / f"patient-{patient}" / f"{number}.png")
    images, unseen = split(collect(tmp_path, 2), 0.3, tmp_path)
    assert len({image.patient for image in unseen}) == 2
    assert len(unseen) == 6
    assert not {image.patient for image in images} & {image.patient for image in unseen}


def test_the_manifests_own_split_is_followed(tmp_path: Path) -> None:
    path = manifest(tmp_path, [("a.png", "P1", "train"), ("b.png", "P2", "validation"), ("c.png", "P1", "train")])
    data = load(path, tmp_path / "cache")
    assert (len(data.images), data.patients) == (2, 1)
    assert (len(data.validation_images), data.validation_patients) == (1, 1)


@pytest.mark.parametrize(
    ("entries", "share", "words"),
    [
        ([("a.png", "P1", "train"), ("b.png", "P1", "validation")], None, r"a\.png and b\.png are of one patient"),
        ([("a.png", "P1", "train"), ("b.png", "P2", None)], None, r"b\.png has no 'split' while others do"),
        ([("a.png", "P1", "validation")], None, "leaves no patient to train on"),
        ([("a.png", "P1", "train"), ("b.png", "P2", "validation")], 0.5, "the manifest splits the patients itself"),
        ([("a.png", "P1", "test")], None, "entry 1: split 'test' is neither 'train' nor 'validation'"),
        ([("a.png", "P1", None)], 0.5, r"1 patient\(s\) cannot be split"),
    ],
)
def test_a_split_that_cannot_be_is_refused_naming_the_manifest(
    tmp_path: Path, entries: list[tuple[str, str, str | None]], share: float | None, words: str
) -> None:
    with pytest.raises(BadInput, match=rf"set\.json.*{words}"):
        load(manifest(tmp_path, entries), tmp_path / "cache", share)


@pytest.mark.parametrize("model", [TINY_2D, TINY_3D], ids=["2D", "3D"])
def test_held_out_patients_are_measured_and_not_trained_on(tmp_path: Path, model: dict[str, Any]) -> None:
    directory = prepare(tmp_path / "run", training(model=model, data={"phantom": {"patients": 6}, "validation_share": 0.34}))
    assert work(directory) == 0
    shape = ModelSpec.model_validate(model)
    load_networks(load_weights(directory.weights_file, shape), shape, "monai-generative")  # laid out for validation, written as trained
    weights = torch.load(directory.weights_file, weights_only=True)
    assert (weights["patients"], weights["validation_patients"]) == (4, 2)
    assert 0.3 < weights["validation_loss"] < 3.0
    assert "loss on 2 images of patients never seen" in directory.log_file.read_text()


def test_without_a_split_nothing_is_held_out(tmp_path: Path) -> None:
    write_image(tmp_path / "set" / "a.png")
    data = load(tmp_path / "set", tmp_path / "cache")
    assert (data.validation_images.shape, data.validation_patients) == ((0, 1, 16, 16), 0)


# --- what was done is kept


def test_one_corrupt_file_among_many_is_named_and_costs_only_what_comes_after_it(tmp_path: Path) -> None:
    for number in range(5):
        write_image(tmp_path / "set" / f"{number}.png", 100 + number)
    whole = (tmp_path / "set" / "3.png").read_bytes()
    (tmp_path / "set" / "3.png").write_bytes(whole[:40])
    with pytest.raises(BadInput, match=r"3\.png: not a readable PNG file"):
        load(tmp_path / "set", tmp_path / "cache")
    (tmp_path / "set" / "3.png").write_bytes(whole)
    prepared: list[int] = []
    data = load_training_set(DataSpec(path=str(tmp_path / "set")), None, MODEL, tmp_path / "cache", lambda: prepared.append(1))
    assert len(prepared) == 2, "the three images before it were kept"
    np.testing.assert_array_equal(data.images, load(tmp_path / "set", tmp_path / "anew").images)


def test_images_after_a_changed_one_are_prepared_anew(tmp_path: Path) -> None:
    first = ArrayCache(tmp_path, "images", (1,), "key", ["a", "b", "c"])
    for value in (1, 2, 3):
        first.add_source([np.array([value], dtype=np.float32)])
    again = ArrayCache(tmp_path, "images", (1,), "key", ["a", "x", "c"])
    assert again.sources == 1
    again.add_source([np.array([7], dtype=np.float32)])
    np.testing.assert_array_equal(again.array(), [[1], [7]])
    assert os.stat(tmp_path / "images.f32").st_size == 8
