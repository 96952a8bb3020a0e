"""Scores on real hours of 2023: the model ahead of persistence, and a regret rule that risks less and never loses."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import pytest

from forecast.intensity import Series
from forecast.records import read_records
from forecast.reissue import FORECASTERS, REFERENCE
from forecast.zone_scores import ZoneScores, score_zone
from tests.forecast.traces import traces_folder

TRACES = traces_folder() / "electricitymaps-lca-hourly"
pytestmark = [
    pytest.mark.traces,
    pytest.mark.skipif(not TRACES.is_dir(), reason="LOWTIDE_TRACES names no folder with electricitymaps-lca-hourly"),
]

BOTH = {name: FORECASTERS[name] for name in ("own", REFERENCE)}


@cache
def recorded(zone: str) -> Series:
    return read_records([TRACES / f"{zone}_2021-2023_hourly_lca.csv.gz"])[zone]


@cache
def spring(zone: str, delay_hours: int = 0, others: tuple[str, ...] = ()) -> ZoneScores:
    period = datetime(2023, 3, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC)
    return score_zone(recorded(zone), *period, BOTH, delay_hours, {other: recorded(other) for other in others})


def whole_year(zone: str) -> ZoneScores:
    """Few jobs end worse at all: of a season, one or two of them decide what share the rule spares."""
    return score_zone(recorded(zone), datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC), BOTH)


@pytest.mark.parametrize("zone", ["DE", "GB", "US-TEX-ERCO"])
def test_the_model_errs_less_and_keeps_more_than_persistence(zone: str) -> None:
    scores = spring(zone)
    assert scores.relative_mae("own", "1-24") < 0.8
    assert scores.relative_mae("own", "25-96") < 0.87
    assert scores.relative_winkler("own", "25-96") < 0.85
    for own, simple in zip(scores.forecasts["own"].shifts, scores.forecasts[REFERENCE].shifts, strict=True):
        assert own.once.kept > simple.once.kept
        assert own.replanned.kept > simple.replanned.kept


@pytest.mark.parametrize("zone", ["DE", "GB", "US-TEX-ERCO"])
def test_with_the_rule_half_as_many_jobs_end_worse_fewer_of_each_kind_and_none_loses_to_run_now(zone: str) -> None:
    year = whole_year(zone).forecasts["own"].shifts
    for shifts in (year, spring(zone).forecasts["own"].shifts):
        assert sum(shift.ruled_replanned.worse for shift in shifts) < 0.6 * sum(shift.replanned.worse for shift in shifts)
        for shift in shifts:
            assert shift.ruled_replanned.saved > 0
            assert shift.ruled_once.saved > 0
    for shift in year:
        assert shift.ruled_replanned.worse < 0.85 * shift.replanned.worse


def test_the_wind_next_door_is_seen_coming() -> None:
    alone, informed = spring("GB"), spring("GB", others=("IE", "BE", "FR", "DK-DK1", "NO-NO2"))
    assert informed.relative_mae("own", "1-24") < 0.98 * alone.relative_mae("own", "1-24")


def test_a_record_that_is_three_hours_late_costs_the_next_day_most() -> None:
    on_time, late = (spring("DE", delay_hours).forecasts["own"].leads for delay_hours in (0, 3))
    near, far = (late[bucket].point.mae / on_time[bucket].point.mae for bucket in ("1-24", "25-96"))
    assert near > 1.05
    assert 0.98 < far < near
