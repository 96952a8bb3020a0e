"""A campaign with months of slack, on a real daemon that has a year of record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.domain.plan import Plan, Snapshot
from daemon.domain.states import JobState
from daemon.service.seasons import Seasons
from daemon.store.intensity import RecordedIntensity
from forecast.intensity import LIFECYCLE_AVERAGE, Reading, ZoneOutlook
from forecast.timeline import HOUR, Interval
from tests.daemon.planner.builders import job
from tests.daemon.planner.test_seasons import campaign, near, seasonal
from tests.daemon.service.world import HEIDELBERG, NOON, World, open_world, training

SUMMER = datetime(2024, 6, 1, tzinfo=UTC)
AUTUMN = datetime(2024, 9, 1, tzinfo=UTC)


def clean_in_summer(hour: datetime) -> float:
    grain = (hour.toordinal() * 7 + hour.hour * 3) % 11
    return (120.0 if 6 <= hour.month <= 8 else 430.0) + grain


@pytest.fixture(scope="module")
def seasons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Germany with a year of record: summers are clean, and it is March."""
    folder: Path = tmp_path_factory.mktemp("seasons")
    with open_world(folder, HEIDELBERG, grid={"DE": clean_in_summer}) as world:
        first = NOON - timedelta(days=366)
        hours = [first + HOUR * index for index in range(int((world.recorded_until - timedelta(days=8) - first) / HOUR))]
        readings = [Reading("DE", Interval(at, at + HOUR), clean_in_summer(at), LIFECYCLE_AVERAGE, "archive", at + HOUR) for at in hours]
        RecordedIntensity(world.daemon.store.database).put_readings(readings, world.now)
        yield world


def test_it_waits_for_summer_while_others_run_and_the_reason_says_so(seasons: World) -> None:
    patient = seasons.submit(training(3), deadline=AUTUMN)
    hasty = seasons.submit(training(1), deadline=seasons.deadline(20))
    seasons.tick()
    waiting = seasons.job(patient)
    assert waiting.reason.startswith("waits for a cleaner season, ")
    assert waiting.planned[0].start >= SUMMER - timedelta(hours=3)
    assert seasons.job(hasty).planned[0].end <= seasons.deadline(20)
    seasons.until(hasty, JobState.SUCCEEDED)
    assert seasons.job(patient).state is JobState.WAITING
    assert [event.kind for event in seasons.events(patient)] == ["accepted", "planned"]


def test_a_campaign_that_ends_before_summer_is_planned_now(seasons: World) -> None:
    spring = seasons.submit(training(1), deadline=SUMMER - timedelta(days=20))
    seasons.tick()
    assert "season" not in seasons.job(spring).reason


class Counted:
    """A planner's surroundings that count how often months are looked at."""

    def __init__(self) -> None:
        self.outlooks = 0

    def plan(self, snapshot: Snapshot) -> Plan:
        return Plan(snapshot.now, ())

    def outlook(self, zone: str, start: datetime, step: timedelta, count: int, now: datetime) -> ZoneOutlook:
        self.outlooks += 1
        return seasonal(150.0).outlooks["DE"]


def test_months_are_looked_at_once_an_hour_and_only_for_campaigns() -> None:
    counted = Counted()
    planner = Seasons(counted.plan, lambda jobs, months, soon: {}, counted.outlook)
    planner(replace(near(), jobs=(job(),)))
    assert counted.outlooks == 0
    for minutes in (0, 10, 50, 60):
        planner(replace(near(), jobs=(campaign(),), now=near().now + timedelta(minutes=minutes)))
    assert counted.outlooks == 2


def test_work_that_others_wait_for_or_that_waits_itself_is_not_held() -> None:
    counted = Counted()
    planner = Seasons(counted.plan, lambda jobs, months, soon: {}, counted.outlook)
    planner(replace(near(), jobs=(campaign(), job("follows", after=("job",)), replace(campaign(), id="runs", running_at="de"))))
    assert counted.outlooks == 0
