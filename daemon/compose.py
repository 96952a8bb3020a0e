"""Puts the daemon together. The only module that names concrete classes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from daemon.domain.budget import BudgetRule
from daemon.domain.execution import Executor
from daemon.domain.shares import ShareRule
from daemon.domain.site import Site
from daemon.executors.local import LocalExecutor
from daemon.feed import IntensityFeed
from daemon.metrics import Metrics
from daemon.planner import Planner, PlannerOptions, Residual, explain, held_for_a_season, plan, plan_fairly, preview, till_behind, warned
from daemon.service.accept import Acceptance
from daemon.service.act import Actor
from daemon.service.advice import Adviser
from daemon.service.approval import Approvals
from daemon.service.board import Board
from daemon.service.budgets import Budgets
from daemon.service.commit import Committer
from daemon.service.costs import Costs
from daemon.service.explaining import Explainer
from daemon.service.facade import Service
from daemon.service.grid import SettledGrid
from daemon.service.observe import Observer
from daemon.service.policy import Policy, Workplace, Workplaces
from daemon.service.query import Queries
from daemon.service.reach import Reach
from daemon.service.seasons import Seasons
from daemon.service.settle import Settler
from daemon.service.share_view import Standings
from daemon.service.snapshot import Photographer
from daemon.service.telling import Teller
from daemon.service.tick import Tick, TickReport, nothing
from daemon.service.turned_back import refuse_a_clock_turned_back
from daemon.service.zones import Zones
from daemon.settings.schema import Settings, SiteSettings
from daemon.sole import sole_daemon
from daemon.store import Store
from daemon.store.intensity import RecordedIntensity
from daemon.ticker import Chore, Ticker
from daemon.zone_almanac import ZoneAlmanacs
from daemon.zone_knowledge import KnowledgeSettings
from daemon.zone_skill import ZoneSkills
from forecast.clock import Clock, real_now
from forecast.model.forecaster import RECORD_HOURS, TrainedForecaster
from forecast.source.budget import TokenBucket
from forecast.source.port import IntensitySource
from forecast.timeline import HOUR
from jobs.energy.hardware import HardwareProfile, profile_for
from jobs.energy.model import EnergyModel, RunObservation
from jobs.spec import MeteringSpec

log = logging.getLogger(__name__)

VINTAGES_KEPT = timedelta(days=400)


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


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a daemon finds around it: the clock, and what runs attempts at each site, by the site's name."""

    clock: Clock
    executors: Mapping[str, Executor]


@contextmanager
def open_daemon(settings: Settings) -> Iterator[Daemon]:
    """The whole daemon with its ticker running. Raises AlreadyRunning, ClockTurnedBack, StoreUnavailable, UnreadableProfile."""
    with sole_daemon(settings.database), build_daemon(settings) as daemon:
        refuse_a_clock_turned_back(daemon.store, daemon.clock)
        daemon.ticker.start()
        try:
            yield daemon
        finally:
            daemon.ticker.stop()


@contextmanager
def build_daemon(
    settings: Settings, after_step: Callable[[str], None] = nothing, surroundings: Surroundings | None = None
) -> Iterator[Daemon]:
    """Everything wired, nothing started. `after_step` is told every step of tick and settlement just done."""
    around = surroundings or surroundings_of(settings)
    with ExitStack() as stack:
        store = Store.open(settings.database)
        stack.callback(store.close)
        sources = _sources(settings, around.clock)
        for source in sources:
            stack.callback(source.close)
        yield _wired(_parts(settings, around, store, sources), after_step)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What tick, chores and service share."""

    settings: Settings
    clock: Clock
    policy: Policy
    places: Workplaces
    store: Store
    metrics: Metrics
    recorded: RecordedIntensity
    feed: IntensityFeed
    skills: ZoneSkills
    costs: Costs
    photographer: Photographer
    budgets: Budgets
    board: Board
    reach: Reach
    options: PlannerOptions


def _parts(settings: Settings, around: Surroundings, store: Store, sources: Sequence[IntensitySource]) -> _Parts:
    clock, policy = around.clock, make_policy(settings)
    places = {site.name: _workplace(site, around.executors[site.name]) for site in settings.sites}
    metrics = Metrics([(place.site.name, place.site.zone) for place in places.values()], _budget_rules(settings))
    metrics.show_clock(clock.rate)
    recorded = RecordedIntensity(store.database)
    known = KnowledgeSettings(history=RECORD_HOURS * HOUR)
    feed = IntensityFeed(sources, recorded, policy.kind, clock.now, forecaster=TrainedForecaster(), settings=known, metrics=metrics)
    with store.read() as reader:
        observations = reader.observations()
    hardware = {place.site.hardware for place in places.values()}
    costs = Costs(hardware, partial(_energy_model, _profiles(settings)), observations, clock)
    skills = ZoneSkills(recorded, policy.kind)
    photographer = Photographer(places, costs, feed.outlook, policy, skills.share_kept)
    planner = settings.planner
    options = PlannerOptions(planner.wait_confidence, planner.stability_threshold, search_steps=planner.search_steps)
    budgets = Budgets(_budget_rules(settings), places, costs, feed.outlook)
    return _Parts(
        settings, clock, policy, places, store, metrics, recorded, feed, skills, costs, photographer, budgets, Board(), Reach(), options
    )


def _wired(parts: _Parts, after_step: Callable[[str], None]) -> Daemon:
    store, clock, policy = parts.store, parts.clock, parts.policy
    tick = _tick(parts, after_step)
    grid = SettledGrid(parts.feed.observed, parts.feed.outlook, policy.kind, policy.final_after)
    settler = Settler(store, parts.places, parts.costs, grid, clock, policy, after_step)
    almanacs = ZoneAlmanacs(parts.recorded, policy.kind, clock.now)
    zones = Zones(store, parts.places, parts.feed, parts.skills, almanacs, clock, policy, parts.reach)
    ticker = Ticker(_chores(parts, tick, settler, zones), parts.metrics)
    means_of = partial(parts.recorded.period_means, kind=policy.kind)
    adviser = Adviser(parts.places, parts.costs, parts.board, parts.feed.outlook, means_of, almanacs.of, clock)
    acceptance = Acceptance(store, parts.places, parts.costs, parts.photographer, parts.board, clock, policy, adviser)
    queries = Queries(store, clock, Explainer(parts.board, parts.photographer))
    standings = Standings(store, _share_rule(parts.settings), clock)
    approvals = Approvals(store, parts.budgets, clock)
    service = Service(store, acceptance, queries, zones, approvals, standings, clock, ticker.problems)
    return Daemon(service, parts.metrics, clock, store, tick, settler, parts.feed, ticker, parts.board)


def _tick(parts: _Parts, after_step: Callable[[str], None]) -> Tick:
    store, places, clock, policy = parts.store, parts.places, parts.clock, parts.policy
    return Tick(
        store,
        clock,
        Observer(store, places, clock, policy, parts.reach, after_step),
        parts.photographer,
        Seasons(
            Planner(partial(plan_fairly, plan=partial(plan, options=parts.options)), parts.options),
            partial(held_for_a_season, options=parts.options),
            parts.feed.outlook,
        ),
        Committer(store, places),
        Actor(store, places, clock, policy, after_step),
        parts.budgets,
        _share_rule(parts.settings),
        after_step,
    )


@contextmanager
def open_intensity_store(settings: Settings) -> Iterator[RecordedIntensity]:
    """The recorded grid history alone, for imports. Raises StoreUnavailable."""
    store = Store.open(settings.database)
    try:
        yield RecordedIntensity(store.database)
    finally:
        store.close()


def make_clock(settings: Settings) -> Clock:
    replay = settings.replay
    if replay.grid_start is None:
        return Clock.live()
    return Clock(replay.real_start or real_now(), replay.grid_start, replay.rate)


def make_policy(settings: Settings) -> Policy:
    return Policy(
        default_home=settings.home,
        slot=timedelta(minutes=settings.planner.step_minutes),
        horizon=timedelta(hours=settings.planner.horizon_hours),
        maximum_delay=timedelta(hours=settings.planner.maximum_delay_hours),
        retries=settings.planner.retries,
        final_after=timedelta(hours=settings.ledger.final_after_hours),
        kind=settings.intensity.intensity_kind,
        homebound_projects=frozenset(name for name, project in settings.projects.items() if not project.weights_may_travel),
    )


def _budget_rules(settings: Settings) -> dict[str, BudgetRule]:
    """By project; projects without a budget have no rule."""
    return {
        name: BudgetRule(project.budget_kg_per_month * 1000, project.over_budget == "ask")
        for name, project in settings.projects.items()
        if project.budget_kg_per_month is not None
    }


def _share_rule(settings: Settings) -> ShareRule | None:
    """None where nobody has a weight."""
    shares = settings.shares
    return ShareRule(shares.weights, timedelta(days=shares.half_life_days)) if shares.weights else None


def surroundings_of(settings: Settings) -> Surroundings:
    """The real ones: this computer's clock (mapped in a replay), and processes of this computer."""
    return Surroundings(make_clock(settings), {site.name: _executor(_profile(site), site.gpus) for site in settings.sites})


def _profile(site: SiteSettings) -> HardwareProfile:
    return profile_for(site.hardware).with_power(site.tdp_watts, site.idle_watts)


def _workplace(settings: SiteSettings, executor: Executor) -> Workplace:
    profile = _profile(settings)
    site = Site(
        settings.name,
        settings.zone,
        settings.gpus,
        settings.hardware,
        settings.pue,
        settings.admits,
        settings.transfer_kwh_per_gb,
        executor.cores,
    )
    metering = MeteringSpec(
        meter=settings.meter,
        interval_seconds=settings.meter_interval_seconds,
        cpu_tdp_watts=profile.tdp_watts,
        cpu_idle_watts=profile.idle_watts,
        simulated_watts=settings.simulated_watts,
    )
    return Workplace(site, executor, settings.run_root_path, metering, settings.data_root_path)


def _executor(profile: HardwareProfile, gpus: int) -> Executor:
    devices = [str(index) for index in range(gpus)] if profile.kind == "gpu" else None
    return LocalExecutor(devices=devices)


def _profiles(settings: Settings) -> dict[str, HardwareProfile]:
    """One profile per hardware key, with the power figures of the first site that has it."""
    profiles: dict[str, HardwareProfile] = {}
    for site in settings.sites:
        if site.hardware not in profiles:
            profiles[site.hardware] = _profile(site)
            if profiles[site.hardware].key != site.hardware:
                log.warning("hardware-unknown", extra={"hardware": site.hardware, "instead": profiles[site.hardware].key})
    return profiles


def _energy_model(profiles: dict[str, HardwareProfile], hardware: str, observations: tuple[RunObservation, ...]) -> EnergyModel:
    return EnergyModel(profiles[hardware], observations, hardware)


def _sources(settings: Settings, clock: Clock) -> list[IntensitySource]:
    """Who is asked about the grid: about each zone the first that serves it."""
    sources: list[IntensitySource] = []
    if settings.gb_national.enabled:
        sources.append(_gb_national(settings, clock))
    if settings.electricity_maps.has_a_key and settings.intensity.intensity_kind.signal == "average":
        sources.append(_electricity_maps(settings, clock))
    return sources


def _gb_national(settings: Settings, clock: Clock) -> IntensitySource:
    from forecast.gb_national.client import NationalGB  # httpx, again

    return NationalGB(settings.gb_national.base_url, now=clock.now)


def _electricity_maps(settings: Settings, clock: Clock) -> IntensitySource:
    from forecast.electricity_maps.client import ElectricityMaps  # httpx takes a fifth of a start, and not every daemon has a key

    provider = settings.electricity_maps
    return ElectricityMaps(
        provider.base_url,
        provider.token.get_secret_value() if provider.token else None,
        {zone: token.get_secret_value() for zone, token in provider.tokens.items()},
        now=clock.now,
        kind=settings.intensity.intensity_kind,
        budget=TokenBucket(provider.requests_per_hour),
    )


def renew_board(board: Board, report: TickReport, options: PlannerOptions) -> None:
    """Let the board speak of the plan that this tick made."""
    residual, till = Residual.of(report.snapshot, report.plan, options), till_behind(report.snapshot, report.plan)
    board.renew(
        lambda job: warned(preview(job, residual), job, report.snapshot.spending, till),
        lambda job_id, elsewhere: explain(job_id, report.snapshot, report.plan, elsewhere),
    )


def _chores(parts: _Parts, tick: Tick, settler: Settler, zones: Zones) -> list[Chore]:
    ticker, feed, names = parts.settings.ticker, parts.feed, zones.names
    teller = Teller(parts.metrics, parts.store, zones, parts.clock)

    def beat() -> None:
        report = tick.run()
        renew_board(parts.board, report, parts.options)
        if settler.settle_new(attempt.job_id for attempt in report.ended):
            teller.tell_ledger()
        teller.tell_tick(report)

    def settle() -> None:
        settler.settle()
        teller.tell_ledger()

    def retain() -> None:
        settler.adjust()
        parts.recorded.forget_vintages(parts.clock.now() - VINTAGES_KEPT)

    def score() -> None:
        parts.skills.renew(names, parts.clock.now())
        for zone in names:
            parts.metrics.show_skill(zone, parts.skills.of(zone))

    def latest() -> None:
        feed.poll_latest(names)
        feed.poll_history(names)

    return [
        Chore("tick", beat, timedelta(seconds=ticker.tick_seconds)),
        Chore("latest", latest, timedelta(minutes=ticker.latest_minutes)),
        Chore("forecast", lambda: feed.poll_forecast(names), timedelta(minutes=ticker.forecast_minutes)),
        Chore("score", score, timedelta(minutes=ticker.forecast_minutes)),
        Chore("monthly", lambda: feed.poll_monthly(names), timedelta(hours=ticker.monthly_hours)),
        Chore("settle", settle, timedelta(minutes=ticker.settle_minutes)),
        Chore("retention", retain, timedelta(hours=ticker.retention_hours)),
    ]
