"""The ledger: what a job really emitted, beside what it would have emitted if run at once at home.

The definitions stand in README, section "How savings are counted". Entries are append-only: a later settlement
adds an entry that supersedes the one before; nothing is rewritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EntryKind(StrEnum):
    PROVISIONAL = "provisional"  # some hours may still be revised, or the hindsight window is not over
    FINAL = "final"  # every hour is measured and old enough
    ADJUSTMENT = "adjustment"  # the provider restated hours after the final entry


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One settlement of one job. Energies are component energies in kWh unless named facility; emissions in gCO2e.

    saving_g = baseline_g - actual_g = saving_by_time_g + saving_by_place_g - overhead_g, never clipped.
    `overhead_g`: restarts, transfers, work done twice, failed work. `waste_kwh`: energy of steps that did not count.
    None means unknown (a needed hour has no intensity, or the job did no useful work).
    """

    job_id: str
    sequence: int
    kind: EntryKind
    settled_at: datetime
    intensity_kind: str
    energy_kwh: float
    facility_energy_kwh: float
    useful_kwh: float
    waste_kwh: float
    overhead_kwh: float  # restarts and transfers (component energy; transfers as facility energy)
    measured_kwh: float
    estimated_kwh: float
    simulated_kwh: float
    actual_g: float | None
    overhead_g: float | None
    baseline_site: str
    baseline_start: datetime
    baseline_g: float | None
    baseline_is_estimated: bool  # the run was on other hardware, or first-come order needed an estimate
    hindsight_g: float | None
    saving_by_time_g: float | None
    saving_by_place_g: float | None
    samples: int  # finished samples, 0 for training
    unsettled_hours: int  # hours behind actual and baseline that are not final: still open, or (in a final entry) never to be measured
    worst_rung: int  # forecast.intensity.Rung of the worst value behind actual and baseline
    baseline_seconds: float = 0.0  # grid seconds the useful work would have taken at home
    unmetered_seconds: float | None = (
        None  # real seconds with energy filled in, as no meter told of it; None: settled before this was counted
    )

    @property
    def saving_g(self) -> float | None:
        if self.actual_g is None or self.baseline_g is None:
            return None
        return self.baseline_g - self.actual_g

    @property
    def hindsight_share(self) -> float | None:
        """Saving as a share of what perfect hindsight would have saved; None where that is not positive."""
        if self.saving_g is None or self.hindsight_g is None or self.baseline_g is None or self.baseline_g <= self.hindsight_g:
            return None
        return self.saving_g / (self.baseline_g - self.hindsight_g)

    @property
    def is_claimed(self) -> bool:
        """Savings are claimed on settled values only."""
        return self.kind is not EntryKind.PROVISIONAL and self.unsettled_hours == 0


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Sums over the last settlement of each of some jobs. Units and names as in LedgerEntry.

    A job whose saving is unknown counts with its energy only. `reachable_saving_g` is the saving of the jobs for which
    `hindsight_saving_g`, what perfect hindsight would have saved, is known too. `samples` and what `synthesis_...` counts
    are those of the jobs that made samples.
    """

    jobs: int
    energy_kwh: float
    facility_energy_kwh: float
    measured_kwh: float
    estimated_kwh: float
    simulated_kwh: float
    waste_kwh: float
    actual_g: float
    baseline_g: float
    claimed_saving_g: float
    reachable_saving_g: float
    hindsight_saving_g: float
    samples: int
    synthesis_kwh: float
    synthesis_g: float

    @property
    def saving_g(self) -> float:
        return self.baseline_g - self.actual_g

    @property
    def hindsight_share(self) -> float | None:
        """None where hindsight would have saved nothing either."""
        return self.reachable_saving_g / self.hindsight_saving_g if self.hindsight_saving_g > 0 else None
