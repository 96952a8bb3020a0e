"""The chore that closes accounts: metered energy x PUE x measured intensity of the same hours, beside the baseline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock

from daemon.domain.job import Job
from daemon.domain.ledger import EntryKind, LedgerEntry
from daemon.domain.terms import AccountTerms
from daemon.service.account import ImplausibleTimes, open_account
from daemon.service.baseline import BaselineQueue
from daemon.service.costs import Costs
from daemon.service.gathering import gather_samples
from daemon.service.grid import KnownGrid, SettledGrid
from daemon.service.isolation import poisoned_alone
from daemon.service.policy import Policy, Workplaces
from daemon.service.terms import terms_of
from daemon.service.work import JobWork, works_of
from daemon.store import Store
from forecast.clock import Clock
from forecast.timeline import HOUR
from jobs.data.amounts import prepared_counts
from jobs.energy.observation import RunObservation, observe_run
from jobs.rundir import RunDirectory

log = logging.getLogger(__name__)
WORTH_A_NEW_ENTRY = 1e-3  # relative change of a provisional account that is told again
WORTH_AN_ADJUSTMENT = 1e-6  # relative change of a final one that is corrected


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the jobs to be settled, by id: baseline starts, entries so far, what their accounts were opened on."""

    starts: Mapping[str, datetime]
    past: Mapping[str, list[LedgerEntry]]
    terms: Mapping[str, AccountTerms]


class Settler:
    """Appends ledger entries: provisional when a job ends, final when no hour can change, adjustments after restatements."""

    def __init__(
        self,
        store: Store,
        workplaces: Workplaces,
        costs: Costs,
        grid: SettledGrid,
        clock: Clock,
        policy: Policy,
        after_step: Callable[[str], None],
    ) -> None:
        self._store, self._workplaces, self._costs, self._grid = store, workplaces, costs, grid
        self._clock, self._policy, self._after_step = clock, policy, after_step
        self._sites = {name: place.site for name, place in workplaces.items()}
        self._queue = BaselineQueue(workplaces)
        self._looked_at: dict[str, datetime] = {}  # when a job's account was last worked out, until it is final
        self._one_at_a_time = Lock()  # the tick and two chores settle, each in its own thread

    def settle(self) -> list[LedgerEntry]:
        """Settle every ended job that has no final entry yet, each once an hour; the entries appended."""
        with self._one_at_a_time:
            now = self._clock.now()
            with self._store.read() as reader:
                jobs = [job for job in reader.unsettled_jobs() if self._is_due(job, now)]
            return self._settle(jobs, now, is_adjustment=False)

    def settle_new(self, job_ids: Iterable[str]) -> list[LedgerEntry]:
        """A first settlement of jobs that have just ended; the chore does the rest, so that a tick is not held up."""
        with self._one_at_a_time:
            with self._store.read() as reader:
                jobs = [reader.job(job_id) for job_id in dict.fromkeys(job_ids)]
            return self._settle([job for job in jobs if job.state.is_final and not job.settled], self._clock.now(), is_adjustment=False)

    def adjust(self) -> list[LedgerEntry]:
        """Look again at jobs settled not long ago: the provider may have restated their hours."""
        with self._one_at_a_time:
            now = self._clock.now()
            with self._store.read() as reader:
                jobs = reader.settled_since(now - self._policy.adjust_for)
            return self._settle(jobs, now, is_adjustment=True)

    def _is_due(self, job: Job, now: datetime) -> bool:
        """The record of the grid grows by the hour: looking at a long run's energy more often would show nothing new."""
        looked_at = self._looked_at.get(job.id)
        return looked_at is None or not timedelta(0) <= now - looked_at < HOUR

    def _settle(self, jobs: Sequence[Job], now: datetime, *, is_adjustment: bool) -> list[LedgerEntry]:
        if not jobs:  # as at most ticks: the queue of a month's jobs need not be gone through for nobody
            return []
        grid = self._grid.as_known_at(now)
        with self._store.read() as reader:
            works = works_of(reader, jobs)
            starts = self._queue.starts(reader, works, now - self._policy.adjust_for)
            past = {job_id: reader.ledger(job_id) for job_id in works}
            known = _Known(starts, past, reader.account_terms(list(works)))
        entries = []
        for work in works.values():
            with poisoned_alone("settlement", job=work.job.id):
                entry = self._settle_if_possible(work, known, grid, is_adjustment=is_adjustment)
                if entry is not None:
                    entries.append(entry)
        return entries

    def _settle_if_possible(self, work: JobWork, known: _Known, grid: KnownGrid, *, is_adjustment: bool) -> LedgerEntry | None:
        unknown = {work.job.home, *(run.site for run in work.runs)} - set(self._workplaces)
        if unknown:
            reason = f"{', '.join(sorted(unknown))} is no site any more: put it back into the settings"
            log.warning("settlement-postponed", extra={"job": work.job.id, "reason": reason})
            return None
        try:
            return self._settle_job(work, known, grid, is_adjustment=is_adjustment)
        except (OSError, ImplausibleTimes) as error:  # a run directory that cannot be read now, or not be believed: the account stays open
            log.warning("settlement-postponed", extra={"job": work.job.id, "reason": str(error)})
            return None

    def _settle_job(self, work: JobWork, known: _Known, grid: KnownGrid, *, is_adjustment: bool) -> LedgerEntry | None:
        if not work.attempts:
            self._close(work.job)
            return None
        past, kept = known.past[work.job.id], known.terms.get(work.job.id)
        lessons: list[RunObservation] = []
        if not past:
            gather_samples(work)
            lessons = self._lessons(work)
        terms = kept or terms_of(work, self._sites, self._costs, self._clock.rate, self._policy.max_parallel)
        account = open_account(work, terms, known.starts[work.job.id], self._clock, self._policy)
        entry = account.settle(grid, len(past) + 1)
        self._looked_at[work.job.id] = grid.now
        self._after_step("settle:computed")
        if is_adjustment:
            entry = replace(entry, kind=EntryKind.ADJUSTMENT)
        if past and not _is_news(past[-1], entry):
            return None
        self._record(work.job, entry, lessons, terms if kept is None else None)
        self._after_step("settle:recorded")
        return entry

    def _record(self, job: Job, entry: LedgerEntry, lessons: list[RunObservation], new_terms: AccountTerms | None) -> None:
        """The entry, what it rests on and what its runs taught, in one transaction: none is ever recorded twice."""
        with self._store.write() as writer:
            writer.add_ledger_entry(entry)
            if new_terms is not None:
                writer.add_account_terms(job.id, new_terms)
            writer.add_observations(lessons)
            if entry.kind is EntryKind.FINAL:
                writer.change_job(replace(writer.job(job.id), settled=True))
                self._looked_at.pop(job.id, None)
        if lessons:
            self._costs.learn(lessons)

    def _close(self, job: Job) -> None:
        """A job that never started has nothing to account for."""
        with self._store.write() as writer:
            writer.change_job(replace(writer.job(job.id), settled=True))

    def _lessons(self, work: JobWork) -> list[RunObservation]:
        """What the runs showed of the hardware they were on."""
        lessons: list[RunObservation] = []
        for run in work.runs:
            directory = RunDirectory(run.directory)
            if directory.spec_file.exists():
                hardware = self._workplaces[run.site].site.hardware
                images = prepared_counts(directory.cache)
                lessons += observe_run(directory.read_spec(), directory.energy(), directory.progress(), hardware, images)
        return lessons


def _is_news(last: LedgerEntry, entry: LedgerEntry) -> bool:
    """Whether the new settlement says anything the last one did not."""
    if entry.kind is EntryKind.ADJUSTMENT:
        return _differs(last, entry, WORTH_AN_ADJUSTMENT)
    return entry.kind is not last.kind or _differs(last, entry, WORTH_A_NEW_ENTRY)


def _differs(last: LedgerEntry, entry: LedgerEntry, tolerance: float) -> bool:
    pairs = ((last.actual_g, entry.actual_g), (last.baseline_g, entry.baseline_g), (last.hindsight_g, entry.hindsight_g))
    for old, new in pairs:
        if (old is None) != (new is None):
            return True
        if old is not None and new is not None and abs(new - old) > tolerance * max(abs(old), 1e-9):
            return True
    return False
