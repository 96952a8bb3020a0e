from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from jobs.energy.features import DEVICE_FEATURES, features_of
from jobs.energy.fitting import fit_coefficients, non_negative_least_squares, relative_fit
from jobs.energy.grids import standard_grid
from jobs.energy.hardware import MeasuredStep

TRUE = {"step": 1e-3, "layers": 2e-5, "flops": 2e-11, "elements": 1e-9, "parameters": 5e-10}


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 30), columns=st.integers(1, 8), positive=st.booleans())
def test_non_negative_least_squares_is_as_good_as_scipys(seed: int, rows: int, columns: int, positive: bool) -> None:
    draw = np.random.default_rng(seed)
    matrix, target = draw.standard_normal((rows, columns)), draw.standard_normal(rows)
    if positive:
        matrix[:, -1] = matrix[:, 0]  # two columns that say the same
        matrix, target = np.abs(matrix), np.abs(target)
    x = non_negative_least_squares(matrix, target)

    assert (x >= 0).all()
    assert np.linalg.norm(matrix @ x - target) == pytest.approx(nnls(matrix, target)[1], abs=1e-8)


def steps_costing(disturbed: int | None = None) -> list[MeasuredStep]:
    """Every configuration of the CPU grid at exactly TRUE costs; one of them ten times slower."""
    steps = []
    for index, configuration in enumerate(standard_grid("cpu")):
        assert configuration.work != "synthesis"
        features = features_of(configuration, configuration.work)
        seconds = sum(TRUE[name] * features[name] for name in DEVICE_FEATURES) * (10 if index == disturbed else 1)
        steps.append(MeasuredStep(configuration=configuration, seconds=seconds, joules=None, spread=0.0, steps=10))
    return steps


def worst_error(steps: list[MeasuredStep]) -> float:
    """Of the fitted coefficients on undisturbed steps."""
    coefficients = {(each.operation, each.dimensions): each for each in fit_coefficients(steps, "cpu")}
    errors = []
    for step in steps_costing():
        what = step.configuration
        assert what.work != "synthesis"
        features = features_of(what, what.work)
        chosen = coefficients[what.work, what.model.dimensions]
        if chosen.cases < 6:
            continue  # fitted with two features, see below
        errors.append(abs(sum(value * features[name] for name, value in chosen.seconds.items()) / step.seconds - 1))
    return max(errors)


def test_costs_that_are_linear_in_the_features_are_found_again() -> None:
    assert worst_error(steps_costing()) < 1e-3


def test_one_disturbed_measurement_hardly_moves_the_fit() -> None:
    assert worst_error(steps_costing(disturbed=12)) < 0.1


def test_a_fit_says_what_it_rests_on() -> None:
    (coefficients,) = [each for each in fit_coefficients(steps_costing(), "cpu") if (each.operation, each.dimensions) == ("train", 3)]

    assert coefficients.cases == 8
    assert coefficients.flops_range[0] < coefficients.flops_range[1]
    assert coefficients.joules is None
    assert (coefficients.precision, coefficients.threads) == ("float32", 1)


def test_few_cases_get_a_simple_fit_with_a_wide_spread() -> None:
    steps = [step for step in steps_costing() if step.configuration.work == "train" and step.configuration.model.dimensions == 3][:3]
    (coefficients,) = fit_coefficients(steps, "cpu")

    assert set(coefficients.seconds) <= {"step", "flops"}
    assert coefficients.spread >= 0.3


def test_counted_joules_are_fitted_beside_the_seconds() -> None:
    steps = [step.model_copy(update={"joules": 30 * step.seconds}) for step in steps_costing()]
    coefficients = {(each.operation, each.dimensions): each for each in fit_coefficients(steps, "cpu")}

    for step in steps:
        what = step.configuration
        assert what.work != "synthesis"
        chosen, features = coefficients[what.work, what.model.dimensions], features_of(what, what.work)
        assert chosen.joules is not None
        joules = sum(value * features[name] for name, value in chosen.joules.items())
        seconds = sum(value * features[name] for name, value in chosen.seconds.items())
        assert joules == pytest.approx(30 * seconds, rel=0.01)


def test_a_relative_fit_weighs_small_and_large_steps_alike() -> None:
    sizes = np.array([1.0, 10.0, 100.0, 1000.0])
    matrix = np.stack([np.ones(4), sizes], axis=1)

    assert relative_fit(matrix, 3 + 2 * sizes) == pytest.approx([3.0, 2.0])
