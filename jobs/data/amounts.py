"""How many images a training encodes and is validated on, as far as its job or its caches tell. The daemon needs it, too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from jobs.spec import DataSpec

TRAINING_CACHE, VALIDATION_CACHE = "images", "validation"  # names of `jobs.data.cache.ArrayCache`, whose index is NAME.json

VALIDATION_LEVELS = 10  # levels of noise at which each image held out passes the UNet


@dataclass(frozen=True, slots=True)
class ImageCounts:
    training: int
    validation: int


def held_out_count(patients: int, share: float) -> int:
    """Of so many patients: about that share, at least one."""
    return max(1, round(share * patients))


def image_counts(data: DataSpec) -> ImageCounts | None:
    """One image of each phantom; None for files, which only the node sees."""
    if data.phantom is None:
        return None
    validation = 0 if data.validation_share is None else held_out_count(data.phantom.patients, data.validation_share)
    return ImageCounts(data.phantom.patients - validation, validation)


def prepared_counts(cache_folder: Path) -> ImageCounts | None:
    """Of the caches that a run has filled; None where there are none (any more) or no images."""
    training = _prepared(cache_folder / f"{TRAINING_CACHE}.json")
    return ImageCounts(training, _prepared(cache_folder / f"{VALIDATION_CACHE}.json")) if training else None


def _prepared(index_file: Path) -> int:
    try:
        return sum(int(count) for count in json.loads(index_file.read_text(encoding="utf-8"))["counts"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
