"""What finished runs teach: a robust correction of a prediction, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

Z80 = 1.2815515655446004  # half width of the central 80 % of a normal distribution, in standard deviations

# What runs of one configuration differ by on a machine that others use too; worth as much as three runs.
USUAL_SPREAD, _USUAL_WEIGHT = 0.06, 3
_MAD_TO_SIGMA = 1.4826  # median absolute deviation to standard deviation, for a normal distribution


@dataclass(frozen=True, slots=True)
class Correction:
    """log(real / predicted) as learned from `runs` runs: its centre and the standard deviation for the next run."""

    shift: float
    sigma: float
    runs: int

    def after(self, shift: float) -> Correction:
        """The same, where the prediction had been shifted before."""
        return replace(self, shift=self.shift + shift)

    @property
    def factor(self) -> float:
        return math.exp(self.shift)


def learn(log_ratios: Sequence[float], sigma_before: float) -> Correction:
    """From log(real / predicted) of one or more runs, where the prediction had `sigma_before`.

    Medians, so that one bad run cannot poison it. With three runs the median speaks. With two, the prediction itself is
    the third voice. A single run is believed if it lies in the prediction's 80 % interval; if it surprises, only half-way,
    until a second run confirms it.
    """
    runs = len(log_ratios)
    if runs == 1:
        return _learn_from_one(log_ratios[0], sigma_before)
    shift = median([0.0, *log_ratios]) if runs == 2 else median(log_ratios)
    scale = _MAD_TO_SIGMA * median([abs(ratio - shift) for ratio in log_ratios])
    return Correction(shift, _next_run_sigma(scale, runs), runs)


def _learn_from_one(log_ratio: float, sigma_before: float) -> Correction:
    if abs(log_ratio) <= Z80 * sigma_before:
        return Correction(log_ratio, _next_run_sigma(USUAL_SPREAD, 1), 1)
    return Correction(log_ratio / 2, max(sigma_before, abs(log_ratio) / 2), 1)


def _next_run_sigma(scale: float, runs: int) -> float:
    """Spread of the next run around the centre: seen spread and usual spread pooled, widened as the centre is uncertain."""
    pooled = (_USUAL_WEIGHT * USUAL_SPREAD**2 + runs * scale**2) / (_USUAL_WEIGHT + runs)
    return math.sqrt(pooled * (1 + 1 / runs))
