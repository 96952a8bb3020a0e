"""What tick, chores and service share, made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from daemon.compose.places import Surroundings, energy_model, profiles_of, workplace
from daemon.compose.rules import budget_rules, make_policy, planner_options, share_rule
from daemon.feed import IntensityFeed
from daemon.metrics import Metrics
from daemon.planner import PlannerOptions
from daemon.service.board import Board
from daemon.service.budgets import Budgets
from daemon.service.costs import Costs
from daemon.service.gpu_use import GpuUse
from daemon.service.grid import GridView
from daemon.service.policy import Policy, Workplaces
from daemon.service.reach import Reach
from daemon.service.snapshot import Photographer
from daemon.settings.schema import Settings
from daemon.store import Store
from daemon.store.intensity import RecordedIntensity
from daemon.zone_knowledge import KnowledgeSettings
from daemon.zone_skill import ZoneSkills
from forecast.clock import Clock
from forecast.model.forecaster import RECORD_HOURS, TrainedForecaster
from forecast.source.port import IntensitySource
from forecast.timeline import HOUR


@dataclass(frozen=True, slots=True)
class Parts:
    """What tick, chores and service share."""

    settings: Settings
    clock: Clock
    policy: Policy
    places: Workplaces
    store: Store
    metrics: Metrics
    recorded: RecordedIntensity
    feed: IntensityFeed
    grid: GridView  # what plans and accounts stand on: the feed, unless a replay brings its own
    skills: ZoneSkills
    costs: Costs
    photographer: Photographer
    budgets: Budgets
    use: GpuUse | None
    board: Board
    reach: Reach
    options: PlannerOptions


def parts_of(settings: Settings, around: Surroundings, store: Store, sources: Sequence[IntensitySource]) -> Parts:
    """Everything that is made from settings and surroundings alone; `sources` stay the caller's to close."""
    clock, policy = around.clock, make_policy(settings)
    places = {site.name: workplace(site, around.executors[site.name]) for site in settings.sites}
    metrics = Metrics([(place.site.name, place.site.zone) for place in places.values()], budget_rules(settings))
    metrics.show_clock(clock.rate)
    recorded = RecordedIntensity(store.database)
    known = KnowledgeSettings(history=RECORD_HOURS * HOUR, zones=tuple(sorted({place.site.zone for place in places.values()})))
    feed = IntensityFeed(sources, recorded, policy.kind, clock.now, forecaster=TrainedForecaster(), settings=known, metrics=metrics)
    with store.read() as reader:
        observations = reader.observations()
    hardware = {place.site.hardware for place in places.values()}
    grid = around.grid or feed
    costs = Costs(hardware, around.model_of or partial(energy_model, profiles_of(settings)), observations, clock)
    skills = ZoneSkills(recorded, policy.kind)
    photographer = Photographer(places, costs, grid.outlook, policy, skills.share_kept)
    budgets = Budgets(budget_rules(settings), places, costs, grid.outlook)
    shares = share_rule(settings)
    use = None if shares is None else GpuUse(shares)
    return Parts(
        settings,
        clock,
        policy,
        places,
        store,
        metrics,
        recorded,
        feed,
        grid,
        skills,
        costs,
        photographer,
        budgets,
        use,
        Board(),
        Reach(),
        planner_options(settings),
    )
