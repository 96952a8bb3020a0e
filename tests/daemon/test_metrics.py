"""Metrics: closed label sets from the start, base units, unknown is NaN, never a job id."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from daemon.domain.job import PlannedSegment
from daemon.domain.plan import Placement, Plan, Unplaced
from daemon.domain.states import AttemptState, JobState
from daemon.metrics import Metrics
from daemon.service.views import IntensityNow, SiteView
from tests.daemon.api.scripted import TOTALS

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def scraped(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(sample name, sorted labels) -> value, as a scraper sees it."""
    text = metrics.exposition("")[0].decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_label_set_is_there_before_anything_happens() -> None:
    seen = scraped(Metrics([("umea", "SE"), ("lulea", "SE"), ("heidelberg", "DE")]))
    assert seen["lowtide_attempts_ended_total", (("site", "umea"), ("state", "lost"))] == 0
    assert seen["lowtide_jobs", (("kind", "training"), ("state", "failed"))] == 0
    assert seen["lowtide_ladder_falls_total", (("zone", "DE"),)] == 0
    assert seen["lowtide_chore_runs_total", (("chore", "tick"), ("result", "failed"))] == 0
    assert math.isnan(seen["lowtide_intensity_grams_per_kwh", (("zone", "SE"),)])
    assert math.isnan(seen["lowtide_executor_up", (("site", "umea"),)]), "nobody was asked yet"


def test_names_carry_base_units_and_the_prefix() -> None:
    metrics = Metrics([("umea", "SE")])
    metrics.answered("GET", "/v1/jobs", 200, 0.01)
    names = {family.name for family in metrics.registry.collect() if not family.name.startswith("process_")}
    assert all(name.startswith("lowtide_") for name in names)
    assert not [name for name in names if re.search(r"(_kwh|_hours|_minutes|_kg|_ms|_percent)$", name.replace("grams_per_kwh", ""))]


def test_unknown_intensity_is_not_a_number_and_becomes_one_when_known() -> None:
    metrics = Metrics([("umea", "SE")])
    show(metrics, IntensityNow(g_per_kwh=None, rung=None, source=None))
    assert math.isnan(scraped(metrics)["lowtide_intensity_rung", (("zone", "SE"),)])
    show(metrics, IntensityNow(g_per_kwh=23.0, rung="monthly-mean", source="portal", age_seconds=60.0))
    seen = scraped(metrics)
    assert seen["lowtide_intensity_grams_per_kwh", (("zone", "SE"),)] == 23.0
    assert seen["lowtide_intensity_rung", (("zone", "SE"),)] == 4
    assert seen["lowtide_intensity_age_seconds", (("zone", "SE"),)] == 60.0


def show(metrics: Metrics, now: IntensityNow) -> None:
    metrics.show_sites([SiteView(name="umea", zone="SE", gpus=8, gpus_busy=3, hardware="a100", pue=1.1, admits=[], intensity=now)])


def test_the_ledgers_kilowatt_hours_become_joules_by_provenance() -> None:
    metrics = Metrics()
    metrics.show_ledger(TOTALS)
    seen = scraped(metrics)
    assert seen["lowtide_energy_joules", (("provenance", "measured"),)] == 0.5 * 3.6e6
    assert seen["lowtide_energy_joules", (("provenance", "simulated"),)] == 0.25 * 3.6e6
    assert seen["lowtide_waste_joules", ()] == 0.1 * 3.6e6
    assert seen["lowtide_avoided_grams", ()] == 371.0
    assert seen["lowtide_claimed_avoided_grams", ()] == 0.0


def test_counts_that_fall_back_to_zero_are_shown_as_zero() -> None:
    metrics = Metrics()
    metrics.show_jobs({(JobState.RUNNING, "training"): 2})
    metrics.show_jobs({(JobState.WAITING, "synthesis"): 1})
    seen = scraped(metrics)
    assert seen["lowtide_jobs", (("kind", "training"), ("state", "running"))] == 0
    assert seen["lowtide_jobs", (("kind", "synthesis"), ("state", "waiting"))] == 1


def test_a_plan_shows_cost_bound_gap_and_who_is_late() -> None:
    metrics = Metrics()
    segment = PlannedSegment("umea", NOW, NOW + timedelta(hours=1), 1)
    late = Placement("j-secret-id", (segment,), 80.0, 100.0, 70.0, 90.0, "held back by deadline", is_late=True)
    metrics.planned(Plan(NOW, (late,), (Unplaced("j-other-id", "no site admits it"),), cost_g=80.0, bound_g=60.0, planner_seconds=0.2))
    metrics.deadlines_missed(1)
    metrics.deadlines_missed(0)
    seen = scraped(metrics)
    assert seen["lowtide_deadlines_missed_total", ()] == 1
    assert (seen["lowtide_plan_expected_grams", ()], seen["lowtide_plan_bound_grams", ()]) == (80.0, 60.0)
    assert seen["lowtide_plan_gap_ratio", ()] == 0.25
    assert (seen["lowtide_plan_late_jobs", ()], seen["lowtide_plan_unplaced_jobs", ()]) == (1, 1)
    assert seen["lowtide_planner_seconds_count", ()] == 1
    assert "secret-id" not in metrics.exposition("")[0].decode()


def test_a_failed_chore_keeps_the_time_of_its_last_success() -> None:
    metrics = Metrics()
    metrics.chore_ran("tick", 0.1, ok=True, at_seconds=1000.0)
    metrics.chore_ran("tick", 0.1, ok=False, at_seconds=2000.0)
    seen = scraped(metrics)
    assert seen["lowtide_last_success_timestamp_seconds", (("chore", "tick"),)] == 1000.0
    assert seen["lowtide_chore_runs_total", (("chore", "tick"), ("result", "failed"))] == 1


def test_attempts_fetches_falls_and_requests_are_counted() -> None:
    metrics = Metrics([("umea", "SE")])
    metrics.attempt_ended("umea", AttemptState.PREEMPTED)
    metrics.fetched("SE", "latest", "rate-limited")
    metrics.fell("SE")
    metrics.show_forecast_age("SE", None)
    metrics.show_clock(900.0)
    metrics.answered("GET", "/v1/jobs/{job_id}", 404, 0.02)
    seen = scraped(metrics)
    assert seen["lowtide_attempts_ended_total", (("site", "umea"), ("state", "preempted"))] == 1
    assert seen["lowtide_intensity_fetches_total", (("endpoint", "latest"), ("result", "rate-limited"), ("zone", "SE"))] == 1
    assert seen["lowtide_ladder_falls_total", (("zone", "SE"),)] == 1
    assert seen["lowtide_clock_rate", ()] == 900.0
    assert seen["lowtide_http_requests_total", (("method", "GET"), ("route", "/v1/jobs/{job_id}"), ("status", "404"))] == 1


def test_grams_per_sample_are_unknown_until_there_is_a_settled_sample() -> None:
    metrics = Metrics([("umea", "SE")])
    assert math.isnan(scraped(metrics)["lowtide_sample_grams", ()])
    metrics.show_ledger(TOTALS)
    assert scraped(metrics)["lowtide_sample_grams", ()] == 3.1
    metrics.show_ledger(TOTALS.model_copy(update={"samples": 0, "g_per_1000_samples": None}))
    assert math.isnan(scraped(metrics)["lowtide_sample_grams", ()])
