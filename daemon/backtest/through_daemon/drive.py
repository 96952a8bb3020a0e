"""Drives a daemon through a trace: jobs are submitted when they arrive, and it ticks where something may happen, never on a beat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

from daemon.backtest.outlooks import Outlook
from daemon.backtest.replay import RENEW_SECONDS
from daemon.backtest.through_daemon.costs import TraceCosts
from daemon.backtest.through_daemon.grid import ReplayGrid
from daemon.backtest.through_daemon.node import ReplayNode
from daemon.backtest.through_daemon.requests import request_of, settings_of, site_name
from daemon.backtest.trace import TraceJob
from daemon.backtest.world import World, WorldProblem
from daemon.compose import Daemon, Surroundings, build_daemon
from daemon.domain.states import AttemptState
from daemon.service.arrival import Arrival
from daemon.service.tick import TickReport
from forecast.clock import Clock
from forecast.timeline import ceil_to

SAME_INSTANT = timedelta(milliseconds=1)  # what falls so close together happens at once
RENEW = timedelta(seconds=RENEW_SECONDS)


@dataclass(slots=True)
class Timing:
    """Real seconds by step of the tick, as the tick tells of them, and how many ticks there were."""

    ticks: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = 0.0

    def begin(self) -> None:
        self.ticks += 1
        self._since = perf_counter()

    def after_step(self, step: str) -> None:
        """The time since the step before belongs to this one; what `observe:asked` and the like tell is part of `observe`."""
        now = perf_counter()
        name = step.partition(":")[0]
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now


@dataclass
class Replayed:
    """A daemon with the trace's sites on a clock moved by hand. `ids`: the daemon's names of the trace's jobs."""

    jobs: Sequence[TraceJob]
    world: World
    nodes: Mapping[str, ReplayNode]
    timing: Timing
    is_static: bool
    final_after: timedelta  # until an hour of the grid is final
    now: datetime
    daemon: Daemon = field(init=False)
    ids: dict[str, str] = field(default_factory=dict)
    _live: set[str] = field(default_factory=set)

    def play(self, progress: Callable[[int], None] | None = None) -> None:
        """All jobs to their end. `progress` is told how many have arrived. Raises WorldProblem."""
        coming = iter(enumerate(self.jobs))
        following = next(coming, None)
        while following is not None or self._live:
            while following is not None and following[1].arrival <= self.now + SAME_INSTANT:
                self._submit(*following)
                following = next(coming, None)
            if progress is not None:
                progress(len(self.ids))
            report = self._settle_down()
            self.now = self._next(report, None if following is None else following[1].arrival)

    def _submit(self, number: int, job: TraceJob) -> None:
        outcome = self.daemon.service.submit_all([Arrival(request_of(number, job, self.world), None, job.id)])[0]
        if isinstance(outcome, Exception):
            raise WorldProblem(f"job {job.id}: the daemon refused it: {outcome}") from outcome
        self.ids[job.id] = outcome[0].job.id
        self._live.add(outcome[0].job.id)

    def _settle_down(self) -> TickReport:
        """Ticks at this instant until no attempt has ended unseen: what a pause frees is given to the next in a tick of its own."""
        report = self._tick()
        while any(node.has_news for node in self.nodes.values()):
            report = self._tick()
        return report

    def _tick(self) -> TickReport:
        self.timing.begin()
        report = self.daemon.tick.run()
        self._live -= {attempt.job_id for attempt in report.ended if attempt.state is AttemptState.COMPLETED}
        return report

    def _next(self, report: TickReport, arrival: datetime | None) -> datetime:
        """The next instant at which anything may happen, and all that falls together with it."""
        soon = [end for node in self.nodes.values() if (end := node.next_end) is not None]
        if arrival is not None:
            soon.append(arrival)
        parts = (part for placement in report.plan.placements for part in placement.segments if part.end > self.now)
        soon += [part.start if part.start > self.now else part.end for part in parts]
        if not self.is_static and self._live:
            soon.append(ceil_to(self.now + SAME_INSTANT, RENEW))
        if not soon and not self._live:
            return self.now
        if not soon or self.world.seconds(min(soon)) > self.world.count * self.world.step_seconds:
            left = f"{len(self._live)} jobs are not done when the intensity record ends"
            raise WorldProblem(f"{left}: give a longer record or more capacity")
        return max(moment for moment in soon if moment <= min(soon) + SAME_INSTANT)


@contextmanager
def replaying(jobs: Sequence[TraceJob], world: World, outlook: Outlook, folder: Path) -> Iterator[Replayed]:
    """The daemon, wired as a real one and not started: its ticker stands still."""
    settings = settings_of(world, folder, len(jobs), 0.0 if outlook.is_static else None)
    costs = {site_name(row): TraceCosts(jobs, site) for row, site in enumerate(world.sites)}
    timing = Timing()
    replayed = Replayed(jobs, world, {}, timing, outlook.is_static, timedelta(hours=settings.ledger.final_after_hours), jobs[0].arrival)
    replayed.nodes = {site.name: ReplayNode(lambda: replayed.now, costs[site.name], site.gpus) for site in settings.sites}
    start = jobs[0].arrival
    clock = Clock(start, start, real=lambda: replayed.now)
    grid = ReplayGrid(world, outlook, settings.intensity.intensity_kind, clock.now)
    around = Surroundings(clock, replayed.nodes, grid, lambda hardware, _: costs[hardware])
    with build_daemon(settings, timing.after_step, around) as replayed.daemon:
        yield replayed
