"""Advice on a real daemon with a recorded grid: now, later, elsewhere, by month, and less instead of later."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.compose import renew_board
from daemon.domain.job import JobRequest
from daemon.planner import PlannerOptions
from daemon.service.advice import newest_months
from daemon.service.job_views import AdviceView, EstimateAnswer
from daemon.service.views import BandView
from daemon.store.intensity import RecordedIntensity
from forecast.intensity import LIFECYCLE_AVERAGE, PeriodMean
from forecast.timeline import HOUR, Interval
from tests.daemon.service.world import HEIDELBERG, NOON, UMEA, World, german, open_world, synthesis, training

MEDIUM = {"dimensions": 2, "size": "medium", "image_shape": [64, 64]}


def month(year: int, number: int, g_per_kwh: float, zone: str = "DE") -> PeriodMean:
    start = datetime(year, number, 1, tzinfo=UTC)
    return PeriodMean(zone, Interval(start, start + timedelta(days=28)), g_per_kwh, LIFECYCLE_AVERAGE, "portal")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Two sites on their own hours, and two monthly means of Germany; the board shows what an empty plan leaves."""
    with open_world(tmp_path, HEIDELBERG, UMEA) as opened:
        RecordedIntensity(opened.daemon.store.database).put_period_means([month(2023, 1, 475.2), month(2023, 7, 322.18)], opened.now)
        report = opened.tick()
        renew_board(opened.daemon.board, report, PlannerOptions())
        yield opened


def estimate(world: World, workload: dict[str, Any], **constraints: Any) -> EstimateAnswer:
    return world.daemon.service.estimate(JobRequest.model_validate({"workload": workload, "constraints": constraints}))


def advice(world: World, samples: int = 40, **constraints: Any) -> AdviceView:
    workload = synthesis(samples, {"path": "weights.pt"}, inference_steps=1000)
    return estimate(world, workload, **({"sites": ["heidelberg", "umea"]} | constraints)).advice


def test_now_is_the_energy_times_pue_times_the_hours_it_would_take(world: World) -> None:
    answer = estimate(world, synthesis(4, {"path": "weights.pt"}))  # minutes: within the running hour
    now = answer.advice.now_g
    assert now is not None
    outlook = world.daemon.feed.outlook("DE", NOON, HOUR, 1, world.now).g_per_kwh[0]
    assert answer.estimate.duration_hours.mid < 1
    assert now.mid == pytest.approx(answer.estimate.energy_kwh.mid * 1.5 * outlook)
    assert outlook == pytest.approx(german(NOON), rel=0.1)


def test_the_parts_of_an_estimate_add_up_to_its_energy_and_hours(world: World) -> None:
    for workload in (synthesis(40, {"path": "weights.pt"}), training(10.5)):
        found = estimate(world, workload).estimate
        assert sum(part.energy_kwh for part in found.parts) == pytest.approx(found.energy_kwh.mid)
        assert sum(part.hours for part in found.parts) == pytest.approx(found.duration_hours.mid)
        assert {part.name for part in found.parts} >= {"startup", "work", "checkpoints"}
        assert found.idle_kwh is not None
        assert 0 < found.idle_kwh < found.energy_kwh.mid


def test_a_long_job_pays_the_mean_of_its_hours_and_parts_of_hours(world: World) -> None:
    answer = estimate(world, training(10.5))
    hours = answer.estimate.duration_hours.mid
    outlook = world.daemon.feed.outlook("DE", NOON, HOUR, 12, world.now).g_per_kwh
    whole = int(hours)
    mean = (sum(outlook[:whole]) + (hours - whole) * outlook[whole]) / hours
    assert answer.advice.now_g is not None
    assert answer.advice.now_g.mid == pytest.approx(answer.estimate.energy_kwh.mid * 1.5 * mean)


def test_each_site_has_its_own_now_and_best_window_and_the_best_of_all_is_the_cleaner(world: World) -> None:
    found = advice(world)
    sites = {each.site: each for each in found.by_site}
    assert sites.keys() == {"heidelberg", "umea"}
    home, away = sites["heidelberg"], sites["umea"]
    assert home.now_g is not None
    assert away.now_g is not None
    assert home.best_g is not None
    assert away.best_g is not None
    assert away.now_g.mid < home.best_g.mid < home.now_g.mid
    assert found.best_g is not None
    assert found.best_g.mid <= min(home.best_g.mid, away.best_g.mid) * 1.001
    assert home.best_start is not None
    assert home.best_start.hour in (1, 2, 3)  # the clean hours of the night
    for each in (home.now_g, home.best_g, away.now_g, away.best_g, found.best_g):
        assert each.low < each.mid < each.high


def test_months_scale_with_their_means_and_carry_the_interval_of_the_energy(world: World) -> None:
    answer = estimate(world, synthesis(40, {"path": "weights.pt"}))
    january, july = answer.advice.by_month
    assert (january.month, july.month, january.zone) == ("2023-01", "2023-07", "DE")
    assert january.g.mid == pytest.approx(answer.estimate.energy_kwh.mid * 1.5 * 475.2)
    assert january.g.mid / july.g.mid == pytest.approx(475.2 / 322.18)
    assert july.g.high / july.g.mid == pytest.approx(answer.estimate.energy_kwh.high / answer.estimate.energy_kwh.mid)


def test_spending_later_saves_what_lies_between_now_and_the_window_and_comes_later(world: World) -> None:
    found = advice(world, sites=["heidelberg"])
    later = found.spend_later
    assert later is not None
    assert later.saved_g is not None
    assert found.now_g is not None
    assert found.best_g is not None
    assert later.saved_g.mid == pytest.approx(found.now_g.mid - found.best_g.mid)
    assert later.saved_g.low < later.saved_g.mid < later.saved_g.high
    assert later.saved_kwh == BandView(low=0, mid=0, high=0), "the same work on the same machine"
    assert later.saved_hours is not None
    assert later.saved_hours.low == later.saved_hours.mid == later.saved_hours.high < 0, "both ends move alike"


def test_there_is_no_later_where_the_best_window_is_at_once_at_home(world: World) -> None:
    soon = (world.now + timedelta(hours=1)).isoformat()
    found = estimate(world, synthesis(4, {"path": "weights.pt"}), deadline=soon).advice
    assert found.best_g is not None
    assert found.spend_later is None


def test_moving_counts_as_spending_later_even_without_a_wait(world: World) -> None:
    later = advice(world, deadline=(world.now + timedelta(hours=10)).isoformat()).spend_later
    assert later is not None
    assert later.change.endswith("at umea")
    assert later.saved_g is not None
    assert later.saved_g.mid > 0


def test_spending_less_is_counted_on_the_window_and_200_steps_save_four_fifths(world: World) -> None:
    found = advice(world)
    less = {each.change: each for each in found.spend_less}
    fewer = less["200 DDIM steps instead of 1,000 DDIM steps"]
    assert found.best_g is not None
    assert fewer.saved_g is not None
    assert fewer.saved_g.mid / found.best_g.mid == pytest.approx(0.8, abs=0.03)
    assert fewer.saved_hours is not None
    assert fewer.saved_hours.low > 0
    assert fewer.saved_kwh is not None
    energy = estimate(world, synthesis(40, {"path": "weights.pt"}, inference_steps=1000), sites=["heidelberg", "umea"]).estimate.energy_kwh
    widths = [math.log(band.high / band.mid) for band in (energy, fewer.saved_kwh)]
    assert widths[1] == pytest.approx(widths[0], rel=0.1), "the share that is saved is sure; how much the whole is, is not"


def test_another_network_saves_less_surely_than_fewer_steps_of_the_same(world: World) -> None:
    workload = synthesis(40, {"path": "weights.pt"}, inference_steps=1000) | {"model": MEDIUM}
    saved = {each.change: each.saved_kwh for each in estimate(world, workload).advice.spend_less}
    fewer, smaller = saved["200 DDIM steps instead of 1,000 DDIM steps"], saved["size small instead of medium"]

    assert fewer is not None
    assert smaller is not None
    assert (fewer.high - fewer.low) / fewer.mid < (smaller.high - smaller.low) / smaller.mid


def test_what_was_never_measured_is_unknown_and_not_zero(world: World) -> None:
    half = next(each for each in advice(world).spend_less if each.change.startswith("bfloat16"))
    assert (half.saved_g, half.saved_kwh, half.saved_hours) == (None, None, None)
    assert "nothing was measured in bfloat16 on generic-cpu" in half.caveat


def test_before_the_first_plan_there_is_no_window_but_all_the_rest(tmp_path: Path) -> None:
    with open_world(tmp_path) as opened:
        found = estimate(opened, synthesis(4, {"path": "weights.pt"})).advice
    assert found.best_g is None
    assert found.spend_later is None
    assert found.now_g is not None
    assert found.by_site[0].reason == "the first plan is being made: ask again in a moment"
    assert found.spend_less[0].saved_g is not None


def test_samples_are_compared_with_published_tasks_and_training_is_not(world: World) -> None:
    assert "Power Hungry Processing" in (advice(world).comparison or "")
    assert estimate(world, training(1.0)).advice.comparison is None


def test_asking_changes_nothing(world: World) -> None:
    first = advice(world)
    assert advice(world) == first
    assert world.daemon.service.jobs(None, None, None, 10).items == []


def test_the_newest_of_each_calendar_month_counts_and_the_last_told_of_equals() -> None:
    year = PeriodMean("DE", Interval(datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)), 367.0, LIFECYCLE_AVERAGE, "p")
    found = newest_months([month(2023, 2, 1.0), month(2022, 1, 2.0), year, month(2022, 2, 3.0), month(2023, 2, 4.0)])
    assert [(mean.interval.start.year, mean.interval.start.month, mean.g_per_kwh) for mean in found] == [(2022, 1, 2.0), (2023, 2, 4.0)]
