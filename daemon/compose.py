"""Puts the daemon together. The only module that names concrete classes."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from daemon.clock import Clock, real_now
from daemon.domain.errors import LowtideError
from daemon.domain.execution import Executor
from daemon.domain.plan import Placement, PlanJob, Unplaced
from daemon.domain.site import Site
from daemon.executors.local import LocalExecutor
from daemon.feed import IntensityFeed
from daemon.metrics import Metrics
from daemon.planner import PlannerOptions, Residual, plan, preview
from daemon.service.accept import Acceptance
from daemon.service.act import Actor
from daemon.service.board import Board
from daemon.service.commit import Committer
from daemon.service.costs import Costs
from daemon.service.facade import Service
from daemon.service.grid import SettledGrid
from daemon.service.observe import Observer
from daemon.service.policy import Policy, Workplace
from daemon.service.query import Queries
from daemon.service.settle import Settler
from daemon.service.snapshot import Photographer
from daemon.service.telling import Teller
from daemon.service.tick import Tick, nothing
from daemon.service.zones import Zones
from daemon.settings.schema import Settings, SiteSettings
from daemon.store import Store
from daemon.store.intensity import RecordedIntensity
from daemon.ticker import Chore, Ticker
from forecast.electricity_maps.budget import TokenBucket
from forecast.electricity_maps.client import ElectricityMaps
from jobs.energy.hardware import HardwareProfile, profile_for
from jobs.energy.model import EnergyModel, RunObservation
from jobs.spec import MeteringSpec

VINTAGES_KEPT = timedelta(days=400)


class AlreadyRunning(LowtideError):
    """Two daemons on one database would plan against each other."""


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


@contextmanager
def open_daemon(settings: Settings) -> Iterator[Daemon]:
    """The whole daemon with its ticker running. Raises AlreadyRunning, StoreUnavailable, UnreadableProfile."""
    with sole_daemon(settings.database), build_daemon(settings) as daemon:
        daemon.ticker.start()
        try:
            yield daemon
        finally:
            daemon.ticker.stop()


@contextmanager
def build_daemon(settings: Settings, after_step: Callable[[str], None] = nothing) -> Iterator[Daemon]:
    """Everything wired, nothing started. `after_step` is told every step of tick and settlement just done."""
    clock = make_clock(settings)
    policy = make_policy(settings)
    places = {site.name: _workplace(site) for site in settings.sites}
    metrics = Metrics((place.site.name, place.site.zone) for place in places.values())
    metrics.show_clock(clock.rate)
    store = Store.open(settings.database)
    client = _client(settings, clock)
    try:
        feed = IntensityFeed(client, RecordedIntensity(store.database), policy.kind, clock.now, metrics=metrics)
        with store.read() as reader:
            observations = reader.observations()
        costs = Costs({place.site.hardware for place in places.values()}, partial(_energy_model, _profiles(settings)), observations, clock)
        board = Board()
        photographer = Photographer(places, costs, feed.outlook, policy)
        options = PlannerOptions(keep_threshold=settings.planner.stability_threshold)
        tick = Tick(
            store,
            clock,
            Observer(store, places, clock, policy, after_step),
            photographer,
            partial(plan, options=options),
            Committer(store, places),
            Actor(store, places, clock, policy, after_step),
            after_step,
        )
        settler = Settler(
            store, places, costs, SettledGrid(feed.observed, feed.outlook, policy.kind, policy.final_after), clock, policy, after_step
        )
        zones = Zones(store, places, feed, clock, policy)
        teller = Teller(metrics, store, zones, clock)

        def beat() -> None:
            report = tick.run()
            board.renew(partial(_preview, Residual.of(report.snapshot, report.plan, options)))
            if report.ended:
                settler.settle()
            teller.tell_tick(report)

        ticker = Ticker(_chores(settings, beat, feed, zones, settler, teller, RecordedIntensity(store.database), clock), metrics)
        acceptance = Acceptance(store, places, costs, photographer, board, clock, policy)
        service = Service(store, acceptance, Queries(store, clock), zones, clock, ticker.problems)
        yield Daemon(service, metrics, clock, store, tick, settler, feed, ticker)
    finally:
        if client is not None:
            client.close()
        store.close()


@contextmanager
def open_intensity_store(settings: Settings) -> Iterator[RecordedIntensity]:
    """The recorded grid history alone, for imports. Raises StoreUnavailable."""
    store = Store.open(settings.database)
    try:
        yield RecordedIntensity(store.database)
    finally:
        store.close()


@contextmanager
def sole_daemon(database: str) -> Iterator[None]:
    """Holds the lock that only one daemon per database file can have. Raises AlreadyRunning."""
    if not database.startswith("sqlite:///"):
        yield
        return
    path = Path(database.removeprefix("sqlite:///") + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"another daemon works on {database}: stop it, or give this one a database of its own") from None
        yield


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


def _workplace(settings: SiteSettings) -> Workplace:
    profile = profile_for(settings.hardware).with_power(settings.tdp_watts, settings.idle_watts)
    site = Site(
        settings.name,
        settings.zone,
        settings.gpus,
        settings.hardware,
        settings.pue,
        settings.admits,
        settings.transfer_kwh_per_gb,
    )
    metering = MeteringSpec(
        meter=settings.meter,
        interval_seconds=settings.meter_interval_seconds,
        cpu_tdp_watts=profile.tdp_watts,
        cpu_idle_watts=profile.idle_watts,
        simulated_watts=settings.simulated_watts,
    )
    return Workplace(site, _executor(profile, settings.gpus), settings.run_root_path, metering, settings.data_root_path)


def _executor(profile: HardwareProfile, gpus: int) -> Executor:
    devices = [str(index) for index in range(gpus)] if profile.kind == "gpu" else None
    return LocalExecutor(devices=devices)


def _profiles(settings: Settings) -> dict[str, HardwareProfile]:
    """One profile per hardware key, with the power figures of the first site that has it."""
    profiles: dict[str, HardwareProfile] = {}
    for site in settings.sites:
        if site.hardware not in profiles:
            profiles[site.hardware] = profile_for(site.hardware).with_power(site.tdp_watts, site.idle_watts)
    return profiles


def _energy_model(profiles: dict[str, HardwareProfile], hardware: str, observations: tuple[RunObservation, ...]) -> EnergyModel:
    return EnergyModel(profiles[hardware], observations, hardware)


def _client(settings: Settings, clock: Clock) -> ElectricityMaps | None:
    provider = settings.electricity_maps
    kind = settings.intensity.intensity_kind
    if (provider.token is None and not provider.tokens) or kind.signal != "average":
        return None
    return ElectricityMaps(
        provider.base_url,
        provider.token.get_secret_value() if provider.token else None,
        {zone: token.get_secret_value() for zone, token in provider.tokens.items()},
        now=clock.now,
        kind=kind,
        budget=TokenBucket(provider.requests_per_hour),
    )


def _preview(residual: Residual, job: PlanJob) -> Placement | Unplaced:
    return preview(job, residual)


def _chores(
    settings: Settings,
    beat: Callable[[], None],
    feed: IntensityFeed,
    zones: Zones,
    settler: Settler,
    teller: Teller,
    recorded: RecordedIntensity,
    clock: Clock,
) -> list[Chore]:
    ticker = settings.ticker
    names = zones.names

    def settle() -> None:
        settler.settle()
        teller.tell_ledger()

    def retain() -> None:
        settler.adjust()
        recorded.forget_vintages(clock.now() - VINTAGES_KEPT)

    def latest() -> None:
        feed.poll_latest(names)
        feed.poll_history(names)

    return [
        Chore("tick", beat, timedelta(seconds=ticker.tick_seconds)),
        Chore("latest", latest, timedelta(minutes=ticker.latest_minutes)),
        Chore("forecast", lambda: feed.poll_forecast(names), timedelta(minutes=ticker.forecast_minutes)),
        Chore("monthly", lambda: feed.poll_monthly(names), timedelta(hours=ticker.monthly_hours)),
        Chore("settle", settle, timedelta(minutes=ticker.settle_minutes)),
        Chore("retention", retain, timedelta(hours=ticker.retention_hours)),
    ]
