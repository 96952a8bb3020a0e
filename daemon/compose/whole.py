"""The whole daemon: everything wired (`build_daemon`), and running (`open_daemon`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from daemon.compose.chores import chores_of
from daemon.compose.grid import sources_of
from daemon.compose.parts import Parts, parts_of
from daemon.compose.places import Surroundings, surroundings_of
from daemon.feed import IntensityFeed
from daemon.metrics import Metrics
from daemon.planner import REMEMBERED, Planner, held_for_a_season, plan, plan_fairly
from daemon.service.accept import Acceptance
from daemon.service.act import Actor
from daemon.service.advice import Adviser
from daemon.service.approval import Approvals
from daemon.service.board import Board
from daemon.service.commit import Committer
from daemon.service.explaining import Explainer
from daemon.service.facade import Service
from daemon.service.grid import SettledGrid
from daemon.service.memory import Memory
from daemon.service.observe import Observer
from daemon.service.query import Queries
from daemon.service.seasons import Seasons
from daemon.service.settle import Settler
from daemon.service.share_view import Standings
from daemon.service.tick import Tick, nothing
from daemon.service.turned_back import refuse_a_clock_turned_back
from daemon.service.zones import Zones
from daemon.settings.schema import Settings
from daemon.sole import Hindrance, sole_daemon, unhindered
from daemon.store import Store
from daemon.ticker import Ticker
from daemon.zone_almanac import ZoneAlmanacs
from forecast.clock import Clock


@dataclass(frozen=True, slots=True)
class Daemon:
    """What the edges need of a running daemon, and the parts that tests drive by hand."""

    service: Service
    metrics: Metrics
    clock: Clock
    store: Store
    tick: Tick
    settler: Settler
    feed: IntensityFeed
    ticker: Ticker
    board: Board


@contextmanager
def open_daemon(settings: Settings) -> Iterator[Daemon]:
    """The whole daemon with its ticker running. Raises AlreadyRunning, ClockTurnedBack, StoreUnavailable, UnreadableProfile."""
    with sole_daemon(settings.database) as hindrance, build_daemon(settings, hindrance=hindrance) as daemon:
        refuse_a_clock_turned_back(daemon.store, daemon.clock)
        daemon.ticker.start(hindrance)
        try:
            yield daemon
        finally:
            daemon.feed.stop()
            daemon.ticker.stop()


@contextmanager
def build_daemon(
    settings: Settings,
    after_step: Callable[[str], None] = nothing,
    surroundings: Surroundings | None = None,
    hindrance: Hindrance = unhindered,
) -> Iterator[Daemon]:
    """Everything wired, nothing started.

    `after_step` is told every step of tick and settlement just done; `hindrance` is asked before anything is started or stopped.
    """
    around = surroundings or surroundings_of(settings)
    with ExitStack() as stack:
        store = Store.open(settings.database)
        stack.callback(store.close)
        sources = sources_of(settings, around.clock)
        for source in sources:
            stack.callback(source.close)
        yield _wired(parts_of(settings, around, store, sources), after_step, hindrance)


def _wired(parts: Parts, after_step: Callable[[str], None], hindrance: Hindrance) -> Daemon:
    store, clock, policy = parts.store, parts.clock, parts.policy
    tick = _tick(parts, after_step, hindrance)
    grid = SettledGrid(parts.grid.observed, parts.grid.outlook, policy.kind, policy.final_after)
    settler = Settler(store, parts.places, parts.costs, grid, clock, policy, after_step)
    almanacs = ZoneAlmanacs(parts.recorded, policy.kind, clock.now)
    zones = Zones(store, parts.places, parts.feed, parts.skills, almanacs, clock, policy, parts.reach)
    ticker = Ticker(chores_of(parts, tick, settler, zones), parts.metrics)
    means_of = partial(parts.recorded.period_means, kind=policy.kind)
    adviser = Adviser(parts.places, parts.costs, parts.board, parts.grid.outlook, means_of, almanacs.of, clock)
    acceptance = Acceptance(
        store, parts.places, parts.costs, parts.photographer, parts.board, clock, policy, adviser, parts.settings.server.jobs_per_user
    )
    queries = Queries(store, clock, Explainer(parts.board, parts.photographer))
    standings = Standings(parts.use, clock)
    approvals = Approvals(store, parts.budgets, clock)
    service = Service(store, acceptance, queries, zones, approvals, standings, clock, ticker.problems)
    return Daemon(service, parts.metrics, clock, store, tick, settler, parts.feed, ticker, parts.board)


def _tick(parts: Parts, after_step: Callable[[str], None], hindrance: Hindrance) -> Tick:
    store, places, clock, policy = parts.store, parts.places, parts.clock, parts.policy
    planner = Planner(partial(plan_fairly, plan=partial(plan, options=parts.options)), parts.options)
    return Tick(
        store,
        clock,
        Observer(store, places, clock, policy, parts.reach, after_step),
        parts.photographer,
        Seasons(
            Memory(planner, planner.remember, store, REMEMBERED),
            partial(held_for_a_season, options=parts.options),
            parts.grid.outlook,
        ),
        Committer(store, places),
        Actor(store, places, clock, policy, hindrance, after_step),
        parts.budgets,
        parts.use,
        after_step,
    )
