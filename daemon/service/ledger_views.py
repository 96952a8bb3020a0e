"""What the service answers about accounts: the settlements of a job, and the report over many."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from daemon.domain.states import JobState
from daemon.service.views import PerSample, View


class LedgerEntryView(PerSample):
    """One settlement; see LedgerEntry for the definitions."""

    sequence: int
    kind: str
    settled_at: AwareDatetime
    intensity_kind: str
    energy_kwh: float
    facility_energy_kwh: float
    useful_kwh: float
    waste_kwh: float
    overhead_kwh: float
    measured_kwh: float
    estimated_kwh: float
    simulated_kwh: float
    actual_g: float | None
    overhead_g: float | None
    baseline_site: str
    baseline_start: AwareDatetime
    baseline_g: float | None
    baseline_is_estimated: bool
    hindsight_g: float | None
    hindsight_share: float | None
    saving_g: float | None
    saving_by_time_g: float | None
    saving_by_place_g: float | None
    samples: int
    unsettled_hours: int
    worst_rung: str
    is_claimed: bool
    unmetered_seconds: float | None = Field(
        description="real seconds with energy filled in (estimated), as no meter told of it; null where this was not counted yet"
    )


class SiteTermsView(View):
    """What a site counts with in an account, as it was when the account was opened."""

    site: str
    zone: str
    pue: float
    transfer_kwh_per_gb: float
    energy_factor: float = Field(description="component energy at home for each kWh that work took here; 1 on equal hardware")
    duration_factor: float = Field(description="time at home for each hour that work took here")


class LedgerView(View):
    """A job's settlements, oldest first: the last one counts. `clock_note` says when time was replayed."""

    job_id: str
    entries: list[LedgerEntryView]
    sites: list[SiteTermsView] = Field(
        default=[], description="what the account rests on, home first; empty before the first entry, or where it was not kept yet"
    )
    clock_note: str | None = None


class EquivalentView(View):
    """A quantity that emits as much, with the factor and where it comes from."""

    name: str
    value: float
    unit: str
    factor: str
    source: str


class ReportLine(PerSample):
    job_id: str
    name: str
    project: str
    kind: str
    state: JobState
    energy_kwh: float | None
    actual_g: float | None
    baseline_g: float | None
    saving_g: float | None
    saving_by_time_g: float | None
    saving_by_place_g: float | None
    overhead_g: float | None
    hindsight_share: float | None
    samples: int
    settlement: str | None


class ReportTotals(PerSample):
    """Sums over the lines that have a settlement; `claimed_saving_g` over final entries only."""

    jobs: int
    energy_kwh: float
    facility_energy_kwh: float
    measured_kwh: float
    estimated_kwh: float
    simulated_kwh: float
    waste_kwh: float
    actual_g: float
    baseline_g: float
    saving_g: float
    claimed_saving_g: float
    hindsight_share: float | None
    samples: int


class ReportView(View):
    start: AwareDatetime | None
    end: AwareDatetime | None
    lines: list[ReportLine]
    totals: ReportTotals
    equivalents: list[EquivalentView]
    comparison: str | None = Field(default=None, description="all samples beside published tasks (Power Hungry Processing)")
    notes: list[str] = Field(description="what the numbers are and are not: attributional, replayed, estimated")
