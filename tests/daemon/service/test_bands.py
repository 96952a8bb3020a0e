"""Intervals: products, differences, and what cancels where two estimates err alike."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.service.bands import difference, product, relative, scaled, spared, stretched
from jobs.energy.model import Band

middles = st.floats(min_value=1e-3, max_value=1e6)
widths = st.floats(min_value=0.0, max_value=2.0)
bands = st.builds(lambda mid, down, up: Band(mid * math.exp(-down), mid, mid * math.exp(up)), middles, widths, widths)


@given(first=bands, second=bands)
def test_a_product_is_as_wide_as_its_factors_in_quadrature(first: Band, second: Band) -> None:
    made = product(first, second)
    assert made.mid == pytest.approx(first.mid * second.mid)
    assert made.low <= made.mid <= made.high
    expected = math.hypot(math.log(first.high / first.mid), math.log(second.high / second.mid))
    assert math.log(made.high / made.mid) == pytest.approx(expected, abs=1e-9)


def test_a_bound_of_zero_stays_zero() -> None:
    assert product(Band(0.0, 1.0, 2.0), Band(0.5, 1.0, 2.0)).low == 0.0
    assert product(Band(0.0, 0.0, 3.0), Band(1.0, 2.0, 4.0)) == Band(0.0, 0.0, 12.0)


@given(band=bands)
def test_what_is_known_exactly_changes_no_width(band: Band) -> None:
    exact = product(band, Band(2.0, 2.0, 2.0))
    assert (exact.low, exact.mid, exact.high) == pytest.approx((band.low * 2, band.mid * 2, band.high * 2))
    assert relative(band).mid == pytest.approx(1.0)
    turned = scaled(band, -1.0)
    assert (turned.low, turned.high) == (-band.high, -band.low)


@given(first=bands, second=bands)
def test_a_difference_is_wider_than_either_side_and_not_wider_than_both(first: Band, second: Band) -> None:
    made = difference(first, second)
    assert made.mid == pytest.approx(first.mid - second.mid)
    up = made.high - made.mid
    assert up >= max(first.high - first.mid, second.mid - second.low) * (1 - 1e-9) - 1e-9
    assert up <= (first.high - first.mid + second.mid - second.low) * (1 + 1e-9) + 1e-9


@given(band=bands, factor=bands, shift=middles)
def test_stretching_keeps_the_middle_inside_even_below_zero(band: Band, factor: Band, shift: float) -> None:
    below = Band(band.low - shift, band.mid - shift, band.high - shift)
    made = stretched(below, factor)
    slack = 1e-9 * max(1.0, abs(made.low), abs(made.high))
    assert made.low - slack <= made.mid <= made.high + slack


def test_a_fifth_of_the_energy_spares_four_fifths_with_the_same_relative_width() -> None:
    made = spared(Band(50.0, 100.0, 200.0), Band(0.5, 1.0, 2.0), Band(0.1, 0.2, 0.4))
    assert (made.low, made.mid, made.high) == pytest.approx((40.0, 80.0, 160.0))


def test_a_change_that_is_less_sure_may_spare_nothing() -> None:
    made = spared(Band(90.0, 100.0, 110.0), Band(0.9, 1.0, 1.1), Band(0.3, 0.9, 2.7))
    assert made.mid == pytest.approx(10.0)
    assert made.low < 0 < made.high


@given(grams=bands, before=bands)
def test_no_change_spares_nothing(grams: Band, before: Band) -> None:
    assert spared(grams, before, before) == Band(0.0, 0.0, 0.0)
