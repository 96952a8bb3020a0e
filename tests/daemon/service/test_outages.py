"""Grids that nobody tells of for days: accounts stay open, close on stand-ins that are named, and are mended by a later import."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.domain.ledger import EntryKind
from daemon.domain.states import JobState
from daemon.store.intensity import RecordedIntensity
from forecast.intensity import LIFECYCLE_AVERAGE, Reading, Rung
from forecast.timeline import HOUR, Interval, floor_to
from tests.daemon.service.world import NOON, World, german, training


def import_the_outage(world: World) -> None:
    """What an archive tells afterwards."""
    hours = [NOON + HOUR * index for index in range(int((floor_to(world.now, HOUR) - NOON) / HOUR))]
    readings = [Reading("DE", Interval(hour, hour + HOUR), german(hour), LIFECYCLE_AVERAGE, "archive", world.now) for hour in hours]
    RecordedIntensity(world.daemon.store.database).put_readings(readings, world.now)
    world.recorded_until = floor_to(world.now, HOUR)


def after_an_outage(world: World, days: float) -> str:
    """A job that ran and ended while nothing was recorded, that long before."""
    world.recorded_until += timedelta(days=365)  # nobody records
    job_id = world.submit(training(2), deadline=world.deadline(20))
    world.until(job_id, JobState.SUCCEEDED)
    world.daemon.settler.settle()
    world.now += timedelta(days=days)
    world.tick()
    world.daemon.settler.settle()
    return job_id


def notes(world: World) -> str:
    return " ".join(world.daemon.service.report(None, None, None).notes)


def test_a_report_tells_accounts_that_may_change_from_those_that_never_will(world: World) -> None:
    job_id = after_an_outage(world, days=0)
    assert world.ledger(job_id)[-1].kind is EntryKind.PROVISIONAL
    assert "1 of 1 settlements may still change" in notes(world)
    world.now += timedelta(days=6)
    world.tick()
    world.daemon.settler.settle()
    entry = world.ledger(job_id)[-1]
    assert (entry.kind, entry.is_claimed) == (EntryKind.FINAL, False)
    assert entry.worst_rung > Rung.OBSERVED
    assert "may still change" not in notes(world)
    assert "1 of 1 settlements are closed, but rest on hours whose carbon intensity was never measured" in notes(world)


def test_an_import_after_an_outage_of_a_week_claims_what_was_closed_on_stand_ins(world: World) -> None:
    job_id = after_an_outage(world, days=7)
    stood_in = world.ledger(job_id)[-1]
    assert (stood_in.kind, stood_in.is_claimed) == (EntryKind.FINAL, False)
    import_the_outage(world)
    world.daemon.settler.adjust()
    entry = world.ledger(job_id)[-1]
    assert (entry.kind, entry.is_claimed, entry.unsettled_hours, entry.worst_rung) == (EntryKind.ADJUSTMENT, True, 0, Rung.OBSERVED)
    assert entry.actual_g != stood_in.actual_g
    assert world.daemon.service.report(None, None, None).totals.claimed_saving_g == pytest.approx(entry.saving_g)
    assert "settlements" not in notes(world)
