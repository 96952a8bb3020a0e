"""Ticks of a daemon with a long queue: `python -m tests.bench.tick [--jobs 2000] [--late]`. No HTTP; a hand-moved clock.

Prints CPU and wall seconds of the first tick, of one that finds nothing new, and of one after a single submission; and how
long submissions took, in wall milliseconds, while the first tick was being made beside them. `--late` gives every job a
deadline that most of them cannot keep.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from daemon.domain.job import JobRequest
from daemon.service.arrival import Arrival
from tests.daemon.service.world import HEIDELBERG, UMEA, World, open_world, training

SITES = ({**HEIDELBERG, "gpus": 40}, {**UMEA, "gpus": 20, "admits": HEIDELBERG["admits"]})
AT_ONCE = 200
MOST_BESIDE = 100  # a slow machine would fill the queue until nobody can join it in time


def request(world: World, number: int, is_late: bool) -> JobRequest:
    """One training of half an hour to three hours; half of them may pause."""
    random = Random(number)
    hours = random.choice([0.5, 1.0, 2.0, 3.0])
    left = hours + 0.2 if is_late else random.uniform(hours + 1, 70)
    constraints = {"deadline": world.deadline(left), "interruptible": random.random() < 0.5}
    return JobRequest.model_validate({"workload": training(hours, seed=number), "constraints": constraints})


def submitted(world: World, numbers: range, is_late: bool) -> None:
    arrivals = [Arrival(request(world, number, is_late), None, str(number)) for number in numbers]
    for first in range(0, len(arrivals), AT_ONCE):
        for outcome in world.daemon.service.submit_all(arrivals[first : first + AT_ONCE]):
            if isinstance(outcome, Exception):
                raise outcome


def tick(world: World, name: str) -> None:
    cpu, wall = process_time(), perf_counter()
    report = world.tick()
    cpu, wall = process_time() - cpu, perf_counter() - wall
    late = sum(placement.is_late for placement in report.plan.placements)
    print(f"{name:<24} {cpu:>8.2f} {wall:>8.2f} {report.plan.planner_seconds:>8.2f} {late:>6} {report.committed.launched:>9}", flush=True)


def waits_beside(world: World, first: int, is_over: threading.Event) -> list[float]:
    """Milliseconds of one submission after the other until the tick is over, or there are enough."""
    waits: list[float] = []
    while not is_over.is_set() and len(waits) < MOST_BESIDE:
        began = perf_counter()
        submitted(world, range(first + len(waits), first + len(waits) + 1), is_late=False)
        waits.append((perf_counter() - began) * 1000)
        is_over.wait(0.05)
    return waits


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000, help="how many wait")
    parser.add_argument("--late", action="store_true", help="deadlines that most cannot keep")
    chosen = parser.parse_args(arguments)
    with TemporaryDirectory() as folder, open_world(Path(folder), *SITES) as world:
        submitted(world, range(chosen.jobs), chosen.late)
        print(f"{chosen.jobs} jobs wait{'':<10} {'CPU s':>8} {'wall s':>8} {'plan s':>8} {'late':>6} {'launched':>9}")
        is_over, waits = threading.Event(), list[float]()
        beside = threading.Thread(target=lambda: waits.extend(waits_beside(world, chosen.jobs, is_over)))
        beside.start()
        tick(world, "first tick")
        is_over.set()
        beside.join()
        for name, new in (("second tick", 0), ("nothing new", 0), ("one job more", 1)):
            world.now += timedelta(seconds=10)
            submitted(world, range(10**6, 10**6 + new), is_late=False)
            tick(world, name)
        ordered = sorted(waits)
        print(f"{len(waits)} submissions beside the first tick: median {ordered[len(ordered) // 2]:.0f} ms, longest {ordered[-1]:.0f} ms")


if __name__ == "__main__":
    main()
