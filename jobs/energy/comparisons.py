"""What a way to compute (bfloat16, compiled, gradient checkpointing and others) costs or saves, from steps measured both ways."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from jobs.energy.configuration import Configuration, Work
from jobs.energy.hardware import MeasuredStep

Way = Literal["bfloat16", "gradient-checkpointing", "channels-last", "compile", "tf32", "flash-attention"]

# Standard deviation of log(effect elsewhere / effect measured): it differs between sizes. A judgement, from the table of what
# the engine saves: the same way saved 0 to 12 % of four operations in 2D and 3D.
_ELSEWHERE = 0.12


@dataclass(frozen=True, slots=True)
class Effect:
    """Factors on seconds and joules of a step, and the standard deviation of their logarithm for other sizes."""

    seconds: float
    joules: float
    sigma: float


def ways_of(configuration: Configuration) -> tuple[Way, ...]:
    """The ways to compute that set this configuration apart from its plain twin."""
    return tuple(way for way in get_args(Way) if way in configuration.options or way == configuration.precision)


def plain(configuration: Configuration) -> Configuration:
    """The same work in float32 and without those ways."""
    return replace(configuration, precision="float32", options=())


def without_comparisons(measured: Sequence[MeasuredStep]) -> list[MeasuredStep]:
    """The steps that tell what sizes cost; a step beside its plain twin tells what a way to compute costs."""
    known = {step.configuration for step in measured}
    return [step for step in measured if plain(step.configuration) == step.configuration or plain(step.configuration) not in known]


class Effects:
    """What a profile tells about ways to compute, by kind of work and dimensionality."""

    def __init__(self, measured: Sequence[MeasuredStep]) -> None:
        known = {step.configuration: step for step in measured}
        logs: dict[tuple[Work, int, Way], list[tuple[float, float]]] = {}
        for step in measured:
            twin, ways = known.get(plain(step.configuration)), ways_of(step.configuration)
            if len(ways) == 1 and twin is not None:
                key = (step.configuration.work, step.configuration.model.dimensions, ways[0])
                logs.setdefault(key, []).append(_log_factors(step, twin))
        self._effects = {key: _effect(factors) for key, factors in logs.items()}

    def of(self, work: Work, dimensions: int, way: Way) -> Effect | None:
        """None where that was not measured."""
        return self._effects.get((work, dimensions, way))


def _log_factors(step: MeasuredStep, twin: MeasuredStep) -> tuple[float, float]:
    seconds = math.log(step.seconds / twin.seconds)
    joules = seconds if step.joules is None or twin.joules is None else math.log(step.joules / twin.joules)
    return seconds, joules


def _effect(logs: Sequence[tuple[float, float]]) -> Effect:
    seconds, joules = zip(*logs, strict=True)
    spread = statistics.stdev(joules) if len(logs) > 1 else 0.0
    return Effect(math.exp(statistics.mean(seconds)), math.exp(statistics.mean(joules)), max(_ELSEWHERE, spread))
