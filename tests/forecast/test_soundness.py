from __future__ import annotations

import numpy as np

from forecast.anomalies import FROZEN_HOURS
from forecast.soundness import sound
from tests.forecast.grids import DIRECT, series

VARIED = [100.0 + hour for hour in range(36)]
HANGING = 20


def test_a_lively_series_is_left_as_it_is() -> None:
    told = series(VARIED * 3)
    assert sound(told) == (told, ())


def test_a_life_cycle_zero_is_a_missing_value() -> None:
    cleaned, notes = sound(series([100, 0, 120]))
    assert np.isnan(cleaned.values[1])
    assert notes == ("DE: 1 values of zero taken as missing",)


def test_a_direct_zero_is_a_value() -> None:
    told = series([0, 0, 12], kind=DIRECT)
    assert sound(told) == (told, ())


def test_a_frozen_end_keeps_its_first_value_only() -> None:
    cleaned, notes = sound(series(VARIED + [151.0] * HANGING))
    assert cleaned.values[: len(VARIED) + 1].tolist() == [*VARIED, 151.0]
    assert np.isnan(cleaned.values[len(VARIED) + 1 :]).all()
    assert len(notes) == 1
    assert "frozen from 2026-05-12T00:00Z on, 19 repeats" in notes[0]


def test_a_frozen_stretch_in_the_middle_is_found_too() -> None:
    cleaned, _ = sound(series(VARIED + [151.0] * HANGING + VARIED))
    assert cleaned.values[-len(VARIED) :].tolist() == VARIED
    assert np.isnan(cleaned.values).sum() == HANGING - 1


def test_a_gap_does_not_hide_that_the_feed_is_frozen() -> None:
    cleaned, notes = sound(series([*VARIED, *[151.0] * HANGING, np.nan, *[151.0] * HANGING]))
    assert notes
    assert np.isnan(cleaned.values[len(VARIED) + 1 :]).all()


def test_a_few_equal_values_are_believed() -> None:
    told = series(VARIED + [151.0] * (FROZEN_HOURS - 1))
    assert sound(told) == (told, ())


def test_a_zone_that_is_constant_all_year_is_believed() -> None:
    told = series([652.36] * 200)
    assert sound(told) == (told, ())
