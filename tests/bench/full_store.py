"""What a tick costs in a database with a long past: `python -m tests.bench.full_store [--ended 20000] [--live 50]`.

The past: jobs of six projects and as many users, ended and settled within the last 60 days, most of them twice in the ledger. Two
projects have a budget and users have shares. Prints CPU and wall milliseconds of the tick chore with all that belongs to it
(observe, plan, settle what ended, metrics), of one in which a job ends, and of the chore that settles.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from daemon.domain.job import Attempt, Event, Job, Run
from daemon.domain.ledger import EntryKind
from daemon.domain.states import AttemptState, JobState
from daemon.service.arrival import Arrival
from daemon.settings.projects import ProjectSettings
from daemon.store import Store
from tests.bench.tick import SITES, request
from tests.daemon.service.world import NOON, World, open_world
from tests.daemon.store.builders import entry, job

PAST = timedelta(days=60)
PROJECTS = [f"project-{number}" for number in range(6)]
BUDGETS = {name: ProjectSettings(budget_kg_per_month=1e6) for name in PROJECTS[:2]}
HOUR = timedelta(hours=1)
AT_ONCE = 1000


def ended_job(number: int, of: int) -> tuple[Job, Event]:
    """Accepted an hour before it began, two hours before it ended; all of them evenly over the past."""
    ended = NOON - PAST * (1 - number / of) - HOUR
    name = f"j-{number:08}"
    plain = job(name, project=PROJECTS[number % len(PROJECTS)], home="heidelberg", owner=f"user-{number % len(PROJECTS)}")
    past = replace(
        plain,
        state=JobState.SUCCEEDED,
        accepted_at=ended - 3 * HOUR,
        started_at=ended - 2 * HOUR,
        ended_at=ended,
        settled=True,
        estimated_energy_kwh=1.0,
        estimated_seconds=7200.0,
        gpus_at_most=1,
        shortest_seconds=7200.0,
    )
    return past, Event(name, past.accepted_at, "accepted", "accepted")


def fill(store: Store, ended: int) -> None:
    for first in range(0, ended, AT_ONCE):
        jobs = [ended_job(number, ended) for number in range(first, min(first + AT_ONCE, ended))]
        with store.write() as writer:
            writer.add_jobs([(past, event, None) for past, event in jobs])
            for past, _ in jobs:
                assert past.started_at is not None
                assert past.ended_at is not None
                run = Run(f"r-{past.id}", past.id, "heidelberg", "", None, past.started_at, past.ended_at, steps_done=5)
                writer.add_run(run)
                for number in (1, 2):
                    begun = past.started_at + (number - 1) * HOUR
                    final = AttemptState.COMPLETED if number == 2 else AttemptState.PREEMPTED
                    attempt = Attempt(f"a-{past.id}-{number}", run.id, past.id, run.site, number, final, begun)
                    writer.add_attempt(replace(attempt, started_at=begun, ended_at=begun + HOUR))
                    kind = EntryKind.FINAL if number == 2 else EntryKind.PROVISIONAL
                    told = entry(past.id, number, kind=kind, settled_at=past.ended_at + number * HOUR, baseline_site="heidelberg")
                    writer.add_ledger_entry(told)


def submit(world: World, numbers: range) -> None:
    arrivals = [Arrival(request(world, number, is_late=False), None, str(number)) for number in numbers]
    for outcome in world.daemon.service.submit_all(arrivals):
        if isinstance(outcome, Exception):
            raise outcome


def timed(name: str, act: Callable[[], object]) -> None:
    cpu, wall = process_time(), perf_counter()
    act()
    print(f"{name:<34} {(process_time() - cpu) * 1000:>9.0f} {(perf_counter() - wall) * 1000:>9.0f}", flush=True)


def measure(world: World) -> None:
    (tick,) = [chore.run for chore in world.daemon.ticker.chores if chore.name == "tick"]
    timed("first tick", tick)
    for _ in range(3):
        world.now += timedelta(seconds=10)
        timed("a tick", tick)
    with world.daemon.store.read() as reader:
        running = [attempt for attempt in reader.live_attempts() if attempt.state is AttemptState.ACTIVE]
    for attempt in running[:2]:
        world.now += timedelta(seconds=10)
        world.daemon.service.cancel(attempt.job_id)
        tick()
        world.nodes[attempt.site].kill_one(attempt.id)
        timed("a tick in which a job ends", tick)
    timed("settle", world.daemon.settler.settle)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ended", type=int, default=20_000, help="jobs of the past")
    parser.add_argument("--live", type=int, default=50, help="jobs that wait or run")
    chosen = parser.parse_args(arguments)
    shares = {"weights": {"user-0": 2.0}}
    with TemporaryDirectory() as folder, open_world(Path(folder), *SITES, projects=BUDGETS, shares=shares) as world:
        fill(world.daemon.store, chosen.ended)
        submit(world, range(chosen.live))
        print(f"{chosen.ended:,} jobs ended, {chosen.live} live {'CPU ms':>20} {'wall ms':>9}")
        measure(world)


if __name__ == "__main__":
    main()
