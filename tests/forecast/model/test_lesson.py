"""What a whole lesson makes of records that no grid should have, and some do: the forecast stays one."""

from __future__ import annotations

import numpy as np
import pytest

from forecast.intensity import FloatArray
from forecast.model import lesson
from forecast.model.lesson import CAUTION, CAUTION_SHARE, NO_MAPS, learn_lesson, opinions
from forecast.model.network import Network
from forecast.model.record import NEIGHBOURS, Record
from tests.forecast.model.records import hourly

HOURS = 24 * 70
INDEX = np.arange(HOURS)
USUAL = hourly(HOURS)

RECORDS: dict[str, FloatArray] = {
    "never changes": np.full(HOURS, 300.0),
    "all zero": np.zeros(HOURS),
    "next to zero": np.abs(np.random.default_rng(0).normal(0, 1e-6, HOURS)),
    "zero until last week": np.where(INDEX < HOURS - 168, 0.0, 600.0),
    "on and off by the fortnight": np.where(INDEX // 336 % 2, 0.001, 1000.0),
    "single spikes": np.where(INDEX % 300 == 0, 1e5, 1.0),
    "a month missing": np.where((INDEX > 700) & (INDEX < 1450), np.nan, USUAL),
    "only its last day": np.where(INDEX < HOURS - 24, np.nan, USUAL),
    "every third hour": np.where(INDEX % 3, np.nan, USUAL),
}
SURROUNDINGS: dict[str, list[FloatArray]] = {
    "nobody near": [],
    "neighbours without a record": [np.full(HOURS, np.nan)] * NEIGHBOURS,
    "neighbours that stand still": [np.full(HOURS, level) for level in (0.0, 0.1, 7.7, 100.3, 1e5)],
    "a neighbour that stopped": [np.where(INDEX < 1000, 1000 * USUAL, 33.3)],
    "six times itself": [USUAL] * NEIGHBOURS,
}


def forecast(values: FloatArray, neighbours: list[FloatArray]) -> FloatArray:
    """Low, middle and high after the last of `values`."""
    record, network = Record.of("DE", values, 430_000, neighbours), Network.bundled()
    taught: FloatArray = learn_lesson(network, record, with_map=True).apply(network, record, np.array([HOURS]))[0]
    return taught


@pytest.mark.parametrize("name", RECORDS)
def test_whatever_a_record_holds_its_forecast_is_finite_in_order_and_within_reason(name: str) -> None:
    quantiles, last_month = forecast(RECORDS[name], []), RECORDS[name][-672:]
    assert (np.diff(quantiles, axis=0) >= 0).all()
    assert 0 <= quantiles.min() <= quantiles.max() <= 1.5 * np.nanmax(last_month) + 0.01


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_whatever_neighbours_hold_the_forecast_stays_about_the_zone(name: str) -> None:
    low, middle, high = forecast(USUAL, SURROUNDINGS[name])
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert np.abs(middle - forecast(USUAL, [])[1]).max() < 0.1 * USUAL.mean()


@pytest.mark.parametrize("name", ["never changes", "single spikes", "a month missing", "only its last day"])
def test_no_hour_is_raised_by_more_than_a_share_of_its_interval(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record, network, origins = Record.of("DE", RECORDS[name], 430_000), Network.bundled(), np.array([HOURS])
    cautious = opinions(network, record, origins, NO_MAPS)
    monkeypatch.setattr(lesson, "CAUTION", 0.0)
    bold = opinions(network, record, origins, NO_MAPS)
    raised, width = cautious[:, :, 1] - bold[:, :, 1], bold[:, :, 2] - bold[:, :, 0]
    spread = record.features(origins).spread.item()
    assert (raised >= 0).all()
    assert (raised <= np.minimum(CAUTION * spread, CAUTION_SHARE * width) + 1e-4 * spread).all()
    assert not raised[:, :, :4].any()  # a job that starts now does not wait for these
    assert raised[:, :, 8:32].min() > 0
