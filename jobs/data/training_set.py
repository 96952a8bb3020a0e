"""The training set of a run: found, read, prepared and cached, or drawn by the phantom generator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.data.cache import ArrayCache
from jobs.data.collect import ImageFiles, collect, digest
from jobs.data.phantom import phantom
from jobs.data.picture import IntensityKind, Picture
from jobs.data.prepare import read_picture, training_images
from jobs.errors import BadInput
from jobs.spec import DataSpec, ModelSpec, PhantomData


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Images of one channel scaled to -1..1, with what is known about them. `key` changes when any of it does."""

    images: NDArray[np.float32]
    kind: IntensityKind
    spacing_mm: tuple[float, ...]
    patients: int
    key: str


class _Sources:
    """What the set is made of: `read(n)` gives picture n of `count`."""

    def __init__(self, key: str, count: int, patients: int, read: Callable[[int], Picture]) -> None:
        self.key = hashlib.sha256(key.encode()).hexdigest()
        self.count = count
        self.patients = patients
        self.read = read


def load_training_set(
    data: DataSpec, local_path: str | None, model: ModelSpec, cache_folder: Path, between_images: Callable[[], None]
) -> TrainingSet:
    """Prepare what is not in the cache yet. `between_images` may raise to leave early; what is done is kept. Raises BadInput."""
    sources = _phantom_sources(data.phantom, model) if data.phantom is not None else _file_sources(_data_path(data, local_path), model)
    cache = ArrayCache(cache_folder, "images", (1, *model.image_shape), sources.key)
    while cache.sources < sources.count:
        between_images()
        picture = sources.read(cache.sources)
        _check_kind(picture, cache)
        cache.add_source(training_images(picture, model.image_shape), _notes(picture, cache))
    if cache.count == 0:
        raise BadInput("no image of the data set has any contrast: check that these are images of patients")
    kind, spacing_mm = _read_notes(cache)
    return TrainingSet(cache.array(), kind, spacing_mm[: model.dimensions], sources.patients, sources.key)


def _data_path(data: DataSpec, local_path: str | None) -> Path:
    path = local_path or data.path
    assert path is not None  # DataSpec: exactly one of path and phantom
    return Path(path)


def _phantom_sources(data: PhantomData, model: ModelSpec) -> _Sources:
    def read(patient: int) -> Picture:
        spacing_mm = tuple(400.0 / side for side in model.image_shape)  # a body's width of field of view
        return Picture(phantom(data.seed, patient, model.image_shape), spacing_mm, "hounsfield", Path(f"phantom-{patient}"))

    return _Sources(f"phantom {data.seed} {data.patients} {model.image_shape}", data.patients, data.patients, read)


def _file_sources(path: Path, model: ModelSpec) -> _Sources:
    images: list[ImageFiles] = collect(path, model.dimensions)
    patients = len({image.patient for image in images})
    key = f"files {digest(images)} {model.image_shape}"
    return _Sources(key, len(images), patients, lambda number: read_picture(images[number], model.dimensions))


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
