"""Questions to the store, answered from one consistent snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, starmap
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select, true

from daemon.domain.caller import OPERATOR, Caller
from daemon.domain.errors import NotFound
from daemon.domain.job import Attempt, Came, Event, Job, Run
from daemon.domain.ledger import LedgerEntry, LedgerTotals
from daemon.domain.plan import Plan
from daemon.domain.shares import Held
from daemon.domain.states import FINAL_JOB_STATES, AttemptState, JobState
from daemon.domain.terms import AccountTerms
from daemon.store import schema, statements
from daemon.store.documents import decode_plan
from daemon.store.totals import entries_that_count, ledger_totals
from jobs.energy.observation import RunObservation

_LARGEST_SET = 500  # ids asked for in one statement, for databases limit the number of parameters; rows read at once
_LIVE_ATTEMPT_STATES = [state for state in AttemptState if not state.is_final]

R = TypeVar("R", Run, Attempt)

_JOB_FIELDS = statements.columns_of(schema.job, Job)


class Reader:
    """Everything a transaction can be asked. Lists are complete unless they take a limit."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def job(self, job_id: str) -> Job:
        """Raises NotFound."""
        if not job_id.isprintable():  # half a surrogate cannot be encoded, and PostgreSQL refuses NUL: no id holds them
            raise NotFound("job", job_id)
        found = self._jobs(statements.ONE_JOB, {"id": job_id})
        if not found:
            raise NotFound("job", job_id)
        return found[0]

    def jobs(
        self,
        states: Collection[JobState] | None = None,
        project: str | None = None,
        before: str | None = None,
        limit: int = 50,
        caller: Caller = OPERATOR,
    ) -> list[Job]:
        """Those that the caller sees, the newest first; `before` is the last id of the page before. Ids sort by acceptance time."""
        query = select(*_JOB_FIELDS).order_by(schema.job.c.id.desc()).limit(limit)
        if states is not None:
            query = query.where(schema.job.c.state.in_(list(states)))
        if project is not None:
            query = query.where(schema.job.c.project == project)
        if before is not None:
            query = query.where(schema.job.c.id < before)
        return self._jobs(query.where(_seen_by(caller)))

    def jobs_named(self, job_ids: Sequence[str]) -> list[Job]:
        """The jobs with these ids, in their order. Raises NotFound."""
        found = self.jobs_among(job_ids)
        for missing in (job_id for job_id in job_ids if job_id not in found):
            raise NotFound("job", missing)
        return [found[job_id] for job_id in job_ids]

    def jobs_among(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Those of the ids that are jobs, by id."""
        possible = [job_id for job_id in job_ids if job_id.isprintable()]  # as in `job`
        return {job.id: job for job in starmap(Job, self._among(statements.JOBS_AMONG, possible))}

    def live_jobs(self) -> list[Job]:
        """Jobs that are not final, the oldest first."""
        return self._jobs(statements.LIVE_JOBS)

    def runs_of_live_jobs(self) -> dict[str, list[Run]]:
        """As `runs_of` those that are not final."""
        return _by_job(starmap(Run, self._connection.execute(statements.RUNS_OF_LIVE).all()))

    def attempts_of_live_jobs(self) -> dict[str, list[Attempt]]:
        """As `attempts_of` those that are not final."""
        return _by_job(starmap(Attempt, self._connection.execute(statements.ATTEMPTS_OF_LIVE).all()))

    def came_since(self, instant: datetime) -> list[Came]:
        """Jobs accepted at `instant` or later, and the first of all, in the order of acceptance; without those that came
        before a version that noted what they asked for."""
        accepted, is_known = schema.job.c.accepted_at, schema.job.c.shortest_seconds.is_not(None)
        first = select(func.min(accepted)).where(is_known).scalar_subquery()
        query = select(*statements.columns_of(schema.job, Came)).where(is_known, or_(accepted >= instant, accepted == first))
        return [Came(*row) for row in self._connection.execute(query.order_by(accepted, schema.job.c.id))]

    def live_ids(self, caller: Caller) -> set[str]:
        """The ids of jobs that are not final, as far as the caller sees them."""
        live = [state for state in JobState if not state.is_final]
        return set(self._connection.scalars(select(schema.job.c.id).where(schema.job.c.state.in_(live), _seen_by(caller))))

    def live_versions(self, job_ids: Sequence[str]) -> dict[str, int]:
        """The version of each of the jobs that is not final, by id."""
        return {row.id: row.version for row in self._among(statements.LIVE_VERSIONS, job_ids)}

    def reasons_of(self, job_ids: Sequence[str]) -> dict[str, str]:
        """What each of the jobs tells of itself, by id."""
        return {row.id: row.reason for row in self._among(statements.REASONS_AMONG, job_ids)}

    def job_states(self, job_ids: Collection[str]) -> dict[str, JobState]:
        """By id; one that does not exist has no key."""
        query = select(schema.job.c.id, schema.job.c.state)
        return {
            row.id: row.state
            for piece in _pieces(sorted(job_ids))
            for row in self._connection.execute(query.where(schema.job.c.id.in_(piece)))
        }

    def live_jobs_of(self, owner: str | None, project: str) -> int:
        """How many jobs that are not final came with the owner's token; without an owner, how many of the project's came with none."""
        table = schema.job
        whose = table.c.owner == owner if owner is not None else and_(table.c.owner.is_(None), table.c.project == project)
        live = table.c.state.in_([state for state in JobState if not state.is_final])
        return self._connection.execute(select(func.count()).select_from(table).where(live, whose)).scalar_one()

    def unsettled_jobs(self) -> list[Job]:
        """Ended jobs that still lack a final ledger entry, the oldest first."""
        ended = schema.job.c.state.in_(list(FINAL_JOB_STATES))
        return self._jobs(select(*_JOB_FIELDS).where(ended, ~schema.job.c.settled).order_by(schema.job.c.id))

    def settled_since(self, instant: datetime) -> list[Job]:
        """Settled jobs whose newest ledger entry was made at `instant` or later, the oldest first."""
        recent = select(schema.ledger_entry.c.job_id).where(schema.ledger_entry.c.settled_at >= instant)
        return self._jobs(select(*_JOB_FIELDS).where(schema.job.c.settled, schema.job.c.id.in_(recent)).order_by(schema.job.c.id))

    def settling_since(self, instant: datetime) -> dict[str, tuple[int, int | None]]:
        """The version of each job whose account is open or was added to at `instant` or later, and the number of its newest entry."""
        job, entry = schema.job, schema.ledger_entry
        newest = select(job.c.id, job.c.version, func.max(entry.c.sequence)).group_by(job.c.id, job.c.version)
        still_open = newest.join_from(job, entry, entry.c.job_id == job.c.id, isouter=True).where(~job.c.settled)
        closed = newest.join_from(entry, job, entry.c.job_id == job.c.id).where(job.c.settled, entry.c.settled_at >= instant)
        return {
            job_id: (version, sequence) for query in (still_open, closed) for job_id, version, sequence in self._connection.execute(query)
        }

    def run(self, run_id: str) -> Run:
        """Raises NotFound."""
        row = self._connection.execute(statements.ONE_RUN, {"id": run_id}).one_or_none()
        if row is None:
            raise NotFound("run", run_id)
        return Run(*row)

    def runs_among(self, run_ids: Collection[str]) -> dict[str, Run]:
        """Those of the ids that are runs, by id."""
        return {run.id: run for run in starmap(Run, self._among(statements.RUNS_AMONG, sorted(run_ids)))}

    def runs(self, job_id: str) -> list[Run]:
        """The oldest first."""
        return self.runs_of([job_id]).get(job_id, [])

    def runs_of(self, job_ids: Sequence[str]) -> dict[str, list[Run]]:
        """By job id, each list the oldest first; a job without runs has no key."""
        return _by_job(starmap(Run, self._among(statements.RUNS_OF, job_ids)))

    def attempt(self, attempt_id: str) -> Attempt:
        """Raises NotFound."""
        row = self._connection.execute(statements.ONE_ATTEMPT, {"id": attempt_id}).one_or_none()
        if row is None:
            raise NotFound("attempt", attempt_id)
        return Attempt(*row)

    def attempts(self, job_id: str) -> list[Attempt]:
        """The oldest first."""
        return self.attempts_of([job_id]).get(job_id, [])

    def attempts_of(self, job_ids: Sequence[str]) -> dict[str, list[Attempt]]:
        """By job id, each list the oldest first; a job without attempts has no key."""
        return _by_job(starmap(Attempt, self._among(statements.ATTEMPTS_OF, job_ids)))

    def live_attempts(self, states: Collection[AttemptState] = _LIVE_ATTEMPT_STATES) -> list[Attempt]:
        """Attempts that are not final, the oldest first; those in `states` only."""
        return list(starmap(Attempt, self._connection.execute(statements.ATTEMPTS_IN, {"states": list(states)}).all()))

    def events(self, job_id: str, after: int = 0, limit: int = 100) -> list[Event]:
        """In order; `after` is the sequence of the last event already known."""
        table = schema.event
        query = select(table).where(table.c.job_id == job_id, table.c.sequence > after).order_by(table.c.sequence).limit(limit)
        return [Event(**row._mapping) for row in self._connection.execute(query)]

    def newest_event_at(self) -> datetime | None:
        """When the event recorded last happened; None before the first."""
        return self._connection.scalar(select(schema.event.c.at).order_by(schema.event.c.sequence.desc()).limit(1))

    def jobs_with_event(self, job_ids: Sequence[str], kind: str) -> set[str]:
        """Those of the jobs that have an event of that kind."""
        table = schema.event
        queries = (select(table.c.job_id).where(table.c.job_id.in_(piece), table.c.kind == kind) for piece in _pieces(job_ids))
        return {job_id for query in queries for job_id in self._connection.scalars(query)}

    def ledger(self, job_id: str) -> list[LedgerEntry]:
        """All settlements of the job in order; the last one counts."""
        table = schema.ledger_entry
        rows = self._connection.execute(select(table).where(table.c.job_id == job_id).order_by(table.c.sequence))
        return [LedgerEntry(**row._mapping) for row in rows]

    def account_terms(self, job_ids: Sequence[str]) -> dict[str, AccountTerms]:
        """What the accounts of the jobs were opened on; one without an entry, or from before that was kept, has no key."""
        table = schema.account_terms
        query = select(table.c.job_id, table.c.document)
        rows = (row for piece in _pieces(job_ids) for row in self._connection.execute(query.where(table.c.job_id.in_(piece))))
        return {row.job_id: row.document for row in rows}

    def baseline_seconds(self, job_ids: Sequence[str]) -> dict[str, float]:
        """What the settlement that counts of each of the jobs says; one without any has no key."""
        table = schema.ledger_entry
        query = select(table.c.job_id, table.c.baseline_seconds).select_from(entries_that_count())
        rows = (row for piece in _pieces(job_ids) for row in self._connection.execute(query.where(table.c.job_id.in_(piece))))
        return {row.job_id: row.baseline_seconds for row in rows}

    def latest_entries(
        self, project: str | None = None, start: datetime | None = None, end: datetime | None = None
    ) -> list[tuple[Job, LedgerEntry]]:
        """Each settled-at-all job with the entry that counts; `start` and `end` bound [start, end) when the job ended."""
        table = schema.ledger_entry
        query = select(table).select_from(entries_that_count()).where(*_ended_in(project, start, end)).order_by(table.c.job_id)
        entries = [LedgerEntry(**row._mapping) for row in self._connection.execute(query)]
        return list(zip(self.jobs_named([entry.job_id for entry in entries]), entries, strict=True))

    def ledger_totals(
        self, project: str | None = None, start: datetime | None = None, end: datetime | None = None, caller: Caller = OPERATOR
    ) -> LedgerTotals:
        """Sums over the entries that count, as `latest_entries` has them, of the jobs that the caller sees."""
        return ledger_totals(self._connection, *_ended_in(project, start, end), _seen_by(caller))

    def held_by_ended_jobs(self, since: datetime) -> list[Held]:
        """Every stretch that ended at `since` or later for which an attempt held GPUs, of jobs that are final."""
        attempt, job = schema.attempt, schema.job
        query = select(func.coalesce(job.c.owner, job.c.project), attempt.c.gpus, attempt.c.started_at, attempt.c.ended_at)
        query = query.join_from(attempt, job).where(attempt.c.started_at.is_not(None), attempt.c.ended_at >= since)
        return [Held(*row) for row in self._connection.execute(query.where(job.c.state.in_(list(FINAL_JOB_STATES))))]

    def settled_grams(self, project: str, start: datetime) -> tuple[float, list[str]]:
        """gCO2e of the project's jobs that ended at `start` or later, and the ids of those that worked and whose emissions nobody knows."""
        entry, job = schema.ledger_entry, schema.job
        other = entry.alias()
        newest = select(func.max(other.c.sequence)).where(other.c.job_id == job.c.id).correlate(job).scalar_subquery()
        is_newest = and_(entry.c.job_id == job.c.id, entry.c.sequence == newest)
        ended = (job.c.project == project, job.c.ended_at >= start, job.c.started_at.is_not(None))
        sums = select(func.sum(entry.c.actual_g), func.count() - func.count(entry.c.actual_g))
        grams, unknown = self._connection.execute(sums.join_from(job, entry, is_newest, isouter=True).where(*ended)).one()
        if not unknown:
            return grams or 0.0, []
        query = select(job.c.id).join_from(job, entry, is_newest, isouter=True).where(*ended, entry.c.actual_g.is_(None))
        return grams or 0.0, list(self._connection.scalars(query.order_by(job.c.id)))

    def last_plan(self) -> Plan | None:
        data = self._connection.scalar(select(schema.plan.c.document).order_by(schema.plan.c.id.desc()).limit(1))
        return None if data is None else decode_plan(data)

    def observations(self, hardware: str | None = None) -> list[RunObservation]:
        """What finished runs taught, the oldest first; of one hardware profile if named."""
        query = select(schema.run_observation.c.document).order_by(schema.run_observation.c.id)
        if hardware is not None:
            query = query.where(schema.run_observation.c.hardware == hardware)
        return list(self._connection.scalars(query))

    def idempotent(self, key: str, owner: str | None) -> tuple[str, str] | None:
        """The job id and the digest of the body that the owner first used an Idempotency-Key with, or None: another's keys are not told."""
        table = schema.submission_key
        query = select(table.c.job_id, table.c.digest).where(table.c.owner == (owner or ""), table.c.key == key)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else (row.job_id, row.digest)

    def counts(self) -> dict[tuple[JobState, str], int]:
        """Jobs by state and kind of workload; a pair without jobs has no key."""
        table = schema.job
        rows = self._connection.execute(select(table.c.state, table.c.kind, func.count()).group_by(table.c.state, table.c.kind))
        return {(state, kind): number for state, kind, number in rows}

    def _jobs(self, query: Select[Any], values: Mapping[str, object] | None = None) -> list[Job]:
        return list(starmap(Job, self._connection.execute(query, values).all()))

    def _among(self, query: Select[Any], ids: Sequence[str]) -> Iterator[Row[Any]]:
        """The rows that `query` finds by the ids. All of a piece at once: one by one they cost several calls each."""
        return chain.from_iterable(self._connection.execute(query, {"ids": piece}).all() for piece in _pieces(ids))


def _by_job(records: Iterable[R]) -> dict[str, list[R]]:
    found: dict[str, list[R]] = {}
    for one in records:
        found.setdefault(one.job_id, []).append(one)
    return found


def _seen_by(caller: Caller) -> ColumnElement[bool]:
    """As `Caller.sees`."""
    if not caller.projects:
        return true()
    return or_(schema.job.c.project.in_(sorted(caller.projects)), schema.job.c.owner == caller.name)


def _ended_in(project: str | None, start: datetime | None, end: datetime | None) -> list[ColumnElement[bool]]:
    """What holds of the project's jobs that ended in [start, end); None bounds nothing."""
    table = schema.job
    conditions = [] if project is None else [table.c.project == project]
    conditions += [] if start is None else [table.c.ended_at >= start]
    return conditions + ([] if end is None else [table.c.ended_at < end])


def _pieces(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _LARGEST_SET):
        yield ids[start : start + _LARGEST_SET]
