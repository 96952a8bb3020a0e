"""The standing plan a moment later: what is done is cut off, what runs as planned goes on, and nobody is moved.

It stands as long as all goes as it said, within a leeway. Where a job falls behind, has failed or was cancelled, where GPUs were
lost or found, it does not, and a plan is made as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from operator import attrgetter

from daemon.domain.job import PlannedSegment
from daemon.domain.plan import Mode, Placement, Plan, PlanJob, Snapshot
from daemon.planner.answer import placement_for
from daemon.planner.occupancy import fits_by_clock
from daemon.planner.previous import carried_over
from daemon.planner.proof import Proof, score_of
from daemon.planner.same_world import is_same_world
from daemon.planner.standing import Standing, prices_on
from daemon.planner.task import Task, task_of
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain, terrain_of

LONGEST = timedelta(hours=3)  # between two whole plans: as often as a replay looks again at what waits
LONGEST_IN_NEED = timedelta(minutes=10)  # where a job is late or has no place: others run a little quicker than they said
SAME_POWER_SHARE = 1e-6  # kilowatts are energy left over time left, and differ in their last digits as both shrink

_ASKED = ("id", "mode", "gpus", "accepted_at", "earliest", "deadline", "home", "priority", "price_of_waiting_g_per_hour", "project", "user")
_STATE = ("options", "max_width", "running_at", "beside", "state_at")  # what changes once a job has begun
_asked, _state, _facts = attrgetter(*_ASKED), attrgetter(*_STATE), attrgetter(*_ASKED, *_STATE)


@dataclass(slots=True)
class _Course:
    """What became of the plan's jobs.

    `stays`: new placements of those that wait or run; `begun`: of which something was done meanwhile; `taken`: placements of
    unbroken jobs that began, about which nothing is left to decide; `outdated`: placements, as they were, of all but those
    that wait as before.
    """

    stays: list[Placement] = field(default_factory=list)
    begun: list[Task] = field(default_factory=list)
    taken: list[Placement] = field(default_factory=list)
    outdated: list[Placement] = field(default_factory=list)


def moved_on(standing: Standing, snapshot: Snapshot) -> Standing | None:
    """The standing plan at the snapshot's moment, for the jobs that both know; None where not all went as it said."""
    if _is_due(standing, snapshot) or not is_same_world(standing.snapshot, snapshot):
        return None
    terrain = _terrain(snapshot)
    course = _course(standing, snapshot, terrain)
    if course is None or not _in_turn(course.stays, snapshot) or not fits_by_clock(course.stays, terrain, _unmovable(snapshot)):
        return None
    expected = standing.expected.without(course.taken)
    if not expected.agrees(snapshot):
        return None
    proof = Proof(standing, _terrain(standing.snapshot), terrain)
    least_g = {task.job.id: proof.least_g(task) for task in course.begun}
    outdated = {placement.job_id for placement in course.outdated}
    known_g = {job: grams for job, grams in standing.least_g.items() if job not in outdated}
    bound = proof.bound_g(course.outdated) + sum(least_g.values())
    plan = _plan(standing.plan, course.stays, bound, snapshot, terrain)
    return replace(standing, snapshot=snapshot, plan=plan, expected=expected.reaching(snapshot), least_g=known_g | least_g)


def _terrain(snapshot: Snapshot) -> Terrain:
    return terrain_of(snapshot, (snapshot.grid.end - snapshot.now).total_seconds())


def _plan(plan: Plan, placements: Iterable[Placement], bound_g: float, snapshot: Snapshot, terrain: Terrain) -> Plan:
    jobs, stays = {job.id: job for job in snapshot.jobs}, tuple(placements)
    cost = sum(score_of(placement, jobs[placement.job_id], terrain) for placement in stays)
    prices = {site.name: tuple(row) for site, row in zip(terrain.sites, prices_on(plan, terrain).tolist(), strict=True)}
    return replace(plan, made_at=snapshot.now, placements=stays, cost_g=cost, bound_g=max(0.0, min(bound_g, cost)), prices_g=prices)


def _is_due(standing: Standing, snapshot: Snapshot) -> bool:
    """Whether a whole plan is: after a while, sooner where somebody is in need of a better one, and on a new day: words say `tomorrow`."""
    longest = LONGEST_IN_NEED if standing.is_in_need else LONGEST
    return snapshot.now - standing.whole_at > longest or snapshot.now.date() != standing.whole_at.date()


def _unmovable(snapshot: Snapshot) -> frozenset[str]:
    """Jobs that run in one piece: the free GPUs are without theirs."""
    return frozenset(job.id for job in snapshot.jobs if job.mode is Mode.CONTIGUOUS and job.running_at is not None)


def _course(standing: Standing, snapshot: Snapshot, terrain: Terrain) -> _Course | None:
    """None where a job took another course than the plan's."""
    before, jobs = {job.id: job for job in standing.snapshot.jobs}, {job.id: job for job in snapshot.jobs}
    if not all(_waits_on(before[answer.job_id], jobs.get(answer.job_id)) for answer in standing.plan.unplaced):
        return None
    course = _Course()
    for placement in standing.plan.placements:
        earlier, job = before[placement.job_id], jobs.get(placement.job_id)
        if job is None:
            if not _may_be_gone(placement, earlier, standing, snapshot):
                return None
            course.taken += [placement] if earlier.mode is Mode.CONTIGUOUS else []
            course.outdated.append(placement)
            continue
        now = _placed_now(placement, earlier, job, standing, terrain, jobs)
        if now is None:
            return None
        course.stays.append(now)
        if now is not placement and _state(earlier) != _state(job):
            task = task_of(job, terrain)
            course.begun += [_as_late_as_now(task, now, terrain)] if task is not None else []
            course.outdated.append(placement)
    return course


def _waits_on(earlier: PlanJob, job: PlanJob | None) -> bool:
    """Whether a job without a place is as it was."""
    return job is not None and replace(job, previous=earlier.previous) == earlier and job.previous in ((), earlier.previous)


def _as_late_as_now(task: Task, placement: Placement, terrain: Terrain) -> Task:
    """A late job may be as late in the bound, too."""
    return replace(task, due=max(task.due, terrain.seconds(placement.end)))


def _may_be_gone(placement: Placement, job: PlanJob, standing: Standing, snapshot: Snapshot) -> bool:
    """Whether the job may have ended by now, or runs in one piece, which takes it out of snapshots."""
    if job.mode is Mode.CONTIGUOUS:
        return placement.segments[0].start <= snapshot.now
    return (placement.end - snapshot.now).total_seconds() <= standing.promises[job.id].leeway_seconds


def _placed_now(
    placement: Placement, earlier: PlanJob, job: PlanJob, standing: Standing, terrain: Terrain, jobs: Mapping[str, PlanJob]
) -> Placement | None:
    """What of the placement is left; None where the job is another than it was, or has not done what it should have."""
    if job.after != tuple([name for name in earlier.after if name in jobs]) or job.previous not in (placement.segments, earlier.previous):
        return None
    has_changed = _facts(earlier) != _facts(job)
    if not has_changed and placement.segments[0].start >= terrain.now:
        return placement
    if has_changed and (_asked(earlier) != _asked(job) or not _has_just_gone_on(placement, earlier, job, standing, terrain)):
        return None
    task = task_of(replace(job, previous=_with_its_rest(placement.segments, job, terrain)), terrain)
    offer = carried_over(task, terrain) if task is not None else None
    if task is None or offer is None or (offer.end > task.due + EDGE_TOLERANCE_SECONDS and not placement.is_late):
        return None
    if not standing.promises[job.id].holds(terrain.instant(offer.end)):
        return None
    return placement_for(task, offer, terrain, task.release, None)


def _has_just_gone_on(placement: Placement, earlier: PlanJob, job: PlanJob, standing: Standing, terrain: Terrain) -> bool:
    """Whether what changed about the job may come from its being worked on, where the plan has it work."""
    had_begun = earlier.running_at is not None or earlier.state_at is not None or job.id in standing.least_g
    if job.mode is Mode.CONTIGUOUS or not (had_begun or placement.segments[0].start <= terrain.now):
        return False
    options = [{option.site: option for option in one.options} for one in (earlier, job)]
    for site in {segment.site for segment in placement.segments}:
        was, now = (known.get(site) for known in options)
        if was is None or now is None or was.startup_seconds != now.startup_seconds or was.startup_kwh != now.startup_kwh:
            return False
        if now.work_seconds > 0 and abs(was.power_kw - now.power_kw) > SAME_POWER_SHARE * was.power_kw:
            return False
    return True


def _with_its_rest(segments: tuple[PlannedSegment, ...], job: PlanJob, terrain: Terrain) -> tuple[PlannedSegment, ...]:
    """The segments; where all are over and the job still runs, what it has left behind the last of them."""
    last = max(segments, key=lambda segment: (segment.site == job.running_at, segment.end))
    if job.running_at != last.site or terrain.seconds(max(segment.end for segment in segments)) > EDGE_TOLERANCE_SECONDS:
        return segments
    work = next((option.work_seconds for option in job.options if option.site == last.site), 0.0)
    return (replace(last, end=terrain.instant(max(work, 1.0))),)


def _in_turn(placements: Iterable[Placement], snapshot: Snapshot) -> bool:
    """Whether every job begins after those that it waits for."""
    waits = {job.id: job.after for job in snapshot.jobs if job.after}
    if not waits:
        return True
    placed = {placement.job_id: placement for placement in placements}
    return all(
        placed[name].end <= placed[job].segments[0].start
        for job, after in waits.items()
        if job in placed
        for name in after
        if name in placed
    )
