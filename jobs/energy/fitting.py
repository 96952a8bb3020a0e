"""From measured steps to the coefficients of a hardware profile. Needs numpy, but no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jobs.energy.features import FEATURES, Feature, step_features
from jobs.energy.flops import OPERATIONS, Operation
from jobs.energy.hardware import Coefficients, MeasuredStep

Matrix = NDArray[np.float64]

_FEW = 6  # cases below which only overhead and FLOPs are fitted
_SIMPLE: tuple[Feature, ...] = ("step", "flops")
_SPREAD_OF_FEW = 0.35  # what a fit to so few cases is trusted with
_REWEIGHTINGS = 8
_HUBER = 0.15  # relative residual from which on a case counts less


def fit_coefficients(measured: Sequence[MeasuredStep]) -> tuple[Coefficients, ...]:
    """Coefficients for every operation and dimensionality that was measured (one precision and number of threads at a time)."""
    groups: dict[tuple[object, ...], list[MeasuredStep]] = {}
    for step in measured:
        what = step.configuration
        groups.setdefault((what.work, what.model.dimensions, what.precision, what.threads), []).append(step)
    fitted = [_fit_group(steps) for _, steps in sorted(groups.items(), key=lambda item: str(item[0]))]
    return tuple(fitted)


def _fit_group(steps: Sequence[MeasuredStep]) -> Coefficients:
    what = steps[0].configuration
    assert what.work in OPERATIONS
    operation: Operation = what.work
    rows = [step_features(step.configuration.model, operation, step.configuration.batch_size) for step in steps]
    names = FEATURES if len(steps) >= _FEW else _SIMPLE
    matrix = np.array([[row[name] for name in names] for row in rows])
    seconds = np.array([step.seconds for step in steps])
    joules = [step.joules for step in steps if step.joules is not None]
    flops = matrix[:, names.index("flops")]
    return Coefficients(
        operation=operation,
        dimensions=what.model.dimensions,
        seconds=_named(names, relative_fit(matrix, seconds)),
        joules=_named(names, relative_fit(matrix, np.array(joules))) if len(joules) == len(steps) else None,
        spread=_left_out_spread(matrix, seconds) if len(steps) >= _FEW else _SPREAD_OF_FEW,
        flops_range=(float(flops.min()), float(flops.max())),
        cases=len(steps),
        precision=what.precision,
        threads=what.threads,
    )


def relative_fit(matrix: Matrix, target: Matrix) -> Matrix:
    """Non-negative coefficients that minimise relative errors, cases far off counting less (Huber's weights, iterated)."""
    relative = matrix / target[:, np.newaxis]
    scale = relative.max(axis=0)
    scale[scale == 0] = 1.0
    weights = np.ones(len(target))
    x = np.zeros(matrix.shape[1])
    for _ in range(_REWEIGHTINGS):
        root = np.sqrt(weights)
        x = non_negative_least_squares(relative / scale * root[:, np.newaxis], root)
        residual = np.abs(relative / scale @ x - 1)
        weights = _HUBER / np.maximum(residual, _HUBER)
    fitted: Matrix = x / scale
    return fitted


def _left_out_spread(matrix: Matrix, target: Matrix) -> float:
    """Standard deviation of log(measured / predicted) of cases left out of the fit one at a time."""
    logs = []
    for index in range(len(target)):
        others = np.arange(len(target)) != index
        predicted = float(matrix[index] @ relative_fit(matrix[others], target[others]))
        logs.append(math.log(target[index] / predicted) if predicted > 0 else math.inf)
    finite = [each for each in logs if math.isfinite(each)]
    return max(0.02, math.sqrt(sum(each * each for each in finite) / len(finite))) if finite else _SPREAD_OF_FEW


def _named(names: Sequence[Feature], values: Matrix) -> dict[Feature, float]:
    return {name: float(f"{value:.6g}") for name, value in zip(names, values, strict=True) if value > 0}


def non_negative_least_squares(matrix: Matrix, target: Matrix) -> Matrix:
    """x >= 0 that minimises |matrix x - target|: the active-set method of Lawson and Hanson (1974, chapter 23)."""
    columns = matrix.shape[1]
    free = np.zeros(columns, dtype=bool)
    x = np.zeros(columns)
    gradient = matrix.T @ target
    tolerance = 1e-10 * max(1.0, float(np.abs(gradient).max(initial=0.0)))
    for _ in range(30 * columns):
        if free.all() or gradient[~free].max() <= tolerance:
            break
        free[np.argmax(np.where(free, -np.inf, gradient))] = True
        x = _feasible(matrix, target, free, x)
        gradient = matrix.T @ (target - matrix @ x)
    return x


def _feasible(matrix: Matrix, target: Matrix, free: NDArray[np.bool_], x: Matrix) -> Matrix:
    """Solve for the free columns; while that makes one negative, step only as far as zero and pin it there."""
    while True:
        solution = np.zeros_like(x)
        solution[free] = np.linalg.lstsq(matrix[:, free], target, rcond=None)[0]
        negative = free & (solution <= 0)
        if not negative.any():
            return solution
        step = np.min(x[negative] / (x[negative] - solution[negative]))
        x = x + step * (solution - x)
        free &= x > 1e-14
