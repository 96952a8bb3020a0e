"""The chore that scores archived forecasts, on a real store; and what its finding does to the plan."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from daemon.compose import Daemon
from daemon.store import Store
from daemon.store.intensity import RecordedIntensity
from daemon.zone_skill import ZoneSkills
from forecast.intensity import LIFECYCLE_AVERAGE, Reading, Rung, Vintage
from forecast.timeline import HOUR, Interval
from tests.daemon.service.world import NOON, german, open_world, synthesis
from tests.daemon.test_metrics import scraped

DAYS = 20


def archive(store: Store, rung: Rung, hours_off: int) -> None:
    """Three forecasts a day, each `hours_off` too late (12: day and night the wrong way round), and what came."""
    recorded = RecordedIntensity(store.database)
    hours = [NOON - timedelta(days=DAYS + 6) + HOUR * index for index in range((DAYS + 6) * 24)]
    recorded.put_readings([Reading("DE", Interval(h, h + HOUR), german(h), LIFECYCLE_AVERAGE, "recorded", h + HOUR) for h in hours], NOON)
    for ago in range(DAYS * 24, 0, -8):
        at = NOON - ago * HOUR
        values = np.array([german(at + HOUR * (lead - hours_off)) for lead in range(96)])
        recorded.put_vintage(Vintage("DE", LIFECYCLE_AVERAGE, "somebody", rung, at, at, at, HOUR, values, values - 5, values + 5))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 'lowtide.db'}")


def test_each_source_is_scored_on_its_own_and_the_better_record_is_trusted(store: Store) -> None:
    archive(store, Rung.OWN_FORECAST, hours_off=0)
    skills = ZoneSkills(RecordedIntensity(store.database), LIFECYCLE_AVERAGE)
    assert (skills.of("DE"), skills.share_kept("DE")) == ({}, None), "nothing is known before the first run"
    skills.renew(["DE", "SE"], NOON)
    assert list(skills.of("DE")) == [Rung.OWN_FORECAST]
    assert skills.share_kept("DE") == pytest.approx(1.0)
    assert (skills.of("SE"), skills.share_kept("SE")) == ({}, None)
    archive(store, Rung.VENDOR_FORECAST, hours_off=12)
    skills.renew(["DE"], NOON)
    assert skills.of("DE")[Rung.VENDOR_FORECAST].share_kept == 0.0
    assert (
        skills.of("DE")[Rung.VENDOR_FORECAST].leads["1-24"].relative_mae > 1 > skills.of("DE")[Rung.OWN_FORECAST].leads["1-24"].relative_mae
    )
    assert skills.share_kept("DE") == pytest.approx(1.0)
    store.close()


def run_chore(daemon: Daemon, name: str) -> None:
    next(chore for chore in daemon.ticker.chores if chore.name == name).run()


def test_where_forecasts_were_useless_lately_a_job_starts_now_and_says_so_and_elsewhere_it_waits_for_the_night(tmp_path: Path) -> None:
    reasons = []
    for hours_off in (0, 12):
        folder = tmp_path / str(hours_off)
        folder.mkdir()
        with open_world(folder) as world:
            archive(world.daemon.store, Rung.OWN_FORECAST, hours_off)
            run_chore(world.daemon, "score")
            job = world.submit(synthesis(20, {"path": "weights.pt"}), deadline=world.deadline(30))
            world.tick()
            reasons.append(world.daemon.service.plan().placements[0].reason if world.job(job).state == "waiting" else world.job(job).reason)
            view = world.daemon.service.forecast("DE")
            assert [(skill.rung, skill.source, skill.forecasts) for skill in view.skill] == [("own-forecast", "somebody", DAYS * 3)]
            seen = scraped(world.daemon.metrics)
            labels = (("source", "own-forecast"), ("zone", "DE"))
            assert seen["lowtide_forecast_savings_kept_ratio", labels] == view.skill[0].savings_kept
            lead = (("lead_hours", "25-96"), *labels)
            assert seen["lowtide_forecast_error_ratio", lead] == view.skill[0].leads[1].relative_mae
            for name, value in (
                ("error_grams_per_kwh", "mae_g_per_kwh"),
                ("error_of_value_ratio", "mape"),
                ("bias_grams_per_kwh", "bias_g_per_kwh"),
            ):
                assert seen[f"lowtide_forecast_{name}", lead] == getattr(view.skill[0].leads[1], value)
            assert seen["lowtide_forecast_pinball_grams_per_kwh", lead] == view.skill[0].leads[1].pinball_g_per_kwh
            for name, value in (
                ("hindsight_kept_ratio", "hindsight_kept"),
                ("worse_ratio", "worse"),
                ("regret_grams_per_kwh", "regret_g_per_kwh"),
            ):
                assert seen[f"lowtide_forecast_{name}", labels] == getattr(view.skill[0], value)
            assert (view.skill[0].worse == 0) == (hours_off == 0)
            assert seen["lowtide_forecast_coverage_ratio", lead] == (1.0 if hours_off == 0 else pytest.approx(0.66, abs=0.1))
    assert reasons[0].startswith("cleaner window tomorrow 0")
    assert "forecasts of DE lately kept 0% of the savings they promised" in reasons[1]
