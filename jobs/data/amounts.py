"""How many images a training encodes and is validated on, as far as its job tells. Plain arithmetic: the daemon needs it, too."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.spec import DataSpec

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
