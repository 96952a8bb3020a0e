"""The trained forecaster: what it promises for any record."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.forecasters import InsufficientHistory
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind, Rung, Series, Vintage
from forecast.model.backtest import reissue
from forecast.model.forecaster import LONGEST_USE, MAXIMUM_DELAY_HOURS, TrainedForecaster, epoch_hours, lesson_day
from forecast.model.network import Network
from forecast.scoring import NothingKnown
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


class SlowShelf(Shelf):
    """Whoever asks for it waits until somebody lets go."""

    def __init__(self, *records: Series) -> None:
        super().__init__(*records)
        self.wanted, self.let_go = Event(), Event()

    def history(self, zone: str, start: datetime, end: datetime) -> Series | None:
        self.wanted.set()
        assert self.let_go.wait(timeout=30)
        return super().history(zone, start, end)


def taught(*records: Series, at: datetime = NOW) -> TrainedForecaster:
    """One that learnt at a moment what these records teach of the first of them."""
    forecaster = TrainedForecaster()
    forecaster.learn(records[0], at, Shelf(*records))
    return forecaster


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
    with pytest.raises(InsufficientHistory, match="DE: 23 recorded hours"):
        FORECASTER.learn(record(23), NOW, Shelf())


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


def test_zeros_of_direct_factors_are_values() -> None:
    history = replace(record(1000), kind=IntensityKind(factors="direct"))
    for night in range(12):  # one windless hour would be nothing; a habit of clean nights is to be seen
        history = with_values(history, slice(-24 * night - 6, -24 * night - 3), 0.0)
    nightly = FORECASTER.forecast(history, NOW, FOUR_DAYS)
    disbelieved = FORECASTER.forecast(replace(history, kind=LIFECYCLE_AVERAGE), NOW, FOUR_DAYS)
    assert nightly.g_per_kwh[18:21].mean() < 0.5 * disbelieved.g_per_kwh[18:21].mean()


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
    history, around = record(24 * 150), [record(24 * 150, zone, seed=seed) for seed, zone in enumerate(("PL", "FR"))]
    origins = np.arange(24 * 149, 24 * 150 + 1)
    where = ("DE", history.values, epoch_hours(history.start))
    again = reissue(Network.bundled(), *where, origins, neighbours=[each.values for each in around])
    live = taught(history, *around).forecast(history, NOW, FOUR_DAYS, Shelf(history, *around))
    np.testing.assert_allclose(again[-1], bounds(live), rtol=1e-4)


def test_a_lesson_is_learnt_once_a_day_at_an_hour_of_the_zones_own() -> None:
    forecaster, shelf = TrainedForecaster(), Shelf(record(24 * 60))
    moments = [NOW - timedelta(hours=hours) for hours in range(71, -1, -1)]
    learnt_at = []
    for moment in moments:
        before = shelf.asked
        lacked_it = forecaster.learn(shelf.records["DE"], moment, shelf)
        assert lacked_it is (moment == moments[0])
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


def test_a_clock_set_back_forgets_what_is_to_come_until_it_has_learnt_anew() -> None:
    history = record(24 * 60)
    forecaster, shelf, earlier = taught(history), Shelf(history), NOW - HOUR
    np.testing.assert_array_equal(
        bounds(forecaster.forecast(history, earlier, FOUR_DAYS, shelf)), bounds(FORECASTER.forecast(history, earlier, FOUR_DAYS))
    )
    assert forecaster.learn(history, earlier, shelf)


def test_no_forecast_waits_for_a_lesson_and_the_next_one_goes_by_it() -> None:
    history = record(24 * 60)
    forecaster, slow, plain = TrainedForecaster(), SlowShelf(history), bounds(FORECASTER.forecast(history, NOW, FOUR_DAYS))
    with ThreadPoolExecutor(1) as pool:
        learning = pool.submit(forecaster.learn, history, NOW, slow)
        try:
            assert slow.wanted.wait(timeout=30)
            meanwhile = bounds(forecaster.forecast(history, NOW, FOUR_DAYS, slow))
            assert not learning.done()
        finally:
            slow.let_go.set()
        assert learning.result(timeout=60) is True
    np.testing.assert_array_equal(meanwhile, plain)
    assert np.abs(bounds(forecaster.forecast(history, NOW, FOUR_DAYS, slow)) - plain).max() > 1


def test_a_lesson_serves_for_four_weeks_where_no_newer_one_is_learnt() -> None:
    history = record(24 * 120, end=NOW + LONGEST_USE + HOUR)
    forecaster, shelf = taught(history), Shelf(history)

    def differs(moment: datetime) -> bool:
        by_the_lesson, plain = (bounds(each.forecast(history, moment, FOUR_DAYS, shelf)) for each in (forecaster, FORECASTER))
        return bool(np.abs(by_the_lesson - plain).max() > 1)

    assert [differs(NOW + after) for after in (timedelta(days=9), LONGEST_USE, LONGEST_USE + HOUR)] == [True, True, False]


def test_an_archive_without_the_zone_still_gives_a_forecast() -> None:
    forecaster = TrainedForecaster()
    assert forecaster.learn(record(1000), NOW, Shelf())
    assert np.isfinite(bounds(forecaster.forecast(record(1000), NOW, FOUR_DAYS, Shelf()))).all()


def test_a_gap_of_five_weeks_in_the_record_is_survived() -> None:
    history = with_values(record(2600), slice(800, 800 + 840), np.nan)
    for forecaster in (FORECASTER, taught(history)):
        assert np.isfinite(bounds(forecaster.forecast(history, NOW, FOUR_DAYS, Shelf(history)))).all()


def test_a_backtest_learns_around_a_gap_of_five_weeks_and_refuses_only_hours_in_it() -> None:
    history = with_values(record(2600), slice(800, 800 + 840), np.nan)
    where = ("DE", history.values, epoch_hours(history.start))
    assert np.isfinite(reissue(Network.bundled(), *where, np.arange(2500, 2510))).all()
    with pytest.raises(NothingKnown, match="at least one known hour in the four weeks before"):
        reissue(Network.bundled(), *where, np.arange(1600, 1610))


def test_a_backtest_refuses_a_record_that_is_too_short() -> None:
    with pytest.raises(ValueError, match="DE: scoring needs 675 recorded hours"):
        reissue(Network.bundled(), "DE", record(700).values, 0, np.arange(600, 610), delay_hours=3)


def test_forecasting_needs_no_learning_library() -> None:
    code = (
        "import sys, forecast.model.forecaster; print([name for name in ('torch', 'lightgbm', 'pandas', 'scipy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
