"""Room for jobs that may still come: work is brought forward, as little and as cheaply as it goes, where the time left would not do.

No rule that lets a job wait can keep every deadline that first come, first served keeps: while it waits, jobs without any slack may
come for all GPUs. So the guard keeps free what the weeks before ask for, with a margin for their spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from daemon.planner.field import Field, Held, movable
from daemon.planner.forward import bring_forward
from daemon.planner.terrain import HOUR_SECONDS
from forecast.intensity import FloatArray

PACKING_LOSS = 0.1  # share of the GPUs' time that work leaves unused where none of it may be cut
PACKING_LOSS_PER_HOUR = 0.15  # of a cell's length, if that is more: what ends within a cell leaves the rest of it unused
MOST_TURNS = 4  # shortages that are looked after at once


@dataclass(frozen=True, slots=True)
class Lack:
    """GPU-seconds of work from cell `since` on that jobs due by `due` must not leave until then."""

    since: int
    due: float
    seconds: float


class Expectation(Protocol):
    """What is known of jobs that may still come."""

    def to_come(self, starts: FloatArray, due: float, now: float) -> FloatArray:
        """GPU-seconds of jobs that may arrive after each of `starts` and cannot be left until after `due`."""


def keep_room(field: Field, demand: Expectation, now: float) -> None:
    """Bring work forward until what may still come has room before every deadline, or nothing can be brought forward."""
    for _ in range(MOST_TURNS):
        shortage = worst_shortage(field, demand, now)
        if shortage is None:
            return
        begin = float(field.terrain.edges[shortage.since])
        jobs = [held for held in movable(field.live.values(), now) if held.task.due <= shortage.due and held.end > begin]
        if bring_forward(field, jobs, shortage.since, shortage.seconds, now) <= 0:
            return


def worst_shortage(field: Field, demand: Expectation, now: float) -> Lack | None:
    """The instant and the deadline between which most is lacking; None where nothing is.

    For every deadline and every instant before it: work planned between the two and work that may come then, against all GPUs that the
    jobs of the field share.
    """
    live = sorted((held for held in field.live.values() if held.end > now), key=lambda held: held.task.due)
    if not live:
        return None
    terrain, first = field.terrain, field.terrain.cell(now)
    last = terrain.cell_after(live[-1].task.due)
    starts, width = terrain.edges[first:last].copy(), np.full(last - first, terrain.step)
    starts[0], width[0] = now, terrain.edges[first + 1] - now
    loss = max(PACKING_LOSS, PACKING_LOSS_PER_HOUR * terrain.step / HOUR_SECONDS)
    rows = [held.row for held in live]
    everybody = (field.gpus[rows] @ field.held[rows, first:last]) * width
    shared = np.concatenate(([0.0], np.cumsum(np.maximum(field.free[:, first:last].sum(axis=0), 0) * width + everybody)))
    worst: Lack | None = None
    for number in _last_of_each_deadline(live, now):
        due, sofar = live[number].task.due, live[: number + 1]
        count = int(np.searchsorted(starts, due))
        to_come = demand.to_come(starts[:count], due, now)
        count = int(np.count_nonzero(to_come))  # behind the last that may come, those that are known have their places
        room = np.interp(due, [now, *terrain.edges[first + 1 : last + 1]], shared) - shared[:count]
        bar = to_come[:count] - (1 - loss * _uncut_share(sofar)) * room
        # All jobs together hold at least as much as those due by then, and are sooner counted.
        if not count or (bar + _from_each_on(everybody[: terrain.cell_after(due) - first], count)).max() <= 0:
            continue
        rows, cells = [held.row for held in sofar], slice(first, terrain.cell_after(due))
        planned = (field.gpus[rows] @ field.held[rows, cells]) * width[: terrain.cell_after(due) - first]
        lacking = bar + _from_each_on(planned, count)
        since = int(lacking.argmax())
        if lacking[since] > (worst.seconds if worst is not None else 0.0):
            worst = Lack(first + since, due, float(lacking[since]))
    return worst


def _last_of_each_deadline(live: Sequence[Held], now: float) -> list[int]:
    """Of jobs in order of their deadlines, the last one of each that is not past."""
    dues = [held.task.due for held in live]
    return [number for number, due in enumerate(dues) if due > now and (number + 1 == len(dues) or dues[number + 1] != due)]


def _uncut_share(live: Sequence[Held]) -> float:
    """How much of the jobs' work may not be cut into pieces."""
    uncut = sum(held.work for held in live if not held.is_pausable)
    return uncut / sum(held.work for held in live) if uncut else 0.0


def _from_each_on(values: FloatArray, count: int) -> FloatArray:
    """The sum from each of the first `count` cells to the end."""
    return np.cumsum(values[::-1])[::-1][:count]
