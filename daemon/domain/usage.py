"""From a run's energy records to slices with a purpose: what was useful, what was overhead, what was waste."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from daemon.domain.accounting import JOULES_PER_KWH, Place, Purpose, Slice
from daemon.domain.job import Attempt
from daemon.domain.states import AttemptState
from daemon.domain.unmetered import FilledRecord, FilledRecords, fill
from forecast.timeline import Interval
from jobs.rundir import EnergyRecord

GAP_TOLERANCE_SECONDS = 0.5  # shorter gaps are the process's own end, not lost energy


@dataclass(frozen=True, slots=True)
class GridTime:
    """How a node's stamps become grid time: an affine map and its rate (1 and the identity when live)."""

    to_grid: Callable[[datetime], datetime]
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class AttemptUsage:
    """One ended attempt with the energy records it wrote, oldest first."""

    attempt: Attempt
    records: tuple[EnergyRecord, ...]

    @property
    def resumed_at(self) -> int:
        """The step it went on from; what came after that step in earlier attempts was done for nothing."""
        work = [record.step_from for record in self.records if record.phase == "work"]
        return min(work) if work else -1


@dataclass(frozen=True, slots=True)
class RunUsage:
    """All attempts of one run, in order. `kept_steps`: steps whose result exists in the end (0: thrown away).

    `expected_watts`: component power of an attempt that no meter told anything of.
    """

    place: Place
    attempts: tuple[AttemptUsage, ...]
    kept_steps: int
    expected_watts: float


def slices_of_run(usage: RunUsage, time: GridTime, *, first_startup_is_useful: bool) -> list[Slice]:
    """Every joule of the run as slices of grid time, each with its purpose.

    An uninterrupted run at home would need one start-up too, so the job's first one is useful where any work was
    kept; later ones are overhead. What no meter told of is filled in and marked: records whose sources failed, the
    gap between the last record and the end of a killed process (which counts as waste), and the whole of an attempt
    that was killed before its first record.
    """
    slices: list[Slice] = []
    for index, attempt in enumerate(usage.attempts):
        resumed = [later.resumed_at for later in usage.attempts[index + 1 :] if later.resumed_at >= 0]
        kept = min([usage.kept_steps, *resumed])
        startup_is_useful = first_startup_is_useful and index == 0 and usage.kept_steps > 0
        startup = Purpose.USEFUL if startup_is_useful else Purpose.OVERHEAD
        known = fill(attempt.records, usage.expected_watts)
        beyond = _beyond(attempt.attempt, kept)
        for filled in known.records:
            piece = _slice_of_record(filled, usage.place, time)
            if piece is not None:
                slices += _sorted(piece, filled.record, startup, beyond, kept)
        slices += _gap(attempt.attempt, known, usage.place, time, beyond)
    return slices


def _slice_of_record(filled: FilledRecord, place: Place, time: GridTime) -> Slice | None:
    """The record as a slice whose purpose is not known yet; None for one of no length."""
    record = filled.record
    start, end = time.to_grid(record.start), time.to_grid(record.end)
    if not start < end:
        return None
    joules: dict[str, float] = {}
    for component, used in record.joules.items():
        provenance = record.provenance.get(component, "estimated")
        joules[provenance] = joules.get(provenance, 0.0) + used
    total = record.total_joules
    shares = {provenance: used / total for provenance, used in joules.items()} if total > 0 else {}
    return Slice(place, Interval(start, end), total / JOULES_PER_KWH, Purpose.WASTE, shares, filled.is_metered)


def _beyond(attempt: Attempt, kept: int) -> Purpose:
    """What energy after the last kept step was for: closing down is part of an attempt that completed, pausing an
    overhead, and all else the step under way at the stop or a result nobody kept."""
    if kept <= 0:
        return Purpose.WASTE
    return {AttemptState.COMPLETED: Purpose.USEFUL, AttemptState.SUSPENDED: Purpose.OVERHEAD}.get(attempt.state, Purpose.WASTE)


def _sorted(piece: Slice, record: EnergyRecord, startup: Purpose, beyond: Purpose, kept: int) -> list[Slice]:
    if record.phase == "startup":
        return piece.split(1.0, startup, startup)
    if record.step_from >= kept:
        return piece.split(1.0, beyond if record.step_from == kept else Purpose.WASTE, Purpose.WASTE)
    done = record.step_to - record.step_from
    fraction = 1.0 if done <= 0 else (kept - record.step_from) / done
    return piece.split(fraction, Purpose.USEFUL, Purpose.WASTE)


def _gap(attempt: Attempt, known: FilledRecords, place: Place, time: GridTime, purpose: Purpose) -> list[Slice]:
    """The time between the last record, or the start if there is none, and the end of the process, at the last power known."""
    start = time.to_grid(known.records[-1].record.end) if known.records else attempt.started_at
    if start is None or attempt.ended_at is None:  # never started, so it used nothing
        return []
    real_seconds = (attempt.ended_at - start).total_seconds() / time.rate
    if real_seconds <= (GAP_TOLERANCE_SECONDS if known.records else 0.0):
        return []
    kwh = known.last_watts * real_seconds / JOULES_PER_KWH
    return [Slice(place, Interval(start, attempt.ended_at), kwh, purpose, {"estimated": 1.0}, is_metered=False)]
