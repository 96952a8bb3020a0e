"""The best unbroken window over all sites at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from daemon.domain.plan import IntArray
from daemon.planner.fares import Fares, Run, Shortage, Single
from daemon.planner.task import Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, TIE_SHARE, Terrain
from forecast.intensity import FloatArray


def cheapest_start(task: Task, terrain: Terrain, free: IntArray | Shortage, release: float, due: float) -> tuple[int, float] | None:
    """Index of the choice and the start of the cheapest window, or None where none is free.

    Of equal costs the first choice wins, then the earliest start. The starts tried are both ends of the window, and every
    start that puts itself, the end of the start-up or the end on a cell's edge. They hold the optimum, but for what is drawn
    at once where starting takes no time: a start a moment before an edge would dodge a dearer cell, and is not tried.
    """
    fares, fitting = _fares(task, terrain, free, release, min(due, terrain.end))
    return None if fares is None else _cheapest(*fares.all(), fitting)


def cheapest_at(task: Task, terrain: Terrain, free: IntArray | Shortage, start: float, due: float) -> tuple[int, float] | None:
    """Index of the choice where a window from `start` on costs least, and `start`; None where none ends in time."""
    fares, fitting = _fares(task, terrain, free, start, min(due, terrain.end))
    return None if fares is None else _cheapest(fares.at_once(), [], fitting)


def _fares(task: Task, terrain: Terrain, free: IntArray | Shortage, release: float, due: float) -> tuple[Fares | None, Sequence[int]]:
    """What windows cost on the sites where one fits between release and due, and which of the choices these are."""
    choices, longest = task.choices, due - release + EDGE_TOLERANCE_SECONDS
    fitting = [position for position, choice in enumerate(choices) if choice.startup + choice.work <= longest]
    if not fitting:
        return None, fitting
    if len(fitting) < len(choices):
        choices = tuple([choices[position] for position in fitting])
    return Fares(task, choices, terrain, free, release, due), fitting


def _cheapest(singles: Sequence[Single], runs: Sequence[Run], fitting: Sequence[int]) -> tuple[int, float] | None:
    lowest = [costs.item(costs.argmin()) for _, costs in runs]
    cheapest = min(lowest, default=math.inf)
    for cost, _, _ in singles:
        cheapest = min(cheapest, cost)
    if cheapest == math.inf:
        return None
    most = cheapest + TIE_SHARE * abs(cheapest)
    equals = [(choice, start) for cost, choice, start in singles if cost <= most]
    equals += [_first_within(*run, most) for run, low in zip(runs, lowest, strict=True) if low <= most]
    choice, start = min(equals)
    return fitting[choice], start


def _first_within(starts: FloatArray, costs: FloatArray, most: float) -> tuple[int, float]:
    """The first choice with a start that costs at most `most`, and its earliest such start."""
    choice, position = divmod(int((costs <= most).argmax()), costs.shape[1])
    return choice, starts.item(choice if len(starts) > 1 else 0, position)
