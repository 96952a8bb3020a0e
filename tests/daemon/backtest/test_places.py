"""Several sites: data that has to be moved, hardware that differs, jobs that must stay, each settled by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.backtest.outlooks import StaticOutlook
from daemon.backtest.replay import POLICIES, replay
from daemon.backtest.run import Backtest, backtest
from daemon.backtest.trace import TraceJob, TraceProblem, TraceSite, read_jobs, read_sites
from daemon.backtest.world import WorldProblem, build_world
from forecast.intensity import LIFECYCLE_AVERAGE, Series
from tests.daemon.backtest.test_replay import record, trace

MONDAY = datetime(2023, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
DIRTY, CLEAN = 500.0, 100.0
HOME, NORTH = TraceSite("home", "DE", 4), TraceSite("north", "SE", 4)
JOB = TraceJob("a", MONDAY + 24 * HOUR, 2 * HOUR, 1500, 1, MONDAY + 60 * HOUR, False)


def flat(zone: str, level: float) -> Series:
    return Series(zone, LIFECYCLE_AVERAGE, MONDAY, np.full(96, level))


RECORDS = {"DE": flat("DE", DIRTY), "SE": flat("SE", CLEAN)}


def replayed(jobs: list[TraceJob], *sites: TraceSite, policy: str = "planner") -> Backtest:
    return backtest(jobs, sites, RECORDS, policy, "oracle", HOUR)


def test_moving_a_job_pays_for_the_data_that_moves_with_it() -> None:
    score = replayed([replace(JOB, transfer_gb=20.0)], HOME, replace(NORTH, pue=1.2, transfer_kwh_per_gb=0.05)).score
    assert score.transfer_kg == pytest.approx(20 * 0.05 * CLEAN / 1000)
    assert score.emissions_kg == pytest.approx(3.0 * 1.2 * CLEAN / 1000 + score.transfer_kg)
    assert score.energy_kwh == pytest.approx(3.0 * 1.2 + 20 * 0.05)
    assert score.run_now_kg == pytest.approx(3.0 * DIRTY / 1000)


def test_a_job_stays_where_moving_it_would_cost_more_than_it_saves() -> None:
    worth = (3.0 * DIRTY - 3.0 * CLEAN) / CLEAN / NORTH.transfer_kwh_per_gb
    for gigabytes, moves in ((worth * 0.99, True), (worth * 1.01, False)):
        pieces = replayed([replace(JOB, transfer_gb=gigabytes)], HOME, NORTH).replayed.pieces["a"]
        assert (pieces[0].choice.site == 1) is moves


def test_a_job_that_is_paused_and_goes_on_pays_for_its_data_once() -> None:
    hours = np.full(96, 900.0)
    hours[26:80:4] = 50.0
    records = {"DE": flat("DE", 1000.0), "SE": Series("SE", LIFECYCLE_AVERAGE, MONDAY, hours)}
    job = replace(JOB, duration=3 * HOUR, is_interruptible=True, transfer_gb=10.0)
    result = backtest([job], [HOME, NORTH], records, "planner", "oracle", HOUR)
    assert len(result.replayed.pieces["a"]) == 3
    assert result.score.transfer_kg == pytest.approx(10 * 0.03 * 50 / 1000)


def test_faster_and_hungrier_hardware_changes_time_and_energy() -> None:
    score = replayed([JOB], HOME, replace(NORTH, speed=2.0, power_factor=1.6))
    (piece,) = score.replayed.pieces["a"]
    assert piece.end - piece.start == pytest.approx(3600)
    assert score.score.emissions_kg == pytest.approx(1.5 * 1.6 * CLEAN / 1000)


def test_slower_hardware_is_left_out_where_the_deadline_would_not_be_kept() -> None:
    urgent = replace(JOB, deadline=JOB.arrival + 3 * HOUR)
    pieces = replayed([urgent], HOME, replace(NORTH, speed=0.5)).replayed.pieces["a"]
    assert pieces[0].choice.site == 0


def test_a_job_that_must_stay_stays_and_one_with_another_home_is_compared_to_that() -> None:
    pinned, other = replace(JOB, id="pinned", sites=("home",)), replace(JOB, id="other", home="north", sites=("home", "north"))
    result = replayed([other, pinned], HOME, NORTH)
    assert result.replayed.pieces["pinned"][0].choice.site == 0
    assert result.baseline.pieces["other"][0].choice.site == 1
    assert result.score.run_now_kg == pytest.approx(3.0 * (DIRTY + CLEAN) / 1000)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.integers(1, 15), st.sampled_from(POLICIES), st.floats(0.5, 2.0), st.floats(0, 50))
def test_every_job_does_its_work_where_it_may_at_that_site_s_speed(
    seed: int, count: int, policy: str, speed: float, gigabytes: float
) -> None:
    jobs = [
        replace(job, transfer_gb=gigabytes, sites=("home",) if number % 3 == 0 else (), home="north" if number % 3 == 1 else None)
        for number, job in enumerate(trace(seed, count))
    ]
    sites = [TraceSite("home", "DE", 6), TraceSite("north", "SE", 6, speed=speed)]
    world = build_world(jobs, sites, {"DE": record(days=60), "SE": record("SE", days=60, level=160.0)}, HOUR)
    run = replay(jobs, world, policy, StaticOutlook(world.rate))
    for number, job in enumerate(jobs):
        done = sum((p.end - p.start) * sites[p.choice.site].speed for p in run.pieces[job.id])
        assert done == pytest.approx(job.duration.total_seconds(), rel=1e-6, abs=0.01)
        places = {p.choice.site for p in run.pieces[job.id]}
        assert len(places) == 1
        assert number % 3 or places == {0}


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        (replace(JOB, home="south"), "job a names the site 'south', which is not given: given are home, north"),
        (replace(JOB, sites=("home", "south")), "names the site 'south'"),
        (replace(JOB, sites=("north",)), "its home home is not among its sites north"),
    ],
)
def test_a_place_that_is_not_there_is_one_sentence(job: TraceJob, sentence: str) -> None:
    with pytest.raises(WorldProblem, match=sentence):
        build_world([job], [HOME, NORTH], RECORDS, HOUR)


def test_the_further_columns_are_read_and_may_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(
        "job_id,arrival_utc,duration_hours,power_watts,gpus,deadline_utc,interruptible,home,sites,transfer_gb\n"
        "a,2023-05-01T08:00:00Z,4,300,1,2023-05-02T09:00:00Z,1,north,home north,2.5\n"
        "b,2023-05-01T08:00:00Z,4,300,1,2023-05-02T09:00:00Z,1,,,\n",
        encoding="utf-8",
    )
    first, second = read_jobs(path)
    assert (first.home, first.sites, first.transfer_gb) == ("north", ("home", "north"), 2.5)
    assert (second.home, second.sites, second.transfer_gb) == (None, (), 0.0)
    path.write_text(path.read_text(encoding="utf-8").replace("2.5", "-1"), encoding="utf-8")
    with pytest.raises(TraceProblem, match="line 2: transfer_gb must be a number of at least 0, got '-1'"):
        read_jobs(path)


def test_hardware_factors_are_read_from_the_sites_file(tmp_path: Path) -> None:
    path = tmp_path / "sites.toml"
    text = '[[sites]]\nname = "a"\nzone = "SE"\nspeed = 2\npower_factor = 1.3\ntransfer_kwh_per_gb = 0.06\n'
    path.write_text(text, encoding="utf-8")
    (site,) = read_sites(path)
    assert (site.speed, site.power_factor, site.transfer_kwh_per_gb) == (2.0, 1.3, 0.06)
    for wrong, sentence in (("speed = 0", "speed must be above 0"), ('speed = "fast"', "speed must be a number")):
        path.write_text(text.replace("speed = 2", wrong), encoding="utf-8")
        with pytest.raises(TraceProblem, match=f"site a: {sentence}"):
            read_sites(path)
