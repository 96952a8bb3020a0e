"""The last plan's answer for a job in the planner's numbers; carried over to now, it is cut off at now and fitted to the work left."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from daemon.domain.plan import Placement
from daemon.planner.task import Choice, Offer, Piece, Task, offer_of
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain


def carried_over(task: Task, terrain: Terrain) -> Offer | None:
    """The previous placement from now on, its end moved to where the remaining work ends; None if nothing of it is left."""
    choices = {choice.site: choice for choice in task.choices}
    going_on = Counter(task.beside) + Counter([task.running])
    pieces: list[Piece] = []
    share = 0.0
    for segment in sorted(task.job.previous, key=lambda s: (s.start, s.site)):
        choice = choices.get(terrain.index.get(segment.site, -1))
        if choice is None:
            return None
        for _ in range(max(1, segment.gpus // task.gpus)):
            piece = _from_now(choice, terrain.seconds(segment.start), terrain.seconds(segment.end), going_on[choice.site] > 0)
            if piece is not None and share < 1.0:
                going_on[choice.site] -= not piece.fresh
                pieces.append(piece)
                share += piece.useful / choice.work
    if not pieces:
        return None
    fitted = _fitted(pieces, share)
    return offer_of(tuple(fitted), task, terrain) if fitted else None


def _from_now(choice: Choice, start: float, end: float, is_running: bool) -> Piece | None:
    """The part of [start, end) that lies ahead, if it is long enough to do any work."""
    start = max(start, 0.0)
    fresh = not (is_running and start <= 0.0)
    if end <= start + (choice.startup if fresh else 0.0) + EDGE_TOLERANCE_SECONDS:
        return None
    return Piece(choice, start, end, fresh)


def _fitted(pieces: list[Piece], share: float) -> list[Piece]:
    """Move the end of the last pieces, together, so that the shares of work add up to one; empty if that would undo one."""
    end = max(piece.end for piece in pieces)
    last = [piece for piece in pieces if piece.end >= end - EDGE_TOLERANCE_SECONDS]
    longer = (1.0 - share) / sum(1.0 / piece.choice.work for piece in last)
    moved = {id(piece): replace(piece, end=piece.end + longer) for piece in last}
    if any(piece.useful <= 0 for piece in moved.values()):
        return []
    return [moved.get(id(piece), piece) for piece in pieces]


def pieces_of_placement(placement: Placement, task: Task, terrain: Terrain) -> list[Piece]:
    """A placement in the planner's numbers, in order of time; a piece that has begun goes on where the job runs."""
    choices = {terrain.sites[choice.site].name: choice for choice in task.choices}
    going_on = Counter(task.beside) + Counter([task.running])
    pieces: list[Piece] = []
    for segment in placement.segments:
        choice, start = choices[segment.site], terrain.seconds(segment.start)
        for _ in range(max(1, segment.gpus // task.gpus)):
            fresh = start > 0.0 or going_on[choice.site] <= 0
            going_on[choice.site] -= not fresh
            pieces.append(Piece(choice, start, terrain.seconds(segment.end), fresh))
    return sorted(pieces, key=lambda piece: (piece.start, piece.choice.site, piece.end))
