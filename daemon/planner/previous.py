"""The last plan's answer for a job, carried over to now: what is past is cut off, what is left is fitted to the work left."""

from __future__ import annotations

from daemon.planner.task import Choice, Offer, Piece, Task, offer_of
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain


def carried_over(task: Task, terrain: Terrain) -> Offer | None:
    """The previous placement from now on, its end moved to where the remaining work ends; None if nothing of it is left."""
    choices = {choice.site: choice for choice in task.choices}
    pieces: list[Piece] = []
    share = 0.0
    for segment in sorted(task.job.previous, key=lambda s: (s.start, s.site)):
        choice = choices.get(terrain.index.get(segment.site, -1))
        if choice is None:
            return None
        for _ in range(max(1, segment.gpus // task.gpus)):
            piece = _from_now(task, choice, terrain.seconds(segment.start), terrain.seconds(segment.end), bool(pieces))
            if piece is not None and share < 1.0:
                pieces.append(piece)
                share += piece.useful / choice.work
    if not pieces:
        return None
    fitted = _fitted(pieces, share)
    return offer_of(tuple(fitted), task, terrain) if fitted else None


def _from_now(task: Task, choice: Choice, start: float, end: float, has_begun: bool) -> Piece | None:
    """The part of [start, end) that lies ahead, if it is long enough to do any work."""
    start = max(start, 0.0)
    fresh = has_begun or not (choice.site == task.running and start <= 0.0)
    if end <= start + (choice.startup if fresh else 0.0) + EDGE_TOLERANCE_SECONDS:
        return None
    return Piece(choice, start, end, fresh)


def _fitted(pieces: list[Piece], share: float) -> list[Piece]:
    """Move the end of the last piece so that the shares of work add up to one; empty if that would undo the piece."""
    last = max(pieces, key=lambda piece: piece.end)
    end = last.end + (1.0 - share) * last.choice.work
    moved = Piece(last.choice, last.start, end, last.fresh)
    if moved.useful <= 0:
        return []
    return [moved if piece is last else piece for piece in pieces]
