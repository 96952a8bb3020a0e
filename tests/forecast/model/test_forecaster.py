"""The trained forecaster: what it promises for any record."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.forecasters import InsufficientHistory
from forecast.intensity import Rung, Series, Vintage
from forecast.model.backtest import reissue
from forecast.model.forecaster import MAXIMUM_DELAY_HOURS, TrainedForecaster, epoch_hours, lesson_day
from forecast.model.network import Network
from forecast.timeline import HOUR
from tests.forecast.model.records import NOW, record

FORECASTER = TrainedForecaster()
FOUR_DAYS = timedelta(hours=96)
QUARTER = timedelta(minutes=15)


def bounds(vintage: Vintage) -> np.ndarray:
    assert vintage.low is not None
    assert vintage.high is not None
    return np.stack([vintage.low, vintage.g_per_kwh, vintage.high])


class Shelf:
    """An archive of some records, which counts how often the first of them is asked for."""

    def __init__(self, *records: Series) -> None:
        self.records, self.asked = {each.zone: each for each in records}, 0

    @property
    def zones(self) -> list[str]:
        return list(self.records)

    def history(self, zone: str, start: datetime, end: datetime) -> Series | None:
        self.asked += zone == next(iter(self.records), None)
        return self.records.get(zone)


def with_values(history: Series, where: slice, value: float) -> Series:
    values = history.values.copy()
    values[where] = value
    return replace(history, values=values)


@settings(max_examples=25, deadline=None)
@given(
    hours=st.integers(24, 1500),
    zone=st.sampled_from(["DE", "AU-NSW", "XY-NOWHERE"]),
    level=st.floats(5, 900),
    seed=st.integers(0, 99),
    gap=st.tuples(st.integers(1, 400), st.integers(0, 40)),
)
def test_bounds_stand_in_order_and_cover_the_horizon_for_any_record(
    hours: int, zone: str, level: float, seed: int, gap: tuple[int, int]
) -> None:
    history = record(hours, zone, level=level, seed=seed)
    values = history.values.copy()
    values[max(0, hours - gap[0] - gap[1]) : max(0, hours - gap[0])] = np.nan
    if np.isfinite(values[-672:]).sum() < 24:
        return
    vintage = FORECASTER.forecast(replace(history, values=values), NOW, FOUR_DAYS)
    low, middle, high = bounds(vintage)
    assert np.isfinite(bounds(vintage)).all()
    assert (low >= 0).all()
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert vintage.start <= NOW
    assert vintage.start + vintage.step * len(middle) >= NOW + FOUR_DAYS


def test_a_forecast_says_what_it_is() -> None:
    vintage = FORECASTER.forecast(record(1000), NOW, FOUR_DAYS)
    assert (vintage.zone, vintage.rung, vintage.issued_at, vintage.known_at) == ("DE", Rung.OWN_FORECAST, NOW, NOW)
    assert (vintage.start, vintage.step, len(vintage.g_per_kwh)) == (NOW, HOUR, 96)


def test_the_same_record_gives_the_same_forecast() -> None:
    first, second = (FORECASTER.forecast(record(2000), NOW, FOUR_DAYS) for _ in range(2))
    np.testing.assert_array_equal(bounds(first), bounds(second))


def test_what_starts_after_now_changes_nothing() -> None:
    history = record(2200, end=NOW + 200 * HOUR)
    changed = with_values(history, slice(2000, None), 1.0)
    np.testing.assert_array_equal(
        bounds(FORECASTER.forecast(history, NOW, FOUR_DAYS)), bounds(FORECASTER.forecast(changed, NOW, FOUR_DAYS))
    )


def test_a_regular_day_is_expected_to_repeat() -> None:
    wave = 300 + 100 * np.cos(np.arange(24 * 40) / 24 * 2 * np.pi)
    history = replace(record(24 * 40), values=wave)
    low, middle, high = bounds(FORECASTER.forecast(history, NOW, FOUR_DAYS))
    assert np.abs(middle - wave[:96]).max() < 25
    assert (high - low).mean() < 60


def test_one_day_of_record_is_enough_and_less_is_refused_in_a_sentence() -> None:
    assert len(FORECASTER.forecast(record(24), NOW, FOUR_DAYS).g_per_kwh) == 96
    with pytest.raises(InsufficientHistory, match="DE: 23 recorded hours in the last 28 days, at least 24 are needed"):
        FORECASTER.forecast(record(23), NOW, FOUR_DAYS)


def test_an_old_record_is_not_enough() -> None:
    with pytest.raises(InsufficientHistory):
        FORECASTER.forecast(record(1000, end=NOW - timedelta(days=30)), NOW, FOUR_DAYS)


@pytest.mark.parametrize(("lag", "delay"), [(0, 0), (3, 3), (8, 8), (30, MAXIMUM_DELAY_HOURS)])
def test_hours_not_known_yet_are_forecast_too(lag: int, delay: int) -> None:
    vintage = FORECASTER.forecast(record(1000, end=NOW - lag * HOUR), NOW, FOUR_DAYS)
    assert vintage.start == NOW - delay * HOUR
    assert len(vintage.g_per_kwh) == 96 + delay


def test_a_frozen_feed_is_not_believed() -> None:
    history = record(1000)
    hanging = with_values(history, slice(-10, None), float(history.values[-11]))
    cut = replace(history, values=history.values[:-10])
    np.testing.assert_array_equal(bounds(FORECASTER.forecast(hanging, NOW, FOUR_DAYS)), bounds(FORECASTER.forecast(cut, NOW, FOUR_DAYS)))


def test_zeros_are_not_believed() -> None:
    history = record(1000)
    spoiled, gap = (with_values(history, slice(-30, -20), value) for value in (0.0, np.nan))
    np.testing.assert_array_equal(bounds(FORECASTER.forecast(spoiled, NOW, FOUR_DAYS)), bounds(FORECASTER.forecast(gap, NOW, FOUR_DAYS)))


def test_the_forecast_starts_from_what_is_settled() -> None:
    estimated = np.zeros(1000, dtype=np.bool_)
    estimated[-2:] = True
    history = replace(record(1000), estimated=estimated)
    vintage = FORECASTER.forecast(history, NOW, FOUR_DAYS)
    assert vintage.start == NOW - 2 * HOUR
    other = FORECASTER.forecast(with_values(history, slice(-2, None), 9000.0), NOW, FOUR_DAYS)
    np.testing.assert_array_equal(bounds(vintage), bounds(other))


def test_a_record_in_quarter_hours_gets_quarter_hours_with_the_same_hourly_means() -> None:
    quarter = FORECASTER.forecast(record(1000, step=QUARTER), NOW, FOUR_DAYS)
    hourly = FORECASTER.forecast(record(1000), NOW, FOUR_DAYS)
    assert (quarter.step, len(quarter.g_per_kwh)) == (QUARTER, 4 * 96)
    np.testing.assert_allclose(quarter.g_per_kwh.reshape(-1, 4).mean(axis=1), hourly.g_per_kwh)
    low, middle, high = bounds(quarter)
    assert (low <= middle).all()
    assert (middle <= high).all()


def test_beyond_the_models_reach_its_last_day_repeats() -> None:
    vintage = FORECASTER.forecast(record(1000), NOW, timedelta(days=10))
    middle = vintage.g_per_kwh
    assert len(middle) == 240
    np.testing.assert_array_equal(middle[104:128], middle[80:104])
    np.testing.assert_array_equal(middle[216:240], middle[96 + 24 - 24 : 120][np.arange(24)])


def test_a_backtest_says_what_the_daemon_would_have_said() -> None:
    history, around = record(24 * 300), [record(24 * 300, zone, seed=seed) for seed, zone in enumerate(("PL", "FR"))]
    origins = np.arange(24 * 299, 24 * 300 + 1)
    where = ("DE", history.values, epoch_hours(history.start))
    again = reissue(Network.bundled(), *where, origins, neighbours=[each.values for each in around])
    live = TrainedForecaster().forecast(history, NOW, FOUR_DAYS, Shelf(history, *around))
    np.testing.assert_allclose(again[-1], bounds(live), rtol=1e-4)


def test_a_lesson_is_learnt_once_a_day_at_an_hour_of_the_zones_own() -> None:
    forecaster, shelf = TrainedForecaster(), Shelf(record(24 * 60))
    moments = [NOW - timedelta(hours=hours) for hours in range(71, -1, -1)]
    learnt_at = []
    for moment in moments:
        before = shelf.asked
        forecaster.forecast(shelf.records["DE"], moment, FOUR_DAYS, shelf)
        learnt_at += [moment] * (shelf.asked - before)
    begun = [moment for previous, moment in pairwise(moments) if lesson_day("DE", previous) != lesson_day("DE", moment)]
    assert learnt_at == [moments[0], *begun]
    assert [later - earlier for earlier, later in pairwise(begun)] == [timedelta(days=1)] * 2


def test_many_zones_do_not_learn_at_the_same_hour() -> None:
    zones = ("BE", "CA-ON", "DE", "ES", "FI", "FR", "GB", "SE")
    begins = Counter(
        hour for zone in zones for hour in range(24) if lesson_day(zone, NOW + hour * HOUR) != lesson_day(zone, NOW + (hour - 1) * HOUR)
    )
    assert begins.total() == len(zones)
    assert max(begins.values()) <= 3


def test_a_clock_set_back_learns_anew_instead_of_knowing_what_is_to_come() -> None:
    forecaster, shelf = TrainedForecaster(), Shelf(record(24 * 60))
    same_day = next(
        NOW - hours * HOUR for hours in (0, 1) if lesson_day("DE", NOW - hours * HOUR) == lesson_day("DE", NOW - (hours + 1) * HOUR)
    )
    for moment in (same_day, same_day - HOUR):
        forecaster.forecast(shelf.records["DE"], moment, FOUR_DAYS, shelf)
    assert shelf.asked == 2


def test_threads_that_want_the_same_lesson_learn_it_once() -> None:
    forecaster, shelf, together = TrainedForecaster(), Shelf(record(24 * 60)), Barrier(4)

    def ask(_: int) -> Vintage:
        together.wait(timeout=30)
        return forecaster.forecast(shelf.records["DE"], NOW, FOUR_DAYS, shelf)

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(ask, range(4))
    assert shelf.asked == 1
    for each in others:
        np.testing.assert_array_equal(bounds(each), bounds(first))


def test_an_archive_without_the_zone_still_gives_a_forecast() -> None:
    with_archive = TrainedForecaster().forecast(record(1000), NOW, FOUR_DAYS, Shelf())
    assert np.isfinite(bounds(with_archive)).all()


def test_a_gap_of_five_weeks_in_the_record_is_survived() -> None:
    history = with_values(record(2600), slice(800, 800 + 840), np.nan)
    for archive in (None, Shelf(history)):
        assert np.isfinite(bounds(TrainedForecaster().forecast(history, NOW, FOUR_DAYS, archive))).all()


def test_a_backtest_refuses_a_record_that_is_too_short() -> None:
    with pytest.raises(ValueError, match="DE: scoring needs 675 recorded hours"):
        reissue(Network.bundled(), "DE", record(700).values, 0, np.arange(600, 610), delay_hours=3)


def test_forecasting_needs_no_learning_library() -> None:
    code = (
        "import sys, forecast.model.forecaster; print([name for name in ('torch', 'lightgbm', 'pandas', 'scipy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
