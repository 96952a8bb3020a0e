"""The energy model against kept measurements of configurations that it has not seen, through the bench's own functions."""

from __future__ import annotations

import math
import statistics

import pytest

from jobs.energy.configuration import Configuration
from jobs.energy.hardware import MeasuredStep
from jobs.spec import ModelSpec
from tests.bench.energy_model import KEPT, Case, OurModel, coverage, left_out_logs, missed_bounds, read_cases, relative_errors


def outcomes(log_errors: list[float], sigma: float) -> dict[Case, tuple[float, float]]:
    """As many held-out cases as errors, each predicted with the same sigma."""
    model = ModelSpec(dimensions=2, size="tiny", image_shape=(16, 16))
    cases = [
        MeasuredStep(configuration=Configuration("train", model, batch_size=number), seconds=1.0, joules=None, spread=0.0, steps=10)
        for number in range(1, len(log_errors) + 1)
    ]
    return {case: (log, sigma) for case, log in zip(cases, log_errors, strict=True)}


@pytest.mark.slow
def test_steps_of_configurations_never_seen_are_predicted_within_the_bounds() -> None:
    cases = read_cases([KEPT])
    results = left_out_logs(cases, OurModel())

    assert len(results) == len(cases) > 200
    assert statistics.mean(relative_errors(log for log, _ in results.values())) <= 0.12
    assert 0.75 <= coverage(results) <= 0.87


def test_bounds_that_are_missed_are_told_and_kept_ones_are_not() -> None:
    good = [0.01] * 8 + [0.2] * 2
    sigma = 0.05

    assert missed_bounds(outcomes(good, sigma)) == []
    assert missed_bounds(outcomes([math.log(2)] * 10, sigma)) == [
        "the mean error is 50.0%, more than 12%",
        "80 % intervals hold 0.0% of the cases, not 75% to 87%",
    ]
    assert missed_bounds(outcomes(good, sigma=1.0)) == ["80 % intervals hold 100.0% of the cases, not 75% to 87%"]
