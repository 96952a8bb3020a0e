"""What all jobs emitted and saved, in sums that equal their parts, with what they are and are not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from daemon.domain.equivalents import EQUIVALENTS
from daemon.domain.job import Job
from daemon.domain.ledger import LedgerEntry
from daemon.domain.power_hungry import comparison_line
from daemon.service.ledger_views import EquivalentView, ReportTotals, ReportView
from daemon.service.render import per_1000, report_line
from forecast.clock import Clock

Settled = tuple[Job, LedgerEntry]


def clock_note(clock: Clock) -> str | None:
    """What every answer of a replay must say."""
    return f"replayed, x{clock.rate:g}: joules real, hours compressed" if clock.is_replay else None


def make_report(settled: Sequence[Settled], start: datetime | None, end: datetime | None, clock: Clock) -> ReportView:
    """The report over the latest settlement of each job."""
    totals = sum_up([entry for _, entry in settled])
    return ReportView(
        start=start,
        end=end,
        lines=[report_line(job, entry) for job, entry in settled],
        totals=totals,
        equivalents=[
            EquivalentView(
                name=item.name,
                value=item.amount(totals.actual_g),
                unit=item.unit,
                factor=f"{item.grams_per_unit:g} gCO2e per {item.unit.removesuffix('s') if item.unit != '%' else 'percent'}",
                source=item.source,
            )
            for item in EQUIVALENTS
        ],
        comparison=_comparison([entry for _, entry in settled], totals),
        notes=_notes(settled, totals, clock),
    )


def sum_up(entries: Sequence[LedgerEntry]) -> ReportTotals:
    """Sums over entries; a job whose emissions are unknown counts with its energy only."""
    known = [entry for entry in entries if entry.saving_g is not None]
    reachable = [entry for entry in known if entry.hindsight_g is not None]
    possible = sum((entry.baseline_g or 0.0) - (entry.hindsight_g or 0.0) for entry in reachable)
    synthesis = [entry for entry in known if entry.samples]
    samples = sum(entry.samples for entry in synthesis)
    return ReportTotals(
        jobs=len(entries),
        energy_kwh=sum(entry.energy_kwh for entry in entries),
        facility_energy_kwh=sum(entry.facility_energy_kwh for entry in entries),
        measured_kwh=sum(entry.measured_kwh for entry in entries),
        estimated_kwh=sum(entry.estimated_kwh for entry in entries),
        simulated_kwh=sum(entry.simulated_kwh for entry in entries),
        waste_kwh=sum(entry.waste_kwh for entry in entries),
        actual_g=sum(entry.actual_g or 0.0 for entry in known),
        baseline_g=sum(entry.baseline_g or 0.0 for entry in known),
        saving_g=sum(entry.saving_g or 0.0 for entry in known),
        claimed_saving_g=sum(entry.saving_g or 0.0 for entry in known if entry.is_claimed),
        hindsight_share=sum(entry.saving_g or 0.0 for entry in reachable) / possible if possible > 0 else None,
        samples=samples,
        g_per_1000_samples=per_1000(sum(entry.actual_g or 0.0 for entry in synthesis), samples),
    )


def _comparison(entries: Sequence[LedgerEntry], totals: ReportTotals) -> str | None:
    """All samples together beside published tasks."""
    if not totals.samples:
        return None
    kwh = sum(entry.energy_kwh for entry in entries if entry.samples and entry.saving_g is not None)
    return comparison_line(kwh / totals.samples * 1000, totals.g_per_1000_samples)


def _notes(settled: Sequence[Settled], totals: ReportTotals, clock: Clock) -> list[str]:
    notes = [
        "Savings are attributional, on average intensity: the share of the grid's emissions that is ours. "
        "They do not claim that power plants ran differently."
    ]
    note = clock_note(clock)
    if note is not None:
        notes.append(note)
    provisional = sum(not entry.is_claimed for _, entry in settled)
    if provisional:
        notes.append(f"{provisional} of {len(settled)} settlements may still change; only the others count as claimed savings.")
    if totals.energy_kwh > 0 and totals.measured_kwh < totals.energy_kwh:
        notes.append(
            f"{totals.measured_kwh / totals.energy_kwh:.0%} of the energy was measured by counters, the rest is estimated or simulated."
        )
    unmetered_seconds = sum(entry.unmetered_seconds or 0.0 for _, entry in settled)
    if unmetered_seconds > 0:
        notes.append(f"No meter told the energy of {unmetered_seconds:,.1f} s of work: it is filled in, and counts as estimated.")
    unknown = sum(entry.saving_g is None for _, entry in settled)
    if unknown:
        notes.append(f"{unknown} settlements lack an hour of carbon intensity: their energy counts, their emissions are unknown.")
    return notes
