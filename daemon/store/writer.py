"""Changes to the store. Every method belongs to one transaction: all of it is kept, or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from operator import attrgetter
from typing import Any, NoReturn

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from daemon.domain.errors import NotFound
from daemon.domain.job import Attempt, Event, Job, Run
from daemon.domain.ledger import LedgerEntry
from daemon.domain.plan import Plan
from daemon.domain.states import IllegalTransition
from daemon.domain.terms import AccountTerms
from daemon.store import schema, statements
from daemon.store.documents import encode_plan
from daemon.store.errors import BackwardsState, StaleWrite
from daemon.store.reader import Reader
from jobs.energy.observation import RunObservation


class Writer(Reader):
    """A reader that may also change. What it reads includes its own changes."""

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part of the transaction that is dropped alone if an exception leaves it."""
        with self._connection.begin_nested():
            yield

    def add_job(self, job: Job, event: Event, idempotency: tuple[str, str] | None = None) -> None:
        """Record an accepted job with its first event; `idempotency` is the key and the digest of the request.

        Raises StaleWrite if the id, or the key of the job's owner, is already in use.
        """
        self.add_jobs([(job, event, idempotency)])

    def add_jobs(self, accepted: Sequence[tuple[Job, Event, tuple[str, str] | None]]) -> None:
        """Record jobs that were accepted together, each as `add_job` does; one statement a table.

        Raises StaleWrite if an id or a key is already in use.
        """
        keys = [
            {"owner": job.owner or "", "key": known[0], "job_id": job.id, "digest": known[1]}
            for job, _, known in accepted
            if known is not None
        ]
        try:
            self._connection.execute(statements.ADD_JOB, [_job_values(job) for job, _, _ in accepted])
            self._connection.execute(statements.ADD_EVENT, [_event_values(event) for _, event, _ in accepted])
            if keys:
                self._connection.execute(statements.ADD_KEY, keys)
        except IntegrityError as error:
            names = ", ".join(job.id for job, _, _ in accepted)
            raise StaleWrite(f"job {names} or its idempotency key is already recorded") from error

    def change_job(self, job: Job, event: Event | None = None) -> Job:
        """Store `job` if the row still holds `job.version`, and return it as stored (version + 1). What was fixed at acceptance stays.

        Raises StaleWrite if the row has another version, NotFound without a row, IllegalTransition for a state that
        cannot follow the stored one.
        """
        stored = dataclasses.replace(job, version=job.version + 1)
        seen = {"of_job": job.id, "seen": job.version}
        changes = _changes(stored, statements.JOB_CHANGES)
        if self._connection.execute(statements.CHANGE_JOB_TO[job.state], changes | seen).rowcount != 1:
            self._refuse_change(job)
        if event is not None:
            self.add_event(event)
        return stored

    def _refuse_change(self, job: Job) -> NoReturn:
        """Say why the row of the job could not be changed."""
        current = self._connection.execute(statements.STATE_AND_VERSION, {"id": job.id}).one_or_none()
        if current is None:
            raise NotFound("job", job.id)
        if current.version == job.version:
            raise IllegalTransition(job.id, current.state, job.state)
        raise StaleWrite(f"job {job.id} changed meanwhile: version {job.version} was seen, {current.version} is stored")

    def tell_plans(self, planned: Sequence[tuple[Job, Event | None]]) -> None:
        """Store what is planned for jobs and why, and nothing else of them, with what there is to tell of it.

        Their versions must have been seen in this transaction.
        """
        rows = [{"of_job": job.id, "seen": job.version, "segments": job.planned, "why": job.reason} for job, _ in planned]
        events = [_event_values(event) for _, event in planned if event is not None]
        if rows:
            self._connection.execute(statements.TELL_PLAN, rows)
        if events:
            self._connection.execute(statements.ADD_EVENT, events)

    def add_run(self, run: Run) -> None:
        self._connection.execute(statements.ADD_RUN, _values(run))

    def change_run(self, run: Run) -> None:
        """Store what becomes of it; where and of what it is a run stays. Raises NotFound."""
        if self._connection.execute(statements.CHANGE_RUN, _changes(run, statements.RUN_CHANGES) | {"of_run": run.id}).rowcount != 1:
            raise NotFound("run", run.id)

    def tell_steps(self, reached: Mapping[str, int]) -> None:
        """Note the steps that runs have reached, by run id; one that is no run is passed over."""
        rows = [{"of_run": run_id, "reached": steps} for run_id, steps in reached.items()]
        if rows:
            self._connection.execute(statements.TELL_STEPS, rows)

    def add_attempt(self, attempt: Attempt, event: Event | None = None) -> None:
        self._connection.execute(statements.ADD_ATTEMPT, _values(attempt))
        if event is not None:
            self.add_event(event)

    def change_attempt(self, attempt: Attempt, event: Event | None = None) -> None:
        """Store what becomes of `attempt`. A wish to stop that was recorded meanwhile is kept: a signal has no way back.

        Raises NotFound, and BackwardsState if its state lies before the stored one or the stored one is another final state.
        """
        wish = {"wish": attempt.stop_wish, "wished_at": attempt.stop_wished_at, "of_attempt": attempt.id}
        changes = _changes(attempt, statements.ATTEMPT_CHANGES)
        if self._connection.execute(statements.CHANGE_ATTEMPT_TO[attempt.state], changes | wish).rowcount != 1:
            raise BackwardsState(attempt.id, self.attempt(attempt.id).state, attempt.state)
        if event is not None:
            self.add_event(event)

    def add_event(self, event: Event) -> None:
        """Append; the store numbers it, a number given by the caller is ignored."""
        self._connection.execute(statements.ADD_EVENT, _event_values(event))

    def add_ledger_entry(self, entry: LedgerEntry) -> None:
        """Append. Raises StaleWrite if the job already has an entry of that sequence."""
        try:
            self._connection.execute(insert(schema.ledger_entry), _values(entry))
        except IntegrityError as error:
            raise StaleWrite(f"job {entry.job_id} is unknown or already has a ledger entry {entry.sequence}") from error

    def add_account_terms(self, job_id: str, terms: AccountTerms) -> None:
        """Once for a job, with the first entry that rests on them."""
        self._connection.execute(insert(schema.account_terms), {"job_id": job_id, "document": terms})

    def save_plan(self, plan: Plan) -> None:
        """Keep the plan as the last one, and the few dozen before it."""
        self._connection.execute(statements.ADD_PLAN, {"made_at": plan.made_at, "document": encode_plan(plan)})
        self._connection.execute(statements.FORGET_PLANS)

    def add_observations(self, observations: Iterable[RunObservation]) -> None:
        rows = [{"hardware": one.hardware, "document": one} for one in observations]
        if rows:
            self._connection.execute(insert(schema.run_observation), rows)


def _values(record: Any) -> dict[str, Any]:
    """The fields of a flat dataclass, as they are."""
    names, read = _fields_of(record.__class__)
    return dict(zip(names, read(record), strict=True))


@cache
def _fields_of(kind: type[Any]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """The names of a dataclass's fields, and what reads them all from one of its values."""
    names = tuple(field.name for field in dataclasses.fields(kind))
    return names, attrgetter(*names)


def _changes(record: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}


def _job_values(job: Job) -> dict[str, Any]:
    return _values(job) | {"project": job.request.project, "kind": job.workload.kind}


def _event_values(event: Event) -> dict[str, Any]:
    values = _values(event)
    del values["sequence"]
    return values
