from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from forecast.hourly import hourly_series
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind, MixedKinds, PeriodMean, Reading
from forecast.timeline import HOUR, Interval
from tests.forecast.grids import DIRECT, NOON, reading, series


def test_the_value_known_last_wins_in_a_series() -> None:
    told = hourly_series([reading(NOON, 97, NOON + 2 * HOUR), reading(NOON, 71, NOON, estimated=True)])
    assert told is not None
    assert told.values.tolist() == [97]


def test_an_hour_nobody_told_is_missing_and_not_zero() -> None:
    told = hourly_series([reading(NOON, 71, NOON), reading(NOON + 2 * HOUR, 73, NOON)])
    assert told is not None
    assert np.isnan(told.values[1])
    assert told.at(NOON + HOUR) is None


def test_the_last_value_is_not_repeated_after_the_end() -> None:
    told = series([71])
    assert told.at(NOON + HOUR) is None
    assert told.mean(Interval(NOON, NOON + timedelta(minutes=61))) is None


def test_two_kinds_never_form_one_series() -> None:
    direct = Reading("DE", Interval(NOON, NOON + HOUR), 20, DIRECT, "a source", NOON)
    with pytest.raises(MixedKinds):
        hourly_series([direct, reading(NOON + HOUR, 75, NOON)])


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_what_is_not_an_intensity_cannot_become_a_value(value: float) -> None:
    with pytest.raises(ValueError, match="not a carbon intensity"):
        reading(NOON, value, NOON)
    with pytest.raises(ValueError, match="not a carbon intensity"):
        PeriodMean("DE", Interval(NOON, NOON + HOUR), value, LIFECYCLE_AVERAGE, "a source")


def test_a_kind_is_read_back_from_its_label() -> None:
    for kind in (LIFECYCLE_AVERAGE, DIRECT, IntensityKind("direct", "marginal", flow_traced=False)):
        assert IntensityKind.from_label(kind.label) == kind


@pytest.mark.parametrize("label", ["foo", "", "both/average/flow-traced", "lifecycle/average/traced", "lifecycle/average/flow-traced/"])
def test_what_is_no_kind_is_refused_with_how_kinds_are_written(label: str) -> None:
    how = "write lifecycle or direct, average or marginal, flow-traced or production, with slashes between, for example"
    with pytest.raises(ValueError, match=f"^{label!r} is not a kind of carbon intensity: {how} 'lifecycle/average/flow-traced'$"):
        IntensityKind.from_label(label)
