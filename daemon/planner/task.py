"""A job in the planner's numbers, and what an answer for it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from daemon.domain.plan import Mode, PlanJob, SiteOption
from daemon.planner.terrain import HOUR_SECONDS, Terrain

SHORTEST_WORK_SECONDS = 1.0  # a job that is all but done still takes a moment, and shares of its work stay defined


@dataclass(slots=True)  # never changed; frozen ones take three times as long to make, and a preview makes one for every site
class Choice:
    """One site where the job may run: seconds of work on its GPUs, component kilowatts, and what a start costs there.

    `fresh_kwh`: what a start's energy exceeds plain work of the same length by. `once_kwh`: component energy equivalent
    of the transfer, which is given as facility energy.
    """

    site: int
    work: float
    power: float
    startup: float
    fresh_kwh: float
    once_kwh: float


@dataclass(frozen=True, slots=True)
class Task:
    """A job ready to be placed: all of its `choices` have room for it at some time."""

    job: PlanJob
    release: float
    due: float
    choices: tuple[Choice, ...]
    running: int  # site that holds GPUs for it now, or -1
    beside: tuple[int, ...] = ()  # sites that hold GPUs for further runs of it

    @property
    def gpus(self) -> int:
        return self.job.gpus

    @property
    def width(self) -> int:
        """How many pieces may run side by side."""
        return self.job.max_width if self.job.mode is Mode.DIVISIBLE else 1

    @property
    def narrow(self) -> Task:
        """The same job, one piece at a time."""
        return self if self.width == 1 else replace(self, job=replace(self.job, max_width=1))

    @property
    def is_pinned(self) -> bool:
        """A contiguous job that runs stays where it is; the snapshot's free GPUs are without it already."""
        return self.job.mode is Mode.CONTIGUOUS and self.running >= 0

    @property
    def shortest(self) -> float:
        """The least time from start to end without any pause, side by side where it may."""
        width = self.width
        return min([c.work / width + (0.0 if self.runs_at(c.site) else c.startup) for c in self.choices])

    @property
    def latest_start(self) -> float:
        """When it has to start to end in time without any pause: whoever has the least is the most urgent."""
        return self.due - self.shortest

    def runs_at(self, site: int) -> int:
        """How many runs of the job hold GPUs there now."""
        return 0 if self.running < 0 and not self.beside else (self.running == site) + self.beside.count(site)

    def startup_of(self, choice: Choice, start: float) -> float:
        """Seconds of start-up that a piece beginning at `start` pays: none where the job goes on running."""
        return 0.0 if start <= 0.0 and self.runs_at(choice.site) else choice.startup


@dataclass(slots=True)
class Piece:
    """A stretch of time on one site, seconds since now. `fresh` is False only where the job just goes on running."""

    choice: Choice
    start: float
    end: float
    fresh: bool = True

    @property
    def useful(self) -> float:
        return self.end - self.start - (self.choice.startup if self.fresh else 0.0)


@dataclass(slots=True)
class Offer:
    """One way to do all of a job. `grams` are expected emissions, `score` adds the price of waiting."""

    pieces: tuple[Piece, ...]
    grams: float
    score: float
    start: float
    end: float


def task_of(job: PlanJob, terrain: Terrain) -> Task | None:
    """The job in numbers, or None if none of its sites can ever hold its GPUs.

    Equal cost goes to where the job is, then where its state is, then home.
    """
    index, most_free = terrain.index, terrain.most_free
    # A site where the job runs holds its GPUs already, whatever is free there.
    held = (job.running_at, *job.beside)
    choices = [
        _choice(option, index[option.site], terrain)
        for option in job.options
        if option.site in index and (most_free[index[option.site]] >= job.gpus or option.site in held)
    ]
    if not choices:
        return None
    for name in (job.home, job.state_at, job.running_at):
        if name is not None and name in index and choices[0].site != index[name]:
            choices.sort(key=lambda choice, first=index[name]: choice.site != first)  # type: ignore[misc]  # mypy cannot type the default
    running = -1 if job.running_at is None else index.get(job.running_at, -1)
    beside = tuple([index[site] for site in job.beside if site in index])
    return Task(job, max(0.0, terrain.seconds(job.earliest)), terrain.seconds(job.deadline), tuple(choices), running, beside)


def _choice(option: SiteOption, site: int, terrain: Terrain) -> Choice:
    fresh = option.startup_kwh - option.power_kw * option.startup_seconds / HOUR_SECONDS
    work = max(option.work_seconds, SHORTEST_WORK_SECONDS)
    return Choice(site, work, option.power_kw, option.startup_seconds, fresh, option.transfer_kwh / terrain.sites[site].pue)


def offer_of(pieces: tuple[Piece, ...], task: Task, terrain: Terrain) -> Offer:
    """The pieces with their price: every kWh at the rate of its hour, what starts and transfers draw spread over the start-up.

    Waiting costs the job's price per hour times the mean delay of its work.
    """
    grams, delayed, arrived = 0.0, 0.0, set()
    for piece in pieces:
        c = piece.choice
        extra = (c.fresh_kwh if piece.fresh else 0.0) + (0.0 if c.site in arrived else c.once_kwh)
        arrived.add(c.site)
        grams += c.power * terrain.grams_per_kw(c.site, piece.start, piece.end)
        grams += starting_g(c, extra, piece.start, terrain)
        delayed += max(piece.useful, 0.0) / c.work * ((piece.start + piece.end) / 2 - task.release)
    if task.beside:
        grams += restarts_g(pieces, task, terrain)
    start, end = min(p.start for p in pieces), max(p.end for p in pieces)
    prompt = pieces[0].choice.work / 2
    wait = task.job.price_of_waiting_g_per_hour * max(0.0, delayed - prompt) / HOUR_SECONDS
    return Offer(pieces, grams, grams + wait, start, end)


def restarts_g(pieces: tuple[Piece, ...], task: Task, terrain: Terrain) -> float:
    """Grams of the starts that stopping runs costs beyond those of the pieces: what a stopped run has not done needs one of its own."""
    going_on = sum(not piece.fresh for piece in pieces)
    stopped = (task.running >= 0) + len(task.beside) - going_on
    odd = max(0, stopped - (len(pieces) - going_on))
    c = pieces[0].choice
    start = pieces[0].start
    return odd * (c.power * terrain.grams_per_kw(c.site, start, start + c.startup) + starting_g(c, c.fresh_kwh, start, terrain))


def starting_g(choice: Choice, kwh: float, start: float, terrain: Terrain) -> float:
    """Grams of what beginning at `start` draws beyond plain work, below zero where it draws less.

    Spread evenly over the start-up; at the rate of the moment where that takes no time.
    """
    if not kwh:
        return 0.0
    if choice.startup > 0.0:
        return kwh * HOUR_SECONDS / choice.startup * terrain.grams_per_kw(choice.site, start, start + choice.startup)
    return kwh * terrain.rate.item(choice.site, terrain.cell(start))


def given_up_g(before: Sequence[Piece], after: Sequence[Piece], terrain: Terrain) -> float:
    """Grams that work in those hours of `before` emits which `after` does not hold on the same site."""
    grams = 0.0
    for choice in {piece.choice.site: piece.choice for piece in before}.values():
        both = [(piece, sign) for pieces, sign in ((before, 1), (after, -1)) for piece in pieces if piece.choice.site == choice.site]
        changes = sorted([*((piece.start, sign) for piece, sign in both), *((piece.end, -sign) for piece, sign in both)])
        level = 0
        for (at, change), (until, _) in pairwise(changes):
            level += change
            if level > 0:
                grams += level * choice.power * terrain.grams_per_kw(choice.site, at, until)
    return grams
