"""The provider's forecast and ours as one: corrected by their records, weighed by skill, joined without a jump."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.combining import FEWEST_DAYS, Combination, combine, learn_combination
from forecast.intensity import LIFECYCLE_AVERAGE, FloatArray, Rung, Series, Vintage
from forecast.timeline import HOUR
from tests.forecast.grids import NOON

DAY = timedelta(days=1)
START = NOON - 40 * DAY
HOURS = 24 * 48
TRUTH = 300 + 80 * np.sin(np.arange(HOURS) / 24 * 2 * np.pi) + 40 * np.sin(np.arange(HOURS) / 60)
RECORD = Series("DE", LIFECYCLE_AVERAGE, START, TRUTH)
Err = Callable[[int], FloatArray]


def issued(at: datetime, hours: int, error: FloatArray, rung: Rung, width: float | None = None) -> Vintage:
    first = (at - START) // HOUR
    middle = TRUTH[first : first + hours] + error[:hours]
    bounds = (None, None) if width is None else (middle - width, middle + width)
    name = "vendor" if rung is Rung.VENDOR_FORECAST else "ours"
    return Vintage("DE", LIFECYCLE_AVERAGE, name, rung, at, at, at, HOUR, middle, *bounds)


def archive(error: Err, rung: Rung, hours: int, days: int = 28, width: float | None = None) -> list[Vintage]:
    """One forecast a day before NOON; `error` gives its errors from the number of the day."""
    return [issued(NOON - day * DAY, hours, error(day), rung, width) for day in range(days, 0, -1)]


def noise(day: int, size: float) -> FloatArray:
    return np.random.default_rng(day).normal(0, size, 200)


def vendor_archive(error: Err, days: int = 28) -> list[Vintage]:
    return archive(error, Rung.VENDOR_FORECAST, 72, days)


def own_archive(error: Err, days: int = 28) -> list[Vintage]:
    return archive(error, Rung.OWN_FORECAST, 120, days, width=40.0)


def learnt(vendor: Err, own: Err, days: int = 28) -> Combination:
    how = learn_combination(vendor_archive(vendor, days), own_archive(own, days), RECORD, NOON)
    assert how is not None
    return how


def now_of(vendor: Err, own: Err) -> tuple[Vintage, Vintage]:
    return (
        issued(NOON, 72, vendor(0), Rung.VENDOR_FORECAST),
        issued(NOON, 120, own(0), Rung.OWN_FORECAST, width=40.0),
    )


def mae(vintage: Vintage, hours: int = 72) -> float:
    first = (vintage.start - START) // HOUR
    return float(np.abs(vintage.g_per_kwh[:hours] - TRUTH[first : first + hours]).mean())


def test_a_level_the_provider_always_misses_is_taken_out() -> None:
    def off(day: int) -> FloatArray:
        return 60.0 + noise(day, 3)

    def ours(day: int) -> FloatArray:
        return noise(1000 + day, 50)

    vendor, own = now_of(off, ours)
    blended, _ = combine(vendor, own, learnt(off, ours))
    assert mae(vendor) > 55
    assert mae(blended) < 12
    assert blended.source == "vendor, corrected and blended with ours"


def test_the_blend_errs_less_than_either_where_their_errors_have_nothing_in_common() -> None:
    def theirs(day: int) -> FloatArray:
        return noise(day, 20)

    def ours(day: int) -> FloatArray:
        return noise(1000 + day, 20)

    how = learnt(theirs, ours)
    assert how.weight == pytest.approx(np.full(96, 0.5), abs=0.1)
    vendor, own = now_of(theirs, ours)
    assert mae(combine(vendor, own, how)[0]) < 0.85 * min(mae(vendor), mae(own))


def test_each_lead_time_goes_to_who_was_better_at_it_lately() -> None:
    near, far = np.arange(200) < 24, np.arange(200) >= 24

    def theirs(day: int) -> FloatArray:
        return noise(day, 1) * np.where(far, 2.0, 40.0)

    def ours(day: int) -> FloatArray:
        return noise(1000 + day, 1) * np.where(near, 2.0, 40.0)

    how = learnt(theirs, ours)
    assert (how.weight[:10] < 0.15).all()
    assert (how.weight[40:60] > 0.85).all()


def test_where_the_provider_ends_ours_goes_on_without_a_jump() -> None:
    def theirs(day: int) -> FloatArray:
        return noise(day, 4)

    def ours(day: int) -> FloatArray:
        return noise(1000 + day, 4) + 100.0

    vendor, own = now_of(theirs, ours)
    first = (NOON - START) // HOUR
    for how in (None, learnt(theirs, ours)):
        blended, joined = combine(vendor, own, how)
        assert joined is not None
        before, after = blended.g_per_kwh[-1], joined.g_per_kwh[72]
        assert abs(own.g_per_kwh[72] - vendor.g_per_kwh[-1]) > 60
        assert abs((after - before) - (TRUTH[first + 72] - TRUTH[first + 71])) < 25
        assert joined.low is not None
        assert joined.high is not None
        assert (joined.low <= joined.g_per_kwh).all()
        assert (joined.g_per_kwh <= joined.high).all()
        assert joined.g_per_kwh[-1] == pytest.approx(own.g_per_kwh[-1], abs=4), "far from the join it is ours again"


def test_bounds_widen_where_the_blend_missed_more_than_ours_promise() -> None:
    def narrow(day: int) -> FloatArray:
        return noise(day, 5)

    def wild(day: int) -> FloatArray:
        return noise(day, 90)

    calm, stormy = learnt(narrow, narrow), learnt(wild, wild)
    assert (calm.upper < 1).all()
    assert (stormy.upper > 1.5).all()
    assert (stormy.lower > 1.5).all()
    vendor, own = now_of(wild, wild)
    blended, _ = combine(vendor, own, stormy)
    assert blended.low is not None
    assert blended.high is not None
    assert ((blended.high - blended.low) > 120).mean() > 0.9


def test_without_a_record_the_providers_forecast_stays_as_it_is() -> None:
    def exact(day: int) -> FloatArray:
        return noise(day, 1)

    few = learn_combination(vendor_archive(exact, FEWEST_DAYS - 1), own_archive(exact), RECORD, NOON)
    assert few is None
    assert learn_combination([], own_archive(exact), RECORD, NOON) is None
    vendor, own = now_of(exact, exact)
    assert combine(vendor, None, None) == (vendor, None)
    np.testing.assert_array_equal(combine(vendor, own, None)[0].g_per_kwh, vendor.g_per_kwh)


def test_without_ours_only_the_bias_is_corrected() -> None:
    def off(day: int) -> FloatArray:
        return noise(day, 2) - 50.0

    how = learn_combination(vendor_archive(off), [], RECORD, NOON)
    assert how is not None
    vendor, _ = now_of(off, off)
    blended, own = combine(vendor, None, how)
    assert own is None
    assert mae(blended) < 0.3 * mae(vendor)
    assert blended.source == "vendor, corrected"


def test_a_source_that_another_took_the_place_of_is_not_learnt_from() -> None:
    def exact(day: int) -> FloatArray:
        return noise(day, 1)

    former = [replace(vintage, source="former") for vintage in vendor_archive(lambda day: noise(day, 1) + 90.0)[:20]]
    how = learn_combination([*former, *vendor_archive(exact)[20:]], own_archive(exact), RECORD, NOON)
    assert how is not None
    assert how.days <= 8
    assert np.abs(how.bias).max() < 2


def test_nothing_that_came_after_now_is_learnt_from() -> None:
    def theirs(day: int) -> FloatArray:
        return noise(day, 10)

    seen = learnt(theirs, theirs)
    later = RECORD.values.copy()
    later[(NOON - START) // HOUR :] = 9_999.0
    spoiled = learn_combination(vendor_archive(theirs), own_archive(theirs), replace(RECORD, values=later), NOON)
    assert spoiled is not None
    np.testing.assert_array_equal(seen.bias, spoiled.bias)
    np.testing.assert_array_equal(seen.weight, spoiled.weight)


def test_hours_still_estimated_teach_nothing() -> None:
    def theirs(day: int) -> FloatArray:
        return noise(day, 10)

    estimated = np.zeros(HOURS, dtype=np.bool_)
    first = (NOON - START) // HOUR - 48
    estimated[first:] = True
    values = RECORD.values.copy()
    values[first:] = 1.0
    how = learn_combination(vendor_archive(theirs), own_archive(theirs), replace(RECORD, values=values, estimated=estimated), NOON)
    assert how is not None
    assert np.abs(how.bias).max() < 10


def test_a_forecast_in_half_hours_is_corrected_in_half_hours() -> None:
    def off(day: int) -> FloatArray:
        return noise(day, 2) + 50.0

    vendor, own = now_of(off, lambda day: noise(1000 + day, 60))
    halves = replace(vendor, step=HOUR / 2, g_per_kwh=np.repeat(vendor.g_per_kwh, 2))
    blended, _ = combine(halves, own, learnt(off, lambda day: noise(1000 + day, 60)))
    assert len(blended.g_per_kwh) == 144
    assert float(np.abs(blended.g_per_kwh[::2] - TRUTH[(NOON - START) // HOUR :][:72]).mean()) < 15


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.floats(0, 200), st.floats(-400, 400), st.integers(1, 100), st.integers(0, 8))
def test_whatever_is_learnt_stays_in_bounds_and_order(seed: int, size: float, shift: float, hours: int, late: int) -> None:
    def theirs(day: int) -> FloatArray:
        return noise(seed + day, size) + shift

    how = learnt(theirs, lambda day: noise(seed + 500 + day, 30))
    assert ((how.weight >= 0) & (how.weight <= 1)).all()
    assert ((how.lower >= 0.5) & (how.lower <= 3)).all()
    vendor = issued(NOON - late * HOUR, hours, theirs(0), Rung.VENDOR_FORECAST)
    own = issued(NOON, 120, noise(seed, 30), Rung.OWN_FORECAST, width=40.0)
    blended, joined = combine(replace(vendor, g_per_kwh=np.maximum(vendor.g_per_kwh, 0)), own, how)
    assert joined is not None
    assert blended.low is not None
    assert blended.high is not None
    assert np.isfinite(blended.g_per_kwh).all()
    assert (blended.g_per_kwh >= 0).all()
    assert (blended.low <= blended.g_per_kwh + 1e-9).all()
    assert (blended.high >= blended.g_per_kwh - 1e-9).all()
    assert (joined.g_per_kwh >= 0).all()
