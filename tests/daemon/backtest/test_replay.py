"""Replays on a small made-up grid, settled again here by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.backtest.outlooks import Persistence, StaticOutlook
from daemon.backtest.replay import POLICIES, Replay, replay
from daemon.backtest.run import backtest, step_of
from daemon.backtest.score import peak_gpus
from daemon.backtest.trace import TraceJob, TraceSite
from daemon.backtest.world import WorldProblem, build_world
from forecast.intensity import LIFECYCLE_AVERAGE, FloatArray, Series
from tests.bench.year import jobs_of

MONDAY = datetime(2023, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
HALF_HOUR = timedelta(minutes=30)


def record(zone: str = "DE", days: int = 14, level: float = 300.0) -> Series:
    hours = np.arange(days * 24)
    random = np.random.default_rng(len(zone) + days)
    values: FloatArray = level + 150 * np.sin(2 * np.pi * hours / 24) + random.normal(0, 20, len(hours))
    return Series(zone, LIFECYCLE_AVERAGE, MONDAY, values)


def trace(seed: int, count: int, interruptible: float = 0.5) -> list[TraceJob]:
    """Jobs of the second day to the sixth, some with no slack at all, sorted by arrival."""
    random = np.random.default_rng(seed)
    jobs = []
    for number in range(count):
        arrival = MONDAY + timedelta(minutes=int(random.integers(1440, 8640)))
        duration = timedelta(minutes=int(random.integers(30, 1800)))
        slack = timedelta(minutes=int(random.choice([0, 60, 600, 2400])))
        watts, gpus = float(random.choice([300, 2000])), int(random.choice([1, 1, 2]))
        jobs.append(
            TraceJob(f"job-{number}", arrival, duration, watts, gpus, arrival + duration + slack, bool(random.random() < interruptible))
        )
    return sorted(jobs, key=lambda job: (job.arrival, job.id))


def check(jobs: list[TraceJob], run: Replay, start: datetime, capacity: int, split: bool = True) -> None:
    """Each job does its work after its arrival, unbroken ones in one piece, and no instant holds more GPUs than there are."""
    for job in jobs:
        pieces = sorted(run.pieces[job.id], key=lambda piece: piece.start)
        assert sum(p.end - p.start for p in pieces) == pytest.approx(job.duration.total_seconds(), abs=0.01)
        assert pieces[0].start >= (job.arrival - start).total_seconds() - 1e-6
        assert all(a.end <= b.start + 1e-6 for a, b in pairwise(pieces))
        if not job.is_interruptible and split:
            assert all(b.start - a.end < 1e-6 for a, b in pairwise(pieces))
    assert peak_gpus(jobs, run.pieces) <= capacity


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.integers(1, 25), st.sampled_from(POLICIES), st.integers(3, 8))
def test_every_policy_does_all_the_work_within_capacity(seed: int, count: int, policy: str, capacity: int) -> None:
    jobs = trace(seed, count)
    world = build_world(jobs, [TraceSite("home", "DE", capacity)], {"DE": record(days=60)}, HALF_HOUR)
    check(jobs, replay(jobs, world, policy, StaticOutlook(world.rate)), world.start, capacity, split=policy != "lowest-slots")


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.integers(1, 25))
def test_without_a_limit_no_job_is_late_and_the_oracle_reaches_hindsight(seed: int, count: int) -> None:
    jobs = trace(seed, count)
    answer = backtest(jobs, [TraceSite("home", "DE", None)], {"DE": record()}, "planner", "oracle", HALF_HOUR).score
    assert answer.late_jobs == 0
    assert answer.emissions_kg == pytest.approx(answer.hindsight_kg, rel=1e-9)
    assert answer.emissions_kg <= answer.run_now_kg * (1 + 1e-12)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.integers(5, 40))
def test_pausable_jobs_are_never_late_under_twice_the_peak_of_running_at_once(seed: int, count: int) -> None:
    jobs = trace(seed, count, interruptible=1.0)
    free = build_world(jobs, [TraceSite("home", "DE", None)], {"DE": record()}, HALF_HOUR)
    peak = peak_gpus(jobs, replay(jobs, free, "run-now", StaticOutlook(free.rate)).pieces)
    answer = backtest(jobs, [TraceSite("home", "DE", 2 * peak)], {"DE": record()}, "planner", "oracle", HALF_HOUR).score
    assert answer.late_jobs == 0


@pytest.mark.parametrize("mix", ["plain", "wide", "hard"])
@pytest.mark.parametrize("seed", [2, 3])
def test_weeks_of_jobs_on_the_peak_of_running_at_once_are_all_in_time(mix: str, seed: int) -> None:
    jobs = jobs_of(2023, 3, seed, mix)
    free = build_world(jobs, [TraceSite("home", "DE", None)], {"DE": record(days=60)}, HALF_HOUR)
    peak = peak_gpus(jobs, replay(jobs, free, "run-now", StaticOutlook(free.rate)).pieces)
    answer = backtest(jobs, [TraceSite("home", "DE", peak)], {"DE": record(days=60)}, "planner", "oracle", HALF_HOUR)
    check(jobs, answer.replayed, answer.world.start, peak)
    assert answer.score.late_jobs == 0
    assert answer.score.savings_percent > 10


def test_the_same_trace_gives_the_same_answer() -> None:
    jobs = trace(7, 30)
    first, second = (
        backtest(jobs, [TraceSite("home", "DE", 8)], {"DE": record(days=60)}, "planner", "noise:0.1:1", HALF_HOUR) for _ in range(2)
    )
    assert first.replayed.pieces == second.replayed.pieces


def test_run_now_lets_nobody_overtake() -> None:
    first = TraceJob("a", MONDAY, 4 * HOUR, 300, 2, MONDAY + 90 * HOUR, True)
    wide = replace(first, id="b", arrival=MONDAY + HOUR, gpus=3)
    small = replace(first, id="c", arrival=MONDAY + 2 * HOUR, gpus=1)
    world = build_world([first, wide, small], [TraceSite("home", "DE", 3)], {"DE": record()}, HALF_HOUR)
    run = replay([first, wide, small], world, "run-now", StaticOutlook(world.rate))
    assert [run.pieces[name][0].start / 3600 for name in "abc"] == [0, 4, 8]


def test_emissions_and_hindsight_match_a_settlement_by_hand() -> None:
    values = np.array([500.0] * 24 + [400, 300, 100, 200, 600] + [500.0] * 43)
    job = TraceJob("a", MONDAY + 24 * HOUR, 2 * HOUR, 1500, 1, MONDAY + 29 * HOUR, False)
    answer = backtest(
        [job], [TraceSite("home", "DE", 1, pue=1.2)], {"DE": Series("DE", LIFECYCLE_AVERAGE, MONDAY, values)}, "planner", "oracle", HOUR
    )
    assert answer.score.emissions_kg == pytest.approx(1.5 * 1.2 * (100 + 200) / 1000)
    assert answer.score.run_now_kg == pytest.approx(1.5 * 1.2 * (400 + 300) / 1000)
    assert answer.score.hindsight_kg == answer.score.emissions_kg
    assert answer.score.energy_kwh == pytest.approx(1.5 * 1.2 * 2)
    assert answer.score.mean_wait_hours == pytest.approx(2.0)


def test_persistence_sees_nothing_after_the_present_hour() -> None:
    jobs = trace(3, 12)
    told = record()
    world = build_world(jobs, [TraceSite("home", "DE", 6)], {"DE": told}, HALF_HOUR)
    changed = told.values.copy()
    cut = int((jobs[5].arrival - MONDAY) / HOUR)
    changed[cut:] = changed[cut:][::-1]
    other = build_world(jobs, [TraceSite("home", "DE", 6)], {"DE": replace(told, values=changed)}, HALF_HOUR)
    fields = [replay(jobs[:6], w, "lowest-window", Persistence(w)).pieces for w in (world, other)]
    assert fields[0] == fields[1]


def test_a_second_greener_site_is_used_and_transfers_nothing_home() -> None:
    jobs = trace(1, 10)
    records = {"DE": record(), "SE": record("SE", level=160.0)}
    alone = backtest(jobs, [TraceSite("home", "DE", 9)], records, "planner", "oracle", HALF_HOUR).score
    both = backtest(jobs, [TraceSite("home", "DE", 9), TraceSite("north", "SE", 9)], records, "planner", "oracle", HALF_HOUR).score
    assert both.emissions_kg < alone.emissions_kg
    assert both.run_now_kg == pytest.approx(alone.run_now_kg)


@pytest.mark.parametrize(
    ("forecast", "sentence"),
    [("tea-leaves", "is not known: use oracle"), ("noise:x:1", "noise:SHARE:SEED"), ("noise:0.1", "noise:SHARE:SEED")],
)
def test_an_unknown_forecast_is_refused_with_those_there_are(forecast: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        backtest(trace(1, 2), [TraceSite("home", "DE", 9)], {"DE": record()}, "planner", forecast, HALF_HOUR)


@pytest.mark.parametrize("text", ["0min", "7min", "2h", "half", "30"])
def test_a_step_that_does_not_divide_an_hour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="step"):
        step_of(text)


def test_a_record_that_ends_before_the_deadlines_is_refused() -> None:
    with pytest.raises(WorldProblem, match="zone DE: the record reaches from 2023-01-02 00:00 to 2023-01-04 00:00"):
        build_world(trace(1, 5), [TraceSite("home", "DE", 9)], {"DE": record(days=2)}, HALF_HOUR)


def test_a_job_wider_than_home_is_refused_by_run_now() -> None:
    jobs = [replace(job, gpus=4) for job in trace(1, 1)]
    with pytest.raises(WorldProblem, match="job job-0 needs 4 GPUs, home home has 2"):
        backtest(jobs, [TraceSite("home", "DE", 2)], {"DE": record()}, "planner", "oracle", HALF_HOUR)
