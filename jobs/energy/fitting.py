"""From measured steps to the coefficients of a hardware profile. Needs numpy, but no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from jobs.energy.calibration import Z80
from jobs.energy.comparisons import without_comparisons
from jobs.energy.features import DEVICE_FEATURES, FEATURES, Feature, features_of
from jobs.energy.flops import Operation
from jobs.energy.hardware import Coefficients, MeasuredStep

Matrix = NDArray[np.float64]

# Operations that are fitted together, as they run the same kinds of layers the same way; their spreads are their own.
_FAMILIES: tuple[tuple[Operation, ...], ...] = (("denoise",), ("encode", "decode"), ("train", "vqgan"))

_FEW = 8  # cases below which only overhead and FLOPs are fitted
_SIMPLE: tuple[Feature, ...] = ("step", "flops")
_SPREAD_OF_FEW = 0.35  # what a fit to so few cases is trusted with
_FOLDS = 8
_REWEIGHTINGS = 4
_HUBER = 0.15  # relative residual from which on a case counts less
_LEAST_SPREAD = 0.03


def fit_coefficients(measured: Sequence[MeasuredStep], kind: Literal["cpu", "gpu"]) -> tuple[Coefficients, ...]:
    """Coefficients for every operation and dimensionality that was measured, apart for each precision and number of threads."""
    groups: dict[tuple[object, ...], list[MeasuredStep]] = {}
    for step in without_comparisons(measured):
        what = step.configuration
        family = next(index for index, operations in enumerate(_FAMILIES) if what.work in operations)
        groups.setdefault((family, what.model.dimensions, what.precision, what.threads), []).append(step)
    return tuple(coefficients for _, steps in sorted(groups.items(), key=lambda item: str(item[0])) for coefficients in _fit(steps, kind))


def _fit(steps: Sequence[MeasuredStep], kind: Literal["cpu", "gpu"]) -> Iterator[Coefficients]:
    """One fit for a family of operations; one set of coefficients for each of them."""
    seconds = np.array([step.seconds for step in steps])
    names, residuals = _choose_features(steps, seconds, kind)
    matrix = _matrix(steps, names)
    joules = [step.joules for step in steps if step.joules is not None]
    per_second = _named(names, relative_fit(matrix, seconds))
    per_joule = _named(names, relative_fit(matrix, np.array(joules))) if len(joules) == len(steps) else None
    for operation in sorted({step.configuration.work for step in steps}):
        assert operation != "synthesis"
        own = np.array([step.configuration.work == operation for step in steps])
        flops = [features_of(step.configuration, operation)["flops"] for step in steps if step.configuration.work == operation]
        what = steps[0].configuration
        yield Coefficients(
            operation=operation,
            dimensions=what.model.dimensions,
            seconds=per_second,
            joules=per_joule,
            spread=_spread(residuals[own]) if len(steps) >= _FEW else _SPREAD_OF_FEW,
            flops_range=(min(flops), max(flops)),
            cases=int(own.sum()),
            precision=what.precision,
            threads=what.threads,
        )


def _choose_features(steps: Sequence[MeasuredStep], seconds: Matrix, kind: Literal["cpu", "gpu"]) -> tuple[tuple[Feature, ...], Matrix]:
    """The set of features that predicts models left out of the fit best, and its residuals for them."""
    candidates = [_SIMPLE]
    if len(steps) >= _FEW:
        candidates += [DEVICE_FEATURES, FEATURES] if kind == "cpu" else [DEVICE_FEATURES]
    tried = [(names, _left_out_residuals(steps, _matrix(steps, names), seconds)) for names in candidates]
    return min(tried, key=lambda each: float(np.nanmean(np.abs(each[1]))) if np.isfinite(each[1]).any() else np.inf)


def _matrix(steps: Sequence[MeasuredStep], names: Sequence[Feature]) -> Matrix:
    rows = []
    for step in steps:
        assert step.configuration.work != "synthesis"
        features = features_of(step.configuration, step.configuration.work)
        rows.append([features[name] for name in names])
    return np.array(rows)


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


def _left_out_residuals(steps: Sequence[MeasuredStep], matrix: Matrix, target: Matrix) -> Matrix:
    """log(measured / predicted) of each case, predicted without its model: whole models are left out, a fold at a time."""
    models = {key: index for index, key in enumerate(dict.fromkeys(_model_key(step) for step in steps))}
    folds = np.array([models[_model_key(step)] % _FOLDS for step in steps])
    residuals = np.full(len(steps), np.nan)
    for fold in range(_FOLDS):
        held = folds == fold
        if held.any() and not held.all():
            predicted = matrix[held] @ relative_fit(matrix[~held], target[~held])
            residuals[held] = np.log(target[held] / np.maximum(predicted, 1e-12))
    return residuals


def _model_key(step: MeasuredStep) -> tuple[object, int]:
    return step.configuration.model, step.configuration.batch_size


def _spread(residuals: Matrix) -> float:
    """The standard deviation whose central 80 % interval holds 80 % of the residuals; a few wild ones do not count."""
    finite = np.abs(residuals[np.isfinite(residuals)])
    return max(_LEAST_SPREAD, float(np.quantile(finite, 0.8)) / Z80) if len(finite) else _SPREAD_OF_FEW


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
