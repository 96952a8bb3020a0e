from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.climatology import climatology_of
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind, Rung, ZoneOutlook
from forecast.ladder import FORECAST_MAX_AGE, ZoneKnowledge, build_outlook, known_at, newest_value_age
from forecast.timeline import HOUR
from tests.forecast.grids import DIRECT, NOON, daily_wave, month, series, vintage, year

DAY = timedelta(days=1)


def outlook(
    knowledge: ZoneKnowledge,
    start: datetime = NOON,
    steps: int = 4,
    now: datetime = NOON,
    step: timedelta = HOUR,
    kind: IntensityKind = LIFECYCLE_AVERAGE,
) -> ZoneOutlook:
    return build_outlook("DE", kind, knowledge, start, step, steps, now)


def rungs(told: ZoneOutlook) -> list[Rung]:
    return [Rung(int(rung)) for rung in told.rung]


EVERYTHING = ZoneKnowledge(
    history=series([100.0] * 49, NOON - 48 * HOUR),
    vendor=vintage([110.0] * 6),
    own=vintage([120.0] * 12, Rung.OWN_FORECAST),
    climatology=climatology_of(replace(daily_wave(21, NOON + 6 * DAY), zone="DE")),
    monthly=(month(2026, 4, 140.0),),
    yearly=(year(2025, 150.0),),
)


def test_each_hour_comes_from_the_best_rung_that_has_it() -> None:
    told = outlook(EVERYTHING, NOON - HOUR, 40)
    assert rungs(told)[:2] == [Rung.OBSERVED] * 2
    assert rungs(told)[2:7] == [Rung.VENDOR_FORECAST] * 5
    assert rungs(told)[7:13] == [Rung.OWN_FORECAST] * 6
    assert set(rungs(told)[13:]) == {Rung.CLIMATOLOGY}
    assert [source.split(":")[0] for source in told.sources] == ["observed", "vendor-forecast", "own-forecast", "climatology"]


def test_without_any_forecast_the_months_and_then_the_year_carry_on() -> None:
    only_means = ZoneKnowledge(monthly=(month(2025, 5, 140.0),), yearly=(year(2025, 150.0),))
    told = outlook(only_means, datetime(2026, 5, 31, 22, tzinfo=NOON.tzinfo), 4)
    assert told.g_per_kwh.tolist() == [140.0] * 4  # June takes the neighbouring May before it takes the year
    assert outlook(only_means, NOON + 100 * DAY).g_per_kwh.tolist() == [150.0] * 4
    assert rungs(outlook(only_means, NOON + 100 * DAY)) == [Rung.YEARLY_MEAN] * 4


def test_knowing_nothing_gives_no_value_instead_of_a_made_up_one() -> None:
    told = outlook(ZoneKnowledge())
    assert np.isnan(told.g_per_kwh).all()
    assert np.isnan(told.low).all()
    assert np.isnan(told.high).all()
    assert told.sources == ()


def test_another_kind_never_stands_on_the_ladder() -> None:
    mixed = ZoneKnowledge(
        history=series([20.0] * 3, kind=DIRECT),
        vendor=vintage([21.0] * 6, kind=DIRECT),
        monthly=(month(2026, 4, 22.0, kind=DIRECT),),
        yearly=(year(2025, 23.0, kind=DIRECT), year(2025, 150.0)),
    )
    assert outlook(mixed).g_per_kwh.tolist() == [150.0] * 4
    direct = outlook(mixed, kind=DIRECT)
    assert direct.g_per_kwh.tolist() == [20.0, 21.0, 21.0, 21.0]
    assert direct.kind == DIRECT


def test_another_zone_never_stands_on_the_ladder() -> None:
    other = ZoneKnowledge(history=series([20.0] * 3, zone="SE"), yearly=(year(2025, 24.0, zone="SE"),))
    assert np.isnan(outlook(other).g_per_kwh).all()


def test_a_stale_forecast_is_left_out() -> None:
    old = vintage([110.0] * 60, issued_at=NOON - FORECAST_MAX_AGE - timedelta(minutes=1))
    fresh = vintage([110.0] * 60, issued_at=NOON - FORECAST_MAX_AGE)
    assert rungs(outlook(ZoneKnowledge(vendor=old, yearly=(year(2025, 150.0),)))) == [Rung.YEARLY_MEAN] * 4
    assert rungs(outlook(ZoneKnowledge(vendor=fresh, yearly=(year(2025, 150.0),)))) == [Rung.VENDOR_FORECAST] * 4


def test_a_forecast_from_the_future_is_left_out() -> None:
    not_yet = vintage([110.0] * 60, issued_at=NOON + HOUR)
    assert np.isnan(outlook(ZoneKnowledge(vendor=not_yet)).g_per_kwh).all()


def test_an_imported_archive_shows_nothing_beyond_the_present() -> None:
    archive = series([float(value) for value in range(100, 148)], NOON - 24 * HOUR)
    told = outlook(ZoneKnowledge(history=archive), NOON - HOUR, 4, NOON + timedelta(minutes=20))
    assert told.g_per_kwh[:2].tolist() == [123.0, 124.0]
    assert np.isnan(told.g_per_kwh[2:]).all()


def test_the_last_recorded_value_is_not_carried_forward() -> None:
    told = outlook(ZoneKnowledge(history=series([100.0] * 5, NOON - 4 * HOUR)), NOON, 48)
    assert told.g_per_kwh[0] == 100.0
    assert np.isnan(told.g_per_kwh[1:]).all()


def test_a_gap_in_the_record_falls_to_the_next_rung_for_that_hour_only() -> None:
    history = series([100.0, np.nan, 102.0, 103.0], NOON - 3 * HOUR)
    told = outlook(ZoneKnowledge(history=history, yearly=(year(2025, 150.0),)), NOON - 3 * HOUR)
    assert told.g_per_kwh.tolist() == [100.0, 150.0, 102.0, 103.0]
    assert rungs(told) == [Rung.OBSERVED, Rung.YEARLY_MEAN, Rung.OBSERVED, Rung.OBSERVED]


def test_a_month_that_is_not_over_is_not_known_yet() -> None:
    told = outlook(ZoneKnowledge(monthly=(month(2026, 5, 999.0), month(2026, 4, 140.0))))
    assert told.g_per_kwh.tolist() == [140.0] * 4


def test_a_finished_months_own_mean_fills_its_unrecorded_hours() -> None:
    told = outlook(ZoneKnowledge(monthly=(month(2026, 4, 140.0), month(2025, 4, 170.0))), NOON - 20 * DAY)
    assert told.g_per_kwh.tolist() == [140.0] * 4


def test_the_same_month_of_an_earlier_year_comes_before_its_neighbours() -> None:
    told = outlook(ZoneKnowledge(monthly=(month(2025, 5, 170.0), month(2026, 4, 140.0))))
    assert told.g_per_kwh.tolist() == [170.0] * 4


def test_of_two_sources_for_a_month_the_one_given_last_counts() -> None:
    told = outlook(ZoneKnowledge(monthly=(month(2026, 4, 475.2), month(2026, 4, 417.4))))
    assert told.g_per_kwh.tolist() == [417.4] * 4


def test_an_old_replay_stands_on_the_oldest_year_there_is() -> None:
    told = outlook(ZoneKnowledge(yearly=(year(2023, 150.0), year(2022, 160.0))), now=datetime(2021, 6, 1, tzinfo=NOON.tzinfo))
    assert told.g_per_kwh.tolist() == [160.0] * 4


def test_an_estimated_hour_has_width_and_a_measured_one_none() -> None:
    history = replace(series([100.0, 100.0], NOON - HOUR), estimated=np.array([False, True]))
    told = outlook(ZoneKnowledge(history=history), NOON - HOUR, 2)
    assert told.low[0] == told.high[0] == 100.0
    assert told.low[1] < 100.0 < told.high[1]


def test_sources_without_bounds_are_wider_the_lower_they_stand() -> None:
    ladder = [
        ZoneKnowledge(vendor=vintage([100.0] * 4)),
        ZoneKnowledge(monthly=(month(2026, 5, 100.0),)),
        ZoneKnowledge(monthly=(month(2025, 5, 100.0),)),
        ZoneKnowledge(yearly=(year(2025, 100.0),)),
    ]
    after_may = NOON + 30 * DAY
    told = [outlook(ladder[0]), *(outlook(each, now=after_may) for each in ladder[1:])]
    widths = [(each.high - each.low)[0] for each in told]
    assert widths == sorted(widths)
    assert len(set(widths)) == len(widths)


def test_a_forecasts_own_bounds_are_kept() -> None:
    stated = replace(vintage([100.0, 100.0]), low=np.array([90.0, np.nan]), high=np.array([115.0, np.nan]))
    told = outlook(ZoneKnowledge(vendor=stated), steps=2)
    assert (told.low[0], told.high[0]) == (90.0, 115.0)
    assert told.low[1] < 100.0 < told.high[1]


def test_a_source_says_when_it_was_issued_or_released() -> None:
    released = replace(month(2026, 4, 140.0), release="2026-05-02")
    told = outlook(ZoneKnowledge(vendor=vintage([110.0]), monthly=(released,)))
    assert told.sources == (
        "vendor-forecast: a forecast, issued 2026-05-10T12:00Z",
        "monthly-mean: mean of 2026-04, a source, release 2026-05-02",
    )


def test_the_age_of_the_newest_value_counts_from_the_end_of_its_hour() -> None:
    history = series([100.0, 101.0, np.nan], NOON - 4 * HOUR)
    assert newest_value_age(history, NOON) == 2 * HOUR
    assert newest_value_age(history, NOON - 3 * HOUR + timedelta(minutes=10)) == timedelta(0)
    assert newest_value_age(None, NOON) is None
    assert newest_value_age(series([np.nan]), NOON) is None


def test_what_is_known_at_a_moment_includes_the_running_hour_only() -> None:
    history = series([1.0, 2.0, 3.0])
    assert known_at(history, NOON + HOUR - timedelta(seconds=1)).values.tolist() == [1.0]
    assert known_at(history, NOON + HOUR).values.tolist() == [1.0, 2.0]
    assert known_at(history, NOON - DAY).values.tolist() == []


values = st.lists(st.one_of(st.floats(1, 1500), st.just(float("nan"))), min_size=1, max_size=30)
shifts = st.integers(-30, 10)


@st.composite
def knowledges(draw: Any) -> ZoneKnowledge:
    """Any combination of sources, each with holes of its own."""
    return ZoneKnowledge(
        history=draw(st.none() | st.builds(lambda told, shift: series(told, NOON + shift * HOUR), values, shifts)),
        vendor=draw(st.none() | st.builds(lambda told, shift: vintage(told, start=NOON + shift * HOUR), values, shifts)),
        own=draw(st.none() | st.builds(lambda told, shift: vintage(told, Rung.OWN_FORECAST, start=NOON + shift * HOUR), values, shifts)),
        monthly=draw(st.lists(st.builds(month, st.integers(2024, 2026), st.integers(1, 12), st.floats(1, 1500)), max_size=4)),
        yearly=draw(st.lists(st.builds(year, st.integers(2023, 2025), st.floats(1, 1500)), max_size=2)),
    )


steps = st.sampled_from([timedelta(minutes=15), timedelta(minutes=30), HOUR, 3 * HOUR])


@settings(max_examples=60, deadline=None)
@given(knowledges(), shifts, steps)
def test_bounds_always_enclose_the_mean(knowledge: ZoneKnowledge, shift: int, step: timedelta) -> None:
    told = outlook(knowledge, NOON + shift * HOUR, 24, step=step)
    present = ~np.isnan(told.g_per_kwh)
    assert np.all(told.low[present] <= told.g_per_kwh[present])
    assert np.all(told.g_per_kwh[present] <= told.high[present])
    assert np.isnan(told.low[~present]).all()


@settings(max_examples=60, deadline=None)
@given(knowledges(), shifts, steps)
def test_every_value_is_its_rungs_own_and_no_better_rung_had_one(knowledge: ZoneKnowledge, shift: int, step: timedelta) -> None:
    start = NOON + shift * HOUR
    told = outlook(knowledge, start, 24, step=step)
    alone = {
        Rung.OBSERVED: ZoneKnowledge(history=knowledge.history),
        Rung.VENDOR_FORECAST: ZoneKnowledge(vendor=knowledge.vendor),
        Rung.OWN_FORECAST: ZoneKnowledge(own=knowledge.own),
        Rung.MONTHLY_MEAN: ZoneKnowledge(monthly=knowledge.monthly),
        Rung.YEARLY_MEAN: ZoneKnowledge(yearly=knowledge.yearly),
    }
    by_rung = {rung: outlook(each, start, 24, step=step).g_per_kwh for rung, each in alone.items()}
    for index, value in enumerate(told.g_per_kwh):
        having = [rung for rung, each in by_rung.items() if not np.isnan(each[index])]
        if np.isnan(value):
            assert not having
        else:
            assert rungs(told)[index] == min(having)
            assert value == by_rung[min(having)][index]


@settings(max_examples=40, deadline=None)
@given(knowledges(), shifts)
def test_cutting_hours_into_halves_changes_no_value(knowledge: ZoneKnowledge, shift: int) -> None:
    start = NOON + shift * HOUR
    hours, halves = outlook(knowledge, start, 12), outlook(knowledge, start, 24, step=HOUR / 2)
    assert np.array_equal(halves.g_per_kwh, np.repeat(hours.g_per_kwh, 2), equal_nan=True)
    assert np.array_equal(halves.rung, np.repeat(hours.rung, 2))


@settings(max_examples=40, deadline=None)
@given(knowledges(), st.integers(1, 23))
def test_where_a_grid_is_cut_changes_nothing(knowledge: ZoneKnowledge, cut: int) -> None:
    whole = outlook(knowledge, NOON, 24).g_per_kwh
    parts = [outlook(knowledge, NOON, cut).g_per_kwh, outlook(knowledge, NOON + cut * HOUR, 24 - cut).g_per_kwh]
    assert np.array_equal(whole, np.concatenate(parts), equal_nan=True)


def test_a_zero_in_a_life_cycle_record_wins_no_minimum() -> None:
    told = outlook(ZoneKnowledge(history=series([0.0, 100.0], NOON - HOUR), yearly=(year(2025, 150.0),)), NOON - HOUR, 2)
    assert told.g_per_kwh.tolist() == [150.0, 100.0]
    assert told.sources[0] == "observed: recorded; DE: 1 values of zero taken as missing"


def test_a_grid_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        outlook(EVERYTHING, steps=0)


def test_hours_that_went_by_unrecorded_stand_on_what_was_forecast_for_them_and_hours_ahead_do_not() -> None:
    made_before = vintage([120.0] * 30, Rung.OWN_FORECAST, NOON - 20 * HOUR, NOON - 20 * HOUR)
    knowledge = ZoneKnowledge(history=series([100.0], NOON - 3 * HOUR), bridges=(made_before,), yearly=(year(2025, 150.0),))
    told = outlook(knowledge, NOON - 4 * HOUR, 6)
    assert rungs(told) == [Rung.OWN_FORECAST, Rung.OBSERVED, *[Rung.OWN_FORECAST] * 2, *[Rung.YEARLY_MEAN] * 2]
    assert told.g_per_kwh.tolist() == [120.0, 100.0, 120.0, 120.0, 150.0, 150.0]
    assert "own-forecast: a forecast, issued 2026-05-09T16:00Z" in told.sources


def test_a_bridge_of_another_kind_carries_nothing() -> None:
    other = vintage([120.0] * 30, Rung.OWN_FORECAST, NOON - 20 * HOUR, NOON - 20 * HOUR, DIRECT)
    assert np.isnan(outlook(ZoneKnowledge(bridges=(other,)), NOON - 4 * HOUR, 4).g_per_kwh).all()
