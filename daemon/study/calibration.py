"""How well one straight line, joules = a + FLOPs / e, reproduces the energies the paper prints. Calibration, not validation:
the bundled A100 profile was fitted to these very numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.study import paper
from daemon.study.cases import Case
from daemon.study.paper import Phase, PublishedRun
from jobs.energy.flops import sample_flops
from jobs.energy.model import EnergyModel
from jobs.spec import Size

NETWORK: Size = "large"  # the (256, 512, 768) network of Pinaya et al., which the paper names as its base, with f = 4


@dataclass(frozen=True, slots=True)
class Point:
    """A pass of the UNet: its FLOPs, and its joules as published."""

    flops: float
    joules: float


@dataclass(frozen=True, slots=True)
class Line:
    """joules = overhead + joules_per_flop x FLOPs, neither negative."""

    overhead_joules: float
    joules_per_flop: float

    def joules(self, flops: float) -> float:
        return self.overhead_joules + self.joules_per_flop * flops

    @property
    def gflop_per_joule(self) -> float:
        return 1e-9 / self.joules_per_flop


@dataclass(frozen=True, slots=True)
class Residual:
    """One published energy, in joules per pass of the UNet, and by what share each prediction misses it.

    `left_out` is the line fitted to the other three; `profile` is the hardware profile in use.
    """

    phase: Phase
    image: str
    published_joules: float
    in_sample: float
    left_out: float
    profile: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Both phases: the line through the four energies of each, and the residuals."""

    training: Line
    synthesis: Line
    residuals: tuple[Residual, ...]


def calibrate(model: EnergyModel) -> Calibration:
    """Fits anew, with and without each published energy, and asks `model` for the same runs."""
    residuals: list[Residual] = []
    lines = {}
    phases: tuple[Phase, ...] = ("training", "synthesis")
    for phase in phases:
        runs = [run for run in paper.RUNS if run.phase == phase]
        points = [_point(run) for run in runs]
        lines[phase] = line = fit(points)
        for index, (run, point) in enumerate(zip(runs, points, strict=True)):
            without = fit(points[:index] + points[index + 1 :])
            case = Case(phase, run.image_shape, NETWORK)
            residuals.append(
                Residual(
                    phase=phase,
                    image=case.image,
                    published_joules=point.joules,
                    in_sample=line.joules(point.flops) / point.joules - 1,
                    left_out=without.joules(point.flops) / point.joules - 1,
                    profile=model.cost(case.configuration()).joules / run.joules - 1,
                )
            )
    return Calibration(lines["training"], lines["synthesis"], tuple(residuals))


def fit(points: Sequence[Point]) -> Line:
    """Least squares of the relative error, sum of ((a + b F) / E - 1)^2, with a >= 0 and b >= 0. Needs two points or more."""
    u = [1 / point.joules for point in points]
    v = [point.flops / point.joules for point in points]
    uu, vv, uv = _dot(u, u), _dot(v, v), _dot(u, v)
    determinant = uu * vv - uv * uv
    overhead = (sum(u) * vv - sum(v) * uv) / determinant
    per_flop = (sum(v) * uu - sum(u) * uv) / determinant
    if overhead < 0:
        return Line(0.0, sum(v) / vv)
    if per_flop < 0:
        return Line(sum(u) / uu, 0.0)
    return Line(overhead, per_flop)


def _point(run: PublishedRun) -> Point:
    operation = "train" if run.phase == "training" else "denoise"
    return Point(float(sample_flops(Case(run.phase, run.image_shape, NETWORK).model, operation)), run.step_joules)


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))
