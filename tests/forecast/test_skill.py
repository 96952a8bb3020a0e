"""A zone's recent forecasts against what came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from forecast.intensity import LIFECYCLE_AVERAGE, FloatArray, Rung, Series, Vintage
from forecast.skill import settled, skill_of
from forecast.timeline import HOUR
from tests.forecast.grids import NOON

DAYS = 30
START = NOON - timedelta(days=DAYS + 5)


def wavy(hours: FloatArray) -> FloatArray:
    """A daily swing with some weather, so that yesterday is no perfect forecast."""
    return np.asarray(300 + 80 * np.sin(2 * np.pi * hours / 24) + 30 * np.sin(hours / 17))


def record() -> Series:
    hours = np.arange((DAYS + 5) * 24, dtype=np.float64)
    return Series("DE", LIFECYCLE_AVERAGE, START, wavy(hours), estimated=np.zeros(len(hours), dtype=np.bool_))


def issued(says: Callable[[FloatArray], FloatArray], every_hours: int = 3, half_width: float | None = 10.0) -> list[Vintage]:
    """A forecast every so often over the last DAYS, each from an hour before its issue on."""
    vintages = []
    for ago in range(DAYS * 24, 0, -every_hours):
        at = NOON - ago * HOUR + timedelta(minutes=10)
        start = NOON - (ago + 1) * HOUR
        values = says((start - START) / HOUR + np.arange(100, dtype=np.float64))
        low, high = (None, None) if half_width is None else (values - half_width, values + half_width)
        vintages.append(Vintage("DE", LIFECYCLE_AVERAGE, "a model", Rung.OWN_FORECAST, at, at, start, HOUR, values, low, high))
    return vintages


def test_a_forecast_that_came_true_has_no_error_and_keeps_its_promises() -> None:
    skill = skill_of(issued(wavy), record(), NOON)
    assert skill is not None
    assert (skill.zone, skill.source, skill.issues) == ("DE", "a model", DAYS * 8)
    assert set(skill.leads) == {"1-24", "25-96"}
    for lead in skill.leads.values():
        assert lead.point.mae == pytest.approx(0, abs=1e-9)
        assert lead.relative_mae == pytest.approx(0, abs=1e-9)
        assert lead.interval is not None
        assert lead.interval.coverage == 1.0
    assert skill.share_kept == pytest.approx(1.0)
    assert skill.decisions is not None
    assert (skill.decisions.kept, skill.decisions.worse, skill.decisions.regret) == (1.0, 0.0, 0.0)


def test_a_constant_offset_is_bias_and_breaks_no_promise() -> None:
    skill = skill_of(issued(lambda hours: wavy(hours) + 40), record(), NOON)
    assert skill is not None
    lead = skill.leads["1-24"]
    assert lead.point.bias == pytest.approx(40)
    assert lead.interval is not None
    assert lead.interval.coverage == 0.0
    assert lead.interval.pinball == pytest.approx((0.9 * 30 + 0.1 * 50) / 2)
    assert skill.share_kept == pytest.approx(1.0)


def test_a_forecast_with_day_and_night_the_wrong_way_round_keeps_nothing() -> None:
    skill = skill_of(issued(lambda hours: wavy(hours + 12)), record(), NOON)
    assert skill is not None
    assert skill.leads["1-24"].relative_mae > 1
    assert skill.share_kept == 0.0
    assert skill.decisions is not None
    assert skill.decisions.kept < 0 < skill.decisions.worse < 1
    assert skill.decisions.regret > 10


def test_only_hours_that_came_are_scored_and_leads_without_any_are_left_out() -> None:
    last = issued(wavy, every_hours=1)[-1:]
    assert last[0].issued_at > NOON - HOUR
    skill = skill_of(last, record(), NOON)
    assert skill is not None
    assert {name: lead.point.count for name, lead in skill.leads.items()} == {"1-24": 1}
    assert (skill.decisions, skill.share_kept) == (None, None)


def test_what_is_recorded_after_now_is_not_looked_at() -> None:
    now = NOON - timedelta(days=3)
    told = [vintage for vintage in issued(lambda hours: wavy(hours) + np.cos(hours)) if vintage.issued_at < now]
    known, changed = record(), record()
    changed.values[-3 * 24 :] = 1.0
    assert skill_of(told, known, now) == skill_of(told, changed, now)


def test_estimates_count_only_once_they_are_three_days_old() -> None:
    series = replace(record(), estimated=np.ones((DAYS + 5) * 24, dtype=np.bool_))
    known = np.isfinite(settled(series, NOON))
    assert known[:-72].all()
    assert not known[-72:].any()


def test_a_forecast_without_bounds_has_no_coverage_and_none_at_all_no_skill() -> None:
    skill = skill_of(issued(wavy, half_width=None), record(), NOON)
    assert skill is not None
    assert skill.leads["1-24"].interval is None
    assert skill_of([], record(), NOON) is None


def test_forecasts_older_than_the_record_are_passed_over() -> None:
    short = record()
    short = replace(short, start=START + 20 * 24 * HOUR, values=short.values[20 * 24 :], estimated=None)
    skill = skill_of(issued(wavy), short, NOON)
    assert skill is not None
    assert skill.leads["1-24"].point.mae == pytest.approx(0, abs=1e-9)
    assert 0 < skill.leads["1-24"].point.count < 24 * 15 * 8
