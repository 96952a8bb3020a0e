"""Every fault of the intensity provider, for eight hours, against the whole daemon over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from daemon.domain.states import JobState
from forecast.intensity import Rung
from forecast.replay.faults import Fault, FaultName
from forecast.replay.recording import Recording
from forecast.replay.server import ReplayServer
from forecast.timeline import HOUR
from tests.daemon.service.world import HEIDELBERG, World, open_world, training

DATA = Path(__file__).parents[3] / "forecast" / "data" / "demo"
START = datetime(2023, 9, 4, 18, tzinfo=UTC)
LASTS = timedelta(hours=8)  # a forecast is believed for six
QUICK = {"not-in-plan", "rate-limited", "cut", "null-intensity", "restated"}  # one of each sort; the others are left to CI
HARMLESS = {"slow", "restated", "frozen"}  # answers still come; what they are worth is the feed's own matter


class Provider:
    """The replay service and a world whose daemon asks it every hour."""

    def __init__(self, world: World, server: ReplayServer) -> None:
        self.world, self.server = world, server

    def hours(self, count: float) -> None:
        """Poll and tick every hour, as the ticker does; nothing here may raise."""
        until = self.world.now + timedelta(hours=count)
        while self.world.now < until:
            self.world.now += HOUR
            feed = self.world.daemon.feed
            feed.poll_latest(["DE"])
            feed.poll_history(["DE"])
            feed.poll_forecast(["DE"])
            self.world.daemon.tick.run()
            self.world.daemon.settler.settle()

    def rung(self) -> Rung | None:
        return self.world.daemon.feed.status("DE", self.world.now).rung

    def failures(self) -> float:
        """Questions that got another answer than data, as the metrics tell them."""
        samples = self.world.daemon.metrics.registry.get_sample_value
        labels = [
            sample.labels
            for family in self.world.daemon.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "lowtide_intensity_fetches_total" and sample.labels["result"] != "ok"
        ]
        return sum(samples("lowtide_intensity_fetches_total", one) or 0.0 for one in labels)

    def falls(self) -> float:
        return self.world.daemon.metrics.registry.get_sample_value("lowtide_ladder_falls_total", {"zone": "DE"}) or 0.0


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    folder = tmp_path_factory.mktemp("world")
    moment = [START]
    with ReplayServer(Recording.load([DATA]), lambda: moment[0]) as server:
        key = {"token": "a-token-of-sixteen", "base_url": server.base_url, "requests_per_hour": 600.0}
        with open_world(folder, HEIDELBERG, grid={}, now=START, electricity_maps=key) as world:
            server.now = lambda: world.now
            provider = Provider(world, server)
            provider.hours(1)
            yield provider


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in get_args(FaultName)])
def test_the_daemon_keeps_deadlines_tells_the_truth_and_climbs_again(provider: Provider, name: FaultName) -> None:
    world = provider.world
    assert provider.rung() is Rung.VENDOR_FORECAST
    failures, falls = provider.failures(), provider.falls()
    provider.server.set_faults(Fault(name, seconds=0.01, retry_after_seconds=600))
    jobs = [world.submit(training(1), deadline=world.deadline(hours)) for hours in (3, 7)]
    provider.hours(LASTS / HOUR)
    for job_id in jobs:
        job = world.job(job_id)
        assert job.state is JobState.SUCCEEDED
        assert job.ended_at is not None
        assert job.ended_at <= job.deadline
        assert world.ledger(job_id)
    if name in HARMLESS:
        assert provider.rung() is not None
    else:
        assert provider.rung() is Rung.OWN_FORECAST
        assert provider.failures() > failures
        assert provider.falls() == falls + 1
    provider.server.set_faults()
    _wait_for(provider, Rung.VENDOR_FORECAST)


def _wait_for(provider: Provider, rung: Rung, within_hours: int = 26) -> None:
    """What a plan lacks is asked for once a day, so that may be how long it takes."""
    for _ in range(within_hours):
        if provider.rung() is rung:
            return
        provider.world.now += HOUR
        provider.world.daemon.feed.poll_forecast(["DE"])
        provider.world.daemon.feed.poll_history(["DE"])
    assert provider.rung() is rung
