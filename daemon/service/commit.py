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
from daemon.service.sharing import Sharing, shared_out
from daemon.service.work import JobWork
from daemon.store import Store, Writer
from jobs.spec import SampleRange, SynthesisWorkload

log = logging.getLogger(__name__)

JOBS_AT_ONCE = 50  # about a tenth of a second: submissions wait for the transaction that is under way

_Asked = tuple[JobWork, Sharing, str]  # what the plan wants of a job, and why


@dataclass(slots=True)
class Committed:
    """What one commit recorded."""

    launched: int = 0
    stale: int = 0
    free_gpus: dict[str, int] = field(default_factory=dict)  # that no attempt holds, by site
    spare_gpus: dict[str, int] = field(default_factory=dict)  # that the plan gives to nobody now, by site


class Committer:
    """Commits a plan against the versions its snapshot saw: what has changed meanwhile is dropped, job by job."""

    def __init__(self, store: Store, workplaces: Workplaces) -> None:
        self._store, self._workplaces = store, workplaces

    def commit(self, snapshot: Snapshot, plan: Plan, works: Mapping[str, JobWork]) -> Committed:
        """A few jobs to a transaction, so that submissions need not wait for all; `works` is what the snapshot was made from."""
        answers = {item.job_id: (item.segments, item.reason) for item in plan.placements}
        answers |= {item.job_id: ((), item.reason) for item in plan.unplaced}
        done = self._count_gpus(snapshot, plan, works)
        asked = []
        for planned in snapshot.jobs:
            segments, reason = answers.get(planned.id, ((), "the planner gave no answer"))
            if _asks_for_something(works[planned.id], segments, reason, snapshot.now):
                asked.append((works[planned.id], Sharing(planned, segments, snapshot.now), reason))
        for first in range(0, len(asked), JOBS_AT_ONCE):
            with self._store.write() as writer:
                self._commit_part(writer, asked[first : first + JOBS_AT_ONCE], done)
        with self._store.write() as writer:
            self._stop_cancelled(writer, works, snapshot.now)
            writer.save_plan(plan)
        return done

    def _count_gpus(self, snapshot: Snapshot, plan: Plan, works: Mapping[str, JobWork]) -> Committed:
        """What is free as attempts are, and what is spare as they will be once the plan is followed."""
        capacity = {name: place.site.gpus for name, place in self._workplaces.items()}
        movable = {job.id for job in snapshot.jobs}
        held, planned = Counter[str](), Counter[str]()
        for work in works.values():
            for attempt in work.live:
                held[attempt.site] += attempt.gpus
                planned[attempt.site] += 0 if work.job.id in movable else attempt.gpus
        for segment in (segment for placement in plan.placements for segment in placement.segments):
            planned[segment.site] += segment.gpus if segment.start <= snapshot.now < segment.end else 0
        free = {name: gpus - held[name] for name, gpus in capacity.items()}
        return Committed(free_gpus=free, spare_gpus={name: gpus - planned[name] for name, gpus in capacity.items()})

    def _commit_part(self, writer: Writer, part: Sequence[_Asked], done: Committed) -> None:
        versions = writer.live_versions([work.job.id for work, _, _ in part])
        stale = [work.job.id for work, _, _ in part if versions.get(work.job.id) != work.job.version]  # changed while the plan was made
        done.stale += len(stale)
        for job_id in stale:
            log.info("plan-stale", extra={"job": job_id})
        told: list[_Asked] = []
        moved: list[_Asked] = []
        for one in part:
            if one[0].job.id not in stale:
                (told if _is_only_told(*one[:2]) else moved).append(one)
        self._tell_plans(writer, told)
        for work, asked, reason in moved:
            with poisoned_alone("commit", job=work.job.id), writer.part():
                self._commit_job(writer, work, asked, reason, done)

    def _tell_plans(self, writer: Writer, part: Sequence[_Asked]) -> None:
        """Where nobody starts or stops: one statement for all; where one of them stands in its way, each alone."""
        told = [(one, event) for work, asked, reason in part for one, event in _planned_anew(work.job, asked.segments, reason, asked.now)]
        if not told:
            return
        try:
            with writer.part():
                writer.tell_plans(told)
        except Exception:  # noqa: BLE001  # told by the one it is about
            for each in told:
                with poisoned_alone("commit", job=each[0].id), writer.part():
                    writer.tell_plans([each])

    def _commit_job(self, writer: Writer, work: JobWork, asked: Sharing, reason: str, done: Committed) -> None:
        now = asked.now
        job = work.job
        for planned, event in _planned_anew(job, asked.segments, reason, now):
            job = writer.change_job(planned, event)
        work = replace(work, job=job)
        pausing, finishing = asked.surplus(work, done.spare_gpus) if asked.segments and _may_pause(work) else ([], [])
        for attempt in finishing:
            done.spare_gpus[attempt.site] -= attempt.gpus
        for attempt in pausing:
            writer.change_attempt(*_suspension(attempt, "its window is over", now))
        # What a stopping run gives back is shared by all that start then: until it has ended, nobody starts.
        if pausing or any(attempt.stop_wish is not None for attempt in work.live) or not _may_start(writer, job):
            return
        room = max(0, asked.planned.max_width - len(work.live))  # those that the plan wants no more and that go on count, too
        missing = _with_free_gpus(asked.to_start(work.live), job.request.constraints.gpus, done.free_gpus)[:room]
        runs = self._runs_for(work, asked, missing)
        for run in runs:
            work = self._launch(writer, work, run, now)
            done.free_gpus[run.site] -= job.request.constraints.gpus
            done.launched += 1
        if len(missing) > len(runs):
            _stop_to_share(writer, work, asked, missing[-1])

    def _runs_for(self, work: JobWork, asked: Sharing, parts: Sequence[PlannedSegment]) -> list[Run]:
        """The runs that shall begin now, one for a part at most: open ones that nobody works on, else new ones over what is unclaimed."""
        idle, runs, others = list(work.idle_runs), [], []
        for part in parts:
            run = next((run for run in idle if run.site == part.site), None)
            if run is None:
                others.append(part)
            else:
                idle.remove(run)
                runs.append(run)
        return runs + self._new_runs(work, asked, others)

    def _new_runs(self, work: JobWork, asked: Sharing, parts: Sequence[PlannedSegment]) -> list[Run]:
        """A synthesis shares its unclaimed samples among them; a training has one, and goes on where its checkpoints are."""
        workload = work.job.workload
        if not isinstance(workload, SynthesisWorkload):
            return [] if work.open_runs else [self._new_run(work, part.site, None, asked.now) for part in parts[:1]]
        ranges = shared_out(work.unclaimed(), [asked.weight(part) for part in parts], asked.reserved(), workload.batch_size)
        pairs = zip(parts, ranges, strict=True)
        return [self._new_run(work, part.site, samples, asked.now) for part, samples in pairs if samples is not None]

    def _new_run(self, work: JobWork, site: str, samples: SampleRange | None, now: datetime) -> Run:
        run_id = new_id("r", now)
        directory = self._workplaces[site].run_root / work.job.id / run_id
        return Run(run_id, work.job.id, site, str(directory), samples, now)

    def _launch(self, writer: Writer, work: JobWork, run: Run, now: datetime) -> JobWork:
        """Record an attempt at the run, before it happens; the work with it."""
        job, number = work.job, len(work.attempts) + 1
        if run not in work.runs:
            writer.add_run(run)
        attempt = Attempt(
            new_id("a", now), run.id, job.id, run.site, number, AttemptState.LAUNCHING, now, gpus=job.request.constraints.gpus
        )
        writer.add_attempt(attempt, Event(job.id, now, "attempt-launching", f"attempt {number} at {run.site}", {"run": run.id}))
        if job.state is not JobState.RUNNING:
            running = replace(job, state=JobState.RUNNING, reason=f"running at {run.site}: {job.reason}", started_at=job.started_at or now)
            job = writer.change_job(running, Event(job.id, now, "job-running", running.reason))
        runs = work.runs if run in work.runs else (*work.runs, run)
        return JobWork(job, runs, (*work.attempts, attempt))

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


def _is_as_wanted(work: JobWork, segments: tuple[PlannedSegment, ...], now: datetime) -> bool:
    """Whether as many attempts are live at each site as the plan wants there now."""
    return sorted([part.site for part in segments if part.start <= now < part.end]) == sorted([attempt.site for attempt in work.live])


def _asks_for_something(work: JobWork, segments: tuple[PlannedSegment, ...], reason: str, now: datetime) -> bool:
    """Most jobs of most ticks just go on waiting for the window they have."""
    says_the_same = segments == work.job.planned and reason == work.job.reason
    return not says_the_same or not _is_as_wanted(work, segments, now)


def _is_only_told(work: JobWork, asked: Sharing) -> bool:
    """Whether the plan wants at work what is at work: then nobody starts or stops."""
    return _is_as_wanted(work, asked.segments, asked.now)


def _planned_anew(job: Job, segments: tuple[PlannedSegment, ...], reason: str, now: datetime) -> list[tuple[Job, Event | None]]:
    """The job whose row says where it waits for and why, with an event where its window moved; none where that is nothing new."""
    if job.state is JobState.RUNNING:
        reason = job.reason
    if segments == job.planned and reason == job.reason:
        return []
    event = None
    if _next_window(segments) != _next_window(job.planned) and job.state is not JobState.RUNNING:
        windows: list[object] = [[part.site, part.start.isoformat(), part.end.isoformat(), part.gpus] for part in segments]
        event = Event(job.id, now, "planned" if segments else "unplaced", reason, {"segments": windows})
    return [(replace(job, planned=segments, reason=reason), event)]


def _may_pause(work: JobWork) -> bool:
    return work.job.is_interruptible and work.fraction_left > 0


def _with_free_gpus(parts: Sequence[PlannedSegment], gpus: int, free: Mapping[str, int]) -> list[PlannedSegment]:
    """The parts that find their GPUs free, beside each other."""
    left, fitting = dict(free), []
    for part in parts:
        if left.get(part.site, 0) >= gpus:
            left[part.site] -= gpus
            fitting.append(part)
    return fitting


def _stop_to_share(writer: Writer, work: JobWork, asked: Sharing, missing: PlannedSegment) -> None:
    """GPUs are there for one more run, and nothing is left for it: ask the run with the most left to stop, if that is worth it."""
    if not work.job.is_divisible or not _may_pause(work) or any(one.state is not AttemptState.ACTIVE for one in work.live):
        return
    longest = max(work.live, key=work.left_of, default=None)
    if longest is not None and asked.is_worth_sharing(work, longest, missing):
        writer.change_attempt(*_suspension(longest, "more runs shall share its samples", asked.now))


def _suspension(attempt: Attempt, reason: str, now: datetime) -> tuple[Attempt, Event]:
    stopping = replace(attempt, state=AttemptState.STOPPING, stop_wish=StopWish.SUSPEND, stop_wished_at=now)
    return stopping, Event(attempt.job_id, now, "attempt-stopping", f"asked to pause at {attempt.site}: {reason}")


def _may_start(writer: Writer, job: Job) -> bool:
    """All predecessors have succeeded; the plan only expected them to."""
    return not job.cancel_requested and all(writer.job(name).state is JobState.SUCCEEDED for name in job.predecessors)


def _next_window(segments: tuple[PlannedSegment, ...]) -> tuple[str, datetime] | None:
    return (segments[0].site, segments[0].start) if segments else None
