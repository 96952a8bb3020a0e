"""The training set of a run: found, read, prepared and cached, or drawn by the phantom generator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.data.amounts import TRAINING_CACHE, VALIDATION_CACHE
from jobs.data.cache import ArrayCache
from jobs.data.collect import ImageFiles, collect, digest
from jobs.data.phantom import phantom
from jobs.data.picture import IntensityKind, Picture
from jobs.data.prepare import read_picture, training_images
from jobs.data.split import held_out, split
from jobs.errors import BadInput
from jobs.session import log
from jobs.spec import DataSpec, ModelSpec, PhantomData


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Images of one channel scaled to -1..1, with what is known about them. `key` changes when any of it does.

    `validation_images` are of patients that are not among the training's; none where nobody is held out.
    """

    images: NDArray[np.float32]
    kind: IntensityKind
    spacing_mm: tuple[float, ...]
    patients: int
    key: str
    validation_images: NDArray[np.float32]
    validation_patients: int


@dataclass(frozen=True, slots=True)
class _Sources:
    """What a set of images is made of: `read(n)` gives picture n, `keys[n]` changes when its files do."""

    keys: list[str]
    patients: int
    read: Callable[[int], Picture]


def load_training_set(
    data: DataSpec, local_path: str | None, model: ModelSpec, cache_folder: Path, between_images: Callable[[], None]
) -> TrainingSet:
    """Prepare what is not in the cache yet. `between_images` may raise to leave early; what is done is kept. Raises BadInput."""
    if data.phantom is not None:
        training, validation = _phantom_sources(data.phantom, data.validation_share, model)
    else:
        training, validation = _file_sources(_data_path(data, local_path), data.validation_share, model)
    cache = _prepared(TRAINING_CACHE, training, model, cache_folder, between_images, {})
    if cache.count == 0:
        raise BadInput("no image of the data set has any contrast: check that these are images of patients")
    kind, spacing_mm = _read_notes(cache)
    unseen = _prepared(VALIDATION_CACHE, validation, model, cache_folder, between_images, cache.notes)
    key = hashlib.sha256(repr((model.image_shape, training.keys, validation.keys)).encode()).hexdigest()
    spacing_mm = spacing_mm[: model.dimensions]
    return TrainingSet(cache.array(), kind, spacing_mm, training.patients, key, unseen.array(), validation.patients)


def _prepared(
    name: str, sources: _Sources, model: ModelSpec, folder: Path, between_images: Callable[[], None], notes: dict[str, object]
) -> ArrayCache:
    """The cache with all images of these sources. `notes` are those of images they must go with."""
    cache = ArrayCache(folder, name, (1, *model.image_shape), f"shape {model.image_shape}", sources.keys)
    cache.notes |= notes
    while cache.sources < len(sources.keys):
        between_images()
        picture = sources.read(cache.sources)
        _check_kind(picture, cache)
        _tell_padding(picture, model.image_shape)
        cache.add_source(training_images(picture, model.image_shape), _notes(picture, cache))
    return cache


def _tell_padding(picture: Picture, shape: tuple[int, ...]) -> None:
    """Log where the picture is smaller than the model's images, as networks learn the air around it too. Axes count from 1."""
    sides = zip(picture.voxels.shape, shape, strict=False)  # a 2D model takes slices across the first two axes of a volume
    padded = [
        f"axis {axis} by {wanted - side} voxels, from {side} to {wanted}" for axis, (side, wanted) in enumerate(sides, 1) if side < wanted
    ]
    if padded:
        log.info("%s: smaller than the model's images, padded with air: %s", picture.source, "; ".join(padded))


def _data_path(data: DataSpec, local_path: str | None) -> Path:
    path = local_path or data.path
    assert path is not None  # DataSpec: exactly one of path and phantom
    return Path(path)


def _phantom_sources(data: PhantomData, share: float | None, model: ModelSpec) -> tuple[_Sources, _Sources]:
    spacing_mm = tuple(400.0 / side for side in model.image_shape)  # a body's width of field of view
    names = {f"phantom-{patient}": patient for patient in range(data.patients)}
    chosen = frozenset() if share is None else held_out(names, share, "phantom")

    def sources(patients: list[int]) -> _Sources:
        def read(number: int) -> Picture:
            patient = patients[number]
            return Picture(phantom(data.seed, patient, model.image_shape), spacing_mm, "hounsfield", Path(f"phantom-{patient}"))

        return _Sources([f"phantom {data.seed} {patient}" for patient in patients], len(patients), read)

    return (
        sources([patient for name, patient in names.items() if name not in chosen]),
        sources([patient for name, patient in names.items() if name in chosen]),
    )


def _file_sources(path: Path, share: float | None, model: ModelSpec) -> tuple[_Sources, _Sources]:
    def sources(images: list[ImageFiles]) -> _Sources:
        patients = len({image.patient for image in images})
        return _Sources([digest([image]) for image in images], patients, lambda number: read_picture(images[number], model.dimensions))

    training, validation = split(collect(path, model.dimensions), share, path)
    return sources(training), sources(validation)


def _check_kind(picture: Picture, cache: ArrayCache) -> None:
    earlier = cache.notes.get("kind", picture.kind)
    if earlier != picture.kind:
        raise BadInput(
            f"{picture.source}: its grey values are {picture.kind}, those of the images before it are {earlier}: train on one kind of image"
        )


def _notes(picture: Picture, cache: ArrayCache) -> dict[str, object]:
    """The kind of all, and the spacing of the first: samples are written with it."""
    return cache.notes or {"kind": picture.kind, "spacing_mm": list(picture.spacing_mm)}


def _read_notes(cache: ArrayCache) -> tuple[IntensityKind, tuple[float, ...]]:
    kind, spacing_mm = cache.notes["kind"], cache.notes["spacing_mm"]
    assert kind in ("hounsfield", "display", "relative")
    assert isinstance(spacing_mm, list)
    return kind, tuple(float(value) for value in spacing_mm)
