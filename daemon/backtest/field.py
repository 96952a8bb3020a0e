"""Capacity while a replay goes on: what each job has done, what it holds, and what is free from now on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count

from daemon.backtest.outlooks import Outlook
from daemon.backtest.trace import TraceJob
from daemon.backtest.world import World, terrain_on
from daemon.domain.plan import IntArray, Mode, PlanJob
from daemon.planner.task import Choice, Offer, Piece, Task

WEEK_SECONDS = 7 * 86400.0
WEEKS_LOOKED_BACK = 8
WORK_TOLERANCE_SECONDS = 1e-3  # less work than this is none: what is left of subtracting long spans


@dataclass(slots=True)
class LiveJob:
    """A job that has arrived: finished pieces, pieces ahead, and what it is to the planner. Times in seconds of the world."""

    trace: TraceJob
    task: Task
    past: list[Piece] = field(default_factory=list)
    ahead: list[Piece] = field(default_factory=list)
    version: int = 0  # counts changes of `ahead`, so that ends noted before are known to be stale

    def is_movable(self, now: float) -> bool:
        """Work ahead that may still be placed elsewhere: an unbroken job only until it starts."""
        if not self.ahead or self.ahead[-1].end <= now:
            return False
        return self.trace.is_interruptible or self.ahead[0].start > now

    def pieces(self) -> list[Piece]:
        return [*self.past, *self.ahead]


class Arrivals:
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


class Field:
    """The sites of a replay with what is free on them. Time only goes forward."""

    def __init__(self, world: World, outlook: Outlook) -> None:
        self.world, self.outlook = world, outlook
        self.terrain = terrain_on(world, outlook.first().copy())
        self.free: IntArray = self.terrain.free.copy()
        self.live: dict[str, LiveJob] = {}
        self._ends: list[tuple[float, int, LiveJob, int, Piece]] = []
        self._number = count()
        self.arrivals = Arrivals()

    def task_of(self, job: TraceJob) -> Task:
        """The job as the planner sees it: every site that may run it with its speed and power, home first."""
        mode = Mode.INTERRUPTIBLE if job.is_interruptible else Mode.CONTIGUOUS
        home = self.world.sites[self.world.home_of(job)].name
        choices = tuple(choice_at(self.world, job, site) for site in self.world.sites_of(job))
        planned = PlanJob(job.id, mode, job.gpus, job.arrival, job.arrival, job.deadline, (), home)
        return Task(planned, self.world.seconds(job.arrival), self.world.seconds(job.deadline), choices, running=-1)

    def hold(self, live: LiveJob, offer: Offer) -> None:
        """Give the job these pieces ahead."""
        live.ahead = list(offer.pieces)
        live.version += 1
        for piece in live.ahead:
            self._change(live, piece, piece.start, -live.trace.gpus)
            heappush(self._ends, (piece.end, next(self._number), live, live.version, piece))

    def take_ahead(self, live: LiveJob, now: float) -> Task:
        """Free everything the job holds from `now` on; what is done is done. The job as it is now, its rest of work."""
        ahead, live.ahead = live.ahead, []
        live.version += 1
        for piece in ahead:
            if piece.end <= now:
                live.past.append(piece)
                continue
            if piece.start < now:
                live.past.append(replace(piece, end=now))
            self._change(live, piece, max(piece.start, now), live.trace.gpus)
        return self.rest_of(live)

    def rest_of(self, live: LiveJob) -> Task:
        """The job with the work its past pieces have left, on the site where its checkpoint lies."""
        if not live.past:
            return live.task
        done = sum(piece.end - piece.start for piece in live.past)
        here = live.past[-1].choice.site
        choices = tuple(
            replace(c, work=max(c.work - done, WORK_TOLERANCE_SECONDS), once_kwh=0.0) for c in live.task.choices if c.site == here
        )
        return replace(live.task, choices=choices)

    def advance(self, now: float) -> None:
        """Let what has ended in the cell of `now` free its GPUs for the rest of that cell; forget finished jobs."""
        begin = self.terrain.cell(now) * self.terrain.step
        while self._ends and self._ends[0][0] <= now:
            end, _, live, version, piece = heappop(self._ends)
            if version == live.version and end > begin:
                self.free[piece.choice.site, self.terrain.cell(now)] += live.trace.gpus
        finished = [job for job, live in self.live.items() if live.ahead and live.ahead[-1].end <= now]
        for job in finished:
            del self.live[job]

    def _change(self, live: LiveJob, piece: Piece, start: float, gpus: int) -> None:
        self.free[piece.choice.site, self.terrain.cell(start) : self.terrain.cell_after(piece.end)] += gpus


def choice_at(world: World, job: TraceJob, site: int) -> Choice:
    """The job on that site's hardware, with what it takes to bring its data there."""
    place = world.sites[site]
    once_kwh = 0.0 if site == world.home_of(job) else job.transfer_gb * place.transfer_kwh_per_gb / place.pue
    seconds, kilowatts = job.duration.total_seconds() / place.speed, job.power_watts / 1000 * place.power_factor
    return Choice(site, seconds, kilowatts, 0.0, 0.0, once_kwh)


def arrivals_of(pieces: Sequence[Piece]) -> list[Piece]:
    """The first piece on each site to which data had to be moved."""
    moved = sorted((piece for piece in pieces if piece.choice.once_kwh), key=lambda piece: piece.start, reverse=True)
    return list({piece.choice.site: piece for piece in moved}.values())
