"""The linear forecast: each local hour has a map of its own, zones add theirs, and ridge finds both."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from forecast.model.dataset import Examples, examples
from forecast.model.features import HORIZON_HOURS, INPUT_COLUMNS, WINDOW_HOURS, SingleArray, build, local_hours
from forecast.model.linear import Linear
from forecast.model.places import place_of
from forecast.model.ridge import BLOCKS, DIRECTIONS, LARGEST_TARGET, cross_fitted, train_linear
from tests.forecast.model.records import record

MONDAY_MIDNIGHT_UTC = 24 * 7 * 2900 + 24 * 4


def inputs(zone: str, hours: np.ndarray) -> SingleArray:
    windows = np.random.default_rng(0).uniform(100, 500, (len(hours), WINDOW_HOURS))
    return build(windows, hours, place_of(zone)).inputs


def zone_examples(zones: tuple[str, ...], hours: int = 3000, stride_hours: int = 3) -> list[Examples]:
    records = [record(hours, zone, end=datetime(2022, 6, 1, tzinfo=UTC), seed=seed) for seed, zone in enumerate(zones)]
    return [examples([one], zones, cold=False, seed=0, stride_hours=stride_hours) for one in records]


@pytest.mark.parametrize(("zone", "first"), [("DE", 1), ("US-CAL-CISO", 16), ("JP-TK", 9), ("IN-NO", 5)])
def test_local_hours_are_those_of_standard_time(zone: str, first: int) -> None:
    hours = local_hours(inputs(zone, MONDAY_MIDNIGHT_UTC + np.arange(48)))
    np.testing.assert_array_equal(hours, (first + np.arange(48)) % 24)


def test_each_window_goes_through_the_map_of_its_local_hour_and_of_its_zone() -> None:
    random = np.random.default_rng(1)
    maps, zone_maps = (random.normal(0, 0.1, (count, INPUT_COLUMNS + 1, 5)).astype(np.float32) for count in (24, 3))
    zone_maps[0] = 0.0
    linear = Linear(maps, zone_maps, random.normal(0, 1, (5, HORIZON_HOURS)).astype(np.float32))
    rows = inputs("DE", MONDAY_MIDNIGHT_UTC + np.arange(30))
    extended = np.append(rows[7], 1.0)
    for zone_row in (0, 2):
        expected = extended @ (maps[8] + zone_maps[zone_row]) @ linear.directions
        np.testing.assert_allclose(linear.forecast(rows, zone_row)[7], expected, rtol=1e-3, atol=1e-4)
    mixed = linear.forecast_each(rows, np.arange(30) % 3)
    np.testing.assert_allclose(mixed[2::3], linear.forecast(rows, 2)[2::3], atol=1e-4)


def test_ridge_learns_what_comes_after_a_regular_record() -> None:
    data = zone_examples(("DE", "FR"))
    linear = train_linear(data, 2)
    assert linear.directions.shape == (DIRECTIONS, HORIZON_HOURS)
    for one in data:
        missed = np.abs(one.targets - linear.forecast_each(one.inputs, one.zone_rows)).mean()
        assert missed < 0.8 * np.abs(one.targets - np.median(one.targets)).mean()
    assert not linear.zone_maps[0].any()


def test_a_zone_that_differs_from_the_others_gets_a_map_of_its_own() -> None:
    one, other = zone_examples(("DE", "FR"))
    shifted = replace(other, targets=other.targets + np.float32(0.5))
    linear = train_linear([one, shifted], 2)
    gap = np.mean(linear.forecast_each(shifted.inputs, shifted.zone_rows) - linear.forecast(shifted.inputs, 1))
    assert gap > 0.1


def test_an_outage_of_the_meters_does_not_move_the_maps() -> None:
    (data,) = zone_examples(("DE",))
    spoiled = replace(data, targets=data.targets.copy())
    spoiled.targets[5] = -1000 * LARGEST_TARGET
    drawn_in = replace(data, targets=data.targets.copy())
    drawn_in.targets[5] = -LARGEST_TARGET
    np.testing.assert_array_equal(train_linear([spoiled], 1).maps, train_linear([drawn_in], 1).maps)


def test_every_row_is_forecast_once_by_what_knows_none_of_its_hours() -> None:
    data = zone_examples(("DE", "FR"), hours=1800, stride_hours=1)
    parts = list(cross_fitted(data, 2))
    for index, one in enumerate(data):
        inside = [part for part, _ in parts[index::2]]
        assert len(inside) == BLOCKS
        np.testing.assert_array_equal(np.concatenate([part.inputs for part in inside]), one.inputs)
    spoiled = [replace(one, targets=one.targets.copy()) for one in data]
    first, last = len(data[0]) // BLOCKS, 2 * len(data[0]) // BLOCKS
    for one in spoiled:
        one.targets[first - HORIZON_HOURS : last] = 3.0
    for block, ((_, before), (_, after)) in enumerate(zip(parts[::2], list(cross_fitted(spoiled, 2))[::2], strict=True)):
        assert np.array_equal(before.maps, after.maps) == (block == 1)
