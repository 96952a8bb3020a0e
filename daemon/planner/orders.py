"""The plain orders every plan must match on deadlines: first come first served, and earliest deadline first.

They are simulated in continuous time, not in cells, so that short jobs back to back lose nothing to rounding.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping

from daemon.domain.job import PlannedSegment
from daemon.domain.plan import IntArray
from daemon.planner.occupancy import ROUNDING_SECONDS
from daemon.planner.precedence import Links
from daemon.planner.task import Choice, Offer, Piece, Task, offer_of
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain


class Timeline:
    """Free GPUs of one site as a step function of time; the last level goes on for ever."""

    def __init__(self, terrain: Terrain, free: IntArray) -> None:
        """`free` GPUs of each cell of the terrain."""
        levels: list[int] = free.tolist()
        edges: list[float] = terrain.edges.tolist()
        changes = [position for position, level in enumerate(levels) if position == 0 or level != levels[position - 1]]
        self.times = [edges[position] for position in changes]
        self.free = [levels[position] for position in changes]

    def earliest(self, gpus: int, duration: float, release: float) -> float | None:
        """The first start from `release` on with `gpus` free throughout, or None if the last level is too low."""
        position = bisect_right(self.times, release) - 1
        start = release
        while position < len(self.times):
            if self.free[position] < gpus:
                position += 1
                if position < len(self.times):
                    start = self.times[position]
            elif position + 1 == len(self.times) or self.times[position + 1] >= start + duration - EDGE_TOLERANCE_SECONDS:
                return start
            else:
                position += 1
        return None

    def reserve(self, gpus: int, start: float, end: float) -> None:
        first, last = self._cut(start), self._cut(end)
        for position in range(first, last):
            self.free[position] -= gpus
        self._join(last)
        self._join(first)

    def _join(self, position: int) -> None:
        """Make one level of two that are the same: a queue on few GPUs would otherwise be walked through level by level."""
        if 0 < position < len(self.free) and self.free[position] == self.free[position - 1]:
            del self.times[position], self.free[position]

    def _cut(self, x: float) -> int:
        """Index of the level that begins at `x`, split off if there is none."""
        position = bisect_left(self.times, x)
        if position < len(self.times) and self.times[position] - x < EDGE_TOLERANCE_SECONDS:
            return position
        if position > 0 and x - self.times[position - 1] < EDGE_TOLERANCE_SECONDS:
            return position - 1
        self.times.insert(position, x)
        self.free.insert(position, self.free[position - 1])
        return position


def as_planned(terrain: Terrain, tasks: Mapping[str, Task], offers: Mapping[str, Offer]) -> dict[str, Offer]:
    """Those of the offers that fit beside each other on the clock, in their order: jobs may follow each other within a cell.

    Offers of jobs that others wait for come first. Who waited for a job that ends later by now, or is not kept, is not kept either.
    """
    timelines = [Timeline(terrain, free) for free in terrain.free]
    kept: dict[str, Offer] = {}
    for job, offer in offers.items():
        if any(name in tasks and (name not in kept or kept[name].end > offer.start + ROUNDING_SECONDS) for name in tasks[job].job.after):
            continue
        gpus = 0 if tasks[job].is_pinned else tasks[job].gpus
        if all(_is_free(timelines[piece.choice.site], gpus, piece) for piece in offer.pieces):
            kept[job] = offer
            for piece in offer.pieces:
                timelines[piece.choice.site].reserve(gpus, piece.start, piece.end)
    return kept


def _is_free(timeline: Timeline, gpus: int, piece: Piece) -> bool:
    """Whether the piece finds its GPUs free, but for what datetimes round away."""
    start = timeline.earliest(gpus, piece.end - piece.start - ROUNDING_SECONDS, piece.start)
    return start is not None and start <= piece.start + ROUNDING_SECONDS


def plain_schedules(terrain: Terrain, tasks: Mapping[str, Task], links: Links) -> Iterator[dict[str, Offer]]:
    """First-come and earliest-deadline order, each at home only and anywhere."""
    keys: tuple[Callable[[str], tuple[float | str, ...]], ...] = (
        lambda job: (-float(tasks[job].running >= 0), tasks[job].job.accepted_at.timestamp(), job),
        lambda job: (-float(tasks[job].running >= 0), tasks[job].due, job),
    )
    for key in keys:
        order = links.ordered(list(tasks), key)
        for at_home in (False, True):
            yield _listed(terrain, tasks, links, order, at_home)


def ends_behind(terrain: Terrain, free: IntArray, tasks: Iterable[Task]) -> dict[str, float]:
    """When each of these jobs, one behind the other, ends at the soonest without a pause in `free` GPUs, whose last cell goes on for ever.

    A job is left out where its GPUs never become free.
    """
    timelines = [Timeline(terrain, row) for row in free]
    ends: dict[str, float] = {}
    for task in tasks:
        piece = _first_to_end(task, list(task.choices), timelines, task.release)
        if piece is not None:
            timelines[piece.choice.site].reserve(task.gpus, piece.start, piece.end)
            ends[task.job.id] = piece.end
    return ends


def in_time_between(terrain: Terrain, task: Task, taken: Iterable[PlannedSegment]) -> Offer | None:
    """The soonest place of a job without a pause and in time between what is taken, by the clock: it may begin and end within cells."""
    timelines = [Timeline(terrain, free) for free in terrain.free]
    for segment in taken:
        start, end = max(0.0, terrain.seconds(segment.start)), terrain.seconds(segment.end)
        timelines[terrain.index[segment.site]].reserve(segment.gpus, start, end)
    piece = _first_to_end(task, list(task.choices), timelines, task.release)
    is_in_time = piece is not None and piece.end <= min(task.due, terrain.end) + EDGE_TOLERANCE_SECONDS
    return offer_of((piece,), task, terrain) if piece is not None and is_in_time else None


def _listed(terrain: Terrain, tasks: Mapping[str, Task], links: Links, order: list[str], at_home: bool) -> dict[str, Offer]:
    """Each job in turn, unbroken, where it ends first."""
    timelines = [Timeline(terrain, free) for free in terrain.free]
    offers: dict[str, Offer] = {}
    for job in order:
        task = tasks[job]
        release = max([task.release, *(offers[p].end for p in links.before[job] if p in offers)])
        home = [c for c in task.choices if terrain.sites[c.site].name == task.job.home]
        piece = _first_to_end(task, home if at_home and home else list(task.choices), timelines, release)
        if piece is None:
            continue
        if not task.is_pinned:
            timelines[piece.choice.site].reserve(task.gpus, piece.start, piece.end)
        offers[job] = offer_of((piece,), task, terrain)
    return offers


def _first_to_end(task: Task, choices: list[Choice], timelines: list[Timeline], release: float) -> Piece | None:
    best: Piece | None = None
    for choice in choices:
        running = choice.site == task.running and release <= 0.0
        if task.is_pinned and not running:
            continue
        duration = choice.work + (0.0 if running else choice.startup)
        start = 0.0 if task.is_pinned else timelines[choice.site].earliest(task.gpus, duration, release)
        if start is None:
            continue
        fresh = not (choice.site == task.running and start <= 0.0)
        piece = Piece(choice, start, start + choice.work + (choice.startup if fresh else 0.0), fresh)
        if best is None or piece.end < best.end - EDGE_TOLERANCE_SECONDS:
            best = piece
    return best
