"""What a meter reads from: one Protocol for counters, models and simulations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from jobs.rundir import Provenance


class PowerSource(Protocol):
    """Component energy of this run since the last look. Not thread-safe: the meter calls it under its own lock.

    A reading that fails is left out, never reported as zero. What was missed comes with the next reading that works,
    because every source differences a running total or bridges the gap from its last good sample.
    """

    @property
    def provenance(self) -> Provenance:
        """How its joules came about; the same for all its components."""

    def joules_since_last(self) -> Mapping[str, float]:
        """Component -> joules since the previous call (since construction, at the first). Never negative, without PUE."""

    def close(self) -> None:
        """Let go of drivers and files; safe to repeat."""
