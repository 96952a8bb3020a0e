"""Questions about jobs, plan and ledger: reads only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from daemon.domain.caller import OPERATOR, Caller
from daemon.domain.errors import Rejected
from daemon.domain.job import Job
from daemon.domain.states import JobState
from daemon.service.energy_tally import EnergyTally
from daemon.service.explaining import Explainer
from daemon.service.job_views import EventView, JobDetail, JobView
from daemon.service.ledger_views import LedgerView, ReportView
from daemon.service.render import attempt_view, entry_view, job_view, per_1000, plan_view, terms_view
from daemon.service.report import clock_note, make_report
from daemon.service.seeing import seen_job, seen_plan, seen_settlements
from daemon.service.views import Page, PlanView
from daemon.service.work import JobWork, works_of
from daemon.store import Reader, Store
from forecast.clock import Clock
from jobs.rundir import RunDirectory

JOULES_PER_KWH = 3.6e6
_LONGEST_SEQUENCE = 18  # digits that a database's number holds for certain


class Queries:
    """Answers from one consistent read of the store each."""

    def __init__(self, store: Store, clock: Clock, explainer: Explainer) -> None:
        self._store, self._clock, self._explainer = store, clock, explainer
        self._tally = EnergyTally()

    def jobs(
        self, states: Sequence[JobState] | None, project: str | None, cursor: str | None, limit: int, caller: Caller = OPERATOR
    ) -> Page[JobView]:
        """Jobs, newest first; `cursor` is the id of the last job seen."""
        with self._store.read() as reader:
            found = reader.jobs(states, project, cursor, limit + 1, caller)
            works = works_of(reader, found[:limit])
            views = [job_view(work, self._energy_kwh(reader, work)) for work in works.values()]
        return Page[JobView](items=views, next_cursor=found[limit - 1].id if len(found) > limit else None)

    def job(self, job_id: str, caller: Caller = OPERATOR) -> JobDetail:
        with self._store.read() as reader:
            work = _work(reader, seen_job(reader, job_id, caller))
            view = job_view(work, self._energy_kwh(reader, work))
            settled = reader.ledger(job_id)[-1:] if work.job.state.is_final else []
            explanation = self._explainer.explain(reader, work, caller)
        return JobDetail(
            **dict(view),
            g_per_1000_samples=per_1000(settled[0].actual_g, settled[0].samples) if settled else None,
            request=work.job.request,
            attempts=[attempt_view(attempt) for attempt in work.attempts],
            directories=[run.directory for run in work.runs],
            explanation=explanation,
        )

    def events(self, job_id: str, cursor: str | None, limit: int, caller: Caller = OPERATOR) -> Page[EventView]:
        """What happened to a job, oldest first; `cursor` is the last sequence number seen."""
        with self._store.read() as reader:
            seen_job(reader, job_id, caller)
            found = reader.events(job_id, _sequence(cursor), limit + 1)
        items = [
            EventView(sequence=event.sequence or 0, at=event.at, kind=event.kind, message=event.message, detail=event.detail)
            for event in found[:limit]
        ]
        return Page[EventView](items=items, next_cursor=str(items[-1].sequence) if len(found) > limit else None)

    def ledger(self, job_id: str, caller: Caller = OPERATOR) -> LedgerView:
        with self._store.read() as reader:
            seen_job(reader, job_id, caller)
            entries, terms = reader.ledger(job_id), reader.account_terms([job_id]).get(job_id)
        told = [entry_view(entry) for entry in entries]
        return LedgerView(job_id=job_id, entries=told, sites=terms_view(terms), clock_note=clock_note(self._clock))

    def plan(self, caller: Caller = OPERATOR) -> PlanView:
        with self._store.read() as reader:
            plan = reader.last_plan()
            live = reader.live_jobs()
        return plan_view(None if plan is None else seen_plan(plan, live, caller), {job.id: job.request.name for job in live})

    def report(self, start: datetime | None, end: datetime | None, project: str | None, caller: Caller = OPERATOR) -> ReportView:
        """Over jobs that ended in [start, end) and have a settlement."""
        if start is not None and end is not None and not start < end:
            raise Rejected("end", "must lie after start")
        with self._store.read() as reader:
            settled = reader.latest_entries(project, start, end)
            totals = reader.ledger_totals(project, start, end, caller)
        return make_report(seen_settlements(settled, caller), totals, start, end, self._clock)

    def _energy_kwh(self, reader: Reader, work: JobWork) -> float | None:
        """Component energy metered so far, None if none is known: from the ledger, or from the run directories of a job under way."""
        if not work.runs:
            return None
        entries = reader.ledger(work.job.id) if work.job.state.is_final else []
        if entries:
            return entries[-1].energy_kwh
        tallies = [self._tally.joules(RunDirectory(run.directory).energy_file) for run in work.runs]
        known = [joules for joules in tallies if joules is not None]
        return sum(known) / JOULES_PER_KWH if known else None


def _work(reader: Reader, job: Job) -> JobWork:
    return works_of(reader, [job])[job.id]


def _sequence(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isdecimal() or len(cursor) > _LONGEST_SEQUENCE:
        raise Rejected("cursor", f"{cursor!r} is not a cursor of this list: use `next_cursor` of the page before")
    return int(cursor)
