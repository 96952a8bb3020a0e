"""The heart: observe, snapshot, plan, commit, act. Idempotent: after a crash anywhere the next tick goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from daemon.domain.job import Attempt, Event
from daemon.domain.plan import Plan, Snapshot
from daemon.domain.states import JobState
from daemon.service.act import Actor
from daemon.service.budgets import Budgets
from daemon.service.commit import Committed, Committer
from daemon.service.deadlines import tell_missed
from daemon.service.gpu_use import GpuUse
from daemon.service.isolation import poisoned_alone
from daemon.service.observe import Observer
from daemon.service.snapshot import Claims, Photographer, weights_of
from daemon.service.work import JobWork, live_works
from daemon.store import Reader, Store
from forecast.clock import Clock

log = logging.getLogger(__name__)

Planner = Callable[[Snapshot], Plan]


def nothing(_: str) -> None:
    """The default for `after_step`."""


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one tick saw and did: for logs, metrics and the preview board."""

    snapshot: Snapshot
    plan: Plan
    committed: Committed
    ended: tuple[Attempt, ...]
    missed: tuple[str, ...]  # jobs told now, once each, that their deadline is not kept


class Tick:
    """One beat. `after_step` is told the name of every step just done; tests kill the process there."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        observer: Observer,
        photographer: Photographer,
        planner: Planner,
        committer: Committer,
        actor: Actor,
        budgets: Budgets,
        use: GpuUse | None,
        after_step: Callable[[str], None] = nothing,
    ) -> None:
        self._store, self._clock, self._after_step = store, clock, after_step
        self._observer, self._photographer, self._planner = observer, photographer, planner
        self._committer, self._actor = committer, actor
        self._budgets, self._use = budgets, use

    def run(self) -> TickReport:
        ended = self._observer.observe()
        self._after_step("observe")
        now = self._clock.now()
        try:
            snapshot, plan, committed, works = self._decide(now)
        finally:  # what was decided before is done even where no new plan can be made
            ended += self._actor.act()
        self._after_step("act")
        missed = tell_missed(self._store, works, plan, ended, now)
        return TickReport(snapshot, plan, committed, tuple(ended), tuple(missed))

    def _decide(self, now: datetime) -> tuple[Snapshot, Plan, Committed, dict[str, JobWork]]:
        with self._store.read() as reader:
            live = live_works(reader)
            hopeless = _fates(reader, live)
            works = {job_id: work for job_id, work in live.items() if job_id not in hopeless}
            weights = weights_of(reader, works)
            claims = self._claims(reader, works, now)
        for job_id, (state, reason) in hopeless.items():
            with poisoned_alone("close", job=job_id):
                self._close(live[job_id], state, reason)
        snapshot = self._photographer.take(now, works, weights, claims)
        self._after_step("snapshot")
        plan = self._planner(snapshot)
        self._after_step("plan")
        committed = self._committer.commit(snapshot, plan, works)
        self._after_step("commit")
        return snapshot, plan, committed, works

    def _claims(self, reader: Reader, works: Mapping[str, JobWork], now: datetime) -> Claims:
        standings = self._use.rule.standings(self._use.renew(reader, works, now)) if self._use is not None else {}
        return Claims(self._budgets.spending(reader, works, now), standings)

    def _close(self, work: JobWork, state: JobState, reason: str) -> None:
        """End a job that can never start."""
        now = self._clock.now()
        with self._store.write() as writer:
            current = writer.job(work.job.id)
            if current.state.is_final:
                return  # the user cancelled it in between
            ended = replace(current, state=state, reason=reason, ended_at=now, planned=())
            writer.change_job(ended, Event(current.id, now, f"job-{state}", reason))
            for run in work.open_runs:
                writer.change_run(replace(run, closed_at=now))


def _fates(reader: Reader, live: Mapping[str, JobWork]) -> dict[str, tuple[JobState, str]]:
    """How those of the live jobs end that can never start: cancelled before they ran, or waiting for a job that did not succeed."""
    ended = reader.job_states({name for work in live.values() for name in work.job.predecessors if name not in live})
    return {job_id: fate for job_id, work in live.items() if (fate := _fate(work, ended)) is not None}


def _fate(work: JobWork, ended: Mapping[str, JobState]) -> tuple[JobState, str] | None:
    """How a job ends that can never start; `ended` are the states of predecessors that are no longer live."""
    job = work.job
    if work.live or job.state is JobState.RUNNING:
        return None
    if job.cancel_requested:
        return JobState.CANCELLED, "cancelled on request"
    for name in job.predecessors:
        state = ended.get(name)
        if state is not None and state is not JobState.SUCCEEDED:
            return JobState.EXPIRED, f"job {name}, which has to succeed first, {state}: submit it again, then this one"
    return None
