"""Measure what a job spends beside its steps, with the product's own code: checkpoints and images. Imports torch: node only."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel
import numpy as np
import torch

from jobs.data.phantom import phantom
from jobs.data.training_set import load_training_set
from jobs.energy.hardware import Overhead
from jobs.energy.measuring import read_counters
from jobs.energy.size import image_gb
from jobs.energy.source import PowerSource
from jobs.ldm.checkpoint import Checkpoints
from jobs.spec import DataSpec, ModelSpec

_TIMES = 3
_SMALL_BYTES, _LARGE_BYTES = 4096, 128 * 2**20
_SMALL_SIDE, _LARGE_SIDE = 16, 128
_MILLIMETRES_AFFINE = np.diag([1.5, 1.5, 1.5, 1.0])

Timed = tuple[float, float | None]  # seconds, and joules where a counter told


def measure_checkpoint(folder: Path, sources: Sequence[PowerSource] = ()) -> Overhead:
    """Writing checkpoints, small and large, onto the disk that holds the folder. Raises OSError."""
    with TemporaryDirectory(dir=folder) as scratch:
        small, large = (_usual(_saving(Path(scratch), size), sources) for size in (_SMALL_BYTES, _LARGE_BYTES))
    return _overhead(small, large, (_LARGE_BYTES - _SMALL_BYTES) / 1e9)


def measure_preparation(folder: Path, sources: Sequence[PowerSource] = ()) -> Overhead:
    """Finding, reading and fitting compressed NIfTI volumes, a small and a large one. Raises OSError."""
    timed, sizes = [], []
    for side in (_SMALL_SIDE, _LARGE_SIDE):
        with TemporaryDirectory(dir=folder) as scratch:
            model = ModelSpec(dimensions=3, size="tiny", image_shape=(side, side, side))
            timed.append(_usual(_preparing(Path(scratch), model), sources))
            sizes.append(image_gb(model))
    return _overhead(timed[0], timed[1], sizes[1] - sizes[0])


def _saving(folder: Path, size_bytes: int) -> Callable[[int], None]:
    checkpoints, state = Checkpoints(folder / str(size_bytes)), {"weights": torch.rand(size_bytes // 4)}
    return lambda number: checkpoints.save(number, state)


def _preparing(folder: Path, model: ModelSpec) -> Callable[[int], None]:
    volume = phantom(0, 0, model.image_shape).astype(np.int16)
    images = folder / "images"
    images.mkdir()
    nibabel.save(nibabel.Nifti1Image(volume, _MILLIMETRES_AFFINE), images / "volume.nii.gz")
    data = DataSpec(path=str(images))

    def prepare(number: int) -> None:
        load_training_set(data, None, model, folder / f"cache-{number}", between_images=lambda: None)

    return prepare


def _usual(act: Callable[[int], None], sources: Sequence[PowerSource]) -> Timed:
    """The median of a few times, after one that warms up."""
    act(0)
    seconds, joules = [], []
    for number in range(1, _TIMES + 1):
        read_counters(sources)
        start = time.perf_counter()
        act(number)
        seconds.append(time.perf_counter() - start)
        joules.append(read_counters(sources))
    known = [each for each in joules if each is not None]
    return statistics.median(seconds), statistics.median(known) if len(known) == len(joules) else None


def _overhead(small: Timed, large: Timed, gigabytes_more: float) -> Overhead:
    watts = large[1] / large[0] if large[1] else None
    return Overhead(seconds_each=small[0], seconds_per_gb=max(0.0, large[0] - small[0]) / gigabytes_more, watts=watts)
