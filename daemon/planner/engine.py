"""From a snapshot to a plan: keep what was planned, insert what is new, guard the deadlines, improve, and say why."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from time import perf_counter

from daemon.domain.plan import Plan, PlanJob, Snapshot, Unplaced
from daemon.planner.answer import placement_of, without_room
from daemon.planner.bound import bound_of
from daemon.planner.budgets import stay_within_budgets, waiting_for_budgets
from daemon.planner.bulk import place_in_bulk
from daemon.planner.draft import Draft
from daemon.planner.improve import improve, settle_waits
from daemon.planner.options import PlannerOptions
from daemon.planner.orders import as_planned, plain_schedules
from daemon.planner.precedence import Links, latest_ends
from daemon.planner.previous import carried_over
from daemon.planner.task import Offer, Task, task_of
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain, terrain_of

LONGEST_EXTENSION = 20  # the grid is continued to at most this many times its own length


def plan(snapshot: Snapshot, options: PlannerOptions | None = None) -> Plan:
    """A placement or a reason for every job of the snapshot. Equal snapshots and options give equal plans.

    Raises ValueError for a snapshot that contradicts itself (an outlook off the grid, two jobs with one id).
    """
    options = options or PlannerOptions()
    answer = _planned(snapshot, options)
    waiting = waiting_for_budgets(snapshot, answer)
    if not waiting or len(waiting) == len(snapshot.jobs):
        return answer
    # What may not run must not hold a place that others need, so these are planned without it.
    others = _planned(replace(snapshot, jobs=tuple(job for job in snapshot.jobs if job.id not in waiting)), options)
    refused = tuple(unplaced for unplaced in answer.unplaced if unplaced.job_id in waiting)
    return replace(others, unplaced=(*others.unplaced, *refused), planner_seconds=answer.planner_seconds + others.planner_seconds)


def _planned(snapshot: Snapshot, options: PlannerOptions) -> Plan:
    began = perf_counter()
    jobs = {job.id: job for job in snapshot.jobs}
    if len(jobs) < len(snapshot.jobs):
        raise ValueError("two jobs of the snapshot have the same id")
    terrain = terrain_of(snapshot, _reach(snapshot))
    tasks, unplaced = _tasks(jobs, terrain)
    links = Links({job: jobs[job].after for job in tasks})
    draft = _draft(terrain, tasks, links, options)
    improve(draft)
    notes = settle_waits(draft)
    unplaced += stay_within_budgets(draft, snapshot.spending)
    refused = {answer.job_id for answer in unplaced}
    homeless = [replace(tasks[job], release=draft.release(job)) for job in tasks if job not in draft.offers and job not in refused]
    unplaced += without_room(sorted(homeless, key=lambda task: task.due), terrain, draft.occupancy.free)
    placements = tuple(placement_of(draft, job, notes.get(job)) for job in jobs if job in draft.offers)
    cost = draft.score
    proven = bound_of(draft)
    prices = {site.name: tuple(row) for site, row in zip(terrain.sites, proven.grams.tolist(), strict=True)}
    bound = min(proven.bound_g, cost)
    return Plan(snapshot.now, placements, tuple(unplaced), cost, bound, perf_counter() - began, prices)


def _reach(snapshot: Snapshot) -> float:
    """Seconds the grid must cover so that every job fits behind all the others, within reason."""
    capacity = sum(float(site.free_gpus.clip(0).mean()) for site in snapshot.sites if len(site.free_gpus))
    longest = queue = 0.0
    for job in snapshot.jobs:
        work = max((o.work_seconds + o.startup_seconds for o in job.options), default=0.0)
        longest = max(longest, (job.earliest - snapshot.now).total_seconds() + work)
        queue += work * job.gpus
    grid = (snapshot.grid.end - snapshot.now).total_seconds()
    return min(longest + (queue / capacity if capacity > 0 else 0.0), grid * LONGEST_EXTENSION)


def _tasks(jobs: dict[str, PlanJob], terrain: Terrain) -> tuple[dict[str, Task], list[Unplaced]]:
    """The jobs that can be placed at all, and the others with their reason."""
    unplaced: list[Unplaced] = []
    tasks: dict[str, Task] = {}
    for job in jobs.values():
        task = task_of(job, terrain)
        if task is None:
            unplaced.append(Unplaced(job.id, _no_site_text(job, terrain)))
        else:
            tasks[job.id] = task
    return tasks, unplaced + _without_rings(jobs, tasks) + _without_held(jobs, tasks)


def _without_rings(jobs: dict[str, PlanJob], tasks: dict[str, Task]) -> list[Unplaced]:
    """Take out of `tasks` every job that waits for itself."""
    unplaced: list[Unplaced] = []
    while cycle := Links({name: jobs[name].after for name in tasks}).cycle():
        ring = " -> ".join(cycle)
        for name in dict.fromkeys(cycle):
            unplaced.append(Unplaced(name, f"waits for itself: {ring}; remove one of these from `after`"))
            del tasks[name]
    return unplaced


def _without_held(jobs: dict[str, PlanJob], tasks: dict[str, Task]) -> list[Unplaced]:
    """Take out of `tasks` every job that waits for one without a place, directly or through others."""
    blockers = deque(name for name in jobs if name not in tasks)
    if not blockers:
        return []
    links = Links({name: job.after for name, job in jobs.items()})
    unplaced: list[Unplaced] = []
    while blockers:
        blocker = blockers.popleft()
        for name in links.then[blocker]:
            if name in tasks:
                unplaced.append(Unplaced(name, f"waits for job {blocker}, which has no place"))
                del tasks[name]
                blockers.append(name)
    return unplaced


def _no_site_text(job: PlanJob, terrain: Terrain) -> str:
    if not job.options:
        return "no site may take this job: the settings no longer name the sites it names, or its data may not be there"
    sites = [terrain.sites[terrain.index[o.site]] for o in job.options if o.site in terrain.index]
    most = max((int(site.free_gpus.max(initial=0)) for site in sites), default=0)
    names = ", ".join(site.name for site in sites) or "a known site"
    return f"needs {job.gpus} GPUs at once, but at most {most} become free at {names}: ask for fewer or allow another site"


def _draft(terrain: Terrain, tasks: dict[str, Task], links: Links, options: PlannerOptions) -> Draft:
    """The best start: from the previous plan, anew in deadline order, or a plain order where only that keeps the deadlines."""
    order = links.ordered(list(tasks), lambda job: (float(-tasks[job].job.priority), tasks[job].due, job))
    latest = latest_ends(tasks, links, order)
    carried = {job: offer for job in order if tasks[job].job.previous and (offer := carried_over(tasks[job], terrain)) is not None}

    def empty() -> Draft:
        return Draft(terrain, tasks, links, latest, options)

    first = _fill(empty(), order, carried)
    if any(first.offers.get(job) != offer for job, offer in carried.items()):
        # Jobs may have followed each other within a cell: looked at by the clock, more of what was planned may hold.
        first = min(_in_order(_filled(empty(), as_planned(terrain, tasks, carried)), order), first, key=_misses)
    if _misses(first) <= _hopeless(tasks, links, order):
        return first
    drafts = [_filled(empty(), offers) for offers in plain_schedules(terrain, tasks, links)]
    if not all(job in carried and carried[job].end > tasks[job].due for job in tasks if job not in first.offers or first.is_late(job)):
        # By far the dearest try; where all of these were late in the last plan already, it was made then.
        drafts.append(_in_order(empty(), _by_latest(tasks, links, latest)))
    # What people saw planned is given up only for a deadline.
    return min([first, *sorted(drafts, key=_score)] if carried else sorted([first, *drafts], key=_score), key=_failures)


def _hopeless(tasks: Mapping[str, Task], links: Links, order: Iterable[str]) -> int:
    """How many jobs are late in every plan: even alone, and with all they wait for done as soon as can be."""
    ends: dict[str, float] = {}
    for job in order:
        ends[job] = max([tasks[job].release, *(ends[p] for p in links.before[job])]) + tasks[job].shortest
    return sum(end > tasks[job].due + EDGE_TOLERANCE_SECONDS for job, end in ends.items())


def _score(draft: Draft) -> float:
    return draft.score


def _filled(draft: Draft, offers: Mapping[str, Offer]) -> Draft:
    for job, offer in offers.items():
        draft.put(job, offer)
    return draft


def _by_latest(tasks: dict[str, Task], links: Links, latest: dict[str, float]) -> list[str]:
    """Most urgent first: by the last moment a job can start."""
    return links.ordered(list(tasks), lambda job: (latest[job] - tasks[job].shortest, job))


def _misses(draft: Draft) -> int:
    return len(draft.late) + len(draft.tasks) - len(draft.offers)


def _failures(draft: Draft) -> tuple[int, int]:
    """Jobs late or without a place, and those without: being late is better than that."""
    return _misses(draft), len(draft.tasks) - len(draft.offers)


def _fill(draft: Draft, order: list[str], carried: Mapping[str, Offer]) -> Draft:
    """Place what runs, then what was planned before where that still holds, then the others: together, then one by one."""
    for job in order:
        if draft.tasks[job].is_pinned:
            draft.insert(job)
    for job, offer in carried.items():
        if job not in draft.offers and _holds(draft, job, offer):
            draft.put(job, offer)
    place_in_bulk(draft, [job for job in order if job not in draft.offers and _is_loose(draft, job)])
    return _in_order(draft, order)


def _in_order(draft: Draft, order: list[str]) -> Draft:
    """Place each job that has no place yet on its own, those that run unmovably first."""
    for job in sorted(order, key=lambda job: not draft.tasks[job].is_pinned):
        if job not in draft.offers:
            draft.insert(job)
    return draft


def _is_loose(draft: Draft, job: str) -> bool:
    """A job that does not run, waits for no other and that no other waits for."""
    task = draft.tasks[job]
    return task.running < 0 and not task.beside and not draft.links.before[job] and not draft.links.then[job]


def _holds(draft: Draft, job: str, offer: Offer) -> bool:
    """Whether a placement of the last plan is still possible: in its window, after its predecessors, in free GPUs."""
    placed = all(p in draft.offers for p in draft.links.before[job])
    in_time = draft.release(job) <= offer.start + 1e-6 and offer.end <= min(draft.last_end(job), draft.terrain.end) + 1e-6
    return placed and in_time and draft.occupancy.fits(draft.tasks[job], offer.pieces)
