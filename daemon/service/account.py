"""One job's account: its energy sorted by purpose, its baseline, its hindsight optimum, and what was saved where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.domain.accounting import (
    Conversion,
    LoadProfile,
    MissingIntensity,
    Place,
    Purpose,
    Slice,
    emissions_g,
    home_profile,
    mean_intensity,
    slice_emissions_g,
)
from daemon.domain.hindsight import HindsightSite, best_in_hindsight_g
from daemon.domain.job import Job
from daemon.domain.ledger import EntryKind, LedgerEntry
from daemon.domain.states import JobState
from daemon.domain.terms import AccountTerms, SiteTerms
from daemon.domain.usage import AttemptUsage, GridTime, RunUsage, slices_of_run
from daemon.service.baseline import ready_at
from daemon.service.grid import GridRecord, KnownGrid
from daemon.service.policy import Policy
from daemon.service.snapshot import mode_of
from daemon.service.work import JobWork
from forecast.clock import Clock
from forecast.intensity import Series
from forecast.timeline import HOUR, Interval
from jobs.rundir import RunDirectory
from jobs.spec import SynthesisWorkload

LONGEST_ACCOUNT = timedelta(days=5 * 366)  # from when a job might have begun: none waits and works that long


class ImplausibleTimes(Exception):
    """The stamps of a job cannot all be right; `str()` is a sentence."""

    def __init__(self, span: Interval) -> None:
        super().__init__(
            f"its stamps reach from {span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M}: the clock of its host was wrong meanwhile; "
            "when it worked is not known, and its account stays open"
        )


@dataclass(frozen=True, slots=True)
class Transfer:
    """Facility energy spent to bring data to a site."""

    place: Place
    at: datetime
    kwh: float

    @property
    def interval(self) -> Interval:
        return Interval(self.at, self.at + timedelta(seconds=1))


@dataclass(frozen=True, slots=True)
class Candidate:
    """An admissible site: the factors from home to it, what moving the weights there cost, runs that fit side by side."""

    place: Place
    factor: Conversion
    transfer_kwh: float
    places: int


@dataclass(frozen=True, slots=True)
class Account:
    """Everything a settlement needs but the grid."""

    job: Job
    home: Place
    slices: tuple[Slice, ...]
    transfers: tuple[Transfer, ...]
    conversions: Mapping[str, Conversion]
    candidates: tuple[Candidate, ...]
    width: int  # runs that might have been side by side
    window: Interval  # when the job might have run, as far as hindsight looks
    baseline_start: datetime
    samples: int
    rate: float  # grid seconds in a real one

    @property
    def useful(self) -> list[Slice]:
        return [piece for piece in self.slices if piece.purpose is Purpose.USEFUL]

    @property
    def profile(self) -> LoadProfile:
        return home_profile(self.useful, self.conversions)

    def span(self) -> Interval:
        """Every instant that matters to the account. Raises ImplausibleTimes, instead of asking the grid about decades."""
        done = [piece.interval for piece in self.slices] + [transfer.interval for transfer in self.transfers] + [self.window]
        stamped = Interval(min(each.start for each in done), max(each.end for each in done))
        if stamped.duration > LONGEST_ACCOUNT:
            raise ImplausibleTimes(stamped)
        baseline_end = self.baseline_start + timedelta(seconds=self.profile.seconds)  # years from now where home has a long queue
        return Interval(min(stamped.start, self.baseline_start), max(stamped.end, baseline_end))

    def settle(self, grid: KnownGrid, sequence: int) -> LedgerEntry:
        """The account on what is known of the grid. Raises ImplausibleTimes."""
        span = self.span()
        zones = {self.home.zone, *(piece.place.zone for piece in self.slices), *(candidate.place.zone for candidate in self.candidates)}
        records = {zone: grid.record(zone, span) for zone in sorted(zones)}
        is_closed = all(record.is_closed(span) for record in records.values())
        return self._entry(records, sequence, EntryKind.FINAL if is_closed else EntryKind.PROVISIONAL, grid.now)

    def _entry(self, records: Mapping[str, GridRecord], sequence: int, kind: EntryKind, settled_at: datetime) -> LedgerEntry:
        """What `records`, by zone, make of it."""
        sums, used = self._sums(records), self._hours_used()
        return LedgerEntry(
            job_id=self.job.id,
            sequence=sequence,
            kind=kind,
            settled_at=settled_at,
            intensity_kind=records[self.home.zone].filled.kind.label,
            energy_kwh=_kwh(self.slices),
            facility_energy_kwh=sum(piece.kwh * piece.place.pue for piece in self.slices) + sum(item.kwh for item in self.transfers),
            useful_kwh=_kwh(self.useful),
            waste_kwh=_kwh(piece for piece in self.slices if piece.purpose is Purpose.WASTE),
            overhead_kwh=_kwh(piece for piece in self.slices if piece.purpose is Purpose.OVERHEAD)
            + sum(item.kwh for item in self.transfers),
            measured_kwh=sum(piece.kwh_by("measured") for piece in self.slices),
            estimated_kwh=sum(piece.kwh_by("estimated") for piece in self.slices),
            simulated_kwh=sum(piece.kwh_by("simulated") for piece in self.slices),
            actual_g=sums.actual,
            overhead_g=sums.overhead,
            baseline_site=self.home.site,
            baseline_start=self.baseline_start,
            baseline_g=sums.baseline,
            baseline_is_estimated=any(factor != Conversion() for factor in self.conversions.values()),
            hindsight_g=self._hindsight(records, sums.baseline),
            saving_by_time_g=sums.by_time,
            saving_by_place_g=sums.by_place,
            samples=self.samples,
            unsettled_hours=len({hour for zone, interval in used for hour in records[zone].unsettled_hours(interval)}),
            worst_rung=max((records[zone].worst_rung(interval) for zone, interval in used), default=0),
            baseline_seconds=self.profile.seconds,
            unmetered_seconds=sum(piece.interval.seconds for piece in self.slices if not piece.is_metered) / self.rate,
        )

    def _hours_used(self) -> list[tuple[str, Interval]]:
        """The zones and intervals that actual and baseline emissions rest on."""
        used = [(piece.place.zone, piece.interval) for piece in self.slices]
        used += [(transfer.place.zone, transfer.interval) for transfer in self.transfers]
        seconds = self.profile.seconds
        if seconds > 0:
            used.append((self.home.zone, Interval(self.baseline_start, self.baseline_start + timedelta(seconds=seconds))))
            used += [(self.home.zone, piece.interval) for piece in self.useful]
        return used

    def _sums(self, records: Mapping[str, GridRecord]) -> _Sums:
        def series_of(zone: str) -> Series:
            return records[zone].filled

        home = records[self.home.zone].filled
        try:
            useful = emissions_g(self.useful, series_of)
            moved = sum(item.kwh * mean_intensity(series_of(item.place.zone), item.interval) for item in self.transfers)
            actual = emissions_g(self.slices, series_of) + moved
            baseline = self.profile.emissions_g(self.baseline_start, home, self.home.pue)
            useful_at_home = sum(
                slice_emissions_g(piece, home, self.home.pue) * self.conversions[piece.place.site].energy for piece in self.useful
            )
        except MissingIntensity:
            return _Sums()
        return _Sums(actual, actual - useful, baseline, baseline - useful_at_home, useful_at_home - useful)

    def _hindsight(self, records: Mapping[str, GridRecord], baseline_g: float | None) -> float | None:
        """The optimum at the work's mean power, or the baseline where its own ups and downs met the grid even better."""
        profile = self.profile
        if profile.seconds <= 0:
            return None
        sites = [
            HindsightSite(
                candidate.place,
                records[candidate.place.zone].observed,
                profile.seconds * candidate.factor.duration,
                profile.kwh * candidate.factor.energy,
                candidate.transfer_kwh,
                candidate.places,
            )
            for candidate in self.candidates
        ]
        best = best_in_hindsight_g(sites, self.window, mode_of(self.job).value, self.width)
        if best is None or baseline_g is None or not self._baseline_was_possible(records):
            return best
        return min(best, baseline_g)

    def _baseline_was_possible(self, records: Mapping[str, GridRecord]) -> bool:
        """Whether the run at home was one of the schedules that hindsight may choose from."""
        ran = Interval(self.baseline_start, self.baseline_start + timedelta(seconds=self.profile.seconds))
        is_within = self.window.start <= ran.start and ran.end <= self.window.end
        return is_within and records[self.home.zone].observed.mean(ran) is not None


@dataclass(frozen=True, slots=True)
class _Sums:
    actual: float | None = None
    overhead: float | None = None
    baseline: float | None = None
    by_time: float | None = None
    by_place: float | None = None


def _kwh(slices: Iterable[Slice]) -> float:
    return sum(piece.kwh for piece in slices)


def open_account(work: JobWork, terms: AccountTerms, baseline_start: datetime, clock: Clock, policy: Policy) -> Account:
    """Read the run directories of an ended job and sort its energy by purpose. Raises OSError."""
    sites = terms.by_site
    return Account(
        job=work.job,
        home=terms.home.place,
        slices=tuple(_slices(work, sites, GridTime(clock.to_grid, clock.rate))),
        transfers=tuple(
            Transfer(sites[run.site].place, run.created_at, run.transferred_gb * sites[run.site].transfer_kwh_per_gb)
            for run in work.runs
            if run.transferred_gb
        ),
        conversions={run.site: sites[run.site].to_home for run in work.runs},
        candidates=tuple(
            Candidate(site.place, site.from_home, _transfer_kwh(work, site), site.places) for site in terms.sites if site.places
        ),
        width=terms.width,
        window=_window(work.job, policy.longest_horizon),
        baseline_start=baseline_start,
        samples=sum(run.steps_done for run in work.runs) if isinstance(work.job.workload, SynthesisWorkload) else 0,
        rate=clock.rate,
    )


def _window(job: Job, beyond_its_end: timedelta) -> Interval:
    """When the job might have run: until its deadline, but no longer after its end than a plan could have looked ahead then.

    An account is open until its window is over: without that bound, one of a job that may end in ten years would be open for ten.
    """
    ready = ready_at(job)
    assert job.ended_at is not None  # it is settled
    return Interval(ready, max(min(job.deadline, job.ended_at + beyond_its_end), ready + HOUR))


def _transfer_kwh(work: JobWork, site: SiteTerms) -> float:
    """What moving the weights to that site cost when it was done; 0 where it was not needed."""
    return max((run.transferred_gb * site.transfer_kwh_per_gb for run in work.runs if run.site == site.site), default=0.0)


def _slices(work: JobWork, sites: Mapping[str, SiteTerms], time: GridTime) -> list[Slice]:
    slices: list[Slice] = []
    first_startup_is_useful = True
    for run in work.runs:
        attempts = [attempt for attempt in work.attempts if attempt.run_id == run.id]
        if not any(attempt.started_at for attempt in attempts):
            continue  # never worked: the first start-up is still to come
        records = RunDirectory(run.directory).energy()
        usages = tuple(
            AttemptUsage(attempt, tuple(record for record in records if record.attempt_id == attempt.id)) for attempt in attempts
        )
        kept = run.steps_done
        if not isinstance(work.job.workload, SynthesisWorkload):
            kept = work.steps_total if work.job.state is JobState.SUCCEEDED else 0
        site = sites[run.site]
        usage = RunUsage(site.place, usages, kept, site.expected_watts)
        slices += slices_of_run(usage, time, first_startup_is_useful=first_startup_is_useful)
        first_startup_is_useful = first_startup_is_useful and kept == 0
    return slices
