"""Every random draw, as a function of what it is for: nothing depends on how often a generator was used before.

That is what makes a resumed training equal an uninterrupted one, and sample i equal sample i wherever it is made.
All draws are float32 on the CPU; devices get a copy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator for one purpose, e.g. `generator(7, "sample", 123, 0)`; independent between purposes."""
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def normal(shape: Sequence[int], seed: int, *purpose: str | int) -> Tensor:
    """Standard normal noise of that shape for one purpose."""
    return torch.randn(tuple(shape), generator=generator(seed, *purpose), dtype=torch.float32)


@lru_cache(maxsize=2)
def _epoch_order(items: int, seed: int, stage: str, epoch: int) -> tuple[int, ...]:
    return tuple(torch.randperm(items, generator=generator(seed, "order", stage, epoch)).tolist())


def batch_indices(items: int, batch_size: int, seed: int, stage: str, step: int) -> list[int]:
    """The items of step `step` (from 0): every item once an epoch, in an order of its own; a batch may span two epochs."""
    positions = range(step * batch_size, (step + 1) * batch_size)
    return [_epoch_order(items, seed, stage, position // items)[position % items] for position in positions]
