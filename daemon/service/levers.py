"""Ways to spend less energy on the same wish: the workload with one thing changed, and what that may cost in quality.

Pure. The levers are those of the Latent Pollution Model paper (steps, size, section 3.4) and of everyday practice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from jobs.spec import Size, SynthesisWorkload, TrainingWorkload

AnyWorkload = TrainingWorkload | SynthesisWorkload

FEWER_STEPS = (200, 50)
BATCH_FACTOR = 4
_SMALLER: dict[Size, Size] = {"large": "medium", "medium": "small"}  # tiny is for trials, not for images


@dataclass(frozen=True, slots=True)
class Lever:
    """One change: in words, the workload it leads to, and the caveat on quality in one sentence."""

    change: str
    workload: AnyWorkload
    caveat: str


def levers(workload: AnyWorkload) -> list[Lever]:
    """Every lever that the workload has not pulled yet and that gives a valid workload."""
    found = []
    for change, changes, caveat in _changes(workload):
        try:
            changed = type(workload).model_validate(workload.model_dump(by_alias=True) | changes)
        except ValidationError:
            continue  # this image size has no such variant
        found.append(Lever(change, changed, caveat))
    return found


def _changes(workload: AnyWorkload) -> Iterator[tuple[str, dict[str, Any], str]]:
    if isinstance(workload, SynthesisWorkload):
        yield from _fewer_steps(workload)
    if workload.precision == "float32":
        yield (
            "bfloat16 instead of float32",
            {"precision": "bfloat16"},
            "The network computes with three significant digits: compare some images with float32 first, and use it only where the "
            "device has bfloat16 instructions, as imitating them takes many times longer.",
        )
    if workload.model.latent_downsampling == 4:
        yield (
            "latents downsampled 8 times instead of 4",
            {"model": workload.model.model_dump() | {"latent_downsampling": 8}},
            "The same anatomy must fit into far fewer values: small structures may blur, and everything is trained anew.",
        )
    yield from _larger_batch(workload)
    smaller = _SMALLER.get(workload.model.size)
    if smaller is not None:
        yield (
            f"size {smaller} instead of {workload.model.size}",
            {"model": workload.model.model_dump() | {"size": smaller}},
            "A network with fewer weights holds less detail and variety, and has to be trained anew.",
        )


def _fewer_steps(workload: SynthesisWorkload) -> Iterator[tuple[str, dict[str, Any], str]]:
    caveats = {
        200: "Fewer denoising steps may compromise image quality: compare a few dozen images before making them all.",
        50: "So few steps often cost fine texture, most of all in large volumes: compare a few dozen images before making them all.",
    }
    for steps in FEWER_STEPS:
        if workload.inference_steps > steps:
            change = f"{steps} DDIM steps instead of {workload.inference_steps:,} {workload.sampler.upper()} steps"
            yield change, {"inference_steps": steps, "sampler": "ddim"}, caveats[steps]


def _larger_batch(workload: AnyWorkload) -> Iterator[tuple[str, dict[str, Any], str]]:
    batch_size = workload.batch_size * BATCH_FACTOR
    change = f"batch size {batch_size} instead of {workload.batch_size}"
    if isinstance(workload, SynthesisWorkload):
        if workload.samples >= batch_size:
            yield change, {"batch_size": batch_size}, "The same quality, if the device's memory holds it; images differ in their last bits."
        return
    changes = {
        "batch_size": batch_size,
        "iterations": math.ceil(workload.iterations / BATCH_FACTOR),
        "autoencoder_iterations": math.ceil(workload.autoencoder_steps / BATCH_FACTOR),
    }
    caveat = "As many images seen in a quarter of the steps: the learning rate must be tuned anew, and the model may come out less sharp."
    yield f"{change}, and a quarter of the iterations", changes, caveat
