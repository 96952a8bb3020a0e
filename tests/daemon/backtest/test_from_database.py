"""Replays of a daemon's own past, from the database it wrote, while it is open."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner, Result

from daemon.backtest.from_database import own_past
from daemon.backtest.world import WorldProblem
from daemon.cli import build_app
from daemon.domain.job import DataTag
from daemon.domain.site import Site
from daemon.domain.states import JobState
from daemon.store import Store, StoreUnavailable
from daemon.store.intensity import RecordedIntensity
from forecast.intensity import LIFECYCLE_AVERAGE
from forecast.timeline import HOUR, Interval
from tests.daemon.service.world import HEIDELBERG, MODEL_3D, NOON, UMEA, World, open_world, synthesis, training

SITES = [
    Site("heidelberg", "DE", 1, "generic-cpu", 1.5, frozenset({DataTag.PATIENT_DATA, DataTag.DERIVED})),
    Site("umea", "SE", 1, "generic-cpu", 1.1, frozenset({DataTag.DERIVED})),
]
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
CONFIG = """
[[sites]]
name = "heidelberg"
zone = "DE"
pue = 1.5
admits = ["patient-data", "derived-from-patient-data"]
[[sites]]
name = "umea"
zone = "SE"
pue = 1.1
admits = ["derived-from-patient-data"]
"""


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A daemon that has run two trainings at home, one anywhere and a synthesis, all settled; it is still open."""
    folder = tmp_path_factory.mktemp("past")
    (folder / "lowtide.toml").write_text(CONFIG)
    (folder / "data" / "scans").mkdir(parents=True)
    with open_world(folder, HEIDELBERG, UMEA) as world:
        jobs = [
            world.submit(training(1.5), deadline=world.deadline(20), sites=["heidelberg"]),
            world.submit(training(1, data={"path": "scans"}), deadline=world.deadline(2.5)),
            world.submit(training(1), deadline=world.deadline(30)),
        ]
        for job_id in jobs:
            world.until(job_id, JobState.SUCCEEDED)
        made = world.submit(synthesis(4, {"job": jobs[0]}, model=MODEL_3D), deadline=world.deadline(12))
        world.until(made, JobState.SUCCEEDED)
        world.now += timedelta(hours=40)
        world.record()
        world.daemon.settler.settle()
        yield world


def url(world: World) -> str:
    return world.settings.database


def lowtide(world: World, *arguments: str) -> Result:
    config = Path(url(world).removeprefix("sqlite:///")).with_name("lowtide.toml")
    command = ["backtest", "--from-database", url(world), "--config", str(config), *arguments]
    return CliRunner().invoke(build_app(), command, env=dict(os.environ))


def test_jobs_are_as_the_ledger_measured_them(past: World) -> None:
    own = own_past(url(past), *EVER, SITES, LIFECYCLE_AVERAGE)
    assert len(own.jobs) == 4
    for job in own.jobs:
        entry = past.ledger(job.id)[-1]
        assert job.energy_kwh == pytest.approx(entry.useful_kwh)
        assert job.duration.total_seconds() == pytest.approx(entry.baseline_seconds)
        assert job.home == "heidelberg"
    assert own.ledger_kg == pytest.approx(sum(past.ledger(job.id)[-1].actual_g or 0 for job in own.jobs) / 1000)


def test_data_stays_where_it_may_be_and_weights_cost_their_way(past: World) -> None:
    listed, pinned, free, made = sorted(own_past(url(past), *EVER, SITES, LIFECYCLE_AVERAGE).jobs, key=lambda job: job.id)
    assert (listed.sites, pinned.sites) == (("heidelberg",), ("heidelberg",))
    assert free.sites == ("heidelberg", "umea")
    assert made.transfer_gb > 0
    assert free.transfer_gb == 0
    assert made.arrival >= past.job(listed.id).ended_at  # type: ignore[operator]  # None fails the test as well


def test_run_now_replayed_is_the_ledgers_baseline(past: World) -> None:
    answer = lowtide(past, "--policy", "run-now", "--forecast", "oracle", "--json")
    assert answer.exit_code == 0, answer.output
    figures = json.loads(answer.stdout)
    assert figures["emissions_kg"] == pytest.approx(figures["ledger_run_now_kg"], rel=0.02)
    assert figures["savings_percent"] == 0


def test_another_policy_is_replayed_beside_what_really_happened(past: World) -> None:
    figures = json.loads(lowtide(past, "--policy", "planner", "--forecast", "oracle", "--json").stdout)
    assert figures["jobs"] == 4
    assert figures["late_jobs"] == 0
    assert figures["emissions_kg"] <= figures["ledger_kg"] * 1.02
    assert figures["emissions_kg"] < figures["run_now_kg"]
    shown = lowtide(past, "--policy", "planner", "--forecast", "oracle")
    assert "ledger run now kg" in shown.stdout


def test_the_daemon_itself_replays_its_past(past: World) -> None:
    trainings = ["--from", "2024-03-04", "--to", f"{NOON:%Y-%m-%dT%H:%M:%S}.5Z"]
    figures, planned = (
        json.loads(lowtide(past, *trainings, "--policy", policy, "--forecast", "oracle", "--json").stdout)
        for policy in ("daemon", "planner")
    )
    assert (figures["jobs"], figures["late_jobs"]) == (3, 0)
    assert figures["run_now_kg"] == pytest.approx(figures["ledger_run_now_kg"], rel=0.02)
    assert figures["emissions_kg"] == pytest.approx(planned["emissions_kg"], rel=0.02)
    refused = lowtide(past, "--policy", "daemon", "--forecast", "oracle")
    assert refused.exit_code == 1
    assert "GB along, which a replayed daemon cannot move: use --policy planner" in refused.stderr


def test_only_jobs_accepted_in_the_period_are_replayed(past: World) -> None:
    first_day = json.loads(
        lowtide(past, "--from", "2024-03-04", "--to", f"{NOON:%Y-%m-%dT%H:%M:%S}.5Z", "--forecast", "oracle", "--json").stdout
    )
    assert first_day["jobs"] == 3
    nothing = lowtide(past, "--to", "2024-01-01", "--forecast", "oracle")
    assert nothing.exit_code == 1
    assert "no job of the chosen period can be replayed: there is none with a settled account" in nothing.stderr


def test_jobs_whose_window_is_not_recorded_are_left_out_and_counted(past: World) -> None:
    for job in own_past(url(past), *EVER, SITES, LIFECYCLE_AVERAGE).jobs:
        assert job.deadline <= past.now
    late = past.submit(training(1), deadline=past.deadline(48))
    past.until(late, JobState.SUCCEEDED)
    past.daemon.settler.settle()
    own = own_past(url(past), *EVER, SITES, LIFECYCLE_AVERAGE)
    assert own.left_out == {"the recorded intensity does not cover its window": 1}


def test_half_hours_are_a_record_as_good_as_hours(past: World, tmp_path: Path) -> None:
    copy = tmp_path / "halves.db"
    with create_engine(url(past)).connect() as connection:
        connection.execute(text("VACUUM INTO :copy"), {"copy": str(copy)})
    store = Store.look_into(f"sqlite:///{copy}")
    recorded = RecordedIntensity(store.database)
    hours = [reading for zone in ("DE", "SE") for reading in recorded.readings(zone, LIFECYCLE_AVERAGE, *EVER)]
    with create_engine(f"sqlite:///{copy}").begin() as connection:
        connection.execute(text("DELETE FROM reading"))
    halves = [(reading, reading.interval.start + half * HOUR / 2) for reading in hours for half in range(2)]
    recorded.put_readings([replace(reading, interval=Interval(start, start + HOUR / 2)) for reading, start in halves], past.now)
    store.close()
    before, after = (own_past(each, *EVER, SITES, LIFECYCLE_AVERAGE) for each in (url(past), f"sqlite:///{copy}"))
    assert [job.id for job in after.jobs] == [job.id for job in before.jobs]
    np.testing.assert_allclose(after.records["DE"].values, before.records["DE"].values)


def test_a_site_that_is_no_more_leaves_its_jobs_out(past: World) -> None:
    with pytest.raises(WorldProblem, match="because its home is not among the sites"):
        own_past(url(past), *EVER, SITES[1:], LIFECYCLE_AVERAGE)


@pytest.mark.parametrize(
    ("arguments", "sentence", "code"),
    [
        (["--jobs", "jobs.csv"], "leave out --intensity, --jobs", 2),
        (["--from", "yesterday"], "--from 'yesterday' is not a time: write it like 2026-07-01", 2),
        (["--from", "2024-05-01", "--to", "2024-04-01"], "--to must lie after --from", 2),
    ],
)
def test_a_mistake_is_one_sentence(past: World, arguments: list[str], sentence: str, code: int) -> None:
    answer = lowtide(past, *arguments)
    assert (answer.exit_code, sentence in answer.stderr) == (code, True), answer.stderr


def test_a_database_that_is_not_there_or_not_ours_is_refused_and_not_made(tmp_path: Path) -> None:
    missing, foreign, old = tmp_path / "missing.db", tmp_path / "foreign.db", tmp_path / "old.db"
    with create_engine(f"sqlite:///{foreign}").begin() as connection:
        connection.execute(text("CREATE TABLE mine (a INTEGER)"))
    with create_engine(f"sqlite:///{old}").begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    for path, sentence in ((missing, "there is no database file"), (foreign, "is not a database of Lowtide"), (old, "has revision 0001")):
        with pytest.raises(StoreUnavailable, match=sentence):
            own_past(f"sqlite:///{path}", *EVER, SITES, LIFECYCLE_AVERAGE)
    assert not missing.exists()
