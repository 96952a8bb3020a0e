"""What all jobs emitted and saved, in sums that equal their parts, with what they are and are not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from daemon.domain.equivalents import EQUIVALENTS
from daemon.domain.job import Job
from daemon.domain.ledger import EntryKind, LedgerEntry, LedgerTotals
from daemon.domain.power_hungry import comparison_line
from daemon.service.ledger_views import EquivalentView, ReportTotals, ReportView
from daemon.service.render import per_1000, report_line
from forecast.clock import Clock

Settled = tuple[Job, LedgerEntry]


def clock_note(clock: Clock) -> str | None:
    """What every answer of a replay must say."""
    return f"replayed, x{clock.rate:g}: joules real, hours compressed" if clock.is_replay else None


def make_report(settled: Sequence[Settled], totals: LedgerTotals, start: datetime | None, end: datetime | None, clock: Clock) -> ReportView:
    """The report over the latest settlement of each job; `totals` are the sums over the same."""
    return ReportView(
        start=start,
        end=end,
        lines=[report_line(job, entry) for job, entry in settled],
        totals=totals_view(totals),
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
        comparison=_comparison(totals),
        notes=_notes(settled, totals, clock),
    )


def totals_view(totals: LedgerTotals) -> ReportTotals:
    return ReportTotals(
        jobs=totals.jobs,
        energy_kwh=totals.energy_kwh,
        facility_energy_kwh=totals.facility_energy_kwh,
        measured_kwh=totals.measured_kwh,
        estimated_kwh=totals.estimated_kwh,
        simulated_kwh=totals.simulated_kwh,
        waste_kwh=totals.waste_kwh,
        actual_g=totals.actual_g,
        baseline_g=totals.baseline_g,
        saving_g=totals.saving_g,
        claimed_saving_g=totals.claimed_saving_g,
        hindsight_share=totals.hindsight_share,
        samples=totals.samples,
        g_per_1000_samples=per_1000(totals.synthesis_g, totals.samples),
    )


def _comparison(totals: LedgerTotals) -> str | None:
    """All samples together beside published tasks."""
    if not totals.samples:
        return None
    return comparison_line(totals.synthesis_kwh / totals.samples * 1000, per_1000(totals.synthesis_g, totals.samples))


def _notes(settled: Sequence[Settled], totals: LedgerTotals, clock: Clock) -> list[str]:
    notes = [
        "Savings are attributional, on average intensity: the share of the grid's emissions that is ours. "
        "They do not claim that power plants ran differently."
    ]
    note = clock_note(clock)
    if note is not None:
        notes.append(note)
    notes += _unclaimed_notes(settled)
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


def _unclaimed_notes(settled: Sequence[Settled]) -> list[str]:
    """Which settlements count in no claim: those that may change yet, and those that never will, on stand-ins."""
    notes = []
    provisional = sum(entry.kind is EntryKind.PROVISIONAL for _, entry in settled)
    if provisional:
        notes.append(f"{provisional} of {len(settled)} settlements may still change: they do not count as claimed savings.")
    on_stand_ins = sum(entry.kind is not EntryKind.PROVISIONAL and not entry.is_claimed for _, entry in settled)
    if on_stand_ins:
        notes.append(
            f"{on_stand_ins} of {len(settled)} settlements are closed, but rest on hours whose carbon intensity was never measured "
            "(forecasts or means stand in for them): they do not count as claimed savings."
        )
    return notes
