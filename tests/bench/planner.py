"""Measure the planner: `python -m tests.bench.planner`. Prints one table; times are CPU seconds of one thread.

CPU time is printed beside wall time because a shared machine stretches the latter.
"""

from __future__ import annotations

import argparse
import resource
import timeit
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter, process_time

from daemon.domain.plan import Mode, PlanJob
from daemon.planner import PlannerOptions, Residual, plan, preview
from daemon.planner.again import with_new_jobs
from daemon.planner.quick import quick_offer
from daemon.planner.standing import Standing
from daemon.planner.task import task_of
from tests.bench.cats_peer import cats_microseconds
from tests.bench.planner_instances import HOUR, MONDAY, Instance
from tests.daemon.planner.course import followed

QUEUES = ((1000, 0.15), (1000, 0.30), (1000, 0.60), (10_000, 0.15), (10_000, 0.30), (10_000, 0.60))
SEARCH_STEPS = {1000: 20_000, 10_000: 18_000}
PRICE_ROUNDS = {1000: 120, 10_000: 110}
MOST_PAUSING = 1000  # jobs
LONE_SLOTS, LONE_HOURS, LONE_REPEATS = 96, 8, 1000


def lone_job() -> None:
    """One unbroken job on six sites, 96 slots: the search alone, and a whole preview beside 1,000 jobs that hold their GPUs."""
    snapshot = Instance(1000, LONE_SLOTS, 0.3).snapshot()
    job = PlanJob(
        "lone",
        Mode.CONTIGUOUS,
        1,
        MONDAY,
        MONDAY,
        MONDAY + LONE_SLOTS * HOUR,
        tuple(replace(snapshot.jobs[0].options[0], site=site.name, work_seconds=LONE_HOURS * 3600.0) for site in snapshot.sites[:6]),
        home="site-5",
    )
    residual = Residual.of(snapshot, plan(snapshot, options()), PlannerOptions())
    task = task_of(job, residual.terrain)
    assert task is not None
    search = timeit.repeat(
        lambda: quick_offer(task, residual.terrain, residual.shortage, task.release, task.due),
        timer=process_time,
        number=LONE_REPEATS,
        repeat=5,
    )
    whole = timeit.repeat(lambda: preview(job, residual), timer=process_time, number=LONE_REPEATS, repeat=5)
    print(f"one job, 96 slots, 6 sites, beside 1,000 reserved jobs: search {min(search) / LONE_REPEATS * 1e6:.0f} us, ", end="")
    print(f"preview {min(whole) / LONE_REPEATS * 1e6:.0f} us")
    peer = cats_microseconds(snapshot.outlooks["Z5"].g_per_kwh.tolist(), MONDAY, HOUR, LONE_HOURS)
    print("CATS is not installed" if peer is None else f"the same job by CATS 1.2.1 on one of the sites: {peer:.0f} us")


def options(steps: int = 0, rounds: int = 1) -> PlannerOptions:
    """For emissions alone: no regret rule, no margin, nothing kept."""
    return PlannerOptions(0.0, 0.0, 0.0, price_rounds=rounds, search_steps=steps, moves=0)


def queue(jobs: int, load: float, seed: int, mode: Mode = Mode.CONTIGUOUS) -> None:
    snapshot = Instance(jobs, 168, load, seed).snapshot()
    snapshot = replace(snapshot, jobs=tuple(replace(job, mode=mode) for job in snapshot.jobs))
    cpu, wall = process_time(), perf_counter()
    answer = plan(snapshot, options(SEARCH_STEPS[jobs], PRICE_ROUNDS[jobs]))
    cpu, wall = process_time() - cpu, perf_counter() - wall
    late = sum(placement.is_late for placement in answer.placements)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    gpus = int(snapshot.sites[0].free_gpus[0])
    print(f"{jobs:>6} {load:>5.0%} {gpus:>6} {seed:>5} {answer.gap:>8.2%} {late:>5} {cpu:>8.2f} {wall:>8.2f} {memory:>7.0f}", flush=True)


def one_more(jobs: int, load: float) -> None:
    """A plan of all jobs after one more has come: as the tick makes it, beside a whole new plan without any memory."""
    snapshot, chosen = Instance(jobs, 168, load).snapshot(), options(SEARCH_STEPS[jobs], PRICE_ROUNDS[jobs])
    before = replace(snapshot, jobs=snapshot.jobs[:-1])
    standing = plan(before, chosen)
    segments = {placement.job_id: placement.segments for placement in standing.placements}
    after = replace(snapshot, jobs=tuple(replace(job, previous=segments.get(job.id, ())) for job in snapshot.jobs))
    spent, again = float("inf"), None
    for _ in range(5):
        began = process_time()
        again = with_new_jobs(Standing.of(before, standing, chosen), after, chosen)
        spent = min(spent, process_time() - began)
    assert again is not None
    cold = plan(snapshot, chosen)
    print(f"plan of {jobs} after one new job: {spent * 1e3:.0f} ms, gap {again.plan.gap:.2%}; a plan from nothing: gap {cold.gap:.2%}")


def one_more_beside_running(jobs: int, load: float) -> None:
    """The same on the second day of a plan, ten minutes after the tick before, when some jobs run and every other one may pause."""
    snapshot, chosen = Instance(jobs, 168, load).snapshot(), options()
    modes = (Mode.CONTIGUOUS, Mode.INTERRUPTIBLE)
    *first, new = (replace(job, mode=modes[number % 2]) for number, job in enumerate(snapshot.jobs))
    before = followed(replace(snapshot, jobs=tuple(first)), plan(replace(snapshot, jobs=tuple(first)), chosen), 30 * HOUR)
    standing = Standing.of(before, plan(before, chosen), chosen)
    after = followed(before, standing.plan, HOUR / 6)
    after = replace(after, jobs=(*after.jobs, new))
    spent, again = float("inf"), None
    for _ in range(5):
        began = process_time()
        again = with_new_jobs(standing, after, chosen)
        spent = min(spent, process_time() - began)
    assert again is not None
    running = sum(job.running_at is not None for job in after.jobs)
    whole = plan(after, chosen)
    print(f"{len(after.jobs)} jobs left, of which {running} run and may pause: {spent * 1e3:.0f} ms, ", end="")
    print(f"cost {again.plan.cost_g / whole.cost_g - 1:+.2%} beside a whole plan")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1000, 10_000], help="sizes of queues to measure")
    parser.add_argument("--seeds", type=int, default=1, help="instances per line")
    chosen = parser.parse_args(arguments)
    lone_job()
    one_more(1000, 0.3)
    one_more_beside_running(1000, 0.3)
    print("  jobs  load GPUs/zone seed      gap  late  CPU s   wall s  MB max")
    for jobs, load in QUEUES:
        for seed in range(1, chosen.seeds + 1) if jobs in chosen.jobs else ():
            queue(jobs, load, seed)
    print("the same where every job may pause, at no cost")
    for jobs, load in QUEUES:
        for seed in range(1, chosen.seeds + 1) if jobs in chosen.jobs and jobs <= MOST_PAUSING else ():
            queue(jobs, load, seed, Mode.INTERRUPTIBLE)


if __name__ == "__main__":
    main()
