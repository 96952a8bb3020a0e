"""The arithmetic of the ledger: sums that do not depend on how time is cut, and the identities of savings."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.accounting import (
    Conversion,
    LoadProfile,
    MissingIntensity,
    Place,
    Purpose,
    Slice,
    emissions_g,
    home_profile,
    slice_emissions_g,
)
from forecast.intensity import LIFECYCLE_AVERAGE, Series
from forecast.timeline import HOUR, Interval

START = datetime(2024, 3, 4, tzinfo=UTC)
HOME, AWAY = Place("home", "DE", 1.55), Place("away", "SE", 1.1)
HOURS = 48

# drawn by number: lists of floats take hypothesis longer than the arithmetic they are for
intensities = st.integers(min_value=0, max_value=2**32 - 1).map(lambda seed: list(np.random.default_rng(seed).uniform(1, 900, HOURS)))
seconds_in = st.integers(min_value=0, max_value=20 * 3600)


def series(values: list[float], zone: str = "DE") -> Series:
    return Series(zone, LIFECYCLE_AVERAGE, START, np.array(values))


@st.composite
def slices(draw: st.DrawFn, place: Place = HOME) -> Slice:
    begin = START + timedelta(seconds=draw(seconds_in))
    end = begin + timedelta(seconds=draw(st.integers(min_value=1, max_value=20 * 3600)))
    kwh = draw(st.floats(min_value=0, max_value=50))
    return Slice(place, Interval(begin, end), kwh, draw(st.sampled_from(Purpose)), {"measured": 1.0})


@st.composite
def back_to_back(draw: st.DrawFn) -> list[Slice]:
    """Useful work without a pause, as one run at home does it."""
    instant = START + timedelta(seconds=draw(seconds_in))
    work = []
    for seconds in draw(st.lists(st.integers(min_value=1, max_value=3 * 3600), min_size=1, max_size=6)):
        end = instant + timedelta(seconds=seconds)
        work.append(Slice(HOME, Interval(instant, end), draw(st.floats(min_value=0, max_value=5)), Purpose.USEFUL, {"measured": 1.0}))
        instant = end
    return work


@given(slices(), intensities, st.floats(min_value=-0.5, max_value=1.5))
def test_splitting_a_slice_changes_nothing(piece: Slice, values: list[float], fraction: float) -> None:
    grid = series(values)
    parts = [replace(part, purpose=Purpose.USEFUL) for part in piece.split(fraction, Purpose.USEFUL, Purpose.WASTE)]
    assert sum(part.kwh for part in parts) == pytest.approx(piece.kwh, rel=1e-12, abs=1e-12)
    assert parts[0].interval.start == piece.interval.start
    assert parts[-1].interval.end == piece.interval.end
    # a cut falls on a whole microsecond: over a second that moves at most a millionth of the energy to the other side
    tolerance = 1e-6 / piece.interval.seconds
    assert emissions_g(parts, lambda _: grid) == pytest.approx(emissions_g([piece], lambda _: grid), rel=900 * tolerance, abs=1e-9)


@given(slices(), intensities)
def test_a_slice_cut_at_every_full_hour_emits_what_it_did_whole(piece: Slice, values: list[float]) -> None:
    grid = series(values)
    hours = [replace(piece, interval=part, kwh=piece.kwh * part.seconds / piece.interval.seconds) for part in piece.interval.cut(HOUR)]
    assert emissions_g(hours, lambda _: grid) == pytest.approx(emissions_g([piece], lambda _: grid), rel=1e-12)


@given(st.lists(slices(), max_size=5), st.lists(slices(AWAY), max_size=5), intensities, intensities)
def test_totals_equal_the_sum_of_their_parts(here: list[Slice], there: list[Slice], de: list[float], se: list[float]) -> None:
    grids = {"DE": series(de), "SE": series(se, "SE")}
    parts = math.fsum(slice_emissions_g(piece, grids[piece.place.zone], piece.place.pue) for piece in (*here, *there))
    assert emissions_g([*here, *there], grids.__getitem__) == pytest.approx(parts, rel=1e-12, abs=1e-12)


@given(slices(), st.floats(min_value=1, max_value=900))
def test_at_a_flat_intensity_emissions_are_energy_times_pue_times_intensity(piece: Slice, value: float) -> None:
    expected = piece.kwh * 1.55 * value
    assert emissions_g([piece], lambda _: series([value] * HOURS)) == pytest.approx(expected, rel=1e-12)


@given(back_to_back(), intensities)
def test_work_done_at_home_without_delay_emits_its_baseline(work: list[Slice], values: list[float]) -> None:
    grid = series(values)
    profile = home_profile(work, {"home": Conversion()})
    baseline = profile.emissions_g(work[0].interval.start, grid, HOME.pue)
    assert baseline == pytest.approx(emissions_g(work, lambda _: grid), rel=1e-9, abs=1e-12)


@given(back_to_back(), st.floats(min_value=0.1, max_value=10), st.floats(min_value=0.1, max_value=10))
def test_the_home_profile_keeps_order_and_converts_energy_and_time(work: list[Slice], energy: float, duration: float) -> None:
    profile = home_profile(work[::-1], {"home": Conversion(energy, duration)})
    assert profile.kwh == pytest.approx(sum(piece.kwh for piece in work) * energy)
    assert profile.seconds == pytest.approx(sum(piece.interval.seconds for piece in work) * duration)
    assert [kwh for _, kwh in profile.stretches] == [piece.kwh * energy for piece in work]


def test_an_hour_without_intensity_makes_the_sum_unknown_not_smaller() -> None:
    values = [300.0] * HOURS
    values[5] = math.nan
    piece = Slice(HOME, Interval(START + 4 * HOUR, START + 7 * HOUR), 1.0, Purpose.USEFUL, {"measured": 1.0})
    with pytest.raises(MissingIntensity, match="no carbon intensity for DE"):
        emissions_g([piece], lambda _: series(values))
    with pytest.raises(MissingIntensity):
        LoadProfile(((3 * 3600.0, 1.0),)).emissions_g(START + 4 * HOUR, series(values), 1.0)


def test_a_slice_shorter_than_the_clock_can_cut_stays_whole() -> None:
    piece = Slice(HOME, Interval(START, START + timedelta(microseconds=1)), 1.0, Purpose.OVERHEAD, {"estimated": 1.0})
    assert piece.split(0.5, Purpose.USEFUL, Purpose.WASTE) == [replace(piece, purpose=Purpose.USEFUL)]
