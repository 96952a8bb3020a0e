"""From a run's energy records to slices with a purpose: what was useful, what was overhead, what was waste."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from daemon.domain.accounting import JOULES_PER_KWH, Place, Purpose, Slice
from daemon.domain.job import Attempt
from daemon.domain.states import AttemptState
from forecast.timeline import Interval
from jobs.rundir import EnergyRecord

GAP_TOLERANCE_SECONDS = 0.5  # shorter gaps are the process's own end, not lost energy
LAST_POWER_SECONDS = 3.0


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
    """All attempts of one run, in order. `kept_steps`: steps whose result exists in the end (0: thrown away)."""

    place: Place
    attempts: tuple[AttemptUsage, ...]
    kept_steps: int


def slices_of_run(usage: RunUsage, time: GridTime, *, first_startup_is_useful: bool) -> list[Slice]:
    """Every joule of the run as slices of grid time, each with its purpose.

    An uninterrupted run at home would need one start-up too, so the job's first one is useful where any work was
    kept; later ones are overhead. The gap between the last record and the end of a killed process is filled with
    its last power, marked estimated, and counts as waste.
    """
    slices: list[Slice] = []
    for index, attempt in enumerate(usage.attempts):
        resumed = [later.resumed_at for later in usage.attempts[index + 1 :] if later.resumed_at >= 0]
        kept = min([usage.kept_steps, *resumed])
        startup_is_useful = first_startup_is_useful and index == 0 and usage.kept_steps > 0
        startup = Purpose.USEFUL if startup_is_useful else Purpose.OVERHEAD
        for record in attempt.records:
            for piece in _slices_of_record(record, usage.place, time):
                slices += _sorted(piece, record, startup, _beyond(attempt.attempt, kept), kept)
        slices += _gap(attempt, usage.place, time, _beyond(attempt.attempt, kept))
    return slices


def _slices_of_record(record: EnergyRecord, place: Place, time: GridTime) -> list[Slice]:
    """One slice per provenance found in the record; its purpose is not known yet."""
    start, end = time.to_grid(record.start), time.to_grid(record.end)
    if not start < end:
        return []
    kwh: dict[str, float] = {}
    for component, joules in record.joules.items():
        provenance = record.provenance.get(component, "estimated")
        kwh[provenance] = kwh.get(provenance, 0.0) + joules / JOULES_PER_KWH
    return [Slice(place, Interval(start, end), energy, Purpose.WASTE, provenance) for provenance, energy in kwh.items()]


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


def _gap(usage: AttemptUsage, place: Place, time: GridTime, purpose: Purpose) -> list[Slice]:
    """The time between the last record and the end of the process, at the mean power of its last seconds."""
    if not usage.records or usage.attempt.ended_at is None:
        return []
    start = time.to_grid(usage.records[-1].end)
    real_seconds = (usage.attempt.ended_at - start).total_seconds() / time.rate
    if real_seconds <= GAP_TOLERANCE_SECONDS:
        return []
    kwh = _last_watts(usage.records) * real_seconds / JOULES_PER_KWH
    return [Slice(place, Interval(start, usage.attempt.ended_at), kwh, purpose, "estimated")]


def _last_watts(records: tuple[EnergyRecord, ...]) -> float:
    """Mean power of the last records that make up a few seconds: a single short one may be all noise."""
    joules = seconds = 0.0
    for record in reversed(records):
        joules, seconds = joules + record.total_joules, seconds + record.seconds
        if seconds >= LAST_POWER_SECONDS:
            break
    return joules / seconds if seconds > 0 else 0.0
