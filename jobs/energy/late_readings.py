"""Joules that a source told late, put back to the time they were used in."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.rundir import EnergyRecord


def spread_late_readings(records: Sequence[EnergyRecord]) -> list[EnergyRecord]:
    """The records of one attempt, oldest first, with every component wherever a later record tells of it.

    A source that fails leaves its components out, and its next reading holds what it missed (`jobs.energy.source`). Those
    joules are spread evenly over the records since. A component that no later record tells of stays missing.
    """
    known = list(records)
    for component in sorted({component for record in records for component in record.joules}):
        silent: list[int] = []
        for index, record in enumerate(records):
            if component not in record.joules:
                silent.append(index)
            elif silent:
                _spread(known, [*silent, index], component)
                silent = []
    return known


def _spread(known: list[EnergyRecord], indices: Sequence[int], component: str) -> None:
    """Share what the last of these records tells of the component among all of them, by their length."""
    told = known[indices[-1]]
    joules, provenance = told.joules[component], told.provenance.get(component, "estimated")
    seconds = sum(known[index].seconds for index in indices)
    if seconds <= 0:
        return
    for index in indices:
        record = known[index]
        share = {component: joules * record.seconds / seconds}
        update = {"joules": record.joules | share, "provenance": record.provenance | {component: provenance}}
        known[index] = record.model_copy(update=update)
