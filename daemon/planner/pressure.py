"""How full a queue is until each deadline, jobs that may still come included: when waiting becomes a risk for others."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from daemon.planner.field import Held
from daemon.planner.task import Task

WEEK_SECONDS = 7 * 86400.0
WEEKS_LOOKED_BACK = 8
LEAST_DEMAND = 0.4  # below this share of the capacity no week's arrivals could fill it
LEAST_LOOK_SECONDS = 6 * 3600.0  # pressure of the last hours before a deadline tells nothing about the queue


class Demand:
    """Work that has come, to guess what may still come: as much as in the busiest of the last weeks at the same time of week."""

    def __init__(self) -> None:
        self._arrival: list[float] = []
        self._due: list[float] = []
        self._work: list[float] = []

    def note(self, task: Task) -> None:
        """Jobs are noted in the order of their arrival."""
        self._arrival.append(task.release)
        self._due.append(task.due)
        self._work.append(task.gpus * task.shortest)

    def to_come(self, now: float, due: float) -> float:
        """GPU-seconds of jobs that may arrive after `now` and be due by `due`; 0 before the first week is over."""
        most = 0.0
        for week in range(1, WEEKS_LOOKED_BACK + 1):
            back = week * WEEK_SECONDS
            first, last = bisect_right(self._arrival, now - back), bisect_right(self._arrival, due - back)
            most = max(most, sum(self._work[i] for i in range(first, last) if self._due[i] <= due - back))
        return most


def pressure(live: Iterable[Held], gpus: int, demand: Demand, now: float) -> float:
    """The largest share of the GPUs until some deadline that is needed by then, jobs still to come included."""
    wanted, most = 0.0, 0.0
    for held in sorted(live, key=lambda held: held.task.due):
        wanted += held.task.gpus * sum(piece.end - max(piece.start, now) for piece in held.ahead if piece.end > now)
        span = held.task.due - now
        if span > LEAST_LOOK_SECONDS and wanted > LEAST_DEMAND * gpus * span:
            most = max(most, (wanted + demand.to_come(now, held.task.due)) / (gpus * span))
    return most
