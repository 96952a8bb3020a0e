"""Draws are functions of their purpose: no history, no order."""

from __future__ import annotations

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from jobs.ldm.randomness import batch_indices, normal


@given(items=st.integers(1, 30), batch_size=st.integers(1, 12), seed=st.integers(0, 5), epochs=st.integers(1, 4))
def test_every_item_is_seen_equally_often(items: int, batch_size: int, seed: int, epochs: int) -> None:
    steps = range(items * epochs)  # a whole number of epochs, however the batches lie across them
    seen = Counter(index for step in steps for index in batch_indices(items, batch_size, seed, "stage", step))
    assert set(seen) == set(range(items))
    assert set(seen.values()) == {epochs * batch_size}


@given(step=st.integers(0, 1000), seed=st.integers(0, 5))
def test_a_batch_depends_on_seed_and_step_only(step: int, seed: int) -> None:
    expected = batch_indices(7, 3, seed, "stage", step)
    batch_indices(7, 3, seed + 1, "stage", step)
    assert batch_indices(7, 3, seed, "stage", step) == expected


def test_noise_of_different_samples_steps_and_seeds_is_independent() -> None:
    drawn = [normal((64, 64), seed, "sample", index, step) for seed in (1, 2) for index in (0, 1) for step in (0, 1)]
    assert torch.equal(drawn[0], normal((64, 64), 1, "sample", 0, 0))
    for first in range(len(drawn)):
        for second in range(first):
            correlation = torch.corrcoef(torch.stack([drawn[first].flatten(), drawn[second].flatten()]))[0, 1]
            assert abs(float(correlation)) < 0.08
