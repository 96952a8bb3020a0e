"""The same queue through the replay of the planner and through the daemon itself: tick, store and ledger on a moved clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pytest

from daemon.backtest.outlooks import Outlook, Persistence, StaticOutlook, noisy
from daemon.backtest.replay import Replay, replay
from daemon.backtest.run import Backtest, backtest
from daemon.backtest.score import settled
from daemon.backtest.through_daemon.run import replay_through_daemon
from daemon.backtest.trace import TraceJob, TraceSite
from daemon.backtest.world import WorldProblem, build_world
from forecast.intensity import LIFECYCLE_AVERAGE, Series
from tests.daemon.backtest.test_replay import check, record, trace

MONDAY = datetime(2023, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
HALF_HOUR = timedelta(minutes=30)
RECORDS = {"DE": record(days=30), "SE": record("SE", days=30, level=160.0)}
CAPACITY = 8


@cache
def both(seed: int) -> tuple[list[TraceJob], Backtest, Backtest]:
    """A queue of some tight and some unbroken jobs through both."""
    jobs = trace(seed, 14)
    site = [TraceSite("home", "DE", CAPACITY, pue=1.3)]
    planner, daemon = (backtest(jobs, site, dict(RECORDS), policy, "oracle", HOUR) for policy in ("planner", "daemon"))
    return jobs, planner, daemon


@pytest.mark.parametrize("seed", [1, 2])
def test_the_daemon_keeps_every_deadline_and_emits_what_the_planners_replay_does(seed: int) -> None:
    _, planner, daemon = both(seed)
    assert (planner.score.late_jobs, daemon.score.late_jobs) == (0, 0)
    assert daemon.score.emissions_kg == pytest.approx(planner.score.emissions_kg, rel=0.03)
    assert daemon.score.emissions_kg < daemon.score.run_now_kg


@pytest.mark.parametrize("seed", [1, 2])
def test_every_job_does_its_work_exactly_once_within_capacity(seed: int) -> None:
    jobs, _, daemon = both(seed)
    assert daemon.replayed.pieces.keys() == {job.id for job in jobs}
    check(jobs, daemon.replayed, daemon.world.start, CAPACITY)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_ledger_adds_up_to_what_the_hours_say_in_which_jobs_ran(seed: int) -> None:
    jobs, planner, daemon = both(seed)
    by_hand = settled(jobs, daemon.world, daemon.replayed, daemon.baseline)
    assert daemon.score.emissions_kg == pytest.approx(by_hand.grams.sum() / 1000)
    assert daemon.score.run_now_kg == pytest.approx(planner.score.run_now_kg)
    assert daemon.score.energy_kwh == pytest.approx(sum(job.energy_kwh for job in jobs) * 1.3)
    assert daemon.more["ledger_hindsight_kg"] == pytest.approx(daemon.score.hindsight_kg)


def test_equal_traces_are_run_alike() -> None:
    jobs = trace(5, 6)
    world = build_world(jobs, [TraceSite("home", "DE", 4)], RECORDS, HALF_HOUR)
    first, second = (replay_through_daemon(jobs, world, noisy(world, 0.1, 1)) for _ in range(2))
    assert first.replay.pieces == second.replay.pieces
    assert first.ticks == second.ticks


def test_a_job_goes_where_it_may_and_is_done_sooner_on_faster_hardware() -> None:
    free = TraceJob("free", MONDAY + 30 * HOUR, 4 * HOUR, 1500, 1, MONDAY + 80 * HOUR, True)
    pinned = replace(free, id="pinned", sites=("home",))
    sites = [TraceSite("home", "DE", 2), TraceSite("north", "SE", 2, pue=1.1, speed=2.0, power_factor=1.5)]
    result = backtest([free, pinned], sites, dict(RECORDS), "daemon", "oracle", HOUR)
    where = {name: {piece.choice.site for piece in pieces} for name, pieces in result.replayed.pieces.items()}
    assert where == {"free": {1}, "pinned": {0}}
    assert sum(piece.end - piece.start for piece in result.replayed.pieces["free"]) == pytest.approx(2 * 3600, abs=0.1)
    by_hand = settled(result.jobs, result.world, result.replayed, result.baseline)
    assert result.score.emissions_kg == pytest.approx(by_hand.grams.sum() / 1000, rel=1e-5)


def test_a_deadline_that_cannot_be_kept_is_missed_and_not_refused() -> None:
    job = TraceJob("a", MONDAY + 30 * HOUR, 4 * HOUR, 1500, 1, MONDAY + 32 * HOUR, True)
    result = backtest([job], [TraceSite("home", "DE", 1)], dict(RECORDS), "daemon", "oracle", HOUR)
    assert result.score.late_jobs == 1
    assert result.score.mean_wait_hours == pytest.approx(0, abs=1e-3)


def test_what_is_only_forecast_costs_something_and_no_deadline() -> None:
    jobs = trace(1, 10)
    world = build_world(jobs, [TraceSite("home", "DE", CAPACITY)], RECORDS, HOUR)
    baseline = replay(jobs, world, "run-now", StaticOutlook(world.rate))
    outlooks: dict[str, Outlook] = {"oracle": StaticOutlook(world.rate), "persistence": Persistence(world)}
    told = {name: replay_through_daemon(jobs, world, outlook) for name, outlook in outlooks.items()}
    for run in told.values():
        assert _late(jobs, run.replay, world.start) == 0
    assert (
        told["oracle"].account.grams.sum() < told["persistence"].account.grams.sum() < settled(jobs, world, baseline, baseline).grams.sum()
    )


def _late(jobs: list[TraceJob], run: Replay, start: datetime) -> int:
    ends = {job.id: max(piece.end for piece in run.pieces[job.id]) for job in jobs}
    return sum(ends[job.id] > (job.deadline - start).total_seconds() + 1e-3 for job in jobs)


JOB = TraceJob("a", MONDAY + 30 * HOUR, 4 * HOUR, 1500, 1, MONDAY + 80 * HOUR, True)


@pytest.mark.parametrize(
    ("job", "site", "step", "sentence"),
    [
        (replace(JOB, gpus=65), TraceSite("home", "DE", 100), HOUR, "job a needs 65 GPUs, a submission may ask for 64"),
        (JOB, TraceSite("home", "DE", 1), HOUR / 5, "the daemon plans in slots of 5, 10, 15, 20, 30, 60 minutes"),
        (JOB, TraceSite("home", "DE", 1, pue=6.0), HOUR, "site home: a daemon's site has a PUE of at most 5"),
    ],
)
def test_what_no_daemon_can_be_given_is_one_sentence(job: TraceJob, site: TraceSite, step: timedelta, sentence: str) -> None:
    with pytest.raises(WorldProblem, match=sentence):
        backtest([job], [site], dict(RECORDS), "daemon", "oracle", step)


def test_data_that_a_job_brings_along_is_not_forgotten_but_refused() -> None:
    sites = [TraceSite("home", "DE", 1), TraceSite("north", "SE", 1)]
    with pytest.raises(WorldProblem, match="job a brings 3 GB along, which a replayed daemon cannot move: use --policy planner"):
        backtest([replace(JOB, transfer_gb=3.0)], sites, dict(RECORDS), "daemon", "oracle", HOUR)


def test_a_queue_that_outlasts_the_record_is_one_sentence() -> None:
    short = {"DE": Series("DE", LIFECYCLE_AVERAGE, MONDAY, np.linspace(100, 400, 90))}
    jobs = [replace(JOB, id=f"job-{n}", duration=40 * HOUR) for n in range(3)]
    with pytest.raises(WorldProblem, match="jobs are not done when the intensity record ends: give a longer record or more capacity"):
        backtest(jobs, [TraceSite("home", "DE", 1)], short, "daemon", "oracle", HOUR)
