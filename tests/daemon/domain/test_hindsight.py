"""The hindsight optimum: never worse than a schedule the job could have had, and right where it can be worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.accounting import LoadProfile, Place
from daemon.domain.hindsight import HindsightSite, best_in_hindsight_g
from forecast.intensity import LIFECYCLE_AVERAGE, Series
from forecast.timeline import HOUR, Interval

START = datetime(2024, 3, 4, tzinfo=UTC)
HOURS = 48
WINDOW = Interval(START, START + HOURS * HOUR)
MODES = ("contiguous", "interruptible", "divisible")

# drawn by number: lists of floats take hypothesis longer than the arithmetic they are for
intensities = st.integers(min_value=0, max_value=2**32 - 1).map(lambda seed: list(np.random.default_rng(seed).uniform(1, 900, HOURS)))
work_seconds = st.integers(min_value=1, max_value=24 * 3600)


def site(values: list[float], seconds: float, kwh: float = 1.0, name: str = "home", transfer_kwh: float = 0.0) -> HindsightSite:
    place = Place(name, name, 1.0 if name == "home" else 1.2)
    return HindsightSite(place, Series(name, LIFECYCLE_AVERAGE, START, np.array(values)), seconds, kwh, transfer_kwh)


def best(sites: list[HindsightSite], mode: str, window: Interval = WINDOW) -> float:
    found = best_in_hindsight_g(sites, window, mode)
    assert found is not None
    return found


@given(intensities, work_seconds, st.integers(min_value=0, max_value=24 * 3600), st.sampled_from(MODES))
def test_hindsight_is_never_worse_than_any_run_in_the_window(values: list[float], seconds: int, delay: int, mode: str) -> None:
    place = site(values, seconds)
    run = LoadProfile(((seconds, 1.0),)).emissions_g(START + timedelta(seconds=delay), place.series, 1.0)
    assert best([place], mode) <= run * (1 + 1e-9)


@given(intensities, intensities, work_seconds)
def test_more_freedom_never_costs_more(here: list[float], there: list[float], seconds: int) -> None:
    sites = [site(here, seconds), site(there, seconds, name="away")]
    contiguous, interruptible, divisible = (best(sites, mode) for mode in MODES)
    assert divisible <= interruptible * (1 + 1e-9)
    assert interruptible <= contiguous * (1 + 1e-9)
    assert contiguous <= best(sites[:1], "contiguous") * (1 + 1e-9)


@given(intensities, work_seconds, st.sampled_from(MODES))
def test_a_longer_window_never_costs_more(values: list[float], seconds: int, mode: str) -> None:
    place, short = site(values, seconds), Interval(START, START + 24 * HOUR)
    assert best([place], mode) <= best([place], mode, short) * (1 + 1e-9)


@given(intensities, intensities, work_seconds, st.integers(1, 4))
def test_more_places_side_by_side_never_cost_more(here: list[float], there: list[float], seconds: int, width: int) -> None:
    sites = [replace(site(here, seconds), places=3), replace(site(there, seconds, name="away"), places=2)]
    narrow, wide = (best_in_hindsight_g(sites, WINDOW, "divisible", lanes) for lanes in (width, width + 1))
    assert narrow is not None
    assert wide is not None
    assert wide <= narrow * (1 + 1e-9)


def test_runs_side_by_side_share_the_cleanest_hours_as_far_as_sites_have_places() -> None:
    here, there = [400.0] * HOURS, [500.0] * HOURS
    here[3], there[3] = 10.0, 20.0  # with PUE 24 g at the other site
    sites = [replace(site(here, 4 * 3600), places=2), replace(site(there, 4 * 3600, name="away"), places=8)]
    assert best_in_hindsight_g(sites, WINDOW, "divisible", 3) == pytest.approx((2 * 10 + 24 + 400) / 4)
    assert best_in_hindsight_g(sites[:1], WINDOW, "divisible", 3) == pytest.approx((2 * 10 + 2 * 400) / 4)


def test_runs_side_by_side_fit_into_a_window_too_short_for_one() -> None:
    wide = replace(site([100.0] * HOURS, 7200), places=2)
    assert best_in_hindsight_g([wide], Interval(START, START + HOUR), "divisible", 2) == pytest.approx(100.0)


def test_the_two_cleanest_hours_are_found_apart_or_together() -> None:
    values = [400.0] * HOURS
    values[3], values[10], values[20], values[21] = 10.0, 20.0, 100.0, 100.0
    assert best([site(values, 7200)], "interruptible") == pytest.approx((10 + 20) / 2)
    assert best([site(values, 7200)], "contiguous") == pytest.approx(100.0)


def test_a_contiguous_optimum_may_end_where_the_grid_changes() -> None:
    values = [100.0] * 10 + [900.0] * 38
    values[0] = 500.0  # ninety minutes fit best from one o'clock on, in any position: the cheapest start is no full hour
    values[1] = 300.0
    assert best([site(values, 5400)], "contiguous", Interval(START, START + 3 * HOUR)) == pytest.approx((300 * 0.5 + 100) / 1.5)


def test_moving_in_is_paid_where_the_work_begins() -> None:
    here, there = site([400.0] * HOURS, 3600), site([100.0] * HOURS, 3600, name="away", transfer_kwh=0.5)
    assert best([there], "contiguous") == pytest.approx(100 * 1.2 + 0.5 * 100)
    assert best([here, there], "contiguous") == pytest.approx(170.0)


def test_hours_without_a_value_are_not_used() -> None:
    values = [400.0] * HOURS
    values[4] = math.nan
    values[5] = 50.0
    assert best([site(values, 3600)], "interruptible") == pytest.approx(50.0)
    assert best([site(values, 7200)], "contiguous") == pytest.approx((50 + 400) / 2)


@pytest.mark.parametrize("mode", MODES)
def test_work_that_does_not_fit_has_no_optimum(mode: str) -> None:
    assert best_in_hindsight_g([site([400.0] * HOURS, 7200)], Interval(START, START + HOUR), mode) is None
    assert best_in_hindsight_g([site([math.nan] * HOURS, 60)], WINDOW, mode) is None
