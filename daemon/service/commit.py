"""The tick's fifth step: write the plan down, and every launch and stop it asks for now, before anything happens."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from daemon.domain.ids import new_id
from daemon.domain.job import Attempt, Event, Job, PlannedSegment, Run, StopWish
from daemon.domain.plan import Plan, Snapshot
from daemon.domain.states import AttemptState, JobState
from daemon.service.isolation import poisoned_alone
from daemon.service.policy import Workplaces
from daemon.service.work import JobWork
from daemon.store import StaleWrite, Store, Writer
from jobs.spec import SampleRange, SynthesisWorkload

log = logging.getLogger(__name__)

JOBS_AT_ONCE = 50  # about a tenth of a second: submissions wait for the transaction that is under way

_Asked = tuple[JobWork, tuple[PlannedSegment, ...], str]  # what the plan wants of a job, and why


@dataclass(slots=True)
class Committed:
    """What one commit recorded."""

    launched: int = 0
    stale: int = 0
    free_gpus: dict[str, int] = field(default_factory=dict)


class Committer:
    """Commits a plan against the versions its snapshot saw: what has changed meanwhile is dropped, job by job."""

    def __init__(self, store: Store, workplaces: Workplaces) -> None:
        self._store, self._workplaces = store, workplaces

    def commit(self, snapshot: Snapshot, plan: Plan, works: Mapping[str, JobWork]) -> Committed:
        """A few jobs to a transaction, so that submissions need not wait for all; `works` is what the snapshot was made from."""
        answers = {item.job_id: (item.segments, item.reason) for item in plan.placements}
        answers |= {item.job_id: ((), item.reason) for item in plan.unplaced}
        done = Committed(free_gpus={name: place.site.gpus for name, place in self._workplaces.items()})
        for attempt in (attempt for work in works.values() for attempt in work.live if attempt.site in done.free_gpus):
            done.free_gpus[attempt.site] -= attempt.gpus
        asked = []
        for planned in snapshot.jobs:
            segments, reason = answers.get(planned.id, ((), "the planner gave no answer"))
            if _asks_for_something(works[planned.id], segments, reason, snapshot.now):
                asked.append((works[planned.id], segments, reason))
        for first in range(0, len(asked), JOBS_AT_ONCE):
            with self._store.write() as writer:
                self._commit_part(writer, asked[first : first + JOBS_AT_ONCE], snapshot.now, done)
        with self._store.write() as writer:
            self._stop_cancelled(writer, works, snapshot.now)
            writer.save_plan(plan)
        return done

    def _commit_part(self, writer: Writer, part: Sequence[_Asked], now: datetime, done: Committed) -> None:
        versions = writer.live_versions([work.job.id for work, _, _ in part])
        for work, segments, reason in part:
            try:
                if versions.get(work.job.id) != work.job.version:
                    raise StaleWrite(f"job {work.job.id} changed while the plan was made")
                with poisoned_alone("commit", job=work.job.id), writer.part():
                    self._commit_job(writer, work, segments, reason, now, done)
            except StaleWrite:
                done.stale += 1
                log.info("plan-stale", extra={"job": work.job.id})

    def _commit_job(
        self, writer: Writer, work: JobWork, segments: tuple[PlannedSegment, ...], reason: str, now: datetime, done: Committed
    ) -> None:
        wanted = _wanted(segments, now)
        job = self._record_plan(writer, work.job, segments, reason, now)
        work = replace(work, job=job)
        held = Counter(attempt.site for attempt in work.live)
        for attempt in work.live:
            if held[attempt.site] > wanted[attempt.site] and segments and self._may_pause(work, attempt):
                held[attempt.site] -= 1
                writer.change_attempt(*_suspension(attempt, now))
        if any(attempt.state is AttemptState.STOPPING for attempt in work.live) or not _may_start(writer, job):
            return
        for site in (wanted - held).elements():
            if done.free_gpus[site] >= job.request.constraints.gpus and self._launch(writer, work, site, now):
                done.free_gpus[site] -= job.request.constraints.gpus
                done.launched += 1
                work = JobWork(writer.job(job.id), tuple(writer.runs(job.id)), tuple(writer.attempts(job.id)))

    def _record_plan(self, writer: Writer, job: Job, segments: tuple[PlannedSegment, ...], reason: str, now: datetime) -> Job:
        """The job's row says where it waits for and why; an event tells when the window moved."""
        if job.state is JobState.RUNNING:
            reason = job.reason
        if segments == job.planned and reason == job.reason:
            return job
        event = None
        if _next_window(segments) != _next_window(job.planned) and job.state is not JobState.RUNNING:
            windows: list[object] = [[part.site, part.start.isoformat(), part.end.isoformat(), part.gpus] for part in segments]
            event = Event(job.id, now, "planned" if segments else "unplaced", reason, {"segments": windows})
        return writer.change_job(replace(job, planned=segments, reason=reason), event)

    def _may_pause(self, work: JobWork, attempt: Attempt) -> bool:
        return work.job.is_interruptible and attempt.state in (AttemptState.PENDING, AttemptState.ACTIVE) and work.fraction_left > 0

    def _launch(self, writer: Writer, work: JobWork, site: str, now: datetime) -> bool:
        run = self._run_for(writer, work, site, now)
        if run is None:
            return False
        job = work.job
        number = len(work.attempts) + 1
        attempt = Attempt(new_id("a", now), run.id, job.id, site, number, AttemptState.LAUNCHING, now, gpus=job.request.constraints.gpus)
        writer.add_attempt(attempt, Event(job.id, now, "attempt-launching", f"attempt {number} at {site}", {"run": run.id}))
        if job.state is not JobState.RUNNING:
            running = replace(job, state=JobState.RUNNING, reason=f"running at {site}: {job.reason}", started_at=job.started_at or now)
            writer.change_job(running, Event(job.id, now, "job-running", running.reason))
        return True

    def _run_for(self, writer: Writer, work: JobWork, site: str, now: datetime) -> Run | None:
        """The run the next attempt works on: an idle open one, else a new one over what nobody has claimed."""
        idle = work.idle_run(site)
        if idle is not None:
            return idle
        samples: SampleRange | None = None
        if isinstance(work.job.workload, SynthesisWorkload):
            gaps = work.unclaimed()
            if not gaps:
                return None
            samples = gaps[0]
        elif work.open_runs:
            return None  # training goes on where its checkpoints are
        run_id = new_id("r", now)
        directory = self._workplaces[site].run_root / work.job.id / run_id
        run = Run(run_id, work.job.id, site, str(directory), samples, now)
        writer.add_run(run)
        return run

    def _stop_cancelled(self, writer: Writer, works: Mapping[str, JobWork], now: datetime) -> None:
        """Ask every live attempt of a cancelled job to stop, whatever it was asked before."""
        for work in works.values():
            if not work.job.cancel_requested:
                continue
            for attempt in work.live:
                if attempt.state is not AttemptState.LAUNCHING and attempt.stop_wish is not StopWish.CANCEL:
                    stopping = replace(
                        attempt,
                        state=AttemptState.STOPPING,
                        stop_wish=StopWish.CANCEL,
                        stop_wished_at=attempt.stop_wished_at or now,
                    )
                    writer.change_attempt(stopping, Event(work.job.id, now, "attempt-stopping", "asked to stop: the job was cancelled"))


def _wanted(segments: tuple[PlannedSegment, ...], now: datetime) -> Counter[str]:
    """How many attempts the plan wants at each site now."""
    return Counter(segment.site for segment in segments if segment.start <= now < segment.end)


def _asks_for_something(work: JobWork, segments: tuple[PlannedSegment, ...], reason: str, now: datetime) -> bool:
    """Most jobs of most ticks just go on waiting for the window they have."""
    says_the_same = segments == work.job.planned and reason == work.job.reason
    return not says_the_same or _wanted(segments, now) != Counter(attempt.site for attempt in work.live)


def _suspension(attempt: Attempt, now: datetime) -> tuple[Attempt, Event]:
    stopping = replace(attempt, state=AttemptState.STOPPING, stop_wish=StopWish.SUSPEND, stop_wished_at=now)
    return stopping, Event(attempt.job_id, now, "attempt-stopping", f"asked to pause at {attempt.site}: its window is over")


def _may_start(writer: Writer, job: Job) -> bool:
    """All predecessors have succeeded; the plan only expected them to."""
    return not job.cancel_requested and all(writer.job(name).state is JobState.SUCCEEDED for name in job.predecessors)


def _next_window(segments: tuple[PlannedSegment, ...]) -> tuple[str, datetime] | None:
    return (segments[0].site, segments[0].start) if segments else None
