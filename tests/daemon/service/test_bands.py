"""Intervals: products, differences, and what cancels where two estimates err alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.service.bands import centred, difference, product, relative, saved, scaled, stretched, times
from jobs.energy.calibration import Z80
from jobs.energy.configuration import Configuration
from jobs.energy.model import Band, Estimate, OriginKind
from jobs.spec import ModelSpec

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


MODEL = ModelSpec(dimensions=2, size="tiny", image_shape=(16, 16))


def estimate(energy: float, sigma: float, common_sigma: float = 0.0, batch_size: int = 1) -> Estimate:
    """Of that energy in kWh and as many seconds."""
    band = Band(energy * math.exp(-Z80 * sigma), energy, energy * math.exp(Z80 * sigma))
    return Estimate(
        energy_kwh=band,
        duration_seconds=band,
        power_watts=1.0,
        startup_seconds=0.0,
        startup_joules=0.0,
        step_seconds=energy,
        step_joules=energy * 3.6e6,
        steps=1,
        origin="made up",
        origin_kind=OriginKind.COEFFICIENTS,
        common_sigma=common_sigma,
        bases=(Configuration("denoise", MODEL, batch_size=batch_size),),
    )


def kwh(estimate: Estimate) -> Band:
    return estimate.energy_kwh


sigmas = st.floats(min_value=0.0, max_value=1.0)


@given(energy=middles, share=st.floats(0.01, 0.99), sigma=sigmas)
def test_less_of_the_same_saves_with_the_relative_width_of_the_whole(energy: float, share: float, sigma: float) -> None:
    before, after = estimate(energy, sigma), estimate(energy * share, sigma)
    made = saved(before, after, kwh)
    assert made.mid == pytest.approx(energy * (1 - share))
    assert (made.low / made.mid, made.high / made.mid) == pytest.approx((math.exp(-Z80 * sigma), math.exp(Z80 * sigma)))


@given(energy=middles, sigma=sigmas)
def test_no_change_saves_nothing_for_sure(energy: float, sigma: float) -> None:
    same = estimate(energy, sigma)
    assert saved(same, same, kwh) == Band(0.0, 0.0, 0.0)


def test_a_change_that_is_less_sure_may_save_nothing() -> None:
    made = saved(estimate(1.0, 0.1), estimate(0.9, 0.5), kwh)
    assert made.mid == pytest.approx(0.1)
    assert made.low < 0 < made.high


@given(energy=middles, share=st.floats(0.01, 2.0), sigma=st.floats(0.01, 0.1), common=st.floats(0.0, 1.0))
def test_other_networks_err_apart_by_all_but_what_machines_have_in_common(energy: float, share: float, sigma: float, common: float) -> None:
    """As wide as the same network at least, and as estimates that have nothing in common at most."""

    def width(common_sigma: float, batch_size: int) -> float:
        before, after = estimate(energy, sigma, common_sigma), estimate(energy * share, sigma, common_sigma, batch_size)
        band = saved(before, after, kwh)
        return band.high - band.low

    slack = 0.02 * energy * sigma  # log-normal errors are a little lopsided
    assert width(0.0, 1) - slack <= width(common * sigma, 4) <= width(0.0, 4) + slack


def test_the_interval_of_a_saving_holds_four_of_five_draws() -> None:
    """Against a simulation of the errors themselves."""
    before, after = estimate(10.0, 0.15, 0.1), estimate(4.0, 0.2, 0.1, batch_size=4)
    made = saved(before, after, kwh)
    draw = np.random.default_rng(0)
    common, first, second = (draw.normal(0, sigma, 100_000) for sigma in (0.1, math.sqrt(0.15**2 - 0.1**2), math.sqrt(0.2**2 - 0.1**2)))
    savings = 10 * np.exp(common + first) - 4 * np.exp(common + second)
    assert np.mean((savings >= made.low) & (savings <= made.high)) == pytest.approx(0.8, abs=0.02)
    assert np.mean(savings < made.low) == pytest.approx(0.1, abs=0.02)


def test_a_saving_times_a_rate_is_wider_and_a_loss_is_the_saving_turned_round() -> None:
    saving, rate = Band(2.0, 4.0, 7.0), Band(10.0, 20.0, 40.0)
    made, loss = times(saving, rate), times(scaled(saving, -1.0), rate)
    assert made.mid == 80.0
    assert made.high == pytest.approx(80 + math.hypot(3 * 20, 4 * 20))
    assert made.low == pytest.approx(80 - math.hypot(2 * 20, 4 * 10))
    assert (loss.low, loss.high) == pytest.approx((-made.high, -made.low))


def test_a_band_keeps_its_width_around_another_middle() -> None:
    assert centred(Band(1.0, 2.0, 5.0), -3.0) == Band(-4.0, -3.0, 0.0)
