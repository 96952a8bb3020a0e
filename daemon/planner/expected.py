"""How many GPUs a plan expects to be free, slot by slot, while jobs that it cannot move run beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from daemon.domain.plan import IntArray, Placement, Snapshot


@dataclass(frozen=True, slots=True)
class Expected:
    """`free` GPUs, [site, slot], in slots of `step` from `start` on; sites as in the snapshots."""

    start: datetime
    step: timedelta
    names: tuple[str, ...]
    free: IntArray

    @classmethod
    def of(cls, snapshot: Snapshot) -> Expected:
        """As the snapshot shows them."""
        names = tuple(site.name for site in snapshot.sites)
        return cls(snapshot.grid.start, snapshot.grid.step, names, _free_of(snapshot))

    def without(self, placements: Iterable[Placement]) -> Expected:
        """Less what these placements hold: their jobs have begun and cannot be moved any more."""
        free = self.free.copy()
        for segment in (segment for placement in placements for segment in placement.segments):
            first, after = (segment.start - self.start) // self.step, -((self.start - segment.end) // self.step)
            free[self.names.index(segment.site), max(0, first) : after] -= segment.gpus
        return replace(self, free=np.maximum(free, 0))

    def agrees(self, snapshot: Snapshot) -> bool:
        """Whether the snapshot's free GPUs are those expected from its moment on, give or take a slot.

        When a job in one piece ends is known to the slot at best, and its last report decides which.
        """
        shift, first = (snapshot.grid.start - self.start) // self.step, (snapshot.now - snapshot.grid.start) // self.step
        shown = _free_of(snapshot)
        count = min(shown.shape[1], self.free.shape[1] - shift)
        if count <= first:
            return False
        around = sliding_window_view(np.pad(self.free, ((0, 0), (1, 1)), mode="edge"), 3, axis=1)[:, shift + first : shift + count]
        here = shown[:, first:count]
        return bool(np.all((around.min(axis=2) <= here) & (here <= around.max(axis=2))))

    def reaching(self, snapshot: Snapshot) -> Expected:
        """With the slots that the snapshot is the first to show."""
        shift = (snapshot.grid.start - self.start) // self.step
        return replace(self, free=np.concatenate((self.free, _free_of(snapshot)[:, self.free.shape[1] - shift :]), axis=1))


def _free_of(snapshot: Snapshot) -> IntArray:
    return (
        np.maximum(np.stack([site.free_gpus for site in snapshot.sites]), 0) if snapshot.sites else np.zeros((0, snapshot.grid.count), int)
    )
