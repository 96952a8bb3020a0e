"""What packed weights and kept memory save where networks are only evaluated: `python -m tests.bench.packing [--turns 7]`.

CPU milliseconds of one denoise step and of decoding one sample, batch 1, one thread, medians: with weights as torch has them, and packed;
then decoding in a process that gives freed memory back to the kernel (glibc's own way) and in one that keeps it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from jobs.architecture import architecture_of
from jobs.ldm.allocator import keep_freed_memory
from jobs.ldm.networks import build_all
from jobs.ldm.packing import pack_convolutions
from jobs.spec import ModelSpec
from tests.bench.engine_loops import cpu_seconds

Part = Literal["denoise step", "decoding"]
LEVEL = 500  # any costs the same


@dataclass(frozen=True)
class Case:
    """One network and the image it is for."""

    part: Part
    size: Literal["tiny", "small"]
    image: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.part}, {self.size}, {' x '.join(map(str, self.image))}"

    @property
    def model(self) -> ModelSpec:
        return ModelSpec(dimensions=2 if len(self.image) == 2 else 3, size=self.size, image_shape=self.image)


CASES = (
    Case("denoise step", "tiny", (64, 64)),
    Case("denoise step", "tiny", (256, 256)),
    Case("denoise step", "small", (64, 64)),
    Case("denoise step", "small", (256, 256)),
    Case("denoise step", "tiny", (32, 32, 32)),
    Case("denoise step", "tiny", (64, 64, 64)),
    Case("denoise step", "small", (32, 32, 32)),
    Case("decoding", "tiny", (256, 256)),
    Case("decoding", "tiny", (64, 64, 64)),
)


@torch.inference_mode()
def measured(cases: Sequence[Case], keeps_memory: bool, turns: int) -> list[tuple[float, float]]:
    """Median CPU seconds of each with plain and with packed weights, in turns after one to warm up. For a process of its own."""
    torch.set_num_threads(1)
    if keeps_memory and not keep_freed_memory():
        raise OSError("this C library cannot keep freed memory")  # a pool waits forever for one that ends itself
    return [_medians(case, turns) for case in cases]


def _medians(case: Case, turns: int) -> tuple[float, float]:
    unet, autoencoder, _ = build_all(architecture_of(case.model), "monai-generative", 0)
    plain = (unet if case.part == "denoise step" else autoencoder).eval()
    packed = deepcopy(plain)
    pack_convolutions(packed)
    latents = torch.randn(1, case.model.latent_channels, *case.model.latent_shape)
    runs = [_run(case.part, network, latents) for network in (plain, packed)]
    for run in runs:
        run()
    of_plain, of_packed = zip(*([cpu_seconds(run) for run in runs] for _ in range(turns)), strict=True)
    return statistics.median(of_plain), statistics.median(of_packed)


def _run(part: Part, network: Any, latents: Tensor) -> Callable[[], Tensor]:
    if part == "denoise step":
        return partial(network, latents, timesteps=torch.full((1,), LEVEL))
    return partial(network.decode_stage_2_outputs, latents)


def in_a_process(cases: Sequence[Case], keeps_memory: bool, turns: int) -> list[tuple[float, float]]:
    """How memory is treated holds for a whole process."""
    with multiprocessing.get_context("spawn").Pool(1) as alone:
        return alone.apply(measured, (cases, keeps_memory, turns))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7)
    turns = parser.parse_args(arguments).turns
    print(f"{'CPU ms':<38} {'plain':>8} {'packed':>8} {'saved':>6}")
    for case, (plain, packed) in zip(CASES, in_a_process(CASES, True, turns), strict=True):
        print(f"{case.name:<38} {1000 * plain:>8.1f} {1000 * packed:>8.1f} {1 - packed / plain:>6.0%}", flush=True)
    large = [case for case in CASES if case.part == "decoding"]
    print(f"\n{'CPU ms':<38} {'given':>8} {'kept':>8} {'saved':>6}")
    for case, *both in zip(large, *(in_a_process(large, keeps, turns) for keeps in (False, True)), strict=True):
        for weights, given_back, kept in zip(("plain", "packed"), *both, strict=True):
            print(f"{case.name + ', ' + weights:<38} {1000 * given_back:>8.1f} {1000 * kept:>8.1f} {1 - kept / given_back:>6.0%}")


if __name__ == "__main__":
    main()
