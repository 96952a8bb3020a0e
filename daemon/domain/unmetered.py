"""Time that no meter told the energy of: filled from the last power known, and marked, so that unknown never counts as zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.energy.late_readings import spread_late_readings
from jobs.rundir import EnergyRecord

LAST_POWER_SECONDS = 3.0
_WHOLE_RUN = "unmetered"  # the component that stands for all of them where no meter ever told of one


@dataclass(frozen=True, slots=True)
class FilledRecord:
    """An energy record without a missing component. `is_metered`: nothing had to be filled in."""

    record: EnergyRecord
    is_metered: bool


@dataclass(frozen=True, slots=True)
class FilledRecords:
    """An attempt's records, oldest first, and its last known power in watts, all components together."""

    records: tuple[FilledRecord, ...]
    last_watts: float


def fill(records: Sequence[EnergyRecord], expected_watts: float) -> FilledRecords:
    """The records of one attempt with every component in each of them.

    What a source told late is put where it belongs. A component that fell silent for good goes on at its last power,
    and an attempt that no meter told anything of is taken to draw `expected_watts`; both are marked `estimated`.
    """
    known = spread_late_readings(records)
    watts = _last_watts(known) or {_WHOLE_RUN: expected_watts}
    return FilledRecords(tuple(_filled(record, watts) for record in known), sum(watts.values()))


def _filled(record: EnergyRecord, watts: Mapping[str, float]) -> FilledRecord:
    missing = [component for component in watts if component not in record.joules]
    if not missing:
        return FilledRecord(record, is_metered=True)
    joules = {component: watts[component] * record.seconds for component in missing}
    provenance = dict.fromkeys(missing, "estimated")
    whole = record.model_copy(update={"joules": record.joules | joules, "provenance": record.provenance | provenance})
    return FilledRecord(whole, is_metered=False)


def _last_watts(records: Sequence[EnergyRecord]) -> dict[str, float]:
    """Mean power of each component that was ever told of, over its last seconds."""
    components = sorted({component for record in records for component in record.joules})
    found = {component: _last_watts_of(component, records) for component in components}
    return {component: watts for component, watts in found.items() if watts is not None}


def _last_watts_of(component: str, records: Sequence[EnergyRecord]) -> float | None:
    """Mean power over the last records that make up a few seconds: a single short one may be all noise."""
    joules = seconds = 0.0
    for record in reversed(records):
        if component in record.joules:
            joules, seconds = joules + record.joules[component], seconds + record.seconds
        if seconds >= LAST_POWER_SECONDS:
            break
    return joules / seconds if seconds > 0 else None
