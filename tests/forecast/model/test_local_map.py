"""What a zone's own record adds: nothing where there is none, more with the years, and never what was not known yet."""

from __future__ import annotations

import numpy as np
import pytest

from forecast.intensity import FloatArray
from forecast.model.features import DAY_HOURS, HORIZON_HOURS, WEEK_HOURS
from forecast.model.local_map import added_by, learn_maps
from forecast.model.map_columns import STEADY_PENALTIES, SUPPLE_PENALTIES
from forecast.model.network import Network
from forecast.model.record import Record
from forecast.scoring import targets
from tests.forecast.model.records import hourly

LINEAR = Network.bundled().second.linear
YEAR = 24 * 364
WEEKS = YEAR // WEEK_HOURS


def odd_zone(hours: int = YEAR) -> FloatArray:
    """A habit no zone has: every day is the opposite of the day before."""
    day = np.arange(hours) // 24 % 2 * 2 - 1
    return hourly(hours) + 60 * day * np.cos(np.arange(hours) / 24 * 2 * np.pi)


def missed(record: Record, origins: np.ndarray, *, with_map: bool, leads: int = HORIZON_HOURS) -> float:
    """Mean error of the linear forecast over the first `leads` hours, in spreads."""
    features = record.features(origins)
    ahead = LINEAR.forecast(features.inputs, 0)
    if with_map:
        maps = learn_maps(LINEAR, 0, record, set(record.weeks(origins).tolist()))
        ahead = ahead + added_by(maps, record, origins, features.inputs)
    truth = (targets(record.values, origins, HORIZON_HOURS) - features.level[:, None]) / features.spread[:, None]
    return float(np.abs(truth - ahead)[:, :leads].mean())


def test_a_zone_unlike_all_others_is_forecast_better_by_its_own_year() -> None:
    record = Record.of("XY", odd_zone(), 0)
    last_month = np.arange(YEAR - 24 * 30, YEAR - HORIZON_HOURS)
    assert missed(record, last_month, with_map=True) < 0.8 * missed(record, last_month, with_map=False)


def test_without_a_past_nothing_is_added() -> None:
    record = Record.of("XY", odd_zone(720), 0)
    maps = learn_maps(LINEAR, 0, record, {4})
    assert not maps[4].any()


def test_a_map_knows_nothing_of_what_came_after_its_week_began() -> None:
    values, week = odd_zone(), WEEKS - 8
    changed = values.copy()
    changed[week * WEEK_HOURS :] = 7.0
    first, second = (learn_maps(LINEAR, 0, Record.of("XY", each, 0), {week})[week] for each in (values, changed))
    np.testing.assert_array_equal(first, second)


def test_a_map_is_the_same_whatever_other_weeks_are_asked_for() -> None:
    record = Record.of("XY", odd_zone(), 0)
    alone, among_others = (learn_maps(LINEAR, 0, record, weeks)[WEEKS - 1] for weeks in ({WEEKS - 1}, {WEEKS - 20, WEEKS - 1}))
    np.testing.assert_array_equal(alone, among_others)


def test_a_week_that_has_not_begun_is_forecast_from_all_that_is_known() -> None:
    record = Record.of("XY", odd_zone(), 0)
    maps = learn_maps(LINEAR, 0, record, {WEEKS, WEEKS + 1})
    np.testing.assert_allclose(maps[WEEKS], maps[WEEKS + 1], atol=0.05)


def test_two_maps_together_are_hardly_worse_than_the_better_one(monkeypatch: pytest.MonkeyPatch) -> None:
    last_month = np.arange(YEAR - 24 * 30, YEAR - HORIZON_HOURS, 5)
    record = Record.of("XY", odd_zone(), 0)
    together = missed(record, last_month, with_map=True)
    alone = []
    for penalties in (SUPPLE_PENALTIES, STEADY_PENALTIES):
        with monkeypatch.context() as patched:
            patched.setattr("forecast.model.local_map.PENALTIES", (penalties,))
            alone.append(missed(record, last_month, with_map=True))
    assert together < min(1.02 * min(alone), max(alone))


def test_what_a_neighbour_does_first_is_learnt() -> None:
    random = np.random.default_rng(5)
    gusts = np.repeat(random.normal(0, 60, YEAR // 12 + 2), 12)
    upwind = hourly(YEAR, seed=1) + gusts[12 : YEAR + 12]
    here = hourly(YEAR, seed=2) + gusts[:YEAR]
    last_month = np.arange(YEAR - 24 * 30, YEAR - HORIZON_HOURS)
    alone, informed = (missed(Record.of("XY", here, 0, around), last_month, with_map=True) for around in ((), (upwind,)))
    assert informed < 0.98 * alone


def fickle_zone(hours: int = YEAR) -> FloatArray:
    """What stirs by noon turns round for the afternoon, what stirs by midnight lasts until noon: the hour tells which it will be."""
    random = np.random.default_rng(8)
    stirred = np.repeat(random.normal(0, 60, hours // DAY_HOURS + 1), DAY_HOURS)[:hours]
    turned = np.where(np.arange(hours) % DAY_HOURS < DAY_HOURS // 2, 1.0, -1.0)
    return hourly(hours) + stirred * turned


def test_what_the_newest_hours_mean_is_learnt_for_each_time_of_day() -> None:
    record = Record.of("XY", fickle_zone(), 0)
    mornings, noons = (np.arange(YEAR - 24 * 30, YEAR - HORIZON_HOURS - 24, 24) + hour for hour in (8, 14))
    for origins in (mornings, noons):
        assert missed(record, origins, with_map=True, leads=8) < 0.69 * missed(record, origins, with_map=False, leads=8)


def test_weather_of_a_few_weeks_is_not_taken_for_a_habit() -> None:
    hours = 1600
    origins = np.arange(hours - 24 * 12, hours - HORIZON_HOURS, 3)
    for seed in range(6):
        record = Record.of("XY", hourly(hours, seed=seed), 0)
        assert missed(record, origins, with_map=True) < 1.01 * missed(record, origins, with_map=False)


def test_a_gap_of_five_weeks_teaches_nothing_and_breaks_nothing() -> None:
    values = odd_zone()
    values[3000:3840] = np.nan
    maps = learn_maps(LINEAR, 0, Record.of("XY", values, 0), {WEEKS})
    assert np.isfinite(maps[WEEKS]).all()
    assert maps[WEEKS].any()


@pytest.mark.parametrize("first_hour", [0, 5, 167])
def test_weeks_are_counted_from_the_epoch(first_hour: int) -> None:
    weeks = Record.of("XY", hourly(500), first_hour).weeks(np.arange(500))
    assert weeks[0] == 0
    np.testing.assert_array_equal(np.flatnonzero(np.diff(weeks)) + 1, np.arange(168 - first_hour, 500, 168))
