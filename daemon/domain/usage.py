"""From a run's energy records to slices with a purpose: what was useful, what was overhead, what was waste."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from daemon.domain.accounting import JOULES_PER_KWH, Place, Purpose, Slice
from daemon.domain.job import Attempt
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
        startup_useful = first_startup_is_useful and index == 0 and usage.kept_steps > 0
        for record in attempt.records:
            slices += _slices_of_record(record, usage.place, time, kept, startup_useful)
        slices += _gap(attempt, usage.place, time)
    return slices


def _slices_of_record(record: EnergyRecord, place: Place, time: GridTime, kept: int, startup_useful: bool) -> list[Slice]:
    start, end = time.to_grid(record.start), time.to_grid(record.end)
    if not start < end:
        return []
    by_provenance: dict[str, float] = {}
    for component, joules in record.joules.items():
        source = record.provenance.get(component, "estimated")
        by_provenance[source] = by_provenance.get(source, 0.0) + joules / JOULES_PER_KWH
    pieces: list[Slice] = []
    for provenance, kwh in by_provenance.items():
        piece = Slice(place, Interval(start, end), kwh, Purpose.OVERHEAD, provenance)
        if record.phase == "startup":
            pieces += piece.split(1.0, Purpose.USEFUL if startup_useful else Purpose.OVERHEAD, Purpose.OVERHEAD)
        elif kept <= 0 or record.step_from >= kept:
            # the step under way at the stop, or a result nobody kept; closing down after the last kept step is useful
            purpose = Purpose.USEFUL if kept > 0 and record.phase != "work" and record.step_from == kept else Purpose.WASTE
            pieces += piece.split(1.0, purpose, purpose)
        else:
            done = record.step_to - record.step_from
            fraction = 1.0 if done <= 0 else (kept - record.step_from) / done
            pieces += piece.split(fraction, Purpose.USEFUL, Purpose.WASTE)
    return pieces


def _gap(usage: AttemptUsage, place: Place, time: GridTime) -> list[Slice]:
    if not usage.records or usage.attempt.ended_at is None:
        return []
    last = usage.records[-1]
    start = time.to_grid(last.end)
    real_seconds = (usage.attempt.ended_at - start).total_seconds() / time.rate
    if real_seconds <= GAP_TOLERANCE_SECONDS or last.seconds <= 0:
        return []
    watts = last.total_joules / last.seconds
    return [Slice(place, Interval(start, usage.attempt.ended_at), watts * real_seconds / JOULES_PER_KWH, Purpose.WASTE, "estimated")]
