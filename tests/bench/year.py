"""Months of jobs on a recorded grid beside their offline optimum: `LOWTIDE_TRACES=FOLDER python -m tests.bench.year`.

The jobs follow *Let's Wait Awhile* (Wiesner et al., Middleware 2021): long ones that may pause, arriving over working hours,
due at the next semi-weekly reporting morning, on as many GPUs as running at once needs at its peak. `--mix wide` has jobs of 1 to 8
GPUs of different power, `--mix hard` shorter jobs of which every other one may not be interrupted. `--through-daemon` has the daemon
itself run the jobs, which takes some hundred times as long; its saving is that of the ledger. The optimum is the linear
programme over all (job, slot), every job known from the start (scipy HiGHS), where unbroken jobs may pause, too: no planner can
do better.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from daemon.backtest.outlooks import StaticOutlook
from daemon.backtest.replay import replay
from daemon.backtest.run import backtest, step_of
from daemon.backtest.score import peak_gpus
from daemon.backtest.trace import TraceJob, TraceSite
from daemon.backtest.world import World, build_world
from forecast.records import read_records

JOBS_PER_WEEK = 65  # 3,387 in a year
POWER_WATTS = 2036.0
WIDTHS, WATTS_PER_GPU = (1, 2, 4, 8), (250.0, 700.0)
MORNING = timedelta(hours=9)
HOUR = timedelta(hours=1)
LEAST_SLACK = timedelta(hours=1)


def jobs_of(year: int, weeks: int, seed: int, mix: str) -> list[TraceJob]:
    """Jobs of that many weeks from the second Monday of the year on, in order of arrival. Equal arguments give equal jobs."""
    random = np.random.default_rng((seed, year))
    monday = datetime(year, 1, 8, tzinfo=UTC) - timedelta(days=datetime(year, 1, 8, tzinfo=UTC).weekday())
    jobs = []
    for week in range(weeks):
        for _ in range(JOBS_PER_WEEK):
            day, minute = int(random.integers(5)), int(random.integers(9 * 60, 17 * 60))
            arrival = monday + timedelta(weeks=week, days=day, minutes=minute // 30 * 30)
            duration = timedelta(minutes=30 * int(random.integers(8, 181)))
            if mix == "hard":
                duration = timedelta(minutes=30 * int(random.integers(1, 49)))
            is_interruptible = mix != "hard" or bool(random.random() < 0.5)
            gpus, watts = 1, POWER_WATTS
            if mix == "wide":
                gpus = int(random.choice(WIDTHS))
                watts = gpus * float(random.uniform(*WATTS_PER_GPU))
            jobs.append((arrival, duration, watts, gpus, is_interruptible))
    return [
        TraceJob(f"job-{n:05d}", arrival, duration, watts, gpus, _deadline(arrival + duration), is_interruptible)
        for n, (arrival, duration, watts, gpus, is_interruptible) in enumerate(sorted(jobs))
    ]


def _deadline(earliest: datetime) -> datetime:
    """The first Monday or Thursday morning that leaves an hour of slack."""
    morning = earliest.replace(hour=0, minute=0) + MORNING
    while morning.weekday() not in (0, 3) or morning < earliest + LEAST_SLACK:
        morning += timedelta(days=1)
    return morning


def least_kg(jobs: Sequence[TraceJob], world: World, gpus: int) -> float:
    """The linear programme: hours of each job in each slot of its window, all of its work, no more than the GPUs."""
    step = world.step_seconds
    counts, slots, most, owners = [], [], [], []
    for number, job in enumerate(jobs):
        arrival, due = world.seconds(job.arrival), world.seconds(job.deadline)
        window = np.arange(int(arrival // step), int(-(-due // step)))
        hours = (np.minimum((window + 1) * step, due) - np.maximum(window * step, arrival)) / 3600
        counts.append(job.duration / HOUR)
        slots.append(window)
        most.append(hours)
        owners.append(np.full(len(window), number))
    slot, owner, bound = np.concatenate(slots), np.concatenate(owners), np.concatenate(most)
    columns, first = np.arange(len(slot)), int(slot.min())
    width, watts = (np.array([getattr(job, name) for job in jobs], dtype=float)[owner] for name in ("gpus", "power_watts"))
    capacity = csr_matrix((width, (slot - first, columns)))
    work = csr_matrix((np.ones(len(slot)), (owner, columns)))
    cost = world.rate[0, slot] * watts / 1000 / 1000
    room = np.full(capacity.shape[0], gpus * step / 3600)
    bounds = np.stack([np.zeros(len(slot)), bound], axis=1)
    answer = linprog(cost, A_ub=capacity, b_ub=room, A_eq=work, b_eq=counts, bounds=bounds, method="highs-ds")  # type: ignore[call-overload]  # sparse is fine
    if answer.status != 0:
        raise RuntimeError(f"HiGHS: {answer.message}")
    return float(answer.fun)


def line(zone: str, year: int, folder: Path, chosen: argparse.Namespace) -> str:
    """One row of the table; `chosen` are the command's arguments."""
    records = read_records([folder], zones=[zone])
    jobs = jobs_of(year, chosen.weeks, chosen.seed, chosen.mix)
    free = TraceSite("home", zone, None)
    unlimited = build_world(jobs, [free], records, chosen.step)
    peak = peak_gpus(jobs, replay(jobs, unlimited, "run-now", StaticOutlook(unlimited.rate)).pieces)
    policy = "daemon" if chosen.through_daemon else "planner"
    result = backtest(jobs, [replace(free, gpus=peak)], records, policy, chosen.forecast, chosen.step)
    score = result.score
    optimum = least_kg(jobs, unlimited, peak)
    best = 100 * (1 - optimum / score.run_now_kg)
    return (
        f"{zone:<14} {year} {chosen.mix:<6} {chosen.forecast:<12} {len(jobs):>6} {peak:>5} {score.late_jobs:>5} "
        f"{score.savings_percent:>8.2f} {best:>8.2f} "
        f"{best - score.savings_percent:>6.2f} {score.worse_than_run_now_percent:>7.1f} {score.planner_seconds:>8.2f} "
        f"{score.wall_seconds:>8.1f} {result.more.get('ticks', '-'):>6}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default="electricitymaps-csv-hourly", help="which folder of records in LOWTIDE_TRACES")
    parser.add_argument("--zones", nargs="*", default=["DE"], help="zones to replay")
    parser.add_argument("--years", nargs="*", type=int, default=[2023], help="years to replay")
    parser.add_argument("--weeks", type=int, default=50, help="how many weeks of jobs; the linear programme of a year takes minutes")
    parser.add_argument("--mix", choices=["plain", "wide", "hard"], default="plain")
    parser.add_argument("--step", type=step_of, default=HOUR, help="length of a slot, 1h or 30min")
    parser.add_argument("--forecast", default="oracle", help="oracle, persistence, own or noise:SHARE:SEED")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--through-daemon", action="store_true", help="the daemon itself runs the jobs: tick, store and ledger")
    chosen = parser.parse_args(arguments)
    folder = os.environ.get("LOWTIDE_TRACES")
    if folder is None:
        print("set LOWTIDE_TRACES to the folder of recorded intensity")
        return 1
    print("zone           year mix    forecast       jobs  GPUs  late saving % optimum   gap  worse % planner s   wall s  ticks")
    for zone in chosen.zones:
        for year in chosen.years:
            hourly = Path(folder) / chosen.folder
            print(line(zone, year, hourly, chosen), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
