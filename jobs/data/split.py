"""Patients held out of training: whole patients, never some of their images, or validation would measure memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from jobs.data.amounts import held_out_count
from jobs.data.collect import ImageFiles
from jobs.errors import BadInput


def held_out(patients: Iterable[str], share: float, source: str) -> frozenset[str]:
    """About that share of the patients, at least one, chosen by their names alone: adding images or patients moves few of them.

    Raises BadInput where too few patients are left to train on.
    """
    names = sorted(set(patients), key=lambda name: hashlib.sha256(name.encode("utf-8", "backslashreplace")).digest())
    count = held_out_count(len(names), share)
    if count >= len(names):
        raise BadInput(
            f"{source}: {len(names)} patient(s) cannot be split with a validation_share of {share}: at least one must be left to train "
            "on; add patients, or leave validation_share out"
        )
    return frozenset(names[:count])


def split(images: list[ImageFiles], share: float | None, source: Path) -> tuple[list[ImageFiles], list[ImageFiles]]:
    """(training, validation): as the manifest says, else by `share`, else all for training. Raises BadInput."""
    said = [image.split is not None for image in images]
    if any(said):
        return _as_said(images, share, source)
    if share is None:
        return images, []
    chosen = held_out((image.patient for image in images), share, str(source))
    return [image for image in images if image.patient not in chosen], [image for image in images if image.patient in chosen]


def _as_said(images: list[ImageFiles], share: float | None, source: Path) -> tuple[list[ImageFiles], list[ImageFiles]]:
    if share is not None:
        raise BadInput(f"{source}: the manifest splits the patients itself: leave validation_share out of the job")
    for image in images:
        if image.split is None:
            raise BadInput(f"{source}: {image.files[0].name} has no 'split' while others do: say train or validation for each entry")
    training = [image for image in images if image.split == "train"]
    validation = [image for image in images if image.split == "validation"]
    seen = {image.patient: image.files[0].name for image in training}
    for image in validation:
        if image.patient in seen:  # named by files: reasons are read by people who may not know patients by their names
            raise BadInput(
                f"{source}: {seen[image.patient]} and {image.files[0].name} are of one patient, the first in training, the second in "
                "validation: put all images of a patient on one side"
            )
    if not training:
        raise BadInput(f"{source}: the manifest leaves no patient to train on: give some entries the split 'train'")
    return training, validation
