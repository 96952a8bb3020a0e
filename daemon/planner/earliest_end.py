"""How soon lanes can do all of a job if every open second is used: exact, without a search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daemon.planner.lanes import FULL, Lane, narrowed
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS


def earliest_end(lanes: Sequence[Lane], width: int) -> float | None:
    """When the work is done if the lanes, at most `width` at a time, take every open stretch; None where they cannot do it.

    What is done by an instant is a sum of ramps: each stretch adds work from the end of its start-up on until its end.
    """
    changes: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    slopes: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    for lane in narrowed(lanes, width):
        begins, ends = _ramps(lane)
        changes += [begins, ends]
        slope = np.full(len(begins), 1.0 / lane.choice.work)
        slopes += [slope, -slope]
    if not changes or not (at := np.concatenate(changes)).size:
        return None
    order = np.argsort(at, kind="stable")
    at, speed = at[order], np.cumsum(np.concatenate(slopes)[order])
    done = np.concatenate(([0.0], np.cumsum(speed[:-1] * np.diff(at))))
    if done[-1] < FULL:
        return None
    after = int(np.searchsorted(done, FULL))
    return float(at[after - 1] + (1.0 - done[after - 1]) / speed[after - 1])


def _ramps(lane: Lane) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Where useful work of each open stretch begins and ends; stretches shorter than a start-up do none."""
    open_ = (lane.seconds > 0).astype(np.int8)
    marks = np.flatnonzero(np.diff(open_, prepend=0, append=0))
    firsts, lasts = marks[::2], marks[1::2] - 1
    begins = lane.starts[firsts] + lane.choice.startup
    if lane.is_running and len(firsts) and firsts[0] == 0:
        begins[0] -= lane.choice.startup
    ends = lane.starts[lasts] + lane.seconds[lasts]
    useful = ends > begins + EDGE_TOLERANCE_SECONDS
    return begins[useful], ends[useful]
